"""The search of :class:`~symgnn_explain.structure.bins.Bins`, compiled for one CPU core."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgnn_explain.runs.compiled import compiled

_MARGIN = 1e-6
_FEW = 256


@compiled
def search(arrays: Any, home: int, reach: float, found: Any, vectors: Any) -> int:
    """Put the images within ``reach`` of another, and the way to each, into ``found`` (K,) and ``vectors`` (K, 3).

    Return their number, which may exceed K; what does not fit is left out.
    """
    place, position, shift, _, first, cell, low, side, counts = arrays
    x, y, z = place[home, 0], place[home, 1], place[home, 2]
    rough = (reach + _MARGIN) ** 2
    a0 = max(int((x - reach - _MARGIN - low[0]) // side), 0)
    a1 = min(int((x + reach + _MARGIN - low[0]) // side), counts[0] - 1)
    b0 = max(int((y - reach - _MARGIN - low[1]) // side), 0)
    b1 = min(int((y + reach + _MARGIN - low[1]) // side), counts[1] - 1)
    c0 = max(int((z - reach - _MARGIN - low[2]) // side), 0)
    c1 = min(int((z + reach + _MARGIN - low[2]) // side), counts[2] - 1)
    n = 0
    for a in range(a0, a1 + 1):
        for b in range(b0, b1 + 1):
            row = (a * counts[1] + b) * counts[2]
            for other in range(first[row + c0], first[row + c1 + 1]):
                dx, dy, dz = place[other, 0] - x, place[other, 1] - y, place[other, 2] - z
                if dx * dx + dy * dy + dz * dz > rough or other == home:
                    continue
                # From what the glass says, not from wrapped places: rounding is then the same wherever the cell starts.
                i, j, k = (
                    shift[other, 0] - shift[home, 0],
                    shift[other, 1] - shift[home, 1],
                    shift[other, 2] - shift[home, 2],
                )
                dx = position[other, 0] - position[home, 0] + (i * cell[0, 0] + j * cell[1, 0] + k * cell[2, 0])
                dy = position[other, 1] - position[home, 1] + (i * cell[0, 1] + j * cell[1, 1] + k * cell[2, 1])
                dz = position[other, 2] - position[home, 2] + (i * cell[0, 2] + j * cell[1, 2] + k * cell[2, 2])
                if dx * dx + dy * dy + dz * dz > reach * reach:
                    continue
                if n < len(found):
                    found[n] = other
                    vectors[n, 0], vectors[n, 1], vectors[n, 2] = dx, dy, dz
                n += 1
    return n


@compiled
def count_neighbours(arrays: Any, homes: Any, reach: float, counts: Any) -> None:
    """Count the images within ``reach`` of each of some."""
    found, vectors = np.empty(0, dtype=np.int64), np.empty((0, 3))
    for i in range(len(homes)):
        counts[i] = search(arrays, homes[i], reach, found, vectors)


@compiled
def list_pairs(arrays: Any, homes: Any, reach: float, filled: Any) -> None:
    """Fill in the atoms within ``reach`` of each image, and their distances as single precision has the way there."""
    atom, (first, atoms, distance) = arrays[3], filled
    found, vectors = np.empty(_FEW, dtype=np.int64), np.empty((_FEW, 3))
    for i in range(len(homes)):
        count = first[i + 1] - first[i]
        if count > len(found):
            found, vectors = np.empty(2 * count, dtype=np.int64), np.empty((2 * count, 3))
        search(arrays, homes[i], reach, found, vectors)
        for n in range(count):
            squared = 0.0
            for k in range(3):
                squared += np.float64(np.float32(vectors[n, k])) ** 2
            atoms[first[i] + n] = atom[found[n]]
            distance[first[i] + n] = np.sqrt(squared)


@compiled
def list_edges(arrays: Any, homes: Any, cutoff: float, filled: Any) -> tuple[float, int, int]:
    """Fill in the edges into each image, its self-loop among them; return the shortest other one and its ends."""
    atom, (first, source, displacement) = arrays[3], filled
    found, vectors = np.empty(_FEW, dtype=np.int64), np.empty((_FEW, 3))
    order = np.empty(_FEW + 1, dtype=np.int64)
    closest, one, another = np.inf, 0, 0
    for i in range(len(homes)):
        count = first[i + 1] - first[i] - 1
        if count + 1 > len(found):
            found, vectors = np.empty(2 * count, dtype=np.int64), np.empty((2 * count, 3))
            order = np.empty(2 * count, dtype=np.int64)
        search(arrays, homes[i], cutoff, found, vectors)
        for n in range(count):
            squared = vectors[n, 0] ** 2 + vectors[n, 1] ** 2 + vectors[n, 2] ** 2
            if squared < closest:
                closest, one, another = squared, atom[homes[i]], atom[found[n]]
        found[count] = homes[i]
        vectors[count] = 0
        for n in range(count + 1):  # by insertion: some thirty, and nearly all of different atoms
            m = n
            while m > 0 and _after(atom, found, vectors, order[m - 1], n):
                order[m] = order[m - 1]
                m -= 1
            order[m] = n
        for n in range(count + 1):
            source[first[i] + n] = atom[found[order[n]]]
            for k in range(3):
                displacement[first[i] + n, k] = vectors[order[n], k]
    return np.sqrt(closest), one, another


@compiled
def _after(atom: Any, found: Any, vectors: Any, one: int, other: int) -> bool:
    """Whether one edge comes after another: by source, then by displacement."""
    if atom[found[one]] != atom[found[other]]:
        return atom[found[one]] > atom[found[other]]
    for k in range(3):
        if vectors[one, k] != vectors[other, k]:
            return vectors[one, k] > vectors[other, k]
    return False
