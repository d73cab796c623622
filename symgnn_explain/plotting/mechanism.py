"""The atoms that move at saddle points, drawn over the atoms that matter to a prediction."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.explained.mechanism import Mechanism
from symgnn_explain.errors import InputError
from symgnn_explain.plotting.arrows import add_arrows, draw3d, drawn_arrows, show_surroundings
from symgnn_explain.plotting.style import BLACK, GREEN, PURPLE, VALUE_SCALE, new_figure
from symgnn_explain.saddles.atom_barrier import AtomBarrier
from symgnn_explain.structure.glass import Glass

SHOWN = 60
"""Atoms that are drawn because they matter: the first so many."""


def mechanism_figure(glass: Glass, found: Mechanism, barrier: AtomBarrier, *, k: int = SHOWN) -> go.Figure:
    """Draw the ``k`` atoms that matter most, coloured by their score, and the ways of all atoms that move.

    An atom's way is that to the saddle point where it is farthest from its place; the longest is drawn with 4 Å.

    Raises
    ------
    InputError
        If the saddle points are of another atom, or ``k`` is not positive.
    """
    if barrier.atom != found.atom:
        raise InputError(f"the saddle points are of atom {barrier.atom}, not of atom {found.atom}.")
    if k < 1:
        raise InputError(f"{k=} must be at least 1.")
    place, symbols = glass.displacements_from(found.atom), glass.symbols
    way = np.zeros((len(glass), 3))
    for saddle in barrier.saddles:
        longer = np.linalg.norm(saddle.displacements, axis=1) > np.linalg.norm(way[saddle.atoms], axis=1)
        way[saddle.atoms[longer]] = saddle.displacements[longer]
    length = np.linalg.norm(way, axis=1)
    moving = np.flatnonzero(length >= found.threshold)
    title = f"What moves, and what matters: atom {found.atom} ({symbols[found.atom]})"
    figure = new_figure(title, width=1000, height=720)
    first = np.argsort(-found.score, kind="stable")[:k]
    atoms = found.atoms[first]
    texts = [
        f"atom {atom} ({symbols[atom]})<br>score {score:.3g}<br>moves {length[atom]:.2f} Å"
        for atom, score in zip(atoms, found.score[first], strict=True)
    ]
    bar = {"title": {"text": "score"}, "len": 0.5}
    colours = {"color": found.score[first], "colorscale": VALUE_SCALE, "colorbar": bar}
    draw3d(
        figure,
        place[atoms],
        marker={"size": 9, "line": {"width": 1, "color": BLACK}, **colours},
        hovertext=texts,
        hoverinfo="text",
        name=f"the {len(atoms)} atoms that matter most",
    )
    add_arrows(figure, place[moving], drawn_arrows(way[moving]), colour=GREEN, name=f"{len(moving)} atoms that move")
    centre = {"size": 10, "symbol": "diamond", "color": PURPLE, "line": {"width": 2, "color": BLACK}}
    draw3d(figure, np.zeros((1, 3)), marker=centre, name=f"explained atom {found.atom}", hoverinfo="name")
    show_surroundings(figure, np.concatenate([place[atoms], place[moving], np.zeros((1, 3))]))
    return figure.update_layout(legend={"x": 0.0, "xanchor": "left"})
