"""Short- and medium-range order: where the important atoms of an explanation sit in the shells of g(r)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from symgnn_explain.analysis.nulls.candidates import Candidates, atom_candidates
from symgnn_explain.analysis.nulls.null_models import ATOM_NULLS, CONFIDENCE, DRAWS, NullDraws, interval, two_sided_p
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.radial import (
    RadialDistribution,
    partial_distributions,
    radial_distribution,
)

__all__ = [
    "RadialDistribution",
    "Shell",
    "ShellAnalysis",
    "ShellNull",
    "partial_distributions",
    "radial_distribution",
    "shell_analysis",
]

SHELL_NULLS = ("random", "hop_matched", "coordination_matched", "distance_ordered")
"""Null models of the shells; atoms matched in distance would fill them by construction."""


@dataclass(frozen=True)
class Shell:
    """How many atoms of one shell are important, against two nulls; enrichment 1 means no more than expected.

    Parameters
    ----------
    name, inner, outer
        The shell and its bounds, Å.
    order
        ``short`` inside the first minimum of g(r), ``medium`` beyond; ``any`` where g(r) has no minimum.
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
    order: Literal["short", "medium", "any"]
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


@dataclass(frozen=True)
class ShellNull:
    """Enrichment of one shell that one null model expects.

    Parameters
    ----------
    shell, null
        Names of the shell and of the null model.
    enrichment
        Of the important atoms, as in :class:`Shell`.
    expected, low, high
        Expected enrichment, and where 95 % of the draws fall.
    p_value
        Share of draws as far from the expectation as the important atoms, on either side; None for a null model that
        always draws the same. One shell of several: correct for that before calling one of them significant.
    """

    shell: str
    null: str
    enrichment: float
    expected: float
    low: float
    high: float
    p_value: float | None


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
    nulls
        One entry a shell and null model.
    candidates
        The atoms that could have been important, as the null models see them.
    number_density
        Of the glass, atoms per Å³.
    radial_distribution
        The g(r) whose minima bound the shells.
    n_ambiguous
        Atoms that are as directly connected through another periodic image; 0 in a cell wider than the receptive field.
    draws, seed
        Of the bootstrap and of the null models.
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
    nulls: tuple[ShellNull, ...]
    candidates: Candidates
    number_density: float
    radial_distribution: RadialDistribution
    n_ambiguous: int
    draws: int
    seed: int

    null_model = (
        "As many atoms as are important, drawn at random without replacement from the receptive field: from all its "
        "atoms (null), or with the same number at each hop as the important ones (hop-matched null)."
    )

    @property
    def short_range(self) -> float | None:
        """Distance (Å) inside which is short range, the first minimum of g(r); None where it has none."""
        minima = self.radial_distribution.minima
        return float(minima[0]) if minima.size else None

    def fraction(self, order: Literal["short", "medium"]) -> tuple[float, float, float] | None:
        """Fraction of the important atoms at short or at medium range, with a Clopper-Pearson 95 % interval.

        None where g(r) has no minimum to tell them apart.
        """
        if self.short_range is None:
            return None
        inside = self.distance < self.short_range
        return _share(int((inside if order == "short" else ~inside).sum()), len(inside))

    def mean_distance(self, *, weighted: bool = False) -> tuple[float, float, float]:
        """Mean distance (Å) of the important atoms, by number or by importance, with a bootstrap 95 % interval."""
        weights = _weights(self.importance) if weighted else np.ones(len(self.distance))
        chosen = np.random.default_rng(self.seed).integers(len(weights), size=(self.draws, len(weights)))
        means = (weights * self.distance)[chosen].sum(axis=1) / weights[chosen].sum(axis=1)
        return float(weights @ self.distance / weights.sum()), *interval(means)

    def to_frame(self) -> pd.DataFrame:
        """One row a shell, with the columns of :class:`Shell`."""
        return pd.DataFrame([asdict(shell) for shell in self.shells])

    def nulls_frame(self) -> pd.DataFrame:
        """One row a shell and null model, with the columns of :class:`ShellNull`."""
        return pd.DataFrame([asdict(null) for null in self.nulls])

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
        nulls = [asdict(null) for null in self.nulls]
        return {
            "k": self.k,
            "n_important_atoms": len(self.important),
            "n_receptive_field_atoms": len(self.all_distance),
            "n_ambiguous_images": self.n_ambiguous,
            "median_distance_important_angstrom": float(np.median(self.distance)),
            "median_distance_all_angstrom": float(np.median(self.all_distance)),
            "mean_distance_important_angstrom": _named_interval(self.mean_distance()),
            "weighted_mean_distance_important_angstrom": _named_interval(self.mean_distance(weighted=True)),
            "fraction_short_range": _named_interval(self.fraction("short")),
            "fraction_medium_range": _named_interval(self.fraction("medium")),
            "shells": [shell | {"outer": shell["outer"] if np.isfinite(shell["outer"]) else None} for shell in shells],
            "nulls": nulls,
            "null_model": self.null_model,
            "null_models": {null: ATOM_NULLS[null].description for null in sorted({row["null"] for row in nulls})},
            "draws": self.draws,
            "seed": self.seed,
        }


