"""How well a ranking of units accounts for a prediction: keep only the best k, or mask only them, and predict.

PyG's fidelity is for classes. For a number these are changes of the prediction, |Δŷ|: *sufficiency* when only the
most important units are kept, *necessity* when only they are masked. Over all k they are the insertion and the
deletion curve (Petsiuk et al., BMVC 2018), here over the logarithm of k, since a handful of 20 000 units is what a
reader can look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.plain import NotPlainError, finite, numbers
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import FloatArray, IntArray

STANDARD_COUNTS = (1, 3, 10, 50, 300, 1000)
"""Numbers of units that every explanation is checked at."""


@dataclass(frozen=True, eq=False, repr=False)
class Fidelity(Brief):
    """Predictions with only the ``count`` most important units, and with all but them.

    Parameters
    ----------
    count
        Numbers of units in ascending order, shape (n,).
    kept, removed
        Predictions with only, and without, so many most important units, shape (n,).
    original, baseline
        Predictions with all units, and with none.
    prediction_spread
        Standard deviation of the glass's predictions; None where it is not known.
    quantity
        What is predicted: it says which change counts as none.
    """

    count: IntArray
    kept: FloatArray
    removed: FloatArray
    original: float
    baseline: float
    prediction_spread: float | None = None
    quantity: Target = BARRIER

    @property
    def sufficiency(self) -> FloatArray:
        """|change| of the prediction when only so many units are kept, shape (n,): the smaller the better."""
        return np.abs(self.kept - self.original)

    @property
    def necessity(self) -> FloatArray:
        """|change| of the prediction when so many units are removed, shape (n,): the larger the better."""
        return np.abs(self.removed - self.original)

    @property
    def insertion_area(self) -> float:
        """Mean sufficiency over log k, between the smallest and the largest count ≥ 1: the smaller the better.

        A perfect ranking of a prediction that hangs on one unit has 0, and ``deletion_area`` |original - baseline|.
        Areas compare rankings that were checked at the same counts.
        """
        return _mean_over_log_count(self.count, self.sufficiency)

    @property
    def deletion_area(self) -> float:
        """Mean necessity over log k, between the smallest and the largest count ≥ 1: the larger the better."""
        return _mean_over_log_count(self.count, self.necessity)

    def sufficient_count(self, tolerance: float | None = None) -> int | None:
        """Smallest count from which on keeping suffices: |Δŷ| ≤ ``tolerance`` there and at all larger counts.

        The tolerance is that of the quantity where None. None where the largest count does not suffice. A curve that
        crosses the original prediction by accident and leaves it again is not counted as sufficient.
        """
        suffices = self.sufficiency <= (self.quantity.required_tolerance if tolerance is None else tolerance)
        from_here_on = np.logical_and.accumulate(suffices[::-1])[::-1]
        return int(self.count[from_here_on.argmax()]) if from_here_on.any() else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; whoever keeps them knows the quantity."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
            if name != "quantity"
        }

    @classmethod
    def from_dict(cls, plain: Any, quantity: Target = BARRIER) -> Fidelity:
        """Invert :meth:`to_dict`; raises NotPlainError where that is not what was given."""
        count = numbers(plain, "count", np.int64, (None,))
        if not len(count) or (np.diff(count, prepend=-1) <= 0).any():
            raise NotPlainError("the numbers of units at which it was checked do not ascend")
        return cls(
            count=count,
            kept=numbers(plain, "kept", np.float64, (len(count),)),
            removed=numbers(plain, "removed", np.float64, (len(count),)),
            original=finite(plain, "original"),
            baseline=finite(plain, "baseline"),
            prediction_spread=None
            if plain.get("prediction_spread") is None
            else finite(plain, "prediction_spread", least=0.0),
            quantity=quantity,
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a count: count, kept, removed, sufficiency, necessity, and both in spreads where there is one."""
        table = pd.DataFrame(
            {
                "count": self.count,
                "kept": self.kept,
                "removed": self.removed,
                "sufficiency": self.sufficiency,
                "necessity": self.necessity,
            }
        )
        if self.prediction_spread:  # that of a single atom is 0
            table["sufficiency_in_spreads"] = self.sufficiency / self.prediction_spread
            table["necessity_in_spreads"] = self.necessity / self.prediction_spread
        return table


def fidelity(
    prediction: MaskedPrediction,
    order: IntArray,
    counts: Sequence[int] | IntArray = STANDARD_COUNTS,
    *,
    watch: Watch | None = None,
) -> Fidelity:
    """Keep, and remove, the first units of ``order``, for each of ``counts``.

    Parameters
    ----------
    prediction
        The prediction as a function of a mask; its semantics say what removing means.
    order
        All units from the most to the least important, shape (n_units,).
    counts
        Numbers of units; those that the prediction does not have are left out. :func:`log_counts` for curves.
    watch
        Progress and cancellation.

    Raises
    ------
    InputError
        If ``order`` does not name every unit once, or a count is negative.
    """
    order = np.asarray(order)
    if not np.array_equal(np.sort(order), np.arange(prediction.n_units)):
        raise InputError(f"the order must name each of the {prediction.n_units} units once.")
    possible = np.unique(np.asarray([count for count in counts if count <= prediction.n_units], dtype=np.int64))
    if possible.size and possible[0] < 0:
        raise InputError(f"count={possible[0]} must not be negative.")
    ranked = torch.from_numpy(np.ascontiguousarray(order))
    chosen = [ranked[:count] for count in possible]
    masks = [prediction.keep(units) for units in chosen] + [prediction.remove(units) for units in chosen]
    with torch.no_grad(), one_thread():
        predicted = prediction.batch(torch.stack(masks)).double().cpu().numpy() if masks else np.empty(0)
    (watch or Watch()).advance(1.0)
    return Fidelity(
        count=possible,
        kept=predicted[: len(possible)],
        removed=predicted[len(possible) :],
        original=prediction.original,
        baseline=prediction.baseline,
        prediction_spread=float(prediction.prepared.compared.std()),
        quantity=prediction.prepared.target,
    )


def log_counts(n_units: int, *, per_decade: int = 8) -> IntArray:
    """Choose the counts of a curve: 0, an even grid of log k, the standard counts, and all units."""
    decades = np.log10(max(n_units, 1))
    grid = np.rint(10 ** (np.arange(int(decades * per_decade) + 1) / per_decade)).astype(np.int64)
    counts = np.unique(np.concatenate([[0], grid, STANDARD_COUNTS, [n_units]]))
    return counts[counts <= n_units]


def importance_order(score: FloatArray) -> IntArray:
    """Units from the most to the least important, by absolute score; ties in the order of the units."""
    return np.argsort(-np.abs(score), kind="stable")


def _mean_over_log_count(count: IntArray, value: FloatArray) -> float:
    counted = count >= 1
    if counted.sum() < 2:
        raise InputError("an area needs at least two counts of 1 or more.")
    place, height = np.log(count[counted]), value[counted]
    return float(np.diff(place) @ (height[1:] + height[:-1]) / 2 / (place[-1] - place[0]))
