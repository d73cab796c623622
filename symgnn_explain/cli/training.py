"""The verbs ``train``, ``cross-validate`` and ``benchmark``."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.cli.options import (
    DEFAULT_PRESET,
    SAMPLE,
    Device,
    DeviceOption,
    EpochsOption,
    Learned,
    PresetOption,
    Reading,
    RunsOption,
    SeedsOption,
    TrainingFiles,
    grouped,
    labelled,
    whole_numbers,
)
from symgnn_explain.cli.output import require_writable, table_text
from symgnn_explain.errors import InputError
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.names import one_line_name, printable

if TYPE_CHECKING:
    from symgnn_explain.models.registry import NetworkConfig
    from symgnn_explain.models.target import Target
    from symgnn_explain.structure.glass import Glass
    from symgnn_explain.training.settings import TrainingSettings


@grouped
def train(
    context: typer.Context,
    files: TrainingFiles = None,
    *,
    validate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLASS",
            show_default=False,
            help="Held out to choose the best epoch: names of published glasses (default train0,train1), or a file "
            "where files are trained on; repeatable.",
        ),
    ] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Train on all glasses for a fixed number of epochs, and validate on none.")
    ] = False,
    cross_validation: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            show_default=False,
            help="With --final: hyperparameters and number of epochs are those of this cross_validation.json.",
        ),
    ] = None,
    learned: Learned,
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of weights, transformations and shuffling.")] = 0,
    members: Annotated[
        int, typer.Option(metavar="N", help="Networks, of successive seeds, whose mean is the predictor.")
    ] = 1,
    out: RunsOption = Path("out/train"),
    reading: Reading,
    device: DeviceOption = Device.auto,
    devices: Annotated[
        int, typer.Option(metavar="N", help="GPUs (or processes on the CPU) that share the glasses.")
    ] = 1,
) -> None:
    """Train a predictor of barriers or of another --target; ends with predictor.safetensors and its card in DIR."""
    require_writable(out)
    protocol: Mapping[str, Any] = {}
    if cross_validation is not None:
        if not final or (preset, epochs) != (None, None) or learned != Learned():
            raise InputError(
                "--cross-validation goes with --final, and names the preset, the epochs and the target itself."
            )
        from symgnn_explain.training.cross_validation import CrossValidation

        checked = CrossValidation.load(cross_validation)
        config, settings, protocol = checked.final_run(seed)
        target = checked.target
    else:
        target = learned.quantity()
        config, settings = hyperparameters(preset, epochs, seed)
        if final:
            protocol = {"chosen_by": "hand: the number of epochs was given"}
    if final:
        if validate:
            raise InputError("--final trains on all glasses: leave out --validate.")
        if cross_validation is None and epochs is None:
            raise InputError("--final needs --cross-validation JSON, or a number of --epochs to stop after.")
        (training, hashes), validation = all_glasses(files, reading), {}
    elif files:
        if not validate:
            raise InputError("training on files needs files to validate on: name them with --validate FILE.")
        training, validation = reading.glasses(files), reading.glasses(validate)
        hashes = _file_hashes([*files, *validate])
    else:
        training, validation, hashes = published_split(validate)
    if members < 1:
        raise InputError(f"--members {members} must be at least 1.")
    from symgnn_explain.training.ensemble import train_ensemble
    from symgnn_explain.training.train import WEIGHTS_FILE
    from symgnn_explain.training.train import train as train_one

    run = train_one if members == 1 else partial(train_ensemble, n_members=members)
    with resumable(out):
        predictor = run(
            list(training.values()),
            list(validation.values()),
            config=with_species(config, [*training.values(), *validation.values()]),
            settings=with_arrays_of(settings, list(training.values()), target),
            out=out,
            device=device,
            devices=devices,
            provenance=provenance(context, hashes),
            protocol=protocol,
            target=target,
        )
    if validation:
        print(predictor.target.axis(f"Predicted and known {predictor.target.name}"))
        print(table_text(predictor.card["metrics"]["validation"]))
    epochs_kept = [member["epoch"] for member in predictor.card.get("members", [predictor.card])]
    print(f"Wrote {one_line_name(out / WEIGHTS_FILE)} (epoch {', '.join(map(str, epochs_kept))})")


@grouped
def cross_validate(
    context: typer.Context,
    files: TrainingFiles = None,
    *,
    learned: Learned,
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    seeds: SeedsOption = "0,1,2",
    out: RunsOption = Path("out/cross_validation"),
    reading: Reading,
    device: DeviceOption = Device.auto,
) -> None:
    """Hold out each group of related glasses in turn: r of the others' predictor on it, mean ± standard deviation."""
    require_writable(out)
    chosen_seeds = whole_numbers(seeds, "--seeds")
    config, settings = hyperparameters(preset, epochs, chosen_seeds[0])
    target = learned.quantity()
    glasses, hashes = all_glasses(files, reading)
    from symgnn_explain.training.cross_validation import RESULT_FILE
    from symgnn_explain.training.cross_validation import cross_validate as run

    with resumable(out):
        result = run(
            list(glasses.values()),
            config=with_species(config, list(glasses.values())),
            settings=with_arrays_of(settings, list(glasses.values()), target),
            out=out,
            seeds=chosen_seeds,
            device=device,
            provenance=provenance(context, hashes),
            target=target,
        )
    print(target.axis(target.title))
    print(table_text(result.to_frame()))
    pearson = result.pearson
    over_seeds = f", ± {pearson['std_seeds']:.4f} over seeds" if len(chosen_seeds) > 1 else ""
    print(
        f"Pearson r {pearson['mean']:.4f} ± {pearson['std_folds']:.4f} over folds{over_seeds}, "
        f"at epoch {result.epoch}, the best of their mean"
    )
    together = result.together
    covered = " and ".join(f"{100 * share:.1f} % (of {level} %)" for level, share in together["coverage"].items())
    held = f"; intervals hold {covered} of the values held out" if covered else ""
    print(f"All seeds together: r {together['pearson']:.4f}{held}")
    print(f"Wrote {one_line_name(out / RESULT_FILE)}")


