"""An atom's prediction as an exact function of a mask over pairs: messages and descriptors at once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_layers import MaskedLayers
from symgnn_explain.explain.engine.masked_surroundings import MaskedSurroundings, NeighbourPairs
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.models.environment import AtomicEnvironment
from symgnn_explain.models.folded import FoldedNodeEncoder
from symgnn_explain.models.symgnn import SymGNN


@dataclass(frozen=True, eq=False)
class PairList:
    """Every pair that a graph knows of, self-loops included.

    Parameters
    ----------
    index
        Atoms that send and receive, shape (2, P).
    vector
        ``r_source - r_target``, shape (P, 3), Å.
    """

    index: Tensor
    vector: Tensor

    @classmethod
    def of(cls, graph: Data) -> PairList:
        """List the pairs that descriptors look at, and the self-loops among the edges."""
        if "pair_index" not in graph:
            return cls(graph.edge_index, graph.edge_attr)
        looped = _looped(graph.edge_index, graph.edge_attr)
        return cls(
            torch.cat([graph.pair_index, graph.edge_index[:, looped]], dim=1),
            torch.cat([graph.pair_attr, graph.edge_attr[looped]]),
        )


class PairForward:
    """``prediction(mask)``: all that atom i learns from atom j by pair ``field.edges[p]`` is masked by ``mask[p]``.

    That is the message, and j's share of the descriptors of i; see
    :mod:`symgnn_explain.explain.engine.masked_surroundings` for what a mask does to them.

    Parameters
    ----------
    environment
        What describes surroundings.
    members
        The networks whose predictions are averaged. They are read, never touched.
    graph, pairs
        Their input for the whole glass, and its pairs.
    atoms
        The explained atom, or several that are explained at once; one may be named several times.
    semantics
        What a mask does.
    reference
        The reference message of each layer of each member, shape (heads, dim).

    Raises
    ------
    InputError
        If an edge of the graph is none of its pairs.
    """

    def __init__(
        self,
        environment: AtomicEnvironment,
        members: Sequence[SymGNN],
        graph: Data,
        pairs: PairList,
        atoms: int | Sequence[int],
        *,
        semantics: MaskSemantics,
        reference: Sequence[Sequence[Tensor]] | None,
    ) -> None:
        self.semantics = semantics
        self.label_scale = members[0].label_scale
        self._one = isinstance(atoms, int)
        depth = len(members[0].layers)
        self.field = field = ReceptiveField.beside(
            [
                ReceptiveField.with_surroundings(atom, graph.edge_index, pairs.index, graph.num_nodes, depth)
                for atom in ([atoms] if isinstance(atoms, int) else atoms)
            ]
        )
        with torch.no_grad():
            vector = pairs.vector[field.edges]
            looped = _looped(pairs.index[:, field.edges], vector)
            self.edge_number = _edge_numbers(graph, pairs, field)
            """Edge of the graph that each pair is, shape (n_edges,); -1 where it passes no message."""
            self.describes = ~looped
            """Whether a pair is part of a description, shape (n_edges,): all but self-loops."""
            passes = self.edge_number >= 0
            self._environment = environment
            # In double precision, as the network itself describes.
            kind = graph.x[field.nodes].double()
            self._own_kind = kind[: field.n_nodes[depth]]
            self._surroundings = MaskedSurroundings(
                environment,
                NeighbourPairs(
                    kind, field.source, field.target, vector.double(), passes & ~looped, looped, field.n_nodes[depth]
                ),
                replaced=semantics == "reference",
            )
            self.messages = torch.nonzero(passes[: field.n_edges[depth - 1]]).squeeze(1)
            """Which pairs pass messages that reach the explained atoms."""
            self._encode = FoldedNodeEncoder.of(members)
            self._fold = partial(
                MaskedLayers.of,
                members,
                reference=reference if semantics == "reference" else None,
                renormalise=semantics == "removal",
            )
            self._vector = vector[self.messages]
            self._layers = self._fold(_of_messages(field, self.messages, depth), self._vector)
            edge = torch.stack([_evaluated(member).encode_edges(self._vector) for member in members])
            self._edge, self._from_edge = edge, self._layers.edges_into(0, edge)

    @property
    def n_edges(self) -> int:
        """Length of the mask: the pairs that the prediction depends on."""
        return len(self.field.edges)

    @property
    def n_members(self) -> int:
        """M, the networks whose predictions are averaged."""
        return len(self._edge)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network, and so of masks."""
        return self.label_scale.dtype

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict, a scalar or one number an atom."""
        return self.parted(mask, mask)

    @torch.no_grad()
    def under(self, masks: Tensor) -> Tensor:
        """Predict under each of several masks (B, n_edges) on one atom, shape (B,), without gradients.

        Atoms that the mask before described alike are not encoded again.
        """
        before = self.described(masks[0])
        node, found = self.encoded(before), []
        for mask in masks:
            described = self.described(mask)
            rows = torch.nonzero((described != before).any(dim=1)).squeeze(1)
            node = node.index_copy(1, rows, self.encoded(described[rows]))
            before = described
            found.append(self.passed(node, mask.index_select(0, self.messages)))
        return torch.stack(found)

    def parted(self, of_messages: Tensor, of_descriptors: Tensor) -> Tensor:
        """Predict with one mask (n_edges,) on messages and another on descriptors."""
        node = self.encoded(self.described(of_descriptors))
        return self.passed(node, of_messages.index_select(0, self.messages))

    def described(self, mask: Tensor) -> Tensor:
        """Describe the surroundings of each atom that sends or receives messages, shape (T, F), under a mask."""
        return self._environment.features(self._own_kind, self._surroundings(mask.double()))

    def encoded(self, described: Tensor) -> Tensor:
        """Turn rows of descriptors, (n, F) or (M, n, F) for others a member, into node features (M, n, dim)."""
        return self._encode(described.to(self.label_scale))

    def passed(self, node: Tensor, mask: Tensor) -> Tensor:
        """Predict from initial node features (M, T, dim) with a mask on those pairs that are ``messages``.

        The mask has the shape (messages,), or (M, messages) for another one a member.
        """
        predictions: Tensor = _Passed.apply(node, mask, self._layers, self._edge, self._from_edge)
        return predictions.squeeze(0) if self._one else predictions

    def copies(self, count: int) -> MessageCopies:
        """Put the messages under several masks side by side, for many predictions without gradients."""
        one, n_messages = self._layers.field, len(self.messages)
        both = ReceptiveField.beside(
            [
                replace(one, nodes=torch.arange(len(one.nodes)) + copy * len(one.nodes), edges=numbers)
                for copy, numbers in enumerate(torch.arange(count * n_messages).split(n_messages))
            ]
        )
        which = both.edges % n_messages
        return MessageCopies(
            self._fold(both, self._vector[which]),
            self._edge[:, which],
            self._from_edge[:, which],
            both.nodes,
            both.edges,
        )

    def original(self) -> Tensor:
        """Return the network's own prediction: nothing masked."""
        with torch.no_grad():
            return self(self.label_scale.new_ones(self.n_edges))

    def baseline(self) -> Tensor:
        """Return the prediction with everything masked."""
        with torch.no_grad():
            return self(self.label_scale.new_zeros(self.n_edges))


