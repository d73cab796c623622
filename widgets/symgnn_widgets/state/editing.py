"""Edits of the glass, tried out beside it: their predictions, counterfactuals, and what the potential says of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any as AnyType

import numpy as np
import pandas as pd
from traitlets import Any, Float, HasTraits, Instance, Int, Unicode

from symgnn_explain.analysis.what_if import Counterfactuals, Step, Verified, WhatIf, find_counterfactuals, verify
from symgnn_explain.analysis.what_if.laboratory import RELAXED
from symgnn_explain.errors import InputError
from symgnn_explain.export.session_parts import SavedEdit
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles import Calculator, EamCalculator, SearchSettings, find_potential
from symgnn_explain.saddles.inherent import LARGEST_FORCE, relaxed_to
from symgnn_explain.structure.glass import FloatArray
from symgnn_widgets.state.explaining import NO_ATOM
from symgnn_widgets.state.jobs import Job, Reporter, Work
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.state.structure import Structure, as_sentence


class Editing(HasTraits):
    """A laboratory beside the glass that is shown, which stays as it is.

    Everything runs away from the interface's thread, one thing at a time. Atoms in words have the numbers of the latest
    structure; atoms that are selected have those of the glass shown, and are translated.

    Parameters
    ----------
    selected, structure
        Of the session.
    """

    potential = Unicode(help="an eam.fs or eam.alloy file; where empty, what find_potential finds")
    calculator = Any(None, help="a Calculator that is used instead of the file")
    by = Float(-0.3, help="by how much counterfactuals shall change the prediction")
    saddle_searches = Int(10, min=1, help="from the selected atom, before and after the edits")

    step = Instance(Step, allow_none=True, help="the latest structure; None before the first edit")
    found = Instance(Counterfactuals, allow_none=True, help="what was searched for last")
    verified = Instance(Verified, allow_none=True, help="computed barriers of an atom before and after the edits")
    doing = Unicode(help="what is under way, or was")
    reason = Unicode(help="one sentence about why the latest thing failed")

    def __init__(self, selected: Selection, structure: Structure) -> None:
        super().__init__()
        self.structure, self._selected = structure, selected
        self.job = Job(self._fail)
        self.found_relaxed = False
        """Whether what was found was relaxed, whatever potential is named since."""
        self._what_if: WhatIf | None = None
        self._lock = threading.Lock()

    def _laboratory(self) -> WhatIf:
        if self._what_if is None:
            self._what_if = WhatIf(self.structure.predictor, self.structure.glass)
        return self._what_if

    @property
    def words(self) -> tuple[str, ...]:
        """The steps so far, in words."""
        return () if self._what_if is None else tuple(step.words for step in self._what_if.steps[1:])

    @property
    def change(self) -> FloatArray | None:
        """By how much the prediction of each atom of the glass shown changes, shape (N,); NaN where it was removed."""
        if self._what_if is None or not self.words:
            return None
        change, origin = self._what_if.change, self._what_if.now.origin
        known = origin >= 0
        of_start = np.full(len(self.structure.glass), np.nan)
        of_start[origin[known]] = change[known]
        return of_start

    def table(self, k: int) -> pd.DataFrame:
        """List the atoms whose predictions change most; see :meth:`WhatIf.changes`."""
        return pd.DataFrame() if self._what_if is None else self._what_if.changes(k)

    def now_of(self, atom: int) -> int | None:
        """Return the number in the latest structure of an atom of the glass shown; None where it was removed."""
        return atom if self._what_if is None else self._what_if.now_of(atom)

    @property
    def saved(self) -> tuple[SavedEdit, ...]:
        """The steps so far, for a session file."""
        return () if self._what_if is None else tuple(map(_saved, self._what_if.steps[1:]))

    def resume(self, edits: Sequence[SavedEdit]) -> None:
        """Take the steps of an earlier session again, here and now.

        Raises
        ------
        InputError
            If one of them cannot be taken; nothing has changed then.
        """
        if not edits:
            return
        laboratory = WhatIf(self.structure.predictor, self.structure.glass)
        for edit in edits:
            if edit.positions is None:
                laboratory.edit(edit.words)
            else:
                laboratory.become(relaxed_to(laboratory.now.glass, edit.positions, edit.largest_force))
        self._what_if, self.step = laboratory, laboratory.now

    def edit(self, words: str, *, wait: bool = False) -> None:
        """Edit the latest structure in words, which may speak of what is ``selected``."""
        selection = self._selected.selection

        def work(_report: Reporter, _cancel: threading.Event) -> None:
            laboratory = self._laboratory()
            now = [laboratory.now_of(atom) for atom in selection]
            laboratory.edit(words, selected=[atom for atom in now if atom is not None])

        self._start("edit", work, wait=wait)

    def undo(self) -> None:
        """Go back one step."""
        if self._what_if is not None and not self.job.running:
            self._what_if.undo()
            self._show(None)

    def relax(self, *, wait: bool = False) -> None:
        """Bring the latest structure to the nearest minimum of the potential."""

        def work(report: Reporter, cancel: threading.Event) -> None:
            self._laboratory().relax(self._calculator(), watch=Watch(report, cancel))

        self._start("relax", work, wait=wait)

    def search(self, *, wait: bool = False) -> None:
        """Search for edits of the latest structure that change the selected atom's prediction; relaxed where possible.

        Without a potential, as for any other alloy, they are not relaxed.
        """
        atom, by = self._require_atom(), self.by
        if atom is None:
            return

        def work(report: Reporter, cancel: threading.Event) -> tuple[Counterfactuals, bool]:
            laboratory = self._laboratory()
            now = laboratory.now_of(atom)
            if now is None:
                raise InputError(f"atom {atom} was removed: select another one, or undo.")
            chosen = self._calculator() if self.relaxes else None
            found = find_counterfactuals(laboratory.live, now, by, chosen, watch=Watch(report, cancel))
            return found, chosen is not None

        self._start("search", work, wait=wait)

    @property
    def relaxes(self) -> bool:
        """Whether a potential is named, so that counterfactuals are relaxed."""
        return self.calculator is not None or bool(self.potential.strip())

    def verify(self, *, wait: bool = False) -> None:
        """Compute the selected atom's barrier before and after the edits."""
        atom, searches = self._require_atom(), self.saddle_searches
        if atom is None:
            return

        def work(report: Reporter, cancel: threading.Event) -> Verified:
            laboratory = self._laboratory()
            now = laboratory.now_of(atom)
            if now is None or len(laboratory.steps) == 1:
                raise InputError(
                    "there is nothing to verify: edit the structure, and select an atom that is still in it."
                )
            before, after = (laboratory.start.glass, atom), (laboratory.now.glass, now)
            settings = SearchSettings(searches=searches)
            return verify(before, after, self._calculator(), settings, watch=Watch(report, cancel))

        self._start("verify", work, wait=wait)

    def _require_atom(self) -> int | None:
        atom: int | None = self._selected.selected_atom
        if atom is None:
            self.structure.error = NO_ATOM
        return atom

    def _calculator(self) -> Calculator:
        path = self.potential.strip()
        chosen: Calculator = self.calculator or EamCalculator(find_potential(Path(path).expanduser() if path else None))
        return chosen

    def _start(self, doing: str, work: Work[AnyType], *, wait: bool) -> None:
        if self.job.running:
            self.structure.error = f"One thing at a time: wait for what is under way ({self.doing}), or cancel it."
            return
        self.reason, self.doing = "", doing

        def alone(report: Reporter, cancel: threading.Event) -> AnyType:
            with self._lock:  # what was cancelled may still be under way
                return work(report, cancel)

        self.job.start(alone, self._show, wait=wait)

    def _show(self, result: tuple[Counterfactuals, bool] | Verified | None) -> None:
        if isinstance(result, tuple):
            found, self.found_relaxed = result
            self.found = found
        elif isinstance(result, Verified):
            self.verified = result
        else:
            self.found = self.verified = None  # they were of another structure
            now = None if self._what_if is None or not self.words else self._what_if.now
            self.step = now

    def _fail(self, error: Exception) -> None:
        self.reason = as_sentence(f"What was asked for could not be done ({self.doing})", error)


def _saved(step: Step) -> SavedEdit:
    if step.words != RELAXED:
        return SavedEdit(step.words)
    return SavedEdit(step.words, step.glass.positions, step.glass.provenance[LARGEST_FORCE])
