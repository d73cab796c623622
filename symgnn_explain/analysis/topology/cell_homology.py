"""Persistent homology of the torus of a cell so narrow that simplices meet their own images.

In such a cell a simplex is not known by its vertices: an edge may join an atom to itself, and two triangles may have
the same corners. The complex of a few copies of the cell tells them apart; here all copies of a simplex are made one,
and the boundary matrix over the field of two is reduced from the highest dimension down (Chen and Kerber, Persistent
homology computation with a twist, EuroCG 2011). A column is one integer, its bits the rows.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from symgnn_explain.analysis.topology.alpha import PeriodicComplex
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.structure.glass import IntArray


def pairs_of_cell(alpha: PeriodicComplex) -> list[tuple[list[int], list[int]]]:
    """Pair the simplices of the cell that make and end classes, ordered by value, dimension and number of copies.

    Returns
    -------
    list of pairs
        Vertices of one copy of each simplex that makes a class and of the one that ends it, none where none does.
    """
    below = np.arange(alpha.n_vertices)[:, None]
    shown = [below[: alpha.n_atoms]]
    place = below[:, 0] % alpha.n_atoms  # of each simplex of the dimension below, in the order of the cell's own
    boundaries: list[IntArray] = []
    for vertices, values, number in (alpha.edges, alpha.triangles, alpha.tetrahedra):
        size = vertices.shape[1]
        _, first = np.unique(number, return_index=True)
        order = np.argsort(values[first], kind="stable")
        rows = first[order]
        faces = vertices[rows][:, list(combinations(range(size), size - 1))].reshape(-1, size - 1)
        boundaries.append(place[faces[:, 0] if size == 2 else simplex_rows(faces, below)].reshape(-1, size))
        shown.append(vertices[rows])
        place, below = np.argsort(order)[number], vertices
    found: list[tuple[list[int], list[int]]] = []
    makes_none: set[int] = set()  # columns that end a class, or whose class is ended
    for dimension in (3, 2, 1, 0):
        reduced = {} if dimension == 0 else _reduce(boundaries[dimension - 1], makes_none)
        alive = set(range(len(shown[dimension]))) - makes_none - set(reduced.values())
        found += [(shown[dimension][column].tolist(), []) for column in alive]
        found += [
            (shown[dimension - 1][row].tolist(), shown[dimension][column].tolist()) for row, column in reduced.items()
        ]
        makes_none = set(reduced)
    return found


def _reduce(boundary: IntArray, cleared: set[int]) -> dict[int, int]:
    """Reduce the columns that are not cleared; for each row that is the lowest of a column, that column."""
    columns: dict[int, int] = {}
    paired: dict[int, int] = {}
    for place, faces in enumerate(boundary.tolist()):
        if place in cleared:
            continue
        column = 0
        for face in faces:  # a face that is met twice cancels
            column ^= 1 << face
        while column and (lowest := column.bit_length() - 1) in columns:
            column ^= columns[lowest]
        if column:
            columns[lowest] = column
            paired[lowest] = place
    return paired
