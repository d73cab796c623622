"""One atom's prediction, and its gradient, as an exact and fast function of a mask over edges."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.explain.receptive_field import ReceptiveField
from symgnn_explain.models.egat import EGATLayer
from symgnn_explain.models.symgnn import SymGNN


class MaskedForward:
    """``prediction(mask)`` of one atom, equal to the plain forward of the whole graph with that mask on its messages.

    The mask multiplies each message in every layer, after the softmax (semantics ``zero``, as in the authors' code and
    in PyG). Two observations make it fast without approximating anything: a layer is evaluated only where the explained
    atom depends on it, and the first layer, whose attention and edge update do not depend on the mask, is a weighted
    sum of one constant vector a species.

    The caller's model is copied, never touched.

    Parameters
    ----------
    model
        The network.
    graph
        Its input for the whole glass.
    atom
        The explained atom.
    """

    def __init__(self, model: SymGNN, graph: Data, atom: int) -> None:
        self._model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self._layers = [layer for layer in self._model.layers if isinstance(layer, EGATLayer)]
        self.field = ReceptiveField.of(atom, graph.edge_index, graph.num_nodes, len(self._layers))
        with torch.no_grad():
            self._prepare(graph)

    @property
    def n_edges(self) -> int:
        """Length of the mask: the edges of the receptive field."""
        return len(self.field.edges)

    @property
    def barrier_scale(self) -> Tensor:
        """Standard deviation of the barriers that the network was trained on, eV."""
        return self._model.barrier_scale

    @torch.no_grad()
    def original(self) -> Tensor:
        """Return the network's own prediction (eV, a scalar): nothing masked."""
        return self(self._model.barrier_scale.new_ones(self.n_edges))

    def __call__(self, mask: Tensor) -> Tensor:
        """Predicted barrier (eV, a scalar) with every message of edge ``field.edges[e]`` multiplied by ``mask[e]``."""
        field = self.field
        node = self._first_layer(mask)
        edge = self._edge
        for depth, layer in enumerate(self._layers[1:], start=1):
            reach = len(self._layers) - 1 - depth
            n_edges, n_nodes = field.n_edges[reach], field.n_nodes[reach]
            source, target = field.source[:n_edges], field.target[:n_edges]
            hidden, attention = self._attend(layer, node, edge[:n_edges], n_nodes)
            value = layer.heads_of(layer.value(node)).index_select(0, source)
            message = value * (attention * mask[:n_edges, None])[..., None]
            aggregated = message.new_zeros(n_nodes, layer.heads, layer.dim).index_add(0, target, message)
            node = layer.update_node(node[:n_nodes], aggregated)
            if reach > 0:
                n_next = field.n_edges[reach - 1]
                edge = layer.update_edge(edge[:n_next], hidden[:n_next])
        return self._model.decode(node).squeeze(0)

    def _prepare(self, graph: Data) -> None:
        """Compute all that does not depend on the mask."""
        field, layer, n_layers = self.field, self._layers[0], len(self._layers)
        n_targets = field.n_nodes[n_layers - 1]
        x = graph.x[field.nodes]
        node = self._model.encode_nodes(x)
        edge = self._model.encode_edges(graph.edge_attr[field.edges])
        hidden, self._attention = self._attend(layer, node, edge, n_targets)
        n_next = field.n_edges[n_layers - 2] if n_layers > 1 else 0
        self._edge = layer.update_edge(edge[:n_next], hidden[:n_next])
        self._node = node[:n_targets]
        # Before the first layer atoms of one species are equal, so their messages are multiples of one vector.
        kinds, kind = torch.unique(x, dim=0, return_inverse=True)
        self._kind_value = layer.heads_of(layer.value(self._model.encode_nodes(kinds)))
        self._kind_slot = field.target * len(kinds) + kind[field.source]

    def _first_layer(self, mask: Tensor) -> Tensor:
        layer, n_targets, n_kinds = self._layers[0], len(self._node), len(self._kind_value)
        weight = self._attention * mask[:, None]
        sums = weight.new_zeros(n_targets * n_kinds, layer.heads).index_add(0, self._kind_slot, weight)
        aggregated = torch.einsum("nkh,khd->nhd", sums.view(n_targets, n_kinds, layer.heads), self._kind_value)
        return layer.update_node(self._node, aggregated)

    def _attend(self, layer: EGATLayer, node: Tensor, edge: Tensor, n_targets: int) -> tuple[Tensor, Tensor]:
        """``f_ij`` and attention of the first ``len(edge)`` edges, which lead into the first ``n_targets`` atoms."""
        source, target = self.field.source[: len(edge)], self.field.target[: len(edge)]
        ends = layer.from_source(node).index_select(0, source)
        ends = ends + layer.from_target(node[:n_targets]).index_select(0, target)
        hidden = layer.hidden(ends, edge)
        return hidden, layer.attention(hidden, target, n_targets)
