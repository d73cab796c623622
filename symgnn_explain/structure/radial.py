"""Radial distribution functions, total and partial, with their maxima and minima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.bins import Bins
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray, atomic_number
from symgnn_explain.structure.pairs import pairs_within

SMOOTHING = 0.1  # standard deviation (Å) of the Gaussian that g(r) is smoothed with before its extrema are sought
SMALLEST_PROMINENCE = 0.03
"""A maximum or minimum of g(r) must stand out by this much, and by four times the counting noise."""

MOST_KINDS_IN_A_CRYSTAL = 16
"""Up to so many kinds of surroundings g(r) is that of a crystal: exact, without counting noise."""

COUNTED_WHOLE = 50_000
"""Atoms of a glass up to which pairs are counted around all of them."""

CENTRES = 20_000
"""Atoms of a larger one that pairs are counted around: g(r) has an error of 1 % in bins of 0.1 Å, less than a line."""

_SAME_SURROUNDINGS = 1e-6
_ON_AN_EDGE = 1e-9  # distances (Å) that only rounding keeps below the edge of a bin belong above it


@dataclass(frozen=True, eq=False, repr=False)
class RadialDistribution(Brief):
    """A radial distribution function.

    Parameters
    ----------
    r, bin_width
        Bin centres, shape (B,), and width, Å.
    g
        Density of neighbours relative to the mean density, shape (B,); 1 in an ideal gas.
    running_coordination
        Mean number of neighbours up to the outer edge of each bin, shape (B,).
    maxima, minima
        Where g(r) has them, Å; a minimum always follows a maximum.
    coordination_number
        Mean number of neighbours inside the first minimum; None where g(r) has no minimum.
    pair
        Central and neighbouring species; None for all atoms.
    centres
        Number of atoms that were drawn at random to count the pairs around; None where all are counted.
    """

    r: FloatArray
    bin_width: float
    g: FloatArray
    running_coordination: FloatArray
    maxima: FloatArray
    minima: FloatArray
    coordination_number: float | None
    pair: tuple[str, str] | None = None
    centres: int | None = None

    @property
    def label(self) -> str:
        """``Cu-Zr``, or ``all atoms``; and how many were counted around, where these are not all."""
        drawn = "" if self.centres is None else f", around {self.centres:,} at random"
        return f"{'all atoms' if self.pair is None else '-'.join(self.pair)}{drawn}"

    def to_frame(self) -> pd.DataFrame:
        """One row a bin: r (Å), g, running coordination."""
        return pd.DataFrame({"r": self.r, "g": self.g, "running_coordination": self.running_coordination})

    def summary(self) -> dict[str, Any]:
        """Extrema (Å) and coordination number, ready for JSON."""
        return {
            "pair": None if self.pair is None else "-".join(self.pair),
            "maxima_angstrom": self.maxima.round(4).tolist(),
            "minima_angstrom": self.minima.round(4).tolist(),
            "coordination_number": self.coordination_number,
            **({} if self.centres is None else {"counted_around_atoms": self.centres}),
        }


def radial_distribution(
    glass: Glass, r_max: float = 10.0, bin_width: float = 0.1, pair: tuple[str, str] | None = None
) -> RadialDistribution:
    """Radial distribution function g(r), total or partial, with its extrema and the first coordination number.

    Every pair is counted at every periodic image, so that cells of any shape and size are right, also those narrower
    than ``r_max``. The mean density is that of the cell: for a cluster in vacuum g(r) is relative to the box.

    g(r), its extrema and the coordination number are the same in every cell that a structure is written in. Copies of
    an atom bring nothing new, so the counting noise is that of the atoms with different surroundings, and a crystal,
    which has few kinds of them, has none. Shells of neighbours are told apart from about 0.3 Å on: the first shell of a
    perfect BCC crystal has 8 atoms, and 14 where thermal motion joins it to the second. An
    extremum before the first that stands out from the noise counts too if it is nearly as large.

    Parameters
    ----------
    r_max, bin_width
        Range and resolution, Å.
    pair
        For example ``("Cu", "Zr")``: the density of Zr around Cu. All atoms where None.

    Raises
    ------
    InputError
        If a length is not positive, or the glass has no atom of a species asked for.

    Examples
    --------
    >>> from ase.build import bulk
    >>> radial_distribution(Glass.from_ase(bulk("Cu", cubic=True))).coordination_number
    12.0
    """
    edges = _bin_edges(r_max, bin_width)
    central, neighbouring = (_of_species(glass, symbol) for symbol in pair or (None, None))
    return _distribution(glass, _counting(glass, edges[-1]), central, neighbouring, edges=edges, pair=pair)


def partial_distributions(
    glass: Glass, r_max: float = 10.0, bin_width: float = 0.1
) -> dict[tuple[str, str], RadialDistribution]:
    """All partial radial distribution functions, by pair of species: ``("Cu", "Cu")``, ``("Cu", "Zr")`` and so on.

    Each pair of species stands once, in order of atomic number: g(r) is the same from either side, and the
    coordination numbers are those of the first species. See :func:`radial_distribution`.

    Raises
    ------
    InputError
        If a length is not positive.
    """
    edges = _bin_edges(r_max, bin_width)
    counting = _counting(glass, edges[-1])
    members = {symbol: _of_species(glass, symbol) for symbol in glass.species}
    return {
        pair: _distribution(glass, counting, members[pair[0]], members[pair[1]], edges=edges, pair=pair)
        for pair in combinations_with_replacement(glass.species, 2)
    }


def find_extrema(
    r: FloatArray, curve: FloatArray, variance: FloatArray, *, smoothing: float, prominence: float
) -> tuple[FloatArray, FloatArray]:
    """Find the maxima of a noisy curve, and the minima beyond the first of them.

    The curve is smoothed by a Gaussian first. An extremum counts if it stands out by ``prominence`` and by four
    standard errors of the smoothed curve; it is then placed at the extremum of the raw curve close by. One before
    the first that does counts too if it is as large, or stands out by a third as much: noise must not hide the first.

    Parameters
    ----------
    r, curve, variance
        Evenly spaced abscissa, ordinate, and the ordinate's variance, shape (B,).
    smoothing
        Standard deviation of the Gaussian, in the unit of ``r``.
    """
    from scipy.ndimage import gaussian_filter1d

    step = float(r[1] - r[0]) if len(r) > 1 else 1.0
    width = smoothing / step
    smooth = gaussian_filter1d(curve, width, mode="nearest")
    # Variances are smoothed by the square of the kernel, which is a narrower Gaussian that does not sum to one.
    averaged = max(1.0, 2 * np.sqrt(np.pi) * width)
    noise = 4 * np.sqrt(gaussian_filter1d(variance, width / np.sqrt(2), mode="nearest") / averaged)
    maxima = _clear_peaks(smooth, noise, prominence, 0)
    minima = _clear_peaks(-smooth, noise, prominence, maxima[0]) if maxima.size else maxima
    # Smoothing drags the extrema of a steep flank along: each is looked up again in the raw curve close by.
    window = max(1, round(1.5 * width))
    return r[_refine(maxima, curve, window)], r[_refine(minima, -curve, window)]


def _clear_peaks(curve: FloatArray, noise: FloatArray, prominence: float, begin: int) -> IntArray:
    """Peaks after ``begin`` that stand out from the noise, and those before the first of them that are as large."""
    from scipy.signal import find_peaks

    peaks, found = find_peaks(curve, prominence=prominence)
    standing_out = found["prominences"] >= noise[peaks]
    clear = np.flatnonzero(standing_out & (peaks > begin))
    if clear.size:
        earlier = (peaks > begin) & (peaks < peaks[clear[0]])
        as_high = curve[peaks] >= curve[peaks[clear[0]]]
        as_prominent = found["prominences"] >= found["prominences"][clear[0]] / 3
        clear = np.union1d(clear, np.flatnonzero(earlier & (as_high | as_prominent)))
    return peaks[clear]


class _Around(NamedTuple):
    """The centre and length (Å) of each pair, shape (P,), and around how many atoms they were counted."""

    centre: IntArray
    distance: FloatArray
    centres: int


_Chosen = NDArray[np.bool_]
_Counting = Callable[[_Chosen, _Chosen], _Around]
"""Lists the pairs around some atoms that others are part of."""


def _counting(glass: Glass, r_max: float) -> _Counting:
    if len(glass) > COUNTED_WHOLE:
        bins = Bins.of(glass, r_max)

        def around_some(central: _Chosen, neighbouring: _Chosen) -> _Around:
            centres = np.flatnonzero(central)
            if len(centres) > CENTRES:
                centres = np.sort(np.random.default_rng(0).choice(centres, CENTRES, replace=False))
            first, other, distance = bins.pairs(centres)
            there = neighbouring[other]
            return _Around(np.repeat(centres, np.diff(first))[there], distance[there], len(centres))

        return around_some
    pairs = pairs_within(glass, r_max)

    def around_all(central: _Chosen, neighbouring: _Chosen) -> _Around:
        there = central[pairs.first] & neighbouring[pairs.second]
        back = central[pairs.second] & neighbouring[pairs.first]
        distance = np.concatenate([pairs.distance[there], pairs.distance[back]])
        return _Around(np.concatenate([pairs.first[there], pairs.second[back]]), distance, int(central.sum()))

    return around_all


def _distribution(
    glass: Glass,
    counting: _Counting,
    central: _Chosen,
    neighbouring: _Chosen,
    *,
    edges: FloatArray,
    pair: tuple[str, str] | None,
) -> RadialDistribution:
    centre, distance, n_centres = counting(central, neighbouring)
    counts, _ = np.histogram(distance + _ON_AN_EDGE, edges)
    expected = 4 / 3 * np.pi * np.diff(edges**3) * n_centres * neighbouring.sum() / glass.volume
    r, g = (edges[1:] + edges[:-1]) / 2, counts / expected
    some = n_centres < central.sum()
    seen_from_both_ends = 2 if (central == neighbouring).all() and not some else 1
    kinds = _kinds_of_surroundings(centre, distance, edges[-1])
    independent = np.inf if kinds <= MOST_KINDS_IN_A_CRYSTAL else kinds / n_centres
    variance = seen_from_both_ends * g / (expected * independent)
    maxima, minima = find_extrema(r, g, variance, smoothing=SMOOTHING, prominence=SMALLEST_PROMINENCE)
    return RadialDistribution(
        r=r,
        bin_width=float(edges[1]),
        g=g,
        running_coordination=counts.cumsum() / n_centres,
        maxima=maxima,
        minima=minima,
        coordination_number=float(np.count_nonzero(distance < minima[0]) / n_centres) if minima.size else None,
        pair=pair,
        centres=n_centres if some else None,
    )


def _kinds_of_surroundings(centre: IntArray, distance: FloatArray, r_max: float) -> int:
    """How many of the central atoms see different distances, whatever their number in the cell."""
    # A sum over the neighbours that fades out towards r_max, so that rounding does not decide who counts.
    seen = np.bincount(centre, (1 - (distance / r_max) ** 2) ** 2 / distance)[np.unique(centre)]
    return int((np.diff(np.sort(seen)) > _SAME_SURROUNDINGS).sum()) + 1


def _bin_edges(r_max: float, bin_width: float) -> FloatArray:
    if not (np.isfinite(r_max) and np.isfinite(bin_width) and 0 < bin_width < r_max):
        raise InputError(f"{bin_width=} and {r_max=} do not fit: expected lengths in Å with 0 < bin_width < r_max.")
    return bin_width * np.arange(int(np.ceil(r_max / bin_width - 1e-9)) + 1, dtype=np.float64)


def _of_species(glass: Glass, symbol: str | None) -> NDArray[np.bool_]:
    if symbol is None:
        return np.ones(len(glass), dtype=bool)
    chosen = glass.numbers == atomic_number(symbol)
    if not chosen.any():
        raise InputError(f"{glass.name!r} has no {symbol}: it holds {', '.join(glass.species)}.")
    return np.asarray(chosen)


def _refine(places: IntArray, curve: FloatArray, window: int) -> IntArray:
    """Nearest to each place, the bin within ``window`` where the curve is highest."""
    refined = []
    for place in places:
        near = np.arange(max(0, place - window), min(len(curve), place + window + 1))
        highest = near[curve[near] == curve[near].max()]
        refined.append(highest[np.abs(highest - place).argmin()])
    return np.array(refined, dtype=np.int64)


def first_shell_cutoff(glass: Glass) -> float:
    """Where the first shell of neighbours ends: the first minimum of g(r), Å; see :func:`radial_distribution`.

    Raises
    ------
    InputError
        If g(r) has no minimum, or too few atoms to tell.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> round(first_shell_cutoff(datasets.sample("cu50zr50")), 2)
    3.85
    """
    minima = radial_distribution(glass).minima
    if not minima.size:
        raise InputError(
            f"g(r) of {glass.name!r} ({len(glass)} atoms) has no minimum that clearly ends the first shell: "
            "give a cut-off in Å, or more atoms."
        )
    return float(minima[0])
