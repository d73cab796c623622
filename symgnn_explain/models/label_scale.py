"""Mean and standard deviation of the labels, between which and the network's own numbers predictions are scaled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symgnn_explain.models.protocol import ConfiguredNetwork

_EARLIER_NAMES = {"label_mean": "barrier_mean", "label_scale": "barrier_scale"}
"""What the buffers are called in weights of earlier versions, the shipped ones among them."""


class LabelScaled(ConfiguredNetwork):
    """A network whose predictions are its own numbers times ``label_scale`` plus ``label_mean``."""

    label_mean: Tensor
    label_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("label_mean", torch.tensor(0.0))
        self.register_buffer("label_scale", torch.tensor(1.0))

    def fit_labels(self, labels: Tensor) -> None:
        """Take mean and standard deviation of the known training labels, shape (K,)."""
        exact = labels.double()  # the square of a small number may be none in single precision
        self.label_mean.fill_(float(exact.mean()))
        self.label_scale.fill_(float(exact.std()))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        for name, earlier in _EARLIER_NAMES.items():
            if prefix + earlier in state_dict:
                state_dict[prefix + name] = state_dict.pop(prefix + earlier)
        super()._load_from_state_dict(state_dict, prefix, *others)


def earlier_name(name: str) -> str:
    """Return what a tensor is called in weights of earlier versions."""
    prefix, dot, last = name.rpartition(".")
    return f"{prefix}{dot}{_EARLIER_NAMES.get(last, last)}"
