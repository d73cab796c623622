"""Enrichment as a curve: at which distances important atoms are more frequent than all atoms, g_important(r) / g(r)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.explained.mro import SHELL_NULLS, ShellAnalysis
from symgnn_explain.analysis.nulls.candidates import Candidates
from symgnn_explain.analysis.nulls.null_models import ATOM_NULLS, CONFIDENCE
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, IntArray

KERNEL_WIDTH = 0.25
"""Standard deviation (Å) of the Gaussian by which distances are smoothed."""

STEP = 0.1
"""Spacing (Å) of the distances at which the curve is given."""

FEWEST_ATOMS = 2.0
"""Where the kernel holds fewer atoms of the receptive fields than this, there is no ratio to state."""

CURVE_DRAWS = 500

ROUNDING = 1e-9
"""Relative spread of a null below which it always draws the same."""

_WEIGHTED = (False, True)


@dataclass(frozen=True, eq=False)
class NullBand:
    """What one null model expects of an enrichment curve.

    Parameters
    ----------
    name, description
        The null model.
    expected, low, high
        Mean of the draws, and where 95 % of them fall at each distance, shape (B,).
    p_value
        Share of draws whose largest deviation from the mean, in standard deviations and over all distances, is at
        least that of the important atoms: one test of the whole curve. None for a null that always draws the same.
    """

    name: str
    description: str
    expected: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: float | None


@dataclass(frozen=True, eq=False)
class Enrichment:
    """One curve with its bootstrap band, and the null models that it is compared with.

    Parameters
    ----------
    value, low, high
        Enrichment and its 95 % interval at each distance, shape (B,); nan where there are no atoms.
    nulls
        What each null model expects, by name.
    distance_peaks, g_important_peaks
        Where the density of the important atoms' distances (what Li et al. show) and g_important(r) have maxima that
        stand out by half the width of their 95 % interval, Å.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    nulls: Mapping[str, NullBand]
    distance_peaks: FloatArray
    g_important_peaks: FloatArray


@dataclass(frozen=True, eq=False)
class EnrichmentCurve:
    """How much more frequent important atoms are than all atoms of the receptive field, by distance.

    Parameters
    ----------
    r
        Distances from the explained atom, shape (B,), Å.
    density
        Density of the distances of all atoms of the receptive fields, smoothed by the kernel, shape (B,), 1/Å.
    g
        The same as a radial distribution around the explained atoms, shape (B,).
    unweighted, weighted
        The enrichment by number, and with each important atom weighted by its importance.
    kernel_width
        Standard deviation of the smoothing, Å.
    n_targets, n_important
        Explained atoms, and important atoms over all of them.
    resampled
        What the bootstrap resampled: ``explained atoms``, or ``important atoms`` where there is one explained atom.
    draws, seed
        Of the bootstrap and of each null model.
    """

    r: FloatArray
    density: FloatArray
    g: FloatArray
    unweighted: Enrichment
    weighted: Enrichment
    kernel_width: float
    n_targets: int
    n_important: int
    resampled: str
    draws: int
    seed: int

    @property
    def density_important(self) -> FloatArray:
        """Density of the important atoms' distances, shape (B,), 1/Å."""
        return self.density * self.unweighted.value

    @property
    def g_important(self) -> FloatArray:
        """Radial distribution as it were if all atoms lay as the important ones do, shape (B,)."""
        return self.g * self.unweighted.value

    def to_frame(self) -> pd.DataFrame:
        """One row a distance: r (Å), densities (1/Å), g, g_important, and each curve, interval and null band."""
        table = {
            "r": self.r,
            "density": self.density,
            "density_important": self.density_important,
            "g": self.g,
            "g_important": self.g_important,
        }
        for prefix, curve in (("enrichment", self.unweighted), ("weighted", self.weighted)):
            table |= {prefix: curve.value, f"{prefix}_low": curve.low, f"{prefix}_high": curve.high}
            for name, null in curve.nulls.items():
                table |= {f"{prefix}_{name}_{part}": getattr(null, part) for part in ("expected", "low", "high")}
        return pd.DataFrame(table)

    def summary(self) -> dict[str, Any]:
        """Peaks (Å) and p-values, ready for JSON."""
        return {
            "important_distance_peaks_angstrom": self.unweighted.distance_peaks.round(3).tolist(),
            "g_important_peaks_angstrom": self.unweighted.g_important_peaks.round(3).tolist(),
            "p_values": {name: null.p_value for name, null in self.unweighted.nulls.items()},
            "weighted_p_values": {name: null.p_value for name, null in self.weighted.nulls.items()},
            "null_models": {name: null.description for name, null in self.unweighted.nulls.items()},
            "kernel_width_angstrom": self.kernel_width,
            "n_explained_atoms": self.n_targets,
            "n_important_atoms": self.n_important,
            "resampled": self.resampled,
            "draws": self.draws,
            "seed": self.seed,
        }


