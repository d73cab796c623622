"""Cross-validation over glasses: related ones share a fold, and every run can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.models.ensemble import EnsembleConfig
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.registry import NetworkConfig, read_config
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training.domain import measure_domain
from symgnn_explain.training.held_out import HeldOut, predict_held_out, summarise
from symgnn_explain.training.module import MONITOR
from symgnn_explain.training.settings import TrainingSettings
from symgnn_explain.training.splits import related_groups
from symgnn_explain.training.train import train

RESULT_FILE = "cross_validation.json"
FORMAT_VERSION = 2


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation(Brief):
    """How well a network predicts glasses that it was not trained on.

    Parameters
    ----------
    architecture, config, settings
        What was trained, and how; the seed is that of the first run.
    folds
        Names of the glasses held out together.
    seeds
        Each fold was trained with each of them.
    runs
        One row a fold, a seed and a validated epoch: ``fold``, ``seed``, ``epoch``, ``training_loss`` and the metrics
        ``validation_…``, averaged over the glasses of the fold.
    n_parameters
        Of the network.
    seconds_per_epoch
        Of training, median over runs; what else ran on the machine counts in.
    together
        What the networks of all seeds say together of the held-out glasses, each network at its own best epoch: metrics
        by glass, calibration of the spread and its coverage; see :func:`~.held_out.summarise`.
    target
        What was learned.
    """

    architecture: str
    config: Mapping[str, Any]
    settings: TrainingSettings
    folds: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    runs: pd.DataFrame
    n_parameters: int
    seconds_per_epoch: float
    together: Mapping[str, Any]
    target: Target = BARRIER

    @property
    def curve(self) -> pd.DataFrame:
        """Learning curve over the epochs that every run reached: mean and standard deviation of r over the runs.

        Both are NaN where the r of a run is not known: that of predictions that are all equal.
        """
        grouped = self.runs.groupby("epoch")[MONITOR]
        whole = grouped.size() == len(self.folds) * len(self.seeds)
        known = grouped.count() == grouped.size()
        return pd.DataFrame({"mean": grouped.mean().where(known), "std": grouped.std().where(known)})[whole]

    @property
    def epoch(self) -> int:
        """The one epoch at which r is best on average over all runs: what a run without validation stops at."""
        curve = self.curve
        return int(curve.index.to_numpy()[np.argmax(curve["mean"].fillna(-np.inf))])

    @property
    def per_fold(self) -> pd.DataFrame:
        """Pearson r at :attr:`epoch`: a row a fold, a column a seed; NaN where it is not known."""
        there = self.runs[self.runs["epoch"] == self.epoch]
        return there.pivot_table(index="fold", columns="seed", values=MONITOR, dropna=False)

    @property
    def pearson(self) -> dict[str, float]:
        """Mean r over folds and seeds, and how the folds' means and the seeds' means spread about it.

        A standard deviation over a single fold or seed is NaN, and so is everything where an r is not known.
        """
        table = self.per_fold
        return {
            "mean": float(table.to_numpy().mean()),
            "std_folds": float(table.mean(axis=1, skipna=False).std(skipna=False)),
            "std_seeds": float(table.mean(axis=0, skipna=False).std(skipna=False)),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a fold and one for their mean: r averaged over seeds, its standard deviation, and each seed's."""
        seeds = self.per_fold.rename(columns=lambda seed: f"seed {seed}")
        seeds.loc["mean"] = seeds.mean(axis=0, skipna=False)
        table = pd.DataFrame({"r": seeds.mean(axis=1, skipna=False), "std": seeds.std(axis=1, skipna=False)}).join(
            seeds
        )
        return table.rename(index=dict(enumerate(" + ".join(names) for names in self.folds)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; undefined ones are None."""
        return {
            "format_version": FORMAT_VERSION,
            "target": self.target.to_dict(),
            "architecture": self.architecture,
            "config": dict(self.config),
            "settings": asdict(self.settings),
            "folds": [list(names) for names in self.folds],
            "seeds": list(self.seeds),
            "epoch": self.epoch,
            "pearson": {name: _or_none(value) for name, value in self.pearson.items()},
            "n_parameters": self.n_parameters,
            "seconds_per_epoch": self.seconds_per_epoch,
            "together": dict(self.together),
            "runs": [
                {str(name): _or_none(value) for name, value in row.items()} for row in self.runs.to_dict("records")
            ],
        }

    def save(self, path: Path) -> Path:
        """Write :meth:`to_dict` as JSON; the file appears whole or not at all."""
        return write_atomically(path, (json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> CrossValidation:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is missing, or not such a file.
        """
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["format_version"] != FORMAT_VERSION:
                raise InputError(f"{path} has format {stored['format_version']}, this version reads {FORMAT_VERSION}.")
            return cls(
                architecture=stored["architecture"],
                config=read_config(stored["architecture"], stored["config"]).to_dict(),
                settings=TrainingSettings(**stored["settings"]),
                folds=tuple(tuple(names) for names in stored["folds"]),
                seeds=tuple(stored["seeds"]),
                runs=pd.DataFrame(stored["runs"]).astype({MONITOR: float}),
                n_parameters=stored["n_parameters"],
                seconds_per_epoch=stored["seconds_per_epoch"],
                together=stored["together"],
                target=Target.from_dict(stored.get("target")),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise InputError(
                f"{path} does not hold a cross-validation ({reason}): give the {RESULT_FILE} that cross-validate wrote."
            ) from error

    def final_run(self, seed: int) -> tuple[NetworkConfig, TrainingSettings, dict[str, Any]]:
        """Return hyperparameters and protocol for a run on all glasses: the same schedule, ended at :attr:`epoch`."""
        settings = replace(self.settings, seed=seed, stop_after=self.epoch)
        protocol = {
            "chosen_by": "cross-validation: mean Pearson r within validation glasses, best at this epoch",
            "folds": [list(names) for names in self.folds],
            "seeds": list(self.seeds),
            "pearson": {name: _or_none(value) for name, value in self.pearson.items()},
            "pearson_together": self.together["pearson"],
            "calibration": {
                **self.together["calibration"],
                **{name: self.together[name] for name in ("coverage", "coverage_by_fold") if name in self.together},
            },
            **({"domain": self.together["domain"]} if "domain" in self.together else {}),
            "sha256": hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest(),
        }
        return self._trainable(), settings, protocol

    def _trainable(self) -> NetworkConfig:
        config = read_config(self.architecture, self.config)
        if isinstance(config, EnsembleConfig):
            raise InputError("an ensemble is not trained by itself: cross-validate what its members are.")
        return config


def cross_validate(
    glasses: Sequence[Glass],
    *,
    config: NetworkConfig,
    settings: TrainingSettings,
    out: str | Path,
    seeds: Sequence[int] = (0,),
    n_folds: int | None = None,
    device: str = "auto",
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
    target: Target = BARRIER,
) -> CrossValidation:
    """Hold out each group of related glasses in turn, train on the others with each seed, and validate.

    Every run trains for the same number of epochs and is a folder of its own in ``out``, with its learning curve and
    predictor; an interrupted call continues when it is made again. The result is also in ``cross_validation.json``.

    Parameters
    ----------
    glasses
        With labels; at least two groups that are not related, and each name once.
    config, settings
        Hyperparameters of the network, and of its training; ``seed`` and ``patience`` of the settings are not used.
    seeds
        Of the runs.
    n_folds
        How many groups are held out, from the first on; None for all.
    device, progress, provenance, target
        As in :func:`~.train.train`.

    Raises
    ------
    InputError
        If there is only one group, or fewer than ``n_folds``, a name or seed comes twice, or a run cannot be made.
    KeyboardInterrupt
        If the user interrupts; the last whole epoch stays on disk.
    """
    names, seeds = [glass.name for glass in glasses], tuple(seeds)
    groups = require_groups(glasses, seeds)
    if n_folds is not None and not 1 <= n_folds <= len(groups):
        raise InputError(f"{n_folds} folds are asked of {len(groups)} groups of glasses: choose 1 to {len(groups)}.")
    groups = groups[:n_folds]
    domain = measure_domain(glasses, groups, config)
    covered = {} if domain is None else {"domain": domain.to_dict()}
    tables: list[pd.DataFrame] = []
    predictors: list[Predictor] = []
    held_out: list[HeldOut] = []
    for fold, group in enumerate(groups):
        training = [glass for place, glass in enumerate(glasses) if place not in group]
        validation = [glasses[place] for place in group]
        for seed in seeds:
            predictor = train(
                training,
                validation,
                config=config,
                settings=replace(settings, seed=seed, patience=settings.last_epoch),
                out=Path(out) / f"fold{fold}" / f"seed{seed}",
                device=device,
                progress=progress,
                provenance=provenance,
                protocol=covered,
                target=target,
            )
            predictors.append(predictor)
            tables.append(pd.DataFrame(predictor.card["history"]).assign(fold=fold, seed=seed))
        held_out += predict_held_out(fold, validation, predictors[-len(seeds) :])
    result = CrossValidation(
        architecture=type(predictors[0].model).__name__,
        config=config.to_dict(),
        settings=replace(settings.without(target.array), seed=seeds[0]),
        folds=tuple(tuple(names[place] for place in group) for group in groups),
        seeds=seeds,
        runs=pd.concat(tables, ignore_index=True),
        n_parameters=predictors[0].card["n_parameters"],
        seconds_per_epoch=float(np.median([each.card["seconds_per_epoch"] for each in predictors])),
        together=summarise(held_out, domain) | covered,
        target=target,
    )
    result.save(Path(out) / RESULT_FILE)
    return result


def require_groups(glasses: Sequence[Glass], seeds: Sequence[int]) -> list[list[int]]:
    """Return groups of related glasses; raise InputError unless there are two, and names and seeds come once."""
    names = [glass.name for glass in glasses]
    if not seeds or len(set(seeds)) < len(seeds) or len(set(names)) < len(names):
        raise InputError(f"seeds={list(seeds)} and the glasses {', '.join(names)} must be given, and each once.")
    groups = related_groups(glasses)
    if len(groups) < 2:
        raise InputError(f"{', '.join(names)} are one glass or related: cross-validation needs at least two groups.")
    return groups


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
