"""Statistics of many small graphs at once: what makes null models of a network affordable.

A batch of graphs is one large graph whose parts are not connected. Every statistic is computed over the whole batch and
summed up by graph, and agrees with networkx where that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.rings import Graph, kings_rings, primitive_rings
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
    """Several graphs as one; only nodes with edges.

    Parameters
    ----------
    graph
        All of them, without any edge between two.
    owner
        The graph that each node belongs to, ascending, shape (n,).
    label
        What each node stands for, shape (n,).
    n_graphs
        How many graphs; some may be empty.
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


@dataclass(frozen=True, eq=False)
class Centralities:
    """Centralities of each node within its own graph, as networkx has them by default.

    Parameters
    ----------
    closeness, betweenness
        Shapes (n,); closeness is scaled by the share of the nodes that are reached (Wasserman and Faust).
    harmonic
        Mean inverse distance to the other nodes, shape (n,); its mean is the global efficiency of the graph.
    """

    closeness: FloatArray
    betweenness: FloatArray
    harmonic: FloatArray


def statistics(
    batch: GraphBatch, kind: IntArray, *, largest_ring: int = LARGEST_RING
) -> dict[tuple[str, str], FloatArray]:
    """Compute the statistics of every graph, by group and name, shapes (n_graphs,); NaN where one is undefined.

    Parameters
    ----------
    kind
        Species of each node, shape (n,), numbered from 0.
    """
    edges = batch.graph.edges()
    owner = batch.owner[edges[:, 0]]
    degree = batch.graph.degree
    triangles = list_triangles(batch.graph)
    through = np.bincount(triangles.ravel(), minlength=batch.graph.n_nodes)
    n_nodes, n_edges = batch.total(np.ones(len(degree))), batch.total(np.ones(len(edges)), owner)
    component = components(batch.graph)
    n_components = batch.total(component == np.arange(len(component)))
    size = np.bincount(component, minlength=len(component))
    corners = degree * (degree - 1) / 2
    central = centralities(batch)
    found: dict[tuple[str, str], FloatArray] = {
        ("size", "atoms"): n_nodes,
        ("size", "components"): n_components,
        ("size", "share of atoms in the largest component"): ratio(batch.largest(size), n_nodes),
        ("size", "independent cycles"): n_edges - n_nodes + n_components,
        ("clustering", "mean clustering"): batch.mean(ratio(through, corners, otherwise=0.0)),
        ("clustering", "transitivity"): ratio(batch.total(through), batch.total(corners), otherwise=0.0),
        ("assortativity", "species"): species_assortativity(batch, edges, kind),
        ("assortativity", "degree"): degree_assortativity(batch, edges, degree),
        ("centrality", "largest degree"): batch.largest(degree),
        ("centrality", "mean closeness"): batch.mean(central.closeness),
        ("centrality", "largest betweenness"): batch.largest(central.betweenness),
        ("centrality", "efficiency"): batch.mean(central.harmonic),
        ("core", "largest core number"): batch.largest(core_numbers(batch.graph)),
    }
    found |= {("motif", name): counts for name, counts in motif_census(batch, triangles).items()}
    for name, listed in (
        ("primitive", primitive_rings(batch.graph, largest_ring)),
        ("King's", kings_rings(batch.graph, largest_ring)),
    ):
        for ring_size, rings in zip(listed.sizes, listed.rings, strict=True):
            found["rings", f"{name} rings of {ring_size}"] = batch.total(np.ones(len(rings)), batch.owner[rings[:, 0]])
    return found


