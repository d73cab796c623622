"""Pieces of a glass that are nearly independent: what resampling and cross-validation leave out together."""

from __future__ import annotations

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass, IntArray


def spatial_blocks(glass: Glass, edge: float) -> IntArray:
    """Cut the cell into equal parallelepipeds about ``edge`` (Å) high; the block of each atom, shape (N,).

    Along a direction that is not periodic the extent of the atoms is cut instead.

    Raises
    ------
    InputError
        If the edge is not positive.
    """
    if not (np.isfinite(edge) and edge > 0):
        raise InputError(f"{edge=} must be a positive length in Å.")
    fraction = glass.fractional()
    low = np.where(glass.pbc, 0.0, fraction.min(axis=0))
    extent = np.where(glass.pbc, 1.0, np.ptp(fraction, axis=0))
    n_blocks = np.maximum(1, np.rint(extent * glass.heights() / edge)).astype(np.int64)
    place = (fraction - low) / np.where(extent > 0, extent, 1.0)
    place = np.where(glass.pbc, place % 1.0, place)
    index = np.minimum((place * n_blocks).astype(np.int64), n_blocks - 1)
    _, label = np.unique(np.ravel_multi_index(tuple(index.T), tuple(n_blocks)), return_inverse=True)
    return label.reshape(-1)