def enrichment_curve(
    analyses: ShellAnalysis | Sequence[ShellAnalysis],
    *,
    r_max: float = 12.0,
    kernel_width: float = KERNEL_WIDTH,
    draws: int = CURVE_DRAWS,
    seed: int = 0,
) -> EnrichmentCurve:
    """Enrichment g_important(r) / g(r) of one explained atom, or of several together.

    Numerator and denominator are densities of distances, smoothed by a Gaussian: of the important atoms, and of all
    atoms of the receptive field that could have been important. Each integrates to one, so the curve is 1 where
    importance has nothing to do with distance, and the peaks of g(r) cancel. Over several explained atoms the densities
    are averaged first. The band is a bootstrap over the explained atoms, or over the important atoms of a single one.

    Parameters
    ----------
    r_max
        Largest distance, Å.
    kernel_width
        Standard deviation of the Gaussian, Å.
    draws, seed
        Of the bootstrap and of each null model.

    Raises
    ------
    InputError
        If no analysis is given, or a length is not positive.
    """
    targets = [analyses] if isinstance(analyses, ShellAnalysis) else list(analyses)
    if not targets:
        raise InputError("no shell analysis was given: give at least one, from shell_analysis().")
    if not (np.isfinite(r_max) and np.isfinite(kernel_width) and 0 < kernel_width < r_max):
        raise InputError(f"{kernel_width=} and {r_max=} do not fit: expected lengths in Å, 0 < kernel_width < r_max.")
    random = np.random.default_rng(seed)
    r = STEP * np.arange(1, round(r_max / STEP) + 1, dtype=np.float64)
    null_names = [
        name
        for name in SHELL_NULLS
        if name != "coordination_matched" or all("coordination" in target.candidates.attributes for target in targets)
    ]
    everything = np.zeros((len(targets), len(r)))
    g = np.zeros(len(r))
    important = np.zeros((len(_WEIGHTED), len(targets), len(r)))
    drawn = {name: np.zeros((len(_WEIGHTED), draws, len(r))) for name in null_names}
    atoms_in_kernel = np.zeros(len(r))
    for row, target in enumerate(targets):
        pool = target.candidates
        kernel = _kernel(pool.attribute("distance"), r, kernel_width)
        everything[row] = kernel.mean(axis=0)
        g += kernel.sum(axis=0) / (4 * np.pi * r**2 * target.number_density * len(targets))
        atoms_in_kernel += kernel.sum(axis=0) * 2 * np.sqrt(np.pi) * kernel_width
        chosen = np.flatnonzero(pool.chosen)[None]
        for variant, weighted in enumerate(_WEIGHTED):
            important[variant, row] = _densities(pool, kernel, chosen, weighted)[0]
        for name in null_names:
            rows = ATOM_NULLS[name].draw(pool, draws, random).rows
            for variant, weighted in enumerate(_WEIGHTED):
                drawn[name][variant] += _densities(pool, kernel, rows, weighted) / len(targets)
    everything[:, atoms_in_kernel < FEWEST_ATOMS] = np.nan
    curves = []
    for variant, weighted in enumerate(_WEIGHTED):
        if len(targets) > 1:
            chosen = random.integers(len(targets), size=(draws, len(targets)))
            resampled = important[variant][chosen].sum(axis=1) / everything[chosen].sum(axis=1)
        else:
            resampled = (
                _resampled_atoms(targets[0].candidates, r, kernel_width, weighted=weighted, draws=draws, random=random)
                / everything
            )
        value = important[variant].mean(axis=0) / everything.mean(axis=0)
        nulls = {name: _null_band(name, drawn[name][variant] / everything.mean(axis=0), value) for name in null_names}
        low, high = _bounds(resampled)
        peaks = (_peaks(r, scale * value, scale * (high - low) / 2) for scale in (everything.mean(axis=0), g))
        curves.append(Enrichment(value, low, high, MappingProxyType(nulls), *peaks))
    return EnrichmentCurve(
        r=r,
        density=everything.mean(axis=0),
        g=g,
        unweighted=curves[0],
        weighted=curves[1],
        kernel_width=kernel_width,
        n_targets=len(targets),
        n_important=sum(target.candidates.n_chosen for target in targets),
        resampled="explained atoms" if len(targets) > 1 else "important atoms",
        draws=draws,
        seed=seed,
    )


