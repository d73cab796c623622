"""Short- and medium-range order: radial distribution functions, and where important atoms sit in their shells."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.analysis.placement import place_atoms
from symgnn_explain.errors import InputError
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.glass import FloatArray, Glass, IntArray, atomic_number

SMOOTHING = 0.1
"""Standard deviation (Å) of the Gaussian that g(r) is smoothed with before its extrema are sought."""

SMALLEST_PROMINENCE = 0.03
"""A maximum or minimum of g(r) must stand out by this much, and by four times the counting noise."""

CONFIDENCE = 0.95
NULL_DRAWS = 4000


@dataclass(frozen=True, eq=False)
class RadialDistribution:
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
    """

    r: FloatArray
    bin_width: float
    g: FloatArray
    running_coordination: FloatArray
    maxima: FloatArray
    minima: FloatArray
    coordination_number: float | None
    pair: tuple[str, str] | None = None

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
        }


def radial_distribution(
    glass: Glass, r_max: float = 10.0, bin_width: float = 0.1, pair: tuple[str, str] | None = None
) -> RadialDistribution:
    """Radial distribution function g(r), total or partial, with its extrema and the first coordination number.

    Every pair is counted at every periodic image, so that cells of any shape and size are right, also those narrower
    than ``r_max``. The mean density is that of the cell: for a cluster in vacuum g(r) is relative to the box.

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
    """
    if not (np.isfinite(r_max) and np.isfinite(bin_width) and 0 < bin_width < r_max):
        raise InputError(f"{bin_width=} and {r_max=} do not fit: expected lengths in Å with 0 < bin_width < r_max.")
    central, neighbouring = (_of_species(glass, symbol) for symbol in pair or (None, None))
    distance = _pair_distances(glass, r_max, central, neighbouring)
    edges = bin_width * np.arange(int(np.ceil(r_max / bin_width - 1e-9)) + 1)
    counts, _ = np.histogram(distance, edges)
    expected = 4 / 3 * np.pi * np.diff(edges**3) * central.sum() * neighbouring.sum() / glass.volume
    r, g = (edges[1:] + edges[:-1]) / 2, counts / expected
    maxima, minima = _extrema(r, g, 2 * g / expected, bin_width)
    return RadialDistribution(
        r=r,
        bin_width=bin_width,
        g=g,
        running_coordination=counts.cumsum() / central.sum(),
        maxima=maxima,
        minima=minima,
        coordination_number=float(np.count_nonzero(distance < minima[0]) / central.sum()) if minima.size else None,
        pair=pair,
    )


@dataclass(frozen=True)
class Shell:
    """How many atoms of one shell are important, against two nulls; enrichment 1 means no more than expected.

    Parameters
    ----------
    name, inner, outer
        The shell and its bounds, Å.
    n_important, n_all
        Important atoms, and atoms of the receptive field, in the shell.
    enrichment, enrichment_low, enrichment_high
        Share of the important atoms over share of all atoms, with a Clopper-Pearson 95 % interval.
    weighted_enrichment, weighted_low, weighted_high
        The same with each important atom weighted by its importance, with a bootstrap 95 % interval.
    null_low, null_high
        95 % of equally many atoms drawn at random from the receptive field fall here.
    hop_expected
        Enrichment that is expected of atoms drawn at random with the hops of the important ones.
    hop_null_low, hop_null_high
        95 % of such draws fall here.
    """

    name: str
    inner: float
    outer: float
    n_important: int
    n_all: int
    enrichment: float
    enrichment_low: float
    enrichment_high: float
    weighted_enrichment: float
    weighted_low: float
    weighted_high: float
    null_low: float
    null_high: float
    hop_expected: float
    hop_null_low: float
    hop_null_high: float


