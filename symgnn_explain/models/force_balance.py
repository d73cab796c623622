"""Whether atoms sit where the forces on them balance, by pair forces learned from structures that are at rest.

In an inherent structure the forces on each atom add up to nothing, whatever the potential. Of all pair forces, those
are found under which training structures are nearly at rest and become far from it where all atoms move at random by
0.02 Å: a generalised eigenvalue problem, with no potential and no labels. The net force that they leave on an atom then
tells a minimised structure from one that is not, in other compositions of the same elements too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from symgnn_explain.structure.bins import Edges
from symgnn_explain.structure.glass import FloatArray, IntArray

N_RADIAL, NEAREST = 12, 2.0
"""Gaussians of the distance that pair forces are made of, which fade out towards the cut-off, and the first one, Å."""

N_FORCES = 2
"""Pair forces that are kept for each species."""

FLOOR = 0.01
"""Variance that is added to each radial function, as a share of that where atoms are displaced."""

ALIKE = 0.01
"""Share of the variance with atoms displaced that displacements must add, for a force to tell them apart."""

Bonds = tuple[IntArray, Edges]
"""Species of the atoms of a structure (N,), and all edges into them, or into some of them."""


class ForceBalance(nn.Module):
    """The net force on each atom, by a few learned pair forces.

    Parameters
    ----------
    n_species
        Number of species.
    cutoff
        Range of the edges, Å.
    """

    forces: Tensor
    """By species of the atom, number of the force, species of its neighbour and radial function; zeros before a fit."""

    def __init__(self, n_species: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.register_buffer("forces", torch.zeros(n_species, N_FORCES, n_species, N_RADIAL))

    def imbalance(self, own: IntArray, bonds: Bonds) -> FloatArray:
        """Return the square of the net force on some atoms, shape (n,): 0.6 to 1 on average on the training structures.

        Parameters
        ----------
        own
            Species of these atoms, shape (n,).
        bonds
            Species of all atoms that edges come from, and all edges into these atoms.
        """
        from symgnn_explain.models.environment_kernels import add_squared_forces

        square = np.zeros(len(own))
        if self.forces.any():
            kinds, edges = bonds
            displacement = np.ascontiguousarray(edges.displacement, dtype=np.float64)
            forces = self.forces.double().cpu().permute(0, 2, 3, 1).contiguous().numpy()
            given = edges.first, kinds[edges.source], displacement, own
            add_squared_forces(given, forces, NEAREST, self.cutoff, square)
        return square

    @torch.no_grad()
    def fit(self, at_rest: Sequence[Bonds], displaced: Sequence[Bonds]) -> None:
        """Learn from structures at rest, and from the same ones once all atoms moved at random.

        A species with fewer atoms than there are numbers to find, or none of whose atoms is near another, has zeros,
        which find no force on it; so it is where no force tells the two sides apart.
        """
        from scipy.linalg import eigh

        sums = [
            (kinds, *map(self._radial_sums, (kinds, kinds), (rest, moved)))
            for (kinds, rest), (_, moved) in zip(at_rest, displaced, strict=True)
        ]
        for kind in range(len(self.forces)):
            self.forces[kind] = 0
            rest, moved = (_second_moments([each[side][each[0] == kind] for each in sums]) for side in (1, 2))
            if rest is None or moved is None or not moved.any():
                continue
            scale = 1 / np.sqrt(np.diag(moved) + FLOOR * np.diag(moved).max())
            scaled = [np.outer(scale, scale) * each + FLOOR * np.eye(len(scale)) for each in (moved, rest)]
            ratio, axes = (part[..., : -N_FORCES - 1 : -1] for part in eigh(*scaled))
            # The logarithm of the likelihood ratio of two normal distributions: a force counts by what it tells.
            share = np.clip(1 - 1 / ratio, 0, None)
            if share.max() > ALIKE:
                found = axes * scale[:, None] * np.sqrt(share / (3 * share.sum()))
                self.forces[kind] = torch.from_numpy(found.T.reshape(self.forces[kind].shape)).to(self.forces)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        state_dict.setdefault(f"{prefix}forces", self.forces)  # of weights of earlier versions
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _pairs(self, edges: Edges) -> tuple[FloatArray, FloatArray, IntArray]:
        """Radial functions (E, n) and direction (E, 3) of each edge, and the place of the atom it leads into (E,)."""
        vector = np.asarray(edges.displacement, dtype=np.float64)
        distance = np.sqrt(np.square(vector).sum(axis=1))
        centres = np.linspace(NEAREST, self.cutoff, N_RADIAL)
        radial = np.exp(-0.5 * ((distance[:, None] - centres) / (centres[1] - centres[0])) ** 2)
        radial *= np.clip(1 - (distance / self.cutoff) ** 2, 0, None)[:, None] ** 3
        direction = vector / np.where(distance > 0, distance, np.inf)[:, None]
        return radial, direction, np.repeat(np.arange(len(edges.first) - 1), np.diff(edges.first))

    def _radial_sums(self, kinds: IntArray, edges: Edges) -> FloatArray:
        """Return the sums over neighbours of direction times radial function, by their species, (N, S · n, 3)."""
        radial, direction, target = self._pairs(edges)
        n_species = len(self.forces)
        summed = _summed(target * n_species + kinds[edges.source], len(kinds) * n_species)
        by_axis = [summed @ (radial * part[:, None]) for part in direction.T]
        return np.stack(by_axis, axis=-1).reshape(len(kinds), n_species * N_RADIAL, 3)


def _summed(place: IntArray, n_places: int) -> csr_array:
    """Return the matrix that adds up rows (E,) by place."""
    return csr_array((np.ones(len(place)), (place, np.arange(len(place)))), shape=(n_places, len(place)))


def _second_moments(sums: Sequence[FloatArray]) -> FloatArray | None:
    """Mean products of sums (n, F, 3), shape (F, F); None where there are too few."""
    every = np.concatenate(sums)
    return np.einsum("afx,agx->fg", every, every) / (3 * len(every)) if len(every) > every.shape[1] else None
