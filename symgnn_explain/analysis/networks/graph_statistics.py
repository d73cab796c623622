"""Statistics of many small graphs at once: what makes null models of a network affordable.

A batch of graphs is one large graph whose parts are not connected. Every statistic is computed over the whole batch and
summed up by graph, and agrees with networkx where that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.rings import Graph, contains, kings_rings, primitive_rings
from symgnn_explain.structure.glass import FloatArray, IntArray

LARGEST_RING = 6

MOTIFS: Mapping[str, str] = {
    "open triad": "three atoms, two bonds",
    "triangle": "three atoms, three bonds",
    "path": "four atoms in a row",
    "star": "one atom bonded to three others",
    "square": "four atoms in a ring",
    "tailed triangle": "a triangle with a fourth atom bonded to one corner",
    "diamond": "two triangles with a common side",
    "tetrahedron": "four atoms, all bonded to each other",
}
"""Connected motifs of three and four atoms; each set of atoms counts once, with all bonds that there are among them."""


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Several graphs as one, without any edge between two; only nodes with edges.

    ``owner`` is the graph that each node belongs to, ascending, and ``label`` what it stands for, shapes (n,).
    """

    graph: Graph
    owner: IntArray
    label: IntArray
    n_graphs: int

    @classmethod
    def of(cls, first: IntArray, second: IntArray) -> GraphBatch:
        """Build one graph a row from the labels at the ends of its edges, shapes (graphs, edges)."""
        n_graphs, n_edges = first.shape
        base = int(max(first.max(initial=0), second.max(initial=0))) + 1
        offset = base * np.repeat(np.arange(n_graphs), n_edges)
        codes = np.concatenate([first.ravel() + offset, second.ravel() + offset])
        nodes, place = np.unique(codes, return_inverse=True)
        graph = Graph.of(len(nodes), place.reshape(2, -1).T)
        return cls(graph, nodes // base, nodes % base, n_graphs)

    def total(self, values: NDArray[np.generic], owner: IntArray | None = None) -> FloatArray:
        """Sum up values, one a node or with their owners given, by graph; shape (n_graphs,)."""
        owner = self.owner if owner is None else owner
        return np.bincount(owner, values, minlength=self.n_graphs).astype(np.float64)

    def mean(self, values: NDArray[np.generic]) -> FloatArray:
        """Average values, one a node, by graph; NaN for an empty graph."""
        return ratio(self.total(values), self.total(np.ones(len(self.owner))))

    def largest(self, values: NDArray[np.generic]) -> FloatArray:
        """Find the largest value, one a node, of each graph; 0 for an empty graph."""
        found = np.zeros(self.n_graphs)
        np.maximum.at(found, self.owner, values)
        return found


def statistics(
    batch: GraphBatch, kind: IntArray, *, largest_ring: int = LARGEST_RING
) -> dict[tuple[str, str], FloatArray]:
    """Compute the statistics of every graph, by group and name, shapes (n_graphs,); NaN where one is undefined.

    Parameters
    ----------
    kind
        Species of each node, shape (n,), numbered from 0.
    largest_ring
        Most nodes in a ring; motifs are counted from 4 on.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    graph, edges, degree = batch.graph, batch.graph.edges(), batch.graph.degree
    owner = batch.owner[edges[:, 0]]
    primitive, king = primitive_rings(graph, largest_ring), kings_rings(graph, largest_ring)
    triangles = primitive.rings[0]
    through = np.bincount(triangles.ravel(), minlength=graph.n_nodes)
    n_nodes, n_edges = batch.total(np.ones(len(degree))), batch.total(np.ones(len(edges)), owner)
    ones = np.ones(len(graph.neighbour), dtype=np.int8)
    matrix = csr_array((ones, graph.neighbour, graph.start), shape=(graph.n_nodes, graph.n_nodes))
    _, component = connected_components(matrix, directed=False)
    _, first_node, size = np.unique(component, return_index=True, return_counts=True)
    n_components = batch.total(np.ones(len(size)), batch.owner[first_node])
    corners = degree * (degree - 1) / 2
    closeness, betweenness, harmonic = centralities(batch)
    found: dict[tuple[str, str], FloatArray] = {
        ("size", "atoms"): n_nodes,
        ("size", "components"): n_components,
        ("size", "share of atoms in the largest component"): ratio(batch.largest(size[component]), n_nodes),
        ("size", "independent cycles"): n_edges - n_nodes + n_components,
        ("clustering", "mean clustering"): batch.mean(ratio(through, corners, otherwise=0.0)),
        ("clustering", "transitivity"): ratio(batch.total(through), batch.total(corners), otherwise=0.0),
        ("assortativity", "species"): species_assortativity(batch, edges, kind),
        ("assortativity", "degree"): degree_assortativity(batch, edges, degree),
        ("centrality", "largest degree"): batch.largest(degree),
        ("centrality", "mean closeness"): batch.mean(closeness),
        ("centrality", "largest betweenness"): batch.largest(betweenness),
        ("centrality", "efficiency"): batch.mean(harmonic),
        ("core", "largest core number"): batch.largest(core_numbers(graph)),
    }
    if largest_ring > 3:
        census = motif_census(batch, triangles, squares=primitive.rings[1])
        found |= {("motif", name): counts for name, counts in census.items()}
    for name, listed in (("primitive", primitive), ("King's", king)):
        for ring_size, rings in zip(listed.sizes, listed.rings, strict=True):
            found["rings", f"{name} rings of {ring_size}"] = batch.total(np.ones(len(rings)), batch.owner[rings[:, 0]])
    return found


def core_numbers(graph: Graph) -> IntArray:
    """Find the largest k for which each node is in a part whose nodes all have k neighbours in it, shape (n,)."""
    left, core = graph.degree.copy(), np.zeros(graph.n_nodes, dtype=np.int64)
    within, k = np.ones(graph.n_nodes, dtype=bool), 0
    while within.any():
        k = max(k, int(left[within].min()))
        gone = np.flatnonzero(within & (left <= k))
        core[gone], within[gone] = k, False
        left -= np.bincount(graph.step(gone)[1], minlength=graph.n_nodes)
    return core


def centralities(batch: GraphBatch) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute centralities from all shortest paths (Brandes, J. Math. Sociol. 25, 163, 2001), shapes (n,).

    Returns
    -------
    closeness, betweenness, harmonic
        Of each node within its own graph, as networkx has them by default: closeness is scaled by the share of the
        nodes that are reached; harmonic is the mean inverse distance, whose mean is the efficiency of the graph.
    """
    graph, n_nodes = batch.graph, batch.graph.n_nodes
    everyone = np.arange(n_nodes)
    shells = [_Shell(everyone * (n_nodes + 1), everyone, everyone, np.ones(n_nodes))]
    total, inverse, reached, betweenness = np.zeros((4, n_nodes))
    while len(shells[-1].codes):
        last = shells[-1]
        row, node = graph.step(last.node)
        codes, place = np.unique(last.origin[row] * n_nodes + node, return_inverse=True)
        paths = np.bincount(place.reshape(-1), last.paths[row], minlength=len(codes))
        fresh = ~np.any([contains(seen.codes, codes) for seen in shells[-2:]], axis=0)
        origin, node = np.divmod(codes[fresh], n_nodes)
        here = np.bincount(origin, minlength=n_nodes)
        total, inverse, reached = total + len(shells) * here, inverse + here / len(shells), reached + here
        shells.append(_Shell(codes[fresh], origin, node, paths[fresh]))
    # From the farthest pairs inwards: how many shortest paths from an origin run on beyond each node, as shares.
    beyond: FloatArray = np.zeros(0)
    for nearer, farther in zip(reversed(shells[:-1]), reversed(shells[1:]), strict=True):
        betweenness += np.bincount(farther.node, beyond, minlength=n_nodes)
        row, before = graph.step(farther.node)
        codes = farther.origin[row] * n_nodes + before
        place = np.minimum(np.searchsorted(nearer.codes, codes), len(nearer.codes) - 1)
        leads = nearer.codes[place] == codes
        carried = ((1 + beyond) / farther.paths)[row[leads]] * nearer.paths[place[leads]]
        beyond = np.bincount(place[leads], carried, minlength=len(nearer.codes)).astype(np.float64)
    others = batch.total(np.ones(n_nodes))[batch.owner] - 1
    closeness = ratio(reached, total, otherwise=0.0) * ratio(reached, others, otherwise=0.0)
    # Each pair of ends was met from both.
    return closeness, ratio(betweenness, others * (others - 1), otherwise=0.0), ratio(inverse, others, otherwise=0.0)


class _Shell(NamedTuple):
    """Pairs of nodes so many edges apart: ascending codes, both nodes, and how many shortest paths join them."""

    codes: IntArray
    origin: IntArray
    node: IntArray
    paths: FloatArray


def motif_census(batch: GraphBatch, triangles: IntArray, squares: IntArray) -> dict[str, FloatArray]:
    """Count the connected motifs of three and four nodes in every graph, see :data:`MOTIFS`.

    Triangles and squares without a diagonal are given, shapes (T, 3) and (S, 4), nodes of triangles ascending.
    """
    graph, edges = batch.graph, batch.graph.edges()
    owner, degree = batch.owner[edges[:, 0]], graph.degree
    n_triangles = batch.total(np.ones(len(triangles)), batch.owner[triangles[:, 0]])
    n_squares = batch.total(np.ones(len(squares)), batch.owner[squares[:, 0]])
    through = np.bincount(triangles.ravel(), minlength=graph.n_nodes)
    sides = triangles[:, [[0, 1], [0, 2], [1, 2]]].reshape(-1, 2) @ [graph.n_nodes, 1]
    on_edge = np.bincount(np.searchsorted(edges @ [graph.n_nodes, 1], sides), minlength=len(edges))
    row, fourth = graph.step(triangles[:, 2])
    whole = fourth > triangles[row, 2]
    for corner in (0, 1):
        whole &= contains(graph.codes, triangles[row, corner] * graph.n_nodes + fourth)
    tetrahedra = batch.total(np.ones(int(whole.sum())), batch.owner[fourth[whole]])
    # Counts of subgraphs with or without further edges among their nodes come first; what a denser motif contains of a
    # sparser one is then taken away.
    diamonds = batch.total(on_edge * (on_edge - 1) / 2, owner) - 6 * tetrahedra
    tailed = batch.total(through * (degree - 2)) - 4 * diamonds - 12 * tetrahedra
    stars = batch.total(degree * (degree - 1) * (degree - 2) / 6) - tailed - 2 * diamonds - 4 * tetrahedra
    paths = batch.total((degree[edges] - 1).prod(axis=1), owner) - 3 * n_triangles
    return {
        "open triad": batch.total(degree * (degree - 1) / 2) - 3 * n_triangles,
        "triangle": n_triangles,
        "path": paths - 2 * tailed - 4 * n_squares - 6 * diamonds - 12 * tetrahedra,
        "star": stars,
        "square": n_squares,
        "tailed triangle": tailed,
        "diamond": diamonds,
        "tetrahedron": tetrahedra,
    }


def species_assortativity(batch: GraphBatch, edges: IntArray, kind: IntArray) -> FloatArray:
    """Newman's assortativity of the species at both ends of an edge (Phys. Rev. E 67, 026126, 2003, equation 2)."""
    n_kinds = int(kind.max(initial=0)) + 1
    ends = np.concatenate([edges, edges[:, ::-1]])
    cell = (batch.owner[ends[:, 0]] * n_kinds + kind[ends[:, 0]]) * n_kinds + kind[ends[:, 1]]
    mixing = np.bincount(cell, minlength=batch.n_graphs * n_kinds**2).reshape(batch.n_graphs, n_kinds, n_kinds)
    shares = ratio(mixing, mixing.sum(axis=(1, 2), keepdims=True))
    like = np.trace(shares, axis1=1, axis2=2)
    by_chance = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
    return ratio(like - by_chance, np.where(1 - by_chance > 1e-12, 1 - by_chance, 0.0))


def degree_assortativity(batch: GraphBatch, edges: IntArray, degree: IntArray) -> FloatArray:
    """Pearson correlation of the degrees at both ends of an edge; NaN where all are equal."""
    ends = np.concatenate([edges, edges[:, ::-1]])
    owner = batch.owner[ends[:, 0]]
    count = batch.total(np.ones(len(ends)), owner)
    one, other = degree[ends[:, 0]].astype(np.float64), degree[ends[:, 1]]
    mean = ratio(batch.total(one, owner), count)
    variance = ratio(batch.total(one**2, owner), count) - mean**2
    covariance = ratio(batch.total(one * other, owner), count) - mean**2
    return ratio(covariance, np.where(variance > 1e-12, variance, 0.0))


def ratio(
    part: NDArray[np.generic] | float, whole: NDArray[np.generic] | float, otherwise: float = np.nan
) -> FloatArray:
    """Divide where the divisor is positive; ``otherwise`` elsewhere."""
    divisor = np.asarray(whole, dtype=np.float64)
    return np.where(divisor > 0, np.asarray(part) / np.where(divisor > 0, divisor, 1.0), otherwise)
