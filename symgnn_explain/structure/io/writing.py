"""Writing glasses: extended XYZ in full precision, and the formats of ASE with what they keep."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from ase.geometry import find_mic

from symgnn_explain.errors import InputError, SpeciesNeededError
from symgnn_explain.runs.files import staged
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.extended_xyz import encode_frame
from symgnn_explain.structure.io.reading import read_glass
from symgnn_explain.structure.io.xyz import parse_xyz

EXTENDED_XYZ = (".extxyz", ".xyz")
LAMMPS_DATA_SUFFIXES = {".data", ".lmp", ".lammps"}
MOST_ROUNDING = 0.01  # distance (Å) up to which a format may move an atom by leaving out digits
_COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


class LossyFormatWarning(UserWarning):
    """A file was written in a format that does not keep everything; the message says what is missing in it."""


def write_glass(glass: Glass, path: str | Path) -> Path:
    """Write a glass; the file is replaced whole, and only once what was written has been read back.

    ``.extxyz`` and ``.xyz`` (also ``.gz``, ``.bz2`` or ``.xz`` of them) are extended XYZ and keep everything, every
    digit included. Any other suffix is a format of ASE, and a :class:`LossyFormatWarning` says what it leaves out.

    Raises
    ------
    InputError
        If the format is not known or would give another structure, or an array does not come back as it is.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> write_glass(datasets.sample(), "out/sample.extxyz")  # doctest: +SKIP
    PosixPath('out/sample.extxyz')
    """
    path = Path(path)
    if is_extended_xyz(path):
        return write_extended_xyz([glass], path)
    with staged(path.parent) as staging:
        _write_with_ase(glass, staging / path.name)
        _warn_of_losses(glass, _read_back(glass, staging / path.name), path)
    return path


def is_extended_xyz(path: Path) -> bool:
    """Return whether :func:`write_glass` writes extended XYZ under this name."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in EXTENDED_XYZ


def write_extended_xyz(
    glasses: Iterable[Glass], path: Path, *, info: Iterable[Mapping[str, Any]] | None = None
) -> Path:
    """Write frames of extended XYZ one at a time, each read back first, and move the file into place at the end.

    ``glasses``: one a frame. ``info``: further keys and values of each frame's comment line. Raises InputError if an
    array of a glass does not come back as it is; it is named, and nothing is written.
    """
    described = ((glass, {}) for glass in glasses) if info is None else zip(glasses, info, strict=True)
    with staged(path.parent) as staging, _text_file(staging / path.name) as stream:
        for glass, note in described:
            text = _encoded(glass, note)
            if lost := _lost_in(glass, text):
                raise InputError(
                    f"{', '.join(lost)} of {glass.name!r} would not be read back from extended XYZ as it is: rename "
                    "it, change it or leave it out."
                )
            stream.write(text)
    return path


def _text_file(path: Path) -> BinaryIO:
    return cast("BinaryIO", _COMPRESSED.get(path.suffix.lower(), open)(path, "wb"))


def _encoded(glass: Glass, note: Mapping[str, Any]) -> bytes:
    try:
        return encode_frame(glass, note).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{error.object[error.start : error.end]!r} cannot be written as text: rename it.") from error


def _lost_in(glass: Glass, text: bytes) -> list[str]:
    """Return what is not read back; where the whole cannot be read, each array is tried alone."""
    try:
        return differences(glass, parse_xyz(text, None))
    except InputError:
        lost = []
        for name, array in glass.arrays.items():
            try:
                parse_xyz(_encoded(replace(glass, arrays={name: array}), {}), None)
            except InputError:
                lost.append(f"the per-atom array {name!r}")
        if not lost and not glass.arrays:
            raise
        return lost or [f"the per-atom arrays {', '.join(map(repr, glass.arrays))} together"]


def differences(glass: Glass, again: Glass) -> list[str]:
    """Name what two glasses differ in, besides their names and the file that they came from."""
    lost = [
        said
        for said, name in (("positions", "positions"), ("species", "numbers"), ("cell", "cell"), ("periodicity", "pbc"))
        if not np.array_equal(getattr(glass, name), getattr(again, name))
    ]
    if not _equal(glass.barriers, again.barriers):
        lost.append("barriers")
    lost += [
        f"the per-atom array {name!r}"
        for name in dict.fromkeys([*glass.arrays, *again.arrays])
        if not _equal(glass.arrays.get(name), again.arrays.get(name))
    ]
    return lost


def _equal(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    numeric = first.dtype.kind == "f" or second.dtype.kind == "f"
    return bool(np.array_equal(first, second, equal_nan=numeric))


def _write_with_ase(glass: Glass, path: Path) -> None:
    from ase.io import write
    from ase.io.formats import UnknownFileTypeError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is lost is found by reading back
            # ASE does not know all the names that its own format goes by.
            known = {"format": "lammps-data", "masses": True} if path.suffix.lower() in LAMMPS_DATA_SUFFIXES else {}
            write(path, glass.to_ase(), **known)
    except UnknownFileTypeError as error:
        raise InputError(
            f"{path.name} has a suffix that no format has: use .extxyz, which keeps everything."
        ) from error
    except OSError:
        raise
    except Exception as error:  # ASE's writers raise whatever they stumble on
        raise InputError(
            f"{path.name} cannot be written ({type(error).__name__}: {error}): use .extxyz, which keeps everything."
        ) from error


def _read_back(glass: Glass, path: Path) -> Glass:
    try:
        try:
            return read_glass(path)
        except SpeciesNeededError:
            # ASE's writers number the species by their symbols.
            return read_glass(path, species=dict(enumerate(sorted(glass.species), start=1)))
    except InputError as error:
        raise InputError(f"{path.name} is in a format that is not read back: use .extxyz ({error}).") from error


def _warn_of_losses(glass: Glass, again: Glass, path: Path) -> None:
    """Refuse another structure, and warn where the same one lacks something."""
    same_kind = len(again) == len(glass) and np.array_equal(again.numbers, glass.numbers)
    moved = np.inf
    if same_kind and np.allclose(again.cell, glass.cell, atol=MOST_ROUNDING):
        moved = float(find_mic(again.positions - glass.positions, glass.cell, glass.pbc)[1].max())
    if not moved <= MOST_ROUNDING:
        raise InputError(
            f"{path.name} would hold another structure than {glass.name!r} (order, species, cell or positions): use "
            ".extxyz, which keeps everything."
        )
    lost = differences(glass, replace(again, arrays={n: a for n, a in again.arrays.items() if n in glass.arrays}))
    if "positions" in lost:
        lost[lost.index("positions")] = f"digits of the positions (up to {moved:.1g} Å)"
    if lost:
        warnings.warn(f"{path} does not keep {', '.join(lost)}: .extxyz does.", LossyFormatWarning, stacklevel=3)
