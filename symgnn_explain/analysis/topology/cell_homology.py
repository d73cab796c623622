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
from symgnn_explain.structure.glass import FloatArray, IntArray


def pairs_of_cell(alpha: PeriodicComplex) -> list[tuple[list[int], list[int]]]:
    """Pair the simplices of the cell that make and end classes, ordered by value, dimension and number of copies.

    Returns
    -------
    list of pairs
        Vertices of one copy of each simplex that makes a class and of the one that ends it, none where none does.
    """
    atoms: IntArray = np.arange(alpha.n_atoms)
    shown: list[IntArray] = [atoms[:, None]]
    place: IntArray = (
        np.arange(alpha.n_vertices) % alpha.n_atoms
    )  # of each simplex of the dimension below, in its order
    below: IntArray = np.arange(alpha.n_vertices)[:, None]
    boundaries: list[IntArray] = []
    for simplices, values, number in (
        (alpha.edges, alpha.edge_values, alpha.edge_copies),
        (alpha.triangles, alpha.triangle_values, alpha.triangle_copies),
        (alpha.tetrahedra, alpha.tetrahedron_values, alpha.tetrahedron_copies),
    ):
        rows, number_place = _in_order(values, number)
        faces = simplices[rows][:, list(combinations(range(simplices.shape[1]), simplices.shape[1] - 1))]
        boundaries.append(
            place[_rows(faces.reshape(-1, faces.shape[-1]), below)].reshape(len(rows), simplices.shape[1])
        )
        shown.append(simplices[rows])
        place, below = number_place[number], simplices
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


def _in_order(values: FloatArray, number: IntArray) -> tuple[IntArray, IntArray]:
    """Return one row of each number by value, ties by number, and the place of each number in that order."""
    _, first = np.unique(number, return_index=True)
    order = np.argsort(values[first], kind="stable")
    return first[order], np.argsort(order)


def _rows(simplices: IntArray, among: IntArray) -> IntArray:
    return simplices[:, 0] if among.shape[1] == 1 else simplex_rows(simplices, among)


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
