"""An atom's prediction, and its gradient, as an exact and fast function of a mask over edges."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.constant_messages import ConstantMessages
from symgnn_explain.explain.engine.edge_attention import MaskPullback
from symgnn_explain.explain.engine.masked_layers import MaskedLayers
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
        :func:`symgnn_explain.models.messages.mean_message`.

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
        predictions: Tensor = _Evaluated.apply(mask, self)
        return predictions.squeeze(0) if self._one else predictions

    @torch.no_grad()
    def with_pullback(self, mask: Tensor) -> tuple[Tensor, MaskPullback]:
        """Predict (A,) under a mask (n_edges,); also return the pullback from their gradients to that of the mask.

        PyTorch records nothing of it, which takes time, and cannot differentiate what comes out.
        """
        mask = mask.contiguous()
        change, pull_change = self._first.change(mask)
        predictions, pull_layers = self._layers.predict(self._base + change, self._edge, self._from_edge, mask, start=1)

        def pullback(towards: Tensor) -> Tensor:
            towards_node, towards_mask = pull_layers(towards)
            return towards_mask + pull_change(towards_node)

        return predictions, pullback

    def _prepare(self, model: SymGNNLike, graph: Data, reference: Sequence[Sequence[Tensor]] | None) -> None:
        """Compute all that does not depend on the mask."""
        if any(module.training for module in model.modules()):
            model = copy.deepcopy(model).eval()
        members, field = members_of(model), self.field
        layers = self._layers = MaskedLayers.of(
            members, field, graph.edge_attr[field.edges], reference=reference, renormalise=self.semantics == "removal"
        )
        n_targets = field.n_nodes[-2]
        described = describe_graph(model, graph)[field.nodes]
        node = torch.stack([member.encode_nodes(described) for member in members])
        edge = torch.stack([member.encode_edges(graph.edge_attr[field.edges]) for member in members])
        found = [
            _attend(member.attention_layers[0], of_node, of_edge, layers.fading, field)
            for member, of_node, of_edge in zip(members, node, edge, strict=True)
        ]
        hidden, attention, idle, message = (torch.stack(parts) for parts in zip(*found, strict=True))
        changes = layers.layers[0].changed_by(message)
        self._base = node[:, :n_targets] + layers.shifts[0]
        if layers.changes is not None:
            changes = changes - layers.changes[0]
            if layers.layers[0].has_sink:
                self._base = torch.baddbmm(self._base, 1 - idle, layers.changes[0].squeeze(1))
        self._first = ConstantMessages.of(
            attention,
            changes,
            torch.unique(described, dim=0, return_inverse=True)[1],
            source=field.source,
            target=field.target,
            idle=idle,
            renormalise=self.semantics == "removal",
        )
        self._edge = self._from_edge = edge[:, :0]
        edges_out = layers.layers[0].edges_out
        if edges_out is not None:
            n_next = field.n_edges[-2]
            self._edge = edge[:, :n_next] + edges_out(hidden[:, :n_next].flatten(2))
            self._from_edge = layers.edges_into(1, self._edge)


class _Evaluated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mask: Tensor, prediction: MaskedForward) -> Tensor:
        predictions, ctx.pullback = prediction.with_pullback(mask.detach())
        return predictions

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, None]:
        return ctx.pullback(towards), None


def _attend(
    layer: EGATLayer, node: Tensor, edge: Tensor, fading: Tensor, field: ReceptiveField
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden edge features of one member's first layer, attention to edges and to nothing, and messages."""
    n_targets = field.n_nodes[-2]
    ends = layer.from_source(node)[field.source] + layer.from_target(node[:n_targets])[field.target]
    hidden = layer.hidden(ends, edge)
    return hidden, *layer.shares(hidden, field.target, n_targets, fading), layer.heads_of(layer.value(node))
