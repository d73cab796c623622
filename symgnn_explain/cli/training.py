"""The verbs ``train`` and ``cross-validate``."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.cli.inputs import read_all
from symgnn_explain.cli.options import (
    DEFAULT_PRESET,
    SAMPLE,
    Device,
    DeviceOption,
    DevicesOption,
    EpochsOption,
    FormatOption,
    PresetOption,
    SpeciesOption,
    TargetOption,
    TargetUnitOption,
)
from symgnn_explain.cli.output import require_writable, table
from symgnn_explain.errors import InputError
from symgnn_explain.runs.names import printable

if TYPE_CHECKING:
    from symgnn_explain.models.registry import NetworkConfig
    from symgnn_explain.models.target import Target
    from symgnn_explain.structure.glass import Glass
    from symgnn_explain.training.settings import TrainingSettings


def train(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE…]", show_default=False, help="Training glasses; default: the published ones."),
    ] = None,
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
        bool,
        typer.Option("--final", help="Train on all glasses for a fixed number of epochs, and validate on none."),
    ] = False,
    cross_validation: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            show_default=False,
            help="With --final: hyperparameters and number of epochs are those of this cross_validation.json.",
        ),
    ] = None,
    target: TargetOption = None,
    unit: TargetUnitOption = None,
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of weights, transformations and shuffling.")] = 0,
    members: Annotated[
        int, typer.Option(metavar="N", help="Networks, of successive seeds, whose mean is the predictor.")
    ] = 1,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the run; an interrupted one resumes.")
    ] = Path("out/train"),
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    devices: DevicesOption = 1,
) -> None:
    """Train a predictor of barriers or of another --target; ends with predictor.safetensors and its card in DIR."""
    require_writable(out)
    protocol: Mapping[str, Any] = {}
    if cross_validation is not None:
        if not final or (preset, epochs, target, unit) != (None, None, None, None):
            raise InputError(
                "--cross-validation goes with --final, and names the preset, the epochs and the target itself."
            )
        from symgnn_explain.training.cross_validation import CrossValidation

        checked = CrossValidation.load(cross_validation)
        config, settings, protocol = checked.final_run(seed)
        learned = checked.target
    else:
        learned = named_target(target, unit)
        config, settings = hyperparameters(preset, epochs, seed)
        if final:
            protocol = {"chosen_by": "hand: the number of epochs was given"}
    if final:
        if validate:
            raise InputError("--final trains on all glasses: leave out --validate.")
        if cross_validation is None and epochs is None:
            raise InputError("--final needs --cross-validation JSON, or a number of --epochs to stop after.")
        (training, hashes), validation = all_glasses(files, species, format_name), {}
    elif files:
        if not validate:
            raise InputError("training on files needs files to validate on: name them with --validate FILE.")
        training, validation = read_all(files, species, -1, format_name), read_all(validate, species, -1, format_name)
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
            settings=with_arrays_of(settings, list(training.values()), learned),
            out=out,
            device=device,
            devices=devices,
            provenance=provenance(context, hashes),
            protocol=protocol,
            target=learned,
        )
    if validation:
        print(predictor.target.axis(f"Predicted and known {predictor.target.name}"))
        print(table(predictor.card["metrics"]["validation"]).to_string(float_format="{:.4f}".format))
    epochs_kept = [member["epoch"] for member in predictor.card.get("members", [predictor.card])]
    print(f"Wrote {out / WEIGHTS_FILE} (epoch {', '.join(map(str, epochs_kept))})")


def cross_validate(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE…]", show_default=False, help="Glasses; default: the published training glasses."),
    ] = None,
    *,
    target: TargetOption = None,
    unit: TargetUnitOption = None,
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    seeds: Annotated[str, typer.Option(metavar="N,N,…", help="Each fold is trained with each of them.")] = "0,1,2",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the runs; interrupted ones resume.")
    ] = Path("out/cross_validation"),
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Hold out each group of related glasses in turn: r of the others' predictor on it, mean ± standard deviation."""
    require_writable(out)
    chosen_seeds = whole_numbers(seeds, "--seeds")
    config, settings = hyperparameters(preset, epochs, chosen_seeds[0])
    learned = named_target(target, unit)
    glasses, hashes = all_glasses(files, species, format_name)
    from symgnn_explain.training.cross_validation import RESULT_FILE
    from symgnn_explain.training.cross_validation import cross_validate as run

    with resumable(out):
        result = run(
            list(glasses.values()),
            config=with_species(config, list(glasses.values())),
            settings=with_arrays_of(settings, list(glasses.values()), learned),
            out=out,
            seeds=chosen_seeds,
            device=device,
            provenance=provenance(context, hashes),
            target=learned,
        )
    print(learned.axis(learned.title))
    print(result.to_frame().to_string(float_format="{:.4f}".format))
    pearson = result.pearson
    print(
        f"Pearson r {pearson['mean']:.4f} ± {pearson['std_folds']:.4f} over folds, ± {pearson['std_seeds']:.4f} over "
        f"seeds, at epoch {result.epoch}, the best of their mean"
    )
    together = result.together
    covered = " and ".join(f"{100 * share:.1f} % (of {level} %)" for level, share in together["coverage"].items())
    print(f"All seeds together: r {together['pearson']:.4f}; intervals hold {covered} of the values held out")
    print(f"Wrote {out / RESULT_FILE}")


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


