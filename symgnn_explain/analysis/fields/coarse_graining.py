"""Over what length local structure has to be averaged to predict a per-atom field best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from symgnn_explain.analysis.fields.blocks import spatial_blocks
from symgnn_explain.analysis.fields.descriptors import REACH, gaussian_average, local_descriptors
from symgnn_explain.analysis.nulls.null_models import CONFIDENCE, interval
from symgnn_explain.errors import InputError
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.pairs import pairs_within

LENGTHS = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
"""Coarse-graining lengths (Å) that are tried."""

BLOCK = 12.0
"""Edge (Å) of the blocks that are held out together, and that the bootstrap resamples."""

BUFFER = 6.0
"""Atoms closer than this (Å) to a held-out block are in neither part: barriers of neighbours are alike."""

PENALTIES = np.geomspace(1e-3, 1e5, 25)
DRAWS = 500
_FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class Fold:
    """Atoms that are predicted, and all those that do not train the model that predicts them."""

    test: IntArray
    left_out: IntArray


@dataclass(frozen=True, eq=False)
class LengthCurve:
    """How well a field is predicted at each coarse-graining length.

    Parameters
    ----------
    r, low, high
        Pearson correlation of held-out predictions with the field, and its 95 % interval, shape (L,).
    best_length, best_low, best_high
        Length with the largest r (interpolated), Å, and where 95 % of the bootstrap has it.
    """

    r: FloatArray
    low: FloatArray
    high: FloatArray
    best_length: float
    best_low: float
    best_high: float


@dataclass(frozen=True, eq=False)
class CoarseGraining:
    """Prediction of a per-atom field from coarse-grained local descriptors.

    Parameters
    ----------
    field
        What was predicted, for example ``barrier``.
    lengths
        Standard deviations of the averaging Gaussian, shape (L,), Å.
    averaged
        From the averaged descriptors alone.
    local_and_averaged
        From the atom's own descriptors together with the averaged ones: what averaging adds.
    species_r
        Pearson r of the field with the mean of each atom's species, for comparison.
    held_out
        ``glasses`` or ``blocks``: what was left out together.
    n_folds, n_glasses, n_atoms
        Of the cross-validation.
    draws, seed
        Of the bootstrap over blocks.
    """

    field: str
    lengths: FloatArray
    averaged: LengthCurve
    local_and_averaged: LengthCurve
    species_r: float
    held_out: str
    n_folds: int
    n_glasses: int
    n_atoms: int
    draws: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """One row a length (Å): r of both models with their intervals."""
        table = {"length": self.lengths}
        for name, curve in (("averaged", self.averaged), ("local_and_averaged", self.local_and_averaged)):
            table |= {f"{name}_r": curve.r, f"{name}_low": curve.low, f"{name}_high": curve.high}
        return pd.DataFrame(table)

    def summary(self) -> dict[str, Any]:
        """Best lengths (Å) and correlations, ready for JSON."""
        curves = {"averaged": self.averaged, "local_and_averaged": self.local_and_averaged}
        return {
            "field": self.field,
            **{
                name: {
                    "best_length_angstrom": {
                        "value": curve.best_length,
                        "low": curve.best_low,
                        "high": curve.best_high,
                    },
                    "best_r": float(curve.r.max()),
                    "r_without_averaging": float(curve.r[self.lengths.argmin()]),
                }
                for name, curve in curves.items()
            },
            "species_r": self.species_r,
            "held_out": self.held_out,
            "n_folds": self.n_folds,
            "n_atoms": self.n_atoms,
            "draws": self.draws,
            "seed": self.seed,
        }


def coarse_graining_length(
    glasses: Glass | Sequence[Glass],
    values: Sequence[ArrayLike] | ArrayLike | None = None,
    field: str = "barrier",
    *,
    lengths: Sequence[float] = LENGTHS,
    groups: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> CoarseGraining:
    """Find the Gaussian coarse-graining length at which local descriptors predict a field best.

    Ridge regression on species-resolved radial densities within 5 Å (:func:`~.descriptors.local_descriptors`), averaged
    over neighbours with a Gaussian of each length; the penalty is chosen by generalised cross-validation on the
    training part. Several glasses are held out one by one. In a single glass blocks of 12 Å are, and the atoms within
    6 Å of a block do not train the model that predicts it.

    Parameters
    ----------
    values
        One array of shape (N,) for each glass (or one array for a single glass); known barriers where None, of the
        atoms that have one.
    field
        Name of the values in tables and figures.
    lengths
        Standard deviations of the Gaussian, Å; 0 is no averaging.
    groups
        A label for each glass; those with the same label are held out together, as related glasses should be. Copies
        of one structure always are.
    draws, seed
        Of the bootstrap over blocks, which gives the intervals.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If there is not one finite value an atom, the values are equal, a length is negative, or nothing is left to
        train on.
    Cancelled
        If it was asked to stop.
    """
    structures = [glasses] if isinstance(glasses, Glass) else list(glasses)
    if not structures:
        raise InputError("no glass was given: give at least one.")
    given = [values] if isinstance(glasses, Glass) and values is not None else values
    targets = _targets(structures, given)
    tried = np.unique(np.asarray(lengths, dtype=np.float64))
    if tried.size == 0 or not np.isfinite(tried).all() or tried[0] < 0:
        raise InputError(f"{lengths=} must be lengths in Å that are not negative.")
    watch = Watch(progress, cancel)
    species = tuple(sorted({symbol for glass in structures for symbol in glass.species}))
    local, averaged = _descriptors(structures, species, tried, watch)
    target = np.concatenate([values - np.nanmean(values) for values in targets])
    folds, held_out = _folds(structures, groups)
    is_species = np.concatenate([np.array(glass.symbols)[:, None] == np.array(species) for glass in structures])
    glass_of = np.repeat(np.arange(len(structures)), [len(glass) for glass in structures])
    blocks = _blocks(structures)
    if (unknown := np.isnan(target)).any():
        known = ~unknown
        target, local, is_species, glass_of = (each[known] for each in (target, local, is_species, glass_of))
        averaged = [columns[known] for columns in averaged]
        blocks = np.unique(blocks[known], return_inverse=True)[1]
        folds = _folds_among(known, folds)
    predictions = np.empty((2, len(tried), len(target)))
    for row, columns in enumerate(averaged):
        watch.advance(0.5 + 0.5 * row / len(tried))
        predictions[0, row] = _held_out(np.column_stack([is_species, columns]), target, folds)
        predictions[1, row] = _held_out(np.column_stack([local, columns]), target, folds)
    times = _resampled_blocks(int(blocks.max()) + 1, draws, np.random.default_rng(seed))
    curves = [_curve(tried, _correlations(each, target, glass_of, blocks, times)) for each in predictions]
    by_species = is_species @ ((target @ is_species) / is_species.sum(axis=0))
    watch.advance(1.0)
    return CoarseGraining(
        field=field,
        lengths=tried,
        averaged=curves[0],
        local_and_averaged=curves[1],
        species_r=float(_correlations(by_species[None], target, glass_of, blocks, times[:1])[0, 0]),
        held_out=held_out,
        n_folds=len(folds),
        n_glasses=len(structures),
        n_atoms=len(target),
        draws=draws,
        seed=seed,
    )


def _targets(glasses: list[Glass], values: Any) -> list[FloatArray]:
    may_be_unknown = False
    if values is None:
        without = [glass.name for glass in glasses if glass.barriers is None]
        if without:
            raise InputError(f"{', '.join(without)} has no known barriers: give values, one array a glass.")
        values = [glass.barriers for glass in glasses]
        may_be_unknown = True
    if len(values) != len(glasses):
        raise InputError(f"{len(values)} arrays of values were given for {len(glasses)} glasses: one array a glass.")
    checked = []
    for glass, each in zip(glasses, values, strict=True):
        array = np.asarray(each, dtype=np.float64)
        if array.shape != (len(glass),) or not (may_be_unknown or np.isfinite(array).all()):
            raise InputError(
                f"values of {glass.name!r} have shape {array.shape}, expected ({len(glass)},), all finite."
            )
        if np.ptp(array[~np.isnan(array)]) == 0:
            raise InputError(f"all values of {glass.name!r} are equal: there is nothing to predict.")
        checked.append(array)
    return checked


def _descriptors(
    glasses: list[Glass], species: tuple[str, ...], lengths: FloatArray, watch: Watch
) -> tuple[FloatArray, list[FloatArray]]:
    """Descriptors of all atoms, and their averages over each length."""
    local: list[FloatArray] = []
    averaged: list[list[FloatArray]] = [[] for _ in lengths]
    for number, glass in enumerate(glasses):
        local.append(local_descriptors(glass, species))
        pairs = pairs_within(glass, max(REACH * lengths[-1], 1.0))
        for row, length in enumerate(lengths):
            watch.advance(0.5 * (number + row / len(lengths)) / len(glasses))
            averaged[row].append(gaussian_average(local[-1], pairs, length))
    return np.concatenate(local), [np.concatenate(parts) for parts in averaged]


def _folds(glasses: list[Glass], groups: Sequence[Hashable] | None) -> tuple[list[Fold], str]:
    if groups is not None and len(groups) != len(glasses):
        raise InputError(f"{len(groups)} groups were given for {len(glasses)} glasses: one label a glass.")
    labels = [glass.content_hash for glass in glasses] if groups is None else list(groups)
    number = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    sizes = [len(glass) for glass in glasses]
    if len(number) > 1:
        group = np.repeat([number[label] for label in labels], sizes)
        return [Fold(test, test) for test in (np.flatnonzero(group == held) for held in number.values())], "glasses"
    # All glasses are of one group: its blocks are held out at once in every copy.
    block = np.concatenate([spatial_blocks(glass, BLOCK) for glass in glasses])
    starts = np.cumsum([0, *sizes[:-1]])
    pairs = [pairs_within(glass, BUFFER) for glass in glasses]
    first = np.concatenate([each.first + start for each, start in zip(pairs, starts, strict=True)])
    second = np.concatenate([each.second + start for each, start in zip(pairs, starts, strict=True)])
    folds = []
    for held in range(int(block.max()) + 1):
        inside = block == held
        near = inside.copy()
        near[first[inside[second]]] = near[second[inside[first]]] = True
        if near.all():
            raise InputError(
                f"{glasses[0].name!r} is too small: no atom is farther than {BUFFER:g} Å from a block of {BLOCK:g} Å. "
                "Give several glasses, which are then held out one by one."
            )
        folds.append(Fold(np.flatnonzero(inside), np.flatnonzero(near)))
    return folds, "blocks"


def _folds_among(known: NDArray[np.bool_], folds: list[Fold]) -> list[Fold]:
    """Return the folds with the atoms numbered among those that are known; without folds that test nothing."""
    place = np.cumsum(known) - 1
    among = [Fold(place[fold.test[known[fold.test]]], place[fold.left_out[known[fold.left_out]]]) for fold in folds]
    if any(len(fold.left_out) == known.sum() for fold in among):
        raise InputError("all known values are held out at once: give more of them, or several glasses.")
    return [fold for fold in among if len(fold.test)]


def _held_out(features: FloatArray, target: FloatArray, folds: list[Fold]) -> FloatArray:
    """Predict every atom by a model that was not trained near it.

    The moments of the training part are those of everything minus those of what is left out, which is much less.
    """
    spread = features.std(axis=0)
    kept = spread > 1e-9 * np.abs(features).max()
    standard = (features[:, kept] - features[:, kept].mean(axis=0)) / spread[kept]
    table = np.column_stack([np.ones(len(target)), standard, target])
    everything = table.T @ table
    prediction = np.empty(len(target))
    for fold in folds:
        moments = everything - table[fold.left_out].T @ table[fold.left_out]
        level, slopes = ridge(moments)
        prediction[fold.test] = level + standard[fold.test] @ slopes
    return prediction


def ridge(moments: FloatArray) -> tuple[float, FloatArray]:
    """Ridge regression with the penalty of :data:`PENALTIES` that generalised cross-validation prefers.

    Features are standardised for the penalty. Golub, Heath and Wahba, Technometrics 21, 215 (1979).

    Parameters
    ----------
    moments
        ``T' T`` of a table T with columns 1, the features and the target, shape (F + 2, F + 2).

    Returns
    -------
    float, numpy.ndarray
        Intercept, and slope of each feature, shape (F,); 0 for features that do not vary.
    """
    count = moments[0, 0]
    mean = moments[0, 1:] / count
    centred = moments[1:, 1:] - count * np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.diag(centred)[:-1] / count, 0.0))
    scale = np.where(spread > _FLAT, spread, np.inf)
    squares, axes = np.linalg.eigh(centred[:-1, :-1] / np.outer(scale, scale))
    squares = np.maximum(squares, 0.0)
    along = axes.T @ (centred[:-1, -1] / scale)
    shrunk = 1 / (squares + PENALTIES[:, None])
    kept = squares * shrunk
    residual = centred[-1, -1] - 2 * (along**2 * shrunk).sum(axis=1) + (along**2 * shrunk * kept).sum(axis=1)
    freedom = count - 1 - kept.sum(axis=1)
    best = int((residual / freedom**2).argmin())
    slopes = axes @ (along * shrunk[best]) / scale
    return float(mean[-1] - slopes @ mean[:-1]), slopes


def _blocks(glasses: list[Glass]) -> IntArray:
    """Block of each atom over all glasses; copies of one structure share theirs."""
    labels = [(glass.content_hash, int(block)) for glass in glasses for block in spatial_blocks(glass, BLOCK)]
    number = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    return np.array([number[label] for label in labels])


def _resampled_blocks(n_blocks: int, draws: int, random: np.random.Generator) -> IntArray:
    """How often each block is drawn, shape (1 + draws, blocks); once each in the first row."""
    drawn = random.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=draws)
    return np.concatenate([np.ones((1, n_blocks), dtype=np.int64), drawn])


def _correlations(
    predictions: FloatArray, target: FloatArray, glass_of: IntArray, blocks: IntArray, times: IntArray
) -> FloatArray:
    """Pearson r within glasses of each row of predictions, shape (1 + draws, rows)."""
    columns = []
    for prediction in predictions:
        mean = np.bincount(glass_of, weights=prediction) / np.bincount(glass_of)
        centred = prediction - mean[glass_of]
        moments = (np.ones_like(target), centred, target, centred**2, target**2, centred * target)
        by_block = np.stack([np.bincount(blocks, weights=each) for each in moments], axis=1)
        count, x, y, xx, yy, xy = (times @ by_block).T
        spread_x, spread_y = xx / count - (x / count) ** 2, yy / count - (y / count) ** 2
        constant = spread_x <= 1e-12 * spread_y
        covariance = xy / count - x * y / count**2
        columns.append(np.where(constant, 0.0, covariance / np.sqrt(np.where(constant, 1.0, spread_x) * spread_y)))
    return np.stack(columns, axis=1)


def _curve(lengths: FloatArray, correlations: FloatArray) -> LengthCurve:
    low, high = np.quantile(correlations[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    best = np.array([_vertex(lengths, curve) for curve in correlations])
    return LengthCurve(correlations[0], low, high, float(best[0]), *interval(best[1:]))


def _vertex(lengths: FloatArray, curve: FloatArray) -> float:
    """Maximum of the parabola through the highest point and its neighbours; the point itself at either end."""
    place = int(curve.argmax())
    if place in (0, len(lengths) - 1):
        return float(lengths[place])
    before, after = (float(lengths[other] - lengths[place]) for other in (place - 1, place + 1))
    fall, rise = ((curve[other] - curve[place]) / step for other, step in ((place - 1, before), (place + 1, after)))
    curvature = (rise - fall) / (after - before)
    slope = rise - curvature * after
    return float(lengths[place] - slope / (2 * curvature)) if curvature < 0 else float(lengths[place])
