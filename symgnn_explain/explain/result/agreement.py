"""Two explanations side by side: of one atom by two methods, or of two atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.rank_agreement import rank_correlation, top_overlap
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.structure.glass import FloatArray

COUNTS = (10, 50)
"""Numbers of most important edges, or atoms, whose overlap is told."""


@dataclass(frozen=True)
class Agreement:
    """How alike two explanations are.

    Parameters
    ----------
    first, second
        The explanations.
    correlation
        Spearman's correlation of the absolute scores of the edges; None for different atoms, which rest on different
        edges.
    correlation_within_hops
        The same within each hop: what both share because the near comes before the far is left out.
    edge_overlap
        Share of the most important edges in common, for each of :data:`COUNTS`; None for different atoms.
    atom_overlap
        Share (Jaccard index) of the atoms at the ends of the most important edges in common, explained atoms left out.
    """

    first: AtomExplanation
    second: AtomExplanation
    correlation: float | None
    correlation_within_hops: float | None
    edge_overlap: tuple[float, ...] | None
    atom_overlap: tuple[float, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a quantity: of the first, of the second, and of both together."""
        one, other = (_described(explanation) for explanation in (self.first, self.second))
        names = list(dict.fromkeys([*one, *other]))
        rows: list[tuple[str, float | None, float | None, float | None]] = [
            (name, one.get(name), other.get(name), None) for name in names
        ]
        rows += [
            ("rank correlation of edges", None, None, self.correlation),
            ("rank correlation within hops", None, None, self.correlation_within_hops),
        ]
        for place, count in enumerate(COUNTS):
            edges = None if self.edge_overlap is None else self.edge_overlap[place]
            rows.append((f"top {count} edges in common", None, None, edges))
        rows += [
            (f"atoms on the top {count} edges in common", None, None, self.atom_overlap[place])
            for place, count in enumerate(COUNTS)
        ]
        return pd.DataFrame(rows, columns=["quantity", "first", "second", "both"])


def agreement(first: AtomExplanation, second: AtomExplanation) -> Agreement:
    """Compare two explanations of atoms of one glass.

    Raises
    ------
    InputError
        If they are of different glasses.
    """
    if first.glass_sha256 != second.glass_sha256:
        raise InputError(
            f"the explanations are of different glasses ({first.glass_name!r} and {second.glass_name!r}): "
            "compare atoms of one."
        )
    overlaps = tuple(_atom_overlap(first, second, count) for count in COUNTS)
    if first.atom != second.atom:
        return Agreement(first, second, None, None, None, overlaps)
    aligned = _aligned(first, second)
    return Agreement(
        first,
        second,
        correlation=rank_correlation(first.score, aligned),
        correlation_within_hops=rank_correlation(first.score, aligned, first.hop),
        edge_overlap=tuple(top_overlap(first.score, aligned, count) for count in COUNTS),
        atom_overlap=overlaps,
    )


def _aligned(first: AtomExplanation, second: AtomExplanation) -> FloatArray:
    """Scores of the second explanation in the order of the first one's edges."""
    keys = [
        np.column_stack([one.source, one.target, np.rint(1e3 * one.displacement)]).astype(np.int64)
        for one in (first, second)
    ]
    orders = [np.lexsort(key.T) for key in keys]
    if len(first) != len(second) or (keys[0][orders[0]] != keys[1][orders[1]]).any():
        raise InputError(
            f"the explanations of atom {first.atom} rest on different edges, so other networks made them: explain the "
            "atom again."
        )
    aligned = np.empty(len(first))
    aligned[orders[0]] = second.score[orders[1]]
    return aligned


def _atom_overlap(first: AtomExplanation, second: AtomExplanation, count: int) -> float:
    explained = {first.atom, second.atom}
    one, other = (set(explanation.important_atoms(count)["atom"]) - explained for explanation in (first, second))
    return len(one & other) / len(one | other) if one | other else 0.0


def _described(explanation: AtomExplanation) -> dict[str, float | None]:
    scores = np.abs(explanation.score)
    total = float(scores.sum()) or 1.0
    atoms = explanation.important_atoms(50)["atom"].to_numpy()
    placement = place_atoms(explanation)
    distance = np.linalg.norm(placement.position[placement.rows_of(atoms)], axis=1)
    described = {
        explanation.quantity.axis("prediction"): explanation.prediction,
        explanation.quantity.axis("change under the mask"): explanation.masked_change,
        "share of the top 50 edges": float(np.sort(scores)[::-1][:50].sum()) / total,
        "median distance of important atoms (Å)": float(np.median(distance)) if len(distance) else None,
    }
    for hop in range(int(explanation.hop.max()) + 1):
        described[f"share of edges into hop {hop}"] = float(scores[explanation.hop == hop].sum()) / total
    return described
