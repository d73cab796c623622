"""A structure that is edited step by step, with the predictions of each step beside those of the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError, first_rows
from symgnn_explain.models.live import LivePrediction
from symgnn_explain.models.predictor import AtomPredictions, Predictor
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles.inherent import RelaxationSettings, relax
from symgnn_explain.structure.edits import Edit, Edited, apply_edits, read_edits
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

RELAXED = "relax"
"""What the step is called that brings all atoms to the nearest minimum of a potential."""


@dataclass(frozen=True, eq=False, repr=False)
class Step(Brief):
    """A structure on the way.

    Parameters
    ----------
    words
        The edits that led here from the step before; ``relax``; empty for the start.
    glass
        The structure.
    origin
        The number of each of its atoms at the start, -1 for those that were inserted, shape (N,).
    predictions
        Of every atom.
    """

    words: str
    glass: Glass
    origin: IntArray
    predictions: AtomPredictions


class WhatIf:
    """Asks what a network would predict of another structure.

    Parameters
    ----------
    predictor, glass
        What predicts, and the structure at the start.

    Raises
    ------
    InputError
        If the network does not know a species of the glass.

    Examples
    --------
    ::

        what_if = WhatIf(Predictor.load(), datasets.sample())
        what_if.edit("swap 12,2384; remove 7")
        what_if.changes(10)                        # the atoms whose predictions change most
        what_if.relax(EamCalculator("CuZr.eam.fs"))
        what_if.undo()
    """

    def __init__(self, predictor: Predictor, glass: Glass) -> None:
        self.start = self._live = LivePrediction.of(predictor, glass)
        self._steps = [Step("", glass, np.arange(len(glass)), self.start.predictions)]

    def __repr__(self) -> str:
        done = "; ".join(step.words for step in self._steps[1:]) or "nothing changed"
        return f"WhatIf({self.now.glass}, {done})"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The start, and what every edit has led to."""
        return tuple(self._steps)

    @property
    def now(self) -> Step:
        """The latest step."""
        return self._steps[-1]

    @property
    def live(self) -> LivePrediction:
        """The latest predictions, from which those after another edit are found."""
        if self._live.glass is not self.now.glass:  # after an undo
            self._live = self.start.after(Edited(self.now.glass, self.now.origin))
        return self._live

    def edit(self, edits: str | Edit | Sequence[Edit], **given: Any) -> Step:
        """Edit the latest structure, in words or by records, and predict what that reaches.

        Parameters
        ----------
        edits
            As for :func:`~symgnn_explain.structure.edits.read_edits`.
        given
            For selections in the words: ``selected``, say.

        Raises
        ------
        InputError
            If the edits cannot be understood or applied, or the network does not know a species; nothing has changed.
        """
        glass = self.now.glass
        read = read_edits(edits, glass, **given) if isinstance(edits, str) else edits
        chosen = list(read) if isinstance(read, Sequence) else [read]
        return self._take(apply_edits(glass, chosen), "; ".join(map(str, chosen)))

    def relax(self, calculator: Any, settings: RelaxationSettings | None = None, watch: Watch | None = None) -> Step:
        """Bring the latest structure to the nearest minimum of a potential: what is predicted there can be compared.

        Raises
        ------
        InputError
            If the potential cannot be used, or no minimum was found; nothing has changed.
        Cancelled
            If the watch was cancelled.
        """
        return self.become(relax(self.now.glass, calculator, settings, watch))

    def become(self, relaxed: Glass) -> Step:
        """Take what the latest structure relaxes into: the same atoms, in the same order."""
        if len(relaxed) != len(self.now.glass) or (relaxed.numbers != self.now.glass.numbers).any():
            raise InputError(f"{relaxed.name!r} does not have the atoms of {self.now.glass.name!r}.")
        return self._take(Edited(relaxed, np.arange(len(relaxed))), RELAXED)

    def undo(self) -> Step:
        """Go back to the step before, if there is one."""
        if len(self._steps) > 1:
            self._steps.pop()
        return self.now

    def _take(self, edited: Edited, words: str) -> Step:
        self._live = self.live.after(edited)
        origin = np.where(edited.origin < 0, -1, self.now.origin[edited.origin])
        self._steps.append(Step(words, edited.glass, origin, self._live.predictions))
        return self.now

    @property
    def change(self) -> FloatArray:
        """By how much the prediction of each atom differs from that at the start, shape (N,); NaN where it is new."""
        (before, *_), (values, *_), origin = self.start.predictions, self.now.predictions, self.now.origin
        return np.where(origin < 0, np.nan, values - before[origin])

    def now_of(self, atom: int) -> int | None:
        """Return the present number of an atom of the start; None where it was removed."""
        found = np.flatnonzero(self.now.origin == self.start.glass.require_atom(atom))
        return int(found[0]) if len(found) else None

    def changes(self, k: int = 10) -> pd.DataFrame:
        """List the ``k`` atoms whose predictions change most.

        Columns: atom, before (its number at the start), species, prediction_before, prediction, change, domain (score
        now, 1 at the edge of what training covered).
        """
        now, change = self.now, self.change
        rows = np.argsort(-np.nan_to_num(np.abs(change), nan=-1.0), kind="stable")[first_rows(k)]
        rows = rows[np.isfinite(change[rows])]
        symbols, (values, _, domain) = now.glass.symbols, now.predictions
        return pd.DataFrame(
            {
                "atom": rows,
                "before": now.origin[rows],
                "species": [symbols[row] for row in rows],
                "prediction_before": values[rows] - change[rows],
                "prediction": values[rows],
                "change": change[rows],
                "domain": np.nan if domain is None else domain[rows],
            }
        )