@dataclass(frozen=True, eq=False)
class ShellAnalysis:
    """Where the important atoms of one explanation sit, shell by shell.

    Parameters
    ----------
    atom, method, k, glass_name
        What was analysed.
    important, importance, distance, hop
        The important atoms, shape (K,), their scores, distance from the explained atom (Å) and hop.
    all_distance, all_hop
        The same of every atom of the receptive field but the explained one, shape (M,).
    shells
        One entry a shell, inside out.
    radial_distribution
        The g(r) whose minima bound the shells.
    n_ambiguous
        Atoms that are as directly connected through another periodic image; 0 in a cell wider than the receptive field.
    seed
        Of the bootstrap and of the null draws.
    """

    atom: int
    method: str
    k: int
    glass_name: str
    important: IntArray
    importance: FloatArray
    distance: FloatArray
    hop: IntArray
    all_distance: FloatArray
    all_hop: IntArray
    shells: tuple[Shell, ...]
    radial_distribution: RadialDistribution
    n_ambiguous: int
    seed: int

    null_model = (
        "As many atoms as are important, drawn at random without replacement from the receptive field: from all its "
        "atoms (null), or with the same number at each hop as the important ones (hop-matched null)."
    )

    def to_frame(self) -> pd.DataFrame:
        """One row a shell, with the columns of :class:`Shell`."""
        return pd.DataFrame([asdict(shell) for shell in self.shells])

    def atoms_frame(self) -> pd.DataFrame:
        """One row an important atom: atom, distance (Å), hop, score, shell."""
        bounds = [shell.outer for shell in self.shells]
        names = np.array([shell.name for shell in self.shells])
        return pd.DataFrame(
            {
                "atom": self.important,
                "distance": self.distance,
                "hop": self.hop,
                "score": self.importance,
                "shell": names[np.searchsorted(bounds, self.distance, side="right")],
            }
        )

    def summary(self) -> dict[str, Any]:
        """Numbers of every shell, ready for JSON (an unbounded shell ends at null)."""
        shells = [asdict(shell) for shell in self.shells]
        return {
            "k": self.k,
            "n_important_atoms": len(self.important),
            "n_receptive_field_atoms": len(self.all_distance),
            "n_ambiguous_images": self.n_ambiguous,
            "median_distance_important_angstrom": float(np.median(self.distance)),
            "median_distance_all_angstrom": float(np.median(self.all_distance)),
            "shells": [shell | {"outer": shell["outer"] if np.isfinite(shell["outer"]) else None} for shell in shells],
            "null_model": self.null_model,
            "seed": self.seed,
        }


def shell_analysis(
    explanation: AtomExplanation, glass: Glass, k: int = 50, *, rdf: RadialDistribution | None = None, seed: int = 0
) -> ShellAnalysis:
    """Compare the distances of important atoms with those of all atoms of the receptive field, shell by shell.

    Important atoms are those at either end of the ``k`` most important edges, without the explained one. Distances
    are taken along the fewest edges that join an atom to the explained one (:func:`~.placement.place_atoms`): the
    minimum-image distance, unless the receptive field wraps around the cell. Shells lie between the minima of the total
    g(r): inside the first is short-range order, beyond it medium-range order (Li et al., ICML 2024, look for peaks of
    the distance near 2.6, 5.2 and 7.0 Å). More atoms sit farther away and g(r) has peaks of its own, so counts alone
    say little; enrichment compares with the atoms that could have been chosen.

    Null models: important atoms drawn at random from the receptive field, and drawn with the same number at each hop,
    since edges near the explained atom matter more to any network whatever the distance. The Clopper-Pearson interval
    treats important atoms as independent draws; they come in pairs that share an edge, so it is somewhat too narrow.

    Parameters
    ----------
    rdf
        The total g(r) of the glass where it is at hand; computed where None.
    seed
        Of the bootstrap and of the null draws.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or its ``k`` edges touch no atom but the explained one.
    """
    explanation.require_glass(glass)
    rdf = radial_distribution(glass) if rdf is None else rdf
    table = explanation.important_atoms(k)
    if table.empty:
        raise InputError(f"the {k} most important edges touch no atom but the explained one: choose a larger k.")
    placement = place_atoms(explanation)
    others = placement.atoms != explanation.atom
    rows = placement.rows_of(table["atom"].to_numpy())
    chosen = np.isin(placement.atoms, table["atom"])[others]
    importance = np.zeros(len(placement.atoms))
    importance[rows] = table["score"]
    distance, hop = placement.distance[others], placement.hop[others]
    bounds = np.concatenate([[0.0], rdf.minima, [np.inf]])
    return ShellAnalysis(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass.name,
        important=placement.atoms[rows],
        importance=importance[rows],
        distance=placement.distance[rows],
        hop=placement.hop[rows],
        all_distance=distance,
        all_hop=hop,
        shells=_compare_shells(bounds, distance, hop, chosen, importance[others], random=np.random.default_rng(seed)),
        radial_distribution=rdf,
        n_ambiguous=int(placement.ambiguous.sum()),
        seed=seed,
    )


