"""Reading a glass: which adapter a file needs, and the sentence that names the file where it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from operator import index
from pathlib import Path
from typing import Any

from symgnn_explain.errors import InputError, NoSuchFrameError, SpeciesNeededError
from symgnn_explain.runs.names import printable
from symgnn_explain.structure.glass import Glass, atomic_number
from symgnn_explain.structure.io.ase_formats import ase_format_of, read_with_ase
from symgnn_explain.structure.io.crystals import read_cif, read_poscar
from symgnn_explain.structure.io.lammps_data import read_lammps_data
from symgnn_explain.structure.io.lammps_dump import read_lammps_dump
from symgnn_explain.structure.io.opening import opened, plain_name
from symgnn_explain.structure.io.published import read_published_pickle
from symgnn_explain.structure.io.tables import is_count
from symgnn_explain.structure.io.xyz import read_xyz

Adapter = Callable[[Path, Mapping[int, str] | None, int], Glass]

ADAPTERS: Mapping[str, Adapter] = {
    "extxyz": read_xyz,
    "xyz": read_xyz,
    "lammps-dump-text": read_lammps_dump,
    "lammps-data": read_lammps_data,
    "cif": read_cif,
    "vasp": read_poscar,
    "pickle": read_published_pickle,
}
"""Readers by format; ASE reads all other formats."""

SUFFIXES = {
    **dict.fromkeys((".xyz", ".extxyz", ".exyz"), "extxyz"),
    **dict.fromkeys((".dump", ".lammpstrj", ".lammpsdump"), "lammps-dump-text"),
    **dict.fromkeys((".data", ".lmp", ".lammps"), "lammps-data"),
    **dict.fromkeys((".pickle", ".pkl"), "pickle"),
    **dict.fromkeys((".vasp", ".poscar"), "vasp"),
    ".cif": "cif",
}
"""Formats by suffix, which counts more than the rest of a name."""


def read_glass(
    path: str | Path,
    *,
    species: Mapping[int, str] | None = None,
    frame: int = -1,
    format: str | None = None,  # noqa: A002 - the name that ASE's users know
) -> Glass:
    """Read one structure.

    Parameters
    ----------
    path
        Extended XYZ, LAMMPS data or dump, POSCAR, CIF or anything else that ASE reads, or a pickle of the published
        data set; compressed with gzip, bzip2 or xz as well.
    species
        Chemical symbol of each type, for example ``{1: "Cu", 2: "Zr"}``. It comes before everything that the file says.
        Needed where a file has types and does not say what they are; if type labels, comments or masses say it, they
        are used, and ``provenance["species"]`` says so.
    frame
        Which frame of a trajectory, the last by default.
    format
        ASE's name of the format (or ``pickle``), where the file does not tell.

    Returns
    -------
    Glass
        Atoms of LAMMPS files are ordered by their ids, which are kept as the array ``id``; others are in the file's
        order. All further columns are kept as arrays under their own names.

    Raises
    ------
    InputError
        If the file is missing, truncated, unreadable, or holds no valid glass; ``SpeciesNeededError`` where only the
        species of its types are missing.

    Examples
    --------
    >>> glass = read_glass("quench.lammpstrj", species={1: "Cu", 2: "Zr"})  # doctest: +SKIP
    >>> glass.arrays["id"][17]  # the LAMMPS id of atom 17  # doctest: +SKIP
    """
    path, shown = Path(path), printable(path)
    if not path.is_file():
        raise InputError(f"{shown} is not a file: check the path.")
    if path.stat().st_size == 0:
        raise InputError(f"{shown} is empty.")
    species, frame = _valid_map(species), _valid_frame(frame)
    try:
        kind = format or format_of(path)
        adapter = ADAPTERS.get(kind)
        glass = adapter(path, species, frame) if adapter else read_with_ase(path, species, frame, kind)
    except SpeciesNeededError as error:
        raise SpeciesNeededError(f"{shown}: {error}", error.types) from None
    except NoSuchFrameError as error:
        raise NoSuchFrameError(f"{shown}: {error}") from None
    except InputError as error:
        raise InputError(f"{shown}: {error}") from error.__cause__
    except OSError as error:
        raise InputError(f"{shown} cannot be opened ({error.strerror}).") from error
    return replace(glass, name=path.stem, provenance={**glass.provenance, "file": path.name})


def read_frames(path: str | Path, **options: Any) -> Iterator[Glass]:
    """Read all frames of a file, first to last; options are those of :func:`read_glass`.

    Raises
    ------
    InputError
        As :func:`read_glass`, at the frame that cannot be read.
    """
    for frame in count():
        try:
            yield read_glass(path, frame=frame, **options)
        except NoSuchFrameError:
            if frame == 0:
                raise
            return


def _valid_map(species: object) -> dict[int, str] | None:
    """Return the map with its types as numbers, also where they are written as text, as JSON does."""
    if species is None:
        return None
    if not isinstance(species, Mapping) or not all(is_count(str(kind)) for kind in species):
        raise InputError(
            f"species={str(species)[:80]} is no map from types to symbols: give one, for example {{1: 'Cu', 2: 'Zr'}}."
        )
    for symbol in species.values():
        atomic_number(symbol)
    return {int(str(kind)): symbol for kind, symbol in species.items()}


def _valid_frame(frame: object) -> int:
    try:
        return index(frame)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"frame {frame!r} is no whole number: frames are counted from 0, the last is -1.") from None


def format_of(path: Path) -> str:
    """Return the format of a file, by what it begins with, its suffix, or else ASE's guess.

    Raises InputError if nothing tells.
    """
    with opened(path) as stream:
        head = stream.read(4096)
    name = plain_name(path)
    if head.startswith(b"ITEM:"):
        return "lammps-dump-text"
    if name.suffix.lower() in SUFFIXES:
        return SUFFIXES[name.suffix.lower()]
    if re.search(rb"^\s*\d+\s+atom types\b", head, re.MULTILINE):
        return "lammps-data"
    return ase_format_of(path, head, name)
