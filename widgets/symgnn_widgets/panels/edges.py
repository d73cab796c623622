"""The most important edges as a table."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.glass import Glass
from symgnn_widgets.session import Session


class TopEdges:
    """Lists the ``k`` most important edges of the session's explanation."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.table = widgets.HTML()
        self.ui = widgets.Box([self.table], layout={"overflow": "auto", "flex": "1 1 0", "min_height": "180px"})
        session.observe(self._fill, ["explanation", "k"])
        self._fill()

    def _fill(self, _change: object = None) -> None:
        session = self.session
        if session.explanation is None:
            self.table.value = '<div class="symgnn-note">The most important edges will be listed here.</div>'
            return
        self.table.value = edge_table(session.explanation, session.glass, session.k)


def edge_table(explanation: AtomExplanation, glass: Glass, k: int) -> str:
    """Write the ``k`` most important edges as an HTML table, each from the sending to the receiving atom."""
    symbols = glass.symbols
    heading = "eV" if explanation.signed else "Mask"
    rows = []
    for edge in explanation.top_edges(k).to_dict("records"):
        source, target = edge["source"], edge["target"]
        ends = f"{symbols[source]} {source} → {symbols[target]} {target}"
        length = f"{edge['distance']:.2f}"
        if edge["self_loop"]:
            ends, length = f"{symbols[source]} {source} ↺", "–"
        score = f"{edge['score']:+.4f}" if explanation.signed else f"{edge['score']:.3f}"
        cells = (edge["rank"], ends, length, edge["hop"], score)
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return (
        '<table class="symgnn-table"><thead><tr><th>#</th><th>From → to</th><th>Å</th>'
        f'<th title="edges between the receiving atom and the explained one">Hop</th><th>{heading}</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
