"""Where the potential of the published data set is found: never in this package, and never another one instead."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from symgnn_explain.errors import InputError
from symgnn_explain.saddles.eam_file import EamPotential, parse_eam, read_eam

MODEL = "EAM_Dynamo_MendelevKramerOtt_2009_CuZr__MO_600021860456_005"
"""OpenKIM's name of the potential of Mendelev, Kramer, Ott, Sordelet, Yagodin and Popel, Phil. Mag. 89, 967 (2009)."""

POTENTIAL_VARIABLE = "SYMGNN_EXPLAIN_POTENTIAL"  # environment variable: the file of the potential
HOW_TO_GET_IT = (
    "the Cu-Zr potential of Mendelev, Kramer and Ott (2009) was not found: give its eam.fs file (--potential, "
    f"'potential' in the explorer, or {POTENTIAL_VARIABLE}), or install openkim-models with conda (conda-forge) or apt."
)

_LIBRARY = "libkim-api-portable-model.so"
_SHORTEST_TABLE = 100_000  # bytes of printable text in the model's library that can only be the table


def find_potential(path: str | Path | None = None) -> EamPotential:
    """Read the potential from ``path``, from the file that the variable names, or from ``openkim-models``.

    Raises
    ------
    InputError
        If there is none, or the one that was named cannot be used. Another potential is never taken instead.
    """
    named = path or os.environ.get(POTENTIAL_VARIABLE)
    if named:
        return read_eam(named)
    return read_kim_model(_installed_model())


def potential_text(path: str | Path | None = None) -> str:
    """Return the text of the file that :func:`find_potential` reads, for programs that want a file."""
    named = path or os.environ.get(POTENTIAL_VARIABLE)
    if named:
        read_eam(named)  # says what is wrong with it
        return Path(named).read_text(encoding="latin-1")
    return _table_of(_installed_model())


def _installed_model() -> Path:
    for folder in _model_folders():
        library = folder / MODEL / _LIBRARY
        if library.is_file():
            return library
    raise InputError(HOW_TO_GET_IT)


def read_kim_model(library: Path) -> EamPotential:
    """Read the table that a compiled OpenKIM portable model of the ``EAM_Dynamo`` family carries as text.

    Nothing of the library is run.

    Raises InputError if it holds no such table.
    """
    text = _table_of(library)
    return parse_eam(text, name=MODEL, sha256=sha256(text.encode()).hexdigest())


def _table_of(library: Path) -> str:
    blob = library.read_bytes()
    runs = re.findall(rb"[\t\n\r\x20-\x7e]{%d,}" % _SHORTEST_TABLE, blob)
    if not runs:
        raise InputError(f"{library} holds no table of a potential: reinstall openkim-models, or give an eam.fs file.")
    lines = max(runs, key=len).decode("ascii").replace("\r", "").splitlines()
    header = next((place for place, line in enumerate(lines) if re.match(r"\s*\d+(\s+[A-Z][a-z]?)+\s*$", line)), None)
    if header is None or header < 3:
        raise InputError(f"{library} holds a text that is no eam table: give an eam.fs file instead.")
    return "\n".join(lines[header - 3 :]) + "\n"


def _model_folders() -> Iterator[Path]:
    """Yield the folders in which KIM-API keeps portable models: conda's, Debian's, and usual prefixes'."""
    for variable in ("KIM_API_PORTABLE_MODELS_DIR", "KIM_API_MODELS_DIR"):
        for folder in os.environ.get(variable, "").split(os.pathsep):
            if folder:
                yield Path(folder)
    for prefix in dict.fromkeys((sys.prefix, os.environ.get("CONDA_PREFIX", sys.prefix), "/usr", "/usr/local")):
        for libraries in ("lib", "lib64"):
            yield from sorted(Path(prefix, libraries).glob("kim-api*/portable-models"))
            yield from sorted(Path(prefix, libraries).glob("*/kim-api*/portable-models"))
