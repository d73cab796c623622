"""The command line ``symgnn-explain``: the verbs of the Python API.

Input that cannot be used ends in one sentence on stderr and exit status 2, an interruption in 130; results appear whole
or not at all. Heavy libraries are imported only once the input has been read.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
import tempfile
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

    from symgnn_explain.glass import FloatArray, Glass
    from symgnn_explain.models.predictor import Predictor

SAMPLE = "sample"
"""Stands for the embedded glass wherever a file is expected."""

BAD_INPUT, INTERRUPTED = 2, 130

# What typer raises on a wrong option; the class has lived in click and in typer, but this is its base in both.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="symgnn-explain",
    help="Predict energy barriers of metallic glasses with a graph network, and explain what made it predict them. "
    f"Wherever a FILE is expected, '{SAMPLE}' stands for the embedded Cu64Zr36 glass.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Preset(StrEnum):
    """Named hyperparameters."""

    paper = "paper"
    light = "light"


Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", show_default=False, help="Extended XYZ, LAMMPS data or dump, POSCAR, CIF, …"),
]
File = Annotated[
    str, typer.Argument(metavar="FILE", show_default=False, help="Extended XYZ, LAMMPS data or dump, POSCAR, CIF, …")
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="PATH", help="A trained predictor (.safetensors); default: shipped.")
]
SpeciesOption = Annotated[
    str | None, typer.Option("--species", metavar="MAP", help='Species of the LAMMPS types, as in "1=Cu,2=Zr".')
]
DeviceOption = Annotated[Device, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the network runs.")]
FrameOption = Annotated[int, typer.Option("--frame", metavar="N", help="Frame of a trajectory; -1 is the last.")]


def _example(text: str) -> str:
    return f"\b\nExample:\n  symgnn-explain {text}"  # \b keeps the line as it is, so that it can be copied


@app.command(epilog=_example("predict glass.extxyz quench.dump --species 1=Cu,2=Zr --out barriers.csv"))
def predict(
    files: Files,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="F", show_default=False, help="Result: .csv, .json or .extxyz (for OVITO).")
    ],
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Predict the energy barrier (eV) of every atom."""
    from symgnn_explain.predictions import require_known_suffix, write_predictions

    require_known_suffix(out)
    if out.is_dir():
        raise InputError(f"{out} is a folder: --out takes the file to write.")
    _require_writable(out.parent)
    glasses = _read_all(files, species, frame)
    predictor = _load_predictor(weights, device)
    barriers = {label: predictor.predict(glass) for label, glass in glasses.items()}
    with _writing_into(out.parent):
        write_predictions(glasses, barriers, out)
    for label, values in barriers.items():
        print(f"{label}: {len(values)} atoms, predicted barrier {values.mean():.3f} ± {values.std():.3f} eV")
    print(f"Wrote {out}")


