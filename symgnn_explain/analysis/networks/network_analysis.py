"""The network that an explanation's important edges form, against random networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from symgnn_explain.analysis.networks.field_bonds import FieldBonds, field_bonds, rewire
from symgnn_explain.analysis.networks.graph_statistics import LARGEST_RING, GraphBatch, statistics
from symgnn_explain.analysis.networks.structure_network import BondNetwork, RingStatistics
from symgnn_explain.analysis.nulls.null_models import (
    LENGTH_TOLERANCE,
    against,
    false_discovery_rates,
    interval,
    plain,
    two_sided_p,
)
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

if TYPE_CHECKING:
    import networkx as nx

DRAWS = 200

NULLS: Mapping[str, str] = MappingProxyType(
    {
        "random": "as many bonds drawn from the receptive field",
        "matched": (
            "as many bonds of each class drawn from the receptive field: both atoms as many hops from the explained one"
            f", and a length in the same class, {LENGTH_TOLERANCE:g} Å wide"
        ),
        "degree": (
            "the same atoms with as many bonds each, but joined at random wherever they are (no geometry is kept): "
            "what degrees alone explain"
        ),
    }
)
"""What the important network is compared with."""

ROUNDING = 1e-9


@dataclass(frozen=True)
class NetworkTest:
    """One statistic of the important network against one null model.

    Parameters
    ----------
    group, name
        Of the statistic; see :func:`network_analysis`.
    null
        Name of the null model, see :data:`NULLS`.
    observed, expected
        Of the important network, and mean over the null's draws.
    null_low, null_high
        95 % of the draws lie between.
    effect
        Observed minus expected in standard deviations of the null; NaN where its draws are all the same.
    p_value
        Share of draws as far from their mean as the important network, two-sided.
    q_value
        The same, corrected for the tests against the same null (Benjamini and Hochberg, 1995).
    """

    group: str
    name: str
    null: str
    observed: float
    expected: float
    null_low: float
    null_high: float
    effect: float
    p_value: float
    q_value: float


@dataclass(frozen=True, eq=False)
class NetworkAnalysis:
    """The network of an explanation's important bonds.

    Parameters
    ----------
    atom, method, k, glass_name
        What was analysed.
    statistics
        Observed statistics, by group and name.
    tests
        One entry a statistic and null model; what a null model leaves no choice about is left out.
    atoms
        One row an atom of the network: atom, species, degree, clustering, closeness, betweenness, core, component.
    bonds
        One row a bond, see :meth:`FieldBonds.to_frame`.
    cycle_basis
        A minimum cycle basis: the atoms around each independent ring, shortest rings first.
    n_bonds, n_candidates
        Important bonds, and bonds of the receptive field.
    n_parallel
        Important bonds to a further image of an atom, which the network does not tell apart; 0 in a wide cell.
    draws, seed
        Of the null models.
    """

    atom: int
    method: str
    k: int
    glass_name: str
    statistics: Mapping[tuple[str, str], float]
    tests: tuple[NetworkTest, ...]
    atoms: pd.DataFrame
    bonds: pd.DataFrame
    cycle_basis: tuple[tuple[int, ...], ...]
    n_bonds: int
    n_candidates: int
    n_parallel: int
    draws: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """One row a statistic and null model, with the columns of :class:`NetworkTest`."""
        return pd.DataFrame([asdict(test) for test in self.tests])

    def of_null(self, null: str) -> pd.DataFrame:
        """Return the tests against one null model; raises InputError where there is no such model."""
        return against(self.to_frame(), null, NULLS)

    def summary(self) -> dict[str, Any]:
        """Observed statistics and every test, ready for JSON; what is undefined is None."""
        return {
            "k": self.k,
            "n_bonds": self.n_bonds,
            "n_candidates": self.n_candidates,
            "n_parallel_bonds": self.n_parallel,
            "cycle_basis_sizes": [len(cycle) for cycle in self.cycle_basis],
            "statistics": plain({f"{group}: {name}": value for (group, name), value in self.statistics.items()}),
            "tests": [plain(asdict(test)) for test in self.tests],
            "null_models": dict(NULLS),
            "draws": self.draws,
            "seed": self.seed,
        }


def important_network(bonds: FieldBonds, glass: Glass) -> nx.Graph:
    """Build a graph of the important bonds: atoms with their species; bonds with length (Å), hops and score."""
    import networkx as nx

    graph = nx.Graph()
    for row in bonds.to_frame().to_dict(orient="records"):
        bond = {str(name): value for name, value in row.items()}
        ends = bond.pop("first"), bond.pop("second")
        if not graph.has_edge(*ends):  # the most important of several images came first
            graph.add_edge(*ends, **bond)
    for node in graph:
        graph.nodes[node]["species"] = chemical_symbols[glass.numbers[node]]
    return graph


def network_analysis(
    explanation: AtomExplanation,
    glass: Glass,
    network: BondNetwork,
    k: int = 50,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> NetworkAnalysis:
    """Describe the network of an explanation's important edges, and compare it with three kinds of random networks.

    The ``k`` most important edges make undirected bonds, both directions of a pair one bond; self-loops are none.
    Statistics: its size (atoms, components, independent cycles), clustering, assortativity by species and degree,
    centralities, cores, King's and primitive rings, motifs of three and four atoms
    (:data:`~.graph_statistics.MOTIFS`); and how the important bonds lie in the structure's own network: the share of
    them that are bonds of it, and how many of its rings of each size pass through an important bond.

    A random choice of bonds from the receptive field is scattered, so that nearly everything differs from it; the
    matched null has the important bonds' lengths and hops, and the degree null says what follows from some atoms having
    many important bonds. Random importances of bonds give uniform p-values under the first two, up to the discreteness
    of counts.

    Parameters
    ----------
    network
        The bond network of the glass, from :func:`~.structure_network.bond_network`.
    draws, seed
        Of the null models.

    Raises
    ------
    InputError
        If the explanation or the network belongs to another glass, or the ``k`` edges join no two atoms.
    """
    network.require_glass(glass)
    bonds = field_bonds(explanation, glass, k)
    random = np.random.default_rng(seed)
    _, kind = np.unique(glass.numbers, return_inverse=True)
    own_rows = network.rows_of(bonds.bonds)
    chosen = np.flatnonzero(bonds.important)[None]

    def describe(first: IntArray, second: IntArray) -> dict[tuple[str, str], FloatArray]:
        batch = GraphBatch.of(first, second)
        return statistics(batch, kind[batch.label], largest_ring=LARGEST_RING)

    observed = describe(*bonds.ends(chosen)) | _ring_places(network, own_rows[chosen])
    tests: list[NetworkTest] = []
    for null in ("random", "matched"):
        rows = bonds.draw(draws, random, matched=null == "matched")
        drawn = describe(*bonds.ends(rows)) | _ring_places(network, own_rows[rows])
        tests += _tests(null, observed, drawn)
    graph = important_network(bonds, glass)
    edges = np.array(list(graph.edges), dtype=np.int64)
    tests += _tests("degree", observed, describe(*rewire(edges[:, 0], edges[:, 1], draws, random)))
    return NetworkAnalysis(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass.name,
        statistics=MappingProxyType({key: float(values[0]) for key, values in observed.items()}),
        tests=tuple(tests),
        atoms=_atoms_frame(graph),
        bonds=bonds.to_frame(),
        cycle_basis=_cycle_basis(graph),
        n_bonds=int(bonds.important.sum()),
        n_candidates=len(bonds),
        n_parallel=int(bonds.important.sum()) - len(edges),
        draws=draws,
        seed=seed,
    )


def _ring_places(network: BondNetwork, rows: IntArray) -> dict[tuple[str, str], FloatArray]:
    """Where the structure's network has the bonds of each draw: rows of it, shape (draws, K), -1 for none."""
    is_bond = rows >= 0
    found = {("structure", "share of bonds in the structure's network"): is_bond.mean(axis=1)}
    for name, rings in _kinds(network):
        per_bond = np.vstack([rings.per_bond, np.zeros((1, len(rings.sizes)))])
        means = per_bond[rows].mean(axis=1)
        for place, size in enumerate(rings.sizes.tolist()):
            found["structure", f"{name} rings of {size} through a bond"] = means[:, place]
    return found


