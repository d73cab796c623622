"""How the selected atom is explained, what came of it, and what was explained before."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from traitlets import Bool, Dict, Enum, Float, Instance, Int, Unicode, observe

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, PGExplainer, explain_atom
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS, MaskSemantics
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.explain.methods.pg_first_use import explainer_at_hand
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export.session_file import AMORTISED
from symgnn_explain.models.target import Target, with_tolerance
from symgnn_widgets.state.base import Key, as_sentence
from symgnn_widgets.state.jobs import Reporter, Worker
from symgnn_widgets.state.selection import SelectionState

HISTORY_LENGTH = 64
"""Explanations kept; each holds some 20 000 edges, about 1 MB."""

STEPS_KEPT = 200
"""Selections and explanations that can be undone."""

MOST_SHOWN = 400
"""Edges that are shown at most, however small the threshold."""

DEFAULT_METHOD = "gnnexplainer"


class Step(NamedTuple):
    """What was selected, and which explanation was shown."""

    selection: tuple[int, ...]
    atom: int | None
    key: Key | None


class ExplainingState(SelectionState):
    """Method and settings, the explanation that is shown or under way, and the earlier ones."""

    prepared: PreparedGlass

    explain_on_click = Bool(True)
    method = Enum(tuple(METHODS), default_value=DEFAULT_METHOD)
    settings = Dict(help="settings of the method; reset to its defaults when the method changes")
    semantics = Enum(MASK_SEMANTICS, help="what masking a message means; reset to the method's own when it changes")
    unit = Enum(UNITS, default_value="edge", help="what is masked as one")

    k = Int(50, min=1, help="how many of the most important edges are shown")
    threshold_by = Enum(("number", "share", "value"), default_value="number", help="what decides on k")
    share = Float(0.25, min=0.0, max=1.0, help="of the sum of all scores that the shown edges hold together")
    least = Float(0.5, min=0.0, help="smallest absolute score of a shown edge")

    history = Instance(dict, args=(), help="earlier explanations by (atom, method, settings), oldest first")
    can_undo = Bool(False)
    can_redo = Bool(False)

    preview = Instance(AtomExplanation, allow_none=True, help="what the running explanation has come to so far")
    status = Enum(("idle", "running", "done", "cancelled", "failed"), default_value="idle")
    progress = Float(0.0)
    seconds_left = Float(None, allow_none=True)
    settings_problem = Unicode(help="one sentence about settings that cannot be used, or empty")

    def start_explaining(self) -> None:
        """Make what explains; called once."""
        self._reset_settings(None)
        self._steps: list[Step] = [Step((), None, None)]
        self._step = 0
        self._started = 0.0
        self._number = self.k  # chosen by hand, while a share or a value decides
        self._replaced: AtomExplanation | None = None
        self._explainers: dict[MaskSemantics, PGExplainer] = {}
        self._training, self._stop_training = threading.Lock(), threading.Event()
        self._explaining: Worker[tuple[Key, AtomExplanation]] = Worker(
            self._advance, self._remember, self._fail, on_preview=self._preview
        )

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
        key, atom, method = self.key, self.selected_atom, self.method
        semantics, unit, settings = self.semantics, self.unit, dict(self.settings)
        self._replaced = self.explanation
        self.explanation = self.preview = None
        self.error = ""
        self.progress, self.seconds_left, self.status = 0.0, None, "running"
        self._stop_training.clear()
        self._started = time.monotonic()

        def work(report: Reporter, cancel: threading.Event) -> tuple[Key, AtomExplanation]:
            explanation = explain_atom(
                self.predictor,
                self.glass,
                atom,
                method,
                semantics=semantics,
                unit=unit,
                prepared=self.prepared,
                progress=report,
                preview=report.preview,
                cancel=cancel,
                **self._completed(method, semantics, settings, report),
            )
            return key, explanation

        self._explaining.start(work, wait=wait)
        return self.explanation

    @property
    def needs_training(self) -> bool:
        """Whether the method has to be trained before it explains anything."""
        return self.method == AMORTISED and not self.settings["explainer"] and self.semantics not in self._explainers

    def _completed(
        self, method: str, semantics: MaskSemantics, settings: dict[str, Any], report: Reporter
    ) -> dict[str, Any]:
        """Give PGExplainer what it explains with, where no other was named: trained when it is first wanted.

        Another atom that is selected meanwhile waits for the same training; only Cancel stops it.
        """
        if method != AMORTISED or settings["explainer"]:
            return settings
        self._training_report = report

        def advance(fraction: float) -> None:
            self._training_report(fraction)  # of whoever waits now

        with self._training:
            if semantics not in self._explainers:
                self._explainers[semantics] = explainer_at_hand(
                    self.prepared, semantics, progress=advance, cancel=self._stop_training
                )
        return {**settings, "explainer": self._explainers[semantics]}

    def stop_explaining(self) -> None:
        """Stop the explanation that is under way; what it would still deliver is dropped."""
        self._explaining.cancel()
        self._stop_training.set()
        self.preview = None
        if self.status == "running":
            self.status, self.seconds_left = "cancelled", None
            if self._replaced is not None and self._replaced.atom == self.selected_atom:
                self._show(self._replaced)

    @property
    def key(self) -> Key:
        """What an explanation of the selected atom, with the present method and settings, is known by."""
        return (self.selected_atom, self.method, self.semantics, self.unit, *sorted(self.settings.items()))

    @property
    def shown_key(self) -> Key | None:
        """What the explanation that is shown is known by; None where none is."""
        return next((key for key, known in self.history.items() if known is self.explanation), None)

    def recall(self, key: Key) -> None:
        """Show an explanation of the history, and set what it was made with."""
        atom, method, semantics, unit, *made_with = key
        settings = dict(made_with)
        # Of a session that was opened: its PGExplainer is a file, and a session does not say where.
        foreign = method == AMORTISED and str(settings["explainer"]).endswith(")")
        if foreign:
            settings["explainer"] = ""
        self.method = method
        self.semantics, self.unit, self.settings = semantics, unit, settings
        self._become(self.selection if atom in self.selection else (atom,), atom)
        if foreign:
            self._show(self.history[key])

    def undo(self) -> None:
        """Go back to what was selected and shown before."""
        self._go_to(self._step - 1)

    def redo(self) -> None:
        """Take back an undo."""
        self._go_to(self._step + 1)

    def configure(self, **settings: Any) -> None:
        """Change some settings of the method, and say at once where they cannot be used."""
        self.settings = {**self.settings, **settings}

    def shown_edges(self, explanation: AtomExplanation) -> int:
        """How many of an explanation's edges the threshold lets through: 1 to ``MOST_SHOWN``."""
        scores = np.sort(np.abs(explanation.score))[::-1]
        match self.threshold_by:
            case "share":
                total = scores.sum()
                # The first edges that hold the share together, the one that completes it included.
                count = int(np.searchsorted(np.cumsum(scores), self.share * total * (1 - 1e-12))) + 1
            case "value":
                count = int((scores >= self.least).sum())
            case _:
                return self.k
        return int(np.clip(count, 1, min(MOST_SHOWN, len(scores))))

    def known_explanation(self, key: Key) -> AtomExplanation | None:
        """Find an explanation that was made before."""
        found: AtomExplanation | None = self.history.get(key)
        return found

    @observe("method")
    def _reset_settings(self, _change: object) -> None:
        self.semantics = METHODS[self.method].semantics
        self.settings = default_settings(self.method, self.target)

    @observe("selected_atom")
    def _follow_selection(self, _change: object) -> None:
        self.error = ""
        if self._show_known():
            return
        if self.explanation is not None and self.explanation.atom != self.selected_atom:
            self.explanation = None
        if self.explanation is None:
            self._rest()

    @observe("settings", "semantics", "unit")
    def _follow_settings(self, _change: object) -> None:
        try:
            METHODS[self.method].configure(**self.settings)
        except InputError as error:
            self.settings_problem = str(error)
        else:
            if self.settings_problem:
                self.settings_problem = self.error = ""
                self._rest()
        self._show_known()

    def _rest(self) -> None:
        """Claim nothing of an explanation that is no longer shown; one that is under way goes on."""
        if self.status != "running":
            self.status, self.progress = "idle", 0.0

    @observe("threshold_by", "share", "least")
    def _apply_threshold(self, change: dict[str, Any]) -> None:
        if change["old"] == "number":
            self._number = self.k
        elif change["new"] == "number":
            self.k = self._number
        if self.explanation is not None:
            self.k = self.shown_edges(self.explanation)

    @observe("selection", "selected_atom", "explanation")
    def _note_step(self, _change: object) -> None:
        """Keep what is selected and shown, so that one can go back to it."""
        explained = self.explanation is not None and self.explanation.atom == self.selected_atom
        step = Step(self.selection, self.selected_atom, self.shown_key if explained else None)
        present = self._steps[self._step]
        between = bool(step.selection) != (step.atom is not None) or step.atom not in (*step.selection, None)
        if between or step == present:
            return
        if (step.selection, step.atom) == (present.selection, present.atom):
            if step.key is None:
                return
            if present.key is None:
                # The same step, now with its explanation.
                self._steps[self._step] = step
                return
        self._steps = [*self._steps[: self._step + 1], step][-STEPS_KEPT:]
        self._step = len(self._steps) - 1
        self._offer_steps()

    def _go_to(self, place: int) -> None:
        if not 0 <= place < len(self._steps):
            return
        self._step = place
        step = self._steps[place]
        steps = self._steps
        if step.key is not None:
            self.recall(step.key)
        self._become(step.selection, step.atom)
        # Going there made steps of its own.
        self._steps, self._step = steps, place
        self._offer_steps()

    def _offer_steps(self) -> None:
        self.can_undo, self.can_redo = self._step > 0, self._step < len(self._steps) - 1

    def _show_known(self) -> bool:
        """Show the explanation of the selected atom that is known already, if there is one."""
        known = None if self.selected_atom is None else self.known_explanation(self.key)
        if known is None:
            return False
        self._explaining.cancel()
        self.error = ""
        self._show(known)
        self.progress, self.seconds_left, self.status = 1.0, None, "done"
        return True

    def _show(self, explanation: AtomExplanation) -> None:
        # In this order, so that panels draw it once.
        self.preview = None
        self.k = self.shown_edges(explanation)
        self.explanation = explanation

    def _advance(self, fraction: float) -> None:
        elapsed = time.monotonic() - self._started
        self.progress = min(max(fraction, 0.0), 1.0)
        self.seconds_left = elapsed * (1 - self.progress) / self.progress if self.progress > 0.02 else None

    def _preview(self, unfinished: AtomExplanation) -> None:
        if unfinished.atom == self.selected_atom:
            self.preview = unfinished

    def _remember(self, finished: tuple[Key, AtomExplanation]) -> None:
        key, explanation = finished
        self.keep({key: explanation})
        self.progress, self.seconds_left, self.status = 1.0, None, "done"
        self.preview = None
        if explanation.atom == self.selected_atom:
            self._show(explanation)

    def keep(self, explanations: Mapping[Key, AtomExplanation]) -> None:
        """Add explanations to the history, the latest last."""
        kept = {**self.history, **explanations}
        self.history = dict(list(kept.items())[-HISTORY_LENGTH:])

    def _fail(self, error: Exception) -> None:
        self.status, self.seconds_left, self.preview = "failed", None, None
        self.error = as_sentence("The explanation failed", error)


def default_settings(method: str, target: Target) -> dict[str, Any]:
    """Return the settings of a method as it comes, with the tolerance of what is predicted."""
    return asdict(with_tolerance(METHODS[method].configure(), target))
