"""Volume-optimal 1-cycles: the fewest triangles that fill a ring at its death, and the rim of them.

For the pair of a birth edge b and a death triangle d, Obayashi (SIAM J. Appl. Algebra Geometry 2, 508, 2018) minimises
the number of triangles of a chain z = d + Σ α_t t over the triangles t that enter between b and d, such that the rim ∂z
has no edge that enters between b and d. As there, the number is relaxed to Σ |α_t|, a linear programme over the reals.

The programme is solved exactly, yet locally: only triangles near d are looked at, and the rim is left free where others
would follow. Leaving it free can only make the smallest chain smaller, so that a chain whose rim happens to be allowed
everywhere is the smallest of all; otherwise more triangles are taken in.

Where the cell was repeated, copies of an edge or triangle are one: the chain is one on the torus of the cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.alpha import PeriodicComplex
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.structure.glass import FloatArray, IntArray

FEWEST_FIRST = 1e-4
"""Weight of a square ångström against one triangle: of the smallest chains that of the least area is taken."""

_FIRST_LAYERS = 3
_TOLERANCE = 1e-7
_SIGNS = np.array([1.0, -1.0, 1.0])
"""Orientation of the edges (ab, ac, bc) in the boundary of a triangle abc: that is ab - ac + bc."""


@dataclass(frozen=True, eq=False)
class OptimalVolume:
    """Triangles that fill a ring, and the edges of their rim, those on an odd number of them; rows of the complex."""

    triangles: IntArray
    rim: IntArray


def volume_optimal_cycles(
    alpha: PeriodicComplex, birth_edge: IntArray, death_triangle: IntArray, step: Callable[[float], None]
) -> list[OptimalVolume]:
    """Find the volume-optimal cycle of each pair.

    Parameters
    ----------
    birth_edge, death_triangle
        Rows in ``alpha.edges`` and ``alpha.triangles``, shape (R,).
    step
        Called now and then with the fraction done; may raise to stop.

    Raises
    ------
    ArithmeticError
        If a chain does not exist over the reals, though the pair exists over the field of two.
    """
    search = _Search(alpha)
    volumes = []
    for done, (edge, triangle) in enumerate(zip(birth_edge.tolist(), death_triangle.tolist(), strict=True)):
        volumes.append(search.fill(edge, triangle))
        if done % 64 == 0:
            step(done / len(birth_edge))
    return volumes


class _Search:
    """The complex, ready to be asked for the chains of one pair after another."""

    def __init__(self, alpha: PeriodicComplex) -> None:
        self.alpha = alpha
        # One edge and one triangle stands for all its copies; a bond gives all copies of an edge one direction.
        self.edge, self.triangle = (
            np.unique(numbers, return_index=True)[1] for numbers in (alpha.edge_copies, alpha.triangle_copies)
        )
        a, b, c = alpha.triangles[self.triangle].T
        rows = np.column_stack([simplex_rows(np.column_stack(ends), alpha.edges) for ends in ((a, b), (a, c), (b, c))])
        self.edges_of = alpha.edge_copies[rows]
        self.signs = np.where(alpha.forward[rows], _SIGNS, -_SIGNS)
        order = np.argsort(self.edges_of.reshape(-1), kind="stable")
        self.triangles_on = order // 3
        self.first_on = np.searchsorted(self.edges_of.reshape(-1)[order], np.arange(len(self.edge) + 1))
        edge_rank, triangle_rank = _ranks(alpha)
        self.edge_rank, self.triangle_rank = edge_rank[self.edge], triangle_rank[self.triangle]
        self.cost = 1 + FEWEST_FIRST * _areas(alpha.length[self.edge][self.edges_of])

    def fill(self, birth_edge: int, death_triangle: int) -> OptimalVolume:
        """Fill a ring, given and returned by rows of the complex."""
        triangles, rim = self._fill(
            int(self.alpha.edge_copies[birth_edge]), int(self.alpha.triangle_copies[death_triangle])
        )
        return OptimalVolume(self.triangle[triangles], self.edge[rim])

    def _fill(self, birth_edge: int, death_triangle: int) -> tuple[IntArray, IntArray]:
        born, dies = self.edge_rank[birth_edge], self.triangle_rank[death_triangle]
        if not self._between(self.edges_of[death_triangle], born, dies).any():
            sides, times = np.unique(self.edges_of[death_triangle], return_counts=True)
            return np.array([death_triangle]), sides[times % 2 == 1]
        inner, layers, further = np.array([death_triangle]), 0, _FIRST_LAYERS
        while True:
            inner = self._grow(inner, born, dies, further)
            region = self._grow(inner, born, dies, 1)
            triangles, chain = self._smallest_chain(region, self._open_edges(inner, born, dies), death_triangle)
            edges, boundary = self._boundary(triangles, chain)
            if not self._between(edges, born, dies).any():
                # Over the field of two, an edge on which triangles meet in twos is not on the rim.
                is_whole = (np.abs(chain - np.rint(chain)) < _TOLERANCE).all()
                return triangles, edges[np.rint(boundary) % 2 == 1] if is_whole else edges
            if len(region) == len(inner):
                raise ArithmeticError(f"no chain of triangles over the reals fills the ring of edge {birth_edge}.")
            layers += further
            further = layers // 2 + 1

    def _smallest_chain(self, region: IntArray, edges: IntArray, death_triangle: int) -> tuple[IntArray, FloatArray]:
        """Find the smallest chain of the region's triangles, one of them given, whose rim has none of ``edges``.

        Returns its triangles and their coefficients.
        """
        from scipy.optimize import linprog
        from scipy.sparse import coo_array, hstack

        sides = self.edges_of[region]
        place = np.minimum(np.searchsorted(edges, sides), len(edges) - 1)
        kept = edges[place] == sides
        column = np.broadcast_to(np.arange(len(region))[:, None], sides.shape)
        signs = self.signs[region]
        boundary: Any = coo_array((signs[kept], (place[kept], column[kept])), shape=(len(edges), len(region))).tocsc()
        is_death = region == death_triangle
        free = boundary[:, ~is_death]
        solution = linprog(
            np.tile(self.cost[region[~is_death]], 2),
            A_eq=hstack([free, -free], format="csc"),
            b_eq=-boundary[:, is_death].toarray()[:, 0],
            bounds=(0, None),
            method="highs-ds",
        )
        if solution.status != 0:
            raise ArithmeticError(f"the smallest chain of triangles was not found: {solution.message}")
        chain = np.ones(len(region))
        positive, negative = solution.x.reshape(2, -1)
        chain[~is_death] = positive - negative
        used = np.abs(chain) > _TOLERANCE
        return region[used], chain[used]

    def _boundary(self, triangles: IntArray, chain: FloatArray) -> tuple[IntArray, FloatArray]:
        """Edges of the boundary of a chain, and the size of their coefficients."""
        edges, place = np.unique(self.edges_of[triangles], return_inverse=True)
        weight = np.bincount(
            place.reshape(-1), weights=(chain[:, None] * self.signs[triangles]).reshape(-1), minlength=len(edges)
        )
        kept = np.abs(weight) > _TOLERANCE
        return edges[kept], np.abs(weight[kept])

    def _open_edges(self, triangles: IntArray, born: int, dies: int) -> IntArray:
        """Edges of the triangles that enter between birth and death, ascending."""
        edges = np.unique(self.edges_of[triangles])
        return edges[self._between(edges, born, dies)]

    def _grow(self, region: IntArray, born: int, dies: int, layers: int) -> IntArray:
        """Add the triangles between birth and death that share an edge between them with the region, layer by layer."""
        for _ in range(layers):
            sides = self._open_edges(region, born, dies)
            first, count = self.first_on[sides], self.first_on[sides + 1] - self.first_on[sides]
            entry = np.arange(count.sum()) + np.repeat(first - (count.cumsum() - count), count)
            near = self.triangles_on[entry]
            rank = self.triangle_rank[near]
            region = np.union1d(region, near[(rank > born) & (rank < dies)])
        return region

    def _between(self, edges: IntArray, born: int, dies: int) -> NDArray[np.bool_]:
        rank = self.edge_rank[edges]
        return (rank > born) & (rank < dies)


def _ranks(alpha: PeriodicComplex) -> tuple[IntArray, IntArray]:
    """Place of each edge and triangle in the filtration: by value, ties in the order in which the pairs were reduced.

    That is by the vertices from the highest down in GUDHI's simplex tree, and edges first, by their number, where the
    cell was repeated; copies then have one place.
    """
    n_edges, n_triangles = len(alpha.edges), len(alpha.triangles)
    values = np.concatenate([alpha.edge_values, alpha.triangle_values])
    if alpha.n_vertices > alpha.n_atoms:
        ties = np.full((n_edges + n_triangles, 2), 1)
        ties[:n_edges, 0] = 0
        ties[:, 1] = np.concatenate([alpha.edge_copies, alpha.triangle_copies])
    else:
        ties = np.full((n_edges + n_triangles, 3), -1)
        ties[:n_edges, :2] = alpha.edges[:, ::-1]
        ties[n_edges:] = alpha.triangles[:, ::-1]
    order = np.lexsort((*ties.T[::-1], values))
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (ties[order[1:]] != ties[order[:-1]]).any(axis=1)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = is_new.cumsum() - 1
    return rank[:n_edges], rank[n_edges:]


def _areas(sides: FloatArray) -> FloatArray:
    """Area of each triangle from its sides, shape (T, 3), by Heron's formula."""
    half = sides.sum(axis=1) / 2
    return np.sqrt(np.maximum(half * (half[:, None] - sides).prod(axis=1), 0.0))
