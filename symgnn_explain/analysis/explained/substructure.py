"""The paper's mode: the topology of the atoms within a few hops of one atom, alone and without periodicity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.alpha import LARGEST_VOID
from symgnn_explain.analysis.topology.cycle_counts import CycleKind
from symgnn_explain.analysis.topology.homology import Progress, StructureTopology, compute_topology
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import SAME_PLACE, Placement, follow_edges, place_atoms
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

HOPS = 4
CUTOFF = 5.0
"""Of the paper: four hops along bonds of at most 5 Å."""

_ROOM = 1000.0


@dataclass(frozen=True, eq=False)
class OpenTopology:
    """The topology of the atoms around one atom, cut out of their structure.

    Parameters
    ----------
    atom
        The atom in the middle.
    placement
        The atoms and where each sits relative to the one in the middle.
    glass
        The same as a structure without periodicity; atom ``i`` of it is atom ``placement.atoms[i]``.
    topology
        Of that structure: its atoms are numbered as in it.
    """

    atom: int
    placement: Placement
    glass: Glass
    topology: StructureTopology

    def of_edges(self, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
        """Cycles through each edge ``source → target`` with ``displacement = r_source - r_target`` (Å), shape (E,).

        Atoms are numbered as in the whole structure. 0 for edges between other atoms or other images than those placed.
        """
        first, second, here = self._rows(source, target, displacement)
        count = np.zeros(len(source), dtype=np.int64)
        between = self.placement.position[first] - self.placement.position[second]
        count[here] = self.topology.cycles.of_edges(self.glass, first, second, between)
        return count

    def through_edges(self, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
        """Cycles that pass through any of the edges, ascending; arguments as for :meth:`of_edges`."""
        first, second, _ = self._rows(source, target, displacement)
        between = self.placement.position[first] - self.placement.position[second]
        return self.topology.cycles.through_edges(self.glass, first, second, between)

    def _rows(
        self, source: IntArray, target: IntArray, displacement: FloatArray
    ) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
        """Rows of both ends of those edges that run between placed atoms, and which edges these are."""
        known = np.isin(source, self.placement.atoms) & np.isin(target, self.placement.atoms)
        first, second = (
            np.minimum(self.placement.rows_of(ends), len(self.placement.atoms) - 1) for ends in (source, target)
        )
        between = self.placement.position[first] - self.placement.position[second]
        here = known & (np.linalg.norm(between - displacement, axis=1) < SAME_PLACE)
        return first[here], second[here], here


def k_hop_atoms(glass: Glass, atom: int, hops: int = HOPS, cutoff: float = CUTOFF) -> Placement:
    """Place the atoms within ``hops`` bonds of at most ``cutoff`` (Å) around one atom, each at its nearest image."""
    from symgnn_explain.structure.graph import neighbour_edges

    atom = glass.require_atom(atom)
    if hops < 1:
        raise InputError(f"{hops=} must be at least 1.")
    placed = follow_edges(atom, *neighbour_edges(glass, cutoff))
    near = placed.hop <= hops
    return Placement(placed.atoms[near], placed.position[near], placed.hop[near], placed.ambiguous[near])


def open_structure(placement: Placement, glass: Glass) -> Glass:
    """Cut placed atoms out of their structure: without periodicity, the atom in the middle at the origin."""
    return Glass(
        positions=placement.position,
        numbers=glass.numbers[placement.atoms],
        cell=np.eye(3) * _ROOM,
        pbc=np.zeros(3, dtype=bool),
        name=f"{glass.name}, {len(placement.atoms)} atoms",
    )


def open_topology(
    around: AtomExplanation | int,
    glass: Glass,
    *,
    hops: int = HOPS,
    cutoff: float = CUTOFF,
    kind: CycleKind = "shortest",
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> OpenTopology:
    """Compute the topology of the atoms around one atom alone, without periodicity, as Li et al. (ICML 2024) do.

    Cutting atoms out makes rings and voids at the cut that the structure does not have; prefer
    :func:`~.topology.structure_topology` except to compare with the paper.

    Parameters
    ----------
    around
        An atom, or an explanation: then the atoms are those of its receptive field.
    hops, cutoff
        Which atoms, where ``around`` is an atom: so many bonds of at most so many Å away.
    kind, progress, cancel
        As for :func:`~.topology.structure_topology`.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, there is no such atom, or the atoms lie in one plane.
    Cancelled
        If it was asked to stop.
    """
    if isinstance(around, AtomExplanation):
        around.require_glass(glass)
        atom, placement = around.atom, place_atoms(around)
    else:
        atom = glass.require_atom(around)
        placement = k_hop_atoms(glass, atom, hops, cutoff)
    cut = open_structure(placement, glass)
    return OpenTopology(atom, placement, cut, compute_topology(cut, kind, LARGEST_VOID, progress, cancel))
