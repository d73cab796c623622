"""Some atoms of a large glass with all that their predictions depend on, so that they can be predicted anywhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from symgnn_explain.models.ensemble import SymGNNLike
from symgnn_explain.models.sweep import blocks_of
from symgnn_explain.structure.bins import images_within, wrapped_into_cell
from symgnn_explain.structure.glass import Glass, IntArray

_MARGIN = 1e-3  # by how much (Å) more is taken along than is needed


class Surrounded(NamedTuple):
    """Some atoms and what surrounds them, as a structure without periodic images.

    Parameters
    ----------
    glass
        The atoms themselves come first, then those whose messages reach them, then those that these see before any
        message.
    n_core, n_around
        How many the first are, and the first two.
    """

    glass: Glass
    n_core: int
    n_around: int


def surroundings(model: SymGNNLike, glass: Glass, atoms: IntArray) -> Surrounded:
    """Cut out atoms that stand near each other, and what a network's predictions for them depend on."""
    shift, scaled = wrapped_into_cell(glass)
    low, high = scaled[atoms].min(axis=0), scaled[atoms].max(axis=0)
    messages = len(model.layers) * model.config.cutoff + _MARGIN
    reaches = messages, messages + max(model.config.cutoff, model.config.reach)
    near, sight = (reach / glass.heights() for reach in reaches)
    image, place, vectors = images_within(glass, low - sight, high + sight, (shift, scaled))
    chosen = np.full(len(glass), -1)
    chosen[atoms] = np.arange(len(atoms))
    own = (chosen[image] >= 0) & (vectors == shift[image]).all(axis=1)
    far = ((place < low - near) | (place > high + near)).any(axis=1)
    positions = glass.positions[image] + vectors @ glass.cell
    cell = np.diag(np.ptp(positions, axis=0) + 1)
    cluster = Glass(positions, glass.numbers[image], cell, np.zeros(3, dtype=bool), name=glass.name)
    order, _ = blocks_of(cluster, len(cluster))  # neighbours side by side stay in the cache
    rank = np.where(own, -1, np.where(far, 1, 0))[order]
    order = order[np.argsort(rank, kind="stable")]
    order[: len(atoms)] = np.flatnonzero(own)[np.argsort(chosen[image[own]])]
    parts = Glass(positions[order], glass.numbers[image[order]], cell, cluster.pbc, name=glass.name)
    return Surrounded(parts, len(atoms), int(np.count_nonzero(rank < 1)))
