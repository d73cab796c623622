"""Ridge regression on averaged local descriptors: what a linear model reaches, fitted in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig, bonds
from symgnn_explain.models.baselines.descriptors import bond_order, neighbour_average, radial_densities

NEAREST, GRID_SPACING = 2.0, 0.15
"""Radial densities are counted from this distance on, at points so far apart, Å."""

SHELLS = ((4.2, 0.6), (6.5, 0.6))
"""Outer end of each shell of bond order, and over what width its weight falls to 0 there, Å."""

DEGREES = 6
"""Bond order q_l is computed for l from 1 to this."""

AVERAGING_RANGE, AVERAGING_LENGTH = 5.0, 2.0
"""Neighbours up to the first distance are averaged over, with a weight that decays with the second, Å."""

PENALTIES = torch.logspace(-3, 7, 41, dtype=torch.float64)


@dataclass(frozen=True)
class RidgeConfig(BaselineConfig):
    """Settings of a ridge regression.

    Parameters
    ----------
    cutoff
        Radial densities are counted up to this distance, Å.
    averages
        How often descriptors are averaged over neighbours; each average is a set of columns of its own.
    """

    cutoff: float = 10.0
    averages: int = 2


class Ridge(Baseline):
    """Linear in radial densities of each species and in bond order, and in their averages over neighbours.

    An atom fills the columns of its own species, so that there is one linear model for each, and averages tell the
    neighbours' species apart.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, config: RidgeConfig) -> None:
        super().__init__(config)
        self.averages = config.averages
        n_species = len(config.species)
        count = (1 + config.averages) * n_species * (1 + n_species * len(self._grid()) + len(SHELLS) * DEGREES)
        self.register_buffer("feature_mean", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("feature_scale", torch.ones(count, dtype=torch.float64))
        self.coefficient = nn.Parameter(torch.zeros(count, dtype=torch.float64))

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        features = (self.features(x, edge_index, edge_attr) - self.feature_mean) / self.feature_scale
        return (features @ self.coefficient).to(x)

    def features(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Descriptors of every atom, shape (N, F), in double precision."""
        x, displacement = x.double(), edge_attr.double()
        joined, vectors = bonds(edge_index, displacement)
        distance = vectors.norm(dim=1)
        columns = [torch.ones_like(x[:, :1]), radial_densities(x, joined, distance, self._grid().to(x))]
        inner = torch.zeros_like(distance)
        for outer, width in SHELLS:
            inside = ((outer - distance) / width).clamp(0, 1)
            near = distance < outer
            weight = (inside - inner)[near]
            columns.append(bond_order(joined[:, near], vectors[near], weight, len(x), DEGREES))
            inner = inside
        own = torch.cat(columns, dim=1)
        values = (own[:, None, :] * x[:, :, None]).flatten(1)
        # Self-loops are in: an atom takes part in its own average.
        length = displacement.square().sum(dim=1).clamp_min(1e-24).sqrt()
        near = length < AVERAGING_RANGE
        rounds = [values]
        for _ in range(self.averages):
            weight = torch.exp(-length[near] / AVERAGING_LENGTH)
            rounds.append(neighbour_average(rounds[-1], edge_index[:, near], weight))
        return torch.cat(rounds, dim=1)

    @torch.no_grad()
    def fit(self, graphs: Sequence[Data]) -> None:
        """Find the coefficients in closed form, with the penalty that generalised cross-validation prefers.

        Parameters
        ----------
        graphs
            Training glasses, with labels ``y``; NaN where one is unknown.
        """
        features = torch.cat([self.features(graph.x, graph.edge_index, graph.edge_attr) for graph in graphs])
        labels = torch.cat([graph.y for graph in graphs]).double()
        if (unknown := labels.isnan()).any():
            features, labels = features[~unknown], labels[~unknown]
        self.label_mean.copy_(labels.mean())
        self.label_scale.copy_(labels.std())
        target = (labels - labels.mean()) / labels.std()
        spread = features.std(dim=0)
        self.feature_mean.copy_(features.mean(dim=0))
        self.feature_scale.copy_(torch.where(spread > 1e-9, spread, 1.0))  # a constant column gets the coefficient 0
        features = (features - self.feature_mean) / self.feature_scale
        strength, axes = torch.linalg.eigh(features.T @ features)
        strength, projected = strength.clamp_min(0), axes.T @ (features.T @ target)
        # Golub, Heath and Wahba, Technometrics 21, 215 (1979): residual over the square of the free degrees left.
        solution = projected / (strength + PENALTIES[:, None])
        residual = target @ target - 2 * solution @ projected + (solution.square() * strength).sum(dim=1)
        freedom = len(target) - 1 - (strength / (strength + PENALTIES[:, None])).sum(dim=1)
        score = residual.clamp_min(0) / freedom.square()
        self.coefficient.copy_(axes @ solution[score.argmin()])

    def _grid(self) -> Tensor:
        return torch.arange(NEAREST, self.config.cutoff + 1e-9, GRID_SPACING, dtype=torch.float64)
