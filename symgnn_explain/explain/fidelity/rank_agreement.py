"""How alike two sets of scores rank the same units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.measure import importance_order
from symgnn_explain.structure.glass import FloatArray, IntArray


def top_overlap(first: FloatArray, second: FloatArray, k: int = 10) -> float:
    """Share of the ``k`` most important units (by absolute score) that two score vectors (n_units,) have in common."""
    _require_alike(first, second)
    k = min(k, len(first))
    return len(np.intersect1d(importance_order(first)[:k], importance_order(second)[:k])) / k


def rank_correlation(first: FloatArray, second: FloatArray, classes: IntArray | None = None) -> float:
    """Spearman's correlation of two vectors of absolute scores, shape (n_units,); ties share their mean rank.

    Scores that are all alike rank nothing, so they correlate with nothing: 0.

    Parameters
    ----------
    first, second
        Scores.
    classes
        A class for each unit, shape (n_units,): then ranks are those within the class, and the result is the mean of
        the classes' correlations weighted by their sizes; a class of one unit has none. With hops as classes, what two
        rankings share because both put the near before the far is left out.
    """
    from scipy.stats import rankdata

    _require_alike(first, second)
    classes = np.zeros(len(first), dtype=np.int64) if classes is None else classes
    total, n_ranked = 0.0, 0
    for value in np.unique(classes):
        members = classes == value
        if members.sum() < 2:
            continue
        n_ranked += int(members.sum())
        ranks = [rankdata(np.abs(scores[members])) for scores in (first, second)]
        if np.ptp(ranks[0]) > 0 and np.ptp(ranks[1]) > 0:
            total += members.sum() * float(np.corrcoef(*ranks)[0, 1])
    return total / n_ranked if n_ranked else 0.0


def roc_auc(truth: NDArray[np.bool_], score: FloatArray) -> float:
    """Probability that a true unit has a larger absolute score than a false one; a tie counts half.

    Raises
    ------
    InputError
        If all units are true, or none.
    """
    from scipy.stats import rankdata

    _require_alike(truth, score)
    n_true, n_false = int(truth.sum()), int((~truth).sum())
    if not n_true or not n_false:
        raise InputError("the area under the ROC curve needs true and false units.")
    ranks = rankdata(np.abs(score))
    return float((ranks[truth].sum() - n_true * (n_true + 1) / 2) / (n_true * n_false))


def _require_alike(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise InputError(f"scores of shapes {first.shape} and {second.shape} cannot be compared: expected one a unit.")
