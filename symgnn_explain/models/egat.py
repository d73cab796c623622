"""The edge-featured attention layer of SymGNN (Li et al., ICML 2024, section 4.2) as a PyG ``MessagePassing``."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from symgnn_explain.models.training_step import Edges, Kind, Weights, is_sorted, step

NEGATIVE_SLOPE = 0.01
"""Of LeakyReLU."""

ROUNDING = 0.25
"""Of a smooth LeakyReLU: a hyperbola stands for its corner, whose distance from it is half the root of this."""


def leaky(values: Tensor, slope: float | Tensor, rounding: float) -> Tensor:
    """Apply LeakyReLU; a ``rounding`` above 0 makes it infinitely smooth."""
    if not rounding:
        return torch.where(values > 0, values, slope * values)
    return ((1 + slope) * values + (1 - slope) * (values.square() + rounding).sqrt()) / 2


def leaky_slope(values: Tensor, slope: Tensor, rounding: float) -> Tensor:
    """Return the derivative of :func:`leaky`."""
    if not rounding:
        return torch.where(values > 0, 1.0, slope)
    return ((1 + slope) + (1 - slope) * values / (values.square() + rounding).sqrt()) / 2


class SmoothPReLU(nn.PReLU):
    """PReLU with a rounded corner."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        """Apply it."""
        return leaky(input, self.weight, ROUNDING)


class EGATLayer(MessagePassing):
    """One round of attention in which edges have features of their own and are updated too.

    For each head, with ``[·‖·‖·]`` a concatenation::

        f_ij = LeakyReLU(A [h_i ‖ h_j ‖ e_ij])      attention a_ij = softmax over incoming edges of (a · f_ij)
        h_i ← h_i + Linear(BN(Σ_j a_ij W h_j))      e_ij ← e_ij + Linear(BN(f_ij))

    With a sink the softmax is also over a logit of 0 that sends nothing, so that what arrives grows with how many
    neighbours are attended to: without, attention says how they share it, and never how many they are.

    Heads are concatenated, or averaged in the last layer. Messages are formed by ``propagate`` alone, edges are never
    reordered or filtered, and self-loops are those of the graph: so any PyG explainer masks the edge that it means.

    Parameters
    ----------
    dim
        Width of node and edge features, and of each head.
    heads
        Number of attention heads.
    last
        Whether heads are averaged and edges left alone, as in the network's last layer.
    dropout
        Probability with which a feature is dropped in training.
    smooth
        Whether the corner of LeakyReLU is rounded, so that predictions have derivatives of any order.
    sink
        Whether attention can go to nothing.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        last: bool = False,
        dropout: float = 0.0,
        smooth: bool = False,
        sink: bool = False,
    ) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.rounding = ROUNDING if smooth else 0.0
        self.nothing = 0.0 if sink else -math.inf
        """Logit of what sends nothing."""
        self.heads, self.dim, self.last = heads, dim, last
        width = dim if last else heads * dim
        self.from_source = nn.Linear(dim, heads * dim, bias=False)
        self.from_target = nn.Linear(dim, heads * dim, bias=False)
        self.from_edge = nn.Linear(dim, heads * dim)
        self.value = nn.Linear(dim, heads * dim)
        self.attention_vector = nn.Parameter(torch.randn(heads, dim) / dim**0.5)
        self.node_norm = nn.BatchNorm1d(width)
        self.node_out = nn.Linear(width, dim)
        if not last:
            self.edge_norm = nn.BatchNorm1d(width)
            self.edge_out = nn.Linear(width, dim)
        self.dropout = nn.Dropout(dropout)

    @property
    def has_sink(self) -> bool:
        """Whether attention can go to nothing."""
        return math.isfinite(self.nothing)

    def forward(
        self, node: Tensor, edge_index: Tensor, edge: Tensor, fading: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return updated node (N, dim) and edge (E, dim) features; edges may come in any order, and keep it.

        ``fading`` (E,) is added to the logits of an edge: the logarithm of its weight, where long edges fade out.
        """
        if self.trains_compiled(node, edge_index, fading):
            return self.train_compiled(node, edge_index, edge, fading)
        source, target = edge_index
        ends = self.from_source(node).index_select(0, source) + self.from_target(node).index_select(0, target)
        hidden = self.hidden(ends, edge)
        attention = self.attention(hidden, target, len(node), fading)
        aggregated = self.propagate(edge_index, value=self.heads_of(self.value(node)), attention=attention)
        return self.update_node(node, aggregated), self.update_edge(edge, hidden)

    def trains_compiled(self, node: Tensor, edge_index: Tensor, fading: Tensor | None = None) -> bool:
        """Whether it is trained by :mod:`~symgnn_explain.models.training_step`.

        That is on a CPU, in single or double precision, with no mask on messages and no gradient towards the fading.
        """
        plain = self.explain or node.device.type != "cpu" or torch.is_autocast_enabled("cpu")
        plain = (
            plain or node.dtype not in (torch.float32, torch.float64) or (fading is not None and fading.requires_grad)
        )
        return self.training and not plain and is_sorted(edge_index[1])

    def train_compiled(
        self, node: Tensor, edge_index: Tensor, edge: Tensor, fading: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Do what the forward pass does in training."""
        norm = self.node_norm if self.last else self.edge_norm
        weights = Weights(self.from_edge.weight, self.from_edge.bias, self.attention_vector)
        if not self.last:
            weights = Weights(*weights[:3], norm.weight, norm.bias, self.edge_out.weight, self.edge_out.bias)
        nodes = self.from_source(node), self.from_target(node), self.value(node)
        kind = Kind(NEGATIVE_SLOPE, self.rounding, self.nothing, norm.eps)
        found = step(nodes, edge, weights, Edges(edge_index, fading), kind)
        node = self.update_node(node, found.aggregated)
        if self.last:
            return node, edge
        found.follow(norm, len(edge))
        return node, self.dropout(edge + found.update)

    def message(self, value_j: Tensor, attention: Tensor) -> Tensor:
        """Message of each edge, shape (E, heads, dim)."""
        return value_j * attention[..., None]

    def heads_of(self, features: Tensor) -> Tensor:
        """View (…, heads · dim) as (…, heads, dim)."""
        return features.unflatten(-1, (self.heads, self.dim))

    def hidden(self, ends: Tensor, edge: Tensor) -> Tensor:
        """``f_ij`` from the summed projections of both ends and the edge features, shape (E, heads, dim)."""
        summed = ends + self.from_edge(edge)
        if self.rounding:
            return self.heads_of(leaky(summed, NEGATIVE_SLOPE, self.rounding))
        return self.heads_of(functional.leaky_relu(summed, NEGATIVE_SLOPE))

    def attention(self, hidden: Tensor, target: Tensor, n_nodes: int, fading: Tensor | None = None) -> Tensor:
        """Attention of each edge among those into the same target (and nothing), shape (E, heads)."""
        return self.shares(hidden, target, n_nodes, fading)[0]

    def shares(
        self, hidden: Tensor, target: Tensor, n_nodes: int, fading: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return :meth:`attention`, and how much of each atom's goes to nothing, shape (N, heads)."""
        logit = (hidden * self.attention_vector).sum(-1)
        if fading is not None:
            logit = logit + fading[:, None]
        if not self.has_sink:
            return softmax(logit, target, num_nodes=n_nodes), logit.new_zeros(n_nodes, self.heads)
        nothing = logit.new_full((n_nodes, self.heads), self.nothing)
        every = torch.cat([target, torch.arange(n_nodes, device=target.device)])
        share = softmax(torch.cat([logit, nothing]), every, num_nodes=n_nodes)
        return share[: len(target)], share[len(target) :]

    def update_node(self, node: Tensor, aggregated: Tensor) -> Tensor:
        """Residual update of node features from aggregated messages (N, heads, dim)."""
        return self.dropout(node + self.node_out(self.node_norm(self._join(aggregated))))

    def update_edge(self, edge: Tensor, hidden: Tensor) -> Tensor:
        """Residual update of edge features; the last layer leaves them as they are."""
        if self.last:
            return edge
        return self.dropout(edge + self.edge_out(self.edge_norm(self._join(hidden))))

    def _join(self, per_head: Tensor) -> Tensor:
        return per_head.mean(1) if self.last else per_head.flatten(1)
