"""Null models over many explained atoms: the mean over atoms against the mean over the draws made for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from symgnn_explain.analysis.nulls.null_models import NullDraws, interval, two_sided_p
from symgnn_explain.explain.fidelity.intervals import RESAMPLES, bootstrap
from symgnn_explain.structure.glass import FloatArray

ROUNDING = 1e-9
"""Draws of a null model that differ by less are the same."""


@dataclass(frozen=True)
class Estimate:
    """A statistic over explained atoms, with a 95 % interval from resampling the atoms; nan for a single atom."""

    value: float
    low: float
    high: float

    def summary(self) -> dict[str, float | None]:
        """Value and bounds, ready for JSON; what is undefined is None."""
        return {name: number if np.isfinite(number) else None for name, number in asdict(self).items()}


UNKNOWN = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Comparison:
    """One statistic of explained atoms against what it is compared with.

    Parameters
    ----------
    family, name
        What was compared.
    compared_with
        Name of a null model, or of a group of atoms, ``hard atoms``.
    n
        Explained atoms that have the statistic.
    observed, observed_low, observed_high
        Mean over these atoms (over those with low predictions, where they are compared with those with high ones), and
        its interval.
    expected, expected_low, expected_high
        What the null model expects of that mean, and where 95 % of its draws lie; or mean over the atoms with high
        predictions, and its interval.
    difference, difference_low, difference_high
        Observed minus expected, with an interval from resampling the atoms.
    effect, effect_low, effect_high
        Size of the effect, and its interval where it has one.
    effect_is
        ``standard deviations of the null``, or ``Cliff's delta``.
    p_value, q_value
        Two-sided; and corrected for all tests against the same (Benjamini and Hochberg, 1995).
    """

    family: str
    name: str
    compared_with: str
    n: int
    observed: float
    observed_low: float
    observed_high: float
    expected: float
    expected_low: float
    expected_high: float
    difference: float
    difference_low: float
    difference_high: float
    effect: float
    effect_low: float
    effect_high: float
    effect_is: str
    p_value: float
    q_value: float = np.nan


@dataclass
class _Pooled:
    observed: list[float]
    expected: list[float]
    drawn: FloatArray


class NullPool:
    """Gathers, atom after atom, what was observed of each statistic and what each null model drew.

    Draw ``d`` of the population consists of draw ``d`` of every atom. So the test asks whether importances that are
    random within each receptive field would have such a mean. It takes the atoms for independent; where receptive
    fields overlap they are not quite, and p-values are then too small.
    """

    def __init__(self) -> None:
        self._gathered: dict[tuple[str, str, str], _Pooled] = {}

    def add(self, family: str, name: str, null: str, *, observed: float, expected: float, drawn: FloatArray) -> None:
        """Add one atom; ``drawn`` is the statistic of each draw, shape (draws,)."""
        if not (np.isfinite(observed) and np.isfinite(expected) and np.isfinite(drawn).all()):
            return
        pooled = self._gathered.setdefault((family, name, null), _Pooled([], [], np.zeros(len(drawn))))
        pooled.observed.append(observed)
        pooled.expected.append(expected)
        pooled.drawn = pooled.drawn + drawn

    def add_means(
        self,
        family: str,
        names: Sequence[str],
        null: str,
        *,
        values: FloatArray,
        chosen: NDArray[np.bool_],
        drawn: NullDraws,
    ) -> None:
        """Add the means of ``values``, shape (M, P), over one atom's chosen candidates and over those drawn instead."""
        observed = values[chosen].mean(axis=0)
        expected = drawn.expectation @ values / drawn.rows.shape[1]
        means = values[drawn.rows].mean(axis=1)
        for place, name in enumerate(names):
            self.add(
                family,
                name,
                null,
                observed=float(observed[place]),
                expected=float(expected[place]),
                drawn=means[:, place],
            )

    def of(self, family: str, name: str, null: str) -> tuple[FloatArray, FloatArray]:
        """Observed and expected values of each atom; empty where there are none."""
        pooled = self._gathered.get((family, name, null))
        return (np.zeros(0), np.zeros(0)) if pooled is None else (np.array(pooled.observed), np.array(pooled.expected))

    def comparisons(self, seed: int = 0) -> list[Comparison]:
        """Test every statistic against every null model that leaves it a choice, without correction."""
        return [
            _compare(*key, pooled, seed)
            for key, pooled in self._gathered.items()
            if np.ptp(pooled.drawn) > ROUNDING * len(pooled.observed)
        ]


