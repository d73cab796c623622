"""Train a network and leave a predictor: weights, card, learning curve; resumable."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
import platform
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.seed import isolate_rng

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.ridge import Ridge
from symgnn_explain.models.domain import Domain
from symgnn_explain.models.invariance import symmetrization_error
from symgnn_explain.models.predictor import Predictor, resolve_device
from symgnn_explain.models.registry import NetworkConfig
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.memory import release_memory
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training.closed_form import solve
from symgnn_explain.training.domain import measure_domain
from symgnn_explain.training.held_out import predict_held_out, summarise
from symgnn_explain.training.metrics import regression_metrics
from symgnn_explain.training.module import MONITOR, GlassDataModule, TrainingModule
from symgnn_explain.training.settings import TrainingSettings
from symgnn_explain.training.splits import related_groups, require_unrelated

WEIGHTS_FILE = "predictor.safetensors"
LEARNING_CURVE_FILE = "learning_curve.csv"
_CHECKPOINTS, _BEST, _LAST = "checkpoints", "best", "last"


def train(
    training: Sequence[Glass],
    validation: Sequence[Glass] = (),
    *,
    config: NetworkConfig,
    settings: TrainingSettings,
    out: str | Path,
    device: str = "auto",
    devices: int = 1,
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    target: Target = BARRIER,
) -> Predictor:
    """Train on labelled glasses, stop on validation glasses, and write the best predictor into ``out``.

    Without validation glasses the weights after the last epoch are written: choose their number by cross-validation.

    An interrupted run continues after its last whole epoch when it is called again with the same folder, and on the CPU
    ends exactly as if it had not been interrupted; a finished one is not trained further. Random number generators are
    left as they were found.

    Parameters
    ----------
    training, validation
        Glasses with labels; no glass, nor a relative of it, may be on both sides.
    config, settings
        Hyperparameters of the network, and of its training.
    out
        Folder for ``predictor.safetensors``, its card, ``learning_curve.csv`` and checkpoints.
    device
        ``auto``, ``cpu`` or ``cuda``.
    devices
        Processes that share each epoch's glasses, one a GPU (or on the CPU, by gloo). The gradient of a step is their
        mean. A script that starts several must guard its entry with ``if __name__ == "__main__":``.
    progress
        Whether to show progress bars.
    provenance
        Goes into the card: data, hashes, command.
    protocol
        Goes into the card beside how the epoch was chosen: how everything else was.
    target
        What is learned. Where its tolerance is not known, it becomes a quarter of the standard deviation of the
        training labels. It is never an auxiliary array.

    Raises
    ------
    InputError
        If a glass has no labels, it or a relative is on both sides, the folder holds another run, the device is not
        there, or the training diverged before anything was learned.
    KeyboardInterrupt
        If the user interrupts; the last whole epoch stays on disk.
    """
    require_unrelated(training, validation)
    settings = settings.without(target.array)
    placed = _require_devices(device, devices, settings, len(training))
    out = Path(out)
    release_memory()  # what runs before this one held: a gigabyte each
    with isolate_rng():
        torch.manual_seed(settings.seed)
        data = GlassDataModule(
            training, validation, config, auxiliary=settings.auxiliary, seed=settings.seed, target=target
        )
        target = target.resolved(np.concatenate([target.require_labels(glass) for glass in training]))
        described: dict[str, Any] = {
            "training": _describe(training, target),
            "validation": _describe(validation, target),
        }
        if devices > 1:
            described["devices"] = devices  # a step is another one then
        if target != BARRIER:
            described["target"] = target.to_dict()
        module = TrainingModule(config, settings, steps_per_epoch=-(-len(training) // devices), data=described)
        last = out / _CHECKPOINTS / f"{_LAST}.ckpt"
        _require_same_run(out, last, module)
        if (out / WEIGHTS_FILE).is_file():
            return Predictor.load(out / WEIGHTS_FILE, device=device)
        module.fit_inputs(data)
        iterates = not isinstance(module.model, Ridge)
        if iterates:
            validates = bool(validation)
            with _quiet_lightning():
                trainer = _trainer(
                    out, settings, target, placed, devices=devices, validates=validates, progress=progress
                )
                _fit(trainer, module, data, last if last.is_file() else None)
        else:
            solve(module, data, last)

    ended = _read(last)
    chosen = _finite_state(last.with_stem(_BEST) if iterates and validation else last)
    module.load_state_dict(chosen["state_dict"])
    module.prepare_evaluation()
    predictor = Predictor(module.model, device=device, target=target)
    measured = {}
    if validation:
        domain = _domain([*training, *validation], config, protocol or {})
        measured = held_out_protocol(predictor, domain, validation)
    predictor.card = {
        "target": target.to_dict(),
        "training_settings": asdict(settings),
        **described,
        "protocol": {
            "epoch": _epoch_choice(iterates=iterates, validates=bool(validation)),
            **measured,
            **(protocol or {}),
        },
        "epoch": int(chosen["epoch"]) + 1,
        "metrics": {
            "validation": validation_metrics(predictor, validation),
            target.key("symmetrization_error"): symmetrization_error(predictor, (*validation, *training)[0]),
        },
        "history": ended["history"],
        "seconds_per_epoch": ended["training_seconds"] / (int(ended["epoch"]) + 1),
        "n_parameters": sum(parameter.numel() for parameter in module.model.parameters()),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("symgnn_explain", "torch", "torch_geometric", "lightning", "numpy")},
        },
        "provenance": dict(provenance or {}),
    }
    predictor.save(out / WEIGHTS_FILE)
    return predictor


def held_out_protocol(predictor: Predictor, domain: Domain | None, held_out: Sequence[Glass]) -> dict[str, Any]:
    """Find the spread on glasses that were not trained on; nothing where none has known values.

    They are a single group, so that no other says how well these intervals cover: cross-validation does.
    """
    known = [glass for glass in held_out if predictor.target.labels(glass) is not None]
    found = predict_held_out(0, known, [predictor])
    said = {} if domain is None else {"domain": domain.to_dict()}
    if sum(len(glass.known) for glass in found) < 2:
        return said
    return said | {"calibration": summarise(found, domain)["calibration"], "held_out": [glass.name for glass in known]}


def _domain(glasses: Sequence[Glass], config: NetworkConfig, protocol: Mapping[str, Any]) -> Domain | None:
    if "domain" in protocol:
        return Domain.from_dict(protocol["domain"])
    return measure_domain(glasses, related_groups(glasses), config)


def _epoch_choice(*, iterates: bool, validates: bool) -> str:
    if not iterates:
        return "none: solved in closed form"
    if validates:
        return "the one with the best mean Pearson r within the validation glasses"
    return "the last: nothing was validated in this run"


def validation_metrics(predictor: Predictor, glasses: Sequence[Glass]) -> dict[str, dict[str, float]]:
    """Compare predictions with known values, glass by glass; one without any is left out.

    Glasses of the same name are told apart by a number: ``glass``, ``glass (2)``.
    """
    found: dict[str, dict[str, float]] = {}
    for glass in glasses:
        known = predictor.target.labels(glass)
        if known is None:
            continue
        name, number = glass.name, 1
        while name in found:
            number += 1
            name = f"{glass.name} ({number})"
        found[name] = regression_metrics(predictor.predict(glass), known)
    return found


class _LearningCurve(Callback):
    """Writes the history after every validation, so that it can be watched and survives an interruption.

    Errors are in the unit of ``target``, as their headings say; the loss is that of standardised labels, and has none.
    """

    def __init__(self, path: Path, target: Target) -> None:
        self.path = path
        self.headings = {name: target.column(name) for name in ("validation_mae", "validation_rmse")}

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: TrainingModule) -> None:
        """Write the learning curve so far."""
        if trainer.is_global_zero:
            history = pd.DataFrame(pl_module.history).rename(columns=self.headings)
            write_atomically(self.path, history.to_csv(index=False).encode())

    def on_train_end(self, trainer: lightning.Trainer, pl_module: TrainingModule) -> None:
        """Write the whole learning curve."""
        self.on_validation_end(trainer, pl_module)


class _WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints whole or not at all; Lightning copies them from the folder for temporary files."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write one."""
        stream = io.BytesIO()
        torch.save(checkpoint, stream)
        write_atomically(Path(path), stream.getvalue())


