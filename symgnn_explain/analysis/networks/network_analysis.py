"""The network that an explanation's important edges form, against random networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.networks.field_bonds import field_bonds, rewire
from symgnn_explain.analysis.networks.graph_statistics import LARGEST_RING, GraphBatch, statistics
from symgnn_explain.analysis.networks.structure_network import BondNetwork
from symgnn_explain.analysis.nulls.null_models import (
    LENGTH_TOLERANCE,
    ROUNDING,
    NullModel,
    against,
    by_name,
    tested,
    with_q_values,
)
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

DRAWS = 200

BOND_NULLS = by_name(
    NullModel("random", "as many bonds drawn from the receptive field"),
    NullModel(
        "matched",
        "as many bonds of each class drawn from the receptive field: both atoms as many hops from the explained one, "
        f"and a length in the same class, {LENGTH_TOLERANCE:g} Å wide",
        by=("hop_near", "hop_far", ("distance", LENGTH_TOLERANCE)),
    ),
)

NULLS = (*BOND_NULLS, "degree")
"""What the important network is compared with; ``degree``: the same atoms with as many bonds each, but joined at random
wherever they are (no geometry is kept), which is what degrees alone explain."""


_NUMBERS = ("observed", "expected", "null_low", "null_high", "effect", "p_value")


@dataclass(frozen=True, eq=False, repr=False)
class NetworkAnalysis(Brief):
    """The network of an explanation's important bonds.

    Parameters
    ----------
    atom, method, k
        What was analysed.
    statistics
        Observed statistics, by group and name.
    tests
        One row a statistic and null model, see :meth:`to_frame`.
    n_bonds
        Important bonds.
    n_parallel
        Important bonds to a further image of an atom, which the network does not tell apart; 0 in a wide cell.
    """

    atom: int
    method: str
    k: int
    statistics: Mapping[tuple[str, str], float]
    tests: pd.DataFrame
    n_bonds: int
    n_parallel: int

    def to_frame(self) -> pd.DataFrame:
        """One row a statistic and null model; what a null model leaves no choice about is left out.

        Columns: ``group`` and ``name`` of the statistic, ``null``, see :data:`NULLS`, ``observed``, ``expected`` (mean
        over the null's draws), ``null_low`` and ``null_high`` (95 % of the draws lie between), ``effect`` (difference
        in standard deviations of the null; NaN where its draws are all the same), the two-sided ``p_value``, and
        ``q_value``, corrected for the tests against the same null (Benjamini and Hochberg, 1995).
        """
        return self.tests.copy()

    def of_null(self, null: str) -> pd.DataFrame:
        """Return the tests against one null model; raises InputError where there is no such model."""
        return against(self.tests, null, NULLS)


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
    import networkx as nx

    network.require_glass(glass)
    bonds, candidates = field_bonds(explanation, glass, k)
    random = np.random.default_rng(seed)
    _, kind = np.unique(glass.numbers, return_inverse=True)
    own_rows = network.rows_of(bonds)

    def describe(first: IntArray, second: IntArray) -> dict[tuple[str, str], FloatArray]:
        batch = GraphBatch.of(first, second)
        return statistics(batch, kind[batch.label], largest_ring=LARGEST_RING)

    def describe_bonds(rows: IntArray) -> dict[tuple[str, str], FloatArray]:
        return describe(bonds[rows, 0], bonds[rows, 1]) | _ring_places(network, own_rows[rows])

    chosen = np.flatnonzero(candidates.chosen)
    observed = {key: float(values[0]) for key, values in describe_bonds(chosen[None]).items()}
    tests = []
    for null in BOND_NULLS.values():
        tests += _tests(null.name, observed, describe_bonds(null.draw(candidates, draws, random).rows))
    by_score = chosen[np.argsort(-candidates.weight[chosen], kind="stable")]
    edges = np.array(nx.Graph(bonds[by_score, :2].tolist()).edges, dtype=np.int64)
    tests += _tests("degree", observed, describe(*rewire(edges[:, 0], edges[:, 1], draws, random)))
    table = pd.DataFrame(tests, columns=["group", "name", "null", *_NUMBERS])
    return NetworkAnalysis(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        statistics=MappingProxyType(observed),
        tests=with_q_values(table.astype(dict.fromkeys(_NUMBERS, np.float64))),
        n_bonds=len(chosen),
        n_parallel=len(chosen) - len(edges),
    )


def _ring_places(network: BondNetwork, rows: IntArray) -> dict[tuple[str, str], FloatArray]:
    """Where the structure's network has the bonds of each draw: rows of it, shape (draws, K), -1 for none."""
    found = {("structure", "share of bonds in the structure's network"): (rows >= 0).mean(axis=1)}
    for name, rings in (("primitive", network.primitive), ("King's", network.king)):
        per_bond = np.vstack([rings.per_bond, np.zeros((1, len(rings.sizes)))])
        means = per_bond[rows].mean(axis=1)
        for place, size in enumerate(rings.sizes.tolist()):
            found["structure", f"{name} rings of {size} through a bond"] = means[:, place]
    return found


def _tests(
    null: str, observed: Mapping[tuple[str, str], float], drawn: Mapping[tuple[str, str], FloatArray]
) -> list[dict[str, Any]]:
    found = []
    for (group, name), values in drawn.items():
        here, there = observed[group, name], values[np.isfinite(values)]
        if np.isfinite(here) and there.size and max(np.ptp(there), abs(here - there[0])) > ROUNDING:
            test = tested(here, there, float(there.mean()))
            found.append({"group": group, "name": name, "null": null, **test})
    return found
