"""An atom's prediction, and its gradient, as an exact and fast function of a mask over edges."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.constant_messages import ConstantMessages
from symgnn_explain.explain.engine.edge_attention import EdgeInputs, KnownMessages, edge_attention
from symgnn_explain.explain.engine.folded_layer import FoldedLayer
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.models.ensemble import describe_graph
from symgnn_explain.models.symgnn import SymGNN

MaskSemantics = Literal["zero", "removal", "reference"]
"""What a mask value m does to the message of an edge with attention a (softmax over the edges into an atom):

- ``zero``: a·m·message (the authors', PyG's);
- ``removal``: the softmax is over what is left, exp(·)·m / Σ exp(·)·m: m = 0 removes the edge from the graph;
- ``reference``: a·(m·message + (1 - m)·reference), with what an atom receives on average in that layer.
"""

MASK_SEMANTICS: tuple[MaskSemantics, ...] = get_args(MaskSemantics)


class MaskedForward:
    """``prediction(mask)``, equal to the plain forward of the whole graph with that mask on its messages.

    Two observations make it fast without approximating anything: a layer is evaluated only where the explained atom
    depends on it, and the first layer, whose attention and edge update do not depend on the mask, is a weighted sum of
    constant vectors. Normalisation is folded into the linear maps that follow it.

    The caller's model is copied, never touched.

    Parameters
    ----------
    model
        The network.
    graph
        Its input for the whole glass.
    atoms
        The explained atom, or several that are explained at once; one may be named several times.
    semantics
        What a mask does to a message.
    reference
        The reference message of each layer, shape (heads, dim); see :mod:`symgnn_explain.explain.engine.reference`.

    Raises
    ------
    InputError
        If the semantics are unknown, or ``reference`` without reference messages.
    """

    def __init__(
        self,
        model: SymGNN,
        graph: Data,
        atoms: int | Sequence[int],
        *,
        semantics: MaskSemantics = "zero",
        reference: Sequence[Tensor] | None = None,
    ) -> None:
        if semantics not in MASK_SEMANTICS:
            raise InputError(f"{semantics=} is unknown: choose from {', '.join(MASK_SEMANTICS)}.")
        if semantics == "reference" and reference is None:
            raise InputError("the semantics 'reference' need reference messages: give them, or choose others.")
        self.semantics = semantics
        self._model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self._one = isinstance(atoms, int)
        fields = [
            ReceptiveField.of(atom, graph.edge_index, graph.num_nodes, len(model.layers))
            for atom in ([atoms] if isinstance(atoms, int) else atoms)
        ]
        self.field = ReceptiveField.beside(fields)
        with torch.no_grad():
            self._layers = [FoldedLayer.of(layer) for layer in self._model.attention_layers]
            self._reference = list(reference) if semantics == "reference" and reference is not None else None
            self._prepare(graph)

    @property
    def n_edges(self) -> int:
        """Length of the mask: the edges of the receptive field."""
        return len(self.field.edges)

    @property
    def barrier_scale(self) -> Tensor:
        """Standard deviation of the barriers that the network was trained on, eV."""
        return self._model.barrier_scale

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network, and so of masks."""
        return self._model.barrier_scale.dtype

    @torch.no_grad()
    def original(self) -> Tensor:
        """Return the network's own prediction (eV): nothing masked."""
        return self(self._model.barrier_scale.new_ones(self.n_edges))

    @torch.no_grad()
    def baseline(self) -> Tensor:
        """Return the prediction (eV) with everything masked."""
        return self(self._model.barrier_scale.new_zeros(self.n_edges))

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict barriers (eV), a scalar or one an atom, with message ``field.edges[e]`` masked by ``mask[e]``."""
        field, depth = self.field, len(self._layers)
        node, edge, from_edge = self._first_layer(mask), self._edge, self._from_edge
        for number, layer in enumerate(self._layers[1:], start=1):
            reach = depth - 1 - number
            n_edges, n_nodes = field.n_edges[reach], field.n_nodes[reach]
            n_next = field.n_edges[reach - 1] if reach > 0 else 0
            value = layer.value(node)
            if self._reference is not None:
                value = value - self._reference[number]
            inputs = EdgeInputs(
                from_source=layer.from_source(node),
                from_target=layer.from_target(node[:n_nodes]),
                from_edge=from_edge,
                value=value,
                vector=layer.vector,
                mask=mask[:n_edges],
                source=field.source[:n_edges],
                target=field.target[:n_edges],
            )
            aggregated, hidden = edge_attention(inputs, n_hidden=n_next, renormalise=self.semantics == "removal")
            if self._reference is not None:
                aggregated = aggregated + self._received[:n_nodes, None, None] * self._reference[number]
            node = layer.update_node(node[:n_nodes], aggregated)
            if reach > 0:
                edge = layer.update_edge(edge[:n_next], hidden)
                from_edge = self._layers[number + 1].from_edge(edge)
        barriers = self._model.decode(node)
        return barriers.squeeze(0) if self._one else barriers

    def _prepare(self, graph: Data) -> None:
        """Compute all that does not depend on the mask."""
        field, layer, depth = self.field, self._layers[0], len(self._layers)
        n_targets = field.n_nodes[depth - 1]
        described = describe_graph(self._model, graph)[field.nodes]
        node = self._model.encode_nodes(described)
        edge = self._model.encode_edges(graph.edge_attr[field.edges])
        source, target = field.source, field.target
        hidden, attention = layer.attend(node, edge, source, target, n_targets)
        if depth > 1:
            n_next = field.n_edges[depth - 2]
            self._edge = layer.update_edge(edge[:n_next], hidden[:n_next])
            self._from_edge = self._layers[1].from_edge(self._edge)
        else:
            self._edge = self._from_edge = edge[:0]
        self._node = node[:n_targets]
        self._received = torch.zeros(n_targets, dtype=edge.dtype, device=edge.device)
        self._received[target] = 1.0
        value = layer.value(node)
        if self._reference is not None:
            value = value - self._reference[0]
        self._first = ConstantMessages.of(KnownMessages(attention, value, source, target), n_targets)

    def _first_layer(self, mask: Tensor) -> Tensor:
        aggregated = self._first.aggregate(mask, renormalise=self.semantics == "removal")
        if self._reference is not None:
            aggregated = aggregated + self._received[:, None, None] * self._reference[0]
        return self._layers[0].update_node(self._node, aggregated)
