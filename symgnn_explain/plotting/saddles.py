"""Saddle points: what moves where, and computed barriers beside others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.plotting.arrows import add_arrows, add_atoms, drawn_arrows, show_surroundings
from symgnn_explain.plotting.curves import draw, note_in_corner
from symgnn_explain.plotting.style import BLACK, BLUE, GREEN, GREY, new_figure
from symgnn_explain.saddles.atom_barrier import AtomBarrier
from symgnn_explain.structure.glass import Glass

ARROWS = 40
"""Atoms that have an arrow: those that move most."""


def saddle_figure(glass: Glass, barrier: AtomBarrier, number: int, *, k: int = ARROWS) -> go.Figure:
    """Draw how the ``k`` atoms that move most get from the minimum to one saddle point, as arrows.

    Arrows stand on the atoms where they are in the minimum, seen from the atom that was pushed. Their lengths are in
    proportion to the displacements, and the longest is drawn with 4 Å.

    Parameters
    ----------
    barrier
        What the searches from the atom found.
    number
        Which of its saddles, from 0.

    Raises
    ------
    InputError
        If there is no such saddle, or ``k`` is not positive.
    """
    if not 0 <= number < len(barrier.saddles):
        raise InputError(f"saddle {number} does not exist: atom {barrier.atom} has {len(barrier.saddles)} saddles.")
    if k < 1:
        raise InputError(f"{k=} must be at least 1.")
    saddle = barrier.saddles[number]
    place = glass.displacements_from(barrier.atom)
    length = np.linalg.norm(saddle.displacements, axis=1)
    rows = np.argsort(-length, kind="stable")[:k]
    tail, arrow = place[saddle.atoms[rows]], drawn_arrows(saddle.displacements[rows])
    symbols = np.array(glass.symbols)
    figure = new_figure(
        f"Saddle {number + 1} of atom {barrier.atom} ({symbols[barrier.atom]}): {saddle.barrier:.3f} eV",
        width=1000,
        height=720,
    )
    add_arrows(figure, tail, arrow, colour=GREEN, name=f"way to the saddle (longest: {length.max(initial=0.0):.2f} Å)")
    moved = dict(zip(saddle.atoms.tolist(), length, strict=True))
    shown = np.append(saddle.atoms[rows][saddle.atoms[rows] != barrier.atom], barrier.atom)
    texts = [f"atom {atom} ({symbols[atom]})<br>moves {moved.get(int(atom), 0.0):.2f} Å" for atom in shown]
    centre = f"pushed atom {barrier.atom} ({symbols[barrier.atom]})"
    add_atoms(figure, symbols[shown].tolist(), place[shown], texts, centre=centre)
    show_surroundings(figure, np.concatenate([tail, tail + arrow, np.zeros((1, 3))]))
    return figure


def computed_barrier_figure(table: pd.DataFrame, other: str, *, named: str) -> go.Figure:
    """Draw computed barriers with their standard errors against other ones of the same atoms.

    Parameters
    ----------
    table
        A row an atom, with ``barrier_eV``, ``standard_error_eV`` and the column ``other`` (eV); rows without a computed
        barrier are left out.
    other
        The column with what they are compared with.
    named
        What that is, for the axis, such as ``published barrier``.

    Raises
    ------
    InputError
        If fewer than three atoms have both.
    """
    known = table.dropna(subset=["barrier_eV", other])
    if len(known) < 3:
        raise InputError(f"{len(known)} atoms have both barriers: at least three are needed to compare them.")
    both = known[["barrier_eV", other]].to_numpy()
    bounds = [float(both.min() - 0.1), float(both.max() + 0.1)]
    figure = new_figure(f"Computed barriers beside the {named}s", width=640, height=600)
    draw(figure, bounds, bounds, line={"color": GREY, "dash": "dash"})
    figure.add_scatter(
        x=known[other],
        y=known["barrier_eV"],
        error_y={"array": known["standard_error_eV"].fillna(0.0), "color": GREY, "thickness": 1.2, "width": 0},
        mode="markers",
        marker={"size": 9, "color": BLUE, "line": {"width": 1, "color": BLACK}},
        hovertext=[f"atom {atom}" for atom in known["atom"]],
        showlegend=False,
    )
    offset = (known["barrier_eV"] - known[other]).mean()
    varied = bool((np.ptp(both, axis=0) > 0).all())
    score = f"Pearson r = {known['barrier_eV'].corr(known[other]):.2f}<br>" if varied else ""
    text = f"{len(known)} atoms<br>{score}mean difference {offset:+.3f} eV"
    note_in_corner(figure, text, xref="x domain", yref="y domain")
    figure.update_xaxes(title_text=f"{named} (eV)", range=bounds, constrain="domain")
    figure.update_yaxes(title_text="computed barrier (eV)", range=bounds, scaleanchor="x", constrain="domain")
    return figure
