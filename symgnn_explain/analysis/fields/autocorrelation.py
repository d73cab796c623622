"""Spatial autocorrelation of a per-atom field: over what distance labels or predictions are alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from symgnn_explain.analysis.fields.blocks import spatial_blocks
from symgnn_explain.analysis.fields.correlation_length import CorrelationLength, exponential_length, integral_length
from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import quantiles, resampled_quantiles
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.pairs import Pairs, pairs_within

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST_DISTANCE = 15.0
"""Distance (Å) up to which correlations are sought, where the cell allows it."""

NEAR = 4.0
"""Pairs closer than this (Å), about the first shell, decide whether a field is correlated at all."""

SIGNIFICANCE = 0.01
"""A correlation length is stated only where fewer than this share of permutations are as correlated."""

FEWEST_PAIRS = 100
"""Bins with fewer pairs are left out."""

Within = Literal["all", "species"]

BLOCK = 12.0
"""Edge (Å) of the blocks that the bootstrap resamples: neighbouring atoms are not independent."""

DRAWS = 400
_COLUMNS = 64


@dataclass(frozen=True, eq=False, repr=False)
class Autocorrelation(Brief):
    """Correlation C(r) of the values of two atoms a distance r apart.

    Parameters
    ----------
    field
        What was correlated.
    r
        Mean distance of the pairs in each bin, shape (B,), Å.
    n_pairs
        Pairs in each bin, shape (B,).
    correlation, low, high
        C(r), with a 95 % interval from a bootstrap over spatial blocks, shape (B,); NaN where the cell is a single one.
    null_low, null_high
        95 % of random permutations of the values lie between, shape (B,).
    near_correlation, p_value
        Mean over the pairs closer than 4 Å, and the share of permutations with as much of it.
    integral_length, exponential_length
        Correlation lengths by two definitions; None where the field is not correlated, or the data do not define one.
    """

    field: str
    r: FloatArray
    n_pairs: IntArray
    correlation: FloatArray
    low: FloatArray
    high: FloatArray
    null_low: FloatArray
    null_high: FloatArray
    near_correlation: float
    p_value: float
    integral_length: CorrelationLength | None
    exponential_length: CorrelationLength | None

    def to_frame(self) -> pd.DataFrame:
        """One row a bin: r (Å), n_pairs, correlation with its interval, null band."""
        columns = ("r", "n_pairs", "correlation", "low", "high", "null_low", "null_high")
        return pd.DataFrame({name: getattr(self, name) for name in columns})


def field_autocorrelation(
    glass: Glass,
    values: ArrayLike,
    field: str = "value",
    *,
    within: Within = "all",
    r_max: float | None = None,
    bin_width: float = 0.5,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> Autocorrelation:
    """Spatial autocorrelation of one value an atom.

    ``C(r) = <δf_i δf_j> / <δf²>`` over the pairs of atoms whose distance falls in a bin, which is Moran's I of that
    bin; δf is the value minus the mean. 1 is full correlation, ``-1 / (N - 1)`` none. The first point lies at the
    nearest neighbours: values measured with noise start below 1.

    Lengths from a cell narrower than some fifteen correlation lengths come out short, by a tenth at ten, since the mean
    of so small a sample follows the field; their intervals are then too narrow as well.

    Parameters
    ----------
    values
        Shape (N,).
    field
        Name of the values in tables and figures.
    within
        ``species`` subtracts each species' mean and permutes within species, so that chemical order alone makes no
        correlation.
    r_max
        Largest distance, Å; where None, 15 Å or half the smallest height of the cell.
    bin_width
        Å.
    draws, seed
        Of the bootstrap and of the permutations.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If there is not one finite value an atom, all are equal, ``r_max`` exceeds half the cell, or ``within`` is
        unknown.
    Cancelled
        If it was asked to stop.
    """
    if within not in get_args(Within):
        raise InputError(f"{within=} is unknown: choose from {', '.join(get_args(Within))}.")
    half = glass.heights()[glass.pbc].min(initial=np.inf) / 2
    r_max = min(LARGEST_DISTANCE, half) if r_max is None else r_max
    if r_max > half:
        raise InputError(f"{r_max=} exceeds half the cell ({half:.2f} Å), beyond which atoms meet their own images.")
    if not (np.isfinite(bin_width) and 0 < bin_width < r_max):
        raise InputError(f"{bin_width=} and {r_max=} do not fit: expected lengths in Å with 0 < bin_width < r_max.")
    watch = Watch(progress, cancel)
    watch.advance(0.0)
    random = np.random.default_rng(seed)
    groups = glass.numbers if within == "species" else np.zeros(len(glass), dtype=np.int64)
    standard = _standardise(np.asarray(values, dtype=np.float64), groups)
    graphs, distance = _by_distance(pairs_within(glass, r_max), len(glass), r_max, bin_width)
    n_pairs = np.array([graph.nnz for graph in graphs])
    # Each pair is shared out between the blocks of its two atoms.
    product = np.stack([standard * (graph @ standard + graph.T @ standard) / 2 for graph in graphs], axis=1)
    touched = np.stack([(graph.sum(axis=1) + graph.sum(axis=0)) / 2 for graph in graphs], axis=1)
    correlation = product.sum(axis=0) / n_pairs
    blocks = spatial_blocks(glass, BLOCK)
    resampled = _resampled(product, touched, standard, blocks, draws=draws, random=random)
    n_blocks = int(blocks.max()) + 1
    permuted = _permuted(graphs, standard, groups, draws, random=random, watch=watch) / n_pairs
    near = distance < NEAR if (distance < NEAR).any() else np.arange(len(distance)) == 0
    share = n_pairs[near] / n_pairs[near].sum()
    near_correlation = float(correlation[near] @ share)
    p_value = float((1 + (permuted[:, near] @ share >= near_correlation - 1e-12).sum()) / (1 + draws))
    correlated = p_value < SIGNIFICANCE
    (low, high), (null_low, null_high) = resampled_quantiles(resampled, n_blocks), quantiles(permuted)
    watch.advance(1.0)
    return Autocorrelation(
        field=field,
        r=distance,
        n_pairs=n_pairs,
        correlation=correlation,
        low=low,
        high=high,
        null_low=null_low,
        null_high=null_high,
        near_correlation=near_correlation,
        p_value=p_value,
        integral_length=integral_length(distance, correlation, resampled, n_blocks) if correlated else None,
        exponential_length=exponential_length(distance, correlation, resampled, n_blocks) if correlated else None,
    )


def _standardise(values: FloatArray, groups: IntArray) -> FloatArray:
    """Values minus the mean of their group, in units of the standard deviation."""
    if values.shape != groups.shape or not np.isfinite(values).all():
        raise InputError(f"values have shape {values.shape}, expected {groups.shape}, all finite: one an atom.")
    _, label = np.unique(groups, return_inverse=True)
    centred = values - (np.bincount(label, weights=values) / np.bincount(label))[label]
    spread = centred.std()
    if not spread > 1e-12 * np.abs(values).max():
        raise InputError("all values are equal: a constant field has no correlation.")
    return np.asarray(centred / spread)


def _by_distance(pairs: Pairs, n_atoms: int, r_max: float, bin_width: float) -> tuple[list[csr_array], FloatArray]:
    """One sparse matrix of pairs for each bin of the distance, and their mean distance; sparse bins are left out."""
    from scipy.sparse import csr_array

    index = (pairs.distance / bin_width).astype(np.int64)
    index[(pairs.first == pairs.second) | (index >= int(r_max / bin_width + 1e-9))] = -1
    order = np.argsort(index, kind="stable")
    ends = np.searchsorted(index[order], np.arange(index.max(initial=-1) + 2))
    graphs, distance = [], []
    for start, stop in pairwise(ends.tolist()):
        rows = order[start:stop]
        if len(rows) >= FEWEST_PAIRS:
            entries = (np.ones(len(rows)), (pairs.first[rows], pairs.second[rows]))
            graphs.append(csr_array(entries, shape=(n_atoms, n_atoms)))
            distance.append(pairs.distance[rows].mean())
    if not graphs:
        raise InputError(
            f"no distance below {r_max:g} Å has {FEWEST_PAIRS} pairs of atoms: give more atoms, or wider bins."
        )
    return graphs, np.array(distance)


def _resampled(
    product: FloatArray,
    touched: FloatArray,
    standard: FloatArray,
    blocks: IntArray,
    *,
    draws: int,
    random: np.random.Generator,
) -> FloatArray:
    """C(r) of blocks drawn with replacement, each draw with its own mean and variance, shape (draws, B)."""
    sums = _sums(np.column_stack([np.ones(len(standard)), standard, standard**2, product, touched]), blocks)
    n_blocks = len(sums)
    drawn = random.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=draws) @ sums
    n_bins = product.shape[1]
    mean, square = drawn[:, 1] / drawn[:, 0], drawn[:, 2] / drawn[:, 0]
    products = drawn[:, 3 : 3 + n_bins] / np.maximum(drawn[:, 3 + n_bins :], 1.0)
    return (products - mean[:, None] ** 2) / (square - mean**2)[:, None]


def _sums(values: FloatArray, label: IntArray) -> FloatArray:
    """Sum the rows of each label, shape (labels, B)."""
    return np.stack([np.bincount(label, weights=column) for column in values.T], axis=1)


def _permuted(
    graphs: list[csr_array],
    standard: FloatArray,
    groups: IntArray,
    draws: int,
    *,
    random: np.random.Generator,
    watch: Watch,
) -> FloatArray:
    """Sum of products over the pairs of each bin, for random permutations within groups, shape (draws, B)."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    sums = np.empty((draws, len(graphs)))
    for start in range(0, draws, _COLUMNS):
        watch.advance(start / draws)
        shuffled = np.tile(standard[:, None], (1, min(_COLUMNS, draws - start)))
        for rows in members:
            shuffled[rows] = random.permuted(shuffled[rows], axis=0)
        for column, graph in enumerate(graphs):
            sums[start : start + shuffled.shape[1], column] = (shuffled * (graph @ shuffled)).sum(axis=0)
    return sums
