"""The network of bonds of a whole structure, with its rings: computed once, and kept by the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from symgnn_explain.analysis.topology.alpha import name_bonds
from symgnn_explain.analysis.topology.rings import Graph, RingList, kings_rings, primitive_rings
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.neighbours import Neighbours, neighbours_within
from symgnn_explain.structure.radial import first_shell_cutoff

if TYPE_CHECKING:
    import networkx as nx

LARGEST_RING = 7
"""Rings of more atoms do not occur in dense metallic glasses."""


@dataclass(frozen=True, eq=False)
class RingStatistics:
    """Rings of one kind through the atoms and bonds of a structure.

    Parameters
    ----------
    kind
        ``primitive`` or ``king``.
    sizes
        Atoms in a ring, ascending, S in all.
    count
        Rings of each size in the cell, shape (S,); a fraction where a small cell was repeated.
    per_atom, per_bond
        Rings of each size through each atom and each bond, shapes (N, S) and (B, S).
    n_open
        Pairs of neighbours of an atom, in the cell, that no ring up to the largest size closes (King's rings only).
    """

    kind: str
    sizes: IntArray
    count: FloatArray
    per_atom: FloatArray
    per_bond: FloatArray
    n_open: float

    def to_frame(self) -> pd.DataFrame:
        """One row a size: size, rings in the cell, rings divided by atoms, share of the atoms on such a ring."""
        n_atoms = len(self.per_atom)
        return pd.DataFrame(
            {
                "size": self.sizes,
                "rings": self.count,
                "rings_per_atom": self.count / n_atoms,
                "share_of_atoms": (self.per_atom > 0).mean(axis=0),
            }
        )

    def summary(self) -> dict[str, Any]:
        """Rings divided by atoms by size, ready for JSON."""
        rows = self.to_frame()
        return {
            "rings_per_atom": {
                str(size): value for size, value in zip(rows["size"], rows["rings_per_atom"], strict=True)
            },
            "n_open": self.n_open,
        }


@dataclass(frozen=True, eq=False)
class BondNetwork:
    """Atoms and the bonds between them.

    Parameters
    ----------
    numbers
        Atomic number of each atom, shape (N,).
    first, second, shift
        Atoms of each bond, shapes (B,), and the cell vectors that lead from the wrapped position of the first to the
        image of the second, shape (B, 3). Each undirected bond stands once.
    length
        Shape (B,), Å.
    cutoff
        Longest bond that was looked for, Å; None where neighbours were given.
    primitive, king
        Rings of either kind.
    glass_name, glass_sha256
        The structure.
    """

    numbers: IntArray
    first: IntArray
    second: IntArray
    shift: IntArray
    length: FloatArray
    cutoff: float | None
    primitive: RingStatistics
    king: RingStatistics
    glass_name: str
    glass_sha256: str

    def __len__(self) -> int:
        return len(self.first)

    @property
    def degree(self) -> IntArray:
        """Bonds of each atom, shape (N,)."""
        return np.bincount(np.concatenate([self.first, self.second]), minlength=len(self.numbers))

    def rows_of(self, bonds: IntArray) -> IntArray:
        """Row of each bond, named as by :func:`~.alpha.canonical_bonds`, shape (E, 5); -1 for what is no bond here."""
        own = pd.MultiIndex.from_arrays([self.first, self.second, *self.shift.T])
        return np.asarray(own.get_indexer(pd.MultiIndex.from_arrays(list(bonds.T))))

    def to_networkx(self) -> nx.MultiGraph:
        """Build a graph of atoms (with their species) and bonds (with length in Å and shift)."""
        import networkx as nx

        graph = nx.MultiGraph(name=self.glass_name)
        graph.add_nodes_from(
            (atom, {"species": chemical_symbols[number]}) for atom, number in enumerate(self.numbers.tolist())
        )
        rows = zip(
            self.first.tolist(),
            self.second.tolist(),
            self.length.tolist(),
            map(tuple, self.shift.tolist()),
            strict=True,
        )
        graph.add_edges_from((a, b, {"length": length, "shift": shift}) for a, b, length, shift in rows)
        return graph

    def to_frame(self) -> pd.DataFrame:
        """Rings of both kinds, one row a size: kind, size, rings, rings_per_atom, share_of_atoms."""
        kinds = [rings.to_frame().assign(kind=rings.kind) for rings in (self.primitive, self.king)]
        table = pd.concat(kinds, ignore_index=True)
        return table[["kind", "size", "rings", "rings_per_atom", "share_of_atoms"]]

    def summary(self) -> dict[str, Any]:
        """Bonds an atom and rings of both kinds, ready for JSON."""
        return {
            "n_atoms": len(self.numbers),
            "n_bonds": len(self),
            "mean_degree": float(self.degree.mean()),
            "cutoff_angstrom": self.cutoff,
            "primitive_rings": self.primitive.summary(),
            "kings_rings": self.king.summary(),
        }

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
    neighbours: Neighbours | None = None,
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
    neighbours
        Bonds of another kind instead, such as those of Voronoi cells; each from both ends.
    largest_ring
        Most atoms in a ring. Times grow steeply with it in dense networks.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If both a cut-off and neighbours are given, there are no bonds, or g(r) has no minimum where one is needed.
    Cancelled
        If it was asked to stop.
    """
    if cutoff is not None and neighbours is not None:
        raise InputError("a cut-off and neighbours were both given: give one of them.")
    if neighbours is None:
        cutoff = first_shell_cutoff(glass) if cutoff is None else cutoff
        neighbours = neighbours_within(glass, cutoff)
    if not len(neighbours):
        raise InputError(f"{glass.name!r} has no bonds: choose a longer cut-off.")
    bonds = name_bonds(glass, neighbours.centre, neighbours.neighbour, neighbours.displacement)
    bonds, place = np.unique(bonds, axis=0, return_index=True)
    length = neighbours.distance[place]
    repeats = _repeats(glass, largest_ring * float(length.max()))
    graph, bond_of = _repeated(len(glass), bonds, repeats)

    def step(fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"the rings of {glass.name!r} were cancelled.")
        if progress is not None:
            progress(fraction)

    primitive = primitive_rings(graph, largest_ring, lambda fraction: step(fraction / 2))
    king = kings_rings(graph, largest_ring, lambda fraction: step((1 + fraction) / 2))
    step(1.0)
    n_copies = int(repeats.prod())
    statistics = [
        _count_rings(kind, rings, bond_of, n_atoms=len(glass), n_bonds=len(bonds), n_copies=n_copies)
        for kind, rings in (("primitive", primitive), ("king", king))
    ]
    return BondNetwork(
        numbers=glass.numbers,
        first=bonds[:, 0],
        second=bonds[:, 1],
        shift=bonds[:, 2:],
        length=length,
        cutoff=cutoff,
        primitive=statistics[0],
        king=statistics[1],
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
    )


@dataclass(frozen=True, eq=False)
class _BondLookup:
    """Which bond of the cell an edge of the repeated network is: sorted ``low * n_nodes + high`` and rows."""

    n_nodes: int
    codes: IntArray
    bond: IntArray

    def __call__(self, one: IntArray, other: IntArray) -> IntArray:
        wanted = np.minimum(one, other) * self.n_nodes + np.maximum(one, other)
        return self.bond[np.searchsorted(self.codes, wanted)]


def _repeats(glass: Glass, longest_ring: float) -> IntArray:
    """How often the cell has to be repeated so that no ring of this length (Å) runs around it."""
    widths = glass.heights()
    return np.where(glass.pbc, np.floor(longest_ring / widths).astype(np.int64) + 1, 1)


def _repeated(n_atoms: int, bonds: IntArray, repeats: IntArray) -> tuple[Graph, _BondLookup]:
    """Join the atoms of all copies of the cell, copy by copy."""
    copies = np.array(list(product(*map(range, repeats.tolist()))))
    there = (copies[:, None] + bonds[None, :, 2:]) % repeats
    target_copy = np.ravel_multi_index(tuple(np.moveaxis(there, 2, 0)), tuple(repeats.tolist()))
    first = np.arange(len(copies))[:, None] * n_atoms + bonds[:, 0]
    second = target_copy * n_atoms + bonds[:, 1]
    edges = np.column_stack([first.ravel(), second.ravel()])
    n_nodes = n_atoms * len(copies)
    codes = edges.min(axis=1) * n_nodes + edges.max(axis=1)
    order = np.argsort(codes)
    bond = np.tile(np.arange(len(bonds)), len(copies))
    return Graph.of(n_nodes, edges), _BondLookup(n_nodes, codes[order], bond[order])


def _count_rings(
    kind: str, rings: RingList, bond_of: _BondLookup, *, n_atoms: int, n_bonds: int, n_copies: int
) -> RingStatistics:
    per_node = rings.through_nodes(n_atoms * n_copies).reshape(n_copies, n_atoms, -1)
    per_bond = [np.bincount(bond_of(one, other), minlength=n_bonds) for one, other in rings.sides()]
    return RingStatistics(
        kind=kind,
        sizes=rings.sizes,
        count=rings.counts / n_copies,
        per_atom=per_node.sum(axis=0) / n_copies,
        per_bond=np.stack(per_bond, axis=1) / n_copies,
        n_open=rings.n_open / n_copies,
    )