def _trainer(
    out: Path,
    settings: TrainingSettings,
    target: Target,
    device: torch.device,
    *,
    devices: int,
    validates: bool,
    progress: bool,
) -> lightning.Trainer:
    folder = out / _CHECKPOINTS
    callbacks: list[Callback] = [_LearningCurve(out / LEARNING_CURVE_FILE, target)]
    if validates:
        callbacks.append(
            ModelCheckpoint(folder, filename=_BEST, monitor=MONITOR, mode="max", enable_version_counter=False)
        )
        callbacks.append(EarlyStopping(MONITOR, mode="max", patience=settings.patience, check_finite=True))
    # Lightning's own save_last follows the best checkpoint only, which would throw away every epoch since.
    callbacks.append(
        ModelCheckpoint(folder, filename=_LAST, save_on_train_epoch_end=True, enable_version_counter=False)
    )
    if progress:
        callbacks.append(TQDMProgressBar())
    strategy: str | Strategy = "auto"
    if devices > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        strategy = DDPStrategy(start_method="spawn", process_group_backend=backend)
    return lightning.Trainer(
        max_epochs=settings.last_epoch,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=devices,
        strategy=strategy,
        precision=settings.precision,
        use_distributed_sampler=False,
        sync_batchnorm=devices > 1 and device.type == "cuda",
        callbacks=callbacks,
        plugins=[_WholeCheckpoints()],
        logger=False,
        check_val_every_n_epoch=settings.validate_every,
        limit_val_batches=1.0 if validates else 0,
        gradient_clip_val=settings.gradient_clip,
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        default_root_dir=out,
    )


