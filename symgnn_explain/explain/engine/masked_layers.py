"""The rounds of message passing of a SymGNN, or of the members of an ensemble, under a mask over messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from symgnn_explain.explain.engine.edge_attention import (
    Asked,
    Attended,
    AttentionPullback,
    EdgeConstants,
    EdgeInputs,
    edge_attention,
)
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.models.folded import FoldedDecoder, FoldedLayer
from symgnn_explain.models.symgnn import SymGNN

LayersPullback = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From the gradient of the predictions (A,) to those of initial node features (M, n, dim) and of the mask."""


@dataclass(frozen=True)
class MaskedLayers:
    """Layers with their normalisation folded in, evaluated only where the explained atoms depend on them.

    Parameters
    ----------
    layers, decoder
        Of each member, side by side.
    shifts, constants
        What each layer adds to node features whatever the mask leaves, and what it adds for each head's kept attention.
    changes
        What the reference message of each layer changes by head, shape (M, 1, heads, dim); None without references.
        It arrives as far as there is attention, which is known beforehand where none can go to nothing.
    field
        The edges that pass messages.
    fading
        Logarithm of the weights of the edges, shape (E,).
    first_edge
        Where the edges into each receiving atom start, shape (T + 1,).
    renormalise
        Whether attention is shared among what the mask leaves.
    """

    layers: list[FoldedLayer]
    decoder: FoldedDecoder
    shifts: list[Tensor]
    constants: list[Tensor]
    changes: list[Tensor] | None
    field: ReceptiveField
    fading: Tensor
    first_edge: Tensor
    renormalise: bool

    @classmethod
    def of(
        cls,
        members: Sequence[SymGNN],
        field: ReceptiveField,
        displacement: Tensor,
        *,
        reference: Sequence[Sequence[Tensor]] | None,
        renormalise: bool,
    ) -> MaskedLayers:
        """Fold the layers of the members, with what stands for masked messages; edges have displacements (E, 3)."""
        by_layer = list(zip(*(member.attention_layers for member in members), strict=True))
        layers, depth = [FoldedLayer.of(same) for same in by_layer], len(by_layer)
        first_edge = torch.searchsorted(
            field.target, torch.arange(field.n_nodes[depth - 1] + 1, device=field.target.device)
        )
        fading = members[0].edge_fading(displacement)
        if fading is None:
            fading = displacement.new_zeros(len(displacement), dtype=layers[0].vector.dtype)
        shifts, constants = [layer.messages.bias for layer in layers], [layer.constant for layer in layers]
        changes = None
        if reference is not None:
            means = [torch.stack(same)[:, None] for same in zip(*reference, strict=True)]
            changes = [layer.changed_by(mean) for layer, mean in zip(layers, means, strict=True)]
            if not layers[0].has_sink:
                # All attention goes to neighbours. Where an atom hears nothing, no reference message stands for it.
                hears = (first_edge.diff() > 0).to(changes[0])[:, None]
                shifts = [
                    shift + hears[: field.n_nodes[depth - 1 - number]] * change.sum(2)
                    for number, (shift, change) in enumerate(zip(shifts, changes, strict=True))
                ]
            constants = [constant - change.squeeze(1) for constant, change in zip(constants, changes, strict=True)]
        return cls(
            layers, FoldedDecoder.of(members), shifts, constants, changes, field, fading, first_edge, renormalise
        )

    @cached_property
    def _constants(self) -> list[EdgeConstants]:
        """What no mask changes in each layer."""
        reaches = range(len(self.layers) - 1, -1, -1)
        return [
            EdgeConstants(
                vector=layer.vector,
                fading=self.fading[: self.field.n_edges[reach]],
                source=self.field.source[: self.field.n_edges[reach]],
                first_edge=self.first_edge[: self.field.n_nodes[reach] + 1],
            )
            for layer, reach in zip(self.layers, reaches, strict=True)
        ]

    def edges_into(self, number: int, edge: Tensor) -> Tensor:
        """Return what the edges themselves give to a layer, shape (M, E, heads, dim)."""
        return self.layers[number].by_head(self.layers[number].edges(edge))

    def predict(
        self, node: Tensor, edge: Tensor, from_edge: Tensor, mask: Tensor, *, start: int
    ) -> tuple[Tensor, LayersPullback]:
        """Pass messages from layer ``start`` on, and decode.

        Parameters
        ----------
        node, edge
            Features of atoms (M, n, dim) and of edges (M, E, dim) before that layer.
        from_edge
            :meth:`edges_into` that layer.
        mask
            Over the edges, shape (E,), or (M, E) for one a member.
        """
        shared, mask = mask.ndim == 1, mask.expand(len(node), -1)
        passes: list[_Pass] = []
        for number, layer in enumerate(self.layers[start:], start=start):
            reach = len(self.layers) - 1 - number
            n_nodes, n_edges = self.field.n_nodes[reach], self.field.n_edges[reach]
            n_next = self.field.n_edges[reach - 1] if reach > 0 else 0
            inputs = EdgeInputs(
                node=node,
                from_source=layer.by_head(layer.sources(node)),
                from_target=layer.by_head(layer.targets(node[:, :n_nodes])),
                from_edge=from_edge,
                mask=mask[:, :n_edges],
            )
            whole = None
            if self.changes is not None and layer.has_sink:
                whole = self.changes[number].squeeze(1)
            asked = Asked(
                rounding=layer.rounding,
                nothing=layer.nothing,
                n_hidden=n_next,
                renormalise=self.renormalise,
                counts=whole is not None,
                towards_edges=number > start,
            )
            found, pull = edge_attention(inputs, self._constants[number], asked)
            passes.append(_Pass(layer, self.constants[number], whole, pull, n_nodes, n_edges))
            node = (node[:, :n_nodes] + self.shifts[number]).baddbmm_(found.kept, self.constants[number])
            if whole is not None:
                node.baddbmm_(found.attended, whole)
            node = layer.messages.add_to(node, found.aggregated.flatten(2))
            if layer.edges_out is not None:
                edge = edge[:, :n_next] + layer.edges_out(found.hidden.flatten(2))
                from_edge = self.edges_into(number + 1, edge)
        predictions, pull_decoder = self.decoder(node)

        def pullback(towards: Tensor) -> tuple[Tensor, Tensor]:
            towards_node, towards_edge = pull_decoder(towards), edge[:, :0]
            towards_mask = mask.new_zeros(mask.shape)
            for layer, constant, whole, pull, n_nodes, n_edges in reversed(passes):
                towards_aggregated = layer.by_head(layer.messages.pullback(towards_node))
                if layer.edges_out is None:
                    towards_hidden = towards_aggregated[:, :0]
                else:
                    towards_hidden = layer.by_head(layer.edges_out.pullback(towards_edge))
                towards_kept = torch.bmm(towards_node, constant.mT)
                towards_attended = towards_kept[:, :0] if whole is None else torch.bmm(towards_node, whole.mT)
                found = pull(Attended(towards_kept, towards_attended, towards_aggregated, towards_hidden))
                towards_mask[:, :n_edges].add_(found.mask)
                before = layer.sources.add_pullback_to(found.node, found.from_source.flatten(2))
                layer.targets.add_pullback_to(before[:, :n_nodes].add_(towards_node), found.from_target.flatten(2))
                towards_node = before
                if found.from_edge is not None:
                    edge_before = layer.edges.pullback(found.from_edge.flatten(2))
                    edge_before[:, : towards_edge.shape[1]].add_(towards_edge)
                    towards_edge = edge_before
            return towards_node, towards_mask.sum(0) if shared else towards_mask

        return predictions, pullback


class _Pass(NamedTuple):
    """What the gradient through a layer needs, and how many atoms and edges the layer reaches."""

    layer: FoldedLayer
    constant: Tensor
    whole: Tensor | None
    pull: AttentionPullback
    n_nodes: int
    n_edges: int
