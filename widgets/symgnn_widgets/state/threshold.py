"""How many of the most important edges are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from traitlets import Enum, Float, HasTraits, Int, observe

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import FloatArray

MOST_SHOWN = 400
"""Edges that are shown at most, however small the threshold."""

THRESHOLDS = ("number", "share", "value")
"""What can decide on the number."""


class Threshold(HasTraits):
    """So many edges, or a share of the sum of all scores, or a smallest score; ``k`` is the number that follows."""

    k = Int(50, min=1, help="how many of the most important edges are shown")
    threshold_by = Enum(THRESHOLDS, default_value="number", help="what decides on k")
    share = Float(0.25, min=0.0, max=1.0, help="of the sum of all scores that the shown edges hold together")
    least = Float(0.5, min=0.0, help="smallest absolute score of a shown edge")

    def __init__(self) -> None:
        super().__init__()
        self._number = self.k  # chosen by hand, while a share or a value decides
        self._scores: FloatArray | None = None

    def follow(self, explanation: AtomExplanation | None) -> None:
        """Take the edges of another explanation; ``k`` changes with the next threshold."""
        self._scores = None if explanation is None else np.sort(np.abs(explanation.score))[::-1]

    def apply(self, explanation: AtomExplanation) -> None:
        """Set ``k`` for an explanation that is about to be shown."""
        self.follow(explanation)
        self.k = self.shown_edges(explanation)

    def shown_edges(self, explanation: AtomExplanation) -> int:
        """How many of an explanation's edges the threshold lets through: 1 to ``MOST_SHOWN``."""
        return self._count(np.sort(np.abs(explanation.score))[::-1])

    def _count(self, scores: FloatArray) -> int:
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

    @observe("threshold_by", "share", "least")
    def _follow_threshold(self, change: dict[str, Any]) -> None:
        if change["old"] == "number":
            self._number = self.k
        elif change["new"] == "number":
            self.k = self._number
        if self._scores is not None:
            self.k = self._count(self._scores)
