"""The explanations made so far."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.explain import METHODS
from symgnn_explain.explain.mask_words import MASK_MEANING, MASKED_AS_ONE
from symgnn_explain.runs.markup import element, note
from symgnn_widgets.panels.edges import TABLE_LAYOUT
from symgnn_widgets.state.base import Key
from symgnn_widgets.state.session import Session
from symgnn_widgets.views.table import Clickable, marked


class History:
    """Lists earlier explanations, the latest first; a click goes back to one, with its method and settings."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.active = False
        self.table = Clickable(self._recall, layout={"width": "100%"})
        self.ui = widgets.Box([self.table], layout=TABLE_LAYOUT)
        session.observe(self._list, ["history", "explanation"])
        self._list()

    def activate(self, *, active: bool) -> None:
        """Say whether the list is in sight: it grows with every explanation, and is sent as a whole."""
        self.active = active
        self._list()

    def _recall(self, _action: str, place: int) -> None:
        self.session.recall(list(self.session.history)[place])

    def _list(self, _change: object = None) -> None:
        session = self.session
        if not self.active:
            return
        if not session.history:
            self.table.value = note("Explanations will be listed here.")
            return
        rows = []
        for place, (key, explanation) in reversed(list(enumerate(session.history.items()))):
            name = f"{session.glass.symbols[key[0]]} {key[0]}, {METHODS[key[1]].label}"
            shown = "symgnn-looked-at" if explanation is session.explanation else ""
            difference = _difference(key, session.key)
            link = marked(name, "recall", place, "Go back to this explanation")
            cell = element("td", link, note(f"{explanation.quantity.text(explanation.prediction)}, {difference}"))
            rows.append(element("tr", cell, css=shown))
        self.table.value = element("table", element("tbody", *rows), css="symgnn-list")


def _difference(key: Key, present: Key) -> str:
    """Say what an explanation was made with, where that is not what is set now."""
    _, method, semantics, unit, *settings = key
    said = [MASKED_AS_ONE[unit], MASK_MEANING[semantics]]
    if method == present[1]:
        said += [f"{name} {value}" for name, value in settings if (name, value) not in present]
    return ", ".join(said)
