"""Short- and medium-range order: where the important atoms of an explanation sit in the shells of g(r)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from symgnn_explain.analysis.nulls.candidates import Candidates, atom_candidates
from symgnn_explain.analysis.nulls.null_models import (
    ATOM_NULLS,
    DRAWS,
    NullDraws,
    interval,
    resampled_interval,
    share_interval,
    two_sided_p,
)
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.radial import RadialDistribution, radial_distribution

SHELL_NULLS = ("random", "hop_matched", "coordination_matched", "random_edges", "edges_of_hops", "distance_ordered")
"""Null models of the shells; atoms matched in distance would fill them by construction."""


@dataclass(frozen=True, eq=False, repr=False)
class ShellAnalysis(Brief):
    """Where the important atoms of one explanation sit, shell by shell.

    Parameters
    ----------
    atom, method, k, glass_name
        What was analysed.
    important, importance, distance, hop
        The important atoms, shape (K,), their scores, distance from the explained atom (Å) and hop.
    shells
        One row a shell, inside out, see :meth:`to_frame`.
    nulls
        One row a shell and null model: ``shell``, ``null``, ``enrichment`` of the important atoms, what is
        ``expected``, where 95 % of the draws fall (``low``, ``high``), and ``p_value``, the share of draws as far from
        the expectation, on either side (NaN for a null model that always draws the same). One shell of several: correct
        for that before calling one of them significant.
    candidates
        The atoms that could have been important, as the null models see them.
    number_density
        Of the glass, atoms per Å³.
    radial_distribution
        The g(r) whose minima bound the shells.
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
    shells: pd.DataFrame
    nulls: pd.DataFrame
    candidates: Candidates
    number_density: float
    radial_distribution: RadialDistribution
    draws: int
    seed: int

    null_model = (
        "As many atoms as are important, drawn at random without replacement from the receptive field: from all its "
        "atoms (null), or with the same number at each hop as the important ones (hop-matched null). Atoms with many "
        "edges there are important more often even where scores of edges are random: p-values against the ends of as "
        "many random edges (random_edges, edges_of_hops) are about more than that."
    )

    @property
    def all_distance(self) -> FloatArray:
        """Distance of every atom of the receptive field but the explained one, shape (M,), Å."""
        return self.candidates.attributes["distance"]

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
        count, total = int((inside if order == "short" else ~inside).sum()), len(inside)
        low, high = share_interval(count, total)
        return count / total, float(low), float(high)

    def mean_distance(self, *, weighted: bool = False) -> tuple[float, float, float]:
        """Mean distance (Å) of the important atoms, by number or by importance, with a bootstrap 95 % interval.

        Bounds are NaN where a single atom is important: its distance says nothing of how others would scatter.
        """
        weights = _weights(self.importance) if weighted else np.ones(len(self.distance))
        chosen = np.random.default_rng(self.seed).integers(len(weights), size=(self.draws, len(weights)))
        mean = float(weights @ self.distance / weights.sum())
        return mean, *_interval_of_mean(self.distance, weights, chosen)

    def to_frame(self) -> pd.DataFrame:
        """One row a shell.

        Columns: ``name``, ``inner`` and ``outer`` (Å), ``order`` (``short`` inside the first minimum of g(r),
        ``medium`` beyond; ``any`` where it has none); ``n_important`` and ``n_all``, important atoms and atoms of the
        receptive field; ``enrichment``, share of the important atoms over share of all atoms (1: no more than
        expected), with a Clopper-Pearson 95 % interval; ``weighted_enrichment`` by importance, with a bootstrap 95 %
        interval (NaN where a single atom is important); where 95 % of random atoms fall (``null_low``,
        ``null_high``); what is expected of random atoms of the same hops, and where 95 % of them fall
        (``hop_expected``, ``hop_null_low``, ``hop_null_high``).
        """
        return self.shells.copy()

    def atoms_frame(self) -> pd.DataFrame:
        """One row an important atom: atom, distance (Å), hop, score, shell."""
        shell = self.shells["name"].to_numpy()[np.searchsorted(self.shells["outer"], self.distance, side="right")]
        columns = {"atom": self.important, "distance": self.distance, "hop": self.hop, "score": self.importance}
        return pd.DataFrame(columns | {"shell": shell})

    def summary(self) -> dict[str, Any]:
        """Numbers of every shell, ready for JSON (an unbounded shell ends at null)."""
        in_angstrom = {name: f"{name}_angstrom" for name in ("inner", "outer")}
        shells, nulls = self.shells.rename(columns=in_angstrom).astype(object), self.nulls.astype(object)
        return {
            "k": self.k,
            "n_important_atoms": len(self.important),
            "n_receptive_field_atoms": len(self.candidates),
            "n_ambiguous_images": int(self.candidates.attributes["ambiguous"].sum()),
            "median_distance_important_angstrom": float(np.median(self.distance)),
            "median_distance_all_angstrom": float(np.median(self.all_distance)),
            "mean_distance_important_angstrom": _named_interval(self.mean_distance()),
            "weighted_mean_distance_important_angstrom": _named_interval(self.mean_distance(weighted=True)),
            "fraction_short_range": _named_interval(self.fraction("short")),
            "fraction_medium_range": _named_interval(self.fraction("medium")),
            "shells": shells.where(shells.notna() & (shells != np.inf), None).to_dict(orient="records"),
            "nulls": nulls.where(nulls.notna(), None).to_dict(orient="records"),
            "null_model": self.null_model,
            "null_models": {null: ATOM_NULLS[null].description for null in sorted(set(self.nulls["null"]))},
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
    and the nearest atoms (:data:`~.nulls.ATOM_NULLS`). These say how important atoms differ from other atoms of the
    receptive field. Atoms with many edges there are at the end of an important one more often, whatever the network,
    and lie at distances of their own: random scores of edges give small p-values as well. Evidence that the network
    minds distance are p-values against the ends of random edges, and of as many edges of each hop. The Clopper-Pearson
    interval treats important atoms as independent draws; they come in pairs that share an edge, so it is somewhat too
    narrow.

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

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets, prepare
    >>> glass = datasets.sample("cu50zr50")
    >>> shells = shell_analysis(prepare(Predictor.load(device="cpu"), glass).explain(12), glass)
    >>> shells.shells[["name", "n_important", "n_all"]].to_numpy().tolist()[0]
    ['short range (< 3.85 Å)', 12, 13]
    """
    rdf = radial_distribution(glass) if rdf is None else rdf
    candidates = atom_candidates(explanation, glass, k, rdf=rdf)
    by_importance = np.flatnonzero(candidates.chosen)
    by_importance = by_importance[np.argsort(-candidates.weight[by_importance], kind="stable")]
    random = np.random.default_rng(seed)
    models = (ATOM_NULLS[name] for name in SHELL_NULLS)
    drawn = {model.name: model.draw(candidates, draws, random) for model in models if model.fits(candidates)}
    bounds = np.concatenate([[0.0], rdf.minima, [np.inf]])
    shells, nulls = _compare_shells(bounds, candidates, drawn, draws=draws, random=random)
    return ShellAnalysis(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass.name,
        important=candidates.ids[by_importance],
        importance=candidates.weight[by_importance],
        distance=candidates.attributes["distance"][by_importance],
        hop=candidates.attributes["hop"][by_importance],
        shells=shells,
        nulls=nulls,
        candidates=candidates,
        number_density=glass.number_density,
        radial_distribution=rdf,
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
) -> tuple[pd.DataFrame, pd.DataFrame]:
    shell = np.searchsorted(bounds, candidates.attributes["distance"], side="right") - 1
    chosen, n_chosen = candidates.chosen, candidates.n_chosen
    weights = _weights(candidates.weight[chosen])
    resampled = random.integers(n_chosen, size=(draws, n_chosen))
    shells: list[dict[str, Any]] = []
    nulls: list[dict[str, Any]] = []
    for index, name in enumerate(_shell_names(bounds)):
        inside = shell == index
        if not inside.any():
            continue
        share, important = inside.mean(), inside[chosen]
        observed = float(important.mean() / share)
        against: dict[str, dict[str, Any]] = {}
        for null, draw in drawn.items():
            enrichment, expected = draw.means(inside) / share, float(draw.expected(inside) / share)
            low, high = interval(enrichment)
            p_value = two_sided_p(observed, enrichment, expected) if ATOM_NULLS[null].exchangeable else np.nan
            against[null] = {"expected": expected, "low": low, "high": high, "p_value": p_value}
            nulls.append({"shell": name, "null": null, "enrichment": observed, **against[null]})
        bounds_of_share = share_interval(int(important.sum()), n_chosen)
        weighted_low, weighted_high = _interval_of_mean(important / share, weights, resampled)
        shells.append(
            {
                "name": name,
                "inner": float(bounds[index]),
                "outer": float(bounds[index + 1]),
                "order": "any" if len(bounds) == 2 else "short" if index == 0 else "medium",
                "n_important": int(important.sum()),
                "n_all": int(inside.sum()),
                "enrichment": observed,
                "enrichment_low": float(bounds_of_share[0] / share),
                "enrichment_high": float(bounds_of_share[1] / share),
                "weighted_enrichment": float(weights @ important / weights.sum() / share),
                "weighted_low": weighted_low,
                "weighted_high": weighted_high,
                "null_low": against["random"]["low"],
                "null_high": against["random"]["high"],
                "hop_expected": against["hop_matched"]["expected"],
                "hop_null_low": against["hop_matched"]["low"],
                "hop_null_high": against["hop_matched"]["high"],
            }
        )
    return pd.DataFrame(shells), pd.DataFrame(nulls)


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


def _interval_of_mean(values: FloatArray, weights: FloatArray, resampled: IntArray) -> tuple[float, float]:
    """Return 95 % of the weighted means over resamples (draws, N), those without weight left out; NaN of one value."""
    total = weights[resampled].sum(axis=1)
    known = total > 0
    return resampled_interval((weights * values)[resampled].sum(axis=1)[known] / total[known], len(values))


def _named_interval(values: tuple[float, float, float] | None) -> dict[str, float | None] | None:
    if values is None:
        return None
    named = zip(("value", "low", "high"), values, strict=True)
    return {name: None if np.isnan(value) else value for name, value in named}
