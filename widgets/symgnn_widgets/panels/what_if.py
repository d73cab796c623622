"""What if: the glass edited by words and by what is selected, and what is predicted and computed then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from symgnn_explain.analysis.what_if import Verified
from symgnn_explain.runs.markup import Markup, element, joined, note
from symgnn_explain.saddles.potentials import POTENTIAL_VARIABLE
from symgnn_explain.structure.edits import EDIT_FORMS
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_widgets.panels.edges import atom_link, html_table
from symgnn_widgets.state.colour import Colours
from symgnn_widgets.state.colourings import CHANGE
from symgnn_widgets.state.editing import Editing
from symgnn_widgets.views.controls import button, control, progress_bar
from symgnn_widgets.views.table import Clickable, marked

LISTED = 12
"""Atoms and counterfactuals in each table."""

_NOTE = (
    "The glass in the 3D view stays as it is; edits are tried out beside it, and it is coloured by what they change. "
    "Predictions are for inherent structures: relax before you believe them. Atoms in words have the numbers of the "
    "edited structure."
)


class WhatIfPanel:
    """Edits, undo, difference map, relaxation, counterfactuals and verification."""

    def __init__(
        self, editing: Editing, colours: Colours, pick: Callable[[int], Any], show: Callable[[Glass], None]
    ) -> None:
        self._editing, self._colours, self._pick, self._open = editing, colours, pick, show
        structure = editing.structure
        self.line = control(
            widgets.Text,
            "Edit",
            f"{EDIT_FORMS}. Press Enter.",
            label=30,
            placeholder="turn 12 into Zr; remove within 2.6 of 7",
        )
        self.undo = button("", "undo", "Take the last step back", editing.undo)
        self.swap = button("Swap", "exchange", "Exchange the species of the two selected atoms", self._swap, 76)
        species = list(structure.predictor.model.species or structure.glass.species)
        self.species = control(widgets.Dropdown, "", "Species that selected atoms become", 60, options=species)
        said = "Turn the selected atoms into this species"
        self.turn = button("Turn into", "flask", said, self._turn, 92)
        self.remove = button("Remove", "eraser", "Take the selected atoms out", lambda: self._do("remove selected"), 99)
        said = "Show the edited structure in the explorer, in place of the present glass"
        self.open = button("Explore it", "external-link", said, self._show_structure, 100)
        self.potential = control(
            widgets.Text,
            "potential",
            "File of the potential on which edits are relaxed and verified, and the edits found where it is named",
            label=58,
            sets=(editing, "potential"),
            placeholder=f"eam.fs file; empty: that of {POTENTIAL_VARIABLE}, or of openkim-models",
        )
        self.relax = button("Relax", "compress", "Bring the edited structure to the nearest minimum", editing.relax, 80)
        unit = structure.target.unit or structure.target.word
        said = f"By how much the prediction of the selected atom shall change, {unit}; negative to lower it"
        self.by = control(widgets.FloatText, "by", said, 86, label=18, sets=(editing, "by"), step=0.05)
        said = "Find the smallest edits that change the selected atom's prediction by so much"
        self.find = button("Find edits", "search", said, editing.search, 100)
        said = "Compute the selected atom's barrier before and after the edits"
        self.verify = button("Verify", "check", said, editing.verify, 84)
        self.searches = control(
            widgets.BoundedIntText,
            "searches",
            "Saddle searches from the atom, before and after",
            126,
            label=58,
            sets=(editing, "saddle_searches"),
            min=1,
            max=1000,
        )
        self.cancel = button("Cancel", "times", "Stop what is under way", editing.job.cancel, 84, disabled=True)
        self.bar = progress_bar(120)
        self.words = widgets.HTML()
        self.steps = widgets.HTML()
        self.result = widgets.HTML()
        scrolling = {"overflow": "auto", "flex": "1 1 0", "min_width": "0"}
        self.changes = Clickable(self._click, layout=scrolling)
        self.counterfactuals = Clickable(self._click, layout=scrolling)
        physics = [self.potential, self.relax]
        if structure.target.is_as_computed:
            physics += [self.searches, self.verify]
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.line, self.undo, self.open]),
                widgets.HBox([self.swap, self.turn, self.species, self.remove, self.by, self.find]),
                widgets.HBox(physics),
                widgets.HBox([self.bar, self.cancel, self.words]),
                self.steps,
                self.result,
                widgets.HBox([self.changes, self.counterfactuals]),
                widgets.HTML(note(_NOTE)),
            ]
        )
        self.line.observe(self._enter, "value")
        editing.job.observe(self._show_state, ["status", "progress"])
        editing.observe(self._show_state, ["reason"])
        editing.observe(self._show_step, "step")
        editing.observe(self._show_found, ["found", "verified"])
        self._show_state()
        self._show_step()

    def _enter(self, change: dict[str, Any]) -> None:
        if change["new"].strip():
            self._do(change["new"])

    def _do(self, words: str) -> None:
        self._editing.edit(words)

    def _swap(self) -> None:
        self._do("swap selected")

    def _turn(self) -> None:
        self._do(f"turn selected into {self.species.value}")

    def _show_structure(self) -> None:
        step = self._editing.step
        if step is not None:
            self._open(step.glass)

    def _click(self, action: str, number: int) -> None:
        if action == "pick":
            self._pick(number)
        elif self._editing.found is not None:
            self._do(str(self._editing.found.found[number]))

    def _show_state(self, _change: object = None) -> None:
        editing, running = self._editing, self._editing.job.running
        self.cancel.disabled = not running
        for each in (self.undo, self.swap, self.turn, self.remove, self.relax, self.find, self.verify, self.open):
            each.disabled = running
        nothing = running or not editing.words
        self.undo.disabled = self.open.disabled = nothing
        self.bar.value = editing.job.progress if running else 0.0
        said = {"running": f"{editing.doing} …", "cancelled": "Cancelled", "failed": editing.reason}
        css = "symgnn-error" if editing.job.status == "failed" else "symgnn-note"
        self.words.value = element("span", said.get(editing.job.status, ""), css=css)

    def _show_step(self, _change: object = None) -> None:
        editing, step = self._editing, self._editing.step
        self._show_state()
        self._show_found()
        if step is None:
            self.steps.value = note("No edit so far.")
            self.changes.value = ""
            self._colours.colour_by = (
                self._colours.usual if self._colours.colour_by == CHANGE else self._colours.colour_by
            )
        else:
            if editing.job.status == "done":
                self.line.value = ""
            self.steps.value = element("div", element("b", "Steps: "), " → ".join(editing.words))
            self.changes.value = self._table(step.glass)
            self._colours.colour_by = CHANGE
        self._colours.recolour()

    def _table(self, glass: Glass) -> Markup:
        target, symbols = self._editing.structure.target, self._editing.structure.glass.symbols
        rows = []
        for row in self._editing.table(LISTED).to_dict("records"):
            before = int(row["before"])
            now = (
                f"{row['species']} {row['atom']}" if (row["atom"], row["species"]) != (before, symbols[before]) else "–"
            )
            domain = "–" if np.isnan(row["domain"]) else f"{row['domain']:.2f}"
            change = target.number(row["change"], sign=True)
            rows.append((atom_link(before, symbols), now, target.number(row["prediction"]), change, domain))
        outside = element("span", "Domain", title="score now; above 1 lies outside of what training covered")
        heads = ("Atom", "Now", target.unit or target.word, "Change")
        return joined([note(f"{glass.formula}: predictions that change most"), html_table(heads, outside, rows)])

    def _show_found(self, _change: object = None) -> None:
        editing, found = self._editing, self._editing.found
        verified = editing.verified
        self.result.value = "" if verified is None else element("div", _said(verified, editing.change))
        if found is None:
            self.counterfactuals.value = ""
            return
        rows = [
            (
                place + 1,
                marked(str(each), "take", place, "Make these edits"),
                editing.structure.target.number(each.change, sign=True),
                "–" if each.domain is None else f"{each.domain:.2f}",
            )
            for place, each in enumerate(found.found[:LISTED])
        ]
        unit = editing.structure.target.unit
        wanted = f"{found.by:+g} {unit}".strip()
        how = "relaxed" if editing.found_relaxed else "not relaxed"
        asked = found.atom if editing.step is None else int(editing.step.origin[found.atom])
        atom = f"atom {asked}" if asked == found.atom else f"atom {asked} (now {found.atom})"
        said = f"{len(rows)} edits change {atom} by {wanted}" if found.reached else f"nothing found does {wanted}"
        outside = element("span", "Domain", title="score of the atom; above 1 lies outside of what training covered")
        table = html_table(("#", "Edits", "Change"), outside, rows)
        self.counterfactuals.value = joined([note(f"{said} ({how}; {found.tried} tried)"), table])


def _said(verified: Verified, change: FloatArray | None) -> str:
    atom = verified.before.atom
    predicted = "" if change is None else f"predicted {change[atom]:+.3f} eV; "
    return f"Atom {atom}: {predicted}{verified}."