def _kernel(distance: FloatArray, r: FloatArray, width: float) -> FloatArray:
    """Gaussian of each distance around each ``r``, shape (M, B), 1/Å."""
    return np.exp(-(((distance[:, None] - r) / width) ** 2) / 2) / (np.sqrt(2 * np.pi) * width)


def _densities(pool: Candidates, kernel: FloatArray, rows: IntArray, weighted: bool) -> FloatArray:
    """Density of distances of each set of candidates, shape (sets, B), 1/Å.

    Column ``c`` of ``rows`` has the weight of the ``c``-th important candidate.
    """
    weight = _weights(pool, weighted)
    n_sets, n_candidates = len(rows), len(pool)
    flat = (np.arange(n_sets)[:, None] * n_candidates + rows).ravel()
    counts = np.bincount(flat, weights=np.tile(weight, n_sets), minlength=n_sets * n_candidates)
    return counts.reshape(n_sets, n_candidates) @ kernel / weight.sum()


def _resampled_atoms(
    pool: Candidates, r: FloatArray, kernel_width: float, *, weighted: bool, draws: int, random: np.random.Generator
) -> FloatArray:
    """Densities of the important atoms drawn with replacement, shape (draws, B)."""
    weight = _weights(pool, weighted)
    counts = random.multinomial(len(weight), np.full(len(weight), 1 / len(weight)), size=draws) * weight
    kernel = _kernel(pool.attribute("distance")[pool.chosen], r, kernel_width)
    return counts @ kernel / counts.sum(axis=1, keepdims=True)


def _weights(pool: Candidates, weighted: bool) -> FloatArray:
    weight = pool.weight[pool.chosen]
    return weight if weighted and weight.sum() > 0 else np.ones(len(weight))


def _null_band(name: str, drawn: FloatArray, observed: FloatArray) -> NullBand:
    model = ATOM_NULLS[name]
    expected, spread = drawn.mean(axis=0), drawn.std(axis=0)
    p_value = None
    if model.exchangeable:
        compared = spread > ROUNDING * np.abs(expected)
        largest = np.abs((drawn - expected) / np.where(compared, spread, 1))[:, compared].max(axis=1, initial=0)
        seen = np.abs((observed - expected) / np.where(compared, spread, 1))[compared].max(initial=0)
        p_value = float((1 + (largest >= seen - 1e-12).sum()) / (1 + len(largest)))
    return NullBand(name, model.description, expected, *_bounds(drawn), p_value)


def _peaks(r: FloatArray, curve: FloatArray, error: FloatArray) -> FloatArray:
    """Maxima of the curve that stand out by more than the error; it is 0 where it is not defined."""
    from scipy.signal import find_peaks

    places, found = find_peaks(np.nan_to_num(curve), prominence=0)
    return r[places[found["prominences"] > np.nan_to_num(error)[places]]]


def _bounds(curves: FloatArray) -> tuple[FloatArray, FloatArray]:
    low, high = np.quantile(curves, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return low, high
