"""Which local motifs, and which connections of icosahedra, are over-represented among important atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.analysis.nulls.candidates import Candidates, atom_candidates
from symgnn_explain.analysis.nulls.null_models import (
    CONFIDENCE,
    DRAWS,
    LENGTH_TOLERANCE,
    against,
    false_discovery_rates,
    interval,
    plain,
    two_sided_p,
)
from symgnn_explain.analysis.nulls.stratified import classes_of, draw_in_classes, length_classes
from symgnn_explain.analysis.order.icosahedra import KINDS
from symgnn_explain.analysis.order.local_order import LocalOrder
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.radial import RadialDistribution

NULLS: Mapping[str, str] = MappingProxyType(
    {
        "random": "as many atoms drawn from the receptive field",
        "distance": f"as many atoms of each class of distance from the explained atom, {LENGTH_TOLERANCE:g} Å wide",
        "distance_and_species": "as many atoms of each class of distance and each species",
    }
)
"""What important atoms are compared with, drawn without replacement; the explained atom is never drawn."""

PROPERTIES = ("coordination", "volume", "q4", "q6", "s2", "s2_averaged", "like_neighbours")
"""Columns of :meth:`LocalOrder.to_frame` whose means are compared."""


ROUNDING = 1e-9
"""Draws of a null model that differ by less are the same."""


@dataclass(frozen=True)
class MotifTest:
    """One property of the important atoms against one null model.

    Parameters
    ----------
    group
        ``species``, ``index`` (Voronoi), ``icosahedron``, ``connection`` (of single atoms), ``joined pairs`` (of
        important atoms) or ``property``.
    name
        Of the motif, connection or property.
    null
        Name of the null model, see :data:`NULLS`.
    observed, observed_low, observed_high
        Share of the important atoms that have the motif, with a Clopper-Pearson 95 % interval; for properties the mean,
        with a bootstrap 95 % interval; for joined pairs their number, without an interval.
    expected, null_low, null_high
        What the null expects, and where 95 % of its draws lie.
    enrichment, enrichment_low, enrichment_high
        Observed over expected with the same interval; NaN for properties.
    effect
        Observed minus expected in standard deviations of the null.
    p_value
        Share of draws as far from the expectation as the important atoms, two-sided.
    q_value
        The same, corrected for the tests against the same null (Benjamini and Hochberg, 1995).
    """

    group: str
    name: str
    null: str
    observed: float
    observed_low: float
    observed_high: float
    expected: float
    null_low: float
    null_high: float
    enrichment: float
    enrichment_low: float
    enrichment_high: float
    effect: float
    p_value: float
    q_value: float


@dataclass(frozen=True, eq=False)
class MotifAnalysis:
    """Motifs of the important atoms of one explanation against those of other atoms.

    Parameters
    ----------
    atom, method, k, glass_name
        What was analysed.
    n_important, n_candidates
        Important atoms, and atoms of the receptive field that they were compared with; those with an open Voronoi cell
        are left out of both.
    n_open
        Important atoms that were left out.
    tests
        One entry a motif and null model; what a null model leaves no choice about is left out.
    important
        Row of :meth:`LocalOrder.to_frame` of each important atom.
    draws, seed
        Of the null models and the bootstrap.
    """

    atom: int
    method: str
    k: int
    glass_name: str
    n_important: int
    n_candidates: int
    n_open: int
    tests: tuple[MotifTest, ...]
    important: pd.DataFrame
    draws: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """One row a motif and null model, with the columns of :class:`MotifTest`."""
        return pd.DataFrame([asdict(test) for test in self.tests])

    def of_null(self, null: str) -> pd.DataFrame:
        """Return the tests against one null model; raises InputError where there is no such model."""
        return against(self.to_frame(), null, NULLS)

    def summary(self) -> dict[str, Any]:
        """Every test with the null models in words, ready for JSON; what is undefined is None."""
        return {
            "k": self.k,
            "n_important_atoms": self.n_important,
            "n_candidates": self.n_candidates,
            "n_open_cells": self.n_open,
            "tests": [plain(asdict(test)) for test in self.tests],
            "null_models": dict(NULLS),
            "draws": self.draws,
            "seed": self.seed,
        }


def motif_analysis(
    explanation: AtomExplanation,
    glass: Glass,
    order: LocalOrder,
    k: int = 50,
    *,
    rdf: RadialDistribution | None = None,
    n_indices: int = 12,
    draws: int = DRAWS,
    seed: int = 0,
) -> MotifAnalysis:
    """Compare the local order of important atoms with that of other atoms of the receptive field.

    Important atoms are those at either end of the ``k`` most important edges, without the explained one. What they are
    compared with decides what is learned: edges near the explained atom, and edges at one species, matter more to
    any network whatever the motif, and the explained atom's own surroundings colour its whole neighbourhood. Null
    models therefore draw from the same receptive field, with the same distances, and with the same distances and
    species. Random importances give uniform p-values under each of them up to the discreteness of counts. Intervals
    treat important atoms as independent; they come in pairs that share an edge, so they are somewhat too narrow.

    Parameters
    ----------
    order
        The local order of the glass, from :func:`~.local_order.local_order_analysis`.
    rdf
        The total g(r) of the glass where it is at hand; computed where None.
    n_indices
        How many of the most frequent Voronoi indices of the structure are compared, besides the full icosahedron.
    draws, seed
        Of the null models and the bootstrap.

    Raises
    ------
    InputError
        If the explanation or the local order belongs to another glass, or no important atom has a closed cell.
    """
    order.require_glass(glass)
    candidates = atom_candidates(explanation, glass, k, rdf=rdf)
    closed = order.cells.closed[candidates.ids]
    chosen = candidates.chosen[closed]
    if not chosen.any():
        raise InputError("no important atom has a closed Voronoi cell: atoms at an open surface have no motif.")
    atoms = candidates.ids[closed]
    features, joins = atom_features(order, atoms, n_indices), _Joins.of(order, atoms)
    random = np.random.default_rng(seed)
    tests: list[MotifTest] = []
    for null, label in _null_classes(candidates, closed).items():
        tests += _tests(null, _against(label, chosen, features, joins, draws=draws, random=random))
    table = order.to_frame()
    return MotifAnalysis(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass.name,
        n_important=int(chosen.sum()),
        n_candidates=len(atoms),
        n_open=int((candidates.chosen & ~closed).sum()),
        tests=tuple(tests),
        important=table.loc[atoms[chosen]].reset_index(drop=True),
        draws=draws,
        seed=seed,
    )


def _null_classes(candidates: Candidates, closed: NDArray[np.bool_]) -> dict[str, IntArray]:
    distance = length_classes(candidates.attribute("distance")[closed], LENGTH_TOLERANCE)
    return {
        "random": np.zeros(len(distance), dtype=np.int64),
        "distance": distance,
        "distance_and_species": classes_of(distance, candidates.attribute("number")[closed]),
    }


@dataclass(frozen=True, eq=False)
class AtomFeatures:
    """Values of some atoms, shape (M, P), with the group and name of each column."""

    table: FloatArray
    group: tuple[str, ...]
    name: tuple[str, ...]


def atom_features(order: LocalOrder, atoms: IntArray, n_indices: int) -> AtomFeatures:
    """Gather the motifs and properties of some atoms; what none of them has, or one lacks, is left out."""
    table = order.to_frame()
    columns: list[tuple[str, str, Any]] = [
        ("species", symbol, table["species"] == symbol) for symbol in order.cells.species
    ]
    frequent = order.cells.frequencies()["index"].head(n_indices)
    columns += [("index", label, table["index"] == label) for label in frequent]
    columns += [
        ("icosahedron", "centre", table["full_icosahedron"]),
        ("icosahedron", "corner", table["icosahedra_around"] > 0),
        ("icosahedron", "corner of two or more", table["icosahedra_around"] > 1),
    ]
    joins = order.connections
    columns += [("connection", f"{kind}: centre", joins.per_atom(kind) > 0) for kind in KINDS]
    columns += [("connection", f"{kind}: shared atom", joins.joins(kind)) for kind in KINDS]
    columns += [("property", name, table[name]) for name in PROPERTIES]
    values = np.column_stack([np.asarray(column, dtype=np.float64)[atoms] for _, _, column in columns])
    # What no atom here has, or some atom has not, cannot be compared.
    kept = np.flatnonzero(np.isfinite(values).all(axis=0) & values.any(axis=0))
    return AtomFeatures(values[:, kept], *(tuple(columns[place][part] for place in kept) for part in (0, 1)))


@dataclass(frozen=True, eq=False)
class _Joins:
    """Connections between icosahedra around candidate atoms: their two ends, as rows of the candidates, and kind."""

    first: IntArray
    second: IntArray
    kind: NDArray[np.str_]

    @classmethod
    def of(cls, order: LocalOrder, atoms: IntArray) -> _Joins:
        row = np.full(len(order), -1)
        row[atoms] = np.arange(len(atoms))
        first, second = row[order.connections.first], row[order.connections.second]
        inside = (first >= 0) & (second >= 0)
        return cls(first[inside], second[inside], order.connections.kind[inside])

    def counts(self, rows: IntArray, n_candidates: int) -> dict[str, FloatArray]:
        """Count the connections of each kind whose ends are both drawn, shapes (draws,); ``rows`` is (draws, K)."""
        drawn = np.zeros((len(rows), n_candidates), dtype=bool)
        np.put_along_axis(drawn, rows, values=True, axis=1)
        both = drawn[:, self.first] & drawn[:, self.second]
        return {kind: both[:, self.kind == kind].sum(axis=1).astype(np.float64) for kind in np.unique(self.kind)}


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found of one property, and the null's draws, shape (draws,)."""

    group: str
    name: str
    observed: float
    bounds: tuple[float, float]
    expected: float
    drawn: FloatArray


