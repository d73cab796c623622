"""Two structures of the same atoms: which atom of one is which of the other, and how far each has come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.measure import nearest_image

IDS = "id"
"""Array of the numbers that a simulation knows its atoms by."""


def matched(glass: Glass, like: Glass) -> Glass:
    """Return a structure with its atoms in the order of another one of the same atoms.

    Where both have ids (the array ``id``) that say which atom is which, they decide; otherwise the order does.

    Raises
    ------
    InputError
        If the structures do not hold the same atoms, or do not repeat along the same cell vectors.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> glass = datasets.sample()
    >>> matched(glass, glass) is glass
    True
    """
    ids, wanted = (each.arrays.get(IDS) for each in (glass, like))
    if ids is not None and wanted is not None and _tell_apart(ids) and _tell_apart(wanted):
        order, place = np.argsort(ids), np.argsort(np.argsort(wanted))
        if not np.array_equal(ids[order], np.sort(wanted)):
            raise InputError(
                f"{glass.name!r} and {like.name!r} do not hold the same atoms: their ids differ. Choose structures "
                "between which no atom came or went."
            )
        if (ids != wanted).any():
            glass = glass.reordered(order[place])
    if not np.array_equal(glass.numbers, like.numbers):
        raise InputError(
            f"{glass.name!r} ({glass.formula}) and {like.name!r} ({like.formula}) do not hold the same atoms in the "
            "same order: give two structures of the same atoms, ordered alike or with the array 'id'."
        )
    if (glass.pbc != like.pbc).any():
        raise InputError(f"{glass.name!r} and {like.name!r} do not repeat along the same cell vectors.")
    return glass


def displacements_between(start: Glass, end: Glass) -> FloatArray:
    """Return how far every atom came from one structure to another, shape (N, 3), Å, in the cell of ``start``.

    By the image nearest to where a drift of the whole brings each atom, less what the cell does to all atoms alike, and
    less the median along each axis: a drift is no displacement, however long, such as that to another origin of the
    cell, and atoms that stay do not seem to move because others did.

    Parameters
    ----------
    start, end
        Structures whose atoms are :func:`matched`.
    """
    way = replace(end, cell=cell_at(start, end, 1.0)).fractional() - start.fractional()
    # Where the structure repeats, the mean angle knows no images: that of the displacements is the drift.
    drift = np.angle(np.exp(2j * np.pi * way).mean(axis=0)) / (2 * np.pi)
    # Also where it does not: in a tilted cell that part of the way would decide which image is nearest.
    moved = nearest_image(start, (way - np.where(start.pbc, drift, np.median(way, axis=0))) @ start.cell)
    return np.asarray(moved - np.median(moved, axis=0))


def cell_at(start: Glass, end: Glass, fraction: float) -> FloatArray:
    """Return the cell on the straight way from one structure to another; it changes where the structure repeats."""
    return start.cell + fraction * np.where(start.pbc[:, None], end.cell - start.cell, 0.0)


def _tell_apart(ids: NDArray[Any]) -> bool:
    return ids.ndim == 1 and ids.dtype.kind in "iu" and len(np.unique(ids)) == len(ids)
