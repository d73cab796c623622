"""The atoms that move at the selected atom's saddle points, over the atoms that matter to its prediction."""

from __future__ import annotations

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.analysis import Mechanism, mechanism
from symgnn_explain.analysis.explained.mechanism import MOVES
from symgnn_explain.errors import InputError
from symgnn_explain.plotting import mechanism_figure
from symgnn_explain.runs.markup import element, note
from symgnn_widgets.panels.barrier_search import BarrierSearch
from symgnn_widgets.panels.figure import IN_SPACE, FigurePanel, shrink_scene
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.views.controls import control
from symgnn_widgets.views.tabs import Seen

_NOTE = (
    "AUC: the probability that of an atom that moves and one that does not the former has the higher score. Near atoms "
    "both matter and move: compare with nearness, and look at atoms of equal distance. An explanation by the unit atom "
    "or pair sees all that the network sees."
)
_EMPTY = "Explain an atom, and compute its barrier in the tab Barrier, to see whether what matters is what moves."


class MechanismPanel(Seen):
    """Compares the shown explanation with the saddle points of the same atom."""

    def __init__(self, search: BarrierSearch, explaining: Explaining, height: int) -> None:
        self._search, self._explaining = search, explaining
        self.result: Mechanism | None = None
        said = "An atom moves where it is so far from its place at a saddle point, Å"
        self.moves = control(
            widgets.BoundedFloatText, "moves by (Å)", said, 176, label=100, value=MOVES, min=0.02, max=5.0
        )
        self.said = widgets.HTML()
        self.figure = FigurePanel(height, IN_SPACE, empty=_EMPTY)
        self.ui = widgets.VBox([self.moves, self.said, self.figure.ui, widgets.HTML(note(_NOTE))])
        self.moves.observe(self.update, "value")
        search.observe(self.update, "barrier")
        explaining.on_shown(self.update)

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw what is compared now."""
        return {} if self.result is None or not self.active else {"mechanism": self._figure(self.result)}

    def update(self, _change: object = None) -> None:
        """Compare, if somebody looks."""
        if not self.active:
            return
        explanation, barrier = self._explaining.explanation, self._search.barrier
        self.result, self.said.value = None, ""
        if explanation is None or barrier is None or explanation.atom != barrier.atom:
            self.figure.clear()
            return
        glass = self._explaining.structure.glass
        try:
            self.result = mechanism(explanation, barrier, glass, moves=self.moves.value)
        except InputError as error:
            self.figure.clear()
            self.said.value = element("div", str(error), css="symgnn-error")
            return
        how = f"{explanation.method}, unit {explanation.unit}"
        self.said.value = element("div", element("b", f"Atom {barrier.atom} ({how}): "), str(self.result), ".")
        figure = self._figure(self.result).update_layout(title={"text": ""}, uirevision=barrier.atom)
        self.figure.show(shrink_scene(figure))

    def _figure(self, found: Mechanism) -> go.Figure:
        barrier = self._search.barrier
        if barrier is None:
            raise ValueError("nothing is compared")
        return mechanism_figure(self._explaining.structure.glass, found, barrier)
