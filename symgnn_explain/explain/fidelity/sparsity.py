"""How many units hold an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray

STANDARD_SHARES = (1, 10, 50, 300, 1000)


@dataclass(frozen=True)
class Sparsity:
    """How absolute scores are spread over units.

    Parameters
    ----------
    effective_number
        exp(entropy of |score| / Σ|score|): as many equal scores have the same entropy; from 1 to ``n_units``.
    gini
        Gini coefficient: 0 where all scores are equal, 1 - 1 / n_units where one unit has all.
    share_of_top
        Share of Σ|score| that the k most important units have, by k.
    n_units
        How many units were scored.
    """

    effective_number: float
    gini: float
    share_of_top: Mapping[int, float]
    n_units: int

    def to_frame(self) -> pd.DataFrame:
        """One row: effective_number, gini, n_units, share_of_top_1 and so on."""
        shares = {f"share_of_top_{k}": share for k, share in self.share_of_top.items()}
        row = {"effective_number": self.effective_number, "gini": self.gini, "n_units": self.n_units}
        return pd.DataFrame([row | shares])


def sparsity(score: FloatArray, counts: Sequence[int] = STANDARD_SHARES) -> Sparsity:
    """Measure how concentrated scores (n_units,) are, by their absolute values.

    Raises
    ------
    InputError
        If all scores are 0.
    """
    magnitude = np.sort(np.abs(score))[::-1]
    total = magnitude.sum()
    if not total > 0:
        raise InputError("all scores are 0: nothing is explained, so sparsity has no meaning.")
    share = magnitude / total
    positive = share[share > 0]
    n_units, cumulative = len(share), np.cumsum(share)
    # With shares in descending order, the Lorenz curve counted from the largest.
    gini = (2 * cumulative.sum() - 1) / n_units - 1
    return Sparsity(
        effective_number=float(np.exp(-(positive * np.log(positive)).sum())),
        gini=float(gini),
        share_of_top=MappingProxyType({k: float(cumulative[k - 1]) for k in counts if 1 <= k <= n_units}),
        n_units=n_units,
    )
