"""Do important edges lie on more rings than others? Cycle counts of an explanation's edges against two nulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.nulls.candidates import edge_candidates
from symgnn_explain.analysis.nulls.null_models import EDGE_NULLS, Matched, NullDraws, Permuted, interval, two_sided_p
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class CycleGroup:
    """Optimal cycles through one group of edges.

    Parameters
    ----------
    name
        ``top``, ``middle``, ``bottom``, ``random`` or ``matched``.
    cycles
        Cycles through each edge, shape (n,); of a null, the mean of each draw, shape (draws,).
    mean, low, high
        Mean cycles an edge, with a 95 % interval.
    interval
        ``bootstrap`` over the edges, or ``null``: where the mean of as many drawn edges falls.
    """

    name: str
    cycles: FloatArray
    mean: float
    low: float
    high: float
    interval: str


@dataclass(frozen=True, eq=False)
class CycleComparison:
    """Cycles through important edges against cycles through others.

    Parameters
    ----------
    atom, method, k, glass_name
        What was compared.
    groups
        ``top``, ``middle`` and ``bottom`` edges by importance; ``random`` edges of the receptive field, the null of
        the paper; ``matched`` edges of the same hop and length as the top ones.
    p_random, p_matched
        Share of draws whose mean differs from the expectation by at least as much as that of the top edges (two-sided):
        of random edges, and of as many edges of each hop and length as the top ones. The latter can draw top edges too,
        unlike ``matched``: where few others are alike, those alone would spread less than chance.
    edges
        One row a top edge: source, target, distance (Å), hop, score, cycles, matches (edges it was matched with).
    n_unmatched
        Top edges that no edge matches; they enter ``top`` but not the matched comparison.
    n_edges
        Edges that were compared: those of the receptive field without self-loops, which are no bonds.
    length_tolerance, draws, seed
        Of the nulls.
    """

    atom: int
    method: str
    k: int
    glass_name: str
    groups: tuple[CycleGroup, ...]
    p_random: float
    p_matched: float | None
    edges: pd.DataFrame
    n_unmatched: int
    n_edges: int
    length_tolerance: float
    draws: int
    seed: int

    @property
    def null_model(self) -> str:
        """What the nulls are, in a sentence."""
        return (
            f"Means over {self.k} edges drawn from the receptive field without self-loops: any edges (random, the null "
            "of the paper), or for each top edge one of the same hop and of a length within "
            f"{self.length_tolerance:g} Å that is not itself a top bond (matched; its p-value is from permuting the "
            "top edges among those of their hop and length). Short edges lie on more cycles whatever their importance, "
            "so only the matched null tells importance from length."
        )

    def group(self, name: str) -> CycleGroup:
        """One group by its name."""
        return next(group for group in self.groups if group.name == name)

    def to_frame(self) -> pd.DataFrame:
        """One row a group: mean cycles an edge, interval bounds, kind of interval."""
        rows = [(group.name, group.mean, group.low, group.high, group.interval) for group in self.groups]
        return pd.DataFrame(rows, columns=["group", "mean", "low", "high", "interval"])

    def summary(self) -> dict[str, Any]:
        """Means, intervals and p-values, ready for JSON."""
        groups = {row.pop("group"): row for row in self.to_frame().to_dict(orient="records")}
        return {
            "k": self.k,
            "cycles_per_edge": groups,
            "p_random": self.p_random,
            "p_matched": self.p_matched,
            "n_unmatched": self.n_unmatched,
            "n_edges": self.n_edges,
            "null_model": self.null_model,
            "draws": self.draws,
            "seed": self.seed,
        }


def compare_cycles(
    explanation: AtomExplanation,
    cycles: IntArray,
    k: int,
    *,
    length_tolerance: float,
    draws: int,
    seed: int,
    glass_name: str,
) -> CycleComparison:
    """Compare the cycles through each edge of an explanation, shape (E,); see :func:`~.topology.cycle_comparison`."""
    ranked = explanation.rank()
    ranked = ranked[~explanation.is_self_loop[ranked]]
    n_edges = len(ranked)
    if k < 1 or n_edges < 3 * k:
        raise InputError(
            f"{k=} does not fit: top, middle and bottom edges are taken from the {n_edges} edges that are no "
            f"self-loops, so expected 1 ≤ k ≤ {n_edges // 3}."
        )
    random = np.random.default_rng(seed)
    middle = (n_edges - k) // 2
    top = ranked[:k]
    groups = [
        _bootstrapped(name, cycles[rows].astype(np.float64), draws, random)
        for name, rows in (("top", top), ("middle", ranked[middle : middle + k]), ("bottom", ranked[-k:]))
    ]
    candidates = edge_candidates(explanation, k)
    values = cycles[candidates.ids].astype(np.float64)
    at_random = EDGE_NULLS["random"].draw(candidates, draws, random)
    groups.append(_null("random", at_random, values))
    same, within = ("hop",), {"distance": length_tolerance}
    like_top = Matched("matched", "edges of the same hop and length that are not important", same, within)
    matched, p_matched = like_top.draw(candidates, draws, random), None
    if matched.matched.any():
        groups.append(_null("matched", matched, values))
        permuted = Permuted("permuted", "edges of the same hop and length", same, within)
        p_matched = _p_value(permuted.draw(candidates, draws, random), values)
    matches = [len(rows) for rows in like_top.counterparts(candidates)]
    edges = explanation.top_edges(len(explanation)).set_index("edge").loc[top].reset_index(drop=True)
    columns = ["source", "target", "distance", "hop", "score"]
    return CycleComparison(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass_name,
        groups=tuple(groups),
        p_random=_p_value(at_random, values),
        p_matched=p_matched,
        edges=edges[columns].assign(cycles=cycles[top], matches=matches),
        n_unmatched=matches.count(0),
        n_edges=n_edges,
        length_tolerance=length_tolerance,
        draws=draws,
        seed=seed,
    )


def _bootstrapped(name: str, cycles: FloatArray, draws: int, random: np.random.Generator) -> CycleGroup:
    means = random.choice(cycles, size=(draws, len(cycles))).mean(axis=1)
    return CycleGroup(name, cycles, float(cycles.mean()), *interval(means), "bootstrap")


def _null(name: str, drawn: NullDraws, values: FloatArray) -> CycleGroup:
    means = values[drawn.rows].mean(axis=1)
    expected = float(drawn.expectation @ values / drawn.matched.sum())
    return CycleGroup(name, means, expected, *interval(means), "null")


def _p_value(drawn: NullDraws, values: FloatArray) -> float:
    """Two-sided p-value of the important edges, which come first, in a null model that can draw them too."""
    n_important = drawn.rows.shape[1]
    expected = float(drawn.expectation @ values / n_important)
    return two_sided_p(float(values[:n_important].mean()), values[drawn.rows].mean(axis=1), expected)
