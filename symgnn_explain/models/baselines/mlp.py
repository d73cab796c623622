"""A multilayer perceptron on an atom's species: what can be predicted without any structure."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig


@dataclass(frozen=True)
class MLPConfig(BaselineConfig):
    """Hyperparameters of an MLP.

    Parameters
    ----------
    dim, layers
        Width and number of the hidden layers.
    """

    dim: int = 32
    layers: int = 3


class MLP(Baseline):
    """Predicts from an atom's own species alone; edges are ignored."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__(config)
        hidden: list[nn.Module] = []
        for layer in range(config.layers):
            hidden += [nn.Linear(config.dim if layer else len(config.species), config.dim), nn.SiLU()]
        self.network = nn.Sequential(*hidden, nn.Linear(config.dim, 1))

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:  # noqa: ARG002 - as others
        """Predict in standardised units, shape (N,)."""
        predicted: Tensor = self.network(x).squeeze(-1)
        return predicted
