"""The bonds of a receptive field: both directions of an edge as one, and which bonds are important."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.analysis.nulls.null_models import LENGTH_TOLERANCE
from symgnn_explain.analysis.nulls.stratified import classes_of, draw_in_classes, length_classes
from symgnn_explain.analysis.topology.alpha import name_bonds
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

SWAPS_PER_BOND = 10
"""Swaps that are tried for each bond when a graph is rewired: more change nothing any more (Milo et al., 2003)."""


@dataclass(frozen=True, eq=False)
class FieldBonds:
    """Undirected bonds of a receptive field, without those of an atom to itself or its own image.

    Parameters
    ----------
    bonds
        Atoms and shift of each, named as by :func:`~.alpha.canonical_bonds`, shape (B, 5).
    length
        Shape (B,), Å.
    hop
        Hops of the nearer and the farther atom from the explained one, shape (B, 2).
    score
        Sum of the absolute scores of both directions, shape (B,).
    important
        Which bonds belong to a direction that is among the most important edges, shape (B,).
    """

    bonds: IntArray
    length: FloatArray
    hop: IntArray
    score: FloatArray
    important: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.bonds)

    @property
    def classes(self) -> IntArray:
        """Class of each bond by hops of both atoms and by length, 0.3 Å wide, shape (B,)."""
        return classes_of(self.hop[:, 0], self.hop[:, 1], length_classes(self.length, LENGTH_TOLERANCE))

    def ends(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Atoms at either end of bonds, each of the shape of ``rows``."""
        return self.bonds[rows, 0], self.bonds[rows, 1]

    def draw(self, draws: int, random: np.random.Generator, *, matched: bool) -> IntArray:
        """Draw as many bonds as are important, shape (draws, K): of the same classes if matched, else any."""
        label = self.classes if matched else np.zeros(len(self), dtype=np.int64)
        rows, _ = draw_in_classes(label, self.important, draws, random)
        return rows

    def to_frame(self) -> pd.DataFrame:
        """One row an important bond, the most important first: first, second, length (Å), hops, score."""
        rows = np.flatnonzero(self.important)
        rows = rows[np.argsort(-self.score[rows], kind="stable")]
        return pd.DataFrame(
            {
                "first": self.bonds[rows, 0],
                "second": self.bonds[rows, 1],
                "length": self.length[rows],
                "hop_near": self.hop[rows, 0],
                "hop_far": self.hop[rows, 1],
                "score": self.score[rows],
            }
        )


def field_bonds(explanation: AtomExplanation, glass: Glass, k: int = 50) -> FieldBonds:
    """Merge both directions of each edge; bonds with a direction among the ``k`` most important edges are important.

    An atom's edges to itself and its own images are no bonds: where they are among the ``k`` there are the fewer bonds.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or its ``k`` edges join no two atoms.
    """
    explanation.require_glass(glass)
    edges = np.flatnonzero(explanation.source != explanation.target)
    source, target = explanation.source[edges], explanation.target[edges]
    named = name_bonds(glass, target, source, explanation.displacement[edges])
    bonds, first, row = np.unique(named, axis=0, return_index=True, return_inverse=True)
    row = row.reshape(-1)
    is_top = np.zeros(len(explanation), dtype=bool)
    is_top[explanation.top_edges(k)["edge"]] = True
    important = np.bincount(row, is_top[edges], minlength=len(bonds)) > 0
    if not important.any():
        raise InputError(f"the {k} most important edges are self-loops, and join no two atoms: choose a larger k.")
    placement = place_atoms(explanation)
    hops = placement.hop[placement.rows_of(bonds[:, :2])]
    return FieldBonds(
        bonds=bonds,
        length=explanation.distance[edges][first],
        hop=np.sort(hops, axis=1),
        score=np.bincount(row, np.abs(explanation.score[edges]), minlength=len(bonds)).astype(np.float64),
        important=important,
    )


def rewire(first: IntArray, second: IntArray, draws: int, random: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Rewire a simple graph at random so that every node keeps its degree (Maslov and Sneppen, Science 296, 910, 2002).

    Two edges a-b and c-d become a-d and c-b wherever that makes neither a loop nor a parallel edge; what is rejected
    counts as a step, so that all graphs are reached equally often.

    Parameters
    ----------
    first, second
        Ends of the edges, shapes (E,).

    Returns
    -------
    first, second
        Ends of the edges of every rewired graph, shapes (draws, E).
    """
    nodes, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    n_edges, everyone = len(first), np.arange(draws)
    ends = np.tile(place.reshape(2, -1).T, (draws, 1, 1))
    joined = np.zeros((draws, len(nodes), len(nodes)), dtype=bool)
    joined[everyone[:, None], ends[..., 0], ends[..., 1]] = True
    joined |= joined.transpose(0, 2, 1)
    for _ in range(SWAPS_PER_BOND * n_edges):
        one, other = random.integers(n_edges, size=(2, draws))
        turned = random.integers(2, size=draws)
        a, b = ends[everyone, one].T
        c, d = ends[everyone, other, turned], ends[everyone, other, 1 - turned]
        fits = (a != d) & (c != b) & ~joined[everyone, a, d] & ~joined[everyone, c, b] & (one != other)
        graph, one, other = everyone[fits], one[fits], other[fits]
        a, b, c, d = a[fits], b[fits], c[fits], d[fits]
        for near, far, state in ((a, b, False), (c, d, False), (a, d, True), (c, b, True)):
            joined[graph, near, far] = state
            joined[graph, far, near] = state
        ends[graph, one] = np.column_stack([a, d])
        ends[graph, other] = np.column_stack([c, b])
    return nodes[ends[..., 0]], nodes[ends[..., 1]]
