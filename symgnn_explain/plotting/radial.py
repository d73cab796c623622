"""Radial distribution functions with the shells between their minima."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.plotting.curves import draw, pair_style
from symgnn_explain.plotting.style import BLACK, BLUE, GREY, new_figure, translucent
from symgnn_explain.structure.radial import RadialDistribution


def radial_figure(
    total: RadialDistribution, partials: Mapping[tuple[str, str], RadialDistribution] | None = None
) -> go.Figure:
    """Draw g(r) and its partials; dotted lines are the minima of the total, which bound the shells.

    Triangles mark the maxima of each curve, the shaded part is short range, inside the first minimum of the total.
    """
    figure = new_figure("Radial distribution", width=880, height=520)
    mixed = 0
    for pair, partial in (partials or {}).items():
        colour, dash = pair_style(pair, mixed)
        mixed += pair[0] != pair[1]
        _add(figure, partial, colour, dash)
    _add(figure, total, BLACK, "solid")
    for minimum in total.minima:
        figure.add_vline(x=minimum, line={"color": GREY, "width": 1.3, "dash": "dot"})
    if total.minima.size:
        figure.add_vrect(x0=0, x1=total.minima[0], fillcolor=translucent(BLUE, 0.07), line_width=0, layer="below")
        beyond = (total.minima[0] + total.r[-1]) / 2
        for x, text in ((total.minima[0] / 2, "short range"), (beyond, "medium range")):
            figure.add_annotation(x=x, y=1.0, yref="paper", yanchor="top", text=text, showarrow=False, bgcolor="white")
    figure.update_xaxes(title_text="distance r (Å)", range=[0, total.r[-1]])
    figure.update_yaxes(title_text="g(r)", rangemode="tozero")
    return figure


def _add(figure: go.Figure, rdf: RadialDistribution, colour: str, dash: str) -> None:
    line, hover = {"color": colour, "dash": dash, "width": 2.2}, f"{rdf.label}, %{{x:.2f}} Å: g = %{{y:.2f}}"
    draw(figure, rdf.r, rdf.g, line=line, name=rdf.label, hover=hover)
    heights = rdf.g[np.searchsorted(rdf.r, rdf.maxima - 1e-9)] + 0.12
    marker = {"color": colour, "symbol": "triangle-down", "size": 9}
    draw(figure, rdf.maxima, heights, marker=marker, hover=f"{rdf.label}: maximum at %{{x:.2f}} Å")
