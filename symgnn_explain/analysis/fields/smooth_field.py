"""A per-atom quantity as a smooth field in space, on a grid over the cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from symgnn_explain.analysis.topology.alpha import pad_with_ghosts, wrapped_positions
from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass

LENGTH = 2.0
"""Standard deviation (Å) of the averaging Gaussian: predictions of neighbours are alike over about this distance."""

SPACING = 1.0
"""Largest distance (Å) between grid points."""

_REACH = 2.5
"""Atoms farther than so many standard deviations do not count."""


@dataclass(frozen=True, eq=False, repr=False)
class SmoothField(Brief):
    """Gaussian average of a per-atom quantity at every point of a grid.

    Parameters
    ----------
    values
        The field, shape (nx, ny, nz), unit of the quantity; its mean where no atom is near.
    origin, step
        Position of the first grid point, shape (3,), and the vectors from one point to the next along each index, shape
        (3, 3), Å.
    length
        Standard deviation of the Gaussian, Å.
    """

    values: FloatArray
    origin: FloatArray
    step: FloatArray
    length: float

    def level(self, share: float) -> float:
        """Value that so large a share of the grid's points is below."""
        return float(np.quantile(self.values, share))


def smooth_field(glass: Glass, values: ArrayLike, *, length: float = LENGTH, spacing: float = SPACING) -> SmoothField:
    """Average a per-atom quantity over Gaussians of its atoms, at points from face to face of the cell.

    Along directions that are not periodic the grid spans the atoms instead of the cell.

    Parameters
    ----------
    values
        Quantity of each atom, shape (N,).
    length
        Standard deviation of the Gaussian, Å.
    spacing
        Largest distance between grid points, Å.

    Raises
    ------
    InputError
        If there is not one finite value an atom, or a length is not positive.

    Examples
    --------
    >>> b2 = Glass([[0, 0, 0], [1.63, 1.63, 1.63]], [29, 40], np.eye(3) * 3.26)
    >>> smooth_field(b2, [1.0, 2.0]).values.shape
    (5, 5, 5)
    """
    quantity = np.asarray(values, dtype=np.float64)
    if quantity.shape != (len(glass),) or not np.isfinite(quantity).all():
        raise InputError(f"a field needs one finite value for each of the {len(glass)} atoms, not {quantity.shape}.")
    from scipy.spatial import cKDTree

    if not min(length, spacing) > 0:
        raise InputError(f"{length=} and {spacing=} must be positive, in Å.")
    position = wrapped_positions(glass)
    fraction = glass.fractional(position)
    low = np.where(glass.pbc, 0.0, fraction.min(axis=0))
    sides = (np.where(glass.pbc, 1.0, fraction.max(axis=0)) - low)[:, None] * glass.cell
    counts = np.maximum(np.ceil(np.linalg.norm(sides, axis=1) / spacing).astype(np.int64), 1)
    origin, step = low @ glass.cell, sides / counts[:, None]
    indices = np.stack(np.meshgrid(*(np.arange(count + 1) for count in counts), indexing="ij"), axis=-1)
    points = origin + indices.reshape(-1, 3) @ step

    padded = pad_with_ghosts(position, glass.cell, glass.pbc, _REACH * length)
    tree, reach = cKDTree(padded.position), _REACH * length
    most = int(tree.query_ball_point(points, reach, return_length=True).max())
    distance, near = tree.query(points, k=range(1, most + 1), distance_upper_bound=reach)
    weight = np.exp(-0.5 * (distance / length) ** 2)  # 0 where fewer are near: their distance is infinite
    of_point = np.append(quantity[padded.original], 0.0)[near]
    total = weight.sum(axis=1)
    averaged = np.full(len(points), quantity.mean())
    np.divide((weight * of_point).sum(axis=1), total, out=averaged, where=total > 0)
    return SmoothField(averaged.reshape(counts + 1), origin, step, length)
