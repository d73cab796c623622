"""The alpha filtration of points in space: the Delaunay complex, entered by the radius of empty spheres."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, IntArray

FLAT = 1e-10
"""A tetrahedron or triangle is flat below this volume or area, relative to its longest edge."""

_MOST_VERTICES = 2**21


class Simplices(NamedTuple):
    """Simplices of one dimension d, in lexicographic order (tetrahedra of points may be in any).

    Parameters
    ----------
    vertices
        Ascending, shape (S, d + 1).
    entry
        Squared radius (Å²) at which each enters, shape (S,).
    number
        Simplices with the same number are copies of each other, shape (S,); each has its own where there are none.
    """

    vertices: IntArray
    entry: FloatArray
    number: IntArray


def delaunay_tetrahedra(points: FloatArray) -> IntArray:
    """Find the Delaunay tetrahedra of ``points``, shape (P, 3), Å: vertices ascending, shape (S, 4).

    Raises
    ------
    InputError
        If there are fewer than four points, or all lie in one plane.
    """
    from scipy.spatial import Delaunay, QhullError

    try:
        return np.sort(Delaunay(points).simplices.astype(np.int64), axis=1)
    except (QhullError, ValueError) as error:
        raise InputError(
            f"{len(points)} points have no Delaunay complex: at least four are needed, not all in a plane."
        ) from error


def alpha_filtration(points: FloatArray, tetrahedra: IntArray) -> tuple[Simplices, Simplices, Simplices]:
    """Filter the Delaunay complex of ``points``, shape (P, 3), Å, given its tetrahedra: edges, triangles, tetrahedra.

    A simplex enters at the squared radius of its smallest circumsphere if no vertex lies inside that sphere (Gabriel's
    condition), else together with the first simplex that it is a face of (Edelsbrunner and Mücke, ACM Trans. Graph. 13,
    43, 1994).
    """
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
    found = ((edges, edge_values), (triangles, triangle_values), (tetrahedra, tetrahedron_values))
    of_edges, of_triangles, of_tetrahedra = (Simplices(*each, np.arange(len(each[0]))) for each in found)
    return of_edges, of_triangles, of_tetrahedra


def simplex_codes(simplices: IntArray) -> IntArray:
    """One integer for each simplex of at most three ascending vertices below two million, in lexicographic order."""
    codes = simplices[:, 0]
    for column in simplices.T[1:]:
        codes = codes * _MOST_VERTICES + column
    return codes


def simplex_rows(simplices: IntArray, among: IntArray) -> IntArray:
    """Row of each simplex in ``among``, which holds all of them in lexicographic order."""
    if among.shape[1] < 4:
        return np.searchsorted(simplex_codes(among), simplex_codes(simplices))
    # Four vertices do not fit into one integer; a known triangle and a vertex do.
    bases, base_of = np.unique(simplex_codes(among[:, :3]), return_inverse=True)
    asked = np.searchsorted(bases, simplex_codes(simplices[:, :3]))
    return np.searchsorted(base_of * _MOST_VERTICES + among[:, 3], asked * _MOST_VERTICES + simplices[:, 3])


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
