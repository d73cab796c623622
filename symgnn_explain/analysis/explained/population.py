"""Medium-range order and topology of what the network looks at, over many explained atoms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.explained.cycle_comparison import Boundary
from symgnn_explain.analysis.explained.enrichment import EnrichmentCurve, enrichment_curve
from symgnn_explain.analysis.explained.pooled import NullPool, corrected, effects_between, estimate, ratio_estimate
from symgnn_explain.analysis.explained.population_atom import DISTANCE_NULLS, AtomAnalyst
from symgnn_explain.analysis.order.local_order import LocalOrder, local_order_analysis
from symgnn_explain.analysis.topology.of_glass import structure_topology
from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.units import Unit
from symgnn_explain.explain.fidelity.intervals import Interval
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.radial import RadialDistribution, radial_distribution

DRAWS = 300
"""Draws of each null model for each atom."""

QUANTILE = 0.25
"""So large a share of the explained atoms with the lowest predictions is compared with one with the highest."""

FEWEST_IN_GROUP = 3
"""Fewer atoms with low or with high predictions are not compared."""

CYCLE_GROUPS: Mapping[str, str] = {
    "top": "top",
    "mid": "middle",
    "low": "bottom",
    "random": "random",
    "matched": "matched",
}
"""Group of edges of a :class:`CycleComparison` behind each column ``cycles_…``."""

_IDENTITY = ("atom", "species", "prediction", "masked_change", "n_edges", "n_important")
_SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class PopulationAnalysis(Brief):
    """What the important edges and atoms of many explained atoms have in common.

    Parameters
    ----------
    glass_name, method, mask_semantics, k
        What was analysed.
    atoms
        One row an explained atom, see :meth:`to_frame`.
    statistics
        One row a statistic and what it is compared with, see :meth:`statistics_frame`.
    shells
        One row a shell between minima of g(r): enrichment with its interval, and p-value against each null model.
    curve
        Where important atoms sit, over distance.
    radial_distribution
        The g(r) of the glass.
    n_distinct_atoms, n_distinct_bonds
        Different atoms and bonds among the important ones: few of them where receptive fields overlap, and then the
        explained atoms are less than independent.
    n_low, n_high
        Atoms with the lowest and the highest predictions, which were compared; 0 where there are too few.
    quantity
        What is predicted.
    unit
        What was masked as one: ``edge`` and ``bond`` are messages alone.
    boundary, draws, seed
        Of the cycles and of the null models.
    """

    glass_name: str
    method: str
    mask_semantics: str
    k: int
    atoms: pd.DataFrame
    statistics: pd.DataFrame
    shells: pd.DataFrame
    curve: EnrichmentCurve
    radial_distribution: RadialDistribution
    n_distinct_atoms: int
    n_distinct_bonds: int
    n_low: int
    n_high: int
    boundary: Boundary
    draws: int
    seed: int
    quantity: Target = BARRIER
    unit: Unit = "edge"

    def __len__(self) -> int:
        return len(self.atoms)

    def to_frame(self) -> pd.DataFrame:
        """One row an explained atom.

        Columns: atom, species, prediction and masked_change, n_edges, n_important (atoms on its top ``k`` edges),
        their mean_distance (Å), fraction_short_range and fraction_medium_range; mean cycles an edge by group
        (``cycles_top`` …), and how many more the top edges have than random and than matched ones; mean_length (Å) and
        mean_hop of the top edges; then, as ``family: name``, each motif of the important atoms and each statistic of
        their network.
        """
        return self.atoms.copy()

    def statistics_frame(self) -> pd.DataFrame:
        """One row a statistic and what it is compared with: a null model, or :attr:`high_atoms`.

        Columns: ``family`` and ``name``, ``compared_with``, and ``n`` explained atoms that have the statistic;
        ``observed``, the mean over these atoms (over those with low predictions, where they are compared with those
        with high ones); ``expected``, what the null model expects of that mean, and where 95 % of its draws lie (or the
        mean over the atoms with high predictions); ``difference``, observed minus expected; ``effect``, in the measure
        that ``effect_is`` names; two-sided ``p_value``, and ``q_value``, corrected for all tests against the same
        (Benjamini and Hochberg, 1995). ``_low`` and ``_high`` bound 95 %.
        """
        return self.statistics.copy()

    def of(self, family: str, compared_with: str) -> pd.DataFrame:
        """Return the statistics of one family against one null model, or against :attr:`high_atoms`."""
        table = self.statistics
        return table[(table["family"] == family) & (table["compared_with"] == compared_with)].reset_index(drop=True)

    @property
    def high_atoms(self) -> str:
        """What the atoms with the highest predictions are called in the statistics."""
        return f"{self.quantity.high} atoms"

    def mean(self, column: str) -> Interval:
        """Mean of one column of the atoms' table, with its interval."""
        return estimate(self.atoms[column])

    @property
    def caveats(self) -> tuple[str, ...]:
        """Plain sentences on why these numbers should be read with care."""
        n_bonds = self.k * len(self)
        overlap = (
            f"{self.n_distinct_bonds} different bonds are among the {n_bonds} most important edges of {len(self)} "
            "atoms: intervals and p-values take the atoms for independent, and neighbouring atoms are not quite."
        )
        said = [overlap]
        if len(self) == 1:
            said.append("A single atom has no intervals.")
        if self.n_low == 0:
            said.append(f"Too few atoms were explained to compare {self.quantity.low} with {self.quantity.high} ones.")
        return tuple(said)

    def summary(self) -> dict[str, Any]:
        """Numbers of the population, ready for JSON: what is an estimate has value, low and high.

        ``mean_cycles_*`` are mean optimal cycles an edge: of the ``k`` most important edges of each atom, of those in
        the middle and at the end of the ranking, of random ones and of ones of the same hop and length.
        """
        cycles = {f"mean_cycles_{group}": _plain(self.mean(f"cycles_{group}")) for group in CYCLE_GROUPS}
        return {
            "glass": self.glass_name,
            "quantity": self.quantity.name,
            "quantity_unit": self.quantity.unit,
            "method": self.method,
            "mask_semantics": self.mask_semantics,
            "unit": self.unit,
            "n_atoms": len(self),
            "k": self.k,
            **cycles,
            "cycles_top_minus_random": _plain(self.mean("cycles_top_minus_random")),
            "cycles_top_minus_matched": _plain(self.mean("cycles_top_minus_matched")),
            "p_values_of_cycles": {
                row["compared_with"]: {"p": row["p_value"], "q": row["q_value"]}
                for row in self.statistics[self.statistics["family"] == "cycles"].to_dict(orient="records")
            },
            "important_distance_peaks_angstrom": self.curve.distance_peaks.round(2).tolist(),
            "rdf_peaks_angstrom": self.radial_distribution.maxima.round(2).tolist(),
            "p_values_of_distances": {name: null.p_value for name, null in self.curve.nulls.items()},
            "fraction_short_range": _plain(self.mean("fraction_short_range")),
            "fraction_medium_range": _plain(self.mean("fraction_medium_range")),
            "enrichment_by_shell": self._shells(),
            "mean_distance_angstrom": _plain(self.mean("mean_distance")),
            f"{self.quantity.low}_against_{self.quantity.high}": self._low_against_high(),
            "n_distinct_important_atoms": self.n_distinct_atoms,
            "n_distinct_important_bonds": self.n_distinct_bonds,
            "boundary": self.boundary,
            "draws": self.draws,
            "seed": self.seed,
            "caveats": list(self.caveats),
        }

    def _shells(self) -> dict[str, dict[str, Any]]:
        shells = {}
        for row in self.shells.to_dict(orient="records"):
            shells[str(row["name"])] = {
                **_plain(Interval(row["enrichment"], row["enrichment_low"], row["enrichment_high"])),
                "inner_angstrom": row["inner"],
                "outer_angstrom": row["outer"] if np.isfinite(row["outer"]) else None,
                "against": {
                    null: {name: row[f"{null}_{name}"] for name in ("expected", "low", "high", "p", "q")}
                    for null in DISTANCE_NULLS
                    if np.isfinite(row.get(f"{null}_p", np.nan))
                },
            }
        return shells

    def _low_against_high(self) -> dict[str, Any] | None:
        if self.n_low == 0:
            return None
        table = self.statistics[self.statistics["compared_with"] == self.high_atoms]
        differ = table[table["q_value"] < _SIGNIFICANT]
        return {
            f"n_{self.quantity.low}": self.n_low,
            f"n_{self.quantity.high}": self.n_high,
            "n_compared": len(table),
            "significant": {
                row["name"]: {
                    "cliffs_delta": _plain(Interval(row["effect"], row["effect_low"], row["effect_high"])),
                    "q": row["q_value"],
                }
                for _, row in differ.iterrows()
            },
        }


