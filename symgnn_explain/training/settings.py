"""How a network is trained."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, get_args

from symgnn_explain.errors import InputError, require_not_negative

Schedule = Literal["one_cycle", "constant"]
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Parameters
    ----------
    epochs
        Passes over the training glasses at most; a step is one whole glass.
    learning_rate
        Peak learning rate, or the learning rate itself where ``schedule`` is constant.
    schedule
        ``one_cycle`` (AdamW), or ``constant`` (Adam with AMSGrad, as published).
    weight_decay
        Of AdamW.
    gradient_clip
        Largest norm of the gradient.
    patience
        Validations without a better Pearson r before training stops.
    validate_every
        Epochs between validations.
    seed
        Of weights, transformations and shuffling.
    augment
        Whether each training glass is rotated or reflected at random in each step.
    precision
        Of arithmetic: ``32-true``, or mixed with 16 bits (``16-mixed`` on a GPU alone, ``bf16-mixed``).
    auxiliary
        Names of per-atom arrays that are learned beside the target, from the nodes' initial features: what an atom's
        surroundings decide and no noise blurs, such as its potential energy. They are not needed to predict.
    auxiliary_weight
        Of the squared errors of these arrays, each standardised within a species.
    level_weight
        Of the squared error of a glass's mean, beside that of its atoms' deviations from the mean; with 1 their
        sum is the mean squared error.
    steadiness, level_steadiness
        Weights of what changes where all atoms move at random by 0.02 Å, on which what is learned shall not hang: the
        mean square change of nodes' initial features, as a share of their variance, and the change of a glass's mean
        prediction, in standard deviations of the labels, where it is larger than a ninth of one.
    stop_after
        Epoch after which training ends, with the schedule still that of ``epochs``; None for the last one.

    Raises
    ------
    InputError
        If a value cannot be used.
    """

    epochs: int = 100
    learning_rate: float = 3e-3
    schedule: Schedule = "one_cycle"
    weight_decay: float = 1e-3
    gradient_clip: float = 1.0
    patience: int = 20
    validate_every: int = 2
    seed: int = 0
    augment: bool = False
    precision: Precision = "32-true"
    auxiliary: tuple[str, ...] = ()
    auxiliary_weight: float = 1.0
    level_weight: float = 1.0
    steadiness: float = 0.0
    level_steadiness: float = 0.0
    stop_after: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "auxiliary", tuple(self.auxiliary))
        for name, choices in (("schedule", Schedule), ("precision", Precision)):
            if getattr(self, name) not in get_args(choices):
                known = " or ".join(repr(choice) for choice in get_args(choices))
                raise InputError(f"{name}={getattr(self, name)!r} is unknown: choose {known}.")
        for name in ("epochs", "validate_every", "patience", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)} must be positive.")
        require_not_negative(
            seed=self.seed,
            auxiliary_weight=self.auxiliary_weight,
            level_weight=self.level_weight,
            steadiness=self.steadiness,
            level_steadiness=self.level_steadiness,
        )
        if not 1 <= self.last_epoch <= self.epochs:
            raise InputError(f"stop_after={self.stop_after} must be an epoch between 1 and epochs={self.epochs}.")
        if self.validate_every > self.last_epoch:
            raise InputError(
                f"validate_every={self.validate_every} exceeds epochs={self.last_epoch}: nothing would be validated."
            )

    def for_arrays(self, names: Collection[str]) -> TrainingSettings:
        """Return the settings without auxiliary arrays that are not among ``names``."""
        return replace(self, auxiliary=tuple(name for name in self.auxiliary if name in names))

    def without(self, name: str) -> TrainingSettings:
        """Return the settings without that auxiliary array: what is learned itself is learned beside nothing."""
        return self.for_arrays([other for other in self.auxiliary if other != name])

    @property
    def last_epoch(self) -> int:
        """Epoch after which training ends."""
        return self.epochs if self.stop_after is None else self.stop_after


_ACCURATE = TrainingSettings(
    epochs=20,
    learning_rate=1e-2,
    weight_decay=0.3,
    patience=20,
    validate_every=1,
    auxiliary=("potential_energy", "pressure", "von_mises_stress"),
    level_weight=0.1,
    steadiness=8.0,
    level_steadiness=0.25,
)

TRAINING_PRESETS = {
    "accurate": _ACCURATE,
    "paper": TrainingSettings(
        epochs=20_000,
        learning_rate=1e-4,
        schedule="constant",
        weight_decay=0.0,
        gradient_clip=0.1,
        patience=200,
        validate_every=10,
    ),
    "symgnn": TrainingSettings(
        epochs=150,
        learning_rate=4e-3,
        weight_decay=0.01,
        validate_every=10,
        auxiliary=_ACCURATE.auxiliary,
        auxiliary_weight=0.2,
        level_weight=0.1,
    ),
}
"""Settings for the model presets of the same names; ``paper`` stops on validation glasses, never on test glasses."""
