"""Every other format, through ASE."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass, atomic_number
from symgnn_explain.structure.io.opening import said
from symgnn_explain.structure.io.species import reconciled, species_of

if TYPE_CHECKING:
    from ase import Atoms


def read_with_ase(path: Path, species: Mapping[int, str] | None, format: str) -> Glass:  # noqa: A002
    """Read a file that holds one structure, in a format of ASE.

    Raises InputError if ASE cannot read it, or what it finds is no valid glass.
    """
    from ase.io import read

    return glass_from(
        lambda: read(_plain(path), format=format, do_not_split_by_at_sign=True), species, f"{format!r} file"
    )


def images_of(path: Path, species: Mapping[int, str] | None, format: str) -> Iterator[Glass]:  # noqa: A002
    """Read all frames of a file in a format of ASE, one after another; raises InputError as :func:`read_with_ase`."""
    from ase.io import iread

    images = iread(_plain(path), index=slice(None), format=format, do_not_split_by_at_sign=True)
    end = object()

    def following() -> Atoms:
        found = next(images, end)
        if found is end:
            raise _EndError
        return found

    while True:
        try:
            yield glass_from(following, species, f"{format!r} file")
        except _EndError:
            return


def holds_frames(format: str) -> bool:  # noqa: A002
    """Whether files of a format of ASE may hold several structures; raises InputError where there is no such format."""
    from ase.io.formats import ioformats

    if format not in ioformats:
        raise InputError(
            f"there is no format {format!r}: write extxyz, lammps-dump-text, lammps-data, vasp, cif, pickle or another "
            "of ASE's names."
        )
    return not ioformats[format].single


def read_image(path: Path, frame: int, species: Mapping[int, str] | None) -> Glass:
    """Read one frame of a trajectory of ASE, and nothing else of it; raises InputError as :func:`read_with_ase`."""
    from ase.io.trajectory import TrajectoryReader

    def build() -> Atoms:
        with TrajectoryReader(path) as images:
            return images[frame]

    return glass_from(build, species, "'traj' file")


def count_images(path: Path) -> int:
    """Return how many frames a trajectory of ASE has; raises InputError if it is none, or damaged."""
    from ase.io.trajectory import TrajectoryReader

    try:
        with TrajectoryReader(path) as images:
            return len(images)
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles on
        raise InputError(f"the 'traj' file cannot be read: it is truncated or damaged ({said(error)}).") from error


class _EndError(InputError):
    """There are no more frames."""


def _plain(path: Path) -> str:
    # An absolute path begins with no word that ASE takes for an address of a database or for standard input.
    return str(path.absolute())


def glass_from(build: Callable[[], Atoms], species: Mapping[int, str] | None, what: str) -> Glass:
    """Turn what a reader of ASE builds into a glass, and whatever it raises into a sentence.

    Raises InputError if the reader raises, or what it builds is no valid glass.
    """
    try:
        atoms = build()
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"the {what} takes a package to be read that is missing ({error}): install it.") from error
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles on
        if isinstance(error, KeyError) and re.fullmatch(r"[A-Z][a-z]{0,2}", str(error.args[0])):
            atomic_number(error.args[0])  # a symbol that ASE looked up in vain
        raise InputError(
            f"the {what} cannot be read ({said(error)}): it is truncated, or has another format; then name the format."
        ) from error
    if what.startswith("'lammps"):  # types, which ASE takes for atomic numbers
        types = np.asarray(atoms.arrays.get("type", atoms.numbers))
        atoms.numbers, about = species_of("a LAMMPS file", types, [], species)
        return replace(Glass.from_ase(atoms), provenance=about)
    glass = Glass.from_ase(atoms)
    return replace(glass, numbers=reconciled(glass.numbers, species))


def ase_format_of(path: Path, head: bytes, name: Path) -> str:
    """Return ASE's guess at the format, from the name without its compression, and the first bytes.

    Raises InputError if it has none.
    """
    from ase.io.formats import UnknownFileTypeError, extension2format, filetype, ioformats

    stem, suffix = name.stem, name.suffix.lower().lstrip(".")
    if suffix in extension2format or suffix in ioformats:  # says more than VASP's names, which ASE finds in any other
        stem = re.sub("POSCAR|CONTCAR|CENTCAR|CONFIG", "file", stem)
    stream = io.BytesIO(head)
    stream.name = str(path.absolute().parent / (stem + name.suffix))
    try:
        format = filetype(stream)  # noqa: A001
    except UnknownFileTypeError as error:
        raise unknown_format() from error
    if format not in ioformats:
        raise unknown_format()
    return format


def unknown_format() -> InputError:
    """Return the error that says which formats there are."""
    return InputError(
        "the file type is not known: use extended XYZ, LAMMPS data or dump, POSCAR, CIF, or name the format."
    )
