"""Progress, tables, and folders that results are written into."""

from __future__ import annotations

import codecs
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from symgnn_explain.errors import InputError
from symgnn_explain.runs.names import printable

if TYPE_CHECKING:
    import pandas as pd

    from symgnn_explain.explain import PopulationProgress


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on a terminal, and give the function that moves it to a fraction in [0, 1]."""
    from tqdm import tqdm

    with tqdm(
        total=100, desc=title, disable=None, bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    ) as bar:

        def advance(fraction: float) -> None:
            bar.update(100 * fraction - bar.n)

        yield advance


@contextmanager
def population_bar(title: str) -> Iterator[Callable[[PopulationProgress], None]]:
    """Show a bar on a terminal, and give the function that moves it and says how many atoms are done."""
    from tqdm import tqdm

    with tqdm(total=100, desc=title, disable=None, bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}") as bar:

        def advance(progress: PopulationProgress) -> None:
            bar.set_postfix_str(str(progress), refresh=False)
            bar.update(100 * progress - bar.n)

        yield advance


@contextmanager
def printing_anything() -> Iterator[None]:
    """Let standard output and error take every character: what their encoding lacks is escaped.

    A file name may hold bytes that are no text, and a terminal may know ASCII alone.
    """
    codecs.register_error(_ESCAPED, _escaped)
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors=_ESCAPED)
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            if not stream.closed:
                stream.reconfigure(errors=errors)


_ESCAPED = "symgnn_explain.escaped"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = printable(error.object[error.start : error.end])
    return text.encode("ascii", "backslashreplace").decode(), error.end


NAMED = 3
"""Files that a message names."""


def require_free(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raise InputError, before any work is done, where a result exists that may not be replaced."""
    taken = [] if overwrite else [printable(path) for path in paths if path.exists()]
    if taken:
        named = ", ".join(taken[:NAMED]) + (f" and {len(taken) - NAMED} more" if len(taken) > NAMED else "")
        verb = "exists" if len(taken) == 1 else "exist"
        raise InputError(f"--out {named} {verb} already: choose another name, or allow it with --overwrite.")


def said_of(path: Path, *, replaced: bool) -> str:
    """Say that a file was written, or that one was replaced."""
    return f"{'Replaced' if replaced else 'Wrote'} {printable(path)}"


def require_writable(folder: Path) -> None:
    """Raise InputError, before any work is done, where no result could be written into the folder."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"nothing can be written into {folder}: {nearest} is not a folder that you may write to.")


@contextmanager
def missing_pictures_said() -> Iterator[None]:
    """Say in one line on stderr where pictures were left out."""
    from symgnn_explain.export import StaticImageWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StaticImageWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, StaticImageWarning):
            print(warning.message, file=sys.stderr)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def table(rows: Mapping[str, Mapping[str, float | None]]) -> pd.DataFrame:
    """Lay out metrics, a row a label."""
    import pandas as pd

    return pd.DataFrame.from_dict(dict(rows), orient="index")
