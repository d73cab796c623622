"""Confidence intervals of 95 % over atoms, edges or blocks that are a sample, honest for few of them too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A statistic of a sample with its 95 % interval."""

    value: float
    low: float
    high: float


def quantiles(draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bounds between which 95 % of the draws of a null model lie, along the first axis."""
    return _tails(draws, (1 - CONFIDENCE) / 2)


def resampled_quantiles(draws: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """95 % interval from what ``size`` values give when they are drawn with replacement, along the first axis.

    Between plain quantiles lie too few of the true values where ``size`` is small: of means of normally distributed
    values 75, 83 and 92 % with 3, 6 and 20. So they are taken further out, as much as makes an interval of a mean as
    wide as Student's (the expanded percentile interval of Hesterberg, The American Statistician 69, 371, 2015): 75, 92
    and 94 %. One value alone has no interval: the bounds are NaN.
    """
    from scipy.stats import norm, t

    if size < 2:
        unknown = np.full(np.shape(draws)[1:], np.nan)
        return unknown, unknown.copy()
    return _tails(draws, float(norm.cdf(np.sqrt(size / (size - 1)) * t.ppf((1 - CONFIDENCE) / 2, size - 1))))


def _tails(draws: FloatArray, tail: float) -> tuple[FloatArray, FloatArray]:
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def mean_interval(sample: ArrayLike) -> Interval:
    """Mean of a sample, shape (n,), with Student's interval; a single value has none, its bounds are NaN.

    Raises
    ------
    InputError
        If the sample is empty or not finite.
    """
    from scipy.stats import t

    values = _finite(sample)
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, np.nan, np.nan)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - reach, mean + reach)


def median_interval(sample: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Do the same for a median, by resampling."""
    values = _finite(sample)
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = resampled_quantiles(np.median(values[drawn], axis=1), len(values))
    return Interval(float(np.median(values)), float(low), float(high))


def _finite(sample: ArrayLike) -> FloatArray:
    values = np.asarray(sample, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"a sample of shape {values.shape} has no interval: give finite numbers, one an atom.")
    return values