def _against(
    label: IntArray,
    chosen: NDArray[np.bool_],
    features: AtomFeatures,
    joins: _Joins,
    *,
    draws: int,
    random: np.random.Generator,
) -> list[_Found]:
    rows, expectation = draw_in_classes(label, chosen, draws, random)
    values, n_chosen = features.table, int(chosen.sum())
    drawn = _row_means(values, rows)
    resampled = _row_means(values[chosen], random.integers(n_chosen, size=(draws, n_chosen)))
    observed, expected = values[chosen].mean(axis=0), expectation @ values / n_chosen
    is_share = np.array([group != "property" for group in features.group])
    shares = _binomial_bounds(np.where(is_share, observed, 0.0) * n_chosen, n_chosen)
    found = []
    for place, (group, name) in enumerate(zip(features.group, features.name, strict=True)):
        bounds = shares[place] if is_share[place] else interval(resampled[:, place])
        found.append(_Found(group, name, float(observed[place]), bounds, float(expected[place]), drawn[:, place]))
    important = joins.counts(np.flatnonzero(chosen)[None], len(values))
    for kind, counts in joins.counts(rows, len(values)).items():
        count = float(important[kind][0])
        found.append(_Found("joined pairs", kind, count, (np.nan, np.nan), float(counts.mean()), counts))
    return [each for each in found if np.ptp(each.drawn) > ROUNDING]


