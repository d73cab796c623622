"""Progress, tables, and folders that results are written into."""

from __future__ import annotations

import codecs
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgnn_explain.errors import InputError, one_line
from symgnn_explain.runs.files import require_free
from symgnn_explain.runs.names import one_line_name, printable
from symgnn_explain.runs.progress import PopulationProgress

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@contextmanager
def progress_bar(title: str, timing: str = "{elapsed}<{remaining}") -> Iterator[Callable[[float], None]]:
    """Show a bar on a terminal, and give the function that moves it to a fraction in [0, 1].

    What a :class:`PopulationProgress` knows beside the fraction stands behind the bar.
    """
    from tqdm import tqdm

    form = f"{{desc}} {{percentage:3.0f}}% |{{bar}}| {timing}{{postfix}}"
    with tqdm(total=100, desc=title, disable=None, bar_format=form) as bar:

        def advance(fraction: float) -> None:
            if isinstance(fraction, PopulationProgress):
                bar.set_postfix_str(str(fraction), refresh=False)
            bar.update(100 * fraction - bar.n)

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


def said_of(path: Path, *, replaced: bool) -> str:
    """Say that a file was written, or that one was replaced."""
    return f"{'Replaced' if replaced else 'Wrote'} {one_line_name(path)}"


def require_writable(folder: Path) -> None:
    """Raise InputError, before any work is done, where no result could be written into the folder."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"nothing can be written into {folder}: {nearest} is not a folder that you may write to.")


def require_film_option(film: Path | None, *, overwrite: bool) -> None:
    """Raise InputError, before any work is done, where the film of ``--film`` could not be written."""
    if film is not None:
        from symgnn_explain.export.film import require_film_path

        require_writable(film.parent)
        require_free([film], overwrite=overwrite, option="--film")
        require_film_path(film, overwrite=True)


def write_film_of(figures: Sequence[go.Figure], film: Path, *, overwrite: bool) -> None:
    """Write a film with a bar, and say so."""
    from symgnn_explain.export.film import write_film
    from symgnn_explain.runs.watch import Watch

    replaced = film.exists()
    with progress_bar("Filming") as advance:
        write_film(figures, film, overwrite=overwrite, watch=Watch(advance))
    print(said_of(film, replaced=replaced))


@contextmanager
def missing_pictures_said() -> Iterator[None]:
    """Say in one line on stderr where pictures were left out."""
    from symgnn_explain.export import StaticImageWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StaticImageWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, StaticImageWarning):
            print(one_line(str(warning.message)), file=sys.stderr)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def table_text(rows: Mapping[str, Mapping[str, float | None]] | pd.DataFrame, **options: Any) -> str:
    """Lay out metrics, a row a label; ``options`` are those of ``DataFrame.to_string``."""
    import pandas as pd

    from symgnn_explain.runs.tables import decimal_text

    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame.from_dict(dict(rows), orient="index")
    return frame.to_string(float_format=lambda value: decimal_text(value, 4), **options)
