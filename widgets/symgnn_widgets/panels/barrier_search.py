"""The selected atom's barrier from a potential: computed away from the main thread, kept, and drawn in 3D."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from traitlets import Any, Bool, HasTraits, Instance, Int, Unicode

from symgnn_explain.plotting.arrows import drawn_arrows
from symgnn_explain.plotting.style import GREEN
from symgnn_explain.saddles import (
    AtomBarrier,
    Calculator,
    EamCalculator,
    SearchSettings,
    compute_barriers,
    find_potential,
)
from symgnn_explain.structure.glass import FloatArray
from symgnn_widgets.state.colours import channels_of
from symgnn_widgets.state.explaining import NO_ATOM
from symgnn_widgets.state.jobs import Job, Reporter
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.state.structure import Structure, as_sentence
from symgnn_widgets.views.highlight import ARROW_RADIUS, ARROWS, Cylinders


@dataclass(frozen=True)
class _Known:
    """An atom's barrier, from how many runs, and on which potential."""

    barrier: AtomBarrier
    runs: int
    calculator: Calculator | None
    path: str


class BarrierSearch(HasTraits):
    """Searches for saddle points around the selected atom of a session, one atom at a time.

    What was computed is kept until the glass changes, and shown again when its atom is selected; computing it once more
    adds searches, unless the potential has changed.

    Parameters
    ----------
    selected, structure
        Whose selected atom is meant.
    """

    searches = Int(10, min=1, help="from each atom")
    potential = Unicode(help="an eam.fs or eam.alloy file; where empty, what find_potential finds")
    calculator = Any(None, help="a Calculator that is used instead of the file, such as an AseCalculator")

    barrier = Instance(AtomBarrier, allow_none=True, help="of the selected atom, where it has been computed")
    saddle = Int(None, allow_none=True, help="which of its saddles is shown, from 0")
    in_view = Bool(False, help="whether that saddle is drawn in the 3D view")
    atom = Int(None, allow_none=True, help="the atom that is or was computed last")
    reason = Unicode(help="one sentence about why the latest search failed")

    def __init__(self, selected: Selection, structure: Structure) -> None:
        super().__init__()
        self.structure = structure
        self._selected = selected
        self._known: dict[int, _Known] = {}
        self.job = Job(self._fail)
        selected.observe(self._show_known, "selected_atom")

    def of(self, atom: int | None) -> AtomBarrier | None:
        """Return what was computed for an atom of this glass; None where nothing was."""
        known = None if atom is None else self._known.get(atom)
        return None if known is None else known.barrier

    def compute(self, *, wait: bool = False) -> AtomBarrier | None:
        """Compute the selected atom's barrier, or add searches to it, in the background unless ``wait``."""
        glass, atom = self.structure.glass, self._selected.selected_atom
        if atom is None:
            self.structure.error = NO_ATOM
            return None
        self.structure.error = ""
        self.atom = atom
        given, path, earlier = self.calculator, self.potential.strip(), self._known.get(atom)
        if earlier is not None and (earlier.calculator, earlier.path) != (given, path):
            earlier = None
        settings = SearchSettings(searches=self.searches, seed=0 if earlier is None else earlier.runs)

        def work(report: Reporter, cancel: threading.Event) -> _Known:
            calculator = given or EamCalculator(find_potential(Path(path).expanduser() if path else None))
            [computed] = compute_barriers(glass, calculator, [atom], settings=settings, progress=report, cancel=cancel)
            if earlier is None:
                return _Known(computed, 1, given, path)
            return _Known(earlier.barrier.with_more(computed, settings.same_saddle), earlier.runs + 1, given, path)

        self.job.start(work, self._keep, wait=wait)
        return self.barrier

    def _keep(self, known: _Known) -> None:
        self._known[known.barrier.atom] = known
        self._show_known()

    def _fail(self, error: Exception) -> None:
        self.reason = as_sentence("The barrier could not be computed", error)

    def _show_known(self, _change: object = None) -> None:
        barrier = self.of(self._selected.selected_atom)
        if barrier is not self.barrier:
            self.saddle = None
            self.barrier = barrier
            self.saddle = 0 if barrier is not None and barrier.saddles else None


def saddle_arrows(search: BarrierSearch, positions: FloatArray) -> Cylinders | None:
    """Start, end, colour and radius of the displacements at the shown saddle, where they are wanted in the 3D view.

    Parameters
    ----------
    positions
        Where the atoms are drawn, shape (N, 3), Å.
    """
    barrier, number = search.barrier, search.saddle
    if not search.in_view or barrier is None or number is None:
        return None
    saddle = barrier.saddles[number]
    rows = np.argsort(-np.linalg.norm(saddle.displacements, axis=1), kind="stable")[:ARROWS]
    place = search.structure.glass.displacements_from(barrier.atom)[saddle.atoms[rows]]
    start = positions[barrier.atom] + place
    colour = np.tile(channels_of(GREEN) / 255.0, (len(rows), 1))
    return start, start + drawn_arrows(saddle.displacements[rows]), colour, np.full(len(rows), ARROW_RADIUS)