def components(graph: Graph) -> IntArray:
    """Lowest node of the component that each node belongs to, shape (n_nodes,)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(graph.neighbour), dtype=np.int8)
    matrix = csr_array((ones, graph.neighbour, graph.start), shape=(graph.n_nodes, graph.n_nodes))
    _, label = connected_components(matrix, directed=False)
    _, lowest = np.unique(label, return_index=True)
    return lowest[label].astype(np.int64)


def list_triangles(graph: Graph) -> IntArray:
    """Every triangle once, nodes ascending, shape (T, 3)."""
    edges = graph.edges()
    row, third = graph.step(edges[:, 1])
    triples = np.column_stack([edges[row], third])[third > edges[row, 1]]
    return triples[_joined(graph, triples[:, 0], triples[:, 2])]


def core_numbers(graph: Graph) -> IntArray:
    """Find for each node the largest k of a subgraph around it whose nodes all have k neighbours; shape (n_nodes,)."""
    degree, core = graph.degree.copy(), np.zeros(graph.n_nodes, dtype=np.int64)
    alive = np.ones(graph.n_nodes, dtype=bool)
    level = 0
    while alive.any():
        leaving = np.flatnonzero(alive & (degree <= level))
        if not leaving.size:
            level += 1
            continue
        core[leaving] = level
        alive[leaving] = False
        _, neighbour = graph.step(leaving)
        degree -= np.bincount(neighbour, minlength=graph.n_nodes)
    return core


def centralities(batch: GraphBatch) -> Centralities:
    """Compute closeness and betweenness from all shortest paths (Brandes, J. Math. Sociol. 25, 163, 2001)."""
    graph, n_nodes = batch.graph, batch.graph.n_nodes
    shells, total, inverse, reached = _shortest_paths(graph)
    betweenness: FloatArray = np.zeros(n_nodes)
    # From the farthest pairs inwards: how many shortest paths from an origin run on beyond each node, as shares.
    beyond: FloatArray = np.zeros(len(shells[-1].codes))
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
    return Centralities(
        closeness, ratio(betweenness, others * (others - 1), otherwise=0.0), ratio(inverse, others, otherwise=0.0)
    )


def motif_census(batch: GraphBatch, triangles: IntArray) -> dict[str, FloatArray]:
    """Count the connected motifs of three and four nodes in every graph, see :data:`MOTIFS`."""
    graph, edges = batch.graph, batch.graph.edges()
    owner = batch.owner[edges[:, 0]]
    degree = graph.degree
    n_triangles = batch.total(np.ones(len(triangles)), batch.owner[triangles[:, 0]])
    through = np.bincount(triangles.ravel(), minlength=graph.n_nodes)
    on_edge = _triangles_on_edges(graph, edges, triangles)
    # Counts of subgraphs with or without further edges among their nodes come first.
    paths = batch.total((degree[edges] - 1).prod(axis=1), owner) - 3 * n_triangles
    stars = batch.total(degree * (degree - 1) * (degree - 2) / 6)
    tailed = batch.total(through * (degree - 2))
    diamonds = batch.total(on_edge * (on_edge - 1) / 2, owner)
    squares = _squares(batch)
    tetrahedra = _tetrahedra(batch, triangles)
    # What a denser motif contains of a sparser one is then taken away.
    diamonds = diamonds - 6 * tetrahedra
    squares = squares - diamonds - 3 * tetrahedra
    tailed = tailed - 4 * diamonds - 12 * tetrahedra
    stars = stars - tailed - 2 * diamonds - 4 * tetrahedra
    paths = paths - 2 * tailed - 4 * squares - 6 * diamonds - 12 * tetrahedra
    return {
        "open triad": batch.total(degree * (degree - 1) / 2) - 3 * n_triangles,
        "triangle": n_triangles,
        "path": paths,
        "star": stars,
        "square": squares,
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


@dataclass(frozen=True, eq=False)
class _Shell:
    """Pairs of nodes so many edges apart: ascending codes, both nodes, and how many shortest paths join them."""

    codes: IntArray
    origin: IntArray
    node: IntArray
    paths: FloatArray


def _shortest_paths(graph: Graph) -> tuple[list[_Shell], FloatArray, FloatArray, FloatArray]:
    """All pairs by distance; and for each node the sum of distances, of inverse distances, and nodes reached."""
    n_nodes = graph.n_nodes
    everyone = np.arange(n_nodes)
    shells = [_Shell(everyone * (n_nodes + 1), everyone, everyone, np.ones(n_nodes))]
    total: FloatArray = np.zeros(n_nodes)
    inverse: FloatArray = np.zeros(n_nodes)
    reached: FloatArray = np.zeros(n_nodes)
    while len(shells[-1].codes):
        last = shells[-1]
        row, node = graph.step(last.node)
        codes, place = np.unique(last.origin[row] * n_nodes + node, return_inverse=True)
        paths = np.bincount(place.reshape(-1), last.paths[row], minlength=len(codes))
        fresh = np.ones(len(codes), dtype=bool)
        for seen in shells[-2:]:
            found = np.minimum(np.searchsorted(seen.codes, codes), len(seen.codes) - 1)
            fresh &= seen.codes[found] != codes
        codes, paths = codes[fresh], paths[fresh]
        origin, node = np.divmod(codes, n_nodes)
        distance = len(shells)
        here = np.bincount(origin, minlength=n_nodes)
        total, inverse, reached = total + distance * here, inverse + here / distance, reached + here
        shells.append(_Shell(codes, origin, node, paths))
    return shells[:-1], total, inverse, reached


def _joined(graph: Graph, one: IntArray, other: IntArray) -> NDArray[np.bool_]:
    source = np.repeat(np.arange(graph.n_nodes), graph.degree)
    codes = source * graph.n_nodes + graph.neighbour
    wanted = one * graph.n_nodes + other
    if not len(codes):
        return np.zeros(len(wanted), dtype=bool)
    return codes[np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)] == wanted


def _triangles_on_edges(graph: Graph, edges: IntArray, triangles: IntArray) -> IntArray:
    codes = edges[:, 0] * graph.n_nodes + edges[:, 1]
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [0, 2]], triangles[:, [1, 2]]])
    place = np.searchsorted(codes, sides[:, 0] * graph.n_nodes + sides[:, 1])
    return np.bincount(place, minlength=len(edges))


def _squares(batch: GraphBatch) -> FloatArray:
    """Rings of four nodes in every graph, with or without diagonals."""
    graph = batch.graph
    first, middle = graph.step(np.arange(graph.n_nodes))
    row, second = graph.step(middle)
    ends = first[row] * graph.n_nodes + second
    pairs, ways = np.unique(ends[first[row] < second], return_counts=True)
    # Each ring has two diagonals, and was met from either.
    return batch.total(ways * (ways - 1) / 2, batch.owner[pairs // max(graph.n_nodes, 1)]) / 2


def _tetrahedra(batch: GraphBatch, triangles: IntArray) -> FloatArray:
    graph = batch.graph
    row, fourth = graph.step(triangles[:, 2])
    corners = triangles[row]
    row, corners, fourth = (array[fourth > corners[:, 2]] for array in (row, corners, fourth))
    whole = _joined(graph, corners[:, 0], fourth) & _joined(graph, corners[:, 1], fourth)
    return batch.total(np.ones(int(whole.sum())), batch.owner[corners[whole, 0]])
