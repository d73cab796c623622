"""Arrows on the atoms whose displacement would raise the prediction of one atom."""

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

    Moving an atom along its arrow raises the prediction, moving it against the arrow lowers it. Lengths are in
    proportion to the derivatives, and the longest is drawn with 4 Å. Atoms are at their minimum images.

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
    symbol, quantity = glass.symbols[attribution.atom], attribution.quantity
    figure = new_figure(
        f"Where moving an atom raises the {quantity.word} of atom {attribution.atom} ({symbol}), "
        f"predicted {quantity.text(attribution.prediction)}",
        width=1000,
        height=720,
    )
    add_arrows(
        figure,
        tail,
        arrow,
        colour=RAISES,
        name=f"raises the {quantity.word} (longest: {largest:.3g} {quantity.derivative_unit})",
    )
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
        f"derivative ({x:.3g}, {y:.3g}, {z:.3g}) {attribution.quantity.derivative_unit}",
        f"outwards {attribution.outward[row]:.3g} {attribution.quantity.derivative_unit}",
    )
    return "<br>".join(lines)