def shell_analysis(
    explanation: AtomExplanation,
    glass: Glass,
    k: int = 50,
    *,
    rdf: RadialDistribution | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> ShellAnalysis:
    """Compare the distances of important atoms with those of all atoms of the receptive field, shell by shell.

    Important atoms are those at either end of the ``k`` most important edges, without the explained one. Distances
    are taken along the fewest edges that join an atom to the explained one (:func:`~.result.placement.place_atoms`):
    the minimum-image distance, unless the receptive field wraps around the cell. Shells lie between the minima of the
    total g(r): inside the first is short-range order, beyond it medium-range order (Li et al., ICML 2024, look for
    peaks of the distance near 2.6, 5.2 and 7.0 Å). More atoms sit farther away and g(r) has peaks of its own, so counts
    alone say little; enrichment compares with the atoms that could have been chosen.

    Null models: important atoms drawn at random from the receptive field; with the same number at each hop, since
    edges near the explained atom matter more to any network whatever the distance; with the same coordination numbers;
    and the nearest atoms (:data:`~.nulls.ATOM_NULLS`). The Clopper-Pearson interval treats important atoms as
    independent draws; they come in pairs that share an edge, so it is somewhat too narrow.

    Parameters
    ----------
    rdf
        The total g(r) of the glass where it is at hand; computed where None.
    draws, seed
        Of the bootstrap and of the null models.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or its ``k`` edges touch no atom but the explained one.
    """
    explanation.require_glass(glass)
    rdf = radial_distribution(glass) if rdf is None else rdf
    candidates = atom_candidates(explanation, glass, k, rdf=rdf)
    distance, hop = candidates.attribute("distance"), candidates.attribute("hop")
    by_importance = np.flatnonzero(candidates.chosen)
    by_importance = by_importance[np.argsort(-candidates.weight[by_importance], kind="stable")]
    random = np.random.default_rng(seed)
    drawn = {
        name: ATOM_NULLS[name].draw(candidates, draws, random)
        for name in SHELL_NULLS
        if name != "coordination_matched" or "coordination" in candidates.attributes
    }
    bounds = np.concatenate([[0.0], rdf.minima, [np.inf]])
    shells, nulls = _compare_shells(bounds, candidates, drawn, draws=draws, random=random)
    return ShellAnalysis(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass.name,
        important=candidates.ids[by_importance],
        importance=candidates.weight[by_importance],
        distance=distance[by_importance],
        hop=hop[by_importance],
        all_distance=distance,
        all_hop=hop,
        shells=shells,
        nulls=nulls,
        candidates=candidates,
        number_density=glass.number_density,
        radial_distribution=rdf,
        n_ambiguous=int(candidates.attribute("ambiguous").sum()),
        draws=draws,
        seed=seed,
    )


def _compare_shells(
    bounds: FloatArray,
    candidates: Candidates,
    drawn: dict[str, NullDraws],
    *,
    draws: int,
    random: np.random.Generator,
) -> tuple[tuple[Shell, ...], tuple[ShellNull, ...]]:
    shell = np.searchsorted(bounds, candidates.attribute("distance"), side="right") - 1
    chosen, n_chosen = candidates.chosen, candidates.n_chosen
    weights = _weights(candidates.weight[chosen])
    resampled = random.integers(n_chosen, size=(draws, n_chosen))
    shells: list[Shell] = []
    nulls: list[ShellNull] = []
    for index, name in enumerate(_shell_names(bounds)):
        inside = shell == index
        if not inside.any():
            continue
        share, important = inside.mean(), inside[chosen]
        observed = float(important.mean() / share)
        against: dict[str, ShellNull] = {}
        for null, draw in drawn.items():
            enrichment = inside[draw.rows].mean(axis=1) / share
            expected = float(draw.expectation @ inside / n_chosen / share)
            p_value = two_sided_p(observed, enrichment, expected) if ATOM_NULLS[null].exchangeable else None
            against[null] = ShellNull(name, null, observed, expected, *interval(enrichment), p_value)
        nulls += against.values()
        _, low, high = _share(int(important.sum()), n_chosen)
        weighted_low, weighted_high = interval(
            (weights * important)[resampled].sum(axis=1) / weights[resampled].sum(axis=1) / share
        )
        shells.append(
            Shell(
                name=name,
                inner=float(bounds[index]),
                outer=float(bounds[index + 1]),
                order="any" if len(bounds) == 2 else "short" if index == 0 else "medium",
                n_important=int(important.sum()),
                n_all=int(inside.sum()),
                enrichment=observed,
                enrichment_low=low / share,
                enrichment_high=high / share,
                weighted_enrichment=float(weights @ important / weights.sum() / share),
                weighted_low=weighted_low,
                weighted_high=weighted_high,
                null_low=against["random"].low,
                null_high=against["random"].high,
                hop_expected=against["hop_matched"].expected,
                hop_null_low=against["hop_matched"].low,
                hop_null_high=against["hop_matched"].high,
            )
        )
    return tuple(shells), tuple(nulls)


def _shell_names(bounds: FloatArray) -> list[str]:
    if len(bounds) == 2:
        return ["all distances"]
    between = [
        f"medium range, shell {number} ({inner:.2f}–{outer:.2f} Å)"
        for number, (inner, outer) in enumerate(pairwise(bounds[1:-1]), start=2)
    ]
    return [f"short range (< {bounds[1]:.2f} Å)", *between, f"medium range, beyond {bounds[-2]:.2f} Å"]


def _weights(importance: FloatArray) -> FloatArray:
    return importance if importance.sum() > 0 else np.ones(len(importance))


def _share(count: int, total: int) -> tuple[float, float, float]:
    """``count / total`` with its Clopper-Pearson interval."""
    from scipy.stats import binomtest

    bounds = binomtest(count, total).proportion_ci(CONFIDENCE)
    return count / total, float(bounds.low), float(bounds.high)


def _named_interval(values: tuple[float, float, float] | None) -> dict[str, float] | None:
    return None if values is None else dict(zip(("value", "low", "high"), values, strict=True))
