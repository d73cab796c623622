"""An attention layer in evaluation mode, with its normalisation folded into the linear maps that follow it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from symgnn_explain.models.egat import EGATLayer


@dataclass(frozen=True)
class FoldedLayer:
    """What a masked forward needs of an :class:`EGATLayer`; heads are always an axis of their own.

    Parameters
    ----------
    layer
        The layer, in evaluation mode.
    node_weight, node_bias
        Linear map from the aggregated messages (heads · dim) to the change of node features (dim).
    edge_weight, edge_bias
        The same from the hidden edge features to the change of edge features; None in the last layer.
    """

    layer: EGATLayer
    node_weight: Tensor
    node_bias: Tensor
    edge_weight: Tensor | None
    edge_bias: Tensor | None

    @classmethod
    def of(cls, layer: EGATLayer) -> FoldedLayer:
        """Fold ``layer``."""
        node_weight, node_bias = _fold(layer.node_norm, layer.node_out)
        if layer.last:
            # The last layer averages its heads.
            return cls(layer, node_weight.repeat(1, layer.heads) / layer.heads, node_bias, None, None)
        return cls(layer, node_weight, node_bias, *_fold(layer.edge_norm, layer.edge_out))

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        return self.layer.heads

    @property
    def vector(self) -> Tensor:
        """The vector that turns hidden edge features into logits, shape (heads, dim)."""
        return self.layer.attention_vector

    def from_source(self, node: Tensor) -> Tensor:
        """Contribution of the sending atoms to the hidden edge features, shape (n, heads, dim)."""
        return self.layer.heads_of(self.layer.from_source(node))

    def from_target(self, node: Tensor) -> Tensor:
        """Contribution of the receiving atoms, shape (n, heads, dim)."""
        return self.layer.heads_of(self.layer.from_target(node))

    def from_edge(self, edge: Tensor) -> Tensor:
        """Contribution of the edge features, shape (e, heads, dim)."""
        return self.layer.heads_of(self.layer.from_edge(edge))

    def value(self, node: Tensor) -> Tensor:
        """Message of each atom before attention, shape (n, heads, dim)."""
        return self.layer.heads_of(self.layer.value(node))

    def attend(
        self, node: Tensor, edge: Tensor, source: Tensor, target: Tensor, n_targets: int
    ) -> tuple[Tensor, Tensor]:
        """Hidden edge features (e, heads, dim) and attention (e, heads), as the layer itself computes them."""
        ends = self.layer.from_source(node).index_select(0, source)
        ends = ends + self.layer.from_target(node[:n_targets]).index_select(0, target)
        hidden = self.layer.hidden(ends, edge)
        return hidden, self.layer.attention(hidden, target, n_targets)

    def update_node(self, node: Tensor, aggregated: Tensor) -> Tensor:
        """Residual update of node features from aggregated messages (n, heads, dim)."""
        return node + functional.linear(aggregated.flatten(1), self.node_weight, self.node_bias)

    def update_edge(self, edge: Tensor, hidden: Tensor) -> Tensor:
        """Residual update of edge features; the last layer leaves them as they are."""
        if self.edge_weight is None:
            return edge
        return edge + functional.linear(hidden.flatten(1), self.edge_weight, self.edge_bias)


def _fold(norm: nn.BatchNorm1d, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("the normalisation keeps no running statistics")
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.double() - norm.running_mean.double() * scale
    weight = linear.weight.double()
    bias = linear.bias.double() + weight @ shift
    return (weight * scale).to(linear.weight), bias.to(linear.weight)
