"""Neighbours found atom by atom: all atoms and their periodic images are sorted into bins once.

Nothing is listed that nobody asked for, so the neighbours of a part of a large structure cost what the part does, and
an atom has the same neighbours, in the same order and to the last digit, whichever atoms are asked for beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

CLOSEST_APPROACH = 0.5
"""Distance (Å) under which two atoms are taken for one that stands twice in the file."""

_MARGIN = 1e-6
"""By how much (Å) rounding may shift an image that is looked for."""

_BINS_ACROSS = 2.0
"""Bins along the distance that is looked up: fewer hold more atoms that are not meant, more cost the walk."""

_BINS_PER_ATOM = 16

_BOX_EDGE = 8.0
"""Least edge (Å) of the boxes that the atoms of a large glass are sorted into: some thirty atoms in each."""

_CROWDED = 2000
"""Atoms in one bin beyond which it is found out first whether they overlap."""


class Edges(NamedTuple):
    """Edges into some atoms, sorted by target, then source, then displacement.

    Parameters
    ----------
    first
        Edges ``first[i]`` to ``first[i + 1]`` lead into the i-th atom, shape (n + 1,).
    source
        Which atom sends along each edge, shape (E,).
    displacement
        ``r_source - r_target``, shape (E, 3), Å.
    """

    first: IntArray
    source: NDArray[np.integer[Any]]
    displacement: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Bins:
    """The atoms of a glass and their images near the cell, bin by bin.

    Parameters
    ----------
    glass
        The structure.
    reach
        Up to which distance (Å) neighbours can be asked for.
    home
        Where each atom itself stands among the images, shape (N,).
    arrays
        What the compiled search reads: of each image its place, the position of its atom as the glass has it and how
        many cell vectors lie between the two, and the atom; the first image of each bin; the cell; lowest corner, edges
        and numbers of the bins.
    """

    glass: Glass
    reach: float
    home: IntArray
    arrays: tuple[Any, ...]

    @classmethod
    def of(cls, glass: Glass, reach: float) -> Bins:
        """Sort a glass for distances up to ``reach`` (Å).

        Raises
        ------
        InputError
            If so many atoms overlap that their pairs would fill the memory.
        """
        margin = (reach + _MARGIN) / glass.heights()
        wrapped, scaled = wrapped_into_cell(glass)
        atom, scaled, shift = images_within(
            glass, np.where(glass.pbc, -margin, -np.inf), np.where(glass.pbc, 1 + margin, np.inf), (wrapped, scaled)
        )
        place = scaled @ glass.cell
        low = place.min(axis=0)
        extent = place.max(axis=0) - low
        side = reach / _BINS_ACROSS
        while np.prod(extent // side + 1) > _BINS_PER_ATOM * len(place) + 64:
            side *= 1.25
        counts = (extent // side).astype(np.int64) + 1
        number = np.ravel_multi_index(tuple(((place - low) // side).astype(np.int64).T), tuple(counts))
        order = np.argsort(number, kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=int(counts.prod())))])
        if np.diff(first).max() > _CROWDED:
            _require_apart(glass, place, atom)
        atom, shift = atom[order], shift[order]
        own = np.flatnonzero((shift == wrapped[atom]).all(axis=1))
        home = np.empty(len(glass), dtype=np.int64)
        home[atom[own]] = own
        arrays = (place[order], glass.positions[atom], shift, atom, first, glass.cell, low, side, counts)
        return cls(glass, reach, home, arrays)

    def edges(self, atoms: IntArray, cutoff: float, dtype: type[np.floating[Any]] = np.float32) -> Edges:
        """List the edges into some atoms from all within ``cutoff`` (Å), one self-loop an atom included.

        Displacements have the precision ``dtype``.

        Raises
        ------
        InputError
            If two atoms overlap.
        """
        from symgnn_explain.structure.neighbour_kernels import count_neighbours, list_edges

        homes = self.home[atoms]
        first = _ends(count_neighbours, self.arrays, homes, cutoff) + np.arange(len(homes) + 1)
        source, displacement = np.empty(first[-1], dtype=np.int32), np.empty((first[-1], 3), dtype=dtype)
        closest, atom, other = list_edges(self.arrays, homes, cutoff, (first, source, displacement))
        if closest < CLOSEST_APPROACH:
            raise overlap(self.glass, int(atom), int(other), closest)
        return Edges(first, source, displacement)

    def pairs(self, atoms: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Return whom each of some atoms has within reach: the first of its pairs, atoms, and distances (Å)."""
        from symgnn_explain.structure.neighbour_kernels import count_neighbours, list_pairs

        homes = self.home[atoms]
        first = _ends(count_neighbours, self.arrays, homes, self.reach)
        other, distance = np.empty(first[-1], dtype=np.int64), np.empty(first[-1])
        list_pairs(self.arrays, homes, self.reach, (first, other, distance))
        return first, other, distance


