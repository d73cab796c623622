"""The multilevel graph convolutional network MGCN (Lu et al., AAAI 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig, bonds, expand_distance


@dataclass(frozen=True)
class MGCNConfig(BaselineConfig):
    """Hyperparameters of MGCN.

    Parameters
    ----------
    dim, layers
        Width of the features, and number of levels.
    radial_basis
        Number of Gaussians of the distance.
    """

    dim: int = 64
    layers: int = 3
    radial_basis: int = 50


class MGCN(Baseline):
    """Edges start from the pair of species they join; atoms are read out from the features of all levels at once."""

    def __init__(self, config: MGCNConfig) -> None:
        super().__init__(config)
        n_species, dim = len(config.species), config.dim
        self.radial_basis = config.radial_basis
        self.species_embedding = nn.Linear(n_species, dim, bias=False)
        self.pair_embedding = nn.Linear(n_species * n_species, dim, bias=False)
        self.levels = nn.ModuleList(
            _Level(dim, config.radial_basis, last=level == config.layers - 1) for level in range(config.layers)
        )
        self.decoder = nn.Sequential(nn.Linear((config.layers + 1) * dim, dim), _softplus(), nn.Linear(dim, 1))

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        joined, displacement = bonds(edge_index, edge_attr)
        source, target = joined
        pair = x[source, :, None] * x[target, None, :]
        # A pair of species is the same seen from either end.
        edge = self.pair_embedding((pair + pair.mT).flatten(1) / 2)
        distance = expand_distance(displacement.norm(dim=1), self.config.cutoff, self.radial_basis)
        nodes = [self.species_embedding(x)]
        for level in self.levels:
            node, edge = level(nodes[-1], joined, edge, distance)
            nodes.append(node)
        predicted: Tensor = self.decoder(torch.cat(nodes, dim=1)).squeeze(-1)
        return predicted


class _Level(MessagePassing):
    def __init__(self, dim: int, radial_basis: int, *, last: bool) -> None:
        super().__init__(aggr="add")
        self.node_in = nn.Linear(dim, dim)
        self.filter = nn.Sequential(nn.Linear(radial_basis, dim), _softplus(), nn.Linear(dim, dim))
        self.edge_in = nn.Linear(dim, dim)
        self.node_out = nn.Sequential(nn.Linear(dim, dim), _softplus(), nn.Linear(dim, dim))
        self.edge_out = None if last else nn.Sequential(nn.Linear(dim, dim), _softplus())

    def forward(self, node: Tensor, edge_index: Tensor, edge: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        edge = self.edge_in(edge)
        total = self.propagate(edge_index, value=self.node_in(node), filter=self.filter(distance), edge=edge)
        return node + self.node_out(total), edge if self.edge_out is None else self.edge_out(edge)

    def message(self, value_j: Tensor, filter: Tensor, edge: Tensor) -> Tensor:  # noqa: A002 - the field's word
        return value_j * filter + edge


def _softplus() -> nn.Softplus:
    return nn.Softplus(beta=0.5, threshold=14)
