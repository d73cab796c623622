"""How uncertain a prediction is, as a spread and as intervals that were measured on glasses held out of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, IntArray

LEVELS = (0.68, 0.95)
"""Central intervals that are stated, and whose coverage is reported."""

NORMAL = {f"{100 * level:.0f}": NormalDist().inv_cdf(0.5 + level / 2) for level in LEVELS}
"""Half widths of the intervals of a normal distribution, in standard deviations."""

_ROUNDING = 1e-9

GROWTH, POWER, FARTHEST = 1.2, 8, 1.3
"""With domain score d the variance grows by 1 + (1.2 d⁸)²; beyond a score of 1.3 it grows no more, and an interval is
several times as wide as labels spread. Chosen so that every group of glasses that was held out is covered."""


@dataclass(frozen=True)
class Calibration:
    """From how far members of an ensemble disagree, and from the domain score, to how far labels lie from their mean.

    The variance of a label about the prediction is taken as ``floor² + (scale · disagreement)²``: what every
    atom has, the noise of the labels included, and what grows where the members differ (deep ensembles:
    Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017). It grows with the domain score, since members agree in
    what none of them has learned. Half widths of intervals are quantiles of the absolute residuals in units of that
    spread (conformal prediction: Lei et al., J. Am. Stat. Assoc. 113, 1094, 2018), each group of related glasses
    counting as much as another.

    Parameters
    ----------
    floor
        Standard deviation where the members agree, far inside the domain, in the unit of the target.
    scale
        Factor of their standard deviation; 0 for a single network.
    growth
        By how much the variance grows with the domain score, see ``GROWTH``; 0 for not at all.
    half_widths
        Of the intervals, by level in per cent (``68``, ``95``), in units of the spread. Fewer than 3 residuals bound no
        68 % of others, and fewer than 19 no 95 %: such a level is left out.

    Examples
    --------
    >>> calibration = Calibration(floor=0.2, scale=1.5, growth=1.2)
    >>> calibration.spread(np.array([0.0, 0.0]), np.array([0.5, 1.0])).round(2)
    array([0.2 , 0.31])
    """

    floor: float
    scale: float
    growth: float = 0.0
    half_widths: Mapping[str, float] = field(default_factory=lambda: dict(NORMAL))

    def __post_init__(self) -> None:
        numbers = [self.floor, self.scale, self.growth, *self.half_widths.values()]
        if not (np.isfinite(numbers).all() and self.floor > 0 and min(numbers) >= 0):
            raise InputError(
                f"floor={self.floor} must be positive, and scale={self.scale}, growth={self.growth} and half widths "
                "must not be negative."
            )

    @classmethod
    def fit(
        cls,
        residual: FloatArray,
        disagreement: FloatArray,
        *,
        domain: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> Calibration:
        """Find the most likely spread, and the intervals that hold their share of the residuals.

        Parameters
        ----------
        residual
            Labels minus predictions of glasses that were held out, shape (N,).
        disagreement
            Standard deviation over the members, shape (N,); all 0 for a single network.
        domain
            Scores of the domain, shape (N,); None for a spread that does not grow with them.
        group
            Number of the group of related glasses that each atom belongs to, shape (N,); None for one.

        Raises
        ------
        InputError
            If there are fewer than two residuals, or all are 0.
        """
        if len(residual) < 2 or not np.any(residual):
            raise InputError("at least two residuals that are not all 0 are needed to calibrate a spread.")
        growth = 0.0 if domain is None else GROWTH
        inside = residual / _growth(growth, domain)
        weight = _equal_weights(np.zeros(len(residual), dtype=np.int64) if group is None else group)
        rms = float(np.sqrt(np.sum(weight * inside**2)))
        floor, scale = rms, 0.0
        if np.any(disagreement):
            floor, scale = _most_likely(inside, disagreement, weight, rms)
        spread = np.sqrt(floor**2 + (scale * disagreement) ** 2)
        return cls(floor=floor, scale=scale, growth=growth, half_widths=_half_widths(np.abs(inside) / spread, weight))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_dict` returned; what earlier versions wrote has neither growth nor half widths."""
        return cls(
            floor=float(stored["floor"] if "floor" in stored else stored["floor_ev"]),
            scale=float(stored["scale"]),
            growth=float(stored.get("growth", 0.0)),
            half_widths={str(level): float(width) for level, width in stored.get("half_widths", NORMAL).items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "floor": self.floor,
            "scale": self.scale,
            "growth": self.growth,
            "half_widths": dict(self.half_widths),
        }

    def spread(self, disagreement: FloatArray, domain: FloatArray | None = None) -> FloatArray:
        """Return the standard deviation of labels about predictions.

        Parameters
        ----------
        disagreement
            Standard deviation over the members, shape (N,).
        domain
            Scores of the domain, shape (N,); where None, atoms count as far inside.
        """
        return np.sqrt(self.floor**2 + (self.scale * disagreement) ** 2) * _growth(self.growth, domain)

    def intervals(self, spread: FloatArray) -> dict[str, FloatArray]:
        """Return the half widths of the intervals about predictions, by level in per cent, shape (N,) each."""
        return {level: width * spread for level, width in self.half_widths.items()}

    def coverage(self, residual: FloatArray, spread: FloatArray) -> dict[str, float]:
        """Return the share of residuals inside each interval."""
        return {level: float(np.mean(np.abs(residual) <= width)) for level, width in self.intervals(spread).items()}


def _growth(growth: float, domain: FloatArray | None) -> FloatArray | float:
    """Return the factor by which the spread is larger than far inside the domain."""
    if not growth or domain is None:
        return 1.0
    return np.asarray(np.sqrt(1 + (growth * np.minimum(domain, FARTHEST) ** POWER) ** 2))


def _equal_weights(group: IntArray) -> FloatArray:
    """Return weights of atoms that add up to the same for each group, and to 1 in all."""
    _, number, counts = np.unique(group, return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[number] / len(counts))


def _most_likely(residual: FloatArray, disagreement: FloatArray, weight: FloatArray, rms: float) -> tuple[float, float]:
    """Return floor and scale for normally distributed residuals."""
    from scipy.optimize import minimize

    def surprise(logarithms: FloatArray) -> float:
        variance = np.exp(2 * logarithms[0]) + np.exp(2 * logarithms[1]) * disagreement**2
        return float(np.sum(weight * (np.log(variance) + residual**2 / variance)))

    start = np.log([rms, rms / float(np.sqrt(np.mean(np.square(disagreement)))) / 2])
    floor, scale = np.exp(minimize(surprise, start, method="Nelder-Mead").x)
    return float(floor), float(scale)


def _half_widths(values: FloatArray, weight: FloatArray) -> dict[str, float]:
    """Return the smallest values below or at which so much of the weight lies that a further value would, as often.

    Of n values that is the share (n + 1) / n times the level. Where it is more than all of them, no interval is known.
    """
    order = np.argsort(values, kind="stable")
    reached, n_values = np.cumsum(weight[order]), 1 / np.sum(weight**2)
    shares = {f"{100 * level:.0f}": level * (1 + 1 / n_values) - _ROUNDING for level in LEVELS}
    return {
        level: float(values[order][min(int(np.searchsorted(reached, share)), len(values) - 1)])
        for level, share in shares.items()
        if share <= 1
    }
