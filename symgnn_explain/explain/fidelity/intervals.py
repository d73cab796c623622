"""Confidence intervals of a mean or a median over atoms, by the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    """Bounds between which 95 % of the draws lie, along the first axis."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return low, high


def bootstrap(
    sample: ArrayLike, *, statistic: Literal["mean", "median"] = "mean", seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Resample a sample, shape (n,), with replacement; percentile interval of its mean or median.

    A single value has no interval: its bounds are NaN.

    Raises
    ------
    InputError
        If the sample is empty or not finite.
    """
    values = np.asarray(sample, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"a sample of shape {values.shape} has no interval: give finite numbers, one an atom.")
    of = np.mean if statistic == "mean" else np.median
    if len(values) == 1:
        return Interval(float(values[0]), np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = quantiles(of(values[drawn], axis=1))
    return Interval(float(of(values)), float(low), float(high))
