"""What symmetrization is worth: one network of displacement vectors, seven ways to meet rotations, equal budgets.

Symmetrized over the learned distribution of the preset, over the published one, over the Haar measure, over the
octahedral and the icosahedral group; trained on turned glasses instead (augmented); and neither. Each is trained on
fold A (train0 and train1 held out) by the recipe ``symgnn`` with every seed, a quarter of an hour of a core a run, or
an hour with ``--epochs 600``; interrupted calls continue. What is stored in ``--runs`` is not trained again, and the
invariance errors are measured anew each time: run
``python benchmarks/symmetrization.py --runs out/symmetrization --json F``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json
from scipy import stats

from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.models.invariance import symmetrization_error
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNNConfig
from symgnn_explain.models.symmetrization import AngularGaussianO3
from symgnn_explain.training.cross_validation import RESULT_FILE, CrossValidation, cross_validate
from symgnn_explain.training.module import MONITOR
from symgnn_explain.training.recipes import Recipe, recipe

PUBLISHED = {"learned": 0.786, "augmented": 0.661, "neither": 0.267}
"""Pearson r on the test glasses of Li et al. (ICML 2024), table 2."""


def variants(base: Recipe) -> dict[str, Recipe]:
    """Return the recipe by what is done about rotations and reflections; nothing else differs."""
    config = base.config
    if not isinstance(config, SymGNNConfig):
        raise InputError(f"the recipe {type(config).__name__} has no displacement vectors to symmetrize.")
    plain = replace(config, distribution="identity", training_samples=1, inference_samples=1)
    return {
        "learned": replace(base, config=replace(config, distribution="angular_gaussian")),
        "von_mises": replace(base, config=replace(config, distribution="von_mises")),
        "haar": replace(base, config=replace(config, distribution="haar")),
        "octahedral": replace(base, config=replace(config, distribution="octahedral", inference_samples=48)),
        "icosahedral": replace(base, config=replace(config, distribution="icosahedral", inference_samples=120)),
        "augmented": Recipe(plain, replace(base.settings, augment=True)),
        "neither": Recipe(plain, base.settings),
    }


def trained(name: str, chosen: Recipe, runs: Path, seeds: tuple[int, ...], *, stored_only: bool) -> CrossValidation:
    """Read the result of a variant, or train what is missing of it."""
    if stored_only:
        return CrossValidation.load(runs / name / RESULT_FILE)
    glasses = datasets.cu64zr36()
    return cross_validate(
        glasses, config=chosen.config, settings=chosen.settings, out=runs / name, seeds=seeds, n_folds=1, device="cpu"
    )


def interval(values: Iterable[float]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a mean by Student's t; None where a single value is known."""
    sample = np.asarray(list(values))
    if len(sample) < 2:
        return None, None
    half = stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample))
    return float(sample.mean() - half), float(sample.mean() + half)


def row(name: str, result: CrossValidation, folder: Path) -> dict[str, Any]:
    """Return the figures of one variant."""
    best = result.runs.groupby("seed")[MONITOR].max()
    low, high = interval(best)
    predictors = [
        Predictor.load(path, device="cpu") for path in sorted(folder.glob("fold0/seed*/predictor.safetensors"))
    ]
    glass = datasets.sample()
    errors = [symmetrization_error(predictor, glass) for predictor in predictors]
    distributions = [predictor.model.symmetrization for predictor in predictors]
    return {
        "variant": name,
        "r": float(best.mean()),
        "r_by_seed": {str(seed): float(value) for seed, value in best.items()},
        "low": low,
        "high": high,
        "r_together": result.together["pearson"],
        "published_r": PUBLISHED.get(name),
        "invariance_error": float(np.mean(errors)),
        "unit": result.target.unit,
        "epochs": result.settings.epochs,
        "learned": [{name: value.tolist() for name, value in each.named_parameters()} for each in distributions],
        "eigenvalues": [each.eigenvalues().tolist() for each in distributions if isinstance(each, AngularGaussianO3)],
        "curve": [[int(epoch), float(r)] for epoch, r in result.curve["mean"].items()],
    }


def main() -> None:
    """Train what is missing, measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--runs", type=Path, default=Path("out/symmetrization"), help="folder of the trainings")
    parser.add_argument("--recipe", default="symgnn", help="the network, and how it is trained")
    parser.add_argument("--epochs", type=int, help="instead of those of the recipe, over which rates rise and fall")
    parser.add_argument("--seeds", default="0,1,2", help="of the trainings, with commas between")
    parser.add_argument("--only", help="these variants alone, with commas between")
    parser.add_argument("--stored", action="store_true", help="train nothing: print what is stored")
    arguments = parser.parse_args()
    base = recipe(arguments.recipe)
    if arguments.epochs is not None:
        base = replace(base, settings=replace(base.settings, epochs=arguments.epochs, patience=arguments.epochs))
    chosen = variants(base)
    names = arguments.only.split(",") if arguments.only else list(chosen)
    seeds = tuple(int(seed) for seed in arguments.seeds.split(","))
    rows = []
    print(
        f"{'variant':12} {'r':>6} {'95 % of the mean':>18} {'together':>9} {'published':>10} {'invariance error':>17}"
    )
    for name in names:
        result = trained(name, chosen[name], arguments.runs, seeds, stored_only=arguments.stored)
        rows.append(figures := row(name, result, arguments.runs / name))
        known = figures["low"] is not None
        print(
            f"{name:12} {figures['r']:6.3f} "
            f"{'{low:8.3f} to {high:6.3f}'.format(**figures) if known else '':>18} "
            f"{figures['r_together']:9.3f} {figures['published_r'] or '':>10} {figures['invariance_error']:10.1e} eV",
            flush=True,
        )
    write_json(arguments.json, {"machine": machine(), "recipe": arguments.recipe, "rows": rows})


if __name__ == "__main__":
    main()
