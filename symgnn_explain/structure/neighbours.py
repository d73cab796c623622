"""Neighbours of every atom: pairs within a cut-off, and the cut-off that bounds the first shell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class Neighbours(Brief):
    """Neighbours of every atom, sorted by atom; each pair stands twice, once from each end.

    ``centre``, ``neighbour``: atoms, shapes (P,). ``displacement``: ``r_neighbour - r_centre``, shape (P, 3), Å.
    """

    centre: IntArray
    neighbour: IntArray
    displacement: FloatArray

    def __len__(self) -> int:
        return len(self.centre)

    @property
    def distance(self) -> FloatArray:
        """Shape (P,), Å."""
        return np.linalg.norm(self.displacement, axis=1)


def neighbours_within(glass: Glass, cutoff: float) -> Neighbours:
    """List all pairs of atoms up to ``cutoff`` (Å) apart, each periodic image for itself, without an atom itself.

    Raises InputError if the cut-off is not positive, two atoms overlap, or the lengths cannot be in Å.
    """
    from symgnn_explain.structure.graph import neighbour_edges

    source, target, displacement = neighbour_edges(glass, cutoff)
    bonds = (source != target) | displacement.any(axis=1)
    return Neighbours(target[bonds], source[bonds], displacement[bonds])
