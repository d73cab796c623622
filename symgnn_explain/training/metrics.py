"""How well predictions agree with known values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from symgnn_explain.errors import InputError


def regression_metrics(predicted: ArrayLike, known: ArrayLike) -> dict[str, float]:
    """Compute Pearson and Spearman correlation, and mean absolute and root-mean-square error.

    Parameters
    ----------
    predicted, known
        Shape (N,). Atoms whose known value is NaN are left out.

    Returns
    -------
    dict
        ``pearson``, ``spearman``, ``mae`` and ``rmse``. A correlation with values that are all equal is undefined: NaN.

    Raises
    ------
    InputError
        If the lengths differ, or fewer than two values are known.
    """
    guesses, labels = np.asarray(predicted, dtype=float), np.asarray(known, dtype=float)
    if guesses.shape != labels.shape or guesses.ndim != 1 or len(labels) < 2:
        raise InputError(
            f"metrics need two vectors of one length, at least 2 values each, got {guesses.shape} and {labels.shape}."
        )
    labelled = ~np.isnan(labels)
    if labelled.sum() < 2:
        raise InputError(f"metrics need at least 2 known values, and {labelled.sum()} of {len(labels)} are known.")
    x, y = guesses[labelled], labels[labelled]
    difference = x - y
    defined = np.ptp(x) > 0 and np.ptp(y) > 0
    return {
        "pearson": float(stats.pearsonr(x, y).statistic) if defined else np.nan,
        "spearman": float(stats.spearmanr(x, y).statistic) if defined else np.nan,
        "mae": float(np.abs(difference).mean()),
        "rmse": float(np.sqrt((difference**2).mean())),
    }