def named_target(array: str | None, unit: str | None) -> Target:
    """Return what is learned."""
    from symgnn_explain.models.target import BARRIER, Target

    return BARRIER if array is None and unit is None else Target.of_array(array or BARRIER.array, unit)


def with_arrays_of(settings: TrainingSettings, glasses: list[Glass], target: Target) -> TrainingSettings:
    """Return the settings without auxiliary arrays that a glass lacks, and say so; the target is none of them."""
    settings = settings.without(target.array)
    known = settings.for_arrays(set.intersection(*(set(glass.arrays) for glass in glasses)))
    if known != settings:
        missing = ", ".join(name for name in settings.auxiliary if name not in known.auxiliary)
        print(f"Not every glass has the array {missing}: it is not learned beside the {target.name}.", file=sys.stderr)
    return known


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Turn ``"0,1,2"`` into numbers."""
    entries = [entry.strip() for entry in text.split(",")]
    if not all(entry.isdecimal() for entry in entries):
        raise InputError(f'{option} {text!r} cannot be understood: expected whole numbers like "0,1,2".')
    return tuple(int(entry) for entry in entries)


def all_glasses(
    files: list[str] | None, species: str | None, format_name: str | None = None
) -> tuple[dict[str, Glass], dict[str, str]]:
    """Load the files, or the published training glasses where none are named, and the hash of each file."""
    if files:
        return read_all(files, species, -1, format_name), _file_hashes(files)
    from symgnn_explain.structure.datasets import SHA256, load_published
    from symgnn_explain.training.splits import TRAINING_GLASSES

    glasses = dict(zip(TRAINING_GLASSES, load_published(TRAINING_GLASSES), strict=True))
    return glasses, {f"{name}.pickle": SHA256[name] for name in glasses}


def published_split(validate: list[str] | None) -> tuple[dict[str, Glass], dict[str, Glass], dict[str, str]]:
    """Load the published training glasses: those to train on, those held out, and the hash of each file."""
    from symgnn_explain.structure.datasets import SHA256, load_published
    from symgnn_explain.training.splits import DEFAULT_VALIDATION, split_glasses

    held_out = [name for entry in validate for name in entry.split(",")] if validate else DEFAULT_VALIDATION
    training, validation = split_glasses(held_out)
    return (
        dict(zip(training, load_published(training), strict=True)),
        dict(zip(validation, load_published(validation), strict=True)),
        {f"{name}.pickle": SHA256[name] for name in (*training, *validation)},
    )


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Say, when the user interrupts, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"The run is kept in {out}; the same command resumes it.", file=sys.stderr)
        raise


def provenance(context: typer.Context, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return what a card says of where its predictor comes from."""
    command = printable(shlex.join(["symgnn-explain", *context.obj]))
    return {"command": command, "data_sha256": {printable(name): digest for name, digest in hashes.items()}}


def _file_hashes(files: list[str]) -> dict[str, str]:
    return {Path(file).name: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files if file != SAMPLE}
