"""Networks that can be trained by name: hyperparameters of each and of its training."""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.dimenet import DimeNetConfig
from symgnn_explain.models.baselines.egat import EGATConfig
from symgnn_explain.models.baselines.egnn import EGNNConfig
from symgnn_explain.models.baselines.faenet import FAENetConfig
from symgnn_explain.models.baselines.gcn import GCNConfig
from symgnn_explain.models.baselines.mgcn import MGCNConfig
from symgnn_explain.models.baselines.mlp import MLPConfig
from symgnn_explain.models.baselines.ridge import RidgeConfig
from symgnn_explain.models.baselines.schnet import SchNetConfig
from symgnn_explain.models.registry import NetworkConfig
from symgnn_explain.models.symgnn import PRESETS
from symgnn_explain.training.settings import TRAINING_PRESETS, TrainingSettings


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    Parameters
    ----------
    config, settings
        Hyperparameters of the network, and of its training.
    most_epochs
        After which it has learned all that it will, so that a larger budget of a benchmark buys nothing; None where
        that is not known, and networks are trained as long as the budget allows.
    """

    config: NetworkConfig
    settings: TrainingSettings
    most_epochs: int | None = None


_UNSYMMETRIZED = replace(PRESETS["paper"], distribution="identity", training_samples=1, inference_samples=1)

RECIPES: dict[str, Recipe] = {
    **{name: Recipe(PRESETS[name], settings, settings.epochs) for name, settings in TRAINING_PRESETS.items()},
    "ridge": Recipe(RidgeConfig(), TrainingSettings(epochs=1, validate_every=1), 1),
    "mlp": Recipe(MLPConfig(), TrainingSettings(), TrainingSettings().epochs),
    "gcn": Recipe(GCNConfig(), TrainingSettings()),
    "egnn": Recipe(EGNNConfig(), TrainingSettings(learning_rate=1e-3)),
    "egat": Recipe(EGATConfig(), TrainingSettings()),
    "schnet": Recipe(SchNetConfig(), TrainingSettings()),
    "dimenet": Recipe(DimeNetConfig(), TrainingSettings(learning_rate=1e-3)),
    "mgcn": Recipe(MGCNConfig(), TrainingSettings(learning_rate=1e-3)),
    "faenet": Recipe(FAENetConfig(), TrainingSettings()),
    "symgnn_unsymmetrized": Recipe(_UNSYMMETRIZED, TrainingSettings()),
    "symgnn_augmented": Recipe(_UNSYMMETRIZED, TrainingSettings(augment=True)),
    # The published network by the schedule that all others have: 20 000 epochs are beyond any common budget.
    "symgnn_published": Recipe(PRESETS["paper"], TrainingSettings()),
}
"""By name: the presets of SymGNN, and what they are compared with."""

BENCHMARKED = tuple(name for name in RECIPES if name != "paper")
"""What is compared by default.

``paper``, with its 20 000 epochs, stands there as ``symgnn_published``.
"""


def recipe(name: str) -> Recipe:
    """Return the recipe of this name, or raise InputError if there is none."""
    if name not in RECIPES:
        raise InputError(f"there is no network {name!r} to train: choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
