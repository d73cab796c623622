"""An atom's prediction, and its gradient, as an exact and fast function of a mask over edges."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.constant_messages import ConstantMessages
from symgnn_explain.explain.engine.edge_attention import (
    Attended,
    AttentionPullback,
    EdgeInputs,
    MaskPullback,
    edge_attention,
)
from symgnn_explain.explain.engine.folded_layer import FoldedDecoder, FoldedLayer
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS, MaskSemantics
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.models.egat import EGATLayer
from symgnn_explain.models.ensemble import SymGNNLike, describe_graph, members_of


class MaskedForward:
    """``prediction(mask)``, equal to the plain forward of the whole graph with that mask on its messages.

    Two observations make it fast without approximating anything: a layer is evaluated only where the explained atom
    depends on it, and the first layer, whose attention and edge update do not depend on the mask, is a weighted sum of
    constant vectors. Normalisation is folded into the linear maps beside it, the members of an ensemble are evaluated
    side by side under one mask, and gradients towards the mask are written out by hand.

    The caller's model is read, never touched.

    Parameters
    ----------
    model
        The network, or an ensemble of networks.
    graph
        Its input for the whole glass.
    atoms
        The explained atom, or several that are explained at once; one may be named several times.
    semantics
        What a mask does to a message.
    reference
        The reference message of each layer of each member (or of the one network), shape (heads, dim); see
        :mod:`symgnn_explain.explain.engine.reference`.

    Raises
    ------
    InputError
        If the semantics are unknown, or ``reference`` without reference messages.
    """

    def __init__(
        self,
        model: SymGNNLike,
        graph: Data,
        atoms: int | Sequence[int],
        *,
        semantics: MaskSemantics = "zero",
        reference: Sequence[Sequence[Tensor]] | None = None,
    ) -> None:
        if semantics not in MASK_SEMANTICS:
            raise InputError(f"{semantics=} is unknown: choose from {', '.join(MASK_SEMANTICS)}.")
        if semantics == "reference" and reference is None:
            raise InputError("the semantics 'reference' need reference messages: give them, or choose others.")
        self.semantics = semantics
        self.label_scale = model.label_scale
        """Standard deviation of the labels that the network was trained on."""
        self._one = isinstance(atoms, int)
        fields = [
            ReceptiveField.of(atom, graph.edge_index, graph.num_nodes, len(model.layers))
            for atom in ([atoms] if isinstance(atoms, int) else atoms)
        ]
        self.field = ReceptiveField.beside(fields)
        self._first_edge = torch.searchsorted(
            self.field.target, torch.arange(self.field.n_nodes[-2] + 1, device=self.field.target.device)
        )
        with torch.no_grad():
            self._prepare(model, graph, reference if semantics == "reference" else None)

    @property
    def n_edges(self) -> int:
        """Length of the mask: the edges of the receptive field."""
        return len(self.field.edges)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network, and so of masks."""
        return self.label_scale.dtype

    def original(self) -> Tensor:
        """Return the network's own prediction: nothing masked."""
        return self(self.label_scale.new_ones(self.n_edges))

    def baseline(self) -> Tensor:
        """Return the prediction with everything masked."""
        return self(self.label_scale.new_zeros(self.n_edges))

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict, a scalar or one an atom, with message ``field.edges[e]`` masked by ``mask[e]``."""
        predictions: Tensor = _Evaluated.apply(mask, self._evaluate)
        return predictions.squeeze(0) if self._one else predictions

    def _prepare(self, model: SymGNNLike, graph: Data, reference: Sequence[Sequence[Tensor]] | None) -> None:
        """Compute all that does not depend on the mask."""
        if any(module.training for module in model.modules()):
            model = copy.deepcopy(model).eval()
        members, field = members_of(model), self.field
        by_layer = list(zip(*(member.attention_layers for member in members), strict=True))
        depth, n_targets = len(by_layer), field.n_nodes[-2]
        layers = self._layers = [FoldedLayer.of(same) for same in by_layer]
        self._decoder = FoldedDecoder.of(members)
        described = describe_graph(model, graph)[field.nodes]
        node = torch.stack([member.encode_nodes(described) for member in members])
        edge = torch.stack([member.encode_edges(graph.edge_attr[field.edges]) for member in members])
        attended = [
            _attend(layer, of_node, of_edge, field, n_targets)
            for layer, of_node, of_edge in zip(by_layer[0], node, edge, strict=True)
        ]
        hidden, attention, message = (torch.stack(parts) for parts in zip(*attended, strict=True))
        # What a layer adds to node features whatever the mask leaves, and what it adds for each head's kept attention.
        self._shifts, self._constants = [layer.messages.bias for layer in layers], [layer.constant for layer in layers]
        if reference is not None:
            means = [torch.stack(same)[:, None] for same in zip(*reference, strict=True)]
            message = message - means[0]
            changed = [layer.changed_by(mean) for layer, mean in zip(layers, means, strict=True)]
            # Where an atom hears nothing, no reference message stands for it.
            hears = (self._first_edge.diff() > 0).to(message)[:, None]
            self._shifts = [
                shift + hears[: field.n_nodes[depth - 1 - number]] * change.sum(2)
                for number, (shift, change) in enumerate(zip(self._shifts, changed, strict=True))
            ]
            self._constants = [
                constant - change.squeeze(1) for constant, change in zip(self._constants, changed, strict=True)
            ]
        self._base = node[:, :n_targets] + self._shifts[0]
        self._first = ConstantMessages.of(
            attention,
            layers[0].changed_by(message),
            torch.unique(described, dim=0, return_inverse=True)[1],
            source=field.source,
            target=field.target,
            n_targets=n_targets,
            renormalise=self.semantics == "removal",
        )
        self._edge = self._from_edge = edge[:, :0]
        if layers[0].edges_out is not None:
            n_next = field.n_edges[depth - 2]
            self._edge = edge[:, :n_next] + layers[0].edges_out(hidden[:, :n_next].flatten(2))
            self._from_edge = layers[1].by_head(layers[1].edges(self._edge))

    def _evaluate(self, mask: Tensor) -> tuple[Tensor, MaskPullback]:
        """Predict (A,) and return the pullback from their gradients to that of the mask."""
        change, pull_change = self._first.change(mask)
        node, edge, from_edge = self._base + change, self._edge, self._from_edge
        passes: list[_Pass] = []
        for number, layer in enumerate(self._layers[1:], start=1):
            reach = len(self._layers) - 1 - number
            n_nodes, n_edges = self.field.n_nodes[reach], self.field.n_edges[reach]
            n_next = self.field.n_edges[reach - 1] if reach > 0 else 0
            inputs = EdgeInputs(
                node=node,
                from_source=layer.by_head(layer.sources(node)),
                from_target=layer.by_head(layer.targets(node[:, :n_nodes])),
                from_edge=from_edge,
                vector=layer.vector,
                mask=mask[:n_edges],
                source=self.field.source[:n_edges],
                first_edge=self._first_edge[: n_nodes + 1],
            )
            found, pull = edge_attention(
                inputs, n_hidden=n_next, renormalise=self.semantics == "removal", towards_edges=number > 1
            )
            passes.append(_Pass(layer, self._constants[number], pull, n_nodes, n_edges))
            node = torch.baddbmm(node[:, :n_nodes] + self._shifts[number], found.kept, self._constants[number])
            node = layer.messages.add_to(node, found.aggregated.flatten(2))
            if layer.edges_out is not None:
                edge = edge[:, :n_next] + layer.edges_out(found.hidden.flatten(2))
                from_edge = self._layers[number + 1].by_head(self._layers[number + 1].edges(edge))
        predictions, pull_decoder = self._decoder(node)

        def pullback(towards: Tensor) -> Tensor:
            towards_node, towards_edge = pull_decoder(towards), edge[:, :0]
            towards_mask = torch.zeros_like(mask)
            for layer, constant, pull, n_nodes, n_edges in reversed(passes):
                towards_aggregated = layer.by_head(layer.messages.pullback(towards_node))
                towards_hidden = towards_aggregated[:, :0]
                if layer.edges_out is not None:
                    towards_hidden = layer.by_head(layer.edges_out.pullback(towards_edge))
                found = pull(Attended(torch.bmm(towards_node, constant.mT), towards_aggregated, towards_hidden))
                towards_mask[:n_edges] += found.mask
                before = layer.sources.add_pullback_to(found.node, found.from_source.flatten(2))
                before[:, :n_nodes] += layer.targets.add_pullback_to(towards_node, found.from_target.flatten(2))
                towards_node = before
                if found.from_edge is not None:
                    edge_before = layer.edges.pullback(found.from_edge.flatten(2))
                    edge_before[:, : towards_edge.shape[1]] += towards_edge
                    towards_edge = edge_before
            return towards_mask + pull_change(towards_node)

        return predictions, pullback


class _Pass(NamedTuple):
    """What the gradient through a layer needs, and how many atoms and edges the layer reaches."""

    layer: FoldedLayer
    constant: Tensor
    pull: AttentionPullback
    n_nodes: int
    n_edges: int


class _Evaluated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mask: Tensor, evaluate: Callable[[Tensor], tuple[Tensor, MaskPullback]]) -> Tensor:
        predictions, ctx.pullback = evaluate(mask.detach().contiguous())
        return predictions

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, None]:
        return ctx.pullback(towards), None


def _attend(
    layer: EGATLayer, node: Tensor, edge: Tensor, field: ReceptiveField, n_targets: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden edge features and attention of one member's first layer, and its messages, as the layer computes them."""
    ends = layer.from_source(node)[field.source] + layer.from_target(node[:n_targets])[field.target]
    hidden = layer.hidden(ends, edge)
    return hidden, layer.attention(hidden, field.target, n_targets), layer.heads_of(layer.value(node))
