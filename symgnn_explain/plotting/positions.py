"""Arrows on the atoms whose displacement would raise the predicted barrier of one atom."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.explain.methods.positions import PositionAttribution
from symgnn_explain.plotting.arrows import add_arrows, add_atoms, drawn_arrows, show_surroundings
from symgnn_explain.plotting.style import RAISES, new_figure
from symgnn_explain.structure.glass import Glass


def position_figure(glass: Glass, attribution: PositionAttribution, *, k: int = 30) -> go.Figure:
    """Draw the ``k`` atoms with the largest derivatives, with an arrow along each; seen from the explained atom.

    Moving an atom along its arrow raises the predicted barrier, moving it against the arrow lowers it. Lengths are in
    proportion to the derivatives (eV/Å), and the longest is drawn with 4 Å. Atoms are at their minimum images.

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
    arrow = drawn_arrows(attribution.gradient[rows])
    symbol = glass.symbols[attribution.atom]
    figure = new_figure(
        f"Where moving an atom raises the barrier of atom {attribution.atom} ({symbol}), "
        f"predicted {attribution.prediction:.3f} eV",
        width=1000,
        height=720,
    )
    add_arrows(figure, tail, arrow, colour=RAISES, name=f"raises the barrier (longest: {largest:.3g} eV/Å)")
    explained = int(np.flatnonzero(attribution.atoms == attribution.atom)[0])
    shown = np.append(rows[rows != explained], explained)
    symbols = np.array(glass.symbols)[attribution.atoms[shown]].tolist()
    texts = [_describe(attribution, row, symbol) for row, symbol in zip(shown, symbols, strict=True)]
    centre = f"explained atom {attribution.atom} ({symbol})"
    add_atoms(figure, symbols, attribution.position[shown], texts, centre=centre)
    show_surroundings(figure, np.concatenate([tail, tail + arrow, np.zeros((1, 3))]))
    return figure


def _describe(attribution: PositionAttribution, row: int, symbol: str) -> str:
    x, y, z = attribution.gradient[row]
    lines = (
        f"atom {attribution.atoms[row]} ({symbol})",
        f"{attribution.distance[row]:.2f} Å from the explained atom",
        f"derivative ({x:.3g}, {y:.3g}, {z:.3g}) eV/Å",
        f"outwards {attribution.outward[row]:.3g} eV/Å",
    )
    return "<br>".join(lines)
