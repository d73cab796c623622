"""Null models over many explained atoms: the mean over atoms against the mean over the draws made for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from symgnn_explain.analysis.nulls.candidates import Candidates
from symgnn_explain.analysis.nulls.null_models import ROUNDING, NullModel, resampled_interval, tested, with_q_values
from symgnn_explain.explain.fidelity.intervals import RESAMPLES, Interval, mean_interval
from symgnn_explain.structure.glass import FloatArray

UNKNOWN = Interval(np.nan, np.nan, np.nan)

_BOUNDED = ("observed", "expected", "difference", "effect")
COLUMNS = (
    *("family", "name", "compared_with", "n"),
    *(f"{name}{bound}" for name in _BOUNDED for bound in ("", "_low", "_high")),
    *("effect_is", "p_value"),
)
"""Of a table of comparisons, before its q-values, see :meth:`PopulationAnalysis.statistics_frame`."""


class NullPool:
    """Gathers, atom after atom, what was observed of each statistic and what each null model drew.

    Draw ``d`` of the population consists of draw ``d`` of every atom. So the test asks whether importances that are
    random within each receptive field would have such a mean. It takes the atoms for independent; where receptive
    fields overlap they are not quite, and p-values are then too small.
    """

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        self._drawn: dict[tuple[str, str, str], FloatArray] = {}

    def add(self, family: str, name: str, null: str, *, observed: float, expected: float, drawn: FloatArray) -> None:
        """Add one atom; ``drawn`` is the statistic of each draw, shape (draws,)."""
        if np.isfinite(observed) and np.isfinite(expected) and np.isfinite(drawn).all():
            key = (family, name, null)
            self._pairs.setdefault(key, []).append((observed, expected))
            self._drawn[key] = self._drawn.get(key, 0.0) + drawn

    def add_means(
        self,
        values: Mapping[tuple[str, str], FloatArray],
        candidates: Candidates,
        nulls: Iterable[NullModel],
        draws: int,
        random: np.random.Generator,
    ) -> None:
        """Add means of values by family and name, over one atom's candidates, shape (M,), against each null model."""
        columns = np.stack(list(values.values()), axis=1)
        observed = columns[candidates.chosen].mean(axis=0)
        for null in nulls:
            if null.fits(candidates):
                drawn = null.draw(candidates, draws, random)
                expected, means = drawn.expected(columns), drawn.means(columns).T
                for key, here, there, of_draws in zip(values, observed, expected, means, strict=True):
                    self.add(*key, null.name, observed=float(here), expected=float(there), drawn=of_draws)

    def of(self, family: str, name: str, null: str) -> tuple[FloatArray, FloatArray]:
        """Observed and expected values of each atom; empty where there are none."""
        observed, expected = np.reshape(self._pairs.get((family, name, null), []), (-1, 2)).T
        return observed, expected

    def comparisons(self) -> list[dict[str, Any]]:
        """Test every statistic against every null model that leaves it a choice: rows of :data:`COLUMNS`."""
        found = []
        for key, total in self._drawn.items():
            observed, expected = self.of(*key)
            if np.ptp(total) <= ROUNDING * len(observed):
                continue
            seen, difference = estimate(observed), estimate(observed - expected)
            test = tested(seen.value, total / len(observed), float(expected.mean()))
            found.append(
                dict(zip(("family", "name", "compared_with"), key, strict=True))
                | _bounded("observed", seen)
                | _bounded("expected", Interval(test["expected"], test["null_low"], test["null_high"]))
                | _bounded("difference", difference)
                | {"n": len(observed), "effect": test["effect"], "p_value": test["p_value"]}
                | {"effect_is": "standard deviations of the null"}
            )
        return found


def estimate(sample: ArrayLike) -> Interval:
    """Mean over atoms, those without a value left out, and its 95 % interval (nan for one)."""
    values = np.asarray(sample, dtype=np.float64)
    values = values[np.isfinite(values)]
    return mean_interval(values) if len(values) else UNKNOWN


def ratio_estimate(above: FloatArray, below: FloatArray, *, seed: int = 0) -> Interval:
    """Ratio of two means over the same atoms, and its interval from resampling the atoms."""
    if not len(below) or below.sum() <= 0:
        return UNKNOWN
    value = float(above.sum() / below.sum())
    if len(below) < 2:
        return Interval(value, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(len(below), size=(RESAMPLES, len(below)))
    resampled = below[drawn].sum(axis=1)
    known = resampled > 0
    return Interval(value, *resampled_interval(above[drawn].sum(axis=1)[known] / resampled[known], len(below)))


def corrected(comparisons: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Lay out comparisons a row each, with the q-value among all tests against the same."""
    return with_q_values(pd.DataFrame(list(comparisons), columns=COLUMNS), "compared_with")


def effects_between(
    low: pd.DataFrame, high: pd.DataFrame, names: Mapping[str, str], *, compared_with: str, seed: int = 0
) -> list[dict[str, Any]]:
    """Compare two groups of atoms in each column: Cliff's delta, and a Mann-Whitney test: rows of :data:`COLUMNS`.

    Cliff's delta is the chance that an atom of the first group has the larger value minus the chance that one of the
    second has.

    Parameters
    ----------
    low, high
        One row an atom; rows without a value are left out.
    names
        Family of each column that is compared.
    compared_with
        What the second group is called.
    """
    from scipy.stats import mannwhitneyu

    found = []
    for column, family in names.items():
        here, there = (table[column].dropna().to_numpy(dtype=np.float64) for table in (low, high))
        both = np.concatenate([here, there])
        if min(len(here), len(there)) < 2 or np.ptp(both) <= ROUNDING:
            continue
        observed, expected = estimate(here), estimate(there)
        larger = np.sign(here[:, None] - there)
        random = np.random.default_rng(seed)
        of_here = random.multinomial(len(here), np.full(len(here), 1 / len(here)), size=RESAMPLES) / len(here)
        of_there = random.multinomial(len(there), np.full(len(there), 1 / len(there)), size=RESAMPLES) / len(there)
        size = min(len(here), len(there))
        difference = resampled_interval(of_here @ here - of_there @ there, size)
        effect = resampled_interval(np.einsum("bi,ij,bj->b", of_here, larger, of_there, optimize=True), size)
        found.append(
            {"family": family, "name": column, "compared_with": compared_with, "n": len(both)}
            | _bounded("observed", observed)
            | _bounded("expected", expected)
            | _bounded("difference", Interval(observed.value - expected.value, *difference))
            | _bounded("effect", Interval(float(larger.mean()), *effect))
            | {"effect_is": "Cliff's delta", "p_value": float(mannwhitneyu(here, there).pvalue)}
        )
    return found


def _bounded(name: str, found: Interval) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
