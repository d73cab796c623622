"""The Lightning module and data module that train a network on labelled glasses."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Sampler
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from symgnn_explain.errors import InputError
from symgnn_explain.models.ensemble import with_description
from symgnn_explain.models.environment import displaced_at_random
from symgnn_explain.models.predictor import evaluation_mode
from symgnn_explain.models.registry import NetworkConfig, build_network
from symgnn_explain.models.sweep import blocks_of
from symgnn_explain.models.symgnn import SymGNN
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.memory import reuse_large_allocations
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph
from symgnn_explain.training.metrics import regression_metrics
from symgnn_explain.training.settings import TrainingSettings

LEVEL_TOLERANCE = 0.11
"""Change of a glass's mean prediction, in standard deviations of the labels, that costs nothing: 0.03 eV."""

EVERY = 2
"""Of so many atoms one counts, where that saves time."""

MONITOR = "validation_pearson"

RESOLVED = 1e5
"""Mean label in standard deviations up to which single precision, in which networks compute, tells labels apart."""

LARGEST_LABEL = 1e30
"""Size of labels, and one over it of their standard deviation, up to which single precision holds them."""

FEWEST_RISING = 1.5
"""Steps in which the learning rate rises at least: PyTorch's one-cycle schedule divides by one less."""


class EpochShuffle(Sampler[int]):
    """A shuffled order that depends on seed and epoch alone, so that a resumed run sees what an uninterrupted one does.

    Lightning calls :meth:`set_epoch` before each epoch. Of several processes each takes every ``n_processes``-th, and
    the first ones come again where the number is not even.
    """

    def __init__(self, length: int, seed: int, *, process: int = 0, n_processes: int = 1) -> None:
        self.length, self.seed, self.epoch = length, seed, 0
        self.process, self.n_processes = process, n_processes

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.length / self.n_processes)

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        yield from np.resize(order, len(self) * self.n_processes)[self.process :: self.n_processes].tolist()


class GlassDataModule(lightning.LightningDataModule):
    """Graphs of labelled glasses, one glass a batch, in an order that ``seed`` determines.

    Parameters
    ----------
    training, validation
        Glasses with labels; atoms whose label is NaN are seen as neighbours, and not learned from.
    config
        Of the network.
    auxiliary
        Names of the arrays that training graphs carry too, as ``auxiliary`` (N, A), standardised within each species.
    seed
        Of the order.
    target
        What is learned: it finds the labels, which graphs carry as ``y`` (N,).

    Raises
    ------
    InputError
        If a glass has no labels or a training glass no such array, all labels, or those of a validation glass, are
        equal, or a species is not one that the network knows.
    """

    def __init__(
        self,
        training: Sequence[Glass],
        validation: Sequence[Glass],
        config: NetworkConfig,
        *,
        auxiliary: Sequence[str] = (),
        seed: int = 0,
        target: Target = BARRIER,
    ) -> None:
        super().__init__()
        for glass in validation:
            known = target.require_labels(glass)
            known = known[~np.isnan(known)]
            if len(known) < 2:
                raise InputError(
                    f"{glass.name!r} has one known {target.word}: to validate on a glass takes at least two."
                )
            if np.ptp(known) == 0:  # a correlation that is no number would end the training at once
                raise InputError(
                    f"all known {target.plural} of {glass.name!r} are {target.with_unit(f'{known[0]:.3g}')}: to "
                    "validate on a glass takes different ones, leave it out of validation."
                )
        self.seed = seed
        _require_resolved(training, target)
        training, validation = ([_neighbours_together(glass) for glass in side] for side in (training, validation))
        self.training, self.validation = (
            [_labelled_graph(glass, config, target) for glass in side] for side in (training, validation)
        )
        if auxiliary:
            for graph, values in zip(self.training, _standardised_arrays(training, auxiliary), strict=True):
                graph.auxiliary = torch.from_numpy(values)
        labels = torch.cat([graph.y[~graph.y.isnan()] for graph in self.training])
        self.labels = labels
        """The known training labels."""

    @torch.no_grad()
    def describe(self, model: SymGNN, *, displaced: bool = False) -> None:
        """Let the graphs carry what the network encodes nodes from; those to learn from also once all atoms moved."""
        generator = torch.Generator().manual_seed(self.seed)
        for graph in self.training if displaced else ():
            graph.displaced_environment = model.described(displaced_at_random(graph, generator))
        self.training, self.validation = (
            [with_description(model, graph) for graph in side] for side in (self.training, self.validation)
        )

    def train_dataloader(self) -> DataLoader:
        """Return the training graphs of this process, shuffled anew each epoch."""
        process, n_processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        order = EpochShuffle(len(self.training), self.seed, process=process, n_processes=n_processes)
        return DataLoader(self.training, batch_size=1, sampler=order)

    def val_dataloader(self) -> DataLoader:
        """Return the validation graphs, all of them in each process."""
        return DataLoader(self.validation, batch_size=1)