@app.command(
    short_help="Compare predictions with known barriers.",
    epilog=_example("evaluate train0.pickle train1.pickle --json"),
)
def evaluate(
    files: Files,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Compare predictions with the barriers in the files: correlations and errors (eV), overall and per file."""
    glasses = _read_all(files, species, frame)
    known: dict[str, FloatArray] = {}
    for label, glass in glasses.items():
        if glass.barriers is None:
            raise InputError(
                f"{label} holds no barriers to compare with: give them (eV) as the per-atom array 'barrier' of an "
                "extended XYZ file, or use predict."
            )
        known[label] = glass.barriers
    predictor = _load_predictor(weights, device)
    from symgnn_explain.training.metrics import regression_metrics

    predicted = {label: predictor.predict(glass) for label, glass in glasses.items()}
    report: dict[str, Any] = _plain(
        regression_metrics(_concatenated(predicted.values()), _concatenated(known.values()))
    )
    report["per_file"] = {label: _plain(regression_metrics(predicted[label], known[label])) for label in glasses}
    if as_json:
        print(json.dumps(report, ensure_ascii=False, allow_nan=False))
    else:
        per_file = report.pop("per_file")
        print(_table({**per_file, "all atoms": report}).to_string(float_format="{:.4f}".format))


@app.command(
    short_help="Explain one atom's predicted barrier.",
    epilog=_example("explain sample --atom 1501 --method gnnexplainer --set epochs=200 --out out/atom1501"),
)
def explain(
    file: File,
    *,
    atom: Annotated[int, typer.Option("--atom", metavar="N", show_default=False, help="Index of the atom, from 0.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", show_default=False, help="Folder for the results.")],
    method: Annotated[
        str, typer.Option("--method", metavar="M", help="How to explain; `symgnn-explain methods` lists them.")
    ] = "gnnexplainer",
    semantics: Annotated[
        str | None,
        typer.Option(
            "--semantics",
            metavar="zero|removal|reference",
            show_default=False,
            help="What masking a message means: it is zero, its edge is removed, or the mean message stands in for it; "
            "default: that of the method.",
        ),
    ] = None,
    unit: Annotated[
        str, typer.Option("--unit", metavar="edge|bond|atom|polyhedron|shell", help="What is masked as one.")
    ] = "edge",
    k: Annotated[int, typer.Option("--k", metavar="K", help="How many of the most important edges to show.")] = 50,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method, such as epochs=200; repeatable."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of the method; the same seed, the same result.")
    ] = 0,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Find the neighbours that made the network predict one atom's barrier, with figures and tables."""
    if k < 1:
        raise InputError(f"--k {k} must be at least 1: it is the number of edges that are shown.")
    _require_writable(out)
    glass = _read(file, species, frame)
    glass.require_atom(atom)
    predictor = _load_predictor(weights, device)
    from symgnn_explain.explain import METHODS, prepare
    from symgnn_explain.explain import explain as run
    from symgnn_explain.export import NO_BROWSER, StaticImageWarning, export_explanation, static_images_available

    if method not in METHODS:
        raise InputError(f"--method {method} is unknown: choose from {', '.join(METHODS)}.")
    offered = METHODS[method].settings
    chosen = _method_settings(offered, settings or [])
    if any(field.name == "seed" for field in fields(offered)):
        chosen.setdefault("seed", seed)
    chosen |= {"semantics": semantics, "unit": unit}
    prepared = prepare(predictor, glass)
    with _progress_bar(f"Explaining atom {atom}") as advance:
        explanation = run(predictor, glass, atom, method, prepared=prepared, progress=advance, **chosen)
    with tempfile.TemporaryDirectory(prefix="symgnn-explain-") as staging:
        with _progress_bar("Analysing") as advance, warnings.catch_warnings():
            warnings.simplefilter("ignore", StaticImageWarning)  # said below, in one line
            paths = export_explanation(explanation, glass, prepared.barriers, staging, k=k, progress=advance)
        with _writing_into(out):
            written = [write_atomically(out / path.name, path.read_bytes()) for path in paths]
    print(f"Atom {atom} ({glass.symbols[atom]}): predicted barrier {explanation.prediction:.3f} eV")
    for path in written:
        print(f"Wrote {path}")
    if not static_images_available():
        print(NO_BROWSER, file=sys.stderr)


@app.command(
    short_help="Train a predictor.", epilog=_example("train --validate train0,train1 --preset light --out out/train")
)
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
    _require_writable(out)
    if files:
        if not validate:
            raise InputError("training on files needs files to validate on: name them with --validate FILE.")
        training, validation = _read_all(files, species, -1), _read_all(validate, species, -1)
        hashes = {Path(file).name: _sha256(Path(file)) for file in (*files, *validate) if file != SAMPLE}
    else:
        training, validation, hashes = _published_split(validate)
    from symgnn_explain.glass import atomic_number
    from symgnn_explain.models.symgnn import PRESETS
    from symgnn_explain.training.module import TRAINING_PRESETS
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
    print(_table(predictor.card["metrics"]["validation"]).to_string(float_format="{:.4f}".format))
    print(f"Wrote {out / WEIGHTS_FILE} (epoch {predictor.card['epoch']})")


@app.command(short_help="Open the explorer in JupyterLab.", epilog=_example("explore glass.extxyz"))
def explore(
    file: File,
    *,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
    browser: Annotated[bool, typer.Option(help="Open the browser, or print the address only.")] = True,
) -> None:
    """Open the explorer in JupyterLab: click an atom, see what made the network predict its barrier."""
    from symgnn_explain.lab import open_in_lab, require_lab

    require_lab()
    _read(file, species, frame)
    if weights is not None and not weights.is_file():
        raise InputError(f"{weights} is not a file: --weights takes the .safetensors file of a predictor.")
    glass = "datasets.sample()"
    if file != SAMPLE:
        glass = f"read_glass({str(Path(file).absolute())!r}, species={_species_map(species)!r}, frame={frame})"
    path = None if weights is None else str(weights.absolute())
    source = (
        "from symgnn_explain import Predictor, datasets, read_glass\n"
        "from symgnn_widgets import GlassExplorer\n\n"
        f"glass = {glass}\n"
        f"predictor = Predictor.load({path!r}, device={device.value!r})\n"
        "GlassExplorer(glass, predictor)"
    )
    open_in_lab(source, browser=browser)


@app.command(short_help="List the methods of explanation.", epilog=_example("methods"))
def methods() -> None:
    """List the methods of explanation, with their settings and defaults."""
    from symgnn_explain.explain import METHODS

    for method in METHODS.values():
        print(f"{method.name}: {method.description}")
        print("  " + "  ".join(f"{field.name}={field.default}" for field in fields(method.settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(given or ["--help"], prog_name="symgnn-explain", standalone_mode=False, obj=given)
    except InputError as error:
        return _refuse(str(error))
    except _UsageError as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "symgnn-explain")
        return _refuse(f"{error.format_message().rstrip('.')}: see `{command} --help`.")  # type: ignore[attr-defined]
    except (KeyboardInterrupt, Cancelled, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        print("Interrupted.", file=sys.stderr)
    return status or 0


def _refuse(sentence: str) -> int:
    line = " ".join(sentence.split())  # what is quoted from a file may hold line ends, or codes for the terminal
    print("".join(character if character.isprintable() else "�" for character in line), file=sys.stderr)
    return BAD_INPUT


def _read(file: str, species: str | None, frame: int) -> Glass:
    from symgnn_explain import datasets
    from symgnn_explain.io import read_glass

    if file == SAMPLE:
        return datasets.sample()
    return read_glass(file, species=_species_map(species), frame=frame)


def _read_all(files: Sequence[str], species: str | None, frame: int) -> dict[str, Glass]:
    """Read glasses by label: the file's name, or the path as it was given where two files have the same name."""
    names = [Path(file).name for file in files]
    labels = [name if names.count(name) == 1 else file for name, file in zip(names, files, strict=True)]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise InputError(f"{', '.join(repeated)} was given more than once: name each file once.")
    return {label: _read(file, species, frame) for label, file in zip(labels, files, strict=True)}


def _species_map(text: str | None) -> dict[int, str] | None:
    if text is None:
        return None
    species = {}
    for entry in text.split(","):
        kind, equals, symbol = (part.strip() for part in entry.partition("="))
        if not (equals and kind.isdecimal() and symbol):
            raise InputError(f'--species {text!r} cannot be understood at {entry!r}: expected a map like "1=Cu,2=Zr".')
        species[int(kind)] = symbol
    return species


def _load_predictor(weights: Path | None, device: Device) -> Predictor:
    from symgnn_explain.memory import reuse_large_allocations
    from symgnn_explain.models.predictor import Predictor

    reuse_large_allocations()
    return Predictor.load(weights, device=device)


def _published_split(validate: list[str] | None) -> tuple[dict[str, Glass], dict[str, Glass], dict[str, str]]:
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
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _method_settings(settings: type, entries: Sequence[str]) -> dict[str, Any]:
    """Turn ``key=value`` into values of the types that the method's settings declare."""
    kinds = typing.get_type_hints(settings)
    chosen = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or key not in kinds:
            raise InputError(f"--set {entry} cannot be used: expected KEY=VALUE with a key among {', '.join(kinds)}.")
        kind = kinds[key]
        try:
            chosen[key] = {"true": True, "false": False}[text.lower()] if kind is bool else _parsed(kind, text)
        except (ValueError, KeyError) as error:
            name = getattr(kind, "__name__", str(kind))
            raise InputError(f"--set {entry} cannot be used: {key} is of type {name}.") from error
    return chosen


def _parsed(kind: Any, text: str) -> Any:
    return kind(text) if kind in (int, float) else text


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    from tqdm import tqdm

    with tqdm(
        total=100, desc=title, disable=None, bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    ) as bar:

        def advance(fraction: float) -> None:
            bar.update(100 * fraction - bar.n)

        yield advance


def _require_writable(folder: Path) -> None:
    """Raise InputError, before any work is done, where no result could be written into the folder."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"nothing can be written into {folder}: {nearest} is not a folder that you may write to.")


@contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"nothing can be written into {folder} ({error.strerror}): choose another place.") from error


def _concatenated(values: Any) -> FloatArray:
    import numpy as np

    return np.concatenate(list(values))


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def _table(rows: Mapping[str, Mapping[str, float | None]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame.from_dict(dict(rows), orient="index")
