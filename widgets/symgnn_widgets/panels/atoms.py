"""The important atoms as a table, with their surroundings."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.analysis import VoronoiCells
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.markup import Markup, element, note
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.panels.edges import TABLE_LAYOUT, atom_link, html_table
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.views.table import Clickable
from symgnn_widgets.views.tabs import Seen


class ImportantAtoms(Seen):
    """Lists the explained atom and the atoms at the ends of its important edges, with their Voronoi cells."""

    def __init__(self, scene: Scene) -> None:
        self._explaining, self._scene = scene.explaining, scene
        self.table = Clickable(lambda _action, atom: scene.explaining.pick(atom), layout={"width": "100%"})
        self.ui = widgets.Box([self.table], layout=TABLE_LAYOUT)
        scene.explaining.on_shown(self.update)
        scene.observe(self.update, "cells")
        self.update()

    def update(self, _change: object = None) -> None:
        """List what is shown; the cells are found when somebody looks."""
        explanation, cells = self._explaining.explanation, self._scene.cells
        if explanation is None:
            self.table.value = note("The most important atoms will be listed here.")
        elif self.active and cells is not None:
            self.table.value = atom_table(
                explanation, self._explaining.structure.glass, cells, self._explaining.threshold.k
            )
        elif self.active:
            self.table.value = note("Finding the Voronoi cells of the glass …")
            self._scene.find_cells()


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
