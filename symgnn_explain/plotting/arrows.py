"""Arrows in space, the atoms that they stand on, and the axes around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.plotting.style import BLACK, PURPLE, species_colour, species_radius
from symgnn_explain.structure.glass import FloatArray, Glass

LONGEST_ARROW = 4.0
"""Length at which the longest arrow is drawn, Å."""

_MARGIN = 1.0
_HEAD = 0.8
_MARKER = 4.5


def draw3d(figure: go.Figure, points: FloatArray, *, mode: str = "markers", **look: Any) -> None:
    """Draw points (n, 3), Å, or lines between them."""
    figure.add_trace(scatter3d(points, mode=mode, **look))


def scatter3d(points: FloatArray, *, mode: str = "markers", **look: Any) -> go.Scatter3d:
    """Return a trace of points (n, 3), Å, or lines between them: adding many to a figure at once is quicker."""
    x, y, z = points.reshape(-1, 3).T
    return go.Scatter3d(x=x, y=y, z=z, mode=mode, **look)


def drawn_arrows(vectors: FloatArray) -> FloatArray:
    """Scale vectors, shape (n, 3), so that the longest is ``LONGEST_ARROW``; zeros stay zeros."""
    largest = float(np.linalg.norm(vectors, axis=1).max(initial=0.0))
    return vectors * (LONGEST_ARROW / largest if largest > 0 else 0.0)


def add_arrows(figure: go.Figure, tail: FloatArray, arrow: FloatArray, *, colour: str, name: str) -> None:
    """Draw arrows (n, 3) from their tails (n, 3), Å; those of no length have no head."""
    shafts = np.full((len(tail), 3, 3), np.nan)
    shafts[:, 0], shafts[:, 1] = tail, tail + arrow
    draw3d(figure, shafts, mode="lines", line={"width": 6, "color": colour}, name=name, hoverinfo="skip")
    length = np.linalg.norm(arrow, axis=1)
    drawn = length > 0
    tip, direction = (tail + arrow)[drawn], arrow[drawn] / length[drawn, None]
    # Heads are no longer than half their arrow, so that short arrows keep a shaft.
    for size in np.unique(np.minimum(_HEAD, length[drawn] / 2).round(2)):
        these = np.minimum(_HEAD, length[drawn] / 2).round(2) == size
        x, y, z = tip[these].T
        u, v, w = (direction[these] * max(size, 0.01)).T
        look = {"anchor": "tip", "sizemode": "raw", "sizeref": 1.0, "colorscale": [[0, colour], [1, colour]]}
        figure.add_cone(x=x, y=y, z=z, u=u, v=v, w=w, showscale=False, hoverinfo="skip", name="arrow heads", **look)


def add_atoms(
    figure: go.Figure, symbols: Sequence[str], position: FloatArray, texts: Sequence[str], *, centre: str
) -> None:
    """Draw atoms (n,) at positions (n, 3), Å, with what is said of each; the last is the one in the centre."""
    species = np.array(symbols)
    for symbol in sorted(set(symbols[:-1])):
        members = np.flatnonzero(species[:-1] == symbol)
        marker = {"size": _MARKER * species_radius(symbol), "color": species_colour(symbol)}
        said: dict[str, Any] = {"hovertext": [texts[member] for member in members], "hoverinfo": "text"}
        draw3d(figure, position[members], marker=marker | {"line": {"width": 1, "color": BLACK}}, name=symbol, **said)
    marker = {"size": 10, "symbol": "diamond", "color": PURPLE, "line": {"width": 2, "color": BLACK}}
    draw3d(figure, position[-1:], marker=marker, hovertext=[texts[-1]], hoverinfo="text", name=centre)


def cell_edges(glass: Glass) -> tuple[FloatArray, FloatArray]:
    """Start and end of the twelve edges of the cell, shapes (12, 3), Å."""
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(corners[a] - corners[b]).sum() == 1]
    start, end = (corners[[pair[side] for pair in pairs]] @ glass.cell for side in (0, 1))
    return start, end


def space_axes(points: FloatArray, *, margin: float, size: float) -> dict[str, Any]:
    """Lay out axes around points (n, 3), Å, relative to one atom; an ångström is as long in every direction."""
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    sides = size * (high - low) / (high - low).max()
    axes = {
        f"{axis}axis": {"title": {"text": f"{axis} − {axis}₀ (Å)"}, "range": [low[place], high[place]]}
        for place, axis in enumerate("xyz")
    }
    return {**axes, "aspectmode": "manual", "aspectratio": dict(zip("xyz", sides, strict=True))}


def show_surroundings(figure: go.Figure, points: FloatArray) -> None:
    """Lay out axes around points (n, 3), Å, about the atom in the origin; an ångström is as long in every direction."""
    figure.update_layout(
        scene={
            **space_axes(points, margin=_MARGIN, size=1.7),
            "camera": {"eye": {"x": 0.85, "y": 0.75, "z": 0.45}, "projection": {"type": "orthographic"}},
        },
        legend={"x": 1.0, "y": 1.0, "xanchor": "right", "yanchor": "top", "itemsizing": "trace"},
        margin={"l": 0, "r": 10, "t": 55, "b": 10},
    )
