"""The state of one explorer: the only thing that its panels share."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from traitlets import Bool, Bytes, Dict, Enum, Float, HasTraits, Instance, Int, Unicode, observe

from symgnn_explain.analysis import CycleComparison, cycle_comparison, radial_distribution
from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, explain, prepare
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.explain.masked_forward import MASK_SEMANTICS
from symgnn_explain.explain.units import UNITS
from symgnn_explain.glass import Glass
from symgnn_explain.models.predictor import Predictor
from symgnn_widgets.jobs import Progress, Worker

HISTORY_LENGTH = 64
"""Explanations kept; each holds some 20 000 edges, about 1 MB."""

DEFAULT_METHOD = "gnnexplainer"
COLOUR_CHOICES = ("predicted barrier", "known barrier", "species", "importance")

_log = logging.getLogger(__name__)
Key = tuple[Any, ...]


class Session(HasTraits):
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

    glass = Instance(Glass)
    predictor = Instance(Predictor)
    barriers = Instance(np.ndarray, help="predicted barrier of each atom, eV")
    colour_by = Enum(COLOUR_CHOICES, default_value="predicted barrier")

    selected_atom = Int(None, allow_none=True)
    explain_on_click = Bool(True)
    method = Enum(tuple(METHODS), default_value=DEFAULT_METHOD)
    settings = Dict(help="settings of the method; reset to its defaults when the method changes")
    semantics = Enum(MASK_SEMANTICS, help="what masking a message means; reset to the method's own when it changes")
    unit = Enum(UNITS, default_value="edge", help="what is masked as one")
    k = Int(50, min=1, help="how many of the most important edges are shown")

    explanation = Instance(AtomExplanation, allow_none=True)
    history = Instance(dict, args=(), help="earlier explanations by (atom, method, settings), oldest first")
    cycles = Instance(CycleComparison, allow_none=True)

    status = Enum(("idle", "running", "done", "cancelled", "failed"), default_value="idle")
    progress = Float(0.0)
    seconds_left = Float(None, allow_none=True)
    counting = Bool(False, help="whether cycles are being counted")
    counting_progress = Float(0.0)
    error = Unicode(help="one sentence about what went wrong last, or empty")
    shown = Bool(False, help="whether a page has drawn the structure")
    picture_wanted = Bool(False, help="set to ask for a picture of the 3D view")
    picture = Bytes(help="the latest picture of the 3D view, a PNG")

    def __init__(self, glass: Glass, predictor: Predictor) -> None:
        self.prepared = prepare(predictor, glass)
        super().__init__(glass=glass, predictor=predictor, barriers=self.prepared.barriers)
        self._reset_settings(None)
        self.radial_distribution = radial_distribution(glass)
        self._started = 0.0
        self._explaining: Worker[tuple[Key, AtomExplanation]] = Worker(self._advance, self._remember, self._fail)
        self._counting: Worker[CycleComparison] = Worker(self._advance_counting, self._show_cycles, self._fail_counting)

    def select(self, atom: int) -> None:
        """Select an atom; an explanation of it that is known already is shown at once."""
        self.selected_atom = self.glass.require_atom(atom)

    def pick(self, atom: int) -> None:
        """Select an atom as a click does: explain it too, unless that is switched off."""
        try:
            self.select(atom)
        except InputError as error:
            self.error = str(error)
            return
        if self.explain_on_click:
            self.explain()

    def explain(self, *, wait: bool = False) -> AtomExplanation | None:
        """Explain the selected atom; known explanations are shown at once, others computed in the background.

        Parameters
        ----------
        wait
            Compute here and now, return the explanation and raise what goes wrong. Without a running event loop the
            explanation is always computed before this returns.
        """
        if self.selected_atom is None:
            self.error = "No atom is selected: click one in the 3D view, or type its index."
            return None
        if self._show_known():
            return self.explanation
        key, atom, method = self._key(), self.selected_atom, self.method
        settings = {"semantics": self.semantics, "unit": self.unit, **self.settings}
        self.explanation = None
        self.error = ""
        self.progress, self.seconds_left, self.status = 0.0, None, "running"
        self._started = time.monotonic()

        def work(progress: Progress, cancel: threading.Event) -> tuple[Key, AtomExplanation]:
            explanation = explain(
                self.predictor,
                self.glass,
                atom,
                method,
                prepared=self.prepared,
                progress=progress,
                cancel=cancel,
                **settings,
            )
            return key, explanation

        self._explaining.start(work, wait=wait)
        return self.explanation

    def cancel(self) -> None:
        """Stop explaining and counting; what they would still deliver is dropped."""
        self._explaining.cancel()
        self._counting.cancel()
        self.counting = False
        if self.status == "running":
            self.status, self.seconds_left = "cancelled", None

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

    @observe("method")
    def _reset_settings(self, _change: object) -> None:
        self.semantics = METHODS[self.method].semantics
        self.settings = default_settings(self.method)

    @observe("selected_atom")
    def _follow_selection(self, _change: object) -> None:
        self.error = ""
        if not self._show_known() and self.explanation is not None and self.explanation.atom != self.selected_atom:
            self.explanation = None

    @observe("settings", "semantics", "unit")
    def _follow_settings(self, _change: object) -> None:
        self._show_known()

    @observe("explanation")
    def _drop_cycles(self, _change: object) -> None:
        self._counting.cancel()
        self.counting, self.cycles = False, None

    def _show_known(self) -> bool:
        """Show the explanation of the selected atom that is known already, if there is one."""
        known = self.history.get(self._key())
        if known is None:
            return False
        self._explaining.cancel()
        self.error = ""
        self.explanation = known
        self.progress, self.seconds_left, self.status = 1.0, None, "done"
        return True

    def _key(self) -> Key:
        return (self.selected_atom, self.method, self.semantics, self.unit, *sorted(self.settings.items()))

    def _advance(self, fraction: float) -> None:
        elapsed = time.monotonic() - self._started
        self.progress = min(max(fraction, 0.0), 1.0)
        self.seconds_left = elapsed * (1 - self.progress) / self.progress if self.progress > 0.02 else None

    def _remember(self, finished: tuple[Key, AtomExplanation]) -> None:
        key, explanation = finished
        kept = list(self.history.items())[-(HISTORY_LENGTH - 1) :]
        self.history = {**dict(kept), key: explanation}
        self.progress, self.seconds_left, self.status = 1.0, None, "done"
        if explanation.atom == self.selected_atom:
            self.explanation = explanation

    def _fail(self, error: Exception) -> None:
        self.status, self.seconds_left = "failed", None
        self.error = as_sentence("The explanation failed", error)

    def _advance_counting(self, fraction: float) -> None:
        self.counting_progress = min(max(fraction, 0.0), 1.0)

    def _show_cycles(self, comparison: CycleComparison) -> None:
        self.cycles = comparison
        self.counting = False

    def _fail_counting(self, error: Exception) -> None:
        self.counting = False
        self.error = as_sentence("The cycles could not be counted", error)


def default_settings(method: str) -> dict[str, Any]:
    """Return the settings of a method as it comes."""
    return asdict(METHODS[method].configure())


def as_sentence(what: str, error: Exception) -> str:
    """Say in one sentence what went wrong; what the program did not expect goes to the log in full."""
    if isinstance(error, InputError):
        return str(error)
    _log.error("%s.", what, exc_info=error)
    reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    return f"{what} ({type(error).__name__}: {reason})."
