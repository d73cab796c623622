"""Every pair of atoms within a distance, at every periodic image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

MOST_PAIRS = 2e8  # pairs beyond which a list is refused before memory runs out (24 bytes each)
_MOST_BINS = 1e5
_SAFE_BINS = 2.0


@dataclass(frozen=True, eq=False, repr=False)
class Pairs(Brief):
    """Pairs of atoms, each standing once for both directions.

    ``first``, ``second``: atoms, shape (P,). An atom and its own image are a pair too: both are then the same number.
    ``distance``: shape (P,), Å.
    """

    first: IntArray
    second: IntArray
    distance: FloatArray

    def __len__(self) -> int:
        return len(self.first)

    def neighbours(self, n_atoms: int, within: float) -> IntArray:
        """Neighbours of each atom up to a distance (Å), shape (n_atoms,)."""
        near = self.distance < within
        ends = np.concatenate([self.first[near], self.second[near]])
        return np.bincount(ends, minlength=n_atoms)


def pairs_within(glass: Glass, r_max: float) -> Pairs:
    """List the pairs of atoms closer than ``r_max`` (Å); any cell, also one narrower than that.

    Raises InputError if the distance is not positive, or the pairs would not fit in memory.

    Examples
    --------
    >>> from ase.build import bulk
    >>> len(pairs_within(Glass.from_ase(bulk("Cu", cubic=True)), 3.0))
    24
    """
    from vesin import NeighborList

    if not (np.isfinite(r_max) and r_max > 0):
        raise InputError(f"{r_max=} must be a positive length in Å.")
    expected = 2 / 3 * np.pi * r_max**3 * glass.number_density * len(glass)
    if expected > MOST_PAIRS:
        raise InputError(
            f"{glass.name!r} has about {expected:.1e} pairs of atoms within {r_max:g} Å, too many to list: "
            "choose a shorter distance, and check that positions and cell are in Å."
        )
    first, second, distance = NeighborList(cutoff=r_max, full_list=False).compute(
        points=glass.positions, box=periodic_cell(glass, r_max), periodic=True, quantities="ijd"
    )
    return Pairs(first.astype(np.int64), second.astype(np.int64), np.asarray(distance))


def periodic_cell(glass: Glass, cutoff: float) -> FloatArray:
    """Stretch the cell where the glass does not repeat, until periodic images lie beyond the cut-off.

    Every glass is a periodic one then, as vesin has them best: without periodicity, version 0.6 can take minutes.

    Raises InputError if the glass is a sheet or scattered so wide that vesin would divide by zero, which ends the
    process: it bins atoms by the cut-off and scales the bins down evenly to ``_MOST_BINS``, which leaves none along a
    short side.
    """
    scaled = glass.fractional()
    heights = glass.heights()
    stretch = np.where(glass.pbc, 1.0, np.ptp(scaled, axis=0) + (cutoff + 1.0) / heights)
    bins = np.maximum(1, stretch * heights // cutoff)
    if bins.prod() > _MOST_BINS and bins.min() * np.cbrt(_MOST_BINS / bins.prod()) < _SAFE_BINS:
        sides = " × ".join(f"{side:.0f}" for side in stretch * heights)
        raise InputError(
            f"{glass.name!r} spreads {len(glass)} atoms over {sides} Å, too wide for its thickness: "
            "remove stray atoms, or give a smaller piece."
        )
    return glass.cell * stretch[:, None]
