"""Do important edges lie on more rings than others? Cycle counts of an explanation's edges against two nulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.glass import FloatArray, IntArray

CONFIDENCE = 0.95
LENGTH_TOLERANCE = 0.3
"""Edges whose lengths differ by at most this (Å) are matched."""


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
        Share of null draws whose mean differs from the null's by at least as much as that of the top edges (two-sided).
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
            f"{self.length_tolerance:g} Å that is not itself a top bond (matched). Short edges lie on more cycles "
            "whatever their importance, so only the matched null tells importance from length."
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
    any_draws = cycles[ranked][np.array([random.choice(n_edges, size=k, replace=False) for _ in range(draws)])].mean(
        axis=1
    )
    groups.append(_null("random", any_draws, float(cycles[ranked].mean())))
    matches = _matches(explanation, ranked, top, length_tolerance)
    matched = [place for place, rows in enumerate(matches) if rows.size]
    p_matched = None
    if matched:
        drawn = np.mean([random.choice(cycles[matches[place]], size=draws) for place in matched], axis=0)
        expected = float(np.mean([cycles[matches[place]].mean() for place in matched]))
        groups.append(_null("matched", drawn, expected))
        p_matched = _p_value(float(cycles[top[matched]].mean()), drawn, expected)
    edges = explanation.top_edges(len(explanation)).set_index("edge").loc[top].reset_index(drop=True)
    columns = ["source", "target", "distance", "hop", "score"]
    return CycleComparison(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass_name,
        groups=tuple(groups),
        p_random=_p_value(groups[0].mean, any_draws, groups[3].mean),
        p_matched=p_matched,
        edges=edges[columns].assign(cycles=cycles[top], matches=[len(rows) for rows in matches]),
        n_unmatched=k - len(matched),
        n_edges=n_edges,
        length_tolerance=length_tolerance,
        draws=draws,
        seed=seed,
    )


def _matches(explanation: AtomExplanation, ranked: IntArray, top: IntArray, tolerance: float) -> list[IntArray]:
    """For each top edge, the edges of its hop and length that are neither a top edge nor the reverse of one."""
    candidates = ranked[~_same_bond(explanation, ranked, top)]
    length, hop = explanation.distance, explanation.hop
    return [
        candidates[(hop[candidates] == hop[edge]) & (np.abs(length[candidates] - length[edge]) <= tolerance)]
        for edge in top
    ]


def _same_bond(explanation: AtomExplanation, edges: IntArray, top: IntArray) -> NDArray[np.bool_]:
    """Which edges run along the bond of a top edge, in either direction."""
    rounded = np.rint(100 * explanation.displacement).astype(np.int64)
    ends = np.column_stack([explanation.source, explanation.target, rounded])
    reverse = np.column_stack([explanation.target, explanation.source, -rounded])
    bonds = {tuple(row) for row in np.concatenate([ends[top], reverse[top]]).tolist()}
    return np.array([tuple(row) in bonds for row in ends[edges].tolist()])


def _bootstrapped(name: str, cycles: FloatArray, draws: int, random: np.random.Generator) -> CycleGroup:
    means = random.choice(cycles, size=(draws, len(cycles))).mean(axis=1)
    low, high = _bounds(means)
    return CycleGroup(name, cycles, float(cycles.mean()), low, high, "bootstrap")


def _null(name: str, draws: FloatArray, expected: float) -> CycleGroup:
    low, high = _bounds(draws)
    return CycleGroup(name, draws, expected, low, high, "null")


def _bounds(values: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _p_value(observed: float, draws: FloatArray, expected: float) -> float:
    as_far = np.abs(draws - expected) >= abs(observed - expected) - 1e-12
    return float((1 + as_far.sum()) / (1 + len(draws)))
