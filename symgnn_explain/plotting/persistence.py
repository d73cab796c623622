"""Persistence diagrams."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.topology.persistence import Persistence
from symgnn_explain.errors import InputError
from symgnn_explain.plotting.curves import draw
from symgnn_explain.plotting.style import BLUE, GREEN, GREY, VERMILION, new_figure, translucent
from symgnn_explain.structure.glass import FloatArray, IntArray

MOST_POINTS = 1500
"""Pairs that are drawn as points besides the density: more are slow to draw and cannot be told apart."""

_CLASSES = {0: "components (H0)", 1: "rings (H1)", 2: "voids (H2)"}
_BINS = 90
_DENSITY = [[0.0, "#E3E9F2"], [0.5, "#6C8EBF"], [1.0, "#00224E"]]


def persistence_figure(
    persistence: Persistence,
    dimension: int = 1,
    *,
    highlighted: IntArray | None = None,
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
    draw(figure, [low, high], [low, high], line={"color": GREY, "width": 1.5, "dash": "dash"})
    longest = np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")[:MOST_POINTS]
    if len(longest):
        named = "all pairs" if len(longest) == len(diagram) else f"the {len(longest)} longest-lived pairs"
        _add_pairs(figure, diagram, np.sort(longest), named, {"color": translucent(BLUE, 0.3), "size": 4})
    if rows.size:
        marker = {"color": VERMILION, "size": 7, "line": {"color": "white", "width": 0.8}}
        _add_pairs(figure, diagram, rows, f"cycles through important edges ({len(rows)})", marker)
    if essential.size:
        marker = {"symbol": "triangle-up", "size": 12, "color": GREEN, "line": {"color": "white", "width": 1}}
        name = "never die" if persistence.complete else f"outlive {persistence.largest_void:g} Å"
        look: dict[str, Any] = {"marker": marker, "name": name, "cliponaxis": False}
        draw(figure, essential, np.full(len(essential), high), hover="birth %{x:.4f} Å, never dies", **look)
    figure.update_layout(
        title={"subtitle": {"text": f"{len(diagram)} pairs of {persistence.n_atoms} atoms"}},
        xaxis={"title": {"text": "birth: radius (Å)"}, "range": [low, high], "constrain": "domain"},
        yaxis={"title": {"text": "death: radius (Å)"}, "range": [low, high], "scaleanchor": "x", "constrain": "domain"},
        legend={"x": 0.98, "xanchor": "right", "y": 0.03, "yanchor": "bottom"},
        margin={"t": 85},
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
    hover = "pair %{customdata}: birth %{x:.4f} Å, death %{y:.4f} Å"
    draw(figure, *diagram[rows].T, marker=marker, customdata=rows, name=name, hover=hover)
