"""Predictions: how they are distributed, and how they compare with known values."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from symgnn_explain.errors import InputError
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.plotting.curves import draw, note_in_corner
from symgnn_explain.plotting.style import BLACK, GREY, VALUE_SCALE, VERMILION, new_figure, species_colour, translucent
from symgnn_explain.runs.markup import figure_text
from symgnn_explain.structure.glass import FloatArray, Glass

DENSE = 1500
"""From this many atoms on, a parity figure shows their density instead of single points."""


def prediction_histogram(
    glass: Glass, values: ArrayLike, *, atom: int | None = None, target: Target = BARRIER
) -> go.Figure:
    """Draw the distribution of predicted or known values, shape (N,), for each species; ``atom`` marks one atom's.

    Atoms whose value is unknown (NaN) are left out.

    Raises
    ------
    InputError
        If there is not one value an atom, or the glass has no such atom.
    """
    of_atom = _one_an_atom(glass, values, target)
    known = ~np.isnan(of_atom)
    shown, symbols = of_atom[known], np.array(glass.symbols)[known]
    figure = new_figure(f"{target.title} of the atoms of {figure_text(glass.name)}")
    width = _bin_width(shown)
    start = width * np.floor(shown.min() / width)
    for symbol in glass.species:
        colour = species_colour(symbol)
        figure.add_histogram(
            x=shown[symbols == symbol],
            xbins={"start": start, "end": shown.max() + width, "size": width},
            marker={"color": translucent(colour, 0.6), "line": {"color": colour, "width": 1}},
            name=f"{symbol} ({np.count_nonzero(symbols == symbol)} atoms)",
            hovertemplate=f"{target.with_unit('%{x}')}: %{{y}} atoms<extra>{symbol}</extra>",
        )
    if atom is not None:
        value = of_atom[glass.require_atom(atom)]
    if atom is not None and known[atom]:
        said = {"text": f"atom {atom}: {target.text(value)}", "font": {"color": VERMILION, "size": 14}, "yshift": 8}
        line = {"color": VERMILION, "width": 2.5, "dash": "dash"}
        figure.add_vline(x=value, line=line, annotation=said, annotation_position="top")
    figure.update_layout(
        barmode="overlay",
        bargap=0.0,
        xaxis={"title": {"text": target.axis(target.name)}},
        yaxis={"title": {"text": f"atoms per {target.with_unit(f'{width:g}')}"}},
        legend={"x": 0.99, "xanchor": "right", "y": 0.98},
        margin={"t": 80},
    )
    return figure


def parity_figure(glass: Glass, predictions: ArrayLike, *, target: Target = BARRIER) -> go.Figure:
    """Draw predicted against known values, with Pearson's r and the mean absolute error.

    Only atoms whose value is known take part.

    Raises
    ------
    InputError
        If the glass has no known values, or there is not one prediction an atom.
    """
    predicted, labels = _one_an_atom(glass, predictions, target), target.require_labels(glass)
    labelled = ~np.isnan(labels)
    predicted, known = predicted[labelled], labels[labelled]
    if np.isnan(predicted).any():
        raise InputError("the predictions hold NaN: give one finite value an atom.")
    n_atoms = str(len(glass)) if len(known) == len(glass) else f"{len(known)} of {len(glass)}"
    both = np.concatenate([known, predicted])
    margin = 0.03 * (np.ptp(both) or 1.0)
    bounds = [float(both.min() - margin), float(both.max() + margin)]
    figure = new_figure(
        f"Predicted and known {target.word} of the atoms of {figure_text(glass.name)}", width=700, height=660
    )
    known_and_predicted = "<br>".join(
        f"{what} {target.with_unit(f'%{{{axis}:{target.spec}}}')}"
        for what, axis in (("known", "x"), ("predicted", "y"))
    )
    if len(known) >= DENSE:
        bins = {"start": bounds[0], "end": bounds[1], "size": (bounds[1] - bounds[0]) / 70}
        figure.add_histogram2d(
            x=known,
            y=predicted,
            xbins=bins,
            ybins=bins,
            colorscale=[[0.0, "white"], [1e-6, "#D9E2F0"], [1.0, "#00224E"]],
            colorbar={"title": {"text": "atoms", "side": "right"}, "thickness": 16},
            hovertemplate=f"{known_and_predicted}<br>%{{z}} atoms<extra></extra>",
        )
    else:
        marker = {"size": 6, "color": np.abs(predicted - known), "colorscale": VALUE_SCALE, "opacity": 0.7}
        draw(figure, known, predicted, marker=marker, hover=known_and_predicted)
    draw(figure, bounds, bounds, line={"color": BLACK, "width": 1.5, "dash": "dash"})
    error = float(np.abs(predicted - known).mean())
    varied = np.ptp(known) > 0 and np.ptp(predicted) > 0
    score = f"Pearson r = {np.corrcoef(known, predicted)[0, 1]:.3f}<br>" if varied else ""
    text = f"{score}mean absolute error = {target.text(error)}<br>{n_atoms} atoms"
    box = {"bgcolor": "rgba(255,255,255,0.85)", "bordercolor": GREY, "borderpad": 5}
    note_in_corner(figure, text, xref="paper", yref="paper", font={"size": 14}, **box)
    axis = {"range": bounds, "nticks": 7, "constrain": "domain"}
    figure.update_xaxes(title_text=target.axis(f"known {target.name}"), **axis)
    figure.update_yaxes(title_text=target.axis(f"predicted {target.name}"), scaleanchor="x", **axis)
    return figure


def _one_an_atom(glass: Glass, given: ArrayLike, target: Target) -> FloatArray:
    values = np.asarray(given, dtype=np.float64)
    if values.shape != (len(glass),) or np.isinf(values).any() or np.isnan(values).all():
        raise InputError(
            f"values of the {target.name} have shape {values.shape}, expected ({len(glass)},): one finite value "
            "an atom, or NaN where it is unknown."
        )
    return values


def _bin_width(values: FloatArray) -> float:
    """Freedman and Diaconis' width, rounded to 1, 2 or 5 times a power of ten."""
    low, high = np.quantile(values, [0.25, 0.75])
    ideal = 2 * (high - low) / len(values) ** (1 / 3) or 0.05 * (np.abs(values).max() or 1.0)
    decade = 10.0 ** np.floor(np.log10(ideal))
    return float(decade * min((1, 2, 5, 10), key=lambda step: abs(np.log(step * decade / ideal))))
