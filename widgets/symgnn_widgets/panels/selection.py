"""Which atoms are selected: words for them, a list of them, going back and forth."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from symgnn_explain.runs.markup import Markup, element, note
from symgnn_explain.structure.selection import FORMS
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.steps import Steps
from symgnn_widgets.state.structure import NOT_YET
from symgnn_widgets.views.controls import button, control
from symgnn_widgets.views.table import Clickable, marked

LISTED = 30
"""Selected atoms that are listed one by one."""


class SelectionBar:
    """A line of words, the atoms selected, and buttons."""

    def __init__(self, explaining: Explaining, steps: Steps) -> None:
        self._explaining, self._steps = explaining, steps
        self._selecting = False
        structure, selected = explaining.structure, explaining.selected
        self.words = control(
            widgets.Text,
            "Select",
            f"Select atoms: {FORMS}. Press Enter.",
            {"width": "auto", "flex": "1 1 150px", "min_width": "0"},
            label=42,
        )
        self.adding = control(
            widgets.ToggleButton,
            "",
            "Add: while this is on, or Shift or Ctrl is held, a click adds an atom or takes it out, no more",
            36,
            sets=(selected, "adding"),
            icon="plus",
        )
        self.undo = button("", "undo", "Back to what was selected and explained before", steps.undo)
        self.redo = button("", "repeat", "Forth again", steps.redo)
        self.clear = button("", "trash-o", "Select nothing", selected.clear_selection)
        self.list = Clickable(self._on_click, layout={"flex": "1 1 90px", "min_width": "0", "align_self": "center"})
        self.ui = widgets.HBox([self.words, self.adding, self.undo, self.redo, self.clear, self.list])
        self.words.observe(self._select, "value")
        selected.observe(self._show, ["selection", "selected_atom"])
        steps.observe(self._show, ["can_undo", "can_redo"])
        structure.observe(self._suggest, "predicted")
        self._suggest()
        self._show()

    def _suggest(self, _change: object = None) -> None:
        """Show by an example what can be typed."""
        structure = self._explaining.structure
        words = f"species {structure.glass.species[-1]}"
        if structure.predicted:
            middle = structure.target.number(float(np.median(structure.predictions)), coarse=True)
            words += f" and prediction < {middle}"
        self.words.placeholder = words

    def _select(self, change: dict[str, Any]) -> None:
        structure = self._explaining.structure
        if change["new"].strip() and not structure.predicted:
            structure.error = NOT_YET
        elif change["new"].strip():
            self._selecting = True
            self._explaining.select_words(change["new"])
            self._selecting = False

    def _on_click(self, action: str, atom: int) -> None:
        if action == "remove":
            self._explaining.selected.deselect(atom)
        else:
            self._explaining.selected.selected_atom = atom

    def _show(self, _change: object = None) -> None:
        selection = self._explaining.selected.selection
        if not self._selecting:
            self.words.value = ""  # they say no longer what is selected
        self.undo.disabled, self.redo.disabled = not self._steps.can_undo, not self._steps.can_redo
        self.clear.disabled = not selection
        if not selection:
            self.list.value = note("No atom is selected.")
            return
        chips = [self._chip(atom) for atom in selection[:LISTED]]
        further = len(selection) - LISTED
        count = (element("b", len(selection)), " ") if len(selection) > 1 else ()
        rest = f" and {further} more" if further > 0 else ""
        self.list.value = element("div", *count, *chips, rest, css="symgnn-chips")

    def _chip(self, atom: int) -> Markup:
        looked_at = " symgnn-looked-at" if atom == self._explaining.selected.selected_atom else ""
        name = marked(f"{self._explaining.structure.glass.symbols[atom]} {atom}", "look", atom, "Look at this atom")
        remove = marked("×", "remove", atom, "Take it out of the selection")
        return element("span", name, " ", remove, css=f"symgnn-chip{looked_at}")
