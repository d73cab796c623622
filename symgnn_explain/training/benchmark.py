"""One table of many networks: the same folds, seeds and budget for each, beside what the paper reports."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.ridge import RidgeConfig
from symgnn_explain.models.predictor import resolve_device
from symgnn_explain.models.registry import NetworkConfig
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.memory import reuse_large_allocations
from symgnn_explain.structure.glass import Glass, atomic_number
from symgnn_explain.training.cross_validation import CrossValidation, cross_validate, require_groups
from symgnn_explain.training.module import GlassDataModule, TrainingModule, predict_batch
from symgnn_explain.training.recipes import Recipe, recipe
from symgnn_explain.training.settings import TrainingSettings
from symgnn_explain.training.splits import related_groups

PUBLISHED = {
    "symgnn_published": 0.7859,
    "schnet": 0.7588,
    "mgcn": 0.7352,
    "egat": 0.7264,
    "symgnn_augmented": 0.6614,
    "faenet": 0.6603,
    "gcn": 0.5123,
    "symgnn_unsymmetrized": 0.2669,
    "egnn": 0.2588,
    "mlp": 0.0575,
}
"""Pearson r on the two test glasses of Cu64Zr36, from the paper's table."""

PUBLISHED_SOURCE = (
    "Li, Zhang, Tang, Bauchy and Sun, Predicting and Interpreting Energy Barriers of Metallic Glasses with Graph "
    "Neural Networks, ICML 2024 (PMLR 235:29373): test glasses of 3 000 atoms, on which the epoch was chosen, after up "
    "to 20 000 epochs on all seven training glasses; not the protocol of the other columns."
)

PLAN_FILE = "plan.json"
_VALIDATIONS = 10


