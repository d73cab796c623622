"""The E(n)-equivariant graph network of Satorras, Hoogeboom and Welling (ICML 2021), for periodic structures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig, bonds


@dataclass(frozen=True)
class EGNNConfig(BaselineConfig):
    """Hyperparameters of an EGNN.

    Parameters
    ----------
    dim, layers
        Width of the features, and number of layers.
    """

    dim: int = 64
    layers: int = 4


class EGNN(Baseline):
    """Messages depend on squared distances; each layer moves the atoms along their displacements.

    Positions are known only through displacements, so that an atom's movement is added to those of its edges.
    """

    def __init__(self, config: EGNNConfig) -> None:
        super().__init__(config)
        self.species_embedding = nn.Linear(len(config.species), config.dim)
        self.layers = nn.ModuleList(
            _EquivariantLayer(config.dim, moves=layer < config.layers - 1) for layer in range(config.layers)
        )
        self.decoder = nn.Sequential(nn.Linear(config.dim, config.dim), nn.SiLU(), nn.Linear(config.dim, 1))

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        joined, displacement = bonds(edge_index, edge_attr / self.config.cutoff)
        source, target = joined
        node = self.species_embedding(x)
        for layer in self.layers:
            node, movement = layer(node, joined, displacement)
            displacement = displacement + movement[source] - movement[target]
        predicted: Tensor = self.decoder(node).squeeze(-1)
        return predicted


class _EquivariantLayer(MessagePassing):
    def __init__(self, dim: int, *, moves: bool) -> None:
        super().__init__(aggr="add")
        self.edge_network = nn.Sequential(nn.Linear(2 * dim + 1, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())
        self.gate = nn.Sequential(nn.Linear(dim, 1), nn.Sigmoid())
        self.node_network = nn.Sequential(nn.Linear(2 * dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.push = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, 1)) if moves else None

    def forward(self, node: Tensor, edge_index: Tensor, displacement: Tensor) -> tuple[Tensor, Tensor]:
        """Return updated node features (N, dim), and each atom's movement (N, 3) in units of the cut-off."""
        source, target = edge_index
        square = displacement.square().sum(dim=1, keepdim=True)
        message = self.edge_network(torch.cat([node[target], node[source], square], dim=1))
        messages = [message * self.gate(message)]
        if self.push is not None:
            # Towards or away from each neighbour.
            messages.append(-displacement * torch.tanh(self.push(message)))
        received = self.propagate(edge_index, message=torch.cat(messages, dim=1), size=(len(node), len(node)))
        total, movement = received.split([node.shape[1], received.shape[1] - node.shape[1]], dim=1)
        if self.push is None:
            movement = displacement.new_zeros(len(node), 3)
        # The mean over neighbours keeps movements small.
        count = torch.bincount(target, minlength=len(node)).clamp_min(1)
        return node + self.node_network(torch.cat([node, total], dim=1)), movement / count[:, None]

    def message(self, message: Tensor) -> Tensor:
        return message
