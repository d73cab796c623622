"""Figures of many explained atoms: where important atoms sit, cycles through important edges, low against high."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from symgnn_explain.analysis.explained.population import CYCLE_GROUPS, PopulationAnalysis
from symgnn_explain.explain.engine.units import OF_MESSAGES
from symgnn_explain.plotting.curves import add_band, draw, error_bars
from symgnn_explain.plotting.enrichment import add_densities, add_peaks
from symgnn_explain.plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    legend_below,
    new_figure,
    template,
    translucent,
)

PUBLISHED_PEAKS = (2.6, 5.2, 7.0)
"""Where Li et al. (ICML 2024) find peaks of the distances of important atoms, Å."""

PUBLISHED_CYCLES = {"top": 4.1, "random": 1.1}
"""Mean optimal cycles that Li et al. (ICML 2024) find through important and through random edges."""

MOST_EFFECTS = 24
"""So many of the largest differences between atoms with low and with high predictions are drawn."""

_CYCLE_LABELS = {
    "top": "top {k}",
    "mid": "middle {k}",
    "low": "bottom {k}",
    "random": "random<br>(paper's null)",
    "matched": "same hop<br>and length",
}


def population_distance_figure(analysis: PopulationAnalysis, *, r_max: float = 10.0) -> go.Figure:
    """Draw where the important atoms of all explained atoms sit, against where all atoms sit (figure of the paper).

    Above: density of the distances of important atoms from their explained atom with its 95 % bootstrap band, of all
    atoms of the receptive fields, and the 95 % band of the ends of random edges of the same hops; triangles are its
    peaks, dashed lines the published ones. Below: g(r) of the glass, and the shells between its minima.

    Parameters
    ----------
    r_max
        Largest distance that is drawn, Å.
    """
    curve, rdf = analysis.curve, analysis.radial_distribution
    figure = make_subplots(rows=2, cols=1, row_heights=[0.68, 0.32], shared_xaxes=True, vertical_spacing=0.05)
    panel: dict[str, Any] = {"row": 1, "col": 1}
    density = curve.density
    hops = curve.nulls["edges_of_hops"]
    of_hops: dict[str, Any] = {"colour": PURPLE, "name": "ends of random edges of the same hops, 95 %"}
    add_band(figure, curve.r, density * hops.low, density * hops.high, **of_hops, **panel)
    add_band(figure, curve.r, density * curve.low, density * curve.high, colour=BLUE, opacity=0.3, **panel)
    names = ("important atoms, bootstrap 95 %", "all atoms of the receptive fields")
    add_densities(figure, curve, *names, **panel)
    tallest = float(np.nanmax(density * np.fmax(curve.high, hops.high)))
    add_peaks(figure, curve, r_max, tallest, unit=" Å", name="peaks", **panel)
    x, y = np.repeat(PUBLISHED_PEAKS, 3), np.tile([0, 1.15 * tallest, np.nan], len(PUBLISHED_PEAKS))
    dashed = {"color": ORANGE, "width": 1.8, "dash": "dash"}
    draw(figure, x, y, line=dashed, name="published peaks (Li et al.)", **panel)
    below: dict[str, Any] = {"row": 2, "col": 1}
    line, hover = {"color": GREEN, "width": 2}, "%{x:.2f} Å: g = %{y:.2f}"
    draw(figure, rdf.r, rdf.g, line=line, name=f"g(r) of {rdf.label}", hover=hover, **below)
    for minimum in rdf.minima:
        figure.add_vline(x=minimum, line={"color": GREY, "width": 1.2, "dash": "dot"}, **below)
    figure.update_xaxes(range=[0, r_max])
    figure.update_xaxes(title_text="distance from the explained atom (Å)", row=2, col=1)
    figure.update_yaxes(title_text="density of distances (1/Å)", range=[0, 1.15 * tallest], row=1, col=1)
    figure.update_yaxes(title_text="g(r)", rangemode="tozero", row=2, col=1)
    figure.update_layout(
        template=template(),
        width=900,
        height=720,
        title={"text": f"Where the important atoms of {_atoms(analysis)} sit"},
        legend={"x": 0.98, "y": 0.98, "xanchor": "right", "yanchor": "top"},
    )
    return figure


def population_cycle_figure(analysis: PopulationAnalysis) -> go.Figure:
    """Draw the mean optimal cycles an edge by group, beside both nulls (figure of the paper).

    Bars are means over explained atoms with 95 % intervals, points single atoms, diamonds what Li et al.
    (ICML 2024) report, where it was edges that were explained: pairs reach farther than cycles do.
    """
    of_edges = analysis.unit in OF_MESSAGES
    what = "edges" if of_edges else "pairs"
    figure = new_figure(f"Optimal cycles through the {what} of {_atoms(analysis)}", width=880, height=580)
    atoms = analysis.to_frame()
    groups = list(CYCLE_GROUPS)
    means = [analysis.mean(f"cycles_{group}") for group in groups]
    colours = [GREY if group in {"random", "matched"} else BLUE for group in groups]
    value = np.array([mean.value for mean in means])
    figure.add_bar(
        x=np.arange(len(groups)),
        y=value,
        width=0.62,
        marker={"color": [translucent(colour, 0.45) for colour in colours], "line": {"color": colours, "width": 1.5}},
        error_y=error_bars(value, [mean.low for mean in means], [mean.high for mean in means], width=7),
        name="mean over atoms, 95 %",
        hovertemplate="%{y:.2f} cycles each<extra></extra>",
    )
    spread = 0.22 * np.random.default_rng(0).uniform(-1, 1, size=len(atoms))
    x = np.concatenate([place + spread for place in range(len(groups))])
    y = np.concatenate([atoms[f"cycles_{group}"] for group in groups])
    marker: dict[str, Any] = {"color": VERMILION, "size": 5, "opacity": 0.7}
    draw(figure, x, y, marker=marker, name="single atoms", hover="%{y:.2f} cycles each")
    published = [groups.index(group) for group in PUBLISHED_CYCLES], list(PUBLISHED_CYCLES.values())
    marker = {"color": ORANGE, "size": 13, "symbol": "diamond", "line": {"color": BLACK, "width": 1}}
    if of_edges:
        draw(figure, *published, marker=marker, name="published (Li et al.)", hover="published: %{y:.1f}")
    said = []
    for column, words in (("random", "random ones"), ("matched", "the same hop and length")):
        more = analysis.mean(f"cycles_top_minus_{column}")
        bounds = f" ({more.low:+.2f} to {more.high:+.2f})" if np.isfinite(more.low) else ""
        said.append(f"{words}: {more.value:+.2f}{bounds}")
    figure.update_layout(
        xaxis={
            "tickvals": list(range(len(groups))),
            "ticktext": [_CYCLE_LABELS[group].format(k=analysis.k) for group in groups],
        },
        yaxis={"title": {"text": f"optimal cycles per {what[:-1]}"}, "rangemode": "tozero"},
        legend=legend_below(0.5, -0.16, orientation="h"),
        title={"subtitle": {"text": f"top {what} against {'; against '.join(said)}"}},
        margin={"t": 85, "b": 110},
    )
    return figure


def soft_hard_figure(analysis: PopulationAnalysis) -> go.Figure:
    """Draw in what atoms with low predictions differ from those with high ones: Cliff's delta, 95 % bootstrap interval.

    The largest differences on top; filled where the corrected q-value is below 0.05. Without enough atoms it is empty.
    """
    table = analysis.statistics_frame()
    table = table[table["compared_with"] == analysis.high_atoms]
    table = table.reindex(table["effect"].abs().sort_values(ascending=False, kind="stable").index).head(MOST_EFFECTS)
    table = table.iloc[::-1]
    quantity = analysis.quantity
    figure = new_figure(
        f"Explanations of {analysis.n_low} {quantity.low} against {analysis.n_high} {quantity.high} atoms, "
        f"by {quantity.axis(f'predicted {quantity.word}')}",
        width=940,
        height=200 + 24 * max(4, len(table)),
    )
    significant = table["q_value"] < 0.05
    filled = np.where(significant, BLUE, "white").tolist()
    draw(
        figure,
        table["effect"],
        table["name"],
        error_x=error_bars(table["effect"], table["effect_low"], table["effect_high"]),
        marker={"size": 10, "color": filled, "line": {"color": BLUE, "width": 1.8}},
        customdata=table[["observed", "expected", "q_value"]],
        hover=f"%{{y}}: %{{x:.2f}}; {quantity.low} %{{customdata[0]:.3g}}, {quantity.high} "
        "%{customdata[1]:.3g}, q = %{customdata[2]:.2g}",
    )
    figure.add_vline(x=0, line={"color": LIGHT_GREY, "width": 1.5})
    figure.update_layout(
        xaxis={"title": {"text": f"Cliff's delta (positive: larger for {quantity.low} atoms)"}, "range": [-1.08, 1.08]},
        yaxis={"automargin": True},
        title={"subtitle": {"text": "filled: q &lt; 0.05 (Benjamini and Hochberg)" if len(table) else "too few atoms"}},
        margin={"t": 85},
    )
    return figure


def _atoms(analysis: PopulationAnalysis) -> str:
    return "one atom" if len(analysis) == 1 else f"{len(analysis)} atoms"
