"""The explanations made so far."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.explain import METHODS
from symgnn_explain.explain.mask_words import MASKED_AS_ONE, mask_meaning
from symgnn_explain.runs.markup import element, note
from symgnn_widgets.panels.edges import TABLE_LAYOUT
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.method import Key
from symgnn_widgets.views.table import Clickable, marked
from symgnn_widgets.views.tabs import Seen


class History(Seen):
    """Lists earlier explanations, the latest first; a click goes back to one, with its method and settings."""

    def __init__(self, explaining: Explaining) -> None:
        self._symbols, self._explaining = explaining.structure.glass.symbols, explaining
        self.table = Clickable(self._recall, layout={"width": "100%"})
        self.ui = widgets.Box([self.table], layout=TABLE_LAYOUT)
        explaining.observe(self.update, ["history", "explanation"])

    def _recall(self, _action: str, place: int) -> None:
        self._explaining.recall(list(self._explaining.history)[place])

    def update(self, _change: object = None) -> None:
        """List what there is, if somebody looks: the list grows with every explanation, and is sent as a whole."""
        explaining = self._explaining
        if not self.active:
            return
        if not explaining.history:
            self.table.value = note("Explanations will be listed here.")
            return
        rows = []
        for place, (key, explanation) in reversed(list(enumerate(explaining.history.items()))):
            name = f"{self._symbols[key[0]]} {key[0]}, {METHODS[key[1]].label}"
            shown = "symgnn-looked-at" if explanation is explaining.explanation else ""
            difference = _difference(key, explaining.key)
            link = marked(name, "recall", place, "Go back to this explanation")
            cell = element("td", link, note(f"{explanation.quantity.text(explanation.prediction)}, {difference}"))
            rows.append(element("tr", cell, css=shown))
        self.table.value = element("table", element("tbody", *rows), css="symgnn-list")


def _difference(key: Key, present: Key) -> str:
    """Say what an explanation was made with, where that is not what is set now."""
    _, method, semantics, unit, *settings = key
    said = [MASKED_AS_ONE[unit], mask_meaning(semantics, unit)]
    if method == present[1]:
        said += [f"{name} {value}" for name, value in settings if (name, value) not in present]
    return ", ".join(said)
