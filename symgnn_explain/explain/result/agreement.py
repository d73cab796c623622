"""Two explanations side by side: of one atom by two methods, or of two atoms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.rank_agreement import rank_correlation, top_overlap
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.structure.glass import FloatArray

COUNTS = (10, 50)
"""Numbers of most important edges, or atoms, whose overlap is told."""


def agreement(first: AtomExplanation, second: AtomExplanation) -> pd.DataFrame:
    """Compare two explanations of atoms of one glass.

    Returns
    -------
    DataFrame
        One row a ``quantity``: of the ``first``, of the ``second``, and of ``both`` together. The latter are Spearman's
        correlation of the absolute scores of edges, the same within each hop (what both share because the near comes
        before the far is left out), the share of the most important edges in common, and that of the atoms at their
        ends (Jaccard index, explained atoms left out). Different atoms rest on different edges, and so do networks of
        other kinds: for them only the last is known.

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
    one, other = _described(first), _described(second)
    rows: list[tuple[str, float | None, float | None, float | None]] = [
        (name, one.get(name), other.get(name), None) for name in dict.fromkeys([*one, *other])
    ]
    both: dict[str, float | None] = dict.fromkeys(
        ["rank correlation of edges", "rank correlation within hops", *(f"top {k} edges in common" for k in COUNTS)]
    )
    aligned = _aligned(first, second) if first.atom == second.atom else None
    if aligned is not None:
        alike = [rank_correlation(first.score, aligned), rank_correlation(first.score, aligned, first.hop)]
        alike += [top_overlap(first.score, aligned, k) for k in COUNTS]
        both = dict(zip(both, alike, strict=True))
    both |= {f"atoms on the top {k} edges in common": _atom_overlap(first, second, k) for k in COUNTS}
    rows += [(name, None, None, value) for name, value in both.items()]
    return pd.DataFrame(rows, columns=["quantity", "first", "second", "both"])


def _aligned(first: AtomExplanation, second: AtomExplanation) -> FloatArray | None:
    """Scores of the second explanation in the order of the first one's edges; None where it has other edges."""
    keys = [
        np.column_stack([one.source, one.target, np.rint(1e3 * one.displacement)]).astype(np.int64)
        for one in (first, second)
    ]
    orders = [np.lexsort(key.T) for key in keys]
    if len(first) != len(second) or (keys[0][orders[0]] != keys[1][orders[1]]).any():
        return None
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
