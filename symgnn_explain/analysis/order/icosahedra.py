"""How coordination polyhedra, full icosahedra above all, are joined: the accepted picture of medium-range order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.analysis.order.voronoi import VoronoiCells
from symgnn_explain.analysis.topology.alpha import canonical_bonds
from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, IntArray

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "vertex": "share one atom",
        "edge": "share two atoms",
        "face": "share three atoms",
        "squeezed": "share four or more atoms, though their centres are no neighbours",
        "volume": "interpenetrate: each centre is an atom of the other polyhedron",
    }
)
"""Kinds of connection, from the loosest to the closest."""


@dataclass(frozen=True, eq=False, repr=False)
class PolyhedronConnections(Brief):
    """Connections between the coordination polyhedra around some atoms.

    Parameters
    ----------
    centres
        Central atoms, ascending, shape (C,).
    first, second
        Central atoms of each connected pair, shapes (P,); each pair stands once.
    displacement
        From the first centre to the second, shape (P, 3), Å.
    n_shared
        Atoms that belong to both polyhedra, their centres not counted, shape (P,).
    kind
        Name of the connection, see :data:`KINDS`, shape (P,).
    members
        Polyhedra that each atom of the structure is a corner of, shape (N,).
    shared_row, shared_atom
        Rows of connections and the corners that their polyhedra share, shapes (S,).
    """

    centres: IntArray
    first: IntArray
    second: IntArray
    displacement: FloatArray
    n_shared: IntArray
    kind: NDArray[np.str_]
    members: IntArray
    shared_row: IntArray
    shared_atom: IntArray

    def __len__(self) -> int:
        return len(self.first)

    def of_kind(self, kind: str) -> NDArray[np.bool_]:
        """Which connections are of one kind, shape (P,)."""
        if kind not in KINDS:
            raise InputError(f"{kind=} is no kind of connection: choose from {', '.join(KINDS)}.")
        return np.asarray(self.kind == kind)

    def per_atom(self, kind: str) -> IntArray:
        """Count the connections of one kind that each atom has as a centre, shape (N,); 0 for atoms that are none."""
        chosen = self.of_kind(kind)
        ends = np.concatenate([self.first[chosen], self.second[chosen]])
        return np.bincount(ends, minlength=len(self.members))

    def joins(self, kind: str) -> NDArray[np.bool_]:
        """Which atoms are shared by two polyhedra through a connection of one kind, shape (N,)."""
        joined = np.zeros(len(self.members), dtype=bool)
        joined[self.shared_atom[self.of_kind(kind)[self.shared_row]]] = True
        return joined

    def to_frame(self) -> pd.DataFrame:
        """One row a connection: first, second, distance (Å), shared atoms, kind."""
        return pd.DataFrame(
            {
                "first": self.first,
                "second": self.second,
                "distance": np.linalg.norm(self.displacement, axis=1),
                "shared_atoms": self.n_shared,
                "kind": self.kind,
            }
        )


def polyhedron_connections(
    cells: VoronoiCells, centres: NDArray[np.bool_] | IntArray | None = None
) -> PolyhedronConnections:
    """Find how the coordination polyhedra around some atoms share atoms.

    A polyhedron's corners are the atoms whose Voronoi cells have a face with the central one. Two polyhedra share a
    vertex, an edge or a face if they have one, two or three corners in common (Ding, Ma, Asta, Ritchie, Sci. Rep. 5,
    17429, 2015), and a volume if each centre is a corner of the other: they interpenetrate (Lee, Lee, Lee, Ma, Lee,
    Acta Mater. 59, 159, 2011). Four shared corners without neighbouring centres are counted apart. Only the number of
    shared corners counts, not whether they bound a common edge or face. Periodic images are told apart.

    Parameters
    ----------
    centres
        Central atoms, as numbers or as a mask of shape (N,); full icosahedra where None.

    Raises
    ------
    InputError
        If a centre is not an atom with a closed cell.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> from symgnn_explain.analysis import voronoi_cells
    >>> len(polyhedron_connections(voronoi_cells(datasets.sample())).centres)  # full icosahedra
    246
    """
    chosen = _as_mask(cells, centres)
    pairs = np.flatnonzero(chosen[cells.neighbours.centre])
    centre, corner, shift = cells.neighbours.centre[pairs], cells.neighbours.neighbour[pairs], cells.shift[pairs]
    left, right = _pairs_of_equals(corner)
    # With a corner at image t of the one polyhedron and t' of the other, the other stands at image t - t' of the one.
    apart = np.column_stack([centre[left], centre[right], shift[left] - shift[right]])
    around = np.column_stack([centre, corner, shift])[chosen[corner]]
    is_volume = np.repeat([False, True], [len(apart), len(around)])
    named = canonical_bonds(*_columns(np.concatenate([apart, around])))
    connections, number = np.unique(named, axis=0, return_inverse=True)
    number = number.reshape(-1)
    n_shared = np.bincount(number[~is_volume], minlength=len(connections))
    interpenetrate = np.bincount(number[is_volume], minlength=len(connections)) > 0
    first, second, image = _columns(connections)
    return PolyhedronConnections(
        centres=np.flatnonzero(chosen),
        first=first,
        second=second,
        displacement=cells.position[second] + image @ cells.cell - cells.position[first],
        n_shared=n_shared,
        kind=np.select(
            [interpenetrate, n_shared == 1, n_shared == 2, n_shared == 3],
            ["volume", "vertex", "edge", "face"],
            "squeezed",
        ),
        members=np.bincount(corner, minlength=len(cells)),
        shared_row=number[~is_volume],
        shared_atom=corner[left],
    )


def _as_mask(cells: VoronoiCells, centres: NDArray[np.bool_] | IntArray | None) -> NDArray[np.bool_]:
    if centres is None:
        return cells.has_index()
    given = np.asarray(centres)
    mask: NDArray[np.bool_]
    if given.dtype == np.bool_ and given.shape == (len(cells),):
        mask = given.astype(np.bool_)
    else:
        if given.ndim != 1 or not np.isin(given, np.arange(len(cells))).all():
            raise InputError(f"centres must be atoms, 0 to {len(cells) - 1}, or one truth value for each of them.")
        mask = np.isin(np.arange(len(cells)), given)
    if (mask & ~cells.closed).any():
        raise InputError(f"atom {np.flatnonzero(mask & ~cells.closed)[0]} has an open cell, and so no polyhedron.")
    return mask


def _pairs_of_equals(values: IntArray) -> tuple[IntArray, IntArray]:
    """All pairs of places that hold the same value."""
    order = np.argsort(values, kind="stable")
    _, start, size = np.unique(values[order], return_index=True, return_counts=True)
    partners = np.repeat(size, size)
    left = np.repeat(np.arange(len(values)), partners)
    within = np.arange(len(left)) - np.repeat(partners.cumsum() - partners, partners)
    right = np.repeat(np.repeat(start, size), partners) + within
    return order[left[left < right]], order[right[left < right]]


def _columns(rows: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    return rows[:, 0], rows[:, 1], rows[:, 2:]
