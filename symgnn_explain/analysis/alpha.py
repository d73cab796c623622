"""The alpha filtration of a periodic structure, and the persistence pairs of its rings.

The structure is surrounded by ghosts of its periodic images, the Delaunay complex of all points is filtered by the
squared radius of the smallest empty sphere through each simplex (Edelsbrunner and Mücke, ACM Trans. Graph. 13, 43,
1994), and simplices that are images of each other are made one: the complex lives on the torus, where nothing depends
on the origin of the cell. Persistent homology pairs each edge that closes a ring with the triangle that fills it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.glass import FloatArray, Glass, IntArray

LARGEST_VOID = 4.5
"""Radius (Å) of the largest empty sphere that is looked at: more than any void of a dense glass."""

FLAT = 1e-10
"""A tetrahedron or triangle is flat below this volume or area, relative to its longest edge."""

SHORTEST_LIFE = 1e-9
"""A ring lives at least this long (Å²): less is rounding."""


@dataclass(frozen=True, eq=False)
class PaddedPoints:
    """The points of a cell, first and in their order, followed by the ghosts around them.

    Parameters
    ----------
    position
        Shape (P, 3), Å.
    original
        The point of the cell that each is an image of, shape (P,).
    shift
        The lattice vector added to it, in cell vectors, shape (P, 3).
    """

    position: FloatArray
    original: IntArray
    shift: IntArray


@dataclass(frozen=True, eq=False)
class AlphaFiltration:
    """Simplices of an alpha complex, vertices ascending, with their filtration values (squared radius, Å²).

    Parameters
    ----------
    edges, edge_values
        Shapes (E, 2) and (E,); in lexicographic order.
    triangles, triangle_values
        Shapes (T, 3) and (T,); in lexicographic order.
    tetrahedra, tetrahedron_values
        Shapes (S, 4) and (S,).
    """

    edges: IntArray
    edge_values: FloatArray
    triangles: IntArray
    triangle_values: FloatArray
    tetrahedra: IntArray
    tetrahedron_values: FloatArray


@dataclass(frozen=True, eq=False)
class PeriodicComplex:
    """The alpha complex of a structure, or of a few copies of its cell, with periodic images made one.

    Parameters
    ----------
    n_vertices
        Atoms, times copies of the cell.
    edges, edge_values, length
        Vertices of each edge, ascending and in lexicographic order, shape (E, 2); squared radius at which it enters
        (Å²) and length (Å), shapes (E,).
    triangles, triangle_values
        The same of the triangles, shapes (T, 3) and (T,).
    bonds
        Each edge as a bond of the original structure, see :func:`canonical_bonds`, shape (E, 5).
    counted
        Which edges stand for their bond, shape (E,): one of its copies, all edges where the cell was not repeated.
    """

    n_vertices: int
    edges: IntArray
    edge_values: FloatArray
    length: FloatArray
    triangles: IntArray
    triangle_values: FloatArray
    bonds: IntArray
    counted: NDArray[np.bool_]


def wrapped_positions(glass: Glass) -> FloatArray:
    """Positions moved into the cell along its periodic directions, shape (N, 3), Å."""
    fractional = np.linalg.solve(glass.cell.T, glass.positions.T).T
    fractional[:, glass.pbc] -= np.floor(fractional[:, glass.pbc])
    return fractional @ glass.cell


def canonical_bonds(first: IntArray, second: IntArray, shift: IntArray) -> IntArray:
    """Name bonds so that both directions agree, shape (B, 5): two atoms and the cell vectors from one to the other.

    The lower atom comes first; between images of one atom, the shift is positive in its first non-zero component.
    Shifts are relative to wrapped positions.
    """
    swapped = _is_reversed(first, second, shift)
    low, high = np.where(swapped, second, first), np.where(swapped, first, second)
    return np.column_stack([low, high, np.where(swapped[:, None], -shift, shift)])


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
    spheres are empty; larger ones are left out. A cell narrower than four times that radius is repeated, so that no
    simplex meets its own image. Without any periodic direction there are neither ghosts nor a limit.

    Raises
    ------
    InputError
        If the atoms have no Delaunay complex.
    """
    widths = 1 / np.linalg.norm(np.linalg.inv(glass.cell), axis=0)
    repeats = np.where(glass.pbc, np.floor(4 * largest_void / widths).astype(np.int64) + 1, 1)
    copies = np.array(list(product(*map(range, repeats))))
    position = (wrapped_positions(glass)[None] + (copies @ glass.cell)[:, None]).reshape(-1, 3)
    points = pad_with_ghosts(position, glass.cell * repeats[:, None], glass.pbc, 2 * largest_void)
    limit = largest_void**2 if glass.pbc.any() else np.inf
    padded = alpha_filtration(points.position)
    edges, edge_values, shown = _merge_images(padded.edges, padded.edge_values, points.original, limit)
    triangles, triangle_values, _ = _merge_images(padded.triangles, padded.triangle_values, points.original, limit)
    start, end = padded.edges[shown].T
    atom = points.original % len(glass)
    lattice = points.shift * repeats + copies[points.original // len(glass)]
    shift = lattice[end] - lattice[start]
    first = np.where(_is_reversed(atom[start], atom[end], shift), end, start)
    return PeriodicComplex(
        n_vertices=len(position),
        edges=edges,
        edge_values=edge_values,
        length=np.linalg.norm(points.position[start] - points.position[end], axis=1),
        triangles=triangles,
        triangle_values=triangle_values,
        bonds=canonical_bonds(atom[start], atom[end], shift),
        counted=points.original[first] < len(glass),
    )


def alpha_filtration(points: FloatArray) -> AlphaFiltration:
    """Filter the Delaunay complex of ``points``, shape (P, 3), Å.

    A simplex enters at the squared radius of its smallest circumsphere if no vertex lies inside that sphere (Gabriel's
    condition), else together with the first simplex that it is a face of.

    Raises
    ------
    InputError
        If there are fewer than four points, or all lie in one plane.
    """
    from scipy.spatial import Delaunay, QhullError

    try:
        tetrahedra = np.sort(Delaunay(points).simplices.astype(np.int64), axis=1)
    except (QhullError, ValueError) as error:
        raise InputError(
            f"{len(points)} points have no Delaunay complex: at least four are needed, not all in a plane."
        ) from error
    triangles, triangle_of, opposite_tetrahedron = _faces(tetrahedra)
    edges, edge_of, opposite_triangle = _faces(triangles)
    triangle_centre, triangle_radius = _triangle_spheres(points[triangles])
    edge_centre = points[edges].mean(axis=1)
    edge_radius = ((points[edges[:, 0]] - edge_centre) ** 2).sum(axis=1)
    # The smallest sphere through the corners of a flat tetrahedron is that of its faces.
    tetrahedron_values = _tetrahedron_radius(points[tetrahedra], flat=triangle_radius[triangle_of].max(axis=1))
    triangle_values = _face_values(
        triangle_centre, triangle_radius, tetrahedron_values, triangle_of, points[opposite_tetrahedron]
    )
    edge_values = _face_values(edge_centre, edge_radius, triangle_values, edge_of, points[opposite_triangle])
    return AlphaFiltration(edges, edge_values, triangles, triangle_values, tetrahedra, tetrahedron_values)


def ring_pairs(rings_of: PeriodicComplex) -> tuple[IntArray, FloatArray]:
    """Pair the births and deaths of the rings (H1) that live for a while and die.

    Returns
    -------
    birth_edge, death
        Row of the edge that closes each ring, shape (R,), and the filtration value of the triangle that fills it (Å²),
        shape (R,).
    """
    from gudhi.simplex_tree import SimplexTree

    tree = SimplexTree()
    # Rings are born and die on edges and triangles: tetrahedra are not needed.
    tree.insert_batch(np.arange(rings_of.n_vertices, dtype=np.int32)[None], np.zeros(rings_of.n_vertices))
    tree.insert_batch(rings_of.edges.T.astype(np.int32), rings_of.edge_values)
    tree.insert_batch(rings_of.triangles.T.astype(np.int32), rings_of.triangle_values)
    # Values of images differ by rounding, which must not let a face enter after what it bounds.
    tree.make_filtration_non_decreasing()
    tree.compute_persistence(homology_coeff_field=2, min_persistence=SHORTEST_LIFE)
    pairs = [(birth, death) for birth, death in tree.persistence_pairs() if len(birth) == 2 and len(death) == 3]
    births = np.sort(np.array([birth for birth, _ in pairs], dtype=np.int64).reshape(-1, 2), axis=1)
    deaths = np.sort(np.array([death for _, death in pairs], dtype=np.int64).reshape(-1, 3), axis=1)
    triangle = np.searchsorted(simplex_codes(rings_of.triangles), simplex_codes(deaths))
    edge = np.searchsorted(simplex_codes(rings_of.edges), simplex_codes(births))
    return edge, rings_of.triangle_values[triangle]


def simplex_codes(simplices: IntArray, base: int = 2**21) -> IntArray:
    """One integer for each simplex of at most three ascending vertices below two million, in lexicographic order."""
    codes = simplices[:, 0]
    for column in simplices.T[1:]:
        codes = codes * base + column
    return codes


def _merge_images(
    simplices: IntArray, values: FloatArray, original: IntArray, limit: float
) -> tuple[IntArray, FloatArray, IntArray]:
    """Simplices on the torus in lexicographic order, their values, and the row of one image of each."""
    n_vertices = int(original.max()) + 1
    kept = np.flatnonzero((simplices[:, 0] < n_vertices) & (values <= limit))
    vertices = np.sort(original[simplices[kept]], axis=1)
    _, first = np.unique(simplex_codes(vertices), return_index=True)
    return vertices[first], values[kept[first]], kept[first]


def _is_reversed(first: IntArray, second: IntArray, shift: IntArray) -> NDArray[np.bool_]:
    backwards = np.where(
        shift[:, 0] != 0, shift[:, 0] < 0, np.where(shift[:, 1] != 0, shift[:, 1] < 0, shift[:, 2] < 0)
    )
    return (first > second) | ((first == second) & backwards)


def _faces(simplices: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Faces of simplices without repetition, the faces of each simplex, and the vertex opposite to each."""
    size = simplices.shape[1]
    corners = list(combinations(range(size), size - 1))
    faces = simplices[:, corners]
    opposite = simplices[:, [size - 1 - place for place in range(size)]]
    unique, inverse = np.unique(simplex_codes(faces.reshape(-1, size - 1)), return_inverse=True)
    first = np.zeros(len(unique), dtype=np.int64)
    first[inverse] = np.arange(len(inverse))
    return faces.reshape(-1, size - 1)[first], inverse.reshape(-1, size), opposite


def _face_values(
    centre: FloatArray, radius: FloatArray, coface_values: FloatArray, face_of: IntArray, opposite: FloatArray
) -> FloatArray:
    first_coface = np.full(len(radius), np.inf)
    np.minimum.at(first_coface, face_of, coface_values[:, None])
    inside = ((opposite - centre[face_of]) ** 2).sum(axis=2) < radius[face_of]
    blocked = np.zeros(len(radius), dtype=bool)
    blocked[face_of[inside]] = True
    # Rounding must not let a face enter after what it bounds.
    return np.minimum(np.where(blocked, np.inf, radius), first_coface)


def _triangle_spheres(corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(first, second)
    area = (normal**2).sum(axis=1)
    flat = area < FLAT * np.maximum((first**2).sum(axis=1), (second**2).sum(axis=1)) ** 2
    toward = (first**2).sum(axis=1, keepdims=True) * second - (second**2).sum(axis=1, keepdims=True) * first
    centre = np.cross(toward, normal) / np.where(flat, np.inf, 2 * area)[:, None]
    radius = np.where(flat, np.inf, (centre**2).sum(axis=1))
    return centre + corners[:, 0], radius


def _tetrahedron_radius(corners: FloatArray, flat: FloatArray) -> FloatArray:
    first, second, third = (corners[:, place] - corners[:, 0] for place in (1, 2, 3))
    squares = [(edge**2).sum(axis=1, keepdims=True) for edge in (first, second, third)]
    toward = (
        squares[0] * np.cross(second, third)
        + squares[1] * np.cross(third, first)
        + squares[2] * np.cross(first, second)
    )
    volume = (first * np.cross(second, third)).sum(axis=1)
    is_flat: NDArray[np.bool_] = np.abs(volume) < FLAT * np.max(squares, axis=0)[:, 0] ** 1.5
    radius = ((toward / np.where(is_flat, np.inf, 2 * volume)[:, None]) ** 2).sum(axis=1)
    return np.where(is_flat, flat, radius)
