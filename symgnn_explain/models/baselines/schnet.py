"""SchNet (Schütt et al., NeurIPS 2017) of PyG's blocks, on the periodic edges of the graph."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch_geometric.nn.models.schnet import GaussianSmearing, InteractionBlock, ShiftedSoftplus

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig, bonds


@dataclass(frozen=True)
class SchNetConfig(BaselineConfig):
    """Hyperparameters of SchNet.

    Parameters
    ----------
    dim, filters, layers
        Width of the features and of the filters, and number of interactions.
    radial_basis
        Number of Gaussians of the distance.
    """

    dim: int = 64
    filters: int = 64
    layers: int = 4
    radial_basis: int = 50


class SchNet(Baseline):
    """Continuous-filter convolutions."""

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Linear(len(config.species), config.dim, bias=False)
        self.smearing = GaussianSmearing(0.0, config.cutoff, config.radial_basis)
        self.interactions = nn.ModuleList(
            InteractionBlock(config.dim, config.radial_basis, config.filters, config.cutoff)
            for _ in range(config.layers)
        )
        for interaction in self.interactions:
            del interaction.mlp  # the filters a second time: their convolution holds, uses and stores them
        self.decoder = nn.Sequential(
            nn.Linear(config.dim, config.dim // 2 + 1), ShiftedSoftplus(), nn.Linear(config.dim // 2 + 1, 1)
        )

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        joined, displacement = bonds(edge_index, edge_attr)
        distance = displacement.norm(dim=1)
        expanded = self.smearing(distance)
        node = self.embedding(x)
        for interaction in self.interactions:
            node = node + interaction(node, joined, distance, expanded)
        predicted: Tensor = self.decoder(node).squeeze(-1)
        return predicted
