"""Curves with bands, as every figure of a function of distance has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from symgnn_explain.plotting.style import BLUE, GREEN, ORANGE, PURPLE, VERMILION, species_colour, translucent
from symgnn_explain.structure.glass import FloatArray

SERIES = ((BLUE, "solid"), (VERMILION, "dash"), (GREEN, "dot"), (PURPLE, "dashdot"), (ORANGE, "longdash"))
"""Colour and dash of the first, second … curve of a figure: told apart without colour too."""

_MIXED = ((GREEN, "dash"), (PURPLE, "dot"), (VERMILION, "dashdot"), (BLUE, "longdash"))


def error_bars(value: ArrayLike, low: ArrayLike, high: ArrayLike, **look: Any) -> dict[str, Any]:
    """Return plotly's error bars from ``low`` to ``high``."""
    value = np.asarray(value, dtype=np.float64)
    above, below = np.asarray(high) - value, value - np.asarray(low)
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 2, **look}


def draw(
    figure: go.Figure,
    x: ArrayLike,
    y: ArrayLike,
    *,
    line: Mapping[str, Any] | None = None,
    marker: Mapping[str, Any] | None = None,
    name: str | None = None,
    hover: str | None = None,
    **more: Any,
) -> None:
    """Draw a curve, points or both; without a name they have no legend entry, without a text nothing to hover over."""
    mode = "+".join(word for word, look in (("lines", line), ("markers", marker)) if look is not None)
    answer = {"hoverinfo": "skip"} if hover is None else {"hovertemplate": f"{hover}<extra></extra>"}
    shown = {"x": x, "y": y, "mode": mode, "line": line, "marker": marker, "name": name, **answer}
    figure.add_scatter(**({"showlegend": name is not None} | shown | more))


def note_in_corner(figure: go.Figure, text: str, **look: Any) -> None:
    """Write a text into the upper left corner."""
    place = {"x": 0.03, "y": 0.97, "xanchor": "left", "yanchor": "top", "align": "left"}
    figure.add_annotation(text=text, showarrow=False, **place, **look)


def add_band(
    figure: go.Figure,
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    colour: str,
    name: str | None = None,
    opacity: float = 0.22,
    **panel: Any,
) -> None:
    """Shade between two curves; gaps stay where either is not a number. Without a name it has no legend entry."""
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    outline_x: list[float] = []
    outline_y: list[float] = []
    for start, stop in edges.reshape(-1, 2):
        piece = slice(start, stop)
        outline_x += [*x[piece], *x[piece][::-1], np.nan]
        outline_y += [*high[piece], *low[piece][::-1], np.nan]
    figure.add_scatter(
        x=outline_x,
        y=outline_y,
        mode="none",
        fill="toself",
        fillcolor=translucent(colour, opacity),
        name=name,
        showlegend=name is not None,
        hoverinfo="skip",
        **panel,
    )


def pair_style(pair: tuple[str, str], number: int) -> tuple[str, str]:
    """Colour and dash of a pair of species: the species' own for like pairs, the ``number``-th other one else."""
    if pair[0] == pair[1]:
        return species_colour(pair[0]), "solid"
    return _MIXED[number % len(_MIXED)]
