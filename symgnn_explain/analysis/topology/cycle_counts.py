"""The optimal 1-cycles of a structure: which bonds and atoms each ring of atoms passes through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from symgnn_explain.analysis.topology.alpha import bond_index, name_bonds, wrapped_positions
from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class CyclePath(Brief):
    """One optimal cycle in space, its bonds laid end to end from one atom on.

    Parameters
    ----------
    atoms
        Atoms on the cycle, shape (A,).
    source, target
        Atoms at the ends of each bond, shape (L,).
    start, end
        Where each bond begins and ends, shape (L, 3), Å: each begins where the one before it ended. A ring that runs
        around the whole cell ends at another image of the atom that it began at.
    birth, death
        Radii (Å) at which the ring closes and is filled.
    """

    atoms: IntArray
    source: IntArray
    target: IntArray
    start: FloatArray
    end: FloatArray
    birth: float
    death: float

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, eq=False, repr=False)
class CycleCounts(Brief):
    """Which optimal 1-cycles pass through each bond and atom of a structure, and how many.

    Parameters
    ----------
    first, second, shift
        Bonds that lie on a cycle: atoms, shapes (B,), and the cell vectors that lead from the wrapped position of the
        first to the image of the second, shape (B, 3). Each undirected bond stands once.
    birth, death
        Radii (Å) of the spheres around the atoms at which each ring closes and is filled, shape (C,): the square roots
        of the filtration values. Cycles are in the order of the H1 pairs of :class:`~.persistence.Persistence`.
    length
        Bonds of each cycle, shape (C,).
    bond
        Rows of the bonds of one cycle after the other, shape (Σ length,).
    n_atoms
        Atoms of the structure.
    glass_sha256
        The structure.
    """

    first: IntArray
    second: IntArray
    shift: IntArray
    birth: FloatArray
    death: FloatArray
    length: IntArray
    bond: IntArray
    n_atoms: int
    glass_sha256: str

    def __len__(self) -> int:
        return len(self.length)

    @cached_property
    def count(self) -> IntArray:
        """Cycles through each bond, shape (B,)."""
        return np.bincount(self.bond, minlength=len(self.first))

    def bonds_of(self, cycle: int) -> IntArray:
        """Rows of the bonds of one cycle."""
        if not 0 <= cycle < len(self):
            raise InputError(f"{cycle=} does not exist: there are {len(self)}, numbered from 0.")
        end = int(self.length[: cycle + 1].sum())
        return self.bond[end - self.length[cycle] : end]

    def path(self, glass: Glass, cycle: int) -> CyclePath:
        """Lay out one cycle in space, from its lowest atom in the cell.

        Raises
        ------
        InputError
            If the cycles belong to another structure, or there is no such cycle.
        """
        self._require(glass)
        bonds = self.bonds_of(cycle)
        source, target, start, vector = _walk(self.first[bonds], self.second[bonds], self.shift[bonds], glass)
        return CyclePath(
            atoms=np.unique([source, target]),
            source=source,
            target=target,
            start=start,
            end=start + vector,
            birth=float(self.birth[cycle]),
            death=float(self.death[cycle]),
        )

    def of_edges(self, glass: Glass, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
        """Cycles through each edge ``source → target`` with ``displacement = r_source - r_target`` (Å), shape (E,).

        0 for edges that are no bond of the alpha complex, and for self-loops, which are no bonds at all.

        Raises
        ------
        InputError
            If the counts belong to another structure.
        """
        row = self._bond_rows(glass, source, target, displacement)
        return np.where(row >= 0, np.append(self.count, 0)[row], 0)

    def through_edges(self, glass: Glass, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
        """Cycles that pass through any of the edges, ascending; arguments as for :meth:`of_edges`."""
        row = self._bond_rows(glass, source, target, displacement)
        is_asked = np.zeros(len(self.first), dtype=bool)
        is_asked[row[row >= 0]] = True
        return np.unique(self._cycle[is_asked[self.bond]])

    def to_frame(self) -> pd.DataFrame:
        """One row a bond on a cycle: first, second, shift_a … shift_c, cycles, their mean_birth and mean_death (Å)."""
        table = pd.DataFrame({"first": self.first, "second": self.second})
        table[["shift_a", "shift_b", "shift_c"]] = self.shift
        table["cycles"] = self.count
        for name, value in (("birth", self.birth), ("death", self.death)):
            table[f"mean_{name}"] = np.bincount(self.bond, value[self._cycle], len(self.first)) / self.count
        return table

    @cached_property
    def _cycle(self) -> IntArray:
        """Cycle of each entry of ``bond``."""
        return np.repeat(np.arange(len(self)), self.length)

    @cached_property
    def _index(self) -> pd.MultiIndex:
        return bond_index(np.column_stack([self.first, self.second, self.shift]))

    def _require(self, glass: Glass) -> None:
        if glass.content_hash != self.glass_sha256:
            raise InputError(f"these cycle counts belong to another structure than {glass.name!r}: compute them anew.")

    def _bond_rows(self, glass: Glass, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
        """Row of the bond that each edge runs along; -1 where it is on no cycle."""
        self._require(glass)
        asked = bond_index(name_bonds(glass, target, source, displacement))
        return np.asarray(self._index.get_indexer(asked), dtype=np.int64)


def _walk(
    first: IntArray, second: IntArray, shift: IntArray, glass: Glass
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Put bonds end to end: source, target, start (Å) and vector (Å) of each, in the order of the walk."""
    wrapped = wrapped_positions(glass)
    vector = wrapped[second] + shift @ glass.cell - wrapped[first]
    left = list(range(len(first)))
    here = int(first.min())
    met = {here: wrapped[here]}
    place = met[here]
    steps: list[tuple[int, int, FloatArray, FloatArray]] = []
    while left:
        row = next((row for row in left if here in (first[row], second[row])), None)
        if row is None:  # a loop is closed, and another one begins at an atom that was met, or apart
            ends = np.unique([first[left], second[left]]).tolist()
            here = next((end for end in ends if end in met), ends[0])
            place = met.setdefault(here, wrapped[here])
            continue
        left.remove(row)
        forwards = first[row] == here
        there, along = (int(second[row]), vector[row]) if forwards else (int(first[row]), -vector[row])
        steps.append((here, there, place, along))
        here, place = there, place + along
        met.setdefault(here, place)
    source, target, start, moved = zip(*steps, strict=True)
    return np.array(source), np.array(target), np.array(start), np.array(moved)