class TrainingModule(lightning.LightningModule):
    """Mean squared error on normalised labels; validated by the mean Pearson r within a glass.

    Parameters
    ----------
    config, settings
        Hyperparameters of the network, and of its training.
    steps_per_epoch
        Steps that each process makes an epoch.
    data
        What the run learns from, by any names; a checkpoint keeps it with the hyperparameters.
    """

    def __init__(
        self,
        config: NetworkConfig,
        settings: TrainingSettings,
        steps_per_epoch: int,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.steps_per_epoch = settings, steps_per_epoch
        self.model = build_network(config)
        self.save_hyperparameters(
            {
                "architecture": type(self.model).__name__,
                "config": config.to_dict(),
                "settings": asdict(settings),
                "data": dict(data or {}),
            },
            logger=False,
        )
        self.auxiliary_head: nn.Module | None = None
        if settings.auxiliary:
            if not isinstance(self.model, SymGNN):
                raise InputError(f"a {type(self.model).__name__} learns no auxiliary arrays: leave them out.")
            self.auxiliary_head = nn.Linear(self.model.config.dim, len(settings.auxiliary))
        if self._displaces and not (isinstance(self.model, SymGNN) and self.model.describes):
            raise InputError(
                f"steadiness={settings.steadiness} and level_steadiness={settings.level_steadiness} are for networks "
                f"whose nodes start from descriptors: this {type(self.model).__name__}'s do not, leave them at 0."
            )
        self._augmentation = HaarO3()
        self.history: list[dict[str, float]] = []
        self.training_seconds = 0.0
        self._losses: list[Tensor] = []
        self._validated: list[tuple[Tensor, Tensor]] = []

    def fit_inputs(self, data: GlassDataModule) -> None:
        """Give the network what it normalises with, measured on the training graphs; and graphs what never changes."""
        if isinstance(self.model, SymGNN):
            self.model.fit_inputs(data.training)
            data.describe(self.model, displaced=self._displaces)
        self.model.fit_labels(data.labels)

    @property
    def _displaces(self) -> bool:
        """Whether what displacements change counts in the loss."""
        return self.settings.steadiness > 0 or self.settings.level_steadiness > 0

    def prepare_evaluation(self) -> None:
        """Give the network the transformations that a predictor would get now."""
        if isinstance(self.model, SymGNN):
            self.model.fix_transformations()

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Prepare this process, of which there can be several."""
        reuse_large_allocations()

    def on_train_epoch_start(self) -> None:
        """Forget the losses of the epoch before."""
        self._losses.clear()

    def on_train_batch_start(self, batch: Data, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Start the watch."""
        self._started = time.perf_counter()

    def training_step(self, batch: Data, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        """Return the loss of one glass."""
        # Transformations and dropout depend on seed, step and process alone: a resumed run draws what an uninterrupted
        # one does.
        sequence = np.random.SeedSequence((self.settings.seed, self.global_step, self.global_rank))
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        displacement = batch.edge_attr
        if self.settings.augment:
            displacement = displacement @ self._augmentation(2)[torch.randint(2, ())].to(displacement).T
        first: Tensor | None = None
        if isinstance(self.model, SymGNN):
            described = batch.environment if "environment" in batch else None
            predicted, first = self.model.predict_and_look(batch.x, batch.edge_index, displacement, described)
        else:
            predicted = predict_batch(self.model, batch, displacement)
        predicted, known = labelled(predicted, batch.y)
        error = (predicted - known) / self.model.label_scale
        level = error.mean()
        loss = (error - level).square().mean() + self.settings.level_weight * level.square()
        if self.auxiliary_head is not None and first is not None:
            off = self.auxiliary_head(first) - batch.auxiliary
            loss = loss + self.settings.auxiliary_weight * off.square().mean()
        if self._displaces:
            loss = loss + self._change_by_displacements(batch)
        self.log("training_loss", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)
        self._losses.append(loss.detach())
        return loss

    def _change_by_displacements(self, batch: Data) -> Tensor:
        """Return what displacements change, as :class:`~.settings.TrainingSettings` weighs it.

        The change of the mean prediction is that of encoded nodes times its gradient, both in evaluation mode: in
        training, normalisation takes out what changes alike everywhere, and dropout makes changes of its own.
        """
        model, settings = self.model, self.settings
        with evaluation_mode(model):
            with torch.no_grad():
                edge, fade = model.encode_edges(batch.edge_attr), model.edge_fading(batch.edge_attr)
                start = model.encode_nodes(batch.environment)
            node = start.requires_grad_()
            for layer in model.layers:
                node, edge = layer(node, batch.edge_index, edge, fade)
            (gradient,) = torch.autograd.grad(model.decode(node).mean(), start)
            before, after = (
                model.encode_nodes(described[::EVERY]) for described in (batch.environment, batch.displaced_environment)
            )
        change = after - before
        share = (change.square().mean(dim=0) / before.var(dim=0)).mean()
        level = EVERY * (change * gradient[::EVERY]).sum() / model.label_scale
        excess = torch.relu(level.abs() - LEVEL_TOLERANCE)
        weighted: Tensor = settings.steadiness * share + settings.level_steadiness * excess
        return weighted

    def on_train_batch_end(self, outputs: Any, batch: Data, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's
        """Stop the watch."""
        self.training_seconds += time.perf_counter() - self._started

    def on_validation_epoch_start(self) -> None:
        """Forget the predictions of the validation before."""
        self.prepare_evaluation()
        self._validated.clear()

    def validation_step(self, batch: Data, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Keep the predictions of one glass."""
        predicted = predict_batch(self.model, batch, batch.edge_attr)
        self._validated.append((predicted.float(), batch.y))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, averaged over glasses, and add them to the history."""
        # Processes differ in the running statistics of their last glass; those of the first one are kept and count.
        means = self.trainer.strategy.broadcast(mean_metrics(self._validated))
        self.log_dict(means | {MONITOR: _monitored(means)}, prog_bar=True)
        self._record(means)

    def on_train_epoch_end(self) -> None:
        """Add the loss alone to the history, where nothing is validated."""
        if not self.trainer.enable_validation and (self.current_epoch + 1) % self.settings.validate_every == 0:
            self._record({})

    def _record(self, means: Mapping[str, float]) -> None:
        loss = float(self.trainer.strategy.reduce(torch.stack(self._losses).mean(), reduce_op="mean"))
        self.history.append({"epoch": self.current_epoch + 1, "training_loss": loss, **means})

    def configure_optimizers(self) -> Any:
        """Return Adam, or AdamW with its schedule."""
        settings = self.settings
        if settings.schedule == "constant":
            return torch.optim.Adam(self._learned(), lr=settings.learning_rate, amsgrad=True)
        optimizer = torch.optim.AdamW(self._learned(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        n_steps = settings.epochs * self.steps_per_epoch
        if n_steps == 1:
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=settings.learning_rate, total_steps=n_steps, pct_start=max(0.2, FEWEST_RISING / n_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learned(self) -> list[nn.Parameter]:
        head = [] if self.auxiliary_head is None else list(self.auxiliary_head.parameters())
        return [*self.model.parameters(), *head]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the learning curve and the time with the weights."""
        checkpoint["history"], checkpoint["training_seconds"] = self.history, self.training_seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the learning curve and the watch."""
        self.history, self.training_seconds = checkpoint["history"], checkpoint["training_seconds"]


def _neighbours_together(glass: Glass) -> Glass:
    """Return the glass with its atoms in another order: what an atom hears from is near it in memory too."""
    return glass.reordered(blocks_of(glass, len(glass))[0])


def _require_resolved(training: Sequence[Glass], target: Target) -> None:
    """Raise InputError where labels are all equal, or differ by less than single precision tells apart."""
    labels = np.concatenate([target.require_labels(glass) for glass in training])
    labels = labels[~np.isnan(labels)]
    if np.ptp(labels) == 0:
        raise InputError(
            f"all training {target.plural} are {target.with_unit(f'{labels[0]:.3g}')}, which leaves "
            "nothing to learn: check what was read."
        )
    with np.errstate(over="ignore", under="ignore"):
        mean, spread, largest = float(labels.mean()), float(labels.std()), float(np.abs(labels).max())
    if not abs(mean) <= RESOLVED * spread:
        raise InputError(
            f"training {target.plural} differ by {target.with_unit(f'{spread:.3g}')} about "
            f"{target.with_unit(f'{mean:.7g}')}, which is too little for the network's single precision: subtract "
            f"{mean:.7g} from the array {target.array!r}."
        )
    if not (largest < LARGEST_LABEL and spread > 1 / LARGEST_LABEL):
        raise InputError(
            f"training {target.plural} of up to {largest:.3g} with a standard deviation of {spread:.3g} are beyond "
            f"the network's single precision: give the array {target.array!r} in another unit."
        )


def _labelled_graph(glass: Glass, config: NetworkConfig, target: Target) -> Data:
    labels = target.require_labels(glass)
    graph = build_graph(glass, cutoff=config.cutoff, species=config.species, reach=config.reach)
    graph.y = torch.from_numpy(labels.astype(np.float32))
    return graph


def _standardised_arrays(glasses: Sequence[Glass], names: Sequence[str]) -> list[NDArray[np.float32]]:
    """Return the arrays of each glass as columns, with mean 0 and variance 1 among all atoms of one species."""
    for glass in glasses:
        for name in names:
            if name not in glass.arrays or glass.arrays[name].ndim != 1:
                raise InputError(
                    f"{glass.name!r} has no array {name!r} with one number an atom to learn beside the target: add "
                    "it to the file, or train without auxiliary arrays."
                )
    values = np.concatenate([np.column_stack([glass.arrays[name] for name in names]) for glass in glasses])
    values = values.astype(np.float64)
    numbers = np.concatenate([glass.numbers for glass in glasses])
    for number in np.unique(numbers):
        own = values[numbers == number]
        spread = own.std(axis=0)
        values[numbers == number] = (own - own.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if not np.isfinite(values).all():
        raise InputError(f"the arrays {', '.join(names)} of the training glasses hold values that are not finite.")
    return np.split(values.astype(np.float32), np.cumsum([len(glass) for glass in glasses])[:-1])


def predict_batch(network: Any, batch: Data, displacement: Tensor) -> Tensor:
    """Predict with other displacements than the graph's, and the description that it may carry."""
    described = (batch.environment,) if "environment" in batch else ()
    predicted: Tensor = network(batch.x, batch.edge_index, displacement, *described)
    return predicted


def labelled(predicted: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return predictions (N,) and labels (N,) of the atoms whose label is known, not NaN."""
    unknown = known.isnan()
    return (predicted[~unknown], known[~unknown]) if unknown.any() else (predicted, known)


def mean_metrics(validated: Sequence[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Metrics of predicted and known values, averaged over glasses, by their names in the history."""
    per_glass = [regression_metrics(predicted.cpu(), known.cpu()) for predicted, known in validated]
    return {f"validation_{key}": float(np.mean([metrics[key] for metrics in per_glass])) for key in per_glass[0]}


def _monitored(means: Mapping[str, float]) -> float:
    """r, and less than any r where all predictions are equal still: training goes on. NaN where it has diverged."""
    undefined = math.isnan(means[MONITOR]) and math.isfinite(means["validation_rmse"])
    return -2.0 if undefined else means[MONITOR]
