"""Rings of a network: King's shortest-path rings and primitive rings, listed without repetition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import IntArray

SMALLEST = 3
_ROWS_AT_ONCE = 20_000
_LARGEST_SQUARE = 10_000

Step = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph without loops and parallel edges.

    Parameters
    ----------
    n_nodes
        Number of nodes, 0 to ``n_nodes - 1``.
    start, neighbour
        Neighbours of node ``i`` are ``neighbour[start[i]:start[i + 1]]``, ascending.
    """

    n_nodes: int
    start: IntArray
    neighbour: IntArray

    @classmethod
    def of(cls, n_nodes: int, edges: IntArray) -> Graph:
        """Build it from edges, shape (E, 2), each in either direction and as often as may be; loops are left out."""
        ends = np.concatenate([edges, edges[:, ::-1]])
        codes = np.unique(ends[:, 0] * n_nodes + ends[:, 1])
        source, target = np.divmod(codes, n_nodes)
        source, target = source[source != target], target[source != target]
        start = np.concatenate([[0], np.bincount(source, minlength=n_nodes).cumsum()])
        return cls(n_nodes, start, target)

    @property
    def degree(self) -> IntArray:
        """Neighbours of each node, shape (n_nodes,)."""
        return np.diff(self.start)

    @property
    def codes(self) -> IntArray:
        """Both directions of each edge as ``source * n_nodes + target``, ascending."""
        return np.repeat(np.arange(self.n_nodes), self.degree) * self.n_nodes + self.neighbour

    def edges(self) -> IntArray:
        """Return each edge once, lower node first, in lexicographic order, shape (E, 2)."""
        source, target = np.divmod(self.codes, max(self.n_nodes, 1))
        return np.column_stack([source, target])[source < target]

    def step(self, nodes: IntArray) -> tuple[IntArray, IntArray]:
        """Walk from each of ``nodes`` to each of its neighbours: the row that it began in, and the neighbour."""
        degree = self.degree[nodes]
        row = np.repeat(np.arange(len(nodes)), degree)
        within = np.arange(len(row)) - np.repeat(degree.cumsum() - degree, degree)
        return row, self.neighbour[self.start[nodes][row] + within]


@dataclass(frozen=True, eq=False)
class HopTable:
    """Fewest edges between nodes that are near each other, up to ``farthest``.

    ``codes`` are ``first * n_nodes + second`` of each ordered pair, ascending, and ``hops`` the edges between;
    ``square`` is the same as a square table, for networks small enough: ten times faster to look up.
    """

    n_nodes: int
    farthest: int
    codes: IntArray
    hops: IntArray
    square: NDArray[np.int8] | None = None

    @classmethod
    def of(cls, graph: Graph, farthest: int) -> HopTable:
        """Search outwards from every node at once."""
        n_nodes = graph.n_nodes
        front: IntArray = np.arange(n_nodes) * (n_nodes + 1)
        shells = [front]
        for _ in range(farthest):
            origin, node = np.divmod(front, n_nodes)
            row, reached = graph.step(node)
            front = np.unique(origin[row] * n_nodes + reached)
            # From one shell a walk leads to the next one, or back to this one or the one before.
            for seen in shells[-2:]:
                front = front[~contains(seen, front)]
            shells.append(front)
        codes = np.concatenate(shells)
        hops = np.repeat(np.arange(len(shells)), [len(shell) for shell in shells])
        if n_nodes <= _LARGEST_SQUARE:
            square = np.full(n_nodes**2, farthest + 1, dtype=np.int8)
            square[codes] = hops
            return cls(n_nodes, farthest, codes[:0], hops[:0], square)
        order = np.argsort(codes)
        return cls(n_nodes, farthest, codes[order], hops[order])

    def between(self, first: IntArray, second: IntArray) -> IntArray | NDArray[np.int8]:
        """Edges between pairs of nodes; ``farthest + 1`` where there are more, or no path at all."""
        wanted = first * self.n_nodes + second
        if self.square is not None:
            return self.square[wanted]
        place = np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)
        return np.where(self.codes[place] == wanted, self.hops[place], self.farthest + 1)


