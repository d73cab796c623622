"""The optimal cycles through the edges of the explanation."""

from __future__ import annotations

import threading

from traitlets import HasTraits, Instance

from symgnn_explain.analysis import CycleComparison, comparable_edges, cycle_comparison
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.jobs import Job, Reporter


class CycleCount(HasTraits):
    """Counts cycles when asked; the structure's own are computed once. Another explanation drops the count."""

    cycles = Instance(CycleComparison, allow_none=True)

    def __init__(self, explaining: Explaining) -> None:
        super().__init__()
        self.explaining = explaining
        self.job = Job(lambda error: explaining.structure.fail("The cycles could not be counted", error))
        explaining.observe(self._drop, "explanation")

    def count_cycles(self, *, wait: bool = False) -> None:
        """Count the optimal cycles through the explanation's edges."""
        structure, explanation = self.explaining.structure, self.explaining.explanation
        if explanation is None:
            structure.error = "There is no explanation to count cycles for: explain an atom first."
            return
        structure.error = ""

        def work(report: Reporter, cancel: threading.Event) -> CycleComparison:
            k = comparable_edges(explanation)
            return cycle_comparison(explanation, structure.glass, k, progress=report, cancel=cancel)

        self.job.start(work, lambda found: self.set_trait("cycles", found), wait=wait)

    def _drop(self, _change: object) -> None:
        self.job.cancel()
        self.cycles = None