@dataclass(frozen=True)
class Budget:
    """What each run may cost: minutes of training on this machine, or a number of epochs."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``"15min"`` or ``"100epochs"``, or raise InputError."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(min|epochs)\s*", text)
        if match is None or float(match[1]) <= 0 or (match[2] == "epochs" and not float(match[1]).is_integer()):
            raise InputError(f'a budget of {text!r} cannot be understood: give it as "15min" or "100epochs" a run.')
        return cls(float(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


def run_benchmark(
    glasses: Sequence[Glass],
    names: Sequence[str],
    *,
    budget: Budget,
    seeds: Sequence[int],
    n_folds: int | None = None,
    out: str | Path,
    device: str = "auto",
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
    target: Target = BARRIER,
) -> dict[str, Any]:
    """Cross-validate each network under the same budget; interrupted runs resume when it is called again.

    A budget of minutes is turned into epochs once, before anything is trained, by timing a step on this machine, so
    that the schedule of learning rates runs to its end; what was timed is kept in ``plan.json`` of the network's
    folder. A network trains no longer than its recipe says that it learns.

    Parameters
    ----------
    glasses
        With labels; related ones are held out together.
    names
        Of recipes, see :data:`~.recipes.RECIPES`.
    budget, seeds
        Of every run. The ridge regression is solved in closed form and needs neither.
    n_folds
        How many groups of related glasses are held out in turn, from the first on; None for all.
    out
        Folder; each network has one in it.
    device, progress, provenance, target
        As in :func:`~.train.train`.

    Returns
    -------
    dict
        Ready for JSON: ``rows`` with one entry a network, ``published`` with the source of the paper's figures,
        ``machine``, ``folds``, ``seeds`` and ``budget``.

    Raises
    ------
    InputError
        If there is no such network, a folder holds another benchmark, or a run cannot be made.
    """
    if len(set(names)) < len(names) or not names:
        raise InputError(f"networks {', '.join(names)} must be named, and each once.")
    require_groups(glasses, seeds)
    recipes = {name: recipe(name) for name in names}
    species = tuple(sorted({symbol for glass in glasses for symbol in glass.species}, key=atomic_number))
    arrays = set.intersection(*(set(glass.arrays) for glass in glasses)) if glasses else set()
    planned = {}
    for name, chosen in recipes.items():
        settings = chosen.settings.for_arrays(arrays).without(target.array)
        own = replace(chosen, config=replace(chosen.config, species=species), settings=settings)
        planned[name] = replace(own, settings=_planned(Path(out) / name, own, budget, glasses, device, target=target))
    rows, folds = [], []
    for name, own in planned.items():
        result = cross_validate(
            glasses,
            config=own.config,
            settings=own.settings,
            out=Path(out) / name,
            # What is solved in closed form is the same with every seed.
            seeds=seeds[:1] if isinstance(own.config, RidgeConfig) else seeds,
            n_folds=n_folds,
            device=device,
            progress=progress,
            provenance=provenance,
            target=target,
        )
        folds = [list(fold) for fold in result.folds]
        rows.append(
            {"network": name, **_row(result), "published_r": PUBLISHED.get(name) if target == BARRIER else None}
        )
    return {
        "budget": str(budget),
        "seeds": list(seeds),
        "folds": folds,
        "machine": _machine(device),
        "published": PUBLISHED_SOURCE if target == BARRIER else None,
        "target": target.name,
        "target_unit": target.unit,
        "rows": rows,
    }


def benchmark_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """Lay out the rows of a report, the best network first."""
    table = pd.DataFrame(report["rows"]).set_index("network").sort_values("r", ascending=False)
    table = table[["r", "std_folds", "std_seeds", "n_parameters", "seconds_per_epoch", "epochs", "published_r"]]
    return table.astype({"std_folds": float, "std_seeds": float, "published_r": float})


def time_step(
    config: NetworkConfig, settings: TrainingSettings, glass: Glass, device: str, target: Target = BARRIER
) -> tuple[float, float]:
    """Time a step of training, and a prediction, for one glass: seconds, median of three steps after the first."""
    reuse_large_allocations()  # as training does
    placed = resolve_device(device)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        data = GlassDataModule([glass], [], config, auxiliary=settings.auxiliary, target=target)
        module = TrainingModule(config, settings, steps_per_epoch=1)
        module.fit_inputs(data)
        network, graph = module.model.to(placed), data.training[0].to(placed)
        optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)

        def step() -> float:
            started = time.perf_counter()
            optimizer.zero_grad()
            predict_batch(network, graph, graph.edge_attr).square().mean().backward()
            optimizer.step()
            _wait(placed)
            return time.perf_counter() - started

        def predict() -> float:
            started = time.perf_counter()
            with torch.no_grad():
                predict_batch(network, graph, graph.edge_attr)
            _wait(placed)
            return time.perf_counter() - started

        step()
        of_step = statistics.median(step() for _ in range(3))
        network.eval()
        return of_step, predict()


def _planned(
    folder: Path, chosen: Recipe, budget: Budget, glasses: Sequence[Glass], device: str, *, target: Target
) -> TrainingSettings:
    """Turn the budget into epochs, the way it was done when the folder was first used."""
    path = folder / PLAN_FILE
    if path.is_file():
        plan = json.loads(path.read_text(encoding="utf-8"))
        if plan["budget"] != str(budget):
            raise InputError(f"{folder} holds a benchmark with a budget of {plan['budget']}: choose another folder.")
    else:
        plan = {"budget": str(budget), **_plan(chosen, budget, glasses, device, target=target)}
        write_atomically(path, (json.dumps(plan, indent=1) + "\n").encode())
    epochs = int(plan["epochs"])
    return replace(chosen.settings, epochs=epochs, validate_every=max(1, epochs // _VALIDATIONS), stop_after=None)


def _plan(chosen: Recipe, budget: Budget, glasses: Sequence[Glass], device: str, *, target: Target) -> dict[str, Any]:
    if isinstance(chosen.config, RidgeConfig):
        return {"epochs": 1}
    if budget.unit == "epochs":
        return {"epochs": _at_most(int(budget.amount), chosen)}
    largest = max(glasses, key=len)
    of_step, of_prediction = time_step(chosen.config, chosen.settings, largest, device, target)
    held_out = [len(group) for group in related_groups(glasses)]
    epoch = (len(glasses) - min(held_out)) * of_step  # the longest of any fold
    validations = _VALIDATIONS * max(held_out) * of_prediction
    epochs = round((60 * budget.amount - validations) / epoch)
    return {
        "epochs": _at_most(max(1, epochs), chosen),
        "seconds_per_step": of_step,
        "seconds_per_prediction": of_prediction,
    }


def _at_most(epochs: int, chosen: Recipe) -> int:
    return epochs if chosen.most_epochs is None else min(chosen.most_epochs, epochs)


def _row(result: CrossValidation) -> dict[str, Any]:
    pearson = result.to_dict()["pearson"]
    return {
        "r": pearson["mean"],
        "std_folds": pearson["std_folds"],
        "std_seeds": pearson["std_seeds"],
        "r_by_fold": [None if math.isnan(r) else r for r in result.per_fold.mean(axis=1, skipna=False)],
        "n_parameters": result.n_parameters,
        "seconds_per_epoch": result.seconds_per_epoch,
        "epochs": result.settings.epochs,
        "best_epoch": result.epoch,
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _machine(device: str) -> str:
    target = resolve_device(device)
    gpu = f", {torch.cuda.get_device_name()}" if target.type == "cuda" else ""
    processor = platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} CPUs{gpu}, torch {torch.__version__}, {torch.get_num_threads()} threads"