@dataclass(frozen=True, eq=False)
class RingList:
    """Rings of a network by size.

    Parameters
    ----------
    rings
        ``rings[i]`` holds the rings of ``3 + i`` nodes, shape (R, 3 + i), in order around each ring: the lowest node
        first, then the lower of its two neighbours.
    n_open
        Pairs of neighbours of a node that no ring up to the largest size closes; 0 for primitive rings.
    """

    rings: tuple[IntArray, ...]
    n_open: int = 0

    @property
    def sizes(self) -> IntArray:
        """Sizes that were looked for, ascending."""
        return np.arange(SMALLEST, SMALLEST + len(self.rings))

    @property
    def counts(self) -> IntArray:
        """Number of rings of each size."""
        return np.array([len(rings) for rings in self.rings], dtype=np.int64)

    def through_nodes(self, n_nodes: int) -> IntArray:
        """Count the rings of each size through each node, shape (n_nodes, sizes)."""
        return np.stack([np.bincount(rings.ravel(), minlength=n_nodes) for rings in self.rings], axis=1)

    def sides(self) -> Iterator[tuple[IntArray, IntArray]]:
        """For each size the two ends of every side of every ring, shapes (R * size,)."""
        for rings in self.rings:
            yield rings.ravel(), np.roll(rings, -1, axis=1).ravel()