def estimate(sample: ArrayLike, *, seed: int = 0) -> Estimate:
    """Mean over atoms, those without a value left out, and its interval from resampling the atoms."""
    values = np.asarray(sample, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Estimate(float(values[0]), np.nan, np.nan) if len(values) else UNKNOWN
    found = bootstrap(values, seed=seed)
    return Estimate(found.value, found.low, found.high)


def ratio_estimate(above: FloatArray, below: FloatArray, *, seed: int = 0) -> Estimate:
    """Ratio of two means over the same atoms, and its interval from resampling the atoms."""
    if not len(below) or below.sum() <= 0:
        return UNKNOWN
    value = float(above.sum() / below.sum())
    if len(below) < 2:
        return Estimate(value, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(len(below), size=(RESAMPLES, len(below)))
    resampled = below[drawn].sum(axis=1)
    return Estimate(value, *interval(above[drawn].sum(axis=1)[resampled > 0] / resampled[resampled > 0]))


def corrected(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """Lay out comparisons a row each, with the q-value among all tests against the same."""
    from scipy.stats import false_discovery_control

    columns = list(Comparison.__dataclass_fields__)
    table = pd.DataFrame([asdict(each) for each in comparisons], columns=columns)
    for rows in table.groupby("compared_with").groups.values():
        table.loc[rows, "q_value"] = false_discovery_control(table.loc[rows, "p_value"])
    return table


def effects_between(
    low: pd.DataFrame, high: pd.DataFrame, names: Mapping[str, str], *, compared_with: str, seed: int = 0
) -> list[Comparison]:
    """Compare two groups of atoms in each column: Cliff's delta, and a Mann-Whitney test, without correction.

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
        observed, expected = estimate(here, seed=seed), estimate(there, seed=seed)
        larger = np.sign(here[:, None] - there)
        random = np.random.default_rng(seed)
        of_here = random.multinomial(len(here), np.full(len(here), 1 / len(here)), size=RESAMPLES) / len(here)
        of_there = random.multinomial(len(there), np.full(len(there), 1 / len(there)), size=RESAMPLES) / len(there)
        found.append(
            Comparison(
                family=family,
                name=column,
                compared_with=compared_with,
                n=len(both),
                observed=observed.value,
                observed_low=observed.low,
                observed_high=observed.high,
                expected=expected.value,
                expected_low=expected.low,
                expected_high=expected.high,
                difference=observed.value - expected.value,
                **_bounds("difference", of_here @ here - of_there @ there),
                effect=float(larger.mean()),
                **_bounds("effect", np.einsum("bi,ij,bj->b", of_here, larger, of_there, optimize=True)),
                effect_is="Cliff's delta",
                p_value=float(mannwhitneyu(here, there).pvalue),
            )
        )
    return found


def _bounds(name: str, resampled: FloatArray) -> dict[str, float]:
    low, high = interval(resampled)
    return {f"{name}_low": low, f"{name}_high": high}


def _compare(family: str, name: str, null: str, pooled: _Pooled, seed: int) -> Comparison:
    observed, expected = np.array(pooled.observed), np.array(pooled.expected)
    means = pooled.drawn / len(observed)
    seen, difference = estimate(observed, seed=seed), estimate(observed - expected, seed=seed)
    low, high = interval(means)
    return Comparison(
        family=family,
        name=name,
        compared_with=null,
        n=len(observed),
        observed=seen.value,
        observed_low=seen.low,
        observed_high=seen.high,
        expected=float(expected.mean()),
        expected_low=low,
        expected_high=high,
        difference=difference.value,
        difference_low=difference.low,
        difference_high=difference.high,
        effect=difference.value / float(means.std()),
        effect_low=np.nan,
        effect_high=np.nan,
        effect_is="standard deviations of the null",
        p_value=two_sided_p(seen.value, means, float(expected.mean())),
    )
