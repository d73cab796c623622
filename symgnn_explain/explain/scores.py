"""What a method gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from symgnn_explain.structure.glass import FloatArray


@dataclass(frozen=True)
class NoSettings:
    """The method has no settings."""


@dataclass(frozen=True)
class UnitScores:
    """Scores of the units, shape (n_units,), with what the method says about them.

    Parameters
    ----------
    score
        A mask value in [0, 1] a unit, or a signed contribution in the unit of the prediction.
    signed
        Whether scores are signed contributions; then the edges of a unit share its score equally, else each has it.
    masked_prediction
        Prediction under the scores as a mask, where the method makes one.
    spread
        Standard deviation of each score over repetitions, shape (n_units,), where the method repeats itself.
    member_spread
        Standard deviation of each score over the members of an ensemble, shape (n_units,), where each was explained.
    diagnostics
        Further numbers, by name.
    """

    score: FloatArray
    signed: bool
    masked_prediction: float | None = None
    spread: FloatArray | None = None
    member_spread: FloatArray | None = None
    diagnostics: Mapping[str, float] = field(default_factory=dict)
