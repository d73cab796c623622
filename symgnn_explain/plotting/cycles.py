"""Optimal cycles through important edges, beside both nulls."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.explained.cycle_comparison import CycleComparison, by_importance
from symgnn_explain.plotting.curves import draw, error_bars
from symgnn_explain.plotting.style import BLUE, GREY, VERMILION, legend_below, new_figure, translucent
from symgnn_explain.structure.glass import FloatArray

_LABELS = {
    "top": "top {k}",
    "middle": "middle {k}",
    "bottom": "bottom {k}",
    "random": "random<br>(paper's null)",
    "matched": "same hop<br>and length",
}


def cycle_figure(comparison: CycleComparison) -> go.Figure:
    """Draw the mean number of optimal cycles an edge for important, middling and unimportant edges, and for the nulls.

    Points are single edges; error bars are 95 % intervals of the mean: of these edges, or, for the nulls, of the
    mean of as many random edges.
    """
    figure = new_figure(f"Optimal cycles through the edges of atom {comparison.atom}", width=860, height=560)
    groups = comparison.to_frame()
    labels = [_LABELS[name].format(k=comparison.k) for name in groups["group"]]
    for interval, colour, name in (
        ("mean", BLUE, "edges by importance"),
        ("null", GREY, f"null: mean of {comparison.k} random edges"),
    ):
        shown = groups[groups["interval"] == interval]
        figure.add_bar(
            x=shown.index,
            y=shown["mean"],
            width=0.62,
            marker={"color": translucent(colour, 0.45), "line": {"color": colour, "width": 1.5}},
            error_y=error_bars(shown["mean"], shown["low"], shown["high"], width=7),
            name=name,
            hovertemplate="%{y:.2f} cycles an edge<extra></extra>",
        )
    singles = list(enumerate(by_importance(comparison.cycles, comparison.k).values()))
    x = np.concatenate([row + _spread(cycles) for row, cycles in singles])
    y = np.concatenate([cycles for _, cycles in singles])
    marker = {"color": VERMILION, "size": 7, "line": {"color": "white", "width": 1}}
    draw(figure, x, y, marker=marker, name="single edges", hover="%{y} cycles")
    p_matched = (
        "" if comparison.p_matched is None else f", against the same hop and length p = {comparison.p_matched:.2g}"
    )
    figure.update_layout(
        xaxis={"tickvals": list(range(len(labels))), "ticktext": labels},
        yaxis={"title": {"text": "optimal cycles per edge"}, "rangemode": "tozero"},
        legend=legend_below(0.5, -0.16, orientation="h"),
        title={"subtitle": {"text": f"top edges against random ones: p = {comparison.p_random:.2g}{p_matched}"}},
        margin={"t": 85, "b": 110},
    )
    return figure


def _spread(cycles: FloatArray) -> FloatArray:
    """Sideways offsets that keep equal counts apart."""
    offset = np.zeros(len(cycles))
    for value in np.unique(cycles):
        rows = np.flatnonzero(cycles == value)
        offset[rows] = 0.045 * (np.arange(len(rows)) - (len(rows) - 1) / 2)
    return offset
