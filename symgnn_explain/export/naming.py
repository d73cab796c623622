"""What exported files are called, and whether they may be written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.files import require_free

SEPARATOR = "."
"""Between the name of an export and what a file of it holds."""
LONGEST_PART = 40
"""Characters of a name that go into a file name."""


def export_stem(explanation: AtomExplanation) -> str:
    """Name an export: glass, atom, method and date, as in ``cu64zr36_atom1501_gnnexplainer_2026-11-24``."""
    return f"{slug(explanation.glass_name)}_atom{explanation.atom}_{slug(explanation.method)}_{today()}"


def free_stem(folder: Path, stem: str) -> str:
    """``stem``, or ``stem_2`` and so on where the folder already holds an export of that name."""
    taken = {path.name.split(SEPARATOR)[0] for path in folder.iterdir()} if folder.is_dir() else set()
    candidates = (stem if number == 1 else f"{stem}_{number}" for number in itertools.count(1))
    return next(candidate for candidate in candidates if candidate not in taken)


def free_path(path: str | Path, suffixes: Collection[str], use: str, *, overwrite: bool) -> Path:
    """Return where to write; raises InputError where the suffix is another, or a file may not be replaced."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path} has an unknown suffix: {use}.")
    require_free([path], overwrite=overwrite)
    return path


def slug(name: str) -> str:
    """Turn a name into a part of a file name: letters, digits, ``_`` and ``-``, of a length that file systems take."""
    return re.sub(r"[^\w]+", "-", name).strip("-")[:LONGEST_PART].strip("-") or "glass"


def today() -> str:
    """Return the local date, as in 2026-11-24."""
    return datetime.now().astimezone().date().isoformat()