def _compare_shells(
    bounds: FloatArray,
    distance: FloatArray,
    hop: IntArray,
    chosen: NDArray[np.bool_],
    importance: FloatArray,
    *,
    random: np.random.Generator,
) -> tuple[Shell, ...]:
    from scipy.stats import binomtest

    shell = np.searchsorted(bounds, distance, side="right") - 1
    n_shells, n_chosen = len(bounds) - 1, int(chosen.sum())
    n_all = np.bincount(shell, minlength=n_shells)
    n_important = np.bincount(shell[chosen], minlength=n_shells)
    plain_null = _null_counts(np.zeros_like(hop), shell, chosen, n_shells, random)
    hop_null = _null_counts(hop, shell, chosen, n_shells, random)
    weights = importance[chosen] if importance[chosen].sum() > 0 else np.ones(n_chosen)
    resampled = random.integers(n_chosen, size=(NULL_DRAWS, n_chosen))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    shells = []
    for index, name in enumerate(_shell_names(bounds)):
        if n_all[index] == 0:
            continue
        share = n_all[index] / len(distance)
        inside = shell[chosen] == index
        interval = binomtest(int(n_important[index]), n_chosen).proportion_ci(CONFIDENCE)
        weighted = (weights * inside)[resampled].sum(axis=1) / weights[resampled].sum(axis=1)
        shells.append(
            Shell(
                name=name,
                inner=float(bounds[index]),
                outer=float(bounds[index + 1]),
                n_important=int(n_important[index]),
                n_all=int(n_all[index]),
                enrichment=float(n_important[index] / n_chosen / share),
                enrichment_low=float(interval.low / share),
                enrichment_high=float(interval.high / share),
                weighted_enrichment=float(weights[inside].sum() / weights.sum() / share),
                **_named(("weighted_low", "weighted_high"), np.quantile(weighted, tails) / share),
                **_named(("null_low", "null_high"), np.quantile(plain_null[:, index], tails) / n_chosen / share),
                hop_expected=float(hop_null[:, index].mean() / n_chosen / share),
                **_named(("hop_null_low", "hop_null_high"), np.quantile(hop_null[:, index], tails) / n_chosen / share),
            )
        )
    return tuple(shells)


def _null_counts(
    group: IntArray, shell: IntArray, chosen: NDArray[np.bool_], n_shells: int, random: np.random.Generator
) -> IntArray:
    """Draw each group's important atoms from the group at random; their number in each shell, shape (draws, shells)."""
    counts = np.zeros((NULL_DRAWS, n_shells), dtype=np.int64)
    for label in np.unique(group):
        members = group == label
        available = np.bincount(shell[members], minlength=n_shells)
        counts += random.multivariate_hypergeometric(available, int(chosen[members].sum()), size=NULL_DRAWS)
    return counts


def _shell_names(bounds: FloatArray) -> list[str]:
    if len(bounds) == 2:
        return ["all distances"]
    between = [
        f"medium range, shell {number} ({inner:.2f}–{outer:.2f} Å)"
        for number, (inner, outer) in enumerate(pairwise(bounds[1:-1]), start=2)
    ]
    return [f"short range (< {bounds[1]:.2f} Å)", *between, f"beyond {bounds[-2]:.2f} Å"]


def _named(names: tuple[str, str], values: FloatArray) -> dict[str, Any]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _of_species(glass: Glass, symbol: str | None) -> NDArray[np.bool_]:
    if symbol is None:
        return np.ones(len(glass), dtype=bool)
    chosen = glass.numbers == atomic_number(symbol)
    if not chosen.any():
        raise InputError(f"{glass.name!r} has no {symbol}: it holds {', '.join(glass.species)}.")
    return np.asarray(chosen)


def _pair_distances(
    glass: Glass, r_max: float, central: NDArray[np.bool_], neighbouring: NDArray[np.bool_]
) -> FloatArray:
    from vesin import NeighborList

    first, second, distance = NeighborList(cutoff=r_max, full_list=True).compute(
        points=np.ascontiguousarray(glass.positions),
        box=np.ascontiguousarray(glass.cell),
        periodic=glass.pbc,
        quantities="ijd",
    )
    return np.asarray(distance[central[first] & neighbouring[second]])


def _extrema(r: FloatArray, g: FloatArray, variance: FloatArray, bin_width: float) -> tuple[FloatArray, FloatArray]:
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    width = SMOOTHING / bin_width
    smooth = gaussian_filter1d(g, width, mode="nearest")
    # Variances are smoothed by the square of the kernel, which is a narrower Gaussian that does not sum to one.
    averaged = max(1.0, 2 * np.sqrt(np.pi) * width)
    noise = np.sqrt(gaussian_filter1d(variance, width / np.sqrt(2), mode="nearest") / averaged)
    prominence = np.maximum(SMALLEST_PROMINENCE, 4 * noise)
    maxima, _ = find_peaks(smooth, prominence=prominence)
    minima, _ = find_peaks(-smooth, prominence=prominence)
    minima = minima[minima > maxima[0]] if maxima.size else minima[:0]
    # Smoothing drags the extrema of a steep flank along: each is looked up again in the raw curve close by.
    window = max(1, round(1.5 * SMOOTHING / bin_width))
    return r[_refine(maxima, g, window)], r[_refine(minima, -g, window)]


def _refine(places: IntArray, curve: FloatArray, window: int) -> IntArray:
    """Nearest to each place, the bin within ``window`` where the curve is highest."""
    refined = []
    for place in places:
        near = np.arange(max(0, place - window), min(len(curve), place + window + 1))
        highest = near[curve[near] == curve[near].max()]
        refined.append(highest[np.abs(highest - place).argmin()])
    return np.array(refined, dtype=np.int64)