@dataclass(frozen=True, eq=False)
class MessageCopies:
    """Messages of one atom under B masks side by side.

    Parameters
    ----------
    layers, edge, from_edge
        Of all copies.
    nodes, edges
        Which atom of which copy each one is, as a number of (B, T) counted row by row; the same of messages, (B, E).
    """

    layers: MaskedLayers
    edge: Tensor
    from_edge: Tensor
    nodes: Tensor
    edges: Tensor

    def __call__(self, node: Tensor, mask: Tensor) -> Tensor:
        """Predict, shape (B,), from node features (M, B · T, dim) in the order of ``nodes`` and masks (B, E)."""
        predictions, _ = self.layers.predict(node, self.edge, self.from_edge, mask.flatten()[self.edges], start=0)
        return predictions


class _Passed(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any, node: Tensor, mask: Tensor, layers: MaskedLayers, edge: Tensor, from_edge: Tensor
    ) -> Tensor:
        predictions, ctx.pullback = layers.predict(
            node.detach().contiguous(), edge, from_edge, mask.detach().contiguous(), start=0
        )
        return predictions

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        return *ctx.pullback(towards), None, None, None


def _evaluated(member: SymGNN) -> SymGNN:
    return copy.deepcopy(member).eval() if member.training else member


def _looped(index: Tensor, vector: Tensor) -> Tensor:
    return (index[0] == index[1]) & (vector.square().sum(dim=1) == 0)


def _of_messages(field: ReceptiveField, messages: Tensor, depth: int) -> ReceptiveField:
    """Leave of a field the pairs that pass messages."""
    hop = field.hop[messages]
    return ReceptiveField(
        nodes=field.nodes[: field.n_nodes[depth]],
        edges=field.edges[messages],
        source=field.source[messages],
        target=field.target[messages],
        hop=hop,
        owner=field.owner[messages],
        n_nodes=field.n_nodes[: depth + 1],
        n_edges=tuple(torch.searchsorted(hop, torch.arange(depth, device=hop.device), right=True).tolist()),
    )


def _edge_numbers(graph: Data, pairs: PairList, field: ReceptiveField) -> Tensor:
    """Return the edge that each pair of a field is, or -1, shape (P,); raise InputError if an edge is no pair."""
    if "pair_index" not in graph:
        return field.edges
    found = torch.full((pairs.index.shape[1],), -1)
    within = torch.zeros(graph.num_nodes, dtype=torch.bool, device=field.edges.device)
    within[field.nodes[: field.n_nodes[-2]]] = True
    edges = torch.nonzero(within[graph.edge_index[1]]).squeeze(1)
    listed = torch.unique(field.edges)
    one = _rows(graph.edge_index[:, edges], graph.edge_attr[edges], graph.num_nodes)
    other = _rows(pairs.index[:, listed], pairs.vector[listed], graph.num_nodes)
    if len(np.unique(other[:, 0])) == len(other):  # no atom sees two images of another
        one, other = one[:, 0], other[:, 0]
        order = np.argsort(other)
        place = order[np.minimum(np.searchsorted(other, one, sorter=order), len(other) - 1)]
        known = other[place] == one
    else:
        _, number = np.unique(np.concatenate([other, one]), axis=0, return_inverse=True)
        number = number.reshape(-1)
        at = np.full(int(number.max()) + 1, -1)
        at[number[: len(other)]] = np.arange(len(other))
        place = at[number[len(other) :]]
        known = place >= 0
    if not known.all():
        raise InputError(
            "an edge of the graph is none of its pairs, so that it is not known what descriptors see of it: give the "
            "graph that the network itself builds of a glass."
        )
    found[listed.cpu()[torch.from_numpy(place)]] = edges.cpu()
    return found.to(field.edges.device)[field.edges]


def _rows(index: Tensor, vector: Tensor, n_atoms: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    key = (index[1] * n_atoms + index[0]).double()
    return torch.cat([key[:, None], vector.double()], dim=1).cpu().numpy()
