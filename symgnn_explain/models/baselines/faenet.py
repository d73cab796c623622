"""FAENet (Duval et al., ICML 2023): a network without symmetry, averaged over the frames of the structure."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import product
from typing import cast

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig, bonds, expand_distance


@dataclass(frozen=True)
class FAENetConfig(BaselineConfig):
    """Hyperparameters of FAENet.

    Parameters
    ----------
    dim, filters, layers
        Width of the features and of the messages, and number of interactions.
    radial_basis
        Number of Gaussians of the distance.
    """

    dim: int = 64
    filters: int = 64
    layers: int = 4
    radial_basis: int = 32


class FAENet(Baseline):
    """Reads displacements in the structure's own frames: one drawn at random in training, the mean of all 8 else.

    The frames are the principal axes of all edges, with either sign each (Puny et al., ICLR 2022). A structure has them
    where the three moments differ, as those of a finite glass do, if little; cubic symmetry would leave them undefined.
    """

    signs: Tensor
    differentiable = False  # the frames move with the atoms, and pass no gradient

    def __init__(self, config: FAENetConfig) -> None:
        super().__init__(config)
        dim, filters = config.dim, config.filters
        self.radial_basis = config.radial_basis
        self.species_embedding = nn.Linear(len(config.species), dim)
        self.vector_encoder = nn.Linear(3, filters)
        self.radial_encoder = nn.Linear(config.radial_basis, filters)
        self.layers = nn.ModuleList(_Interaction(dim, filters) for _ in range(config.layers))
        self.decoder = nn.Sequential(nn.Linear(dim, dim // 2 + 1), nn.SiLU(), nn.Linear(dim // 2 + 1, 1))
        signs = torch.tensor(list(product([1.0, -1.0], repeat=3)))
        self.register_buffer("signs", signs, persistent=False)

    def with_description(self, graph: Data) -> Data:
        """Return the graph with the frames of the whole structure, which a part of it keeps."""
        described = copy.copy(graph)
        described.axes = principal_axes(graph.edge_attr)[None]
        return described

    def predict(self, graph: Data) -> Tensor:
        """Predict every atom of a graph, shape (N,): in the frames that it carries, or else in its own."""
        axes = graph.axes[0] if "axes" in graph else principal_axes(graph.edge_attr)
        return self._predict(graph.x, graph.edge_index, graph.edge_attr, axes) * self.label_scale + self.label_mean

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        return self._predict(x, edge_index, edge_attr, principal_axes(edge_attr))

    def _predict(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, axes: Tensor) -> Tensor:
        joined, displacement = bonds(edge_index, edge_attr)
        aligned = displacement @ axes
        signs = self.signs[torch.randint(len(self.signs), (1,), device="cpu")] if self.training else self.signs
        radial = self.radial_encoder(expand_distance(displacement.norm(dim=1), self.config.cutoff, self.radial_basis))
        radial = nn.functional.silu(radial)
        by_length = [cast("_Interaction", layer).weigh_length(radial) for layer in self.layers]  # alike in all frames
        total = x.new_zeros(len(x))
        for sign in signs:
            total = total + self._in_frame(x, joined, aligned * sign, by_length)
        return total / len(signs)

    def _in_frame(self, x: Tensor, edge_index: Tensor, displacement: Tensor, by_length: list[Tensor]) -> Tensor:
        vector = nn.functional.silu(self.vector_encoder(displacement / self.config.cutoff))
        node = nn.functional.silu(self.species_embedding(x))
        for layer, of_layer in zip(self.layers, by_length, strict=True):
            node = node + layer(node, edge_index, vector, of_layer)
        predicted: Tensor = self.decoder(node).squeeze(-1)
        return predicted


@torch.no_grad()
def principal_axes(displacement: Tensor) -> Tensor:
    """Eigenvectors of the second moment of all displacements (E, 3), as columns (3, 3); no gradient flows through."""
    vectors = displacement.double()
    return torch.linalg.eigh(vectors.T @ vectors).eigenvectors.to(displacement)


class _Interaction(MessagePassing):
    """Messages weighted by a linear map of vector, length and both ends of an edge, taken apart.

    Atoms are fewer than edges, and lengths the same in every frame: what each gives is computed once.
    """

    def __init__(self, dim: int, filters: int) -> None:
        super().__init__(aggr="add")
        self.geometry = nn.Sequential(nn.Linear(2 * filters + 2 * dim, filters), nn.SiLU())
        self.down = nn.Sequential(nn.Linear(dim, filters), nn.SiLU())
        self.norm = nn.BatchNorm1d(filters)
        self.up = nn.Sequential(nn.Linear(filters, dim), nn.SiLU())

    def weigh_length(self, radial: Tensor) -> Tensor:
        """Return what the length gives to each edge's weight, shape (E, filters)."""
        return nn.functional.linear(radial, self._columns()[1], cast("nn.Linear", self.geometry[0]).bias)

    def forward(self, node: Tensor, edge_index: Tensor, vector: Tensor, by_length: Tensor) -> Tensor:
        source, target = edge_index
        of_vector, _, of_target, of_source = self._columns()
        ends = (node @ of_target.T)[target] + (node @ of_source.T)[source]
        weight = self.geometry[1](torch.addmm(by_length, vector, of_vector.T) + ends)
        return self.up(self.norm(self.propagate(edge_index, value=self.down(node), weight=weight)))

    def _columns(self) -> tuple[Tensor, ...]:
        down = cast("nn.Linear", self.down[0])
        dim, filters = down.in_features, down.out_features
        return cast("nn.Linear", self.geometry[0]).weight.split([filters, filters, dim, dim], dim=1)

    def message(self, value_j: Tensor, weight: Tensor) -> Tensor:
        return value_j * weight
