"""How uncertain a prediction is, as a standard deviation that was measured on glasses held out of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray

LEVELS = (0.68, 0.95)
"""Central intervals whose coverage is reported."""


@dataclass(frozen=True)
class Calibration:
    """From how far the members of an ensemble disagree to how far labels lie from their mean.

    The variance of a label about the prediction is taken as ``floor² + (scale · disagreement)²``: what every
    atom has, the noise of the labels included, and what grows where the members differ (deep ensembles:
    Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017).

    Parameters
    ----------
    floor
        Standard deviation where the members agree, in the unit of the target.
    scale
        Factor of their standard deviation; 0 for a single network.
    """

    floor: float
    scale: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.floor, self.scale]).all() and self.floor > 0 and self.scale >= 0):
            raise InputError(f"floor={self.floor} must be positive, and scale={self.scale} not negative.")

    @classmethod
    def fit(cls, residual: FloatArray, disagreement: FloatArray) -> Calibration:
        """Find the most likely values for normally distributed residuals.

        Parameters
        ----------
        residual
            Labels minus predictions of glasses that were held out, shape (N,).
        disagreement
            Standard deviation over the members, shape (N,); all 0 for a single network.

        Raises
        ------
        InputError
            If there are fewer than two residuals, or all are 0.
        """
        from scipy.optimize import minimize

        rms = float(np.sqrt(np.mean(np.square(residual)))) if len(residual) else 0.0
        if len(residual) < 2 or rms == 0:
            raise InputError("at least two residuals that are not all 0 are needed to calibrate a spread.")
        if not np.any(disagreement):
            return cls(floor=rms, scale=0.0)

        def surprise(logarithms: FloatArray) -> float:
            variance = np.exp(2 * logarithms[0]) + np.exp(2 * logarithms[1]) * disagreement**2
            return float(np.mean(np.log(variance) + residual**2 / variance))

        start = np.log([rms, rms / float(np.sqrt(np.mean(np.square(disagreement)))) / 2])
        found = minimize(surprise, start, method="Nelder-Mead")
        floor, scale = np.exp(found.x)
        return cls(floor=float(floor), scale=float(scale))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_dict` returned."""
        return cls(
            floor=float(stored["floor"] if "floor" in stored else stored["floor_ev"]), scale=float(stored["scale"])
        )

    def to_dict(self) -> dict[str, float]:
        """Return plain values, ready for JSON."""
        return {"floor": self.floor, "scale": self.scale}

    def spread(self, disagreement: FloatArray) -> FloatArray:
        """Return the standard deviation of labels about predictions, by the members' disagreement."""
        return np.sqrt(self.floor**2 + (self.scale * disagreement) ** 2)


def coverage(residual: FloatArray, spread: FloatArray) -> dict[str, float]:
    """Return the share of residuals inside the central intervals of 68 % and 95 % of a normal distribution."""
    inside = {}
    for level in LEVELS:
        width = NormalDist().inv_cdf(0.5 + level / 2)
        inside[f"{100 * level:.0f}"] = float(np.mean(np.abs(residual) <= width * spread))
    return inside
