"""The Lightning module and data module that train a SymGNN on labelled glasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from symgnn_explain.errors import InputError
from symgnn_explain.glass import Glass
from symgnn_explain.graph import build_graph
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.training.metrics import regression_metrics

MONITOR = "validation_pearson"


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
    """

    epochs: int = 100
    learning_rate: float = 3e-3
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    weight_decay: float = 1e-3
    gradient_clip: float = 1.0
    patience: int = 20
    validate_every: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in ("one_cycle", "constant"):
            raise InputError(f"schedule={self.schedule!r} is unknown: choose 'one_cycle' or 'constant'.")
        if self.epochs < 1 or self.validate_every < 1 or self.patience < 1 or not self.learning_rate > 0:
            raise InputError(
                f"{self} cannot be used: epochs, validate_every, patience and learning_rate must be positive."
            )
        if self.validate_every > self.epochs:
            raise InputError(
                f"validate_every={self.validate_every} exceeds epochs={self.epochs}: nothing would be validated."
            )


TRAINING_PRESETS = {
    "paper": TrainingSettings(
        epochs=20_000,
        learning_rate=1e-4,
        schedule="constant",
        weight_decay=0.0,
        gradient_clip=0.1,
        patience=200,
        validate_every=10,
    ),
    "light": TrainingSettings(),
}
"""Settings for the model presets of the same names; ``paper`` stops on validation glasses, never on test glasses."""


class EpochShuffle(Sampler[int]):
    """A shuffled order that depends on seed and epoch alone, so that a resumed run sees what an uninterrupted one does.

    Lightning calls :meth:`set_epoch` before each epoch.
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed, self.epoch = length, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        yield from np.random.default_rng((self.seed, self.epoch)).permutation(self.length).tolist()


class GlassDataModule(lightning.LightningDataModule):
    """Graphs of labelled glasses, one glass a batch, in an order that ``seed`` determines.

    Raises
    ------
    InputError
        If a glass has no barriers, all barriers are equal, or a species is not one that the network knows.
    """

    def __init__(
        self, training: Sequence[Glass], validation: Sequence[Glass], config: SymGNNConfig, *, seed: int = 0
    ) -> None:
        super().__init__()
        for glass in (*training, *validation):
            if glass.barriers is None:
                raise InputError(
                    f"{glass.name!r} has no barriers: training and validation need them (eV, one an atom)."
                )
        self.seed = seed
        self.training, self.validation = (
            [build_graph(glass, cutoff=config.cutoff, species=config.species) for glass in side]
            for side in (training, validation)
        )
        barriers = torch.cat([graph.y for graph in self.training])
        if len(barriers.unique()) == 1:
            raise InputError(
                f"all training barriers are {barriers[0]:.3g} eV, which leaves nothing to learn: check what was read."
            )
        self.barrier_statistics = (float(barriers.mean()), float(barriers.std()))
        """Mean and standard deviation (eV) of the training barriers."""

    def train_dataloader(self) -> DataLoader:
        """Return the training graphs, shuffled anew each epoch."""
        return DataLoader(self.training, batch_size=1, sampler=EpochShuffle(len(self.training), self.seed))

    def val_dataloader(self) -> DataLoader:
        """Return the validation graphs."""
        return DataLoader(self.validation, batch_size=1)


class BarrierModule(lightning.LightningModule):
    """Mean squared error on normalised barriers; validated by the mean Pearson r within a glass.

    Parameters
    ----------
    config, settings
        Hyperparameters of the network, and of its training.
    steps_per_epoch
        Number of training glasses.
    data
        What the run learns from, by any names; a checkpoint keeps it with the hyperparameters.
    """

    def __init__(
        self,
        config: SymGNNConfig,
        settings: TrainingSettings,
        steps_per_epoch: int,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(
            {"config": config.to_dict(), "settings": asdict(settings), "data": dict(data or {})}, logger=False
        )
        self.settings, self.steps_per_epoch = settings, steps_per_epoch
        self.model = SymGNN(config)
        self.history: list[dict[str, float]] = []
        self._losses: list[Tensor] = []
        self._validated: list[tuple[Tensor, Tensor]] = []

    def on_train_epoch_start(self) -> None:
        """Forget the losses of the epoch before."""
        self._losses.clear()

    def training_step(self, batch: Data, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        """Return the loss of one glass."""
        # Transformations and dropout depend on seed and step alone: a resumed run draws what an uninterrupted one does.
        torch.manual_seed(int(np.random.SeedSequence((self.settings.seed, self.global_step)).generate_state(1)[0]))
        predicted = self.model(batch.x, batch.edge_index, batch.edge_attr)
        loss = ((predicted - batch.y) / self.model.barrier_scale).square().mean()
        self.log("training_loss", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=1)
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Validate with the transformations that a predictor would get now."""
        self.model.fix_transformations()
        self._validated.clear()

    def validation_step(self, batch: Data, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Keep the predictions of one glass."""
        self._validated.append((self.model(batch.x, batch.edge_index, batch.edge_attr), batch.y))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, averaged over glasses, and add them to the history."""
        per_glass = [regression_metrics(predicted.cpu(), known.cpu()) for predicted, known in self._validated]
        means = {f"validation_{key}": float(np.mean([metrics[key] for metrics in per_glass])) for key in per_glass[0]}
        self.log_dict(means, prog_bar=True)
        loss = float(torch.stack(self._losses).mean())
        self.history.append({"epoch": self.current_epoch + 1, "training_loss": loss, **means})

    def configure_optimizers(self) -> Any:
        """Return Adam, or AdamW with its schedule."""
        settings = self.settings
        if settings.schedule == "constant":
            return torch.optim.Adam(self.parameters(), lr=settings.learning_rate, amsgrad=True)
        optimizer = torch.optim.AdamW(self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=settings.learning_rate, total_steps=settings.epochs * self.steps_per_epoch, pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the learning curve with the weights."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the learning curve."""
        self.history = checkpoint["history"]
