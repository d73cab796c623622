"""What important atoms and edges are compared with: one small interface for every null model.

A null model draws, again and again, as many atoms (or edges) as are important from those that could have been. What
is common to the drawn and the important ones by construction is what the model *matches*; a property in which they
still differ is not explained by what was matched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from symgnn_explain.analysis.nulls.candidates import BoolArray, Candidates
from symgnn_explain.analysis.nulls.stratified import classes_of, draw_in_classes, length_classes
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, IntArray

CONFIDENCE = 0.95
DRAWS = 2000

LENGTH_TOLERANCE = 0.3
"""Atoms' distances and edges' lengths that differ by at most this (Å) are matched: the width of a class."""


@dataclass(frozen=True, eq=False)
class NullDraws:
    """Candidates that a null model drew.

    Parameters
    ----------
    rows
        Candidates of each draw, shape (draws, k).
    matched
        Important candidates that have a counterpart, in the order of ``np.flatnonzero(chosen)``, shape (K,). Column
        ``c`` of ``rows`` stands for the ``c``-th matched one.
    expectation
        How often each candidate is drawn on average, shape (M,); it sums to k.
    """

    rows: IntArray
    matched: BoolArray
    expectation: FloatArray


class NullModel(Protocol):
    """Draws candidates that are like the important ones in what it matches, and random otherwise."""

    @property
    def name(self) -> str:
        """Short name, as it stands in tables."""
        ...

    @property
    def description(self) -> str:
        """What is drawn, in a sentence."""
        ...

    @property
    def exchangeable(self) -> bool:
        """Whether random importances would be one draw among the others, so that there is a p-value."""
        ...

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:
        """Draw ``draws`` times as many candidates as are important."""
        ...


@dataclass(frozen=True)
class Permuted:
    """As many candidates as are important, without replacement, with the same number in each class.

    The important ones can be drawn too, so that random importances are one draw among the others: p-values are exact.

    Parameters
    ----------
    same
        Attributes whose values make the classes; one class of all candidates where empty.
    within
        Attributes that are cut into intervals of so much, which divide the classes further.
    """

    name: str
    description: str
    same: tuple[str, ...] = ()
    within: Mapping[str, float] = field(default_factory=dict)

    @property
    def exchangeable(self) -> bool:
        """See :class:`NullModel`."""
        return True

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:
        """See :class:`NullModel`."""
        label = _classes(candidates, self.same, self.within)
        rows, expectation = draw_in_classes(label, candidates.chosen, draws, random)
        return NullDraws(rows, np.ones(candidates.n_chosen, dtype=bool), expectation)


@dataclass(frozen=True)
class Matched:
    """For each important candidate another that is not important, equal in some attributes and close in others.

    It answers what the like of the important ones have. Counterparts of two important candidates are drawn
    independently, and can be the same one; important candidates without any counterpart are left out. There is no
    p-value: where most of the like are important, the few that are left are drawn over and over, and the draws spread
    less than random importances would. :class:`Permuted` has the test.

    Parameters
    ----------
    same
        Attributes that are equal.
    within
        Attributes that differ by at most so much.
    """

    name: str
    description: str
    same: tuple[str, ...] = ()
    within: Mapping[str, float] = field(default_factory=dict)

    @property
    def exchangeable(self) -> bool:
        """See :class:`NullModel`."""
        return False

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:
        """See :class:`NullModel`."""
        counterparts = self.counterparts(candidates)
        matched = np.array([rows.size > 0 for rows in counterparts])
        expectation = np.zeros(len(candidates))
        columns = []
        for rows in counterparts:
            if rows.size:
                expectation[rows] += 1 / rows.size
                columns.append(random.choice(rows, size=draws))
        rows = np.stack(columns, axis=1) if columns else np.empty((draws, 0), dtype=np.int64)
        return NullDraws(rows, matched, expectation)

    def counterparts(self, candidates: Candidates) -> list[IntArray]:
        """Candidates that each important one is matched with, in the order of ``np.flatnonzero(chosen)``."""
        free = np.flatnonzero(~candidates.reserved)
        label = _classes(candidates, self.same, {})
        found = []
        for row in np.flatnonzero(candidates.chosen):
            like = label[free] == label[row]
            for name, tolerance in self.within.items():
                values = candidates.attribute(name)
                like &= np.abs(values[free] - values[row]) <= tolerance
            found.append(free[like])
        return found


@dataclass(frozen=True)
class Nearest:
    """The nearest candidates, as many as are important: what a network would choose that minds nothing but distance.

    Every draw is the same, so there is no p-value.

    Parameters
    ----------
    by
        The attribute that is smallest for them.
    """

    name: str
    description: str
    by: str = "distance"

    @property
    def exchangeable(self) -> bool:
        """See :class:`NullModel`."""
        return False

    def draw(self, candidates: Candidates, draws: int, random: np.random.Generator) -> NullDraws:  # noqa: ARG002
        """See :class:`NullModel`."""
        nearest = np.argsort(candidates.attribute(self.by), kind="stable")[: candidates.n_chosen]
        expectation = np.zeros(len(candidates))
        expectation[nearest] = 1.0
        rows = np.broadcast_to(nearest, (draws, len(nearest)))
        return NullDraws(rows, np.ones(len(nearest), dtype=bool), expectation)


_FIELD = "the receptive field without the explained atom"
_EDGES = "the receptive field's edges without self-loops"

ATOM_NULLS: Mapping[str, NullModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            Permuted("random", f"as many atoms drawn from {_FIELD}"),
            Permuted("hop_matched", f"as many atoms of each hop drawn from {_FIELD}", same=("hop",)),
            Permuted(
                "coordination_matched",
                f"as many atoms of each coordination number (g(r)'s first minimum) drawn from {_FIELD}",
                same=("coordination",),
            ),
            Permuted(
                "distance_matched",
                f"as many atoms of each {LENGTH_TOLERANCE:g} Å of distance from the explained atom drawn from {_FIELD}",
                within={"distance": LENGTH_TOLERANCE},
            ),
            Nearest("distance_ordered", "the atoms nearest to the explained one, as many as are important"),
        )
    }
)
"""Null models of important atoms, by name."""

EDGE_NULLS: Mapping[str, NullModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            Permuted("random", f"as many edges drawn from {_EDGES} (the null of Li et al., ICML 2024)"),
            Permuted("hop_matched", f"as many edges of each hop drawn from {_EDGES}", same=("hop",)),
            Permuted(
                "length_matched",
                f"as many edges of each {LENGTH_TOLERANCE:g} Å of length drawn from {_EDGES}",
                within={"distance": LENGTH_TOLERANCE},
            ),
            Permuted(
                "hop_length_matched",
                f"as many edges of each hop and each {LENGTH_TOLERANCE:g} Å of length drawn from {_EDGES}",
                same=("hop",),
                within={"distance": LENGTH_TOLERANCE},
            ),
        )
    }
)
"""Null models of important edges, by name."""


def interval(values: FloatArray) -> tuple[float, float]:
    """Bounds between which 95 % of the values lie."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def against(tests: pd.DataFrame, null: str, nulls: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of a table of tests against one null model; raises InputError where there is no such model."""
    if null not in nulls:
        raise InputError(f"{null=} is no null model here: choose from {', '.join(nulls)}.")
    return tests[tests["null"] == null].reset_index(drop=True)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values ready for JSON, None where one is not a number."""
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in values.items()}


def false_discovery_rates(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289, 1995)."""
    from scipy.stats import false_discovery_control

    rates: list[float] = false_discovery_control(p_values).tolist() if len(p_values) else []
    return rates


def two_sided_p(observed: float, draws: FloatArray, expected: float) -> float:
    """Share of draws, the observation counted among them, that lie at least as far from the expectation."""
    as_far = np.abs(draws - expected) >= abs(observed - expected) - 1e-12
    return float((1 + as_far.sum()) / (1 + len(draws)))


def _classes(candidates: Candidates, same: tuple[str, ...], within: Mapping[str, float]) -> IntArray:
    """Return the number of the class that each candidate belongs to."""
    lengths = [length_classes(candidates.attribute(name), width) for name, width in within.items()]
    return classes_of(np.zeros(len(candidates)), *(candidates.attribute(name) for name in same), *lengths)
