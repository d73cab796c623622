"""What tells one calculator of ASE from another: its class, its parameters and the files that they name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_SAID_BY_PARAMETERS = {f"ase.calculators.{name}" for name in ("eam", "emt", "lammpslib", "lj", "morse", "tersoff")}
"""Modules of ASE whose calculators compute from their parameters and the files that these name, and nothing else."""

_PLACES = {"directory", "label", "prefix", "command", "txt"}
"""Parameters that say where a calculator works, and nothing of what it computes."""


class NotIdentifiedError(Exception):
    """A calculator's parameters do not say what it computes."""


def parameters_of(calculator: Any) -> dict[str, Any]:
    """Return the parameters of one of ASE's own calculators as plain values, with the hash of each file they name.

    Raises NotIdentifiedError if the calculator is not one of ASE that computes from its parameters alone, or these are
    none, or objects.
    """
    kind = type(calculator)
    if kind.__module__ not in _SAID_BY_PARAMETERS:
        raise NotIdentifiedError(f"{kind.__name__} is not said by its parameters alone")
    given = {name: value for name, value in dict(calculator.parameters).items() if name not in _PLACES}
    if not given:
        raise NotIdentifiedError(f"{kind.__name__} has no parameters")
    plain = {str(name): _plain(value) for name, value in sorted(given.items(), key=lambda item: str(item[0]))}
    form = getattr(calculator, "form", None)  # how ASE's EAM reads its file is no parameter of it
    return plain | ({"form": form} if isinstance(form, str) else {})


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case np.generic():
            return value.item()
        case str() | Path():
            return _with_files(str(value))
        case Mapping():
            return {str(key): _plain(inner) for key, inner in sorted(value.items(), key=lambda item: str(item[0]))}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case np.ndarray() if value.dtype.kind in "biufU":
            return {"shape": list(value.shape), "sha256": hashlib.sha256(value.tobytes()).hexdigest()}
        case _:
            raise NotIdentifiedError(f"a {type(value).__name__} among its parameters cannot be told from another")


def _with_files(text: str) -> Any:
    """Return a text, and the hash of each file that it names; files are what they hold, not where they are."""
    hashes = {}
    for word in dict.fromkeys([text, *re.split(r"[\s\"']+", text)]):
        path = Path(word)
        try:
            if word and path.is_file():
                hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
                text = text.replace(word, path.name)
        except (OSError, ValueError):  # no name that a file can have, or one that is not to be read: a word
            continue
    return {"text": text, "files_sha256": hashes} if hashes else text
