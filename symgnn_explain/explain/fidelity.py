"""How well a ranking of units accounts for a prediction: keep only the best k, or mask only them, and predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from symgnn_explain.explain.masked_prediction import MaskedPrediction
from symgnn_explain.glass import FloatArray, IntArray

STANDARD_COUNTS = (1, 3, 10, 50, 300, 1000)
"""Numbers of units that every explanation is checked at."""


@dataclass(frozen=True, eq=False)
class Fidelity:
    """Predictions with only the ``count`` most important units, and with all but them.

    Parameters
    ----------
    count
        Numbers of units, shape (n,).
    kept, removed
        Predictions with only, and without, so many most important units, shape (n,), eV.
    original, baseline
        Predictions with all units, and with none, eV.
    """

    count: IntArray
    kept: FloatArray
    removed: FloatArray
    original: float
    baseline: float

    @property
    def sufficiency(self) -> FloatArray:
        """|change| of the prediction when only so many units are kept, shape (n,), eV: the smaller the better."""
        return np.abs(self.kept - self.original)

    @property
    def necessity(self) -> FloatArray:
        """|change| of the prediction when so many units are removed, shape (n,), eV: the larger the better."""
        return np.abs(self.removed - self.original)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Fidelity:
        """Invert :meth:`to_dict`."""
        arrays = {name: np.array(plain[name], dtype=np.float64) for name in ("kept", "removed")}
        count = np.array(plain["count"], dtype=np.int64)
        return cls(count=count, **arrays, original=plain["original"], baseline=plain["baseline"])

    def to_frame(self) -> pd.DataFrame:
        """One row a count: count, kept, removed, sufficiency, necessity (eV)."""
        return pd.DataFrame(
            {
                "count": self.count,
                "kept": self.kept,
                "removed": self.removed,
                "sufficiency": self.sufficiency,
                "necessity": self.necessity,
            }
        )


@torch.no_grad()
def fidelity(prediction: MaskedPrediction, order: IntArray, counts: Sequence[int] = STANDARD_COUNTS) -> Fidelity:
    """Keep, and remove, the first units of ``order``, shape (n_units,), for each of ``counts``."""
    possible = np.array([count for count in counts if count <= prediction.n_units], dtype=np.int64)
    chosen = [order[:count].copy() for count in possible]
    return Fidelity(
        count=possible,
        kept=np.array([float(prediction(prediction.keep(units))) for units in chosen]),
        removed=np.array([float(prediction(prediction.remove(units))) for units in chosen]),
        original=prediction.original,
        baseline=prediction.baseline,
    )
