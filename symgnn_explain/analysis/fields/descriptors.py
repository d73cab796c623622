"""Simple descriptors of an atom's surroundings, and their average over a Gaussian neighbourhood."""

from __future__ import annotations

import numpy as np

from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.pairs import Pairs, pairs_within

LOCAL_RANGE = 5.0
"""Neighbours up to this distance (Å) are local; it is the cut-off of the published network."""

WIDTH = 0.25
"""Spacing and standard deviation (Å) of the Gaussians that neighbours' distances are sorted into."""

REACH = 3.5
"""The averaging Gaussian is cut off at so many standard deviations."""


def local_descriptors(glass: Glass, species: tuple[str, ...]) -> FloatArray:
    r"""Smoothed number of neighbours of each species at each distance, in the columns of the atom's own species.

    :math:`G_i(r, s) = \sum_{j \in s} \exp(-(r_{ij} - r)^2 / 2 w^2)` for distances r from 2 to 5 Å, as Boattini et al.
    (Phys. Rev. Lett. 127, 088007, 2021) and others use them for glasses. An atom fills the columns of its own species,
    with a 1 in the first of them, and leaves the others 0: a linear model of these columns is one linear model for each
    species, and their average over neighbours holds the composition too.

    Parameters
    ----------
    species
        Chemical symbols in the order of the columns; it must hold those of the glass.

    Returns
    -------
    numpy.ndarray
        Shape (N, S (1 + S K)) for S species and K distances.
    """
    n_atoms, n_species = len(glass), len(species)
    number = np.array([species.index(symbol) for symbol in glass.symbols])
    pairs = pairs_within(glass, LOCAL_RANGE)
    centre = np.concatenate([pairs.first, pairs.second])
    neighbour = number[np.concatenate([pairs.second, pairs.first])]
    distance = np.tile(pairs.distance, 2)
    shells = np.arange(2.0, LOCAL_RANGE + WIDTH / 2, WIDTH)
    slot = centre * n_species + neighbour
    densities = [
        np.bincount(slot, np.exp(-(((distance - r) / WIDTH) ** 2) / 2), minlength=n_atoms * n_species) for r in shells
    ]
    own = np.column_stack([np.ones(n_atoms), np.stack(densities, axis=1).reshape(n_atoms, -1)])
    columns = np.zeros((n_atoms, n_species, own.shape[1]))
    columns[np.arange(n_atoms), number] = own
    return columns.reshape(n_atoms, -1)


def gaussian_average(values: FloatArray, pairs: Pairs, length: float) -> FloatArray:
    r"""Average of each column over the neighbours and the atom itself, weighted by :math:`\exp(-r^2 / 2 L^2)`.

    Parameters
    ----------
    values
        Shape (N, F).
    pairs
        All pairs up to 3.5 times the length at least.
    length
        Standard deviation L of the Gaussian, Å; 0 leaves the values as they are.
    """
    from scipy.sparse import csr_array

    if length == 0:
        return values
    near = pairs.distance < REACH * length
    first, second = pairs.first[near], pairs.second[near]
    weight = np.exp(-((pairs.distance[near] / length) ** 2) / 2)
    kernel = csr_array((weight, (first, second)), shape=(len(values),) * 2)
    total = 1 + kernel.sum(axis=1) + kernel.sum(axis=0)
    return np.asarray((values + kernel @ values + kernel.T @ values) / total[:, None])
