"""The attention layers of SymGNN on edge lengths alone, as the paper compares them (Li et al., ICML 2024)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.base import Baseline, BaselineConfig
from symgnn_explain.models.egat import EGATLayer


@dataclass(frozen=True)
class EGATConfig(BaselineConfig):
    """Hyperparameters of an EGAT network on lengths.

    Parameters
    ----------
    dim
        Width of node and edge features, and of each attention head.
    heads
        Attention heads of each layer.
    dropout
        Probability with which a feature is dropped in training, in (0, 1).
    """

    dim: int = 32
    heads: tuple[int, ...] = (8, 4, 2, 1)
    dropout: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "heads", tuple(self.heads))
        if not self.heads or min(self.heads) < 1 or self.dropout >= 1:
            raise InputError(f"heads={self.heads} must be positive, and dropout={self.dropout} lie in (0, 1).")


class EGAT(Baseline):
    """A SymGNN whose edges know their length (in units of the cut-off) instead of the symmetrized displacement."""

    def __init__(self, config: EGATConfig) -> None:
        super().__init__(config)
        dim, last = config.dim, len(config.heads) - 1
        self.node_encoder = nn.Sequential(nn.Linear(len(config.species), dim), nn.ReLU(), nn.Linear(dim, dim))
        self.edge_encoder = nn.Sequential(
            nn.Linear(1, dim),
            nn.BatchNorm1d(dim),
            nn.ReLU(),
            nn.Linear(dim, dim),
            nn.BatchNorm1d(dim),
            nn.ReLU(),
        )
        self.layers = nn.ModuleList(
            EGATLayer(dim, heads, last=layer == last, dropout=config.dropout)
            for layer, heads in enumerate(config.heads)
        )
        self.decoder = nn.Sequential(nn.Linear(dim, dim), nn.BatchNorm1d(dim), nn.PReLU(), nn.Linear(dim, 1))

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        node = self.node_encoder(x)
        edge = self.edge_encoder(edge_attr.norm(dim=1, keepdim=True) / self.config.cutoff)
        for layer in self.layers:
            node, edge = layer(node, edge_index, edge)
        predicted: Tensor = self.decoder(node).squeeze(-1)
        return predicted
