"""Where the atoms of a receptive field sit, seen from the explained atom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import FloatArray, IntArray

SAME_PLACE = 1e-2
"""Two places of one atom nearer than this (Å) are one: displacements are sums of single-precision edge vectors."""


@dataclass(frozen=True, eq=False)
class Placement:
    """One periodic image of each atom of a receptive field, relative to the explained atom.

    Parameters
    ----------
    atoms
        Atoms of the receptive field in ascending order, shape (M,), the explained one included.
    position
        Where each sits relative to the explained atom, shape (M, 3), Å.
    hop
        Edges between each atom and the explained one, shape (M,).
    ambiguous
        Atoms that as few edges also reach at another periodic image, shape (M,).
    """

    atoms: IntArray
    position: FloatArray
    hop: IntArray
    ambiguous: NDArray[np.bool_]

    @property
    def distance(self) -> FloatArray:
        """Distance of each atom from the explained one, shape (M,), Å."""
        return np.linalg.norm(self.position, axis=1)

    def rows_of(self, atoms: IntArray) -> IntArray:
        """Row of each of ``atoms``, all of which belong to the receptive field."""
        return np.searchsorted(self.atoms, atoms)


def place_atoms(explanation: AtomExplanation) -> Placement:
    """Follow the edges outwards from the explained atom and note where each atom is met.

    An atom is placed at the image that the fewest edges reach, the nearest one where several images tie. In a cell
    wider than twice the receptive field this is the minimum image. In a narrower one it is the image through which the
    atom has its most direct influence on the prediction, and other images may contribute as well: ``ambiguous`` counts
    those atoms for which the choice fell between images that are equally many edges away.

    Raises
    ------
    InputError
        If some edge is not connected to the explained atom.
    """
    placement = follow_edges(explanation.atom, explanation.source, explanation.target, explanation.displacement)
    lost = np.setdiff1d(explanation.target, placement.atoms)
    if lost.size:
        raise InputError(
            f"the explanation has edges into atom {lost[0]} that do not lead to the explained atom {explanation.atom}."
        )
    return placement


def follow_edges(atom: int, source: IntArray, target: IntArray, displacement: FloatArray) -> Placement:
    """Place the atoms from which edges lead to ``atom``, directly or over others; see :func:`place_atoms`."""
    n_labels = int(max(source.max(), target.max(), atom)) + 1
    position = np.full((n_labels, 3), np.nan)
    hop = np.full(n_labels, -1)
    ambiguous = np.zeros(n_labels, dtype=bool)
    position[atom], hop[atom] = 0.0, 0
    level = 0
    while (arriving := (hop[target] == level) & (hop[source] < 0)).any():
        level += 1
        met = source[arriving]
        place = position[target[arriving]] + displacement[arriving]
        order = np.lexsort((place[:, 2], place[:, 1], place[:, 0], np.linalg.norm(place, axis=1), met))
        met, place = met[order], place[order]
        atoms, first = np.unique(met, return_index=True)
        position[atoms], hop[atoms] = place[first], level
        elsewhere = np.linalg.norm(place - position[met], axis=1) > SAME_PLACE
        ambiguous[met[elsewhere]] = True
    atoms = np.flatnonzero(hop >= 0)
    return Placement(atoms, position[atoms], hop[atoms], ambiguous[atoms])
