"""Atoms and edges of a receptive field that could have been important, and those that are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.bins import Bins
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.radial import RadialDistribution, radial_distribution

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Candidates(Brief):
    """Atoms, edges or bonds that could have been important, and which of them are.

    Parameters
    ----------
    ids
        Atoms of the glass, or edges of the explanation, shape (M,).
    chosen
        Which of them are important, shape (M,).
    attributes
        What a null model may match, by name, each of shape (M,): ``hop``, ``distance`` (Å) and so on.
    weight
        Importance of each, shape (M,); 0 where it is not chosen.
    reserved
        Candidates that are never taken as the counterpart of an important one, shape (M,): the important ones, and
        edges along the same bond.
    edges, ends
        Of atoms: the edges by which they are important, the first ``k`` by rank, and the candidates at the two ends of
        each, shape (E, 2), -1 where that is none. None of edges and bonds.
    """

    ids: IntArray
    chosen: BoolArray
    attributes: Mapping[str, NDArray[Any]]
    weight: FloatArray
    reserved: BoolArray
    edges: Candidates | None = None
    ends: IntArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_chosen(self) -> int:
        """How many candidates are important."""
        return int(self.chosen.sum())

    def only(self, kept: BoolArray) -> Candidates:
        """Leave out all but some candidates; ``kept`` has shape (M,)."""
        attributes = {name: values[kept] for name, values in self.attributes.items()}
        ends = None
        if self.ends is not None:
            row = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
            ends = row[self.ends]
        return replace(
            self,
            ids=self.ids[kept],
            chosen=self.chosen[kept],
            attributes=attributes,
            weight=self.weight[kept],
            reserved=self.reserved[kept],
            ends=ends,
        )


def atom_candidates(
    explanation: AtomExplanation, glass: Glass, k: int = 50, *, rdf: RadialDistribution | None = None
) -> Candidates:
    """Gather the atoms of the receptive field but the explained one; those on the top ``k`` edges are important.

    Attributes: ``hop`` and ``distance`` (Å) from the explained atom, ``coordination`` (neighbours inside the first
    minimum of the total g(r); left out where it has none), ``number`` (atomic), and whether the atom's place is
    ``ambiguous`` (:class:`~.result.placement.Placement`).

    Parameters
    ----------
    rdf
        The total g(r) of the glass where it is at hand; computed where None.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, no other atom is within reach, or its ``k`` edges touch
        none but the explained one.
    """
    explanation.require_glass(glass)
    table = explanation.important_atoms(k)
    if table.empty:
        if (explanation.source == explanation.target).all():
            raise InputError(f"no other atom is within reach of atom {explanation.atom}: there is nothing to analyse.")
        raise InputError(f"the {k} most important edges touch no atom but the explained one: choose a larger k.")
    placement = place_atoms(explanation)
    others = placement.atoms != explanation.atom
    atoms = placement.atoms[others]
    weight = np.zeros(len(glass))
    weight[table["atom"]] = table["score"]
    chosen = np.isin(atoms, table["atom"])
    attributes = {
        "hop": placement.hop[others],
        "distance": placement.distance[others],
        "number": glass.numbers[atoms],
        "ambiguous": placement.ambiguous[others],
    }
    rdf = radial_distribution(glass) if rdf is None else rdf
    if rdf.minima.size:
        first_minimum = float(rdf.minima[0])
        attributes["coordination"] = np.diff(Bins.of(glass, first_minimum).pairs(atoms)[0])
    ranked = explanation.rank()
    row = np.full(len(glass), -1)
    row[atoms] = np.arange(len(atoms))
    ends = row[np.column_stack([explanation.source, explanation.target])[ranked]]
    edges = _edges(explanation, ranked, k)
    return Candidates(atoms, chosen, attributes, weight[atoms], reserved=chosen, edges=edges, ends=ends)


def edge_candidates(explanation: AtomExplanation, k: int = 10) -> Candidates:
    """Gather the receptive field's edges without self-loops, which are no bonds; the first ``k`` by rank are important.

    Attributes: ``hop`` (of the receiving atom) and ``distance`` (the edge's length, Å). They stand by rank.

    Raises
    ------
    InputError
        If there are fewer than ``k`` such edges.
    """
    ranked = explanation.rank()
    ranked = ranked[~explanation.is_self_loop[ranked]]
    if not 1 <= k <= len(ranked):
        raise InputError(f"{k=} does not fit: the receptive field has {len(ranked)} edges that are no self-loops.")
    return _edges(explanation, ranked, k)


def _edges(explanation: AtomExplanation, ranked: IntArray, k: int) -> Candidates:
    chosen = np.arange(len(ranked)) < k
    attributes = {"hop": explanation.hop[ranked], "distance": explanation.distance[ranked]}
    weight = np.where(chosen, np.abs(explanation.score[ranked]), 0.0)
    return Candidates(ranked, chosen, attributes, weight, reserved=_same_bond(explanation, ranked, ranked[:k]))


def _same_bond(explanation: AtomExplanation, edges: IntArray, chosen: IntArray) -> BoolArray:
    """Which edges run along the bond of a chosen edge, in either direction."""
    rounded = np.rint(100 * explanation.displacement).astype(np.int64)
    ends = np.column_stack([explanation.source, explanation.target, rounded])
    reverse = np.column_stack([explanation.target, explanation.source, -rounded])
    wanted = np.concatenate([ends[chosen], reverse[chosen]])
    bonds = {tuple(row) for row in wanted.tolist()}
    # Few edges have their sender in common with one of these.
    near = np.flatnonzero(np.isin(explanation.source[edges], wanted[:, 0]))
    same = np.zeros(len(edges), dtype=bool)
    same[near] = [tuple(row) in bonds for row in ends[edges[near]].tolist()]
    return same
