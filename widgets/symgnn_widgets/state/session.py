"""The state of one explorer: the only thing that its panels share."""

from __future__ import annotations

import threading

from traitlets import Bool, Bytes, Float, Instance, observe

from symgnn_explain.analysis import CycleComparison, CyclePath, VoronoiCells, cycle_comparison, radial_distribution
from symgnn_explain.errors import InputError
from symgnn_explain.explain import PositionAttribution, prepare
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.state.base import as_sentence
from symgnn_widgets.state.colour import ColourState
from symgnn_widgets.state.jobs import Progress, Worker
from symgnn_widgets.state.population import PopulationState
from symgnn_widgets.state.structure_analyses import StructureAnalyses

__all__ = ["Session", "as_sentence"]


class Session(PopulationState, ColourState):
    """What is shown, what is selected, what is being computed.

    Panels observe these traits and set them, or ask for work with :meth:`pick`, :meth:`explain`, :meth:`cancel` and
    :meth:`count_cycles`; no panel knows another.

    Parameters
    ----------
    glass
        The structure shown.
    predictor
        The network that is explained.

    Raises
    ------
    InputError
        If the network cannot predict this glass.
    """

    cycles = Instance(CycleComparison, allow_none=True)
    counting = Bool(False, help="whether cycles are being counted")
    counting_progress = Float(0.0)
    cells = Instance(VoronoiCells, allow_none=True, help="Voronoi cells of the glass, once they have been found")
    ring = Instance(CyclePath, allow_none=True, help="a ring of the structure that is drawn in 3D")
    attribution = Instance(PositionAttribution, allow_none=True, help="derivatives by the positions of atoms")
    arrows_shown = Bool(False, help="whether they are drawn as arrows in the 3D view")
    shown = Bool(False, help="whether a page has drawn the structure")
    picture_wanted = Bool(False, help="set to ask for a picture of the 3D view")
    picture = Bytes(help="the latest picture of the 3D view, a PNG")

    def __init__(self, glass: Glass, predictor: Predictor) -> None:
        self.prepared = prepare(predictor, glass)
        super().__init__(
            glass=glass, predictor=predictor, predictions=self.prepared.predictions, domain=self.prepared.domain
        )
        self.start_explaining()
        self.start_populations()
        self.structure = StructureAnalyses(glass)
        self.radial_distribution = radial_distribution(glass)
        self._tessellating: Worker[VoronoiCells] = Worker(
            lambda _fraction: None, lambda cells: self.set_trait("cells", cells), self._fail_cells
        )
        self._cells_wanted = False
        self._counting: Worker[CycleComparison] = Worker(self._advance_counting, self._show_cycles, self._fail_counting)

    def pick(self, atom: int, *, add: bool = False) -> None:
        """Select an atom as a click does: explain it too, unless that is switched off or atoms are being added.

        Parameters
        ----------
        add
            Add it to the selection, or take it out, as if ``adding`` were set.
        """
        try:
            if add or self.adding:
                self.toggle(atom)
                return
        except InputError as error:
            self.error = str(error)
            return
        if self.select_or_say(atom) and self.explain_on_click:
            self.explain()

    def select_or_say(self, atom: int) -> bool:
        """Select one atom; where there is no such atom, ``error`` says so. Returns whether it is selected."""
        try:
            self.select(atom)
        except InputError as error:
            self.error = str(error)
            return False
        return True

    def cancel(self) -> None:
        """Stop explaining and counting; what they would still deliver is dropped."""
        self.stop_explaining()
        self.cancel_population()
        self._counting.cancel()
        self.counting = False

    def count_cycles(self, *, wait: bool = False) -> None:
        """Count the optimal cycles through the explanation's edges; the structure's cycles are computed once."""
        explanation = self.explanation
        if explanation is None:
            self.error = "There is no explanation to count cycles for: explain an atom first."
            return
        self.error = ""
        self.counting, self.counting_progress = True, 0.0

        def work(progress: Progress, cancel: threading.Event) -> CycleComparison:
            return cycle_comparison(explanation, self.glass, progress=progress, cancel=cancel)

        self._counting.start(work, wait=wait)

    def find_cells(self) -> None:
        """Find the Voronoi cells of the glass, in the background; once."""
        if not self._cells_wanted:
            self._cells_wanted = True
            self._tessellating.start(lambda _report, _cancel: self.structure.cells())

    def _fail_cells(self, error: Exception) -> None:
        self.error = as_sentence("The Voronoi cells could not be found", error)

    @observe("explanation", "shown")
    def _describe_surroundings(self, _change: object) -> None:
        # Not before the first explanation, which it would slow down; and not where nobody looks.
        if self.shown and self.explanation is not None:
            self.find_cells()

    @observe("explanation")
    def _drop_cycles(self, _change: object) -> None:
        self._counting.cancel()
        self.counting, self.cycles = False, None

    def _advance_counting(self, fraction: float) -> None:
        self.counting_progress = min(max(fraction, 0.0), 1.0)

    def _show_cycles(self, comparison: CycleComparison) -> None:
        self.cycles = comparison
        self.counting = False

    def _fail_counting(self, error: Exception) -> None:
        self.counting = False
        self.error = as_sentence("The cycles could not be counted", error)
