"""Do important edges lie on more rings than others? Cycle counts of an explanation's edges against two nulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from symgnn_explain.analysis.nulls.candidates import edge_candidates
from symgnn_explain.analysis.nulls.null_models import (
    EDGE_NULLS,
    LENGTH_TOLERANCE,
    Matched,
    NullDraws,
    interval,
    two_sided_p,
)
from symgnn_explain.analysis.topology.alpha import LARGEST_VOID
from symgnn_explain.analysis.topology.of_glass import Progress, compute_topology, optimal_cycles
from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import SAME_PLACE, place_atoms
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

Boundary = Literal["periodic", "open"]
"""The whole structure on its torus, or the atoms around one atom without periodicity (the paper's)."""

_LIKE_TOP = Matched(
    "matched", "edges of the same hop and length that are not important", by=("hop", ("distance", LENGTH_TOLERANCE))
)
_ROOM = 1000.0


@dataclass(frozen=True, eq=False, repr=False)
class CycleComparison(Brief):
    """Cycles through important edges against cycles through others.

    Parameters
    ----------
    atom, k
        What was compared.
    groups
        One row a group, see :meth:`to_frame`.
    cycles
        Cycles through each edge that was compared, the most important first, shape (E,): those of the receptive field
        without self-loops, which are no bonds.
    p_random, p_matched
        Share of draws whose mean differs from the expectation by at least as much as that of the top edges (two-sided):
        of random edges, and of as many edges of each hop and length as the top ones. The latter can draw top edges too,
        unlike ``matched``: where few others are alike, those alone would spread less than chance.
    edges
        One row a top edge: source, target, distance (Å), hop, score, cycles, matches (edges it was matched with).
    n_unmatched
        Top edges that no edge matches; they enter ``top`` but not the matched comparison.
    draws, seed
        Of the nulls.
    """

    atom: int
    k: int
    groups: pd.DataFrame
    cycles: FloatArray
    p_random: float
    p_matched: float | None
    edges: pd.DataFrame
    n_unmatched: int
    draws: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """One row a group of edges: ``group``, ``mean`` cycles an edge, ``low``, ``high`` and kind of the ``interval``.

        Groups: ``top``, ``middle`` and ``bottom`` edges by importance, with the 95 % interval of their ``mean`` (NaN of
        a single one); ``random`` edges of the receptive field, the null of the paper, and ``matched`` edges of the same
        hop and length as the top ones, with 95 % of the means of as many drawn edges (``null``).
        """
        return self.groups.copy()

    def summary(self) -> dict[str, Any]:
        """Means, intervals and p-values, ready for JSON."""
        groups = self.groups.set_index("group").astype(object)
        return {
            "k": self.k,
            "cycles_per_edge": groups.where(groups.notna(), None).to_dict(orient="index"),
            "p_random": self.p_random,
            "p_matched": self.p_matched,
            "n_unmatched": self.n_unmatched,
            "n_edges": len(self.cycles),
            "null_model": (
                f"Means over {self.k} edges drawn from the receptive field without self-loops: any edges (random, the "
                "null of the paper), or for each top edge one of the same hop and of a length within "
                f"{LENGTH_TOLERANCE:g} Å that is not itself a top bond (matched; its p-value is from permuting the top "
                "edges among those of their hop and length). Short edges lie on more cycles whatever their importance, "
                "so only the matched null tells importance from length."
            ),
            "draws": self.draws,
            "seed": self.seed,
        }


def cycle_comparison(
    explanation: AtomExplanation,
    glass: Glass,
    k: int = 10,
    *,
    draws: int = 2000,
    seed: int = 0,
    boundary: Boundary = "periodic",
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> CycleComparison:
    """Compare the optimal cycles through important edges with those through others.

    The paper (Li et al., ICML 2024) finds 4.1 cycles through each of the ten most important edges and 1.1 through
    random ones. Cycle counts fall steeply with the length of an edge, so that comparison is confounded by length:
    beside it stands a null matched in hop and length. Edges are directed, as in the explanation; both directions of a
    bond may be among the top edges and then share their cycles. Self-loops are no bonds and are left out.

    Parameters
    ----------
    k
        Edges in the top, middle and bottom groups.
    draws, seed
        Of the nulls.
    boundary
        ``periodic`` counts cycles in the whole structure; ``open`` in the explanation's own atoms, as the paper does.
    progress, cancel
        Of :func:`structure_topology`, which is computed where it is not known yet.

    Raises
    ------
    InputError
        If the explanation belongs to another glass or has fewer than ``3 k`` edges.
    Cancelled
        If it was asked to stop.

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets, prepare
    >>> glass = datasets.sample("cu50zr50")
    >>> compared = cycle_comparison(prepare(Predictor.load(device="cpu"), glass).explain(12), glass)
    >>> compared.p_matched > 0.05  # these ten edges lie on no more cycles than others of their hop and length
    True
    """
    n_edges = int((~explanation.is_self_loop).sum())
    if n_edges < 3:
        raise InputError(
            f"atom {explanation.atom} has {n_edges} edges to other atoms within reach: too few for top, middle and "
            "bottom ones, choose another atom or a larger structure."
        )
    if k < 1 or n_edges < 3 * k:
        raise InputError(
            f"{k=} does not fit: top, middle and bottom edges are taken from the {n_edges} edges that are no "
            f"self-loops, so expected 1 ≤ k ≤ {n_edges // 3}."
        )
    cycles = cycles_through_edges(explanation, glass, boundary=boundary, progress=progress, cancel=cancel)
    candidates = edge_candidates(explanation, k)
    values = cycles[candidates.ids].astype(np.float64)
    random = np.random.default_rng(seed)
    groups = []
    for name, of_edges in by_importance(values, k).items():
        mean = mean_interval(of_edges)
        groups.append((name, mean.value, mean.low, mean.high, "mean"))
    nulls = {"random": EDGE_NULLS["random"].draw(candidates, draws, random)}
    matched = _LIKE_TOP.draw(candidates, draws, random)
    p_matched = None
    if matched.rows.size:
        nulls["matched"] = matched
        p_matched = _p_value(EDGE_NULLS["hop_length_matched"].draw(candidates, draws, random), values, k)
    for name, drawn in nulls.items():
        groups.append((name, float(drawn.expected(values)), *interval(drawn.means(values)), "null"))
    matches = [len(rows) for rows in _LIKE_TOP.counterparts(candidates)]
    ranked = explanation.top_edges(len(explanation)).set_index("edge")
    edges = ranked.loc[candidates.ids[:k], ["source", "target", "distance", "hop", "score"]].reset_index(drop=True)
    return CycleComparison(
        atom=explanation.atom,
        k=k,
        groups=pd.DataFrame(groups, columns=["group", "mean", "low", "high", "interval"]),
        cycles=values,
        p_random=_p_value(nulls["random"], values, k),
        p_matched=p_matched,
        edges=edges.assign(cycles=cycles[candidates.ids[:k]], matches=matches),
        n_unmatched=matches.count(0),
        draws=draws,
        seed=seed,
    )


def comparable_edges(explanation: AtomExplanation, k: int = 10) -> int:
    """Return the paper's ten edges a group for :func:`cycle_comparison`, or as many as a small receptive field has."""
    return max(1, min(k, int((~explanation.is_self_loop).sum()) // 3))


def by_importance(values: FloatArray, k: int) -> dict[str, FloatArray]:
    """Values of the ``top``, ``middle`` and ``bottom`` edges, of values by falling importance, shape (E,)."""
    middle = (len(values) - k) // 2
    return {"top": values[:k], "middle": values[middle : middle + k], "bottom": values[-k:]}


def cycles_through_edges(
    explanation: AtomExplanation,
    glass: Glass,
    *,
    boundary: Boundary = "periodic",
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> IntArray:
    """Count the optimal cycles through each edge of an explanation, shape (E,); see :func:`cycle_comparison`.

    Cutting atoms out (``open``, as Li et al., ICML 2024, do) makes rings and voids at the cut that the structure does
    not have. Edges to other images than those placed are then on no cycle.
    """
    explanation.require_glass(glass)
    edges = explanation.source, explanation.target, explanation.displacement
    if boundary == "periodic":
        return optimal_cycles(glass, progress, cancel).of_edges(glass, *edges)
    if boundary != "open":
        raise InputError(f"{boundary=} must be periodic or open.")
    placement = place_atoms(explanation)
    cell, pbc = np.eye(3) * _ROOM, np.zeros(3, dtype=bool)
    cut = Glass(placement.position, glass.numbers[placement.atoms], cell, pbc, name=f"{glass.name}, cut out")
    source, target = placement.rows_of(explanation.source), placement.rows_of(explanation.target)
    between = placement.position[source] - placement.position[target]
    here = np.linalg.norm(between - explanation.displacement, axis=1) < SAME_PLACE
    counts = compute_topology(cut, LARGEST_VOID, progress, cancel).cycles
    return np.where(here, counts.of_edges(cut, source, target, between), 0)


def _p_value(drawn: NullDraws, values: FloatArray, k: int) -> float:
    """Two-sided p-value of the important edges, which come first, in a null model that can draw them too."""
    return two_sided_p(float(values[:k].mean()), drawn.means(values), float(drawn.expected(values)))
