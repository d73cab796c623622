"""How many optimal cycles pass through the important edges."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.plotting.cycles import cycle_figure
from symgnn_explain.runs.markup import note
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.state.session import Session

_NOTE = "Counts the rings of atoms that the most important edges lie on. The first time takes about ten seconds."


class Cycles:
    """Counts cycles when asked to, and draws the comparison.

    Parameters
    ----------
    session
        What is explained.
    height
        Of the figure, pixels.
    """

    def __init__(self, session: Session, height: int) -> None:
        self.session = session
        self.count = widgets.Button(
            description="Count cycles",
            icon="circle-o-notch",
            tooltip="Count the optimal cycles through the most important edges, and through others",
            layout={"width": "130px"},
        )
        self.bar = widgets.FloatProgress(min=0.0, max=1.0, layout={"width": "auto", "flex": "1 1 100px"})
        self.note = widgets.HTML(note(_NOTE))
        self.figure = FigurePanel(height, margin={"l": 50, "r": 10, "t": 52, "b": 84})
        self.ui = widgets.VBox()
        self.count.on_click(lambda _button: session.count_cycles())
        session.observe(self._arrange, ["explanation", "cycles", "counting"])
        session.observe(lambda change: self.bar.set_trait("value", change["new"]), "counting_progress")
        self._arrange()

    def _arrange(self, _change: object = None) -> None:
        session = self.session
        self.count.disabled = session.explanation is None or session.counting
        if session.cycles is None:
            self.ui.children = (self.note, widgets.HBox([self.count, self.bar] if session.counting else [self.count]))
            return
        figure = cycle_figure(session.cycles)
        figure.update_layout(legend={"y": -0.27, "borderwidth": 0})
        self.figure.show(figure)
        self.ui.children = (self.figure.ui,)