def _kinds(network: BondNetwork) -> Iterator[tuple[str, RingStatistics]]:
    yield "primitive", network.primitive
    yield "King's", network.king


def _tests(
    null: str, observed: Mapping[tuple[str, str], FloatArray], drawn: Mapping[tuple[str, str], FloatArray]
) -> list[NetworkTest]:
    found = []
    for (group, name), values in drawn.items():
        here, there = float(observed[group, name][0]), values[np.isfinite(values)]
        if np.isfinite(here) and there.size and max(np.ptp(there), abs(here - there[0])) > ROUNDING:
            found.append((group, name, here, there, two_sided_p(here, there, float(there.mean()))))
    q_values = false_discovery_rates([p_value for *_, p_value in found])
    tests = []
    for (group, name, here, there, p_value), q_value in zip(found, q_values, strict=True):
        low, high = interval(there)
        spread = float(there.std())
        tests.append(
            NetworkTest(
                group=group,
                name=name,
                null=null,
                observed=here,
                expected=float(there.mean()),
                null_low=low,
                null_high=high,
                effect=(here - float(there.mean())) / spread if spread > ROUNDING else np.nan,
                p_value=p_value,
                q_value=q_value,
            )
        )
    return tests


def _atoms_frame(graph: nx.Graph) -> pd.DataFrame:
    import networkx as nx

    component = {node: number for number, nodes in enumerate(_components(graph)) for node in nodes}
    table = pd.DataFrame(
        {
            "species": dict(graph.nodes(data="species")),
            "degree": dict(graph.degree),
            "clustering": nx.clustering(graph),
            "closeness": nx.closeness_centrality(graph),
            "betweenness": nx.betweenness_centrality(graph),
            "core": nx.core_number(graph),
            "component": component,
        }
    )
    table = table.rename_axis("atom").reset_index()
    return table.sort_values(["betweenness", "degree", "atom"], ascending=[False, False, True], ignore_index=True)


def _components(graph: nx.Graph) -> list[set[int]]:
    import networkx as nx

    return sorted(nx.connected_components(graph), key=lambda nodes: (-len(nodes), min(nodes)))


def _cycle_basis(graph: nx.Graph) -> tuple[tuple[int, ...], ...]:
    import networkx as nx

    return tuple(
        sorted((tuple(cycle) for cycle in nx.minimum_cycle_basis(graph)), key=lambda cycle: (len(cycle), cycle))
    )