@grouped
def benchmark(
    context: typer.Context,
    files: TrainingFiles = None,
    *,
    models: Annotated[
        str, typer.Option(metavar="A,B,…|all", help="Networks: presets of SymGNN, and baselines such as ridge, schnet.")
    ] = "all",
    budget: Annotated[
        str, typer.Option(metavar="Nmin|Nepochs", help="Of each run at most: minutes on this machine, or epochs.")
    ] = "15min",
    seeds: SeedsOption = "0,1,2",
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default=False, help="Hold out only the first N groups of related glasses. [default: all]"
        ),
    ] = None,
    learned: Learned,
    out: RunsOption = Path("out/benchmark"),
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="F", show_default=False, help="Write the table there too.")
    ] = None,
    reading: Reading,
    device: DeviceOption = Device.auto,
) -> None:
    """Cross-validate many networks under one budget, and show them in one table beside the paper's figures."""
    from symgnn_explain.training.benchmark import Budget

    chosen_budget, chosen_seeds = Budget.parse(budget), whole_numbers(seeds, "--seeds")
    require_writable(out)
    if json_file is not None:
        if json_file.suffix != ".json" or json_file.is_dir():
            raise InputError(f"--json {one_line_name(json_file)} is no file to write the table to: name one in .json.")
        require_writable(json_file.parent)
    from symgnn_explain.training.benchmark import benchmark_table, run_benchmark
    from symgnn_explain.training.recipes import BENCHMARKED, recipe

    names = list(BENCHMARKED) if models == "all" else [name.strip() for name in models.split(",")]
    for name in names:
        recipe(name)
    target = learned.quantity()
    glasses, hashes = all_glasses(files, reading)
    with resumable(out):
        report = run_benchmark(
            list(glasses.values()),
            names,
            budget=chosen_budget,
            seeds=chosen_seeds,
            n_folds=folds,
            out=out,
            device=device,
            provenance=provenance(context, hashes),
            target=target,
        )
    print(table_text(benchmark_table(report), na_rep=""))
    held_out = "; ".join(" and ".join(names) for names in report["folds"])
    print(target.axis(target.title))
    print(f"Pearson r within validation glasses ({held_out}); {report['budget']} a run at most; {report['machine']}.")
    if report["published"]:
        print(f"published_r: {report['published']}")
    if json_file is not None:
        write_atomically(json_file, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
        print(f"Wrote {one_line_name(json_file)}")


def hyperparameters(preset: str | None, epochs: int | None, seed: int) -> tuple[NetworkConfig, TrainingSettings]:
    """Return those of a preset, with another number of epochs where one is given."""
    from symgnn_explain.training.recipes import recipe

    chosen = recipe(preset or DEFAULT_PRESET)
    settings = replace(chosen.settings, seed=seed)
    if epochs is not None:
        settings = replace(settings, epochs=epochs, validate_every=max(1, min(settings.validate_every, epochs)))
    return chosen.config, settings


def with_species(config: NetworkConfig, glasses: list[Glass]) -> NetworkConfig:
    """Return the configuration for the species that are found, in order of atomic number."""
    from symgnn_explain.structure.glass import atomic_number

    found = {symbol for glass in glasses for symbol in glass.species}
    return replace(config, species=tuple(sorted(found, key=atomic_number)))


def with_arrays_of(settings: TrainingSettings, glasses: list[Glass], target: Target) -> TrainingSettings:
    """Return the settings without auxiliary arrays that a glass lacks, and say so; the target is none of them."""
    settings = settings.without(target.array)
    known = settings.for_arrays(set.intersection(*(set(glass.arrays) for glass in glasses)))
    if known != settings:
        missing = ", ".join(name for name in settings.auxiliary if name not in known.auxiliary)
        print(f"Not learned beside {target.name}, as not every glass has them as arrays: {missing}.", file=sys.stderr)
    return known


def all_glasses(files: list[str] | None, reading: Reading) -> tuple[dict[str, Glass], dict[str, str]]:
    """Load the files, or the published training glasses where none are named, and the hash of each file."""
    if files:
        return reading.glasses(files), _file_hashes(files)
    from symgnn_explain.training.splits import TRAINING_GLASSES

    return _published(TRAINING_GLASSES)


def published_split(validate: list[str] | None) -> tuple[dict[str, Glass], dict[str, Glass], dict[str, str]]:
    """Load the published training glasses: those to train on, those held out, and the hash of each file."""
    from symgnn_explain.training.splits import DEFAULT_VALIDATION, split_glasses

    held_out = [name for entry in validate for name in entry.split(",")] if validate else DEFAULT_VALIDATION
    (training, hashes), (validation, further) = map(_published, split_glasses(held_out))
    return training, validation, hashes | further


def _published(names: Sequence[str]) -> tuple[dict[str, Glass], dict[str, str]]:
    from symgnn_explain.structure.datasets import SHA256, load_published

    return dict(zip(names, load_published(names), strict=True)), {f"{name}.pickle": SHA256[name] for name in names}


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Say, when the user interrupts, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"The run is kept in {one_line_name(out)}; the same command resumes it.", file=sys.stderr)
        raise


def provenance(context: typer.Context, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return what a card says of where its predictor comes from."""
    command = printable(shlex.join(["symgnn-explain", *context.obj]))
    return {"command": command, "data_sha256": {printable(name): digest for name, digest in hashes.items()}}


def _file_hashes(files: list[str]) -> dict[str, str]:
    return {
        label: hashlib.sha256(Path(file).read_bytes()).hexdigest()
        for label, file in labelled(list(dict.fromkeys(files))).items()
        if file != SAMPLE
    }
