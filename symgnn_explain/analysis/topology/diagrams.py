"""Persistence diagrams compared and summarised: distances, persistence images and persistence entropy.

A diagram is an array of births and deaths, shape (R, 2), in Å, of classes that die.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray

MOST_PAIRS = 2000
"""Diagrams with more pairs than this are too large for an exact matching."""


@dataclass(frozen=True, eq=False)
class PersistenceImage:
    """A persistence diagram smoothed into a picture of fixed size (Adams et al., J. Mach. Learn. Res. 18(8), 2017).

    Parameters
    ----------
    pixels
        Weight in each pixel, shape (lives, births): rows by life, columns by birth.
    birth, life
        Bounds of the columns and of the rows, Å.
    bandwidth
        Standard deviation of the Gaussian that stands for each pair, Å.
    n_pairs
        Pairs of the diagram.
    """

    pixels: FloatArray
    birth: FloatArray
    life: FloatArray
    bandwidth: float
    n_pairs: int

    def to_frame(self) -> pd.DataFrame:
        """One row a pixel: birth and life (of its centre, Å), weight."""
        birth, life = np.meshgrid((self.birth[1:] + self.birth[:-1]) / 2, (self.life[1:] + self.life[:-1]) / 2)
        return pd.DataFrame({"birth": birth.ravel(), "life": life.ravel(), "weight": self.pixels.ravel()})


def persistence_image(
    diagram: ArrayLike,
    *,
    birth_range: tuple[float, float] | None = None,
    life_range: tuple[float, float] | None = None,
    resolution: int = 40,
    bandwidth: float = 0.05,
) -> PersistenceImage:
    """Smooth a persistence diagram into a picture over birth and life.

    Each pair is a Gaussian of unit mass, weighted by its life (so that short-lived pairs do not matter, which makes
    the picture stable) and integrated over each pixel.

    Parameters
    ----------
    birth_range, life_range
        Bounds, Å; those of the pairs, three bandwidths wider, where None (life from 0). Give the same bounds to
        pictures that are to be compared.
    resolution
        Pixels along each axis.
    bandwidth
        Standard deviation of the Gaussians, Å.

    Raises
    ------
    InputError
        If the diagram is none, or it has no pairs and no bounds are given.
    """
    from scipy.special import ndtr

    pairs = _checked(diagram)
    if not bandwidth > 0 or resolution < 1:
        raise InputError(f"{bandwidth=} must be positive, and {resolution=} at least 1.")
    birth, life = pairs[:, 0], pairs[:, 1] - pairs[:, 0]
    margin = 3 * bandwidth
    if birth_range is None or life_range is None:
        if not len(pairs):
            raise InputError("an empty diagram has no bounds of its own: give birth_range and life_range.")
        birth_range = birth_range or (float(birth.min()) - margin, float(birth.max()) + margin)
        life_range = life_range or (0.0, float(life.max()) + margin)
    columns, rows = (np.linspace(*bounds, resolution + 1, dtype=np.float64) for bounds in (birth_range, life_range))
    along_birth = np.diff(ndtr((columns[None] - birth[:, None]) / bandwidth), axis=1)
    along_life = np.diff(ndtr((rows[None] - life[:, None]) / bandwidth), axis=1)
    return PersistenceImage((along_life * life[:, None]).T @ along_birth, columns, rows, bandwidth, len(pairs))


def persistence_entropy(diagram: ArrayLike) -> float:
    """Entropy (nats) of the lives of a diagram's pairs, each relative to their sum; 0 for an empty diagram.

    High where many pairs live equally long, low where one outlives all others (Atienza, Gonzalez-Diaz and
    Soriano-Trigueros, Pattern Recognition 107, 107509, 2020). Divide by the logarithm of the number of pairs to compare
    diagrams of different sizes.
    """
    pairs = _checked(diagram)
    life = pairs[:, 1] - pairs[:, 0]
    life = life[life > 0]
    if not life.size:
        return 0.0
    share = life / life.sum()
    return float(-(share * np.log(share)).sum())


def wasserstein_distance(
    first: ArrayLike, second: ArrayLike, *, order: float = 2.0, relative_error: float = 0.0
) -> float:
    """Wasserstein distance of two diagrams, Å: the cost of the best matching, with pairs of no life for the rest.

    The distance of two pairs is the larger difference of their births and deaths (L∞); their matching minimises the
    sum of its powers of ``order``.

    Parameters
    ----------
    order
        At least 1.
    relative_error
        0 for the exact matching by assignment (SciPy). With more than some thousand pairs, a positive error lets
        GUDHI's Hera find it by auction.

    Raises
    ------
    InputError
        If one is no diagram, or both are too large for an exact matching.
    """
    one, two = _checked(first), _checked(second)
    if order < 1 or relative_error < 0:
        raise InputError(f"{order=} must be at least 1, and {relative_error=} not negative.")
    if relative_error > 0:
        from gudhi.hera import wasserstein_distance as by_auction

        return float(by_auction(one, two, order=order, internal_p=np.inf, delta=relative_error))
    if min(len(one), len(two)) > MOST_PAIRS:
        raise InputError(
            f"an exact matching of {len(one)} with {len(two)} pairs takes too long: give relative_error, say 0.01."
        )
    from scipy.optimize import linear_sum_assignment

    # Pairs that are left over are matched with the diagonal. A match pays only where it costs less than that.
    alone_one, alone_two = ((np.diff(pairs, axis=1)[:, 0] / 2) ** order for pairs in (one, two))
    gap = np.maximum(np.abs(one[:, None, 0] - two[None, :, 0]), np.abs(one[:, None, 1] - two[None, :, 1]))
    gain = np.minimum(gap**order - alone_one[:, None] - alone_two[None], 0.0)
    total = alone_one.sum() + alone_two.sum() + gain[linear_sum_assignment(gain)].sum()
    return float(max(total, 0.0) ** (1 / order))


def bottleneck_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Bottleneck distance of two diagrams, Å: the largest L∞ difference under the best matching; exact (GUDHI's Hera).

    Pairs that are left over are matched with pairs of no life.
    """
    from gudhi.hera import bottleneck_distance as by_hera

    one, two = (pairs[pairs[:, 1] > pairs[:, 0]] for pairs in (_checked(first), _checked(second)))
    if not (len(one) and len(two)):
        return float(max((np.diff(pairs, axis=1).max() / 2 for pairs in (one, two) if len(pairs)), default=0.0))
    return float(by_hera(one, two, delta=0.0))


def diagram_distances(diagrams: Sequence[ArrayLike], *, order: float = 2.0, relative_error: float = 0.0) -> FloatArray:
    """Distances between diagrams, shape (n, n), Å: Wasserstein, or bottleneck for the order ∞."""
    distances = np.zeros((len(diagrams), len(diagrams)))
    for row, column in combinations(range(len(diagrams)), 2):
        one, two = diagrams[row], diagrams[column]
        distances[row, column] = distances[column, row] = (
            bottleneck_distance(one, two)
            if np.isinf(order)
            else wasserstein_distance(one, two, order=order, relative_error=relative_error)
        )
    return distances


def _checked(diagram: ArrayLike) -> FloatArray:
    pairs = np.asarray(diagram, dtype=np.float64)
    if pairs.size == 0:
        return np.empty((0, 2))
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError(f"a diagram has shape {pairs.shape}, expected (R, 2): birth and death of each pair.")
    if not np.isfinite(pairs).all() or (pairs[:, 1] < pairs[:, 0]).any():
        raise InputError("births and deaths of a diagram must be finite, no death before its birth.")
    return pairs
