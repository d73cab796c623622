"""Predictions of a structure that is being edited: what an edit does not reach is not computed again.

An atom sees its surroundings, and hears of those of others along a few edges. So the atoms within reach of an edit are
described anew, and messages pass to those that can hear of it. It is the same computation as a prediction of the whole
structure, and the tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from symgnn_explain.models.ensemble import SymGNNLike
from symgnn_explain.models.messages import Field, Layers, rows_into
from symgnn_explain.models.predictor import AtomPredictions, Predictor, evaluation_mode
from symgnn_explain.models.sweep import Start, Sweep, bins_for, describe, mean_of_senders, sweep_in_blocks
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.threads import side_by_side
from symgnn_explain.structure.bins import Bins, Edges
from symgnn_explain.structure.edits import Edited
from symgnn_explain.structure.glass import Glass, IntArray
from symgnn_explain.structure.graph import kinds_of

MOST_REDONE = 0.5
"""Where an edit reaches a larger share of the atoms, all are predicted anew."""

ROUNDING = 1e-3
"""Å; so much farther than messages reach, atoms are taken for those within."""


@dataclass(frozen=True, eq=False, repr=False)
class LivePrediction(Brief):
    """The predictions of a glass, and what those of an edited glass start from; make one with :meth:`of`.

    Parameters
    ----------
    predictor, glass
        What predicts, and what about.
    predictions
        Of every atom, with spread and domain score.
    reached
        Atoms that were predicted anew by the latest edit, shape (n,); all at first.

    Examples
    --------
    ::

        before = LivePrediction.of(Predictor.load(), glass)
        after = before.after(apply_edits(glass, [Swap(12, 15)]))
        after.predictions.values - before.predictions.values
    """

    predictor: Predictor
    glass: Glass
    predictions: AtomPredictions
    reached: IntArray
    _found: _Found | None = field(repr=False, default=None)

    @classmethod
    def of(cls, predictor: Predictor, glass: Glass) -> LivePrediction:
        """Predict every atom.

        Raises
        ------
        InputError
            If the network does not know a species of the glass, or atoms overlap.
        """
        model, every = predictor.model, np.arange(len(glass))
        if not isinstance(model, SymGNNLike):  # how far another network sees is not asked
            return cls(predictor, glass, predictor.predict_atoms(glass), every)
        with evaluation_mode(model):
            swept, start, order = sweep_in_blocks(model, glass)
        found = _Found(bins_for(model, glass), _in_file_order(start, order), swept)
        return cls(predictor, glass, predictor.said(swept), every, found)

    def after(self, edited: Edited) -> LivePrediction:
        """Predict every atom of the glass after edits: those that they reach anew, the others as they were.

        Raises
        ------
        InputError
            As :meth:`of`.
        """
        change = self._change(edited)
        if change is None or self._found is None:
            return self.of(self.predictor, edited.glass)
        model, glass, (bins, start, described) = self.predictor.model, edited.glass, change
        # Whoever hears of an atom that was described anew, after as many messages as there are.
        around = Field.of(start.edges, described, len(model.layers))
        atoms = np.sort(described if around.atoms is None else around.atoms)
        members = np.empty((len(glass), self._found.swept.members.shape[1]))
        length = None if start.length is None else np.empty(len(glass))
        kept = np.setdiff1d(np.arange(len(glass)), atoms)
        members[kept] = self._found.swept.members[edited.origin[kept]]
        part = self._predict(start, atoms)
        members[atoms] = part.members
        if length is not None and part.length is not None and self._found.swept.length is not None:
            length[kept] = self._found.swept.length[edited.origin[kept]]
            length[atoms] = part.length
        swept = Sweep(members, length, [])
        return LivePrediction(self.predictor, glass, self.predictor.said(swept), atoms, _Found(bins, start, swept))

    def of_atoms(self, edited: Edited, atoms: IntArray) -> AtomPredictions:
        """Predict some atoms of the glass after edits, and no others; numbers are those after the edits.

        What no message can bring to them is left out: it is quick where few atoms are asked for, whatever has moved.
        """
        change = self._change(edited, atoms)
        if change is None:
            everything = self.of(self.predictor, edited.glass).predictions
            spread, domain = (None if each is None else each[atoms] for each in everything[1:])
            return AtomPredictions(everything.values[atoms], spread, domain)
        return self.predictor.said(self._predict(change[1], atoms))

    def _change(self, edited: Edited, asked: IntArray | None = None) -> tuple[Bins, Start, IntArray] | None:
        """Describe what edits reach; None where all has to be predicted anew. Also say which atoms were described.

        Of the atoms that can be heard by none of the ``asked`` ones it is left open what they are.
        """
        found, model, before, (glass, origin) = self._found, self.predictor.model, self.glass, edited
        if found is None or (glass.cell != before.cell).any() or (glass.pbc != before.pbc).any():
            return None
        known = np.flatnonzero(origin >= 0)
        same = (glass.positions[known] == before.positions[origin[known]]).all(axis=1)
        same &= glass.numbers[known] == before.numbers[origin[known]]
        number = np.full(len(before), -1)
        number[origin[known]] = known
        touched = np.setdiff1d(np.arange(len(glass)), known[same])
        gone = np.setdiff1d(np.arange(len(before)), origin[known[same]])
        kinds, bins = kinds_of(glass, model.species), bins_for(model, glass)
        near_before = number[found.bins.pairs(gone)[1]]
        near = np.concatenate([touched, bins.pairs(touched)[1], near_before[near_before >= 0]])
        described = np.unique(near)
        if asked is not None:
            reach = model.config.cutoff * len(model.layers) + ROUNDING
            heard = np.min([np.linalg.norm(glass.displacements_from(atom), axis=1) for atom in asked], axis=0) < reach
            described = described[heard[described] | (origin[described] < 0)]
        if len(described) > MOST_REDONE * len(glass):
            return None
        part = _nothing(found.start)
        if len(described):
            with torch.no_grad(), evaluation_mode(model), side_by_side() as work_through:
                part = describe(model, bins, kinds, work_through, described)
        return bins, _patched(found.start, part, described, origin, number), described

    @torch.no_grad()
    def _predict(self, start: Start, atoms: IntArray) -> Sweep:
        model = self.predictor.model
        if not len(atoms):
            return Sweep(np.empty((0, len(start.node))), None if start.length is None else np.empty(0), [])
        with evaluation_mode(model), side_by_side() as work_through:
            layers = Layers.of(model)
            received = layers.nothing_received()
            around = Field.of(start.edges, atoms, len(received))
            values = layers.predict(start.node, around, received, work_through)
        length = None if start.length is None else mean_of_senders(start.length, start.edges, atoms)
        return Sweep(values, length, [])


@dataclass(frozen=True, eq=False)
class _Found:
    """What an edit leaves as it is, in the order of the glass."""

    bins: Bins
    start: Start
    swept: Sweep


def _in_file_order(start: Start, order: IntArray) -> Start:
    """Put nodes, of which each is the atom ``order[i]``, into the order of the glass."""
    if (np.diff(order) == 1).all():
        return start
    return _patched(start, _nothing(start), np.empty(0, dtype=np.int64), np.argsort(order), order)


def _nothing(start: Start) -> Start:
    """Return what is known of no atom."""
    edges = Edges(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty((0, 3)))
    return Start(start.node[:, :0], edges, None if start.length is None else np.empty(0))


def _patched(old: Start, part: Start, described: IntArray, origin: IntArray, number: IntArray) -> Start:
    """Put what was described anew in the place of what was known.

    Parameters
    ----------
    old, part
        What was known of all atoms before, and what is known of the atoms ``described`` now.
    described
        Numbers of the latter, rising.
    origin, number
        The number before of each atom, and that now of each atom before.
    """
    n_atoms, n_members, width = len(origin), *old.node.shape[::2]
    kept = np.setdiff1d(np.arange(n_atoms), described)
    before = origin[kept]
    node = old.node.new_empty(n_members, n_atoms, width)
    node[:, kept], node[:, described] = old.node[:, before], part.node
    length = None
    if old.length is not None and part.length is not None:
        length = np.empty(n_atoms)
        length[kept], length[described] = old.length[before], part.length
    counts = np.empty(n_atoms, dtype=np.int64)
    counts[kept], counts[described] = np.diff(old.edges.first)[before], np.diff(part.edges.first)
    first = np.concatenate([[0], np.cumsum(counts)])
    source = np.empty(first[-1], dtype=old.edges.source.dtype)
    displacement = np.empty((first[-1], 3), dtype=old.edges.displacement.dtype)
    here, there = rows_into(first, kept), rows_into(old.edges.first, before)
    source[here], displacement[here] = number[old.edges.source[there]], old.edges.displacement[there]
    here = rows_into(first, described)
    source[here], displacement[here] = part.edges.source, part.edges.displacement
    return Start(node, Edges(first, source, displacement), length)
