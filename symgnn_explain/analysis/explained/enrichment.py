"""Enrichment as a curve: at which distances important atoms are more frequent than all atoms, g_important(r) / g(r)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from symgnn_explain.analysis.explained.mro import ShellAnalysis
from symgnn_explain.analysis.nulls.null_models import ATOM_NULLS, ROUNDING, NullModel
from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import quantiles, resampled_quantiles
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray

KERNEL_WIDTH = 0.25
"""Standard deviation (Å) of the Gaussian by which distances are smoothed."""

STEP = 0.1
"""Spacing (Å) of the distances at which the curve is given."""

FEWEST_ATOMS = 2.0
"""Where the kernel holds fewer atoms of the receptive fields than this, there is no ratio to state."""

CURVE_DRAWS = 500

CURVE_NULLS = ("random", "hop_matched", "coordination_matched", "edges_of_hops", "distance_ordered")
"""Null models of the curve."""


@dataclass(frozen=True, eq=False, repr=False)
class NullBand(Brief):
    """What one null model expects of an enrichment curve.

    Parameters
    ----------
    expected, low, high
        Mean of the draws, and where 95 % of them fall at each distance, shape (B,).
    p_value
        Share of draws whose largest deviation from the mean, in standard deviations and over all distances, is at
        least that of the important atoms: one test of the whole curve. None for a null that always draws the same.
    """

    expected: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: float | None


@dataclass(frozen=True, eq=False, repr=False)
class EnrichmentCurve(Brief):
    """How much more frequent important atoms are than all atoms of the receptive field, by distance.

    Parameters
    ----------
    r
        Distances from the explained atom, shape (B,), Å.
    density
        Density of the distances of all atoms of the receptive fields, smoothed by the kernel, shape (B,), 1/Å.
    value, low, high
        Enrichment and its 95 % bootstrap interval at each distance, shape (B,); nan where there are no atoms.
        Bounds are nan where a single atom of a single explanation is important.
    nulls
        What each null model expects, by name.
    distance_peaks
        Where the density of the important atoms' distances (what Li et al. show) has maxima that stand out by half the
        width of their 95 % interval, Å.
    n_targets, n_important
        Explained atoms, and important atoms over all of them.
    """

    r: FloatArray
    density: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    nulls: Mapping[str, NullBand]
    distance_peaks: FloatArray
    n_targets: int
    n_important: int

    @property
    def density_important(self) -> FloatArray:
        """Density of the important atoms' distances, shape (B,), 1/Å."""
        return self.density * self.value

    def to_frame(self) -> pd.DataFrame:
        """One row a distance: r (Å), densities (1/Å), enrichment with its interval, and each null band."""
        table = {"r": self.r, "density": self.density, "density_important": self.density_important}
        table |= {"enrichment": self.value, "enrichment_low": self.low, "enrichment_high": self.high}
        for name, null in self.nulls.items():
            table |= {f"{name}_expected": null.expected, f"{name}_low": null.low, f"{name}_high": null.high}
        return pd.DataFrame(table)


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
    models = [ATOM_NULLS[name] for name in CURVE_NULLS]
    models = [model for model in models if all(model.fits(target.candidates) for target in targets)]
    everything, important = np.zeros((2, len(targets), len(r)))
    drawn = {model: np.zeros((draws, len(r))) for model in models}
    atoms_in_kernel = np.zeros(len(r))
    for row, target in enumerate(targets):
        pool = target.candidates
        kernel = _kernel(pool.attributes["distance"], r, kernel_width)
        everything[row], important[row] = kernel.mean(axis=0), kernel[pool.chosen].mean(axis=0)
        atoms_in_kernel += kernel.sum(axis=0) * 2 * np.sqrt(np.pi) * kernel_width
        for model in models:
            taken = model.draw(pool, draws, random).taken()
            drawn[model] += taken @ kernel / taken.sum(axis=1, keepdims=True) / len(targets)
    everything[:, atoms_in_kernel < FEWEST_ATOMS] = np.nan
    sample = len(targets)
    if sample > 1:
        chosen = random.integers(len(targets), size=(draws, len(targets)))
        resampled = important[chosen].sum(axis=1) / everything[chosen].sum(axis=1)
    else:
        pool = targets[0].candidates
        kernel = _kernel(pool.attributes["distance"][pool.chosen], r, kernel_width)
        resampled = random.multinomial(len(kernel), np.full(len(kernel), 1 / len(kernel)), size=draws) @ kernel
        resampled = resampled / len(kernel) / everything
        sample = len(kernel)
    density = everything.mean(axis=0)
    value, (low, high) = important.mean(axis=0) / density, resampled_quantiles(resampled, sample)
    nulls = {model.name: _null_band(model, drawn[model] / density, value) for model in models}
    return EnrichmentCurve(
        r=r,
        density=density,
        value=value,
        low=low,
        high=high,
        nulls=MappingProxyType(nulls),
        distance_peaks=_peaks(r, density * value, density * (high - low) / 2),
        n_targets=len(targets),
        n_important=sum(target.candidates.n_chosen for target in targets),
    )


def _kernel(distance: FloatArray, r: FloatArray, width: float) -> FloatArray:
    """Gaussian of each distance around each ``r``, shape (M, B), 1/Å."""
    return np.exp(-(((distance[:, None] - r) / width) ** 2) / 2) / (np.sqrt(2 * np.pi) * width)


def _null_band(model: NullModel, drawn: FloatArray, observed: FloatArray) -> NullBand:
    expected, spread = drawn.mean(axis=0), drawn.std(axis=0)
    p_value = None
    if model.exchangeable:
        compared = spread > ROUNDING * np.abs(expected)
        largest = np.abs((drawn - expected) / np.where(compared, spread, 1))[:, compared].max(axis=1, initial=0)
        seen = np.abs((observed - expected) / np.where(compared, spread, 1))[compared].max(initial=0)
        p_value = float((1 + (largest >= seen - 1e-12).sum()) / (1 + len(largest)))
    return NullBand(expected, *quantiles(drawn), p_value)


def _peaks(r: FloatArray, curve: FloatArray, error: FloatArray) -> FloatArray:
    """Maxima of the curve that stand out by more than the error; it is 0 where it is not defined."""
    from scipy.signal import find_peaks

    places, found = find_peaks(np.nan_to_num(curve), prominence=0)
    return r[places[found["prominences"] > np.nan_to_num(error)[places]]]
