"""Curves with bands, as every figure of a function of distance has them."""

from __future__ import annotations

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
