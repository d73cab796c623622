"""Distances, angles and numbers of neighbours of a few atoms, with the nearest periodic images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.bins import Bins
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.selection import require_atoms


class Measurement(NamedTuple):
    """What was measured: in words, the value, and its unit."""

    name: str
    value: float
    unit: str

    def __str__(self) -> str:
        digits = {"Å": 3, "°": 1}.get(self.unit, 0)
        return f"{self.name}: {self.value:.{digits}f} {self.unit}".strip()


def nearest_image(glass: Glass, vectors: FloatArray) -> FloatArray:
    """Return the shortest of the periodic images of vectors, shape (n, 3), Å."""
    from ase.geometry import find_mic

    return np.asarray(find_mic(vectors, glass.cell, glass.pbc)[0])


def measure(glass: Glass, atoms: Sequence[int], *, within: float) -> Measurement | None:
    """Measure one, two or three atoms; None for another number of them.

    Parameters
    ----------
    glass
        The structure.
    atoms
        One atom: its coordination number; two: their distance; three: the angle at the second, in the order given.
    within
        Distance (Å) up to which atoms count as neighbours, such as the first minimum of g(r). Every periodic image is
        counted.

    Raises
    ------
    InputError
        If an atom does not exist, or stands twice among them, or two of them are at one place.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> print(measure(datasets.sample(), [0, 1], within=3.8))
    distance 0–1: 4.607 Å
    """
    if not 1 <= len(atoms) <= 3:
        return None
    chosen = require_atoms(glass, atoms).tolist()
    if len(chosen) == 1:
        _, _, distance = Bins.of(glass, within).pairs(np.array(chosen))
        return Measurement(f"neighbours of {chosen[0]} within {within:.2f} Å", float(len(distance)), "")
    if len(chosen) == 2:
        first, second = chosen
        way = nearest_image(glass, glass.positions[[second]] - glass.positions[first])
        return Measurement(f"distance {first}–{second}", float(np.linalg.norm(way)), "Å")
    ends = glass.positions[[chosen[0], chosen[2]]] - glass.positions[chosen[1]]
    one, other = nearest_image(glass, ends)
    lengths = np.linalg.norm([one, other], axis=1)
    if not lengths.all():
        raise InputError(f"two of the atoms {', '.join(map(str, chosen))} are at one place: they have no angle.")
    cosine = np.clip(one @ other / lengths.prod(), -1.0, 1.0)
    return Measurement(f"angle {'–'.join(map(str, chosen))}", float(np.degrees(np.arccos(cosine))), "°")
