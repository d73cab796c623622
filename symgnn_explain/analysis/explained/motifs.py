"""Which local motifs, and which connections of icosahedra, are over-represented among important atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.nulls.candidates import BoolArray, Candidates, atom_candidates
from symgnn_explain.analysis.nulls.null_models import (
    ATOM_NULLS,
    DRAWS,
    LENGTH_TOLERANCE,
    ROUNDING,
    NullModel,
    against,
    by_name,
    share_interval,
    tested,
    with_q_values,
)
from symgnn_explain.analysis.order.icosahedra import KINDS
from symgnn_explain.analysis.order.local_order import LocalOrder
from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.radial import RadialDistribution

NULLS = by_name(
    NullModel("random", "as many atoms drawn from the receptive field"),
    NullModel(
        "distance",
        f"as many atoms of each class of distance from the explained atom, {LENGTH_TOLERANCE:g} Å wide",
        by=(("distance", LENGTH_TOLERANCE),),
    ),
    NullModel(
        "distance_and_species",
        "as many atoms of each class of distance and each species",
        by=(("distance", LENGTH_TOLERANCE), "number"),
    ),
    ATOM_NULLS["random_edges"],
)
"""What important atoms are compared with, drawn without replacement; the explained atom is never drawn."""

PROPERTIES = ("coordination", "volume", "q4", "q6", "s2", "s2_averaged", "like_neighbours")
"""Columns of :meth:`LocalOrder.to_frame` whose means are compared."""


_COLUMNS = (
    *("group", "name", "null", "observed", "observed_low", "observed_high", "expected", "null_low", "null_high"),
    *("enrichment", "enrichment_low", "enrichment_high", "effect", "p_value"),
)


@dataclass(frozen=True, eq=False, repr=False)
class MotifAnalysis(Brief):
    """Motifs of the important atoms of one explanation against those of other atoms.

    Parameters
    ----------
    atom, method, k
        What was analysed.
    n_important, n_candidates
        Important atoms, and atoms of the receptive field that they were compared with; those with an open Voronoi cell
        are left out of both.
    n_open
        Important atoms that were left out.
    tests
        One row a motif and null model, see :meth:`to_frame`.
    """

    atom: int
    method: str
    k: int
    n_important: int
    n_candidates: int
    n_open: int
    tests: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row a motif and null model; what a null model leaves no choice about is left out.

        Columns: ``group`` (``species``, ``index`` of Voronoi, ``icosahedron``, ``connection`` of single atoms,
        ``joined pairs`` of important atoms, ``property``), ``name`` and ``null``, see :data:`NULLS`; ``observed``, the
        share of the important atoms that have the motif, with a Clopper-Pearson 95 % interval; of properties the mean,
        with a 95 % interval (NaN where a single atom is important); of joined pairs their number, without one;
        what the null model expects (``expected``), and where 95 % of its draws lie; ``enrichment``, observed over
        expected with the same interval (NaN for properties); ``effect``, observed minus expected in standard deviations
        of the null; the two-sided ``p_value``, and ``q_value``, corrected for the tests against the same null
        (Benjamini and Hochberg, 1995).
        """
        return self.tests.copy()

    def of_null(self, null: str) -> pd.DataFrame:
        """Return the tests against one null model; raises InputError where there is no such model."""
        return against(self.tests, null, NULLS)


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
    species. Random importances of atoms give uniform p-values under each of them up to the discreteness of counts.
    Intervals treat important atoms as independent; they come in pairs that share an edge, so they are somewhat too
    narrow.

    Parameters
    ----------
    order
        The local order of the glass, from :func:`~.local_order.local_order_analysis`.
    rdf
        The total g(r) of the glass where it is at hand; computed where None.
    n_indices
        How many of the most frequent Voronoi indices of the structure are compared, besides the full icosahedron.
    draws, seed
        Of the null models.

    Raises
    ------
    InputError
        If the explanation or the local order belongs to another glass, or no important atom has a closed cell.
    """
    order.require_glass(glass)
    everyone = atom_candidates(explanation, glass, k, rdf=rdf)
    closed = order.cells.closed[everyone.ids]
    candidates = everyone.only(closed)
    if not candidates.chosen.any():
        raise InputError("no important atom has a closed Voronoi cell: atoms at an open surface have no motif.")
    features = atom_features(order, candidates.ids, n_indices)
    random = np.random.default_rng(seed)
    rows = []
    for null in NULLS.values():
        rows += _tests(null, candidates, features, order, draws=draws, random=random)
    return MotifAnalysis(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        n_important=candidates.n_chosen,
        n_candidates=len(candidates),
        n_open=int((everyone.chosen & ~closed).sum()),
        tests=with_q_values(pd.DataFrame(rows, columns=_COLUMNS)),
    )


def atom_features(order: LocalOrder, atoms: IntArray, n_indices: int) -> pd.DataFrame:
    """Motifs and properties of some atoms, a row each, columns by group and name.

    What none of them has, or one lacks, is left out: it cannot be compared.
    """
    table, joins = order.to_frame(), order.connections
    frequent = order.cells.frequencies()["index"].head(n_indices)
    columns: dict[tuple[str, str], Any] = {
        **{("species", symbol): table["species"] == symbol for symbol in order.cells.species},
        **{("index", label): table["index"] == label for label in frequent},
        ("icosahedron", "centre"): table["full_icosahedron"],
        ("icosahedron", "corner"): table["icosahedra_around"] > 0,
        ("icosahedron", "corner of two or more"): table["icosahedra_around"] > 1,
        **{("connection", f"{kind}: centre"): joins.per_atom(kind) > 0 for kind in KINDS},
        **{("connection", f"{kind}: shared atom"): joins.joins(kind) for kind in KINDS},
        **{("property", name): table[name] for name in PROPERTIES},
    }
    values = np.column_stack([np.asarray(column, dtype=np.float64)[atoms] for column in columns.values()])
    kept = np.flatnonzero(np.isfinite(values).all(axis=0) & values.any(axis=0))
    names = pd.MultiIndex.from_tuples([list(columns)[place] for place in kept])
    return pd.DataFrame(values[:, kept], index=atoms, columns=names)


def _tests(
    null: NullModel,
    candidates: Candidates,
    features: pd.DataFrame,
    order: LocalOrder,
    *,
    draws: int,
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    drawn, values = null.draw(candidates, draws, random), features.to_numpy()
    important, n_chosen = values[candidates.chosen], candidates.n_chosen
    means, expected = drawn.means(values), drawn.expected(values)
    found: list[tuple[str, str, float, Any, float, FloatArray]] = []
    groups, names = (features.columns.get_level_values(level) for level in (0, 1))
    for place, (group, name) in enumerate(zip(groups, names, strict=True)):
        count = important[:, place].sum()
        bounds: Any = np.nan, np.nan
        if group != "property":
            bounds = share_interval(count, n_chosen)
        else:
            mean = mean_interval(important[:, place])
            bounds = mean.low, mean.high
        found.append((group, name, float(count / n_chosen), bounds, float(expected[place]), means[:, place]))
    joined = _joined_pairs(order, candidates.ids, candidates.chosen[None])
    for kind, counts in _joined_pairs(order, candidates.ids, drawn.taken() > 0).items():
        unbounded = (np.nan, np.nan)
        found.append(("joined pairs", kind, float(joined[kind][0]), unbounded, float(counts.mean()), counts))
    rows = []
    for group, name, observed, (low, high), expectation, of_draws in found:
        if np.ptp(of_draws) > ROUNDING:
            row = {"group": group, "name": name, "null": null.name, **tested(observed, of_draws, expectation)}
            divisor = expectation if group != "property" and expectation > 0 else np.nan
            for bound, value in (("", observed), ("_low", low), ("_high", high)):
                row |= {f"observed{bound}": value, f"enrichment{bound}": value / divisor}
            rows.append(row)
    return rows


def _joined_pairs(order: LocalOrder, atoms: IntArray, drawn: BoolArray) -> dict[str, FloatArray]:
    """Count the connections of icosahedra, by kind, whose centres are both drawn (draws, M), shapes (draws,)."""
    place = np.full(len(order), -1)
    place[atoms] = np.arange(len(atoms))
    first, second = place[order.connections.first], place[order.connections.second]
    inside = (first >= 0) & (second >= 0)
    kind = order.connections.kind[inside]
    both = drawn[:, first[inside]] & drawn[:, second[inside]]
    return {name: both[:, kind == name].sum(axis=1).astype(np.float64) for name in np.unique(kind)}
