"""One atom's part in the analysis of a population; under a second, after what is computed once a structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgnn_explain.analysis.explained.cycle_comparison import Boundary, CycleComparison, cycle_comparison
from symgnn_explain.analysis.explained.motifs import atom_features
from symgnn_explain.analysis.explained.mro import SHELL_NULLS, ShellAnalysis, shell_analysis
from symgnn_explain.analysis.explained.pooled import NullPool
from symgnn_explain.analysis.networks.field_bonds import field_bonds
from symgnn_explain.analysis.networks.graph_statistics import GraphBatch, statistics
from symgnn_explain.analysis.networks.network_analysis import BOND_NULLS
from symgnn_explain.analysis.nulls.candidates import Candidates, edge_candidates
from symgnn_explain.analysis.nulls.null_models import ATOM_NULLS, EDGE_NULLS, LENGTH_TOLERANCE, NullModel
from symgnn_explain.analysis.order.local_order import LocalOrder
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.radial import RadialDistribution

N_INDICES = 4
"""Voronoi indices that are compared besides the full icosahedron: the most frequent ones."""

DISTANCE_NULLS = tuple(name for name in SHELL_NULLS if ATOM_NULLS[name].exchangeable)
"""Null models of distances and shells."""

FINE_LENGTH = 0.1
"""Width (Å) of the finer classes of length: cycles depend on length even within 0.3 Å."""

_MOTIF_NULLS = (
    *(ATOM_NULLS[name] for name in ("random", "hop_matched", "distance_matched", "random_edges")),
    NullModel(
        "distance_and_species_matched",
        f"as many atoms of each species and each {LENGTH_TOLERANCE:g} Å of distance from the explained atom",
        by=("number", ("distance", LENGTH_TOLERANCE)),
    ),
)
_EDGE_NULLS = (
    *EDGE_NULLS.values(),
    NullModel(
        "hop_fine_length_matched",
        f"as many edges of each hop and each {FINE_LENGTH:g} Å of length",
        by=("hop", ("distance", FINE_LENGTH)),
    ),
)

NETWORK_STATISTICS = (
    ("size", "atoms"),
    ("size", "components"),
    ("size", "share of atoms in the largest component"),
    ("size", "independent cycles"),
    ("clustering", "transitivity"),
    ("assortativity", "species"),
    ("centrality", "largest degree"),
    ("centrality", "mean closeness"),
)
"""Statistics of the network of important bonds, as group and name."""

_LARGEST_RING = 3


@dataclass(frozen=True, eq=False)
class AnalysedAtom:
    """What was found of one explained atom: its row in the population's table, and where its important atoms sit.

    Important bonds are the first atom, the second, and their distance in hundredths of an Å.
    """

    row: dict[str, Any]
    shells: ShellAnalysis
    important_bonds: frozenset[tuple[int, ...]]


@dataclass
class AtomAnalyst:
    """Analyses one explained atom after the other, with what they share."""

    glass: Glass
    rdf: RadialDistribution
    order: LocalOrder
    k: int
    boundary: Boundary
    draws: int
    seed: int
    shells: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order.require_glass(self.glass)
        self._features = atom_features(self.order, np.flatnonzero(self.order.cells.closed), N_INDICES)

    def analyse(self, explanation: AtomExplanation, pool: NullPool) -> AnalysedAtom:
        """Analyse one atom, and add what its null models draw to the pool."""
        atom = explanation.atom
        random = np.random.default_rng([self.seed, atom])
        draws, seed = self.draws, self.seed
        try:
            shells = shell_analysis(explanation, self.glass, self.k, rdf=self.rdf, draws=draws, seed=seed)
            comparison = cycle_comparison(
                explanation, self.glass, self.k, draws=draws, seed=seed, boundary=self.boundary
            )
            edges = edge_candidates(explanation, self.k)
            cycles = {("cycles", "cycles_top"): comparison.cycles}
            pool.add_means(cycles, edges, _EDGE_NULLS, self.draws, random)
            network = self._network(explanation, pool, random)
        except InputError as error:
            raise InputError(f"atom {atom} cannot be analysed: {error}") from error
        self._distances(shells, pool, random)
        motifs = self._motifs(shells.candidates, pool, random)
        top = comparison.edges
        row: dict[str, Any] = {
            "atom": atom,
            "species": self.glass.symbols[atom],
            "prediction": explanation.prediction,
            "masked_change": explanation.masked_change,
            "n_edges": len(explanation),
            "n_important": len(shells.important),
            "mean_distance": float(shells.distance.mean()),
            "fraction_short_range": (shells.fraction("short") or (np.nan,))[0],
            "fraction_medium_range": (shells.fraction("medium") or (np.nan,))[0],
            **_cycle_columns(comparison),
            "mean_length": float(top["distance"].mean()),
            "mean_hop": float(top["hop"].mean()),
        }
        row |= {f"is {symbol}": float(self.glass.symbols[atom] == symbol) for symbol in self.glass.species}
        row |= {f"motif: {name}": value for name, value in motifs.items()}
        row |= {f"network: {name}": value for name, value in network.items()}
        ends = np.sort(top[["source", "target"]].to_numpy(), axis=1)
        bonds = np.column_stack([ends, np.rint(100 * top["distance"].to_numpy())]).astype(np.int64)
        return AnalysedAtom(row, shells, frozenset(tuple(bond) for bond in bonds.tolist()))

    def _distances(self, shells: ShellAnalysis, pool: NullPool, random: np.random.Generator) -> None:
        distance = shells.all_distance
        values: dict[tuple[str, str], FloatArray] = {}
        for name, inner, outer in shells.shells[["name", "inner", "outer"]].itertuples(index=False):
            self.shells[name] = (inner, outer)
            values["shell", name] = ((distance >= inner) & (distance < outer)).astype(np.float64)
        values["distance", "mean_distance"] = distance
        nulls = (ATOM_NULLS[name] for name in DISTANCE_NULLS)
        pool.add_means(values, shells.candidates, nulls, self.draws, random)

    def _motifs(self, candidates: Candidates, pool: NullPool, random: np.random.Generator) -> dict[str, float]:
        """Compare the motifs of important atoms with closed cells, and return their means; none without such atoms."""
        kept = candidates.only(self.order.cells.closed[candidates.ids])
        names = self._features.columns.map(": ".join).to_list()
        if not kept.chosen.any():
            return dict.fromkeys(names, np.nan)
        values = self._features.loc[kept.ids].to_numpy()
        columns = {("motif", name): column for name, column in zip(names, values.T, strict=True)}
        pool.add_means(columns, kept, _MOTIF_NULLS, self.draws, random)
        return dict(zip(names, values[kept.chosen].mean(axis=0).tolist(), strict=True))

    def _network(self, explanation: AtomExplanation, pool: NullPool, random: np.random.Generator) -> dict[str, float]:
        top = explanation.rank()[: self.k]
        if (explanation.source[top] == explanation.target[top]).all():
            return {}
        bonds, candidates = field_bonds(explanation, self.glass, self.k)
        _, kind = np.unique(self.glass.numbers, return_inverse=True)

        def describe(rows: IntArray) -> dict[str, FloatArray]:
            batch = GraphBatch.of(bonds[rows, 0], bonds[rows, 1])
            found = statistics(batch, kind[batch.label], largest_ring=_LARGEST_RING)
            return {f"{group}: {name}": found[group, name] for group, name in NETWORK_STATISTICS}

        observed = describe(np.flatnonzero(candidates.chosen)[None])
        drawn = describe(BOND_NULLS["matched"].draw(candidates, self.draws, random).rows)
        for name, values in drawn.items():
            pool.add(
                "network",
                name,
                "hop_length_matched",
                observed=float(observed[name][0]),
                expected=float(values.mean()),
                drawn=values,
            )
        return {name: float(values[0]) for name, values in observed.items()}


def _cycle_columns(comparison: CycleComparison) -> dict[str, float]:
    """Mean cycles of each group, and what the top edges have more than random and than matched ones."""
    means = comparison.groups.set_index("group")["mean"]
    edges = comparison.edges
    # Top edges without a counterpart enter the mean of the top, but not the comparison with the matched.
    with_counterpart = edges["cycles"][edges["matches"] > 0].mean()
    return {
        "cycles_top": means["top"],
        "cycles_mid": means["middle"],
        "cycles_low": means["bottom"],
        "cycles_random": means["random"],
        "cycles_matched": means.get("matched", np.nan),
        "cycles_top_minus_random": means["top"] - means["random"],
        "cycles_top_minus_matched": float(with_counterpart) - means.get("matched", np.nan),
    }
