"""The paper's mode: the topology of the atoms of one receptive field, alone and without periodicity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.analysis.topology.alpha import LARGEST_VOID
from symgnn_explain.analysis.topology.homology import Progress, StructureTopology, compute_topology
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import SAME_PLACE, Placement, place_atoms
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

_ROOM = 1000.0


@dataclass(frozen=True, eq=False)
class OpenTopology:
    """The topology of the atoms of one receptive field, cut out of their structure.

    Parameters
    ----------
    placement
        The atoms and where each sits relative to the explained one.
    glass
        The same as a structure without periodicity; atom ``i`` of it is atom ``placement.atoms[i]``.
    topology
        Of that structure: its atoms are numbered as in it.
    """

    placement: Placement
    glass: Glass
    topology: StructureTopology

    def of_edges(self, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
        """Cycles through each edge ``source → target`` with ``displacement = r_source - r_target`` (Å), shape (E,).

        Atoms are numbered as in the whole structure. 0 for edges between other atoms or other images than those placed.
        """
        atoms, position = self.placement.atoms, self.placement.position
        known = np.isin(source, atoms) & np.isin(target, atoms)
        first, second = (np.minimum(self.placement.rows_of(ends), len(atoms) - 1) for ends in (source, target))
        between = position[first] - position[second]
        here = known & (np.linalg.norm(between - displacement, axis=1) < SAME_PLACE)
        count = np.zeros(len(source), dtype=np.int64)
        count[here] = self.topology.cycles.of_edges(self.glass, first[here], second[here], between[here])
        return count


def open_topology(
    explanation: AtomExplanation,
    glass: Glass,
    *,
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> OpenTopology:
    """Compute the topology of the atoms of an explanation alone, without periodicity, as Li et al. (ICML 2024) do.

    Cutting atoms out makes rings and voids at the cut that the structure does not have; prefer
    :func:`~.topology.structure_topology` except to compare with the paper. Arguments are those of that function.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or the atoms lie in one plane.
    Cancelled
        If it was asked to stop.
    """
    explanation.require_glass(glass)
    placement = place_atoms(explanation)
    cut = Glass(
        positions=placement.position,
        numbers=glass.numbers[placement.atoms],
        cell=np.eye(3) * _ROOM,
        pbc=np.zeros(3, dtype=bool),
        name=f"{glass.name}, {len(placement.atoms)} atoms",
    )
    return OpenTopology(placement, cut, compute_topology(cut, LARGEST_VOID, progress, cancel))
