"""What important atoms and edges are compared with.

A null model draws, again and again, as many atoms (or edges) as are important from those that could have been. What
is common to the drawn and the important ones by construction is what the model *matches*; a property in which they
still differ is not explained by what was matched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.analysis.nulls.candidates import Candidates
from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import CONFIDENCE, quantiles, resampled_quantiles
from symgnn_explain.structure.glass import FloatArray, IntArray

DRAWS = 2000

LENGTH_TOLERANCE = 0.3
"""Atoms' distances and edges' lengths that differ by at most this (Å) are matched: the width of a class."""

ROUNDING = 1e-9
"""Draws of a null model that differ by less are the same."""


class NullDraws(NamedTuple):
    """Candidates that a null model drew, and how often each is drawn on average, shape (M,).

    Rows have shape (draws, k): where draws differ in how many they take, -1 fills those of the smaller ones.
    """

    rows: IntArray
    expectation: FloatArray

    @property
    def differ(self) -> bool:
        """Whether draws differ in how many they take."""
        return bool((self.rows < 0).any())

    def means(self, values: NDArray[Any]) -> FloatArray:
        """Mean of values, shape (M,) or (M, P), over the candidates of each draw, shape (draws,) or (draws, P)."""
        if not self.differ:
            return row_means(values, self.rows)
        taken = self.taken()
        return ((taken @ values.astype(np.float64)).T / taken.sum(axis=1)).T

    def expected(self, values: NDArray[Any]) -> Any:
        """Return the expectation of :meth:`means`; estimated by their mean where draws differ in how many they take."""
        return self.means(values).mean(axis=0) if self.differ else self.expectation @ values / self.rows.shape[1]

    def taken(self) -> FloatArray:
        """Return 1 where a draw has a candidate, else 0; shape (draws, M)."""
        taken = np.zeros((len(self.rows), len(self.expectation) + 1))
        np.put_along_axis(taken, self.rows, values=1.0, axis=1)  # -1 is the last column
        return taken[:, :-1]


@dataclass(frozen=True)
class NullModel:
    """As many candidates as are important, without replacement, with the same number in each class.

    The important ones can be drawn too, so that random importances are one draw among the others: p-values are exact.

    Parameters
    ----------
    name, description
        Short name, as it stands in tables, and what is drawn, in a sentence.
    by
        Attributes whose values make the classes, or attributes with the width of the intervals that they are cut into;
        one class of all candidates where empty.
    """

    name: str
    description: str
    by: tuple[str | tuple[str, float], ...] = ()

    exchangeable: ClassVar[bool] = True
    """Whether random importances would be one draw among the others, so that there is a p-value."""

    def fits(self, candidates: Candidates) -> bool:
        """Whether the candidates have what is matched: coordination numbers, say, need a minimum of g(r)."""
        return all((key if isinstance(key, str) else key[0]) in candidates.attributes for key in self.by)

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:
        """Draw ``draws`` times as many candidates as are important; column c has the class of the c-th of these."""
        label = self._classes(candidates)
        of_chosen = label[candidates.chosen]
        rows = np.empty((draws, len(of_chosen)), dtype=np.int64)
        expectation = np.zeros(len(label))
        for value in np.unique(of_chosen):
            members, columns = np.flatnonzero(label == value), np.flatnonzero(of_chosen == value)
            expectation[members] = len(columns) / len(members)
            rows[:, columns] = members[_subsets(len(members), len(columns), draws, random)]
        return NullDraws(rows, expectation)

    def _classes(self, candidates: Candidates) -> IntArray:
        """Give each candidate the number of its class, shape (M,), in the order of attributes."""
        label = np.zeros(len(candidates), dtype=np.int64)
        for key in self.by:
            name, width = (key, None) if isinstance(key, str) else key
            values = candidates.attributes[name]
            column = np.unique(values if width is None else np.floor(values / width), return_inverse=True)[1]
            label = label * (int(column.max(initial=0)) + 1) + column
        return label


class Matched(NullModel):
    """For each important candidate another that is not important, equal in some attributes and close in others.

    It answers what the like of the important ones have. Attributes with a width differ by at most so much. Counterparts
    of two important candidates are drawn independently, and can be the same one; important candidates without any
    counterpart are left out. There is no p-value: where most of the like are important, the few that are left are drawn
    over and over, and the draws spread less than random importances would. :class:`NullModel` has the test.
    """

    exchangeable = False

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:
        """Draw a counterpart of each important candidate that has one, ``draws`` times."""
        counterparts = [rows for rows in self.counterparts(candidates) if rows.size]
        expectation = np.zeros(len(candidates))
        rows = np.empty((draws, len(counterparts)), dtype=np.int64)
        for column, like in enumerate(counterparts):
            expectation[like] += 1 / like.size
            rows[:, column] = random.choice(like, size=draws)
        return NullDraws(rows, expectation)

    def counterparts(self, candidates: Candidates) -> list[IntArray]:
        """Candidates that each important one is matched with, in the order of ``np.flatnonzero(chosen)``."""
        found = []
        for row in np.flatnonzero(candidates.chosen):
            like = ~candidates.reserved
            for key in self.by:
                name, width = (key, 0.0) if isinstance(key, str) else key
                values = candidates.attributes[name]
                like = like & (np.abs(values - values[row]) <= width)
            found.append(np.flatnonzero(like))
        return found


class Nearest(NullModel):
    """The nearest candidates, as many as are important: what a network would choose that minds nothing but distance.

    Every draw is the same, so there is no p-value.
    """

    exchangeable = False

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:  # noqa: ARG002
        """Repeat the nearest candidates ``draws`` times."""
        nearest = np.argsort(candidates.attributes["distance"], kind="stable")[: candidates.n_chosen]
        expectation = np.isin(np.arange(len(candidates)), nearest).astype(np.float64)
        return NullDraws(np.broadcast_to(nearest, (draws, len(nearest))), expectation)


class Ends(NullModel):
    """The atoms at the ends of as many edges as are important, with the same number in each class of edges.

    Atoms become important by their edges, so those with many of them do so more often, whatever the network. What this
    model draws has that in common with the important atoms: random scores of edges are one draw among the others. Draws
    that touch no candidate are drawn anew.
    """

    def fits(self, candidates: Candidates) -> bool:
        """Whether it is known by which edges atoms are important."""
        return candidates.edges is not None and super().fits(candidates.edges)

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:
        """Draw ``draws`` times as many edges as are important, and take the candidates at their ends."""
        taken = self._taken(candidates, draws, random)
        while (nothing := ~taken.any(axis=1)).any():
            taken[nothing] = self._taken(candidates, int(nothing.sum()), random)
        draw, row = np.nonzero(taken)
        count = taken.sum(axis=1)
        rows = np.full((draws, count.max()), -1)
        rows[draw, np.arange(len(draw)) - np.repeat(np.cumsum(count) - count, count)] = row
        return NullDraws(rows, taken.mean(axis=0))

    def _taken(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NDArray[np.bool_]:
        if candidates.edges is None or candidates.ends is None:
            raise InputError(f"the null model {self.name!r} is of atoms that are important by their edges.")
        edges = super().draw(candidates.edges, draws, random).rows
        taken = np.zeros((draws, len(candidates) + 1), dtype=bool)
        np.put_along_axis(taken, candidates.ends[edges].reshape(draws, -1), values=True, axis=1)
        return taken[:, :-1]


_FIELD = "the receptive field without the explained atom"
_EDGES = "the receptive field's edges without self-loops"
_ALL_EDGES = "the receptive field's edges"
_LENGTH = ("distance", LENGTH_TOLERANCE)


def by_name(*models: NullModel) -> Mapping[str, NullModel]:
    """Key null models by their names."""
    return MappingProxyType({model.name: model for model in models})


ATOM_NULLS = by_name(
    NullModel("random", f"as many atoms drawn from {_FIELD}"),
    NullModel("hop_matched", f"as many atoms of each hop drawn from {_FIELD}", by=("hop",)),
    NullModel(
        "coordination_matched",
        f"as many atoms of each coordination number (g(r)'s first minimum) drawn from {_FIELD}",
        by=("coordination",),
    ),
    NullModel(
        "distance_matched",
        f"as many atoms of each {LENGTH_TOLERANCE:g} Å of distance from the explained atom drawn from {_FIELD}",
        by=(_LENGTH,),
    ),
    Ends("random_edges", f"the atoms at the ends of as many edges drawn from {_ALL_EDGES}"),
    Ends("edges_of_hops", f"the atoms at the ends of as many edges of each hop drawn from {_ALL_EDGES}", by=("hop",)),
    Nearest("distance_ordered", "the atoms nearest to the explained one, as many as are important"),
)
"""Null models of important atoms, by name."""

EDGE_NULLS = by_name(
    NullModel("random", f"as many edges drawn from {_EDGES} (the null of Li et al., ICML 2024)"),
    NullModel("hop_matched", f"as many edges of each hop drawn from {_EDGES}", by=("hop",)),
    NullModel(
        "length_matched", f"as many edges of each {LENGTH_TOLERANCE:g} Å of length drawn from {_EDGES}", by=(_LENGTH,)
    ),
    NullModel(
        "hop_length_matched",
        f"as many edges of each hop and each {LENGTH_TOLERANCE:g} Å of length drawn from {_EDGES}",
        by=("hop", _LENGTH),
    ),
)
"""Null models of important edges, by name."""


def row_means(values: NDArray[Any], rows: IntArray) -> FloatArray:
    """Mean of values, shape (M,) or (M, P), over the rows of each draw, shape (draws, k)."""
    columns = [column[rows].mean(axis=1) for column in np.atleast_2d(values.T)]  # one by one, to spare memory
    return columns[0] if values.ndim == 1 else np.stack(columns, axis=1)


def interval(values: FloatArray) -> tuple[float, float]:
    """Bounds between which 95 % of the draws of a null model lie."""
    low, high = quantiles(values)
    return float(low), float(high)


def resampled_interval(draws: FloatArray, size: int) -> tuple[float, float]:
    """95 % interval of a number from its draws; see :func:`~symgnn_explain.explain.fidelity.resampled_quantiles`."""
    low, high = resampled_quantiles(draws, size)
    return float(low), float(high)


def share_interval(count: NDArray[Any] | int, total: int) -> tuple[FloatArray, FloatArray]:
    """Clopper-Pearson 95 % interval of the share ``count / total``."""
    from scipy.stats import beta

    tail = (1 - CONFIDENCE) / 2
    low, high = beta.ppf(tail, count, total - count + 1), beta.ppf(1 - tail, count + 1, total - count)
    return np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=1.0)


def two_sided_p(observed: float, draws: FloatArray, expected: float) -> float:
    """Share of draws, the observation counted among them, that lie at least as far from the expectation."""
    as_far = np.abs(draws - expected) >= abs(observed - expected) - 1e-12
    return float((1 + as_far.sum()) / (1 + len(draws)))


def tested(observed: float, draws: FloatArray, expected: float) -> dict[str, float]:
    """Test one observation against the draws of a null model.

    Returns
    -------
    dict
        ``observed``, ``expected``, where 95 % of the draws lie (``null_low``, ``null_high``), ``effect`` (difference in
        standard deviations of the null; NaN where its draws are all the same) and the two-sided ``p_value``.
    """
    low, high = interval(draws)
    spread = float(draws.std())
    return {
        "observed": observed,
        "expected": expected,
        "null_low": low,
        "null_high": high,
        "effect": (observed - expected) / spread if spread > ROUNDING else np.nan,
        "p_value": two_sided_p(observed, draws, expected),
    }


def with_q_values(tests: pd.DataFrame, against: str = "null") -> pd.DataFrame:
    """Add ``q_value``, corrected for all tests against the same (Benjamini, Hochberg, J. R. Stat. Soc. B 57, 289)."""
    from scipy.stats import false_discovery_control

    return tests.assign(q_value=tests.groupby(against)["p_value"].transform(false_discovery_control))


def against(tests: pd.DataFrame, null: str, nulls: Collection[str]) -> pd.DataFrame:
    """Return the rows of a table of tests against one null model; raises InputError where there is no such model."""
    if null not in nulls:
        raise InputError(f"{null=} is no null model here: choose from {', '.join(nulls)}.")
    return tests[tests["null"] == null].reset_index(drop=True)


def _subsets(n: int, size: int, draws: int, random: np.random.Generator) -> IntArray:
    """Draw subsets of ``range(n)``, all of one size equally likely: shape (draws, size), by Floyd's algorithm."""
    taken = np.zeros((draws, n), dtype=bool)
    rows = np.empty((draws, size), dtype=np.int64)
    every = np.arange(draws)
    for column, last in enumerate(range(n - size, n)):
        drawn = random.integers(0, last, size=draws, endpoint=True)
        drawn[taken[every, drawn]] = last
        taken[every, drawn] = True
        rows[:, column] = drawn
    return rows
