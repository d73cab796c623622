"""The network of bonds of a whole structure, with its rings: computed once, and kept by the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from symgnn_explain.analysis.topology.alpha import bond_index, name_bonds
from symgnn_explain.analysis.topology.rings import Graph, RingList, kings_rings, primitive_rings
from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.neighbours import neighbours_within
from symgnn_explain.structure.radial import first_shell_cutoff

LARGEST_RING = 7
"""Rings of more atoms do not occur in dense metallic glasses."""


@dataclass(frozen=True, eq=False, repr=False)
class RingStatistics(Brief):
    """Rings of one kind through the atoms and bonds of a structure.

    Parameters
    ----------
    sizes
        Atoms in a ring, ascending, S in all.
    count
        Rings of each size in the cell, shape (S,); a fraction where a small cell was repeated.
    per_atom, per_bond
        Rings of each size through each atom and each bond, shapes (N, S) and (B, S).
    n_open
        Pairs of neighbours of an atom, in the cell, that no ring up to the largest size closes (King's rings only).
    """

    sizes: IntArray
    count: FloatArray
    per_atom: FloatArray
    per_bond: FloatArray
    n_open: float


@dataclass(frozen=True, eq=False, repr=False)
class BondNetwork(Brief):
    """Atoms and the bonds between them.

    Parameters
    ----------
    bonds
        Each undirected bond once, named as by :func:`~.alpha.canonical_bonds`, shape (B, 5).
    cutoff
        Longest bond, Å.
    primitive, king
        Rings of either kind.
    glass_name, glass_sha256
        The structure.
    """

    bonds: IntArray
    cutoff: float
    primitive: RingStatistics
    king: RingStatistics
    glass_name: str
    glass_sha256: str

    def __len__(self) -> int:
        return len(self.bonds)

    def rows_of(self, bonds: IntArray) -> IntArray:
        """Row of each bond, named as by :func:`~.alpha.canonical_bonds`, shape (E, 5); -1 for what is no bond here."""
        return np.asarray(bond_index(self.bonds).get_indexer(bond_index(bonds)))

    def to_frame(self) -> pd.DataFrame:
        """Rings of both kinds, one row a size: kind, size, rings in the cell, rings_per_atom, share_of_atoms on one."""
        tables = [
            pd.DataFrame(
                {
                    "kind": kind,
                    "size": rings.sizes,
                    "rings": rings.count,
                    "rings_per_atom": rings.count / len(rings.per_atom),
                    "share_of_atoms": (rings.per_atom > 0).mean(axis=0),
                }
            )
            for kind, rings in (("primitive", self.primitive), ("king", self.king))
        ]
        return pd.concat(tables, ignore_index=True)

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless this is the network of ``glass``."""
        if self.glass_sha256 != glass.content_hash:
            raise InputError(
                f"this bond network belongs to another structure ({self.glass_name!r}) than {glass.name!r}: "
                "compute it anew."
            )


def bond_network(
    glass: Glass,
    *,
    cutoff: float | None = None,
    largest_ring: int = LARGEST_RING,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> BondNetwork:
    """Build the bond network of a structure and list its rings; some seconds for 3 000 atoms, and serves every atom.

    A cell so narrow that a ring could run around it is repeated first, so that rings are those of the infinite
    structure.

    Parameters
    ----------
    cutoff
        Atoms up to this distance (Å) are bonded; the first minimum of the total g(r) where None.
    largest_ring
        Most atoms in a ring. Times grow steeply with it in dense networks.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If there are no bonds, or g(r) has no minimum where one is needed.
    Cancelled
        If it was asked to stop.

    Examples
    --------
    >>> b2 = Glass([[0, 0, 0], [1.63, 1.63, 1.63]], [29, 40], np.eye(3) * 3.26)
    >>> bond_network(b2, cutoff=3.0).primitive.count.astype(int).tolist()  # of three, four … atoms
    [0, 24, 0, 8, 0]
    """
    cutoff = first_shell_cutoff(glass) if cutoff is None else cutoff
    neighbours = neighbours_within(glass, cutoff)
    if not len(neighbours):
        raise InputError(f"{glass.name!r} has no bonds: choose a longer cut-off.")
    bonds = name_bonds(glass, neighbours.centre, neighbours.neighbour, neighbours.displacement)
    bonds = np.unique(bonds, axis=0)
    longest_ring = largest_ring * float(neighbours.distance.max())
    # A cell is repeated until no ring of this length runs around it.
    repeats = np.where(glass.pbc, np.floor(longest_ring / glass.heights()).astype(np.int64) + 1, 1)
    edges = _repeated(len(glass), bonds, repeats)
    n_copies = int(repeats.prod())
    graph = Graph.of(len(glass) * n_copies, edges)
    first, second = Watch(progress, cancel).parts(2)
    primitive, king = (
        _count_rings(rings, edges, n_atoms=len(glass), n_bonds=len(bonds), n_copies=n_copies)
        for rings in (
            primitive_rings(graph, largest_ring, first.advance),
            kings_rings(graph, largest_ring, second.advance),
        )
    )
    second.advance(1.0)
    return BondNetwork(bonds, cutoff, primitive, king, glass.name, glass.content_hash)


def _repeated(n_atoms: int, bonds: IntArray, repeats: IntArray) -> IntArray:
    """Join the atoms of all copies of the cell, copy by copy: the bonds of each in order, shape (copies * B, 2)."""
    copies = np.array(list(product(*map(range, repeats.tolist()))))
    there = (copies[:, None] + bonds[None, :, 2:]) % repeats
    target_copy = np.ravel_multi_index(tuple(np.moveaxis(there, 2, 0)), tuple(repeats.tolist()))
    first = np.arange(len(copies))[:, None] * n_atoms + bonds[:, 0]
    return np.column_stack([first.ravel(), (target_copy * n_atoms + bonds[:, 1]).ravel()])


def _count_rings(rings: RingList, edges: IntArray, *, n_atoms: int, n_bonds: int, n_copies: int) -> RingStatistics:
    n_nodes = n_atoms * n_copies
    codes = edges.min(axis=1) * n_nodes + edges.max(axis=1)
    order = np.argsort(codes)
    codes, bond = codes[order], order % n_bonds
    per_bond = []
    for one, other in rings.sides():
        asked = np.minimum(one, other) * n_nodes + np.maximum(one, other)
        per_bond.append(np.bincount(bond[np.searchsorted(codes, asked)], minlength=n_bonds))
    per_node = rings.through_nodes(n_nodes).reshape(n_copies, n_atoms, -1)
    return RingStatistics(
        sizes=rings.sizes,
        count=rings.counts / n_copies,
        per_atom=per_node.sum(axis=0) / n_copies,
        per_bond=np.stack(per_bond, axis=1) / n_copies,
        n_open=rings.n_open / n_copies,
    )
