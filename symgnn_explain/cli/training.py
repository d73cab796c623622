"""The verb ``train``."""

from __future__ import annotations

import hashlib
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symgnn_explain.cli.inputs import read_all
from symgnn_explain.cli.options import SAMPLE, Device, DeviceOption, Preset, SpeciesOption
from symgnn_explain.cli.output import require_writable, table
from symgnn_explain.errors import InputError

if TYPE_CHECKING:
    from symgnn_explain.glass import Glass


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
    preset: Annotated[Preset, typer.Option(metavar="paper|light", help="Hyperparameters.")] = Preset.light,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", show_default=False, help="Passes over the glasses; default: the preset's."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of weights, transformations and shuffling.")] = 0,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the run; an interrupted one resumes.")
    ] = Path("out/train"),
    species: SpeciesOption = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Train a predictor on glasses with barriers; ends with predictor.safetensors and its card in the folder."""
    require_writable(out)
    if files:
        if not validate:
            raise InputError("training on files needs files to validate on: name them with --validate FILE.")
        training, validation = read_all(files, species, -1), read_all(validate, species, -1)
        hashes = {Path(file).name: _sha256(Path(file)) for file in (*files, *validate) if file != SAMPLE}
    else:
        training, validation, hashes = published_split(validate)
    from symgnn_explain.glass import atomic_number
    from symgnn_explain.models.symgnn import PRESETS
    from symgnn_explain.training.settings import TRAINING_PRESETS
    from symgnn_explain.training.train import WEIGHTS_FILE
    from symgnn_explain.training.train import train as run

    species_found = {symbol for glass in (*training.values(), *validation.values()) for symbol in glass.species}
    chosen = replace(TRAINING_PRESETS[preset], seed=seed)
    if epochs is not None:
        chosen = replace(chosen, epochs=epochs, validate_every=max(1, min(chosen.validate_every, epochs)))
    try:
        predictor = run(
            list(training.values()),
            list(validation.values()),
            config=replace(PRESETS[preset], species=tuple(sorted(species_found, key=atomic_number))),
            settings=chosen,
            out=out,
            device=device,
            provenance={"command": shlex.join(["symgnn-explain", *context.obj]), "data_sha256": hashes},
        )
    except KeyboardInterrupt:
        print(f"The run is kept in {out}; the same command resumes it.", file=sys.stderr)
        raise
    print(table(predictor.card["metrics"]["validation"]).to_string(float_format="{:.4f}".format))
    print(f"Wrote {out / WEIGHTS_FILE} (epoch {predictor.card['epoch']})")


def published_split(validate: list[str] | None) -> tuple[dict[str, Glass], dict[str, Glass], dict[str, str]]:
    """Load the published training glasses: those to train on, those held out, and the hash of each file."""
    from symgnn_explain.datasets import SHA256, load_published
    from symgnn_explain.training.splits import DEFAULT_VALIDATION, split_glasses

    held_out = [name for entry in validate for name in entry.split(",")] if validate else DEFAULT_VALIDATION
    training, validation = split_glasses(held_out)
    return (
        dict(zip(training, load_published(training), strict=True)),
        dict(zip(validation, load_published(validation), strict=True)),
        {f"{name}.pickle": SHA256[name] for name in (*training, *validation)},
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
