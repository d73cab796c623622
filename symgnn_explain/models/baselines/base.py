"""What all baselines share: species and cut-off as settings, and predictions in the unit of the labels."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.models.label_scale import LabelScaled
from symgnn_explain.structure.glass import atomic_number


@dataclass(frozen=True)
class BaselineConfig:
    """Hyperparameters that every baseline has; all counts and widths of a baseline must be positive.

    Parameters
    ----------
    species
        Chemical symbols, in the order of the input channels.
    cutoff
        Edges join atoms up to this distance, Å.

    Raises
    ------
    InputError
        If a value cannot be used.
    """

    species: tuple[str, ...] = ("Cu", "Zr")
    cutoff: float = 5.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", tuple(self.species))
        for symbol in self.species:
            atomic_number(symbol)
        if not self.species or len(set(self.species)) < len(self.species):
            raise InputError(f"species={self.species} must name at least one chemical element, and each once.")
        for each in fields(self):
            value = getattr(self, each.name)
            if (
                isinstance(value, float | int)
                and not isinstance(value, bool)
                and not (math.isfinite(value) and value > 0)
            ):
                raise InputError(f"{each.name}={value} must be positive.")

    @property
    def reach(self) -> float:
        """How far an atom sees before any message, Å: along its edges."""
        return self.cutoff

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


class Baseline(LabelScaled):
    """A network with the signature of a SymGNN: graph in, one number an atom out."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        x
            One-hot species, shape (N, S).
        edge_index
            Source and target of each directed edge, shape (2, E); one self-loop an atom.
        edge_attr
            Displacements ``r_source - r_target``, shape (E, 3), Å.

        Returns
        -------
        Tensor
            One number an atom, shape (N,), in the unit of the labels.
        """
        return self.standardised(x, edge_index, edge_attr) * self.label_scale + self.label_mean

    @abstractmethod
    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict, shape (N,), in units in which the labels of the training glasses have mean 0 and spread 1."""


def bonds(edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
    """Return edges and displacements without self-loops: a direction and an angle have no meaning at distance 0.

    Edges to an atom's own periodic images stay.
    """
    apart = (edge_attr != 0).any(dim=1)
    return edge_index[:, apart], edge_attr[apart]


def expand_distance(distance: Tensor, cutoff: float, count: int) -> Tensor:
    """Return ``count`` Gaussians of the distance on a grid from 0 to the cut-off, shape (E, count)."""
    centres = torch.linspace(0.0, cutoff, count, device=distance.device, dtype=distance.dtype)
    spacing = cutoff / max(count - 1, 1)
    return torch.exp(-0.5 * ((distance[:, None] - centres) / spacing) ** 2)
