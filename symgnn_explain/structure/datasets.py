"""The embedded glasses, with the barriers that were computed for them, and the published data set."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass

if TYPE_CHECKING:
    import pandas as pd

DATA_FOLDER_VARIABLE = "SYMGNN_EXPLAIN_DATA"
"""Environment variable: a folder that holds the published files and wins over the network."""

AUTHORS_COMMIT = "ba243bb2dc2514a0c7cd3f9ab1a9e43c9a2fdb4a"
_AUTHORS_URL = f"https://raw.githubusercontent.com/haoyuli02/SymGNN/{AUTHORS_COMMIT}/datasets/raw_data/"

SHA256 = {
    "test0": "0828b3128532ff6e4e2bcf2fb4cb1976258d327fd68a5f43910390baf2dc45f0",
    "test1": "e7a0b757fda235617e9565dac4e3f60575a03dbca548a709ce72b451cb0443d5",
    "train0": "17e71d9599ea0efc0a30470a492d85b0cfcb301060cb7762dff0127b8ee214ac",
    "train1": "c9feb236ca670b16269d493ac1a78ee7940bb1b309f8ab3cb093d3e68fdfaddb",
    "train2": "8b80667c6fbc7365c834a6d10e252dfcb24601ab975be6e83883cf8abccdce87",
    "train3": "733dbee48fe37b0c8ddcc1918e342bf34ade80d3d5fffd8c51a5218cf622d019",
    "train4": "9517cb1de08afc103001f37151a95f33e18032063eba72ae9935c9f8fc41d1f6",
    "train5": "f2d3f706fa01209ecb3d54a48a564418a340a70eaf5b1a956f4838a1ce0f3986",
    "train6": "bfd476cbcce8e8bf83990b42e94d1d771249d5f417f9798eeb0152f6b11c3b8f",
}
"""SHA-256 of each published file, by glass."""

SAMPLES = ("cu64zr36", "cu80zr20", "cu50zr50")
"""Compositions of the embedded glasses, by which they are named."""

COMPUTED_ARRAY, ERROR_ARRAY, COUNT_ARRAY = "computed_barrier", "computed_barrier_error", "computed_saddles"
"""Per-atom arrays: barrier from saddle searches and its standard error, eV, NaN where they are not known; number of
saddles, 0 likewise."""


def sample(composition: str = "cu64zr36") -> Glass:
    """Load an embedded glass, made by this project: Cu64Zr36 of 3 000 atoms, Cu80Zr20 or Cu50Zr50 of 1 000.

    Barriers were computed from an interatomic potential for some of its atoms: they are the per-atom arrays
    ``computed_barrier``, ``computed_barrier_error`` (eV, NaN for the other atoms) and ``computed_saddles``; see
    :func:`sample_barriers`.

    Raises
    ------
    InputError
        If there is no embedded glass of this composition.

    Examples
    --------
    >>> sample("cu50zr50")
    Glass('cu50zr50_sample', Cu500Zr500, 0.0573 atoms/Å³, without barriers)
    """
    return with_computed_barriers(sample_structure(composition), sample_barriers(composition))


def sample_structure(composition: str = "cu64zr36") -> Glass:
    """Load an embedded glass without the barriers that were computed for it; see :func:`sample`."""
    with as_file(files("symgnn_explain") / "data" / sample_file(composition)) as path:
        return replace(read_glass(path, format="extxyz"), name=f"{composition}_sample")


def sample_barriers(composition: str = "cu64zr36") -> pd.DataFrame:
    """Load what saddle searches found around randomly chosen atoms of an embedded glass.

    Returns
    -------
    pandas.DataFrame
        A row an atom, in random order: ``atom``, ``barrier_eV`` (the mean over its saddles) with ``standard_error_eV``,
        numbers of ``saddles`` and ``searches``, and the barrier of every saddle, ``barriers_eV``, with spaces between.

    Raises
    ------
    InputError
        If there is no embedded glass of this composition.

    Examples
    --------
    >>> sample_barriers("cu50zr50")[["atom", "barrier_eV", "saddles"]].head(1)
       atom  barrier_eV  saddles
    0   459      1.4324        5
    """
    import pandas as pd

    text = (files("symgnn_explain") / "data" / barrier_file(composition)).read_text(encoding="utf-8")
    return pd.read_csv(io.StringIO(text), dtype={"barriers_eV": str})


def with_computed_barriers(glass: Glass, table: pd.DataFrame) -> Glass:
    """Return the glass with computed barriers as per-atom arrays.

    Parameters
    ----------
    table
        A row an atom, with the columns of :func:`sample_barriers`.
    """
    values, errors = (np.full(len(glass), np.nan) for _ in range(2))
    counts = np.zeros(len(glass), dtype=np.int64)
    atoms = table["atom"].to_numpy()
    values[atoms], errors[atoms], counts[atoms] = table["barrier_eV"], table["standard_error_eV"], table["saddles"]
    return glass.with_arrays(**{COMPUTED_ARRAY: values, ERROR_ARRAY: errors, COUNT_ARRAY: counts})


def sample_file(composition: str) -> str:
    """Name the file of an embedded glass; raises InputError where there is none."""
    return f"{_require_sample(composition)}_sample.extxyz.xz"


def barrier_file(composition: str) -> str:
    """Name the file of its computed barriers; raises InputError where there is none."""
    return f"{_require_sample(composition)}_barriers.csv"


def _require_sample(composition: str) -> str:
    if composition not in SAMPLES:
        raise InputError(f"no embedded glass is called {composition!r}: choose from {', '.join(SAMPLES)}.")
    return composition


def cu64zr36(split: Literal["train", "test"] = "train") -> list[Glass]:
    """Load the glasses of Li et al. (ICML 2024), with their energy barriers.

    Files are taken from the folder named in ``SYMGNN_EXPLAIN_DATA`` if it is set, else downloaded once from the
    authors' repository (with a progress bar) and kept in the user's cache. Every file is checked against its SHA-256.

    Raises
    ------
    InputError
        If a file is missing, cannot be downloaded, or is not the published one.
    """
    if split not in ("train", "test"):
        raise InputError(f"{split=} is unknown: the published data set has 'train' and 'test'.")
    return load_published([name for name in SHA256 if name.startswith(split)])


def load_published(names: Sequence[str]) -> list[Glass]:
    """Load published glasses by name, ``train0`` to ``train6`` and ``test0`` to ``test1``; see :func:`cu64zr36`."""
    unknown = sorted(set(names) - set(SHA256))
    if unknown:
        raise InputError(f"no published glass is called {', '.join(unknown)}: choose from {', '.join(SHA256)}.")
    return [read_glass(_published_file(f"{name}.pickle")) for name in names]


def _published_file(file_name: str) -> Path:
    expected = SHA256[file_name.removesuffix(".pickle")]
    folder = os.environ.get(DATA_FOLDER_VARIABLE)
    if folder:
        path = Path(folder) / file_name
        if not path.is_file():
            raise InputError(
                f"{file_name} is not in {folder}, the folder named in {DATA_FOLDER_VARIABLE}: "
                "put the published file there, or unset the variable to download it."
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise InputError(f"{path} is not the published file: its SHA-256 differs; download it again.")
        return path
    return _download(file_name, expected)


def _download(file_name: str, expected: str) -> Path:
    import pooch

    try:
        fetched = pooch.retrieve(
            url=_AUTHORS_URL + file_name,
            known_hash=f"sha256:{expected}",
            fname=file_name,
            path=pooch.os_cache("symgnn_explain") / "cu64zr36",
            progressbar=True,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file_name} cannot be downloaded from {_AUTHORS_URL} ({error}): check the network, "
            f"or set {DATA_FOLDER_VARIABLE} to a folder that holds the published files."
        ) from error
    return Path(fetched)
