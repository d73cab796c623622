"""The important atoms as a table, with their surroundings."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.analysis import VoronoiCells
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.markup import Markup, element, note
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.panels.edges import TABLE_LAYOUT, atom_link, html_table
from symgnn_widgets.state.session import Session
from symgnn_widgets.views.table import Clickable


class ImportantAtoms:
    """Lists the explained atom and the atoms at the ends of its important edges, with their Voronoi cells."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.active = False
        self.table = Clickable(lambda _action, atom: session.pick(atom), layout={"width": "100%"})
        self.ui = widgets.Box([self.table], layout=TABLE_LAYOUT)
        session.observe(self._fill, ["explanation", "k", "cells"])
        self._fill()

    def activate(self, *, active: bool) -> None:
        """Say whether the table is in sight."""
        self.active = active
        self._fill()

    def _fill(self, _change: object = None) -> None:
        session = self.session
        if session.explanation is None:
            self.table.value = note("The most important atoms will be listed here.")
        elif self.active and session.cells is not None:
            self.table.value = atom_table(session.explanation, session.glass, session.cells, session.k)
        elif self.active:
            self.table.value = note("Finding the Voronoi cells of the glass …")
            session.find_cells()


def atom_table(explanation: AtomExplanation, glass: Glass, cells: VoronoiCells, k: int) -> Markup:
    """Write the explained atom and the important atoms as an HTML table, the most important first."""
    symbols, labels, coordination = glass.symbols, cells.labels, cells.coordination
    score = f"Σ {explanation.quantity.magnitude}" if explanation.signed else "Σ mask"
    table = explanation.important_atoms(k)
    entries = [("★", explanation.atom, ""), *_ranked(table["atom"].tolist(), table["score"].tolist())]
    rows = [(rank, atom_link(atom, symbols), labels[atom], coordination[atom], value) for rank, atom, value in entries]
    voronoi = element("span", "Voronoi index", title="numbers of faces with 3, 4, 5 and 6 edges")
    number = element("span", "CN", title="coordination number: faces of the Voronoi cell")
    return html_table(("#", "Atom", voronoi, number), score, rows)


def _ranked(atoms: list[int], scores: list[float]) -> list[tuple[str, int, str]]:
    ranked = enumerate(zip(atoms, scores, strict=True), start=1)
    return [(str(rank), atom, f"{score:.3g}") for rank, (atom, score) in ranked]
