"""What turns the input of a SymGNN into initial features of nodes and edges."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from symgnn_explain.models.saturation import saturate


class EncoderSizes(Protocol):
    """The hyperparameters that encoders hang on; see :class:`~.symgnn.SymGNNConfig`."""

    @property
    def dim(self) -> int:
        """Width of node and edge features."""
        ...

    @property
    def smooth(self) -> bool:
        """Whether activations have no corners."""
        ...

    @property
    def environment_width(self) -> int:
        """Hidden width."""
        ...

    @property
    def environment_dropout(self) -> float:
        """Probability with which a hidden feature is dropped."""
        ...

    @property
    def environment_limit(self) -> float:
        """Size up to which descriptors are taken as they are; 0 for any."""
        ...


class SurroundingsEncoder(nn.Module):
    """From descriptors of surroundings to node features: a linear map, plus what a small network adds."""

    def __init__(self, width: int, config: EncoderSizes) -> None:
        super().__init__()
        hidden, dim, dropout = config.environment_width, config.dim, config.environment_dropout
        self.limit = config.environment_limit
        self.linear = nn.Linear(width, dim)
        self.nonlinear = nn.Sequential(
            nn.Linear(width, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, dim),
        )

    def forward(self, described: Tensor) -> Tensor:
        """Return node features, shape (N, dim), of descriptors (N, width)."""
        return self.encode(self.bounded(described))

    def bounded(self, described: Tensor) -> Tensor:
        """Keep descriptors near the range that they have in training, where that was asked for."""
        if not self.limit:
            return described
        limit = described.new_tensor(self.limit)
        return saturate(described, -limit, limit, width=limit / 3)

    def encode(self, bounded: Tensor) -> Tensor:
        """Return node features."""
        features: Tensor = self.linear(bounded) + self.nonlinear(bounded)
        return features


def two_layers(width: int, config: EncoderSizes) -> nn.Sequential:
    """Return two normalised layers from ``width`` features to edge features."""
    dim, activation = config.dim, nn.SiLU if config.smooth else nn.ReLU
    return nn.Sequential(
        nn.Linear(width, dim), nn.BatchNorm1d(dim), activation(), nn.Linear(dim, dim), nn.BatchNorm1d(dim), activation()
    )
