"""The bonds of a receptive field: both directions of an edge as one, and which bonds are important."""

from __future__ import annotations

import numpy as np

from symgnn_explain.analysis.nulls.candidates import Candidates
from symgnn_explain.analysis.topology.alpha import name_bonds
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.structure.glass import Glass, IntArray

SWAPS_PER_BOND = 10
"""Swaps that are tried for each bond when a graph is rewired: more change nothing any more (Milo et al., 2003)."""


def field_bonds(explanation: AtomExplanation, glass: Glass, k: int = 50) -> tuple[IntArray, Candidates]:
    """Merge both directions of each edge; bonds with a direction among the ``k`` most important edges are important.

    An atom's edges to itself and its own images are no bonds: where they are among the ``k`` there are the fewer bonds.

    Returns
    -------
    bonds, candidates
        Bonds, named as by :func:`~.alpha.canonical_bonds`, shape (B, 5); and which are important, with ``hop_near`` and
        ``hop_far`` (hops of both atoms from the explained one) and ``distance`` (length, Å). The weight is the sum of
        the absolute scores of both directions.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or its ``k`` edges join no two atoms.
    """
    explanation.require_glass(glass)
    edges = np.flatnonzero(explanation.source != explanation.target)
    source, target = explanation.source[edges], explanation.target[edges]
    named = name_bonds(glass, target, source, explanation.displacement[edges])
    # One number a bond sorts many times as fast as five, in the same order.
    low = named.min(axis=0, initial=0)
    codes = np.ravel_multi_index(tuple((named - low).T), tuple(named.max(axis=0, initial=0) - low + 1))
    _, first, row = np.unique(codes, return_index=True, return_inverse=True)
    bonds = named[first]
    is_top = np.zeros(len(explanation), dtype=bool)
    is_top[explanation.top_edges(k)["edge"]] = True
    important = np.bincount(row, is_top[edges], minlength=len(bonds)) > 0
    if not important.any():
        if not len(edges):
            raise InputError(f"no other atom is within reach of atom {explanation.atom}: there is no bond.")
        raise InputError(f"the {k} most important edges are self-loops, and join no two atoms: choose a larger k.")
    placement = place_atoms(explanation)
    near, far = np.sort(placement.hop[placement.rows_of(bonds[:, :2])], axis=1).T
    attributes = {"hop_near": near, "hop_far": far, "distance": explanation.distance[edges][first]}
    score = np.bincount(row, np.abs(explanation.score[edges]), minlength=len(bonds))
    return bonds, Candidates(
        np.arange(len(bonds)), important, attributes, np.where(important, score, 0.0), reserved=important
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
