"""Progress, tables, and folders that results are written into."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from symgnn_explain.errors import InputError

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
