"""Which atoms are selected: words for them, a list of them, going back and forth."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from symgnn_explain.runs.markup import Markup, element, note
from symgnn_explain.structure.selection import FORMS
from symgnn_widgets.state.session import Session
from symgnn_widgets.views.table import Clickable, marked
from symgnn_widgets.views.view_controls import bind

LISTED = 30
"""Selected atoms that are listed one by one."""


class Selection:
    """A line of words, the atoms selected, and buttons."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._selecting = False
        middle = session.target.number(float(np.median(session.predictions)), coarse=True)
        self.words = widgets.Text(
            placeholder=f"species {session.glass.species[-1]} and prediction < {middle}",
            description="Select",
            continuous_update=False,
            tooltip=f"Select atoms: {FORMS}. Press Enter.",
            style={"description_width": "52px"},
            layout={"width": "330px"},
        )
        self.adding = widgets.ToggleButton(
            value=session.adding,
            description="Add",
            icon="plus",
            tooltip="While this is on, or Shift or Ctrl is held, a click adds an atom or takes it out, no more",
            layout={"width": "70px"},
        )
        self.undo = _button("undo", "Back to what was selected and explained before")
        self.redo = _button("repeat", "Forth again")
        self.clear = _button("trash-o", "Select nothing")
        self.list = Clickable(self._on_click, layout={"flex": "1 1 0", "min_width": "0", "align_self": "center"})
        self.ui = widgets.HBox([self.words, self.adding, self.undo, self.redo, self.clear, self.list])
        self.words.observe(self._select, "value")
        self.undo.on_click(lambda _button: session.undo())
        self.redo.on_click(lambda _button: session.redo())
        self.clear.on_click(lambda _button: session.clear_selection())
        bind(session, "adding", self.adding)
        session.observe(self._show, ["selection", "selected_atom", "can_undo", "can_redo"])
        self._show()

    def _select(self, change: dict[str, Any]) -> None:
        if change["new"].strip():
            self._selecting = True
            self.session.select_words(change["new"])
            self._selecting = False

    def _on_click(self, action: str, atom: int) -> None:
        if action == "remove":
            self.session.deselect(atom)
        else:
            self.session.selected_atom = atom

    def _show(self, _change: object = None) -> None:
        session = self.session
        if not self._selecting:
            self.words.value = ""  # they say no longer what is selected
        self.undo.disabled, self.redo.disabled = not session.can_undo, not session.can_redo
        self.clear.disabled = not session.selection
        if not session.selection:
            self.list.value = note("No atom is selected.")
            return
        chips = [self._chip(atom) for atom in session.selection[:LISTED]]
        further = len(session.selection) - LISTED
        count = (element("b", len(session.selection)), " ") if len(session.selection) > 1 else ()
        rest = f" and {further} more" if further > 0 else ""
        self.list.value = element("div", *count, *chips, rest, css="symgnn-chips")

    def _chip(self, atom: int) -> Markup:
        symbol = self.session.glass.symbols[atom]
        looked_at = " symgnn-looked-at" if atom == self.session.selected_atom else ""
        name = marked(f"{symbol} {atom}", "look", atom, "Look at this atom")
        remove = marked("×", "remove", atom, "Take it out of the selection")
        return element("span", name, " ", remove, css=f"symgnn-chip{looked_at}")


def _button(icon: str, tooltip: str) -> Any:
    return widgets.Button(icon=icon, tooltip=tooltip, layout={"width": "34px"})
