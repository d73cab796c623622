"""The optimal 1-cycle of each ring: the fewest edges that close it at its birth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgnn_explain.analysis.topology.alpha import PeriodicComplex
from symgnn_explain.analysis.topology.delaunay import simplex_codes
from symgnn_explain.structure.glass import IntArray

FEWEST_FIRST = 1e-4
"""Weight of an ångström against one edge: of the cycles with the fewest edges the shortest is taken, a unique one."""

_FIRST_REACH = 4.5


def shortest_cycles(rings_of: PeriodicComplex, birth_edge: IntArray, step: Callable[[float], None]) -> list[IntArray]:
    """Find the shortest cycle through each birth edge in the 1-skeleton of the complex at that edge's birth.

    Parameters
    ----------
    birth_edge
        Rows in ``rings_of.edges``, shape (R,).
    step
        Called now and then with the fraction done; may raise to stop.

    Returns
    -------
    list of arrays
        For each birth edge the rows of its cycle's edges, itself included.
    """
    neighbours = _numbered_adjacency(rings_of)
    triangles = _closing_triangles(rings_of, neighbours, birth_edge)
    is_triangle = triangles[:, 0] >= 0
    longer = iter(_closing_paths(rings_of, neighbours, birth_edge[~is_triangle], step))
    return [triangle if closed else next(longer) for triangle, closed in zip(triangles, is_triangle, strict=True)]


def _numbered_adjacency(rings_of: PeriodicComplex) -> Any:
    """Both directions of every edge as a sparse matrix whose entries are edge rows, counted from one."""
    from scipy.sparse import coo_array

    edges, n_vertices = rings_of.edges.vertices, rings_of.n_vertices
    both_ways = np.concatenate([edges, edges[:, ::-1]])
    numbers = np.tile(np.arange(1, len(edges) + 1), 2)
    return coo_array((numbers, both_ways.T), shape=(n_vertices, n_vertices)).tocsr()


def _closing_triangles(rings_of: PeriodicComplex, neighbours: Any, birth_edge: IntArray) -> IntArray:
    """Find the three edges of the shortest triangle on each birth edge, shape (R, 3); -1 where there is none.

    Most rings are triangles, and all of them are found at once.
    """
    (edges, values, _), length = rings_of.edges, rings_of.length
    start, end = edges[birth_edge].T
    degree = np.diff(neighbours.indptr)[start]
    ring = np.repeat(np.arange(len(birth_edge)), degree)
    within = np.arange(degree.sum()) - np.repeat(degree.cumsum() - degree, degree)
    entry = np.repeat(neighbours.indptr[start], degree) + within
    third, first_side = neighbours.indices[entry].astype(np.int64), neighbours.data[entry] - 1
    codes = simplex_codes(edges)
    wanted = simplex_codes(np.sort(np.column_stack([end[ring], third]), axis=1))
    second_side = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    birth = values[birth_edge][ring]
    closed = (codes[second_side] == wanted) & (values[first_side] <= birth) & (values[second_side] <= birth)
    ring, first_side, second_side = ring[closed], first_side[closed], second_side[closed]
    order = np.lexsort((length[first_side] + length[second_side], ring))
    found, first = np.unique(ring[order], return_index=True)
    best = order[first]
    triangles = np.full((len(birth_edge), 3), -1)
    triangles[found] = np.column_stack([birth_edge[found], first_side[best], second_side[best]])
    return triangles


def _closing_paths(
    rings_of: PeriodicComplex, neighbours: Any, birth_edge: IntArray, step: Callable[[float], None]
) -> list[IntArray]:
    edges, values, _ = rings_of.edges
    weight = 1 + FEWEST_FIRST * rings_of.length
    entry_edge = neighbours.data - 1
    entries = np.argsort(entry_edge, kind="stable").reshape(len(edges), 2)
    graph = neighbours.astype(np.float64)
    graph.data = weight[entry_edge]
    codes = simplex_codes(edges)
    # Births are taken from the last to the first; an edge that is not yet born then has infinite weight.
    unborn = np.argsort(-values, kind="stable")
    n_unborn = 0
    cycles: list[IntArray] = [np.zeros(0, dtype=np.int64)] * len(birth_edge)
    for done, place in enumerate(np.argsort(-values[birth_edge], kind="stable")):
        birth = birth_edge[place]
        while values[unborn[n_unborn]] > values[birth]:
            graph.data[entries[unborn[n_unborn]]] = np.inf
            n_unborn += 1
        graph.data[entries[birth]] = np.inf
        path = np.array(_shortest_path(graph, *edges[birth].tolist()))
        graph.data[entries[birth]] = weight[birth]
        sides = np.sort(np.column_stack([path[1:], path[:-1]]), axis=1)
        cycles[place] = np.append(np.searchsorted(codes, simplex_codes(sides)), birth)
        if done % 64 == 0:
            step(done / len(birth_edge))
    return cycles


def _shortest_path(graph: Any, start: int, end: int) -> list[int]:
    from scipy.sparse.csgraph import dijkstra

    reach = _FIRST_REACH
    while True:
        # A near limit keeps the search local; few rings have more than five edges.
        distance, before = dijkstra(graph, indices=start, limit=reach, return_predecessors=True)
        if np.isfinite(distance[end]):
            break
        reach *= 2
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path
