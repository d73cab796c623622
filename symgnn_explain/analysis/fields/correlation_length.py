"""Correlation lengths of a decaying correlation C(r), by two stated definitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.analysis.nulls.null_models import resampled_interval
from symgnn_explain.structure.glass import FloatArray

FEWEST_POINTS = 3
"""An exponential is fitted to at least so many points."""

_GRID = np.geomspace(0.1, 200.0, 1500)
_LONGEST_IN_RANGES = 2.0


@dataclass(frozen=True)
class CorrelationLength:
    """A correlation length with its interval.

    Parameters
    ----------
    value, low, high
        Å; 95 % of the bootstrap lies between ``low`` and ``high``. These are NaN where there is no bootstrap.
    amplitude
        C(r) that the decay starts from: at the first point for the integral, at r = 0 for the exponential.
    misfit
        Root mean square difference between C(r) and the exponential; None for the integral. An amplitude well above 1
        or a misfit that is not small says that the decay is no exponential.
    r_min, r_zero
        The decay was followed from here to where C(r) first falls to zero, or to the last point, Å.
    truncated
        Whether C(r) is still above zero at the last point, so that the length is a lower bound.
    """

    value: float
    low: float
    high: float
    amplitude: float
    misfit: float | None
    r_min: float
    r_zero: float
    truncated: bool


def integral_length(
    r: FloatArray, correlation: FloatArray, resampled: FloatArray, n_blocks: int
) -> CorrelationLength | None:
    r"""Integral of C(r) from the first point to its first zero, over its value at the first point.

    :math:`\xi = \int_{r_1}^{r_0} C(r)\,dr / C(r_1)`. Dividing by :math:`C(r_1)` rather than by :math:`C(0) = 1` takes
    noise that is independent from atom to atom out of the length; an exponential decay has its own decay length.

    Parameters
    ----------
    r, correlation
        Shape (B,), Å and 1.
    resampled
        Bootstrap of ``correlation``, shape (draws, B).
    n_blocks
        How many blocks are resampled.

    Returns
    -------
    CorrelationLength or None
        None where C(r) is not positive at the first point, or there is only one.
    """
    value = _integral(r, correlation)
    if value is None:
        return None
    draws = [draw for curve in resampled if (draw := _integral(r, curve)) is not None]
    zero, truncated = _first_zero(r, correlation)
    amplitude = float(correlation[0])
    return CorrelationLength(
        value, *resampled_interval(np.array(draws), n_blocks), amplitude, None, float(r[0]), zero, truncated
    )


def exponential_length(
    r: FloatArray, correlation: FloatArray, resampled: FloatArray, n_blocks: int
) -> CorrelationLength | None:
    r"""Decay length of :math:`A \exp(-r / \xi)`, fitted by least squares to the points up to the first zero.

    Parameters
    ----------
    r, correlation
        Shape (B,), Å and 1.
    resampled
        Bootstrap of ``correlation``, shape (draws, B).
    n_blocks
        How many blocks are resampled.

    Returns
    -------
    CorrelationLength or None
        None where fewer than three points are positive before the first zero, or the decay is slower than the range of
        ``r`` can tell (more than twice as long).
    """
    zero, truncated = _first_zero(r, correlation)
    used = r < zero if not truncated else np.ones(len(r), dtype=bool)
    if used.sum() < FEWEST_POINTS:
        return None
    decays = np.exp(-r[used] / _GRID[:, None])
    norm = (decays**2).sum(axis=1)
    overlap = np.concatenate([correlation[None, used], resampled[:, used]]) @ decays.T
    # The best amplitude for each length is overlap / norm; what it explains is overlap² / norm.
    explained = np.where(overlap > 0, overlap**2 / norm, -np.inf)
    best = explained.argmax(axis=1)
    length = float(_GRID[best[0]])
    if length > _LONGEST_IN_RANGES * (r[used][-1] - r[0]):
        return None
    amplitude = float(overlap[0, best[0]] / norm[best[0]])
    misfit = float(np.sqrt(np.mean((correlation[used] - amplitude * decays[best[0]]) ** 2)))
    lengths = np.where(np.isfinite(overlap[1:]).all(axis=1), _GRID[best[1:]], np.nan)
    return CorrelationLength(
        length, *resampled_interval(lengths, n_blocks), amplitude, misfit, float(r[0]), zero, truncated
    )


def _integral(r: FloatArray, correlation: FloatArray) -> float | None:
    if correlation[0] <= 0 or len(r) < 2:
        return None
    zero, truncated = _first_zero(r, correlation)
    used = r < zero if not truncated else np.ones(len(r), dtype=bool)
    places, values = r[used], correlation[used]
    if not truncated:
        places, values = np.append(places, zero), np.append(values, 0.0)
    return float(np.trapezoid(values, places) / correlation[0])


def _first_zero(r: FloatArray, correlation: FloatArray) -> tuple[float, bool]:
    """Where C(r) first falls to zero, by linear interpolation; the last point, and True, where it does not."""
    negative = np.flatnonzero(correlation <= 0)
    if negative.size == 0:
        return float(r[-1]), True
    after = int(negative[0])
    if after == 0:
        return float(r[0]), False
    before = after - 1
    fall = correlation[before] - correlation[after]
    return float(r[before] + (r[after] - r[before]) * correlation[before] / fall), False
