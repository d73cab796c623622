"""How many optimal cycles pass through the important edges."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.plotting.cycles import cycle_figure
from symgnn_explain.runs.markup import note
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.state.cycles import CycleCount
from symgnn_widgets.views.controls import button, progress_bar, show

_NOTE = "Counts the rings of atoms that the most important edges lie on. The first time takes about ten seconds."


class Cycles:
    """Counts cycles when asked to, and draws the comparison."""

    def __init__(self, counting: CycleCount, height: int) -> None:
        self._counting, explaining = counting, counting.explaining
        self.count = button(
            "Count cycles",
            "circle-o-notch",
            "Count the optimal cycles through the most important edges, and through others",
            counting.count_cycles,
            130,
        )
        self.bar = progress_bar({"width": "auto", "flex": "1 1 100px"})
        self.note = widgets.HTML(note(_NOTE))
        self.figure = FigurePanel(height, margin={"l": 50, "r": 10, "t": 52, "b": 84})
        self.counted = widgets.HBox([self.count, self.bar])
        self.ui = widgets.VBox([self.note, self.counted, self.figure.ui])
        explaining.observe(self._arrange, "explanation")
        counting.observe(self._arrange, "cycles")
        counting.job.observe(self._arrange, "status")
        counting.job.observe(lambda change: self.bar.set_trait("value", change["new"]), "progress")
        self._arrange()

    def _arrange(self, _change: object = None) -> None:
        running, cycles = self._counting.job.running, self._counting.cycles
        self.count.disabled = self._counting.explaining.explanation is None or running
        show(self.bar, seen=running)
        for part in (self.note, self.counted):
            show(part, seen=cycles is None)
        show(self.figure.ui, seen=cycles is not None)
        if cycles is not None:
            figure = cycle_figure(cycles)
            figure.update_layout(legend={"y": -0.27, "borderwidth": 0})
            self.figure.show(figure)
