"""Persistence diagrams and images, and how a sub-structure's diagram differs from those of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.explained.substructure_comparison import SubstructureComparison
from symgnn_explain.analysis.topology.diagrams import PersistenceImage
from symgnn_explain.analysis.topology.persistence import Persistence
from symgnn_explain.errors import InputError
from symgnn_explain.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PURPLE,
    VALUE_SCALE,
    VERMILION,
    new_figure,
    translucent,
)
from symgnn_explain.structure.glass import FloatArray, IntArray

MOST_POINTS = 1500
"""Pairs that are drawn as points besides the density: more are slow to draw and cannot be told apart."""

_CLASSES = {0: "components (H0)", 1: "rings (H1)", 2: "voids (H2)"}
_BINS = 90
_DENSITY = [[0.0, "#E3E9F2"], [0.5, "#6C8EBF"], [1.0, "#00224E"]]
_STATISTICS = {
    "pairs_per_atom": "pairs an atom",
    "life_per_atom": "sum of lives an atom",
    "mean_birth": "mean birth",
    "mean_death": "mean death",
    "mean_life": "mean life",
    "longest_life": "longest life",
    "entropy": "persistence entropy",
    "wasserstein_distance": "distance to the others",
}
_NULL_COLOURS = (GREY, BLUE, VERMILION, GREEN, ORANGE, PURPLE)


def persistence_figure(
    persistence: Persistence,
    dimension: int = 1,
    *,
    highlighted: IntArray | None = None,
    highlighted_name: str = "cycles through important edges",
    most_points: int = MOST_POINTS,
) -> go.Figure:
    """Draw the birth and death of each class of one dimension, as radii in Å.

    All pairs make the density, whose colours are logarithmic; the longest-lived ones and the highlighted ones are
    points too. Their ``customdata`` is the row of the pair in ``persistence.diagram(dimension)``, which for rings is
    the number of its optimal cycle. Classes that never die stand on the upper edge.

    Parameters
    ----------
    dimension
        0 for components, 1 for rings, 2 for voids.
    highlighted
        Rows of pairs to highlight, from :meth:`~.cycle_counts.CycleCounts.through_edges` say.
    highlighted_name
        What they are called.
    most_points
        Longest-lived pairs that are drawn as points.

    Raises
    ------
    InputError
        If there is no such dimension, or a highlighted row does not exist.
    """
    diagram = persistence.diagram(dimension)
    rows = np.zeros(0, dtype=np.int64) if highlighted is None else np.asarray(highlighted, dtype=np.int64)
    if rows.size and not (rows.min() >= 0 and rows.max() < len(diagram)):
        raise InputError(f"highlighted rows go from {rows.min()} to {rows.max()}, expected 0 to {len(diagram) - 1}.")
    essential = persistence.essential(dimension)
    figure = new_figure(f"Persistence diagram of {_CLASSES[dimension]}", width=760, height=700)
    low, high = _bounds(diagram, essential)
    _add_density(figure, diagram, low, high)
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": GREY, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    longest = np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")[:most_points]
    if len(longest):
        named = "all pairs" if len(longest) == len(diagram) else f"the {len(longest)} longest-lived pairs"
        _add_pairs(figure, diagram, np.sort(longest), named, {"color": translucent(BLUE, 0.3), "size": 4})
    if rows.size:
        marker = {"color": VERMILION, "size": 7, "line": {"color": "white", "width": 0.8}}
        _add_pairs(figure, diagram, rows, f"{highlighted_name} ({len(rows)})", marker)
    if essential.size:
        figure.add_scatter(
            x=essential,
            y=np.full(len(essential), high),
            mode="markers",
            marker={"symbol": "triangle-up", "size": 12, "color": GREEN, "line": {"color": "white", "width": 1}},
            name="never die" if persistence.complete else f"outlive {persistence.largest_void:g} Å",
            hovertemplate="birth %{x:.4f} Å, never dies<extra></extra>",
            cliponaxis=False,
        )
    figure.update_layout(
        title={"subtitle": {"text": f"{len(diagram)} pairs of {persistence.n_atoms} atoms"}},
        xaxis={"title": {"text": "birth: radius (Å)"}, "range": [low, high], "constrain": "domain"},
        yaxis={"title": {"text": "death: radius (Å)"}, "range": [low, high], "scaleanchor": "x", "constrain": "domain"},
        legend={"x": 0.98, "xanchor": "right", "y": 0.03, "yanchor": "bottom"},
        margin={"t": 85},
    )
    return figure


def persistence_image_figure(
    image: PersistenceImage, *, minus: PersistenceImage | None = None, title: str = "Persistence image"
) -> go.Figure:
    """Draw a persistence image over birth and life, or the difference of two in diverging colours.

    Parameters
    ----------
    minus
        Subtracted where given; it must have the same bounds and pixels.
    title
        Of the figure.

    Raises
    ------
    InputError
        If the two images have other bounds or pixels.
    """
    pixels = image.pixels
    if minus is not None:
        same_shape = minus.pixels.shape == pixels.shape
        if not (same_shape and np.allclose(minus.birth, image.birth) and np.allclose(minus.life, image.life)):
            raise InputError("the two persistence images differ in bounds or pixels: compute both with the same ones.")
        pixels = pixels - minus.pixels
    area = (image.birth[1] - image.birth[0]) * (image.life[1] - image.life[0])
    density = pixels / area
    largest = float(np.abs(density).max()) or 1.0
    colours = {"colorscale": "RdBu_r", "zmin": -largest, "zmax": largest} if minus else {"colorscale": VALUE_SCALE}
    figure = new_figure(title, width=760, height=600)
    figure.add_heatmap(
        x=(image.birth[1:] + image.birth[:-1]) / 2,
        y=(image.life[1:] + image.life[:-1]) / 2,
        z=density,
        # A life per square ångström: Å / Å².
        colorbar={"title": {"text": "life a unit of area (1/Å)", "side": "right"}, "thickness": 16},
        hovertemplate="birth %{x:.3f} Å, life %{y:.3f} Å<br>%{z:.3g} 1/Å<extra></extra>",
        **colours,
    )
    counts = f"{image.n_pairs} pairs" if minus is None else f"{image.n_pairs} pairs minus {minus.n_pairs}"
    figure.update_layout(
        title={"subtitle": {"text": f"{counts}; Gaussians of {image.bandwidth:g} Å, weighted by life"}},
        xaxis={"title": {"text": "birth: radius (Å)"}},
        yaxis={"title": {"text": "life: death − birth (Å)"}},
        margin={"t": 85},
    )
    return figure


def substructure_figure(comparison: SubstructureComparison) -> go.Figure:
    """Draw how far each number of the important sub-structure's diagram lies from what the null models draw.

    The unit is a standard deviation of the drawn sub-structures, estimated as a quarter of their 95 % interval; bars
    are those intervals. Hover for the numbers themselves and for p-values.
    """
    nulls = list(comparison.drawn)
    statistics = [name for name in _STATISTICS if any(test.statistic == name for test in comparison.tests)]
    figure = new_figure(
        f"Topology of the {len(comparison.atoms)} important atoms of atom {comparison.atom}", width=900, height=560
    )
    for place, null in enumerate(nulls):
        tests = [test for test in comparison.tests if test.null == null and np.isfinite(test.observed)]
        scale = np.array([(test.high - test.low) / 4 for test in tests])
        tests = [test for test, width in zip(tests, scale, strict=True) if width > 0]
        scale = scale[scale > 0]
        centre = np.array([test.expected for test in tests])
        height = np.array([statistics.index(test.statistic) for test in tests]) + 0.22 * ((len(nulls) - 1) / 2 - place)
        colour = _NULL_COLOURS[place % len(_NULL_COLOURS)]
        low, high = (np.array([getattr(test, side) for test in tests]) for side in ("low", "high"))
        figure.add_scatter(
            x=np.zeros(len(tests)),
            y=height,
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 11, "color": colour},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (high - centre) / scale,
                "arrayminus": (centre - low) / scale,
                "thickness": 2,
                "width": 5,
            },
            name=f"null: {null.replace('_', ' ')}",
            legendgroup=null,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=(np.array([test.observed for test in tests]) - centre) / scale,
            y=height,
            mode="markers",
            marker={"symbol": "diamond", "size": 10, "color": colour, "line": {"color": "white", "width": 1}},
            legendgroup=null,
            showlegend=False,
            customdata=[(test.observed, test.expected, test.low, test.high, test.p_value, test.unit) for test in tests],
            hovertemplate=(
                "important %{customdata[0]:.4g} %{customdata[5]}<br>expected %{customdata[1]:.4g} "
                "[%{customdata[2]:.4g}, %{customdata[3]:.4g}]<br>p = %{customdata[4]:.2g}<extra></extra>"
            ),
        )
    figure.add_vline(x=0, line={"color": LIGHT_GREY, "width": 1})
    where = "taken alone" if comparison.boundary == "open" else "in the whole structure"
    figure.update_layout(
        title={"subtitle": {"text": f"{_CLASSES[comparison.dimension]}, atoms {where}; diamonds: important"}},
        xaxis={"title": {"text": "difference from the null model's mean (standard deviations)"}},
        yaxis={
            "tickvals": list(range(len(statistics))),
            "ticktext": [_STATISTICS[name] for name in statistics],
            "autorange": "reversed",
        },
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.18, "yanchor": "top"},
        margin={"t": 85, "b": 100},
    )
    return figure


def _bounds(diagram: FloatArray, essential: FloatArray) -> tuple[float, float]:
    """Bounds of both axes, Å: all pairs, and some room."""
    values = np.concatenate([diagram.ravel(), essential])
    if not values.size:
        return 0.0, 1.0
    margin = 0.04 * (float(np.ptp(values)) or 1.0)
    return max(float(values.min()) - margin, -margin), float(values.max()) + margin


def _add_density(figure: go.Figure, diagram: FloatArray, low: float, high: float) -> None:
    edges = np.linspace(low, high, _BINS + 1)
    counts, _, _ = np.histogram2d(diagram[:, 0], diagram[:, 1], bins=(edges, edges))
    if not counts.any():
        return
    centres = (edges[1:] + edges[:-1]) / 2
    shown = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan).T
    decades = np.arange(int(np.ceil(np.nanmax(shown))) + 1)
    figure.add_heatmap(
        x=centres,
        y=centres,
        z=shown,
        zmin=0,
        zmax=max(float(np.nanmax(shown)), 1.0),
        customdata=counts.T,
        colorscale=_DENSITY,
        colorbar={
            "title": {"text": f"pairs a bin of {edges[1] - edges[0]:.2g} Å", "side": "right"},
            "tickvals": decades,
            "ticktext": [f"{10**decade:g}" for decade in decades.tolist()],
            "thickness": 16,
        },
        hovertemplate="birth %{x:.3f} Å, death %{y:.3f} Å<br>%{customdata:d} pairs<extra></extra>",
        hoverongaps=False,
    )


def _add_pairs(figure: go.Figure, diagram: FloatArray, rows: IntArray, name: str, marker: dict[str, Any]) -> None:
    figure.add_scatter(
        x=diagram[rows, 0],
        y=diagram[rows, 1],
        mode="markers",
        marker=marker,
        customdata=rows,
        name=name,
        hovertemplate="pair %{customdata}: birth %{x:.4f} Å, death %{y:.4f} Å<extra></extra>",
    )
