"""The important network against random networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from symgnn_explain.analysis.networks.network_analysis import NetworkAnalysis
from symgnn_explain.plotting.curves import draw
from symgnn_explain.plotting.style import BLUE, GREEN, GREY, LIGHT_GREY, VERMILION, new_figure

NULL_LABELS = {
    "random": "random bonds",
    "matched": "bonds of the same hops and lengths",
    "degree": "the same degrees",
}
"""Names of the null models in legends."""

WIDEST = 12.0
"""Standard deviations beyond which points are drawn at the edge, as triangles."""

_KEY = "<br>filled: q &lt; 0.05; triangles: beyond the edge; grey: 95 % of a normal distribution"

_COLOURS = {"random": GREY, "matched": BLUE, "degree": VERMILION}
_OFFSETS = {"random": 0.24, "matched": 0.0, "degree": -0.24}


def network_figure(analysis: NetworkAnalysis) -> go.Figure:
    """Draw how far each statistic of the important network is from what random networks have.

    One row a statistic; the distance from the expectation is in standard deviations of the null model. The grey
    band is where 95 % of a normal distribution lies. Points are filled where the q-value (Benjamini-Hochberg) is below
    0.05, and triangles stand for values beyond the edge.
    """
    table = analysis.to_frame()
    table = table[np.isfinite(table["effect"])]
    tested = set(zip(table["group"], table["name"], strict=True))
    names = [key for key in analysis.statistics if key in tested]
    figure = new_figure(
        f"Network of the {analysis.n_bonds} important bonds of atom {analysis.atom}",
        width=900,
        height=int(170 + 24 * max(len(names), 8)),
    )
    figure.add_vrect(x0=-1.96, x1=1.96, fillcolor=LIGHT_GREY, opacity=0.5, line_width=0, layer="below")
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    row_of = {name: -row for row, name in enumerate(names)}
    for null, label in NULL_LABELS.items():
        rows = table[table["null"] == null]
        effect = rows["effect"].to_numpy(dtype=np.float64)
        beyond = np.abs(effect) > WIDEST
        symbols = np.where(beyond, np.where(effect > 0, "triangle-right", "triangle-left"), "circle")
        symbols = np.where(rows["q_value"] < 0.05, symbols, np.char.add(symbols.astype(str), "-open"))
        places = [row_of[key] for key in zip(rows["group"], rows["name"], strict=True)]
        x, y = np.clip(effect, -WIDEST, WIDEST), np.array(places) + _OFFSETS[null]
        marker = {"color": _COLOURS[null], "size": 9, "symbol": symbols, "line": {"width": 1.5}}
        said: dict[str, Any] = {"hovertext": _hover(rows), "hover": "%{hovertext}", "customdata": effect}
        draw(figure, x, y, marker=marker, name=null, showlegend=False, **said)
        named = {"marker": {"color": _COLOURS[null], "size": 9}, "name": f"against {label}"}
        figure.add_scatter(x=[None], y=[None], mode="markers", **named)
    figure.update_layout(
        xaxis={
            "title": {
                "text": f"difference from the null's mean (standard deviations of the null){_KEY}",
                "font": {"size": 13},
            },
            "range": [-1.08 * WIDEST, 1.08 * WIDEST],
        },
        yaxis={
            "tickvals": list(row_of.values()),
            "ticktext": [f"{name} assortativity" if group == "assortativity" else name for group, name in names],
            "range": [-max(len(names) - 1, 0) - 0.8, 0.8],
            "tickfont": {"size": 12},
        },
        legend={"orientation": "h", "x": 0.4, "xanchor": "center", "yref": "container", "y": 0.01, "yanchor": "bottom"},
        margin={"b": 110},
    )
    _mark_groups(figure, names)
    return figure


def _mark_groups(figure: go.Figure, names: list[tuple[str, str]]) -> None:
    for row in range(1, len(names)):
        if names[row][0] != names[row - 1][0]:
            figure.add_hline(y=0.5 - row, line={"color": GREEN, "width": 0.8, "dash": "dot"})


def _hover(rows: pd.DataFrame) -> list[str]:
    return [
        f"{row['name']}: {row['observed']:.3g}, {row['expected']:.3g} expected "
        f"({row['null_low']:.3g} to {row['null_high']:.3g}), p = {row['p_value']:.2g}, q = {row['q_value']:.2g}"
        for row in rows.to_dict(orient="records")
    ]