def _require_devices(device: str, devices: int, settings: TrainingSettings, n_glasses: int) -> torch.device:
    target = resolve_device(device)
    if not 1 <= devices <= n_glasses:
        raise InputError(f"{devices=} cannot share {n_glasses} training glasses: each needs at least one.")
    if target.type == "cuda" and devices > torch.cuda.device_count():
        raise InputError(f"{devices=} were asked for, but there are {torch.cuda.device_count()} GPUs.")
    if settings.precision == "16-mixed" and target.type == "cpu":
        raise InputError("precision='16-mixed' needs a GPU: use '32-true' or 'bf16-mixed' on a CPU.")
    return target


def _fit(trainer: lightning.Trainer, module: TrainingModule, data: GlassDataModule, checkpoint: Path | None) -> None:
    """Train; an interruption leaves as what it is, where Lightning would end the process and go deaf to the next."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, data, ckpt_path=checkpoint)
    except SystemExit as exit_request:
        if not isinstance(exit_request.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's chatter (devices found, tips) from the screen; its warnings pass, but for those named here."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Graphs are kept in memory, workers would only copy them; and a resumed run has files in its folder.
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty.*")
            # Lightning calls what this version of PyTorch deprecates.
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated.*", category=FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(f"{checkpoint} is damaged: remove {checkpoint.parents[1]}, and train again.") from error
    return read


def _finite_state(path: Path) -> dict[str, Any]:
    state = _read(path)
    if not all(tensor.isfinite().all() for tensor in state["state_dict"].values() if tensor.is_floating_point()):
        raise InputError(
            f"the training in {path.parents[1]} diverged before anything was learned: lower the learning rate, in "
            "another folder."
        )
    return state


def _require_same_run(out: Path, last: Path, module: TrainingModule) -> None:
    if last.is_file():
        stored = _read(last)["hyper_parameters"]
        if stored != dict(module.hparams):
            raise InputError(
                f"{out} holds a run with other hyperparameters or glasses: choose another folder, or remove it."
            )
    elif (out / WEIGHTS_FILE).is_file():
        raise InputError(f"{out} already holds a predictor that was not trained there: choose another folder.")


def _describe(glasses: Sequence[Glass], target: Target) -> list[dict[str, str]]:
    """Identify structures and labels: a run with other labels is another run."""
    return [
        {
            "name": glass.name,
            "formula": glass.formula,
            "content_sha256": glass.content_hash,
            "labels_sha256": hashlib.sha256(target.require_labels(glass).tobytes()).hexdigest(),
        }
        for glass in glasses
    ]
