"""The alpha complex of a structure on its torus: simplices that are periodic images of each other are made one.

The structure is surrounded by ghosts of its periodic images, the Delaunay complex of all points is filtered by the
squared radius of the smallest empty sphere through each simplex, and images are merged: nothing depends on the origin
of the cell. A narrow cell is repeated, so that no simplex meets its own image; which simplices are then copies of each
other is kept, and the homology is that of the cell's own torus.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.delaunay import Simplices, alpha_filtration, delaunay_tetrahedra, simplex_rows
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

LARGEST_VOID = 4.5
"""Radius (Å) of the largest empty sphere that is looked at: more than any void of a dense glass."""

USUAL_VOID = 3.0
"""Radius (Å) that no void of a dense glass exceeds; tried first."""

NUDGES = (0.0, 1e-6, 1e-5, 1e-4)
"""Random displacements (Å) by which ties among the atoms of a crystal are broken, tried in this order."""


@dataclass(frozen=True, eq=False)
class PaddedPoints:
    """The points of a cell, first and in their order, followed by the ghosts around them: positions (P, 3), Å.

    ``original`` is the point of the cell that each is an image of, ``shift`` the cell vectors added to it, (P, 3).
    """

    position: FloatArray
    original: IntArray
    shift: IntArray


@dataclass(frozen=True, eq=False)
class PeriodicComplex:
    """The alpha complex of a structure, or of a few copies of its cell, with periodic images made one.

    Parameters
    ----------
    n_atoms, n_vertices
        Atoms, and atoms times copies of the cell: vertex ``v`` is a copy of atom ``v % n_atoms``.
    edges, triangles, tetrahedra
        Copies of each other are those that stand for one simplex of the cell.
    length
        Of each edge, shape (E,), Å.
    bonds
        Each edge as a bond of the original structure, see :func:`canonical_bonds`, shape (E, 5).
    complete
        Whether no simplex was left out, so that the complex fills the torus, or the convex hull of a cluster.
    """

    n_atoms: int
    n_vertices: int
    edges: Simplices
    triangles: Simplices
    tetrahedra: Simplices
    length: FloatArray
    bonds: IntArray
    complete: bool


def wrapped_positions(glass: Glass) -> FloatArray:
    """Positions moved into the cell along its periodic directions, shape (N, 3), Å."""
    fractional = glass.fractional()
    fractional[:, glass.pbc] -= np.floor(fractional[:, glass.pbc])
    return fractional @ glass.cell


def canonical_bonds(first: IntArray, second: IntArray, shift: IntArray) -> IntArray:
    """Name bonds so that both directions agree, shape (B, 5): two atoms and the cell vectors from one to the other.

    The lower atom comes first; between images of one atom, the shift is positive in its first non-zero component.
    Shifts are relative to wrapped positions.
    """
    backwards = np.where(
        shift[:, 0] != 0, shift[:, 0] < 0, np.where(shift[:, 1] != 0, shift[:, 1] < 0, shift[:, 2] < 0)
    )
    swapped = (first > second) | ((first == second) & backwards)
    low, high = np.where(swapped, second, first), np.where(swapped, first, second)
    return np.column_stack([low, high, np.where(swapped[:, None], -shift, shift)])


def name_bonds(glass: Glass, first: IntArray, second: IntArray, displacement: FloatArray) -> IntArray:
    """Name bonds as :func:`canonical_bonds` does, shape (B, 5), from ``displacement = r_second - r_first`` (Å)."""
    wrapped = wrapped_positions(glass)
    beyond = displacement - (wrapped[second] - wrapped[first])
    return canonical_bonds(first, second, np.rint(glass.fractional(beyond)).astype(np.int64))


def bond_index(bonds: IntArray) -> pd.MultiIndex:
    """Index that finds bonds, all named by :func:`canonical_bonds`, shape (B, 5)."""
    return pd.MultiIndex.from_arrays(list(bonds.T))


def pad_with_ghosts(position: FloatArray, cell: FloatArray, pbc: NDArray[np.bool_], pad: float) -> PaddedPoints:
    """Surround the points of a cell by their periodic images up to ``pad`` (Å) outside of its faces."""
    inverse = np.linalg.inv(cell)
    reach = np.where(pbc, pad * np.linalg.norm(inverse, axis=0), 0.0)
    margin = np.where(pbc, reach, np.inf)
    fractional = position @ inverse
    layers = [range(-int(np.ceil(steps)), int(np.ceil(steps)) + 1) for steps in reach]
    originals: list[IntArray] = [np.arange(len(position))]
    shifts: list[IntArray] = [np.zeros((len(position), 3), dtype=np.int64)]
    for shift in product(*layers):
        if any(shift):
            image = fractional + shift
            inside = np.flatnonzero(((image >= -margin) & (image < 1 + margin)).all(axis=1))
            originals.append(inside)
            shifts.append(np.broadcast_to(shift, (len(inside), 3)))
    original, moved = np.concatenate(originals), np.concatenate(shifts)
    return PaddedPoints(position[original] + moved @ cell, original, moved)


def periodic_complex(glass: Glass, largest_void: float = LARGEST_VOID) -> PeriodicComplex:
    """Filter the alpha complex of a structure with periodic images made one.

    Simplices up to the radius ``largest_void`` (Å) are exact: ghosts up to twice that distance show whether their
    spheres are empty; larger ones are left out. A cell narrower than four times the largest radius is repeated, so that
    no simplex meets its own image. Without any periodic direction there are neither ghosts nor a limit.

    In a crystal five and more atoms lie on one empty sphere, and each image of it may be cut into tetrahedra in another
    way. Then the same small random displacements are given to all images of an atom, and the whole is strained a
    little, before the tetrahedra are found; filtration values are always those of the true positions.

    Raises
    ------
    InputError
        If the atoms have no Delaunay complex, or none that is the same at all images.
    """
    if not largest_void > 0:
        raise InputError(f"{largest_void=} Å must be positive: the radius of the largest empty sphere to look at.")
    widths = glass.heights()
    repeats = np.ones(3, dtype=np.int64)
    void = min(USUAL_VOID, largest_void) if glass.pbc.any() else np.inf
    pad = 2 * void if glass.pbc.any() else 0.0
    tries = 0
    while tries < len(NUDGES):
        points, copies = _padded_copies(glass, repeats, pad)
        try:
            tetrahedra = delaunay_tetrahedra(_nudged(points, len(glass), NUDGES[tries]))
        except InputError:
            if not glass.pbc.all():
                raise
            pad *= 2  # so few atoms in so wide a cell that none has images all around
            continue
        filtration = alpha_filtration(points.position, tetrahedra)
        touching = filtration[2].vertices[:, 0] < len(glass) * len(copies)
        radius = float(np.sqrt(filtration[2].entry[touching].max()))
        if radius > void and void < largest_void:
            void, pad = largest_void, max(pad, 2 * largest_void)
            continue
        needed = np.floor(np.where(glass.pbc, 4 * min(radius, largest_void) / widths, 0.0)).astype(np.int64) + 1
        if (needed > repeats).any():
            repeats = needed
            continue
        merged = _merge_images(filtration, points, void**2, complete=radius <= void, closed=bool(glass.pbc.all()))
        found = None if merged is None else _named(merged, points, copies, repeats, complete=radius <= void)
        if found is not None:
            return found
        tries += 1
    raise InputError(
        f"the periodic images of {glass.name!r} have no common Delaunay complex: look for atoms in one place, and move "
        "atoms that lie exactly in a plane at an open surface by some 0.01 Å."
    )


def _padded_copies(glass: Glass, repeats: IntArray, pad: float) -> tuple[PaddedPoints, IntArray]:
    """Repeat the cell and surround it with ghosts; also return the shift of each copy, in cell vectors."""
    copies = np.array(list(product(*map(range, repeats))))
    position = (wrapped_positions(glass)[None] + (copies @ glass.cell)[:, None]).reshape(-1, 3)
    return pad_with_ghosts(position, glass.cell * repeats[:, None], glass.pbc, pad), copies


def _nudged(points: PaddedPoints, n_atoms: int, nudge: float) -> FloatArray:
    """Move all images of an atom alike, and strain the whole, which breaks ties between the images of one atom."""
    random = np.random.default_rng(0)
    moved = random.uniform(-nudge, nudge, (n_atoms, 3))[points.original % n_atoms]
    return points.position + moved + points.position @ random.uniform(-nudge, nudge, (3, 3))


def _merge_images(
    padded: tuple[Simplices, ...], points: PaddedPoints, limit: float, *, complete: bool, closed: bool
) -> list[tuple[Simplices, IntArray]] | None:
    """Make images one, with one image of each among the points; None where together they are no complex."""
    # Values of images differ by rounding, which must not separate a simplex at the limit from its faces.
    slack = (1 + 2e-9, 1 + 1e-9, 1.0)
    merged = [_merge(simplices, points, limit * more) for simplices, more in zip(padded, slack, strict=True)]
    (edges, _), (triangles, _), (tetrahedra, _) = merged
    sides = _face_rows(triangles.vertices, edges.vertices)
    faces = _face_rows(tetrahedra.vertices, triangles.vertices)
    if sides is None or faces is None:
        return None
    bounded = np.bincount(faces.reshape(-1), minlength=len(triangles.vertices))
    if (bounded > 2).any() or (complete and closed and (bounded < 2).any()):
        return None
    # Nor must rounding let a face enter after what it bounds.
    for upper, lower, rows in ((triangles, edges, sides), (tetrahedra, triangles, faces)):
        np.maximum(upper.entry, lower.entry[rows].max(axis=1, initial=0.0), out=upper.entry)
    return merged


def _merge(simplices: Simplices, points: PaddedPoints, limit: float) -> tuple[Simplices, IntArray]:
    """Simplices on the torus, and the points of one image of each."""
    n_vertices = int(points.original.max()) + 1
    kept = np.flatnonzero((simplices.vertices[:, 0] < n_vertices) & (simplices.entry <= limit))
    vertices = np.sort(points.original[simplices.vertices[kept]], axis=1)
    order = np.lexsort(vertices.T[::-1])
    vertices, kept = vertices[order], kept[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (vertices[1:] != vertices[:-1]).any(axis=1)
    kept = kept[is_first]
    return Simplices(vertices[is_first], simplices.entry[kept], np.arange(len(kept))), simplices.vertices[kept]


def _face_rows(simplices: IntArray, known: IntArray) -> IntArray | None:
    """Rows of the faces of each simplex, shape (S, size); None where one is not known."""
    size = simplices.shape[1]
    faces = simplices[:, list(combinations(range(size), size - 1))]
    if not len(known):
        return None if len(simplices) else np.zeros((0, size), dtype=np.int64)
    rows = np.minimum(simplex_rows(faces.reshape(-1, size - 1), known), len(known) - 1).reshape(-1, size)
    return rows if (known[rows] == faces).all() else None


def _named(
    merged: list[tuple[Simplices, IntArray]],
    points: PaddedPoints,
    copies: IntArray,
    repeats: IntArray,
    *,
    complete: bool,
) -> PeriodicComplex | None:
    """Name copies of simplices, and edges as bonds; None where the copies of the cell differ."""
    n_vertices = int(points.original.max()) + 1
    n_atoms = n_vertices // len(copies)
    atom = points.original % n_atoms
    lattice = points.shift * repeats + copies[points.original // n_atoms]
    rank = np.empty(len(atom), dtype=np.int64)
    rank[np.lexsort((*lattice.T[::-1], atom))] = np.arange(len(atom))
    found = []
    for (vertices, entry, number), shown in merged:
        if len(copies) > 1:
            copy = _number_copies(shown, atom, lattice, rank)
            if (np.bincount(copy) != len(copies)).any():
                return None
            # Values of copies differ by rounding, which must not separate them.
            smallest = np.full(copy.max(initial=-1) + 1, np.inf)
            np.minimum.at(smallest, copy, entry)
            found.append(Simplices(vertices, smallest[copy], copy))
        else:
            found.append(Simplices(vertices, entry, number))
    edges, triangles, tetrahedra = found
    start, end = merged[0][1].T
    length = np.linalg.norm(points.position[start] - points.position[end], axis=1)
    bonds = canonical_bonds(atom[start], atom[end], lattice[end] - lattice[start])
    return PeriodicComplex(n_atoms, n_vertices, edges, triangles, tetrahedra, length, bonds, complete)


def _number_copies(shown: IntArray, atom: IntArray, lattice: IntArray, rank: IntArray) -> IntArray:
    """Give simplices, rows of points, one number where a lattice vector takes them into each other."""
    ordered = np.take_along_axis(shown, np.argsort(rank[shown], axis=1), axis=1)
    apart = lattice[ordered] - lattice[ordered[:, :1]]
    named = np.column_stack([atom[ordered], apart.reshape(len(shown), 3 * shown.shape[1])])
    return np.unique(named, axis=0, return_inverse=True)[1].reshape(-1)
