"""Arrows on the atoms whose displacement would raise the predicted barrier of one atom."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.explain.methods.positions import PositionAttribution
from symgnn_explain.glass import FloatArray, Glass, IntArray
from symgnn_explain.plotting.style import BLACK, PURPLE, RAISES, new_figure, species_colour, species_radius

LONGEST_ARROW = 4.0
"""Length of the longest arrow, Å."""

_MARGIN = 1.0
_MARKER = 4.5
_HEAD = 0.8


def position_figure(glass: Glass, attribution: PositionAttribution, *, k: int = 30) -> go.Figure:
    """Draw the ``k`` atoms with the largest derivatives, with an arrow along each; seen from the explained atom.

    Moving an atom along its arrow raises the predicted barrier, moving it against the arrow lowers it. Lengths are in
    proportion to the derivatives (eV/Å), and the longest is ``LONGEST_ARROW``. Atoms are at their minimum images.

    Parameters
    ----------
    k
        Atoms with an arrow; the explained atom is drawn beside them.

    Raises
    ------
    InputError
        If the derivatives are of another glass, or ``k`` is not positive.
    """
    attribution.require_glass(glass)
    if k < 1:
        raise InputError(f"{k=} must be at least 1.")
    rows = attribution.rank()[:k]
    largest = float(attribution.magnitude.max())
    tail = attribution.position[rows]
    arrow = attribution.gradient[rows] * (LONGEST_ARROW / largest if largest > 0 else 0.0)
    symbol = glass.symbols[attribution.atom]
    figure = new_figure(
        f"Where moving an atom raises the barrier of atom {attribution.atom} ({symbol}), "
        f"predicted {attribution.prediction:.3f} eV",
        width=1000,
        height=720,
    )
    _add_arrows(figure, tail, arrow, largest)
    _add_atoms(figure, glass, attribution, rows)
    ends = np.concatenate([tail, tail + arrow, np.zeros((1, 3))])
    low, high = ends.min(0) - _MARGIN, ends.max(0) + _MARGIN
    sides = 1.7 * (high - low) / (high - low).max()
    axes = {
        f"{axis}axis": {"title": {"text": f"{axis} − {axis}₀ (Å)"}, "range": [low[place], high[place]]}
        for place, axis in enumerate("xyz")
    }
    figure.update_layout(
        scene={
            **axes,
            # Sides in the proportions of the ranges: an ångström is as long in every direction.
            "aspectmode": "manual",
            "aspectratio": dict(zip("xyz", sides, strict=True)),
            "camera": {"eye": {"x": 0.85, "y": 0.75, "z": 0.45}, "projection": {"type": "orthographic"}},
        },
        legend={"x": 1.0, "y": 1.0, "xanchor": "right", "yanchor": "top", "itemsizing": "trace"},
        margin={"l": 0, "r": 10, "t": 55, "b": 10},
    )
    return figure


def _add_arrows(figure: go.Figure, tail: FloatArray, arrow: FloatArray, largest: float) -> None:
    shafts = np.full((len(tail), 3, 3), np.nan)
    shafts[:, 0], shafts[:, 1] = tail, tail + arrow
    x, y, z = shafts.reshape(-1, 3).T
    figure.add_scatter3d(
        x=x,
        y=y,
        z=z,
        mode="lines",
        line={"width": 6, "color": RAISES},
        name=f"raises the barrier (longest: {largest:.3g} eV/Å)",
        hoverinfo="skip",
    )
    length = np.linalg.norm(arrow, axis=1)
    drawn = length > 0
    tip, direction = (tail + arrow)[drawn], arrow[drawn] / length[drawn, None]
    # Heads are no longer than half their arrow, so that short arrows keep a shaft.
    for size in np.unique(np.minimum(_HEAD, length[drawn] / 2).round(2)):
        these = np.minimum(_HEAD, length[drawn] / 2).round(2) == size
        x, y, z = tip[these].T
        u, v, w = (direction[these] * max(size, 0.01)).T
        figure.add_cone(
            x=x,
            y=y,
            z=z,
            u=u,
            v=v,
            w=w,
            anchor="tip",
            sizemode="raw",
            sizeref=1.0,
            colorscale=[[0, RAISES], [1, RAISES]],
            showscale=False,
            hoverinfo="skip",
            name="arrow heads",
        )


def _add_atoms(figure: go.Figure, glass: Glass, attribution: PositionAttribution, rows: IntArray) -> None:
    symbols = np.array(glass.symbols)[attribution.atoms]
    explained = int(np.flatnonzero(attribution.atoms == attribution.atom)[0])
    for symbol in sorted(set(symbols[rows])):
        members = rows[(symbols[rows] == symbol) & (rows != explained)]
        if members.size == 0:
            continue
        x, y, z = attribution.position[members].T
        figure.add_scatter3d(
            x=x,
            y=y,
            z=z,
            mode="markers",
            marker={
                "size": _MARKER * species_radius(symbol),
                "color": species_colour(symbol),
                "line": {"width": 1, "color": BLACK},
            },
            hovertext=[_describe(attribution, row, symbol) for row in members],
            hoverinfo="text",
            name=symbol,
        )
    symbol = symbols[explained]
    figure.add_scatter3d(
        x=[0.0],
        y=[0.0],
        z=[0.0],
        mode="markers",
        marker={"size": 10, "symbol": "diamond", "color": PURPLE, "line": {"width": 2, "color": BLACK}},
        hovertext=[_describe(attribution, explained, symbol)],
        hoverinfo="text",
        name=f"explained atom {attribution.atom} ({symbol})",
    )


def _describe(attribution: PositionAttribution, row: int, symbol: str) -> str:
    x, y, z = attribution.gradient[row]
    lines = (
        f"atom {attribution.atoms[row]} ({symbol})",
        f"{attribution.distance[row]:.2f} Å from the explained atom",
        f"derivative ({x:.3g}, {y:.3g}, {z:.3g}) eV/Å",
        f"outwards {attribution.outward[row]:.3g} eV/Å",
    )
    return "<br>".join(lines)
