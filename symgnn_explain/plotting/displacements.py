"""Arrows along the displacements that changed the prediction of one atom."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.explain.methods.path import PathContributions
from symgnn_explain.plotting.arrows import add_arrows, add_atoms, drawn_arrows, show_surroundings
from symgnn_explain.plotting.style import LOWERS, RAISES, new_figure

ARROWS = 30
"""Displacements that are drawn: those that contributed most."""


def displacement_figure(found: PathContributions, *, k: int = ARROWS) -> go.Figure:
    """Draw the ``k`` displacements that contributed most, coloured by whether they raised or lowered the prediction.

    Arrows stand on the atoms where they are at the start, seen from the explained atom. Their lengths are in
    proportion to the displacements, and the longest is drawn with 4 Å.

    Raises
    ------
    InputError
        If ``k`` is not positive.
    """
    if k < 1:
        raise InputError(f"{k=} must be at least 1.")
    glass, atom, quantity = found.start, found.atom, found.quantity
    table = found.to_frame(k)
    rows, gave = table["atom"].to_numpy(), table["contribution"].to_numpy()
    place, symbols = glass.displacements_from(atom), glass.symbols
    tail, arrow = place[rows], drawn_arrows(found.displacement[rows])
    title = f"What changed the {quantity.word} of atom {atom} ({symbols[atom]}): "
    title += f"{quantity.text(found.before)} to {quantity.text(found.after)}"
    figure = new_figure(title, width=1000, height=720)
    longest = f"longest arrow: {table['moved'].max():.2f} Å"
    for some, colour, name in ((gave > 0, RAISES, "raised it"), (gave < 0, LOWERS, "lowered it")):
        if some.any():
            add_arrows(figure, tail[some], arrow[some], colour=colour, name=f"displacement that {name} ({longest})")
    others = rows[rows != atom]
    shown = np.append(others, atom)
    texts = [
        f"atom {each} ({symbols[each]})<br>moved {found.moved[each]:.2f} Å"
        f"<br>contribution {found.contribution[each]:+.3g} {quantity.unit}"
        for each in shown
    ]
    centre = f"explained atom {atom} ({symbols[atom]})"
    add_atoms(figure, [symbols[each] for each in shown], place[shown], texts, centre=centre)
    show_surroundings(figure, np.concatenate([tail, tail + arrow, np.zeros((1, 3))]))
    return figure