@dataclass(frozen=True, eq=False)
class Boxes:
    """The atoms of a large glass box by box: those near a place are found without looking at all, for 4 bytes an atom.

    Parameters
    ----------
    glass
        The structure.
    order, first
        Its atoms, shape (N,), those of one box ascending, and where each box begins and the last one ends.
    low, extent, counts
        Fractional coordinates of the lowest corner, those that all boxes span, and how many there are along each axis.
    """

    glass: Glass
    order: NDArray[np.int32]
    first: IntArray
    low: FloatArray
    extent: FloatArray
    counts: IntArray

    @classmethod
    def of(cls, glass: Glass) -> Boxes:
        """Sort the atoms of a glass."""
        _, scaled = wrapped_into_cell(glass)
        low = np.where(glass.pbc, 0.0, scaled.min(axis=0))
        extent = np.where(glass.pbc, 1.0, np.maximum(np.ptp(scaled, axis=0), _MARGIN))
        counts = np.maximum(1, extent * glass.heights() // _BOX_EDGE).astype(np.int64)
        place = np.minimum(((scaled - low) / extent * counts).astype(np.int64), counts - 1)
        number = np.ravel_multi_index(tuple(place.T), tuple(counts))
        first = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=int(counts.prod())))])
        return cls(glass, np.argsort(number, kind="stable").astype(np.int32), first, low, extent, counts)

    def between(self, low: FloatArray, high: FloatArray) -> IntArray:
        """Return the atoms, ascending, of which an image may lie between two corners in fractional coordinates."""
        margin = _MARGIN / self.glass.heights()
        start = np.floor((low - margin - self.low) / self.extent * self.counts).astype(np.int64)
        stop = np.floor((high + margin - self.low) / self.extent * self.counts).astype(np.int64) + 1
        along = [
            np.unique(np.arange(start[k], stop[k]) % self.counts[k])
            if self.glass.pbc[k]
            else np.arange(max(start[k], 0), min(stop[k], self.counts[k]))
            for k in range(3)
        ]
        boxes = np.ravel_multi_index(np.ix_(*along), tuple(self.counts)).ravel()
        held = [self.order[self.first[box] : self.first[box + 1]] for box in boxes]
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *held]))


def wrapped_into_cell(glass: Glass, atoms: IntArray | None = None) -> tuple[IntArray, FloatArray]:
    """Return the cell vectors, (N, 3), that take each atom into the cell where that is periodic, and where it then is.

    The latter are fractional coordinates, (N, 3). ``atoms``: those that are meant, if not all.
    """
    scaled = glass.fractional(None if atoms is None else glass.positions[atoms])
    shift = np.where(glass.pbc, -np.floor(scaled), 0.0).astype(np.int64)
    return shift, scaled + shift


def images_within(
    glass: Glass, low: FloatArray, high: FloatArray, wrapped: tuple[IntArray, FloatArray]
) -> tuple[IntArray, FloatArray, IntArray]:
    """Find the atoms and images of atoms whose fractional coordinates lie from ``low`` to ``high``.

    ``wrapped``: what :func:`wrapped_into_cell` returned, perhaps of some atoms. Returns their numbers in it (n,), the
    fractional coordinates (n, 3), and the cell vectors between the atoms and the images (n, 3).
    """
    shift, scaled = wrapped
    atom: IntArray = np.arange(len(scaled))
    for axis in range(3):
        along = range(int(np.floor(low[axis])), int(np.floor(high[axis])) + 1) if glass.pbc[axis] else range(1)
        near = [np.flatnonzero((scaled[:, axis] + k >= low[axis]) & (scaled[:, axis] + k <= high[axis])) for k in along]
        step = np.repeat(along, [len(each) for each in near])
        rows = np.concatenate(near)
        atom, scaled, shift = atom[rows], scaled[rows], shift[rows]
        scaled[:, axis] += step
        shift[:, axis] += step
    return atom, scaled, shift


def _ends(count: Callable[..., None], arrays: tuple[Any, ...], homes: IntArray, reach: float) -> IntArray:
    counts = np.zeros(len(homes) + 1, dtype=np.int64)
    count(arrays, homes, reach, counts[1:])
    return np.cumsum(counts)


def _require_apart(glass: Glass, place: FloatArray, atom: IntArray) -> None:
    from scipy.spatial import cKDTree

    distance, neighbour = cKDTree(place).query(place, k=2)
    closest = int(distance[:, 1].argmin())
    if distance[closest, 1] < CLOSEST_APPROACH:
        # Of two atoms at one place either can come first.
        other = next(int(each) for each in neighbour[closest] if each != closest)
        raise overlap(glass, int(atom[closest]), int(atom[other]), distance[closest, 1])


def overlap(glass: Glass, first: int, second: int, distance: float) -> InputError:
    """Return the error of two atoms that stand at one place."""
    pair = f"atoms {first} and {second}" if first != second else f"atom {first} and its periodic image"
    return InputError(
        f"{pair} of {glass.name!r} are {distance:.3f} Å apart: an atom stands twice in it, or its lengths are not in Å."
    )
