"""The most important edges as a table."""

from __future__ import annotations

from collections.abc import Iterable

import ipywidgets as widgets

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting.style import PALE_SAID
from symgnn_explain.runs.markup import Markup, element, joined, note, table
from symgnn_explain.runs.tables import decimal_text
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.views.table import Clickable, marked


class TopEdges:
    """Lists the ``k`` most important edges of the explanation; a click on an atom calls ``pick`` with it."""

    def __init__(self, explaining: Explaining) -> None:
        self._explaining = explaining
        self.table = Clickable(lambda _action, atom: explaining.pick(atom), layout={"width": "100%"})
        self.ui = widgets.Box([self.table], layout=TABLE_LAYOUT)
        explaining.on_shown(self._fill)
        self._fill()

    def _fill(self, _change: object = None) -> None:
        explanation = self._explaining.explanation
        if explanation is None:
            self.table.value = note("The most important edges will be listed here.")
            return
        self.table.value = edge_table(explanation, self._explaining.structure.glass, self._explaining.threshold.k)


TABLE_LAYOUT = {"overflow": "auto", "flex": "1 1 180px", "min_height": "120px"}


def edge_table(explanation: AtomExplanation, glass: Glass, k: int) -> Markup:
    """Write the ``k`` most important edges as an HTML table, each from the sending to the receiving atom."""
    symbols = glass.symbols
    quantity = explanation.quantity
    heading = (
        (quantity.unit or quantity.word)
        if explanation.signed
        else "Score"
        if explanation.masked_prediction is None
        else "Mask"
    )
    rows = []
    for edge in explanation.top_edges(k).to_dict("records"):
        source, target = edge["source"], edge["target"]
        ends = joined([atom_link(source, symbols), atom_link(target, symbols)], " → ")
        length = f"{edge['distance']:.2f}"
        if edge["self_loop"]:
            ends, length = joined([atom_link(source, symbols), " ↺"]), "–"
        score = decimal_text(edge["score"], 4, sign=True) if explanation.signed else f"{edge['score']:.3f}"
        if explanation.member_spread is not None:
            css = "symgnn-disputed" if edge["disputed"] else ""
            said = f"± {decimal_text(edge['member_spread'], 4)} over the members of the ensemble"
            score = element("span", score, title=f"{said}; {PALE_SAID}" if css else said, css=css)
        rows.append((edge["rank"], ends, length, edge["hop"], score))
    hop = element("span", "Hop", title="edges between the receiving atom and the explained one")
    return html_table(("#", "From → to", "Å", hop), heading, rows)


def atom_link(atom: int, symbols: list[str]) -> Markup:
    """Write an atom so that a click selects it."""
    return marked(f"{symbols[atom]} {atom}", "pick", atom, "Select this atom")


def html_table(headings: tuple[object, ...], last: object, rows: Iterable[Iterable[object]]) -> Markup:
    """Write a table in the common style; its second column is text, the others numbers."""
    return table(rows, (*headings, last), css="symgnn-table")
