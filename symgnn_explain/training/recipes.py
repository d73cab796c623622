"""Networks that can be trained by name: hyperparameters of each and of its training."""

from __future__ import annotations

from dataclasses import dataclass

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.mlp import MLPConfig
from symgnn_explain.models.registry import NetworkConfig
from symgnn_explain.models.symgnn import PRESETS
from symgnn_explain.training.settings import TRAINING_PRESETS, TrainingSettings


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained."""

    config: NetworkConfig
    settings: TrainingSettings


RECIPES: dict[str, Recipe] = {
    **{name: Recipe(config, TRAINING_PRESETS.get(name, TrainingSettings())) for name, config in PRESETS.items()},
    "mlp": Recipe(MLPConfig(), TrainingSettings()),
}
"""By name: the presets of SymGNN, and the baselines."""


def recipe(name: str) -> Recipe:
    """Return the recipe of this name, or raise InputError if there is none."""
    if name not in RECIPES:
        raise InputError(f"there is no network {name!r} to train: choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
