"""A graph convolutional network with edge features (Kipf and Welling, ICLR 2017; edges as in Hu et al., ICLR 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig, expand_distance


@dataclass(frozen=True)
class GCNConfig(BaselineConfig):
    """Hyperparameters of a GCN with edge features.

    Parameters
    ----------
    dim, layers
        Width of the features, and number of convolutions.
    radial_basis
        Number of Gaussians of the distance that are an edge's features.
    """

    dim: int = 64
    layers: int = 4
    radial_basis: int = 32


class GCN(Baseline):
    """Every message is the neighbour's features plus the edge's, rectified; an atom takes the mean of its messages."""

    def __init__(self, config: GCNConfig) -> None:
        super().__init__(config)
        self.radial_basis = config.radial_basis
        self.species_embedding = nn.Linear(len(config.species), config.dim)
        self.layers = nn.ModuleList(_Convolution(config.dim, config.radial_basis) for _ in range(config.layers))
        self.decoder = nn.Sequential(nn.Linear(config.dim, config.dim), nn.ReLU(), nn.Linear(config.dim, 1))

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        edge = expand_distance(edge_attr.norm(dim=1), self.config.cutoff, self.radial_basis)
        node = self.species_embedding(x)
        for layer in self.layers:
            node = node + layer(node, edge_index, edge)
        predicted: Tensor = self.decoder(node).squeeze(-1)
        return predicted


class _Convolution(MessagePassing):
    def __init__(self, dim: int, edge_dim: int) -> None:
        super().__init__(aggr="mean")
        self.from_source = nn.Linear(dim, dim)
        self.from_edge = nn.Linear(edge_dim, dim, bias=False)
        self.out = nn.Sequential(nn.BatchNorm1d(dim), nn.ReLU())

    def forward(self, node: Tensor, edge_index: Tensor, edge: Tensor) -> Tensor:
        return self.out(self.propagate(edge_index, value=self.from_source(node), edge=self.from_edge(edge)))

    def message(self, value_j: Tensor, edge: Tensor) -> Tensor:
        return (value_j + edge).relu()
