"""Glasses, predictors and settings of methods as a command line names them."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgnn_explain.cli.options import SAMPLE, Device
from symgnn_explain.errors import InputError
from symgnn_explain.runs.names import printable

if TYPE_CHECKING:
    from symgnn_explain.models.predictor import Predictor
    from symgnn_explain.structure.glass import Glass


def read(file: str, species: str | None, frame: int, format_name: str | None = None) -> Glass:
    """Read the glass that ``FILE`` names, and say what reading has inferred."""
    import typer

    from symgnn_explain import datasets
    from symgnn_explain.structure.io import notes, read_glass

    if file == SAMPLE:
        return datasets.sample()
    glass = read_glass(file, species=species_map(species), frame=frame, format=format_name)
    for note in notes(glass):
        typer.echo(f"{glass.provenance['file']}: {note}", err=True)
    return glass


def frames_of(
    file: str, species: str | None, frame: int | None, format_name: str | None = None
) -> Iterator[tuple[int, Glass]]:
    """Read one frame of what ``FILE`` names, or all where None, each with its number as it was given."""
    from symgnn_explain.structure.io.reading import read_frames

    if file == SAMPLE or frame is not None:
        yield frame or 0, read(file, species, -1 if frame is None else frame, format_name)
    else:
        yield from enumerate(read_frames(file, species=species_map(species), format=format_name))


def read_all(files: Sequence[str], species: str | None, frame: int, format_name: str | None = None) -> dict[str, Glass]:
    """Read glasses by label: the file's name, or the path as it was given where two files have the same name."""
    names = [Path(file).name for file in files]
    labels = [printable(name if names.count(name) == 1 else file) for name, file in zip(names, files, strict=True)]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise InputError(f"{', '.join(repeated)} was given more than once: name each file once.")
    return {label: read(file, species, frame, format_name) for label, file in zip(labels, files, strict=True)}


def species_map(text: str | None) -> dict[int, str] | None:
    """Turn ``"1=Cu,2=Zr"`` into ``{1: "Cu", 2: "Zr"}``."""
    if text is None:
        return None
    species = {}
    for entry in text.split(","):
        kind, equals, symbol = (part.strip() for part in entry.partition("="))
        if not (equals and kind.isdecimal() and symbol):
            raise InputError(f'--species {text!r} cannot be understood at {entry!r}: expected a map like "1=Cu,2=Zr".')
        species[int(kind)] = symbol
    return species


def load_predictor(weights: Path | None, device: Device) -> Predictor:
    """Load a predictor, the shipped one where no weights are named, for a process that does little else."""
    from symgnn_explain.models.predictor import Predictor
    from symgnn_explain.runs.memory import reuse_large_allocations

    reuse_large_allocations()
    return Predictor.load(weights, device=device)


def method_settings(method: str, entries: Sequence[str], seed: int) -> dict[str, Any]:
    """Turn ``key=value`` into values of the types that the method's settings declare; the seed, where it has one."""
    from symgnn_explain.explain import METHODS

    if method not in METHODS:
        raise InputError(f"--method {method} is unknown: choose from {', '.join(METHODS)}.")
    kinds = typing.get_type_hints(METHODS[method].settings)
    return ({"seed": seed} if "seed" in kinds else {}) | parsed_settings(kinds, entries)


def parsed_settings(kinds: Mapping[str, Any], entries: Sequence[str]) -> dict[str, Any]:
    """Turn ``key=value`` into values of the types that are declared by name; ``none``, where that is one of them."""
    chosen: dict[str, Any] = {}
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
    if type(None) in typing.get_args(kind):
        [kind] = set(typing.get_args(kind)) - {type(None)}
        if text.lower() == "none":
            return None
    return kind(text) if kind in (int, float) else text