def primitive_rings(graph: Graph, largest: int, step: Step | None = None) -> RingList:
    """List the rings without a shortcut: no two of their nodes are closer in the network than along the ring.

    These are the primitive rings (Marians and Hobbs, J. Non-Cryst. Solids 124, 242, 1990; Yuan and Cormack, Comput.
    Mater. Sci. 24, 343, 2002) or shortest-path rings (Franzblau, Phys. Rev. B 44, 4925, 1991).

    Parameters
    ----------
    largest
        Most nodes in a ring.
    step
        Called now and then with the fraction done; may raise to stop.
    """
    _require_size(largest)
    hops = HopTable.of(graph, max(1, largest // 2))
    found = []
    for size in range(SMALLEST, largest + 1):
        begun = _first_neighbours(graph, hops, apart=min(2, size - 2))
        parts = [
            _grow_ring(graph, hops, begun[low : low + _ROWS_AT_ONCE], size)
            for low in _stepped(len(begun), (size - SMALLEST) / (largest - SMALLEST + 1), step)
        ]
        found.append(_in_order(np.concatenate([*parts, np.zeros((0, size), dtype=np.int64)])))
    return RingList(tuple(found))


def kings_rings(graph: Graph, largest: int, step: Step | None = None) -> RingList:
    """List King's rings: for each node and two of its neighbours, the shortest ways between these without that node.

    (King, Nature 213, 1112, 1967; counted as by Le Roux and Jund, Comput. Mater. Sci. 49, 70, 2010.) A ring may have
    shortcuts, and is listed once however many of its nodes find it. Pairs of neighbours that no ring of up to
    ``largest`` nodes closes are counted as open.

    Parameters
    ----------
    largest
        Most nodes in a ring.
    step
        Called now and then with the fraction done; may raise to stop.
    """
    _require_size(largest)
    hops = HopTable.of(graph, max(1, min(3, largest - 2)))
    corners = _corners(graph)
    found = []
    for size in range(SMALLEST, largest + 1):
        parts, closed = [], np.zeros(len(corners), dtype=bool)
        for low in _stepped(len(corners), (size - SMALLEST) / (largest - SMALLEST + 1), step):
            rings, row = _close_corners(graph, hops, corners[low : low + _ROWS_AT_ONCE], size)
            parts.append(np.unique(_turned(rings), axis=0))
            closed[low + row] = True
        found.append(_in_order(np.concatenate([*parts, np.zeros((0, size), dtype=np.int64)])))
        corners = corners[~closed]
    return RingList(tuple(found), len(corners))


def _require_size(largest: int) -> None:
    if largest < SMALLEST:
        raise InputError(f"{largest=} must be at least {SMALLEST}: the smallest ring has three nodes.")


def _stepped(n_rows: int, done: float, step: Step | None) -> Iterator[int]:
    if step is not None:
        step(done)
    yield from range(0, n_rows, _ROWS_AT_ONCE)


def _corners(graph: Graph) -> IntArray:
    """Every node with every two of its neighbours, the lower first, shape (C, 3)."""
    node, first = graph.step(np.arange(graph.n_nodes))
    row, second = graph.step(node)
    corners = np.column_stack([node[row], first[row], second])
    return corners[corners[:, 1] < corners[:, 2]]


def _first_neighbours(graph: Graph, hops: HopTable, *, apart: int) -> IntArray:
    """Corners whose node is the lowest of the three, and whose neighbours are so many edges apart, shape (C, 3)."""
    corners = _corners(graph)
    corners = corners[corners[:, 0] < corners[:, 1]]
    return corners[hops.between(corners[:, 1], corners[:, 2]) == apart]


def _grow_ring(graph: Graph, hops: HopTable, corners: IntArray, size: int) -> IntArray:
    """Complete rings of ``size`` nodes from their lowest node and its neighbours, from both ends towards each other."""
    rings = np.zeros((len(corners), size), dtype=np.int64)
    rings[:, 0], rings[:, 1], rings[:, -1] = corners.T
    filled = [0, 1, size - 1]
    for turn in range(size - SMALLEST):
        ahead = turn % 2 == 0
        place = 2 + turn // 2 if ahead else size - 2 - turn // 2
        row, node = graph.step(rings[:, place - 1 if ahead else place + 1])
        row, node = row[node > rings[row, 0]], node[node > rings[row, 0]]
        # Those farthest along the ring rule out most.
        for other in sorted(filled, key=lambda other: -_around(place, other, size)):
            fits = hops.between(node, rings[row, other]) == _around(place, other, size)
            row, node = row[fits], node[fits]
        rings = rings[row]
        rings[:, place] = node
        filled.append(place)
    return rings


def _around(first: int, second: int, size: int) -> int:
    apart = abs(first - second)
    return min(apart, size - apart)


def _close_corners(graph: Graph, hops: HopTable, corners: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Walk from the second to the third node of each corner in ``size - 2`` edges, without its first node.

    Where there is no shorter way these are the shortest. Returns the rings, shape (R, size), and their corners' rows.
    """
    row: IntArray = np.arange(len(corners))
    walks = corners[:, :2]
    for left in range(size - SMALLEST, 0, -1):
        began, node = graph.step(walks[:, -1])
        row, walks = row[began], walks[began]
        fits = (node != corners[row, 0]) & (hops.between(node, corners[row, 2]) <= left)
        row, walks = row[fits], np.column_stack([walks[fits], node[fits]])
    adjacent = hops.between(walks[:, -1], corners[row, 2]) == 1
    row = row[adjacent]
    return np.column_stack([walks[adjacent], corners[row, 2]]), row


def _turned(rings: IntArray) -> IntArray:
    """Write each ring from its lowest node on, in the direction of the lower of that node's neighbours."""
    size = rings.shape[1]
    lowest = rings.argmin(axis=1)
    forward = np.take_along_axis(rings, (lowest[:, None] + np.arange(size)) % size, axis=1)
    backward = np.take_along_axis(rings, (lowest[:, None] - np.arange(size)) % size, axis=1)
    return np.where((forward[:, 1] < forward[:, -1])[:, None], forward, backward)


def _in_order(rings: IntArray) -> IntArray:
    return np.unique(_turned(rings), axis=0) if len(rings) else rings


def contains(ascending: IntArray, wanted: IntArray) -> NDArray[np.bool_]:
    """Whether each of ``wanted`` is among ascending values."""
    if not len(ascending):
        return np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return ascending[place] == wanted
