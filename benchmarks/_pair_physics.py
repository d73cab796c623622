"""What each pair of atoms contributes to an atom's energy in an embedded-atom potential, exactly.

The energy of atom i is half of its pair energies, and the embedding energy of the electron density that its neighbours
make: ``E_i = Σ_j φ(r_ij) / 2 + F(Σ_j ρ(r_ij))``. It depends on the pairs into i and on nothing else, so it is known
what any intervention on them does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from symgnn_explain.saddles.eam_file import EamPotential
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray, atomic_number
from symgnn_explain.structure.graph import neighbour_edges

NEAREST, SPACING = 2.2, 0.2
"""First Gaussian of the distance by which mean surroundings are counted, and the step to the next, Å."""


@dataclass(frozen=True, eq=False)
class PairPhysics:
    """The pairs of a glass in a potential.

    Parameters
    ----------
    potential, glass
        The potential and the structure.
    source, target, distance
        Every pair within the cut-off, shape (P,), sorted by target; Å.
    pair, density
        Half the pair energy (eV), and the electron density at the target, if an atom of each species sat at the source,
        shape (P, K).
    mean
        Neighbours of each species about each Gaussian of the distance, on average over targets of one species,
        shape (K of the target, n, K).
    kind
        Species of each atom, in the order of the potential, shape (N,).
    """

    potential: EamPotential
    glass: Glass
    source: IntArray
    target: IntArray
    distance: FloatArray
    pair: FloatArray
    density: FloatArray
    mean: FloatArray
    kind: IntArray

    @classmethod
    def of(cls, potential: EamPotential, glass: Glass) -> PairPhysics:
        """Evaluate every pair of a glass."""
        source, target, displacement = neighbour_edges(glass, potential.cutoff)
        distance = np.linalg.norm(displacement, axis=1)
        between = distance > 0
        source, target, distance = source[between], target[between], distance[between]
        kind = np.argmax(glass.numbers[:, None] == [atomic_number(one) for one in potential.elements], axis=1)
        n_kinds = len(potential.elements)
        pair, density = np.empty((2, len(distance), n_kinds))
        for one in range(n_kinds):
            chosen = kind[target] == one
            r = distance[chosen]
            for other in range(n_kinds):
                pair[chosen, other] = tabulated(potential.pair[one, other], potential.spacing)(r) / r / 2
                # What a neighbour of the first species makes at an atom of the second.
                density[chosen, other] = tabulated(potential.density[other, one], potential.spacing)(r)
        total = np.zeros((len(glass), n_kinds, gaussians(distance[:1], potential.cutoff).shape[1]))
        np.add.at(total, (target, kind[source]), gaussians(distance, potential.cutoff))
        mean = np.stack([total[kind == one].mean(axis=0).T for one in range(n_kinds)])
        return cls(potential, glass, source, target, distance, pair, density, mean, kind)

    def of_atom(self, atom: int) -> AtomPhysics:
        """Return the pairs into one atom."""
        into = slice(*np.searchsorted(self.target, [atom, atom + 1]))
        parts, of_kind = gaussians(self.distance[into], self.potential.cutoff), self.kind[atom]
        # How many neighbours of each species stand at a pair's distance on average, for each one that does here.
        occupants = (parts / parts.sum(axis=0).clip(min=1e-12)) @ self.mean[of_kind]
        own = np.arange(len(parts)), self.kind[self.source[into]]
        return AtomPhysics(
            source=self.source[into],
            distance=self.distance[into],
            pair=self.pair[into][own],
            density=self.density[into][own],
            replaced_pair=(occupants * self.pair[into]).sum(axis=1),
            replaced_density=(occupants * self.density[into]).sum(axis=1),
            embedding=tabulated(self.potential.embedding[of_kind], self.potential.density_spacing),
        )


@dataclass(frozen=True, eq=False)
class AtomPhysics:
    """The pairs into one atom, shape (P,) each, what replaces each under ``reference``, and its embedding energy."""

    source: IntArray
    distance: FloatArray
    pair: FloatArray
    density: FloatArray
    replaced_pair: FloatArray
    replaced_density: FloatArray
    embedding: CubicHermiteSpline

    @property
    def energy(self) -> float:
        """Of the atom, eV."""
        return float(self.pair.sum() + self.embedding(self.density.sum()))

    def effects(self, semantics: str) -> FloatArray:
        """Energy minus that without each pair, shape (P,), eV.

        It is taken out, or under ``reference`` replaced by what stands at its distance on average.
        """
        pair, density = self.pair, self.density
        if semantics == "reference":
            pair, density = pair - self.replaced_pair, density - self.replaced_density
        total = self.density.sum()
        return np.asarray(pair + self.embedding(total) - self.embedding(total - density))


def tabulated(values: FloatArray, spacing: float) -> CubicHermiteSpline:
    """Interpolate a table as LAMMPS does: cubics with the nodes' values, and derivatives from five nodes."""
    slopes = np.empty_like(values)
    slopes[2:-2] = ((values[:-4] - values[4:]) + 8 * (values[3:-1] - values[1:-3])) / 12
    slopes[0], slopes[-1] = values[1] - values[0], values[-1] - values[-2]
    slopes[1], slopes[-2] = (values[2] - values[0]) / 2, (values[-1] - values[-3]) / 2
    nodes = np.arange(len(values)) * spacing
    return CubicHermiteSpline(nodes, values, slopes / spacing)


def gaussians(distance: FloatArray, cutoff: float) -> FloatArray:
    """Part each distance among Gaussians, shape (P, n); rows sum to one."""
    centres = np.arange(NEAREST, cutoff + SPACING, SPACING)
    weight = np.exp(-0.5 * ((distance[:, None] - centres) / SPACING) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
