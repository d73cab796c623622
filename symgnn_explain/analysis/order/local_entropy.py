"""Local entropy: how ordered the surroundings of each atom are, from its own radial distribution function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.neighbours import Neighbours, neighbours_within

REACH = 5.0
BROADENING = 0.2
_TAIL = 4.0
_STEPS_PER_BROADENING = 8
_ATOMS_AT_ONCE = 128


@dataclass(frozen=True, eq=False, repr=False)
class PairEntropy(Brief):
    """Two-body excess entropy of every atom, in units of Boltzmann's constant; lower is more ordered.

    Parameters
    ----------
    s2
        Of the atom itself, shape (N,); never positive.
    averaged
        Mean over the atom and its neighbours, shape (N,).
    """

    s2: FloatArray
    averaged: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """One row an atom: atom, s2, s2_averaged (k_B)."""
        return pd.DataFrame({"atom": np.arange(len(self.s2)), "s2": self.s2, "s2_averaged": self.averaged})


def pair_entropy(
    glass: Glass, averaging: float, *, reach: float = REACH, broadening: float = BROADENING
) -> PairEntropy:
    """Pair entropy of every atom (Piaggi and Parrinello, J. Chem. Phys. 147, 114112, 2017, equations 4 to 6).

    s2 = -2 π ρ ∫ [g ln g - g + 1] r² dr from 0 to ``reach``, where g is the radial distribution function seen by this
    one atom, with every neighbour broadened to a Gaussian, and ρ the mean number density. Species are not told apart.
    Along open directions ρ is that of the cell: a cluster in vacuum should stand in a cell that fits it.

    Parameters
    ----------
    averaging
        Neighbours up to this distance (Å) enter the average, such as the first minimum of g(r).
    reach, broadening
        Upper bound of the integral and standard deviation of the Gaussians, Å.

    Raises
    ------
    InputError
        If a length is not positive.

    Examples
    --------
    >>> b2 = Glass([[0, 0, 0], [1.63, 1.63, 1.63]], [29, 40], np.eye(3) * 3.26)
    >>> pair_entropy(b2, 3.0).s2.round(2).tolist()
    [-6.22, -6.22]
    """
    if not (np.isfinite([averaging, reach, broadening]).all() and 0 < broadening < reach and averaging > 0):
        raise InputError(f"{averaging=}, {reach=} and {broadening=} must be lengths in Å with broadening below reach.")
    widest = max(averaging, reach + _TAIL * broadening)
    neighbours = neighbours_within(glass, widest)
    s2 = _own_entropy(neighbours, len(glass), glass.number_density, reach, broadening)
    near = neighbours.distance <= averaging
    centre, neighbour = neighbours.centre[near], neighbours.neighbour[near]
    around = np.bincount(centre, s2[neighbour], minlength=len(glass))
    averaged = (s2 + around) / (1 + np.bincount(centre, minlength=len(glass)))
    return PairEntropy(s2, averaged)


def _own_entropy(neighbours: Neighbours, n_atoms: int, density: float, reach: float, broadening: float) -> FloatArray:
    n_steps = int(np.ceil(reach / broadening * _STEPS_PER_BROADENING))
    step = reach / n_steps
    r = step * np.arange(n_steps + 1)
    tail = np.arange(-int(np.ceil(_TAIL * broadening / step)), int(np.ceil(_TAIL * broadening / step)) + 1)
    scale = 1 / (np.sqrt(2 * np.pi) * broadening * 4 * np.pi * density * np.where(r > 0, r, 1) ** 2)
    ends = np.searchsorted(neighbours.centre, np.arange(n_atoms + 1))
    distance = neighbours.distance
    s2 = np.empty(n_atoms)
    # A few atoms at a time stay in the processor's cache.
    for low in range(0, n_atoms, _ATOMS_AT_ONCE):
        high = min(low + _ATOMS_AT_ONCE, n_atoms)
        rows = slice(ends[low], ends[high])
        places = np.rint(distance[rows] / step).astype(np.int64)[:, None] + tail
        kernel = np.exp(-((places * step - distance[rows, None]) ** 2) / (2 * broadening**2))
        inside = (places > 0) & (places <= n_steps)
        cells = (neighbours.centre[rows, None] - low) * (n_steps + 1) + places
        counts = np.bincount(cells[inside], kernel[inside], minlength=(high - low) * (n_steps + 1))
        g = counts.reshape(high - low, n_steps + 1) * scale
        integrand = (g * np.log(np.where(g > 0, g, 1)) - g + 1) * r**2
        integral = step * (integrand.sum(axis=1) - integrand[:, -1] / 2)  # the trapezoidal rule; it begins at zero
        s2[low:high] = -2 * np.pi * density * integral
    return s2
