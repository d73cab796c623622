"""The selected atom's barrier from an interatomic potential, beside what the network predicts."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np

from symgnn_explain.plotting.saddles import saddle_figure
from symgnn_explain.runs.markup import Markup, element, joined, note
from symgnn_explain.saddles import AtomBarrier
from symgnn_explain.saddles.potentials import POTENTIAL_VARIABLE
from symgnn_widgets.panels.barrier_search import BarrierSearch
from symgnn_widgets.panels.edges import html_table
from symgnn_widgets.panels.figure import IN_SPACE, FigurePanel, shrink_scene
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.state.structure import Structure
from symgnn_widgets.views.controls import button, control, progress_bar, tick
from symgnn_widgets.views.table import Clickable, marked

_EMPTY = "Compute the barrier of an atom to see its saddle points."

MOVES = 0.2
"""Å; an atom that moves less on the way to a saddle is not counted."""

_NOTE = (
    "Searches for the saddle points around the selected atom on the potential itself; the barrier is their mean, with "
    "its standard error. A search takes a second or two, and some four in ten find a saddle; pressing again adds "
    "searches. The glass is brought to the nearest minimum of the potential first. Many atoms: symgnn-explain barriers."
)


class ComputedBarrier:
    """Computes the selected atom's barrier, lists its saddle points, and draws what moves at each."""

    def __init__(self, selected: Selection, structure: Structure, height: int) -> None:
        self._selected, self._structure = selected, structure
        self.search = search = BarrierSearch(selected, structure)
        self.start = button(
            "Compute barrier",
            "area-chart",
            "Search for the saddle points around the selected atom",
            search.compute,
            245,
            button_style="primary",
        )
        self.cancel = button("Cancel", "times", "Stop searching", search.job.cancel, 84, disabled=True)
        self.searches = control(
            widgets.BoundedIntText,
            "searches",
            "Searches from the atom",
            140,
            label=64,
            sets=(search, "searches"),
            min=1,
            max=1000,
        )
        self.potential = control(
            widgets.Text,
            "potential",
            "File of the potential on which saddle points are searched for",
            {"width": "auto", "flex": "1 1 300px"},
            label=64,
            sets=(search, "potential"),
            placeholder=f"eam.fs file; empty: that of {POTENTIAL_VARIABLE}, or of openkim-models",
        )
        self.in_view = tick(
            "in the 3D view too", "Draw the displacements in the 3D view as well", {}, sets=(search, "in_view")
        )
        self.bar = progress_bar(200)
        self.words = widgets.HTML()
        self.result = widgets.HTML()
        self.table = Clickable(self._choose, layout={"max_height": f"{height - 90}px", "overflow": "auto"})
        self.figure = FigurePanel(height, IN_SPACE, empty=_EMPTY)
        left = widgets.VBox(
            [self.result, self.table, self.in_view, widgets.HTML(note(_NOTE))],
            layout={"width": "42%", "min_width": "0"},
        )
        right = widgets.VBox([self.figure.ui], layout={"width": "58%", "min_width": "0"})
        self.ui = widgets.VBox(
            [
                widgets.HBox(
                    [self.start, self.cancel, self.searches, self.potential], layout={"flex_flow": "row wrap"}
                ),
                widgets.HBox([self.bar, self.words]),
                widgets.HBox([left, right]),
            ]
        )
        search.job.observe(self._show_state, ["status", "progress"])
        search.observe(self._show_state, ["barrier", "reason"])
        search.observe(self._show_result, "barrier")
        structure.observe(self._show_result, "predicted")
        search.observe(self._draw, ["barrier", "saddle"])
        selected.observe(self._show_state, "selected_atom")
        self._show_state()
        self._show_result()

    def _choose(self, _action: str, number: int) -> None:
        self.search.saddle = number

    def _show_state(self, _change: object = None) -> None:
        search, job, atom = self.search, self.search.job, self._selected.selected_atom
        self.start.disabled, self.cancel.disabled = job.running or atom is None, not job.running
        verb = "Compute barrier" if search.barrier is None else "Search on: barrier"
        self.start.description = verb if atom is None else f"{verb} of atom {atom}"
        self.bar.value = job.progress if job.running else 0.0
        said = {
            "running": f"atom {search.atom}: search {int(job.progress * search.searches) + 1} of {search.searches}",
            "cancelled": "Cancelled",
            "failed": f"Failed: {search.reason}",
        }
        self.words.value = element("span", said.get(job.status, ""), css="symgnn-note")

    def _show_result(self, _change: object = None) -> None:
        structure, barrier = self._structure, self.search.barrier
        if barrier is None:
            self.result.value, self.table.value = "", ""
            return
        parts = []
        if structure.predicted:
            parts.append(joined(["predicted ", element("b", f"{structure.predictions[barrier.atom]:.3f} eV")]))
        if (known := structure.glass.known_barrier(barrier.atom)) is not None:
            parts.append(joined(["known ", element("b", f"{known:.3f} eV")]))
        values = joined([*parts, joined(["computed ", _computed(barrier)])], ", ")
        self.result.value = element("div", f"Atom {barrier.atom}: ", values, ".")
        self.table.value = _saddle_table(barrier) if barrier.saddles else ""

    def _draw(self, _change: object = None) -> None:
        barrier, number = self.search.barrier, self.search.saddle
        if barrier is None or number is None:
            self.figure.clear()
            return
        figure = saddle_figure(self._structure.glass, barrier, number)
        figure.update_layout(showlegend=False, uirevision=barrier.atom)
        self.figure.show(shrink_scene(figure))


def _computed(barrier: AtomBarrier) -> Markup:
    """Say the mean over the saddles, how many there are, and how the other searches ended."""
    if barrier.mean is None:
        value = joined([element("b", "nothing"), ": no saddle"])
    else:
        error = "" if barrier.standard_error is None else f" ± {barrier.standard_error:.3f}"
        count = len(barrier.saddles)
        value = joined([element("b", f"{barrier.mean:.3f}{error} eV"), f" from {count} saddle{'s' * (count > 1)}"])
    others = ", ".join(f"{count} {how}" for how, count in sorted(barrier.outcomes.items()) if how != "saddle")
    return joined([value, f" in {barrier.searches} searches{f' ({others})' if others else ''}"])


def _saddle_table(barrier: AtomBarrier) -> Markup:
    rows = []
    for number, saddle in enumerate(barrier.saddles):
        length = np.linalg.norm(saddle.displacements, axis=1)
        link = marked(f"{saddle.barrier:.3f} eV", "saddle", number, "Show what moves at this saddle")
        moving = (length >= MOVES).sum()
        rows.append((number + 1, link, f"{length.max(initial=0.0):.2f}", moving, f"{saddle.energy_beyond:.3f}"))
    length_of = element("span", "Å", title="largest displacement")
    moved = element("span", "Atoms", title=f"atoms that move by {MOVES} Å or more")
    beyond = element("span", "Beyond", title="energy of the minimum on the other side, above the present one, eV")
    return html_table(("#", "Saddle", length_of, moved), beyond, rows)
