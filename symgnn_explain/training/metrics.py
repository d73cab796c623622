"""How well predicted barriers agree with known ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from symgnn_explain.errors import InputError


def regression_metrics(predicted: ArrayLike, known: ArrayLike) -> dict[str, float]:
    """Compute Pearson and Spearman correlation, and mean absolute and root-mean-square error (eV).

    Returns
    -------
    dict
        ``pearson``, ``spearman``, ``mae`` and ``rmse``. A correlation with values that are all equal is undefined: NaN.

    Raises
    ------
    InputError
        If the lengths differ, or there are fewer than two values.
    """
    predicted, known = np.asarray(predicted, dtype=float), np.asarray(known, dtype=float)
    if predicted.shape != known.shape or predicted.ndim != 1 or len(known) < 2:
        raise InputError(
            f"metrics need two vectors of one length, at least 2 values each, got {predicted.shape} and {known.shape}."
        )
    difference = predicted - known
    defined = np.ptp(predicted) > 0 and np.ptp(known) > 0
    return {
        "pearson": float(stats.pearsonr(predicted, known).statistic) if defined else np.nan,
        "spearman": float(stats.spearmanr(predicted, known).statistic) if defined else np.nan,
        "mae": float(np.abs(difference).mean()),
        "rmse": float(np.sqrt((difference**2).mean())),
    }