def population_analysis(
    explanations: Collection[AtomExplanation],
    glass: Glass,
    *,
    k: int = 10,
    seed: int = 0,
    draws: int = DRAWS,
    boundary: Boundary = "periodic",
    order: LocalOrder | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> PopulationAnalysis:
    """Analyse the explanations of many atoms of one glass by one method.

    The explained atom is the unit: every statistic is computed for each atom and averaged over them, intervals come
    from resampling the atoms, and a null model is drawn within each atom's receptive field. Important are the ``k``
    most important edges and the atoms on them.

    - *Distances* of important atoms against those of all atoms of the receptive fields, as a curve
      (:func:`~.enrichment.enrichment_curve`) and by shell between the minima of g(r), against random, hop-matched and
      coordination-matched atoms. Atoms matched in distance would fill the shells by construction, and serve for motifs.
    - *Cycles* through the top, middle and bottom edges, random edges and edges of the same hop and length within 0.3 Å;
      tests against random, hop-, length- and hop-and-length-matched edges, the last in classes of 0.3 and of 0.1 Å.
    - *Motifs* of important atoms against random, hop-matched and distance-matched ones, the last also by species.
    - *Networks* of the important bonds against bonds of the same hops and length.
    - *Soft against hard*: the quarter of the explained atoms with the lowest predictions against the quarter with the
      highest, by Cliff's delta. Species differ in their predictions, so species is among what is compared.

    Neighbouring atoms share much of their receptive fields, and are then not independent: intervals and p-values are
    too narrow for ``central:50``, less so for ``random:50``.

    Parameters
    ----------
    explanations
        Of different atoms of ``glass``, such as an :class:`~symgnn_explain.explain.ExplanationSet`.
    k
        Most important edges of each atom.
    seed, draws
        Of the null models and the intervals.
    boundary
        Where cycles are counted: ``periodic`` in the whole structure, ``open`` in each receptive field alone, as the
        paper does (some seconds an atom).
    order
        The local order of the glass where it is at hand.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If there is no explanation, one belongs to another glass, they are of several methods or name an atom twice,
        or a receptive field has fewer than ``3 k`` edges.
    Cancelled
        If it was asked to stop.
    """
    n_atoms = len(explanations)
    if n_atoms == 0:
        raise InputError("there is no explanation to analyse: explain at least one atom.")
    if k < 1:
        raise InputError(f"{k=} must be at least 1.")
    first = next(iter(explanations))
    first.require_glass(glass)
    watch = Watch(progress, cancel)
    structure_topology(glass, lambda fraction: watch.advance(0.3 * fraction), cancel)
    rdf = radial_distribution(glass)
    order = local_order_analysis(glass) if order is None else order
    watch.advance(0.4)
    pool = NullPool()
    analyst = AtomAnalyst(glass, rdf, order, k, boundary, draws, seed)
    analysed = []
    for place, explanation in enumerate(explanations):
        ways = [f"{one.method} ({one.mask_semantics}, unit {one.unit})" for one in (explanation, first)]
        if ways[0] != ways[1]:
            raise InputError(
                f"atom {explanation.atom} was explained by {ways[0]}, atom {first.atom} by {ways[1]}: "
                "analyse each way on its own."
            )
        analysed.append(analyst.analyse(explanation, pool))
        watch.advance(0.4 + 0.5 * (place + 1) / n_atoms)
    atoms = pd.DataFrame([one.row for one in analysed])
    if atoms["atom"].duplicated().any():
        raise InputError(f"atom {atoms['atom'][atoms['atom'].duplicated()].iloc[0]} is explained twice: give it once.")
    curve = enrichment_curve([one.shells for one in analysed], draws=draws, seed=seed)
    watch.advance(0.98)
    low, high = _extremes(atoms)
    names = [str(name) for name in atoms if name not in _IDENTITY]
    compared = {name: name.partition(": ")[0] if ": " in name else "own" for name in names}
    groups = effects_between(low, high, compared, compared_with=f"{first.quantity.high} atoms", seed=seed)
    statistics = corrected([*pool.comparisons(), *groups])
    watch.advance(1.0)
    return PopulationAnalysis(
        glass_name=glass.name,
        method=first.method,
        mask_semantics=first.mask_semantics,
        k=k,
        atoms=atoms.drop(columns=[f"is {symbol}" for symbol in glass.species]),
        statistics=statistics,
        shells=_shell_table(pool, analyst.shells, statistics, seed),
        curve=curve,
        radial_distribution=rdf,
        n_distinct_atoms=len(set().union(*(one.shells.important.tolist() for one in analysed))),
        n_distinct_bonds=len(set().union(*(one.important_bonds for one in analysed))),
        n_low=len(low),
        n_high=len(high),
        boundary=boundary,
        draws=draws,
        seed=seed,
        quantity=first.quantity,
        unit=first.unit,
    )


def _plain(found: Interval) -> dict[str, float | None]:
    """Value and bounds, ready for JSON; what is undefined is None."""
    return {name: number if np.isfinite(number) else None for name, number in asdict(found).items()}


def _extremes(atoms: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    count = int(QUANTILE * len(atoms))
    ordered = atoms.sort_values("prediction", kind="stable")
    return (ordered.head(count), ordered.tail(count)) if count >= FEWEST_IN_GROUP else (atoms[:0], atoms[:0])


def _shell_table(
    pool: NullPool, shells: Mapping[str, tuple[float, float]], statistics: pd.DataFrame, seed: int
) -> pd.DataFrame:
    tests = statistics[statistics["family"] == "shell"]
    rows = []
    for name, (inner, outer) in shells.items():
        observed, below = pool.of("shell", name, "random")
        row = {"name": name, "inner": inner, "outer": outer}
        found = ratio_estimate(observed, below, seed=seed)
        row |= {"enrichment": found.value, "enrichment_low": found.low, "enrichment_high": found.high}
        for test in tests[tests["name"] == name].to_dict(orient="records"):
            for bound in ("", "_low", "_high"):
                row[f"{test['compared_with']}{bound or '_expected'}"] = test[f"expected{bound}"] / below.mean()
            row |= {f"{test['compared_with']}_{part}": test[f"{part}_value"] for part in ("p", "q")}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("inner", ignore_index=True)