def _tests(null: str, found: list[_Found]) -> list[MotifTest]:
    p_values = [two_sided_p(each.observed, each.drawn, each.expected) for each in found]
    tests = []
    for each, p_value, q_value in zip(found, p_values, false_discovery_rates(p_values), strict=True):
        low, high = each.bounds
        null_low, null_high = interval(each.drawn)
        per_expected = 1 / each.expected if each.group != "property" and each.expected > 0 else np.nan
        tests.append(
            MotifTest(
                group=each.group,
                name=each.name,
                null=null,
                observed=each.observed,
                observed_low=low,
                observed_high=high,
                expected=each.expected,
                null_low=null_low,
                null_high=null_high,
                enrichment=each.observed * per_expected,
                enrichment_low=low * per_expected,
                enrichment_high=high * per_expected,
                effect=(each.observed - each.expected) / float(each.drawn.std()),
                p_value=p_value,
                q_value=q_value,
            )
        )
    return tests


def _row_means(values: FloatArray, rows: IntArray) -> FloatArray:
    """Mean of each column over the rows of each draw, shape (draws, P)."""
    counts = np.zeros((len(rows), len(values)))
    np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1.0)
    return counts @ values / rows.shape[1]


def _binomial_bounds(successes: FloatArray, trials: int) -> list[tuple[float, float]]:
    """Clopper-Pearson intervals of shares."""
    from scipy.stats import beta

    tail = (1 - CONFIDENCE) / 2
    low = np.where(successes > 0, beta.ppf(tail, np.maximum(successes, 1), trials - successes + 1), 0.0)
    high = np.where(successes < trials, beta.ppf(1 - tail, successes + 1, np.maximum(trials - successes, 1)), 1.0)
    return list(zip(low.tolist(), high.tolist(), strict=True))
