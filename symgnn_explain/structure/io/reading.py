"""Reading glasses: every format of ASE, and the pickles of the published data set.

Each ends in a validated :class:`~symgnn_explain.structure.glass.Glass` or in an
``InputError`` that says what was found in the file.
"""

from __future__ import annotations

import io
import lzma
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError, SpeciesNeededError
from symgnn_explain.structure.glass import Glass, IntArray, atomic_number
from symgnn_explain.structure.plain_pickle import load_plain_pickle

AUTHORS_SPECIES = {1: "Cu", 2: "Zr"}
"""Types of the published pickles (Li et al., ICML 2024)."""

AUTHORS_BARRIERS = "trajectory_start_velocities"
"""The published pickles keep the energy barriers (eV) under this misleading key."""

PICKLE_SUFFIXES = {".pickle", ".pkl"}
_DUMP_SUFFIXES = {".dump", ".lammpstrj", ".lammpsdump"}
_DATA_SUFFIXES = {".data", ".lmp", ".lammps"}


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
        data set.
    species
        Chemical symbol of each LAMMPS type, for example ``{1: "Cu", 2: "Zr"}``. Needed for LAMMPS files without an
        ``element`` column: types alone do not say what the atoms are.
    frame
        Which frame of a trajectory, the last by default.
    format
        ASE's name of the format, where the file name does not tell.

    Raises
    ------
    InputError
        If the file is missing, truncated, unreadable, or holds no valid glass; ``SpeciesNeededError`` where only the
        species of its types are missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not a file: check the path.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    if species is not None:
        for symbol in species.values():
            atomic_number(symbol)
    try:
        if path.suffix.lower() in PICKLE_SUFFIXES:
            return _read_authors_pickle(path, species or AUTHORS_SPECIES)
        kind = format or _guess_lammps(path)
        if kind == "lammps-dump-text":
            return _read_lammps_dump(path, species, frame)
        if kind == "lammps-data":
            return _read_lammps_data(path, species)
        return _read_with_ase(path, format, frame)
    except SpeciesNeededError as error:
        raise SpeciesNeededError(f"{path}: {error}", error.types) from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from error.__cause__
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}).") from error


def _guess_lammps(path: Path) -> str | None:
    with _open_text(path) as stream:
        head = stream.read(4096)
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if head.startswith("ITEM:") or suffixes & _DUMP_SUFFIXES:
        return "lammps-dump-text"
    if suffixes & _DATA_SUFFIXES or re.search(r"^\s*\d+\s+atom types\b", head, re.MULTILINE):
        return "lammps-data"
    return None


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """Open a file as text, decompressed where its suffix says .gz, .bz2 or .xz."""
    from ase.io.formats import open_with_compression

    try:
        with closing(open_with_compression(str(path), "rb")) as raw, io.TextIOWrapper(raw, errors="replace") as stream:
            yield stream
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"the file cannot be opened, or its compression is damaged ({_said(error)}).") from error


def _read_with_ase(path: Path, format: str | None, frame: int) -> Glass:  # noqa: A002
    from ase.io import read
    from ase.io.formats import UnknownFileTypeError

    if format is None and path.suffix.lower() == ".xyz":
        format = "extxyz"  # noqa: A001
    try:
        atoms = read(path, index=frame, format=format)
    except UnknownFileTypeError as error:
        raise InputError(
            "the file type is not known: use extended XYZ, LAMMPS data or dump, POSCAR, CIF, or name the format."
        ) from error
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles on
        if isinstance(error, KeyError) and re.fullmatch(r"[A-Z][a-z]{0,2}", str(error.args[0])):
            atomic_number(error.args[0])  # a symbol that ASE looked up in vain
        reason = f"it is truncated, not what its name says, or has no frame {frame} ({_said(error)})"
        raise InputError(f"the file cannot be read: {reason}.") from error
    if path.suffix.lower() == ".cif":
        _require_complete(len(atoms), _declared_cif_atoms(path), "CIF file")
    return Glass.from_ase(atoms, name=path.stem, provenance={"file": path.name})


def _read_lammps_dump(path: Path, species: Mapping[int, str] | None, frame: int) -> Glass:
    from ase.io import read

    columns, counts = _dump_layout(path)
    if not {"element", "type"} & set(columns):
        raise InputError("the LAMMPS dump has neither a 'type' nor an 'element' column: dump one of them.")
    if "element" not in columns and species is None:
        raise _species_needed("dump", sorted(_dump_types(path, columns)))
    if not {"x", "xu", "xs", "xsu"} & set(columns):
        raise InputError(
            f"the dump has the columns {' '.join(columns)}, but no positions: dump x y z (or xs ys zs, xu yu zu)."
        )
    if not -len(counts) <= frame < len(counts):
        raise InputError(f"frame {frame} does not exist: the LAMMPS dump has {len(counts)} frame(s), the first is 0.")
    try:
        atoms = read(path, index=frame, format="lammps-dump-text")
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles on
        raise InputError(f"the LAMMPS dump cannot be read, it is truncated or damaged ({_said(error)}).") from error
    _require_complete(len(atoms), counts[frame], "LAMMPS dump")
    if "element" not in columns and species is not None:
        atoms.numbers = _numbers_from_types(atoms.arrays["type"], species)
    return Glass.from_ase(atoms, name=path.stem, provenance={"file": path.name})


def _read_lammps_data(path: Path, species: Mapping[int, str] | None) -> Glass:
    from ase.io import read

    if species is None:
        types = range(1, (_header_count(path, "atom types") or 0) + 1)
        raise _species_needed("data file", list(types))
    numbers = {kind: atomic_number(symbol) for kind, symbol in species.items()}
    try:
        atoms = read(path, format="lammps-data", Z_of_type=numbers)
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles on
        known = ", ".join(f"{kind}={symbol}" for kind, symbol in species.items())
        raise InputError(
            f"the LAMMPS data file cannot be read with types {known}: it is truncated, damaged, or holds other types "
            f"({_said(error)})."
        ) from error
    _require_complete(len(atoms), _header_count(path, "atoms"), "LAMMPS data file")
    return Glass.from_ase(atoms, name=path.stem, provenance={"file": path.name})


def _read_authors_pickle(path: Path, species: Mapping[int, str]) -> Glass:
    content = load_plain_pickle(path.read_bytes())
    needed = ("positions", "box", "types")
    if not isinstance(content, dict) or any(key not in content for key in needed):
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"the pickle holds {found}, expected the published data set's keys {', '.join(needed)}.")
    box = np.asarray(content["box"])
    if box.shape != (3,) or box.dtype.kind not in "iuf":
        raise InputError(f"the pickle's box is {content['box']!r}, expected three edge lengths in Å.")
    arrays = {
        name: np.asarray(content[key]).ravel()
        for key, name in (("pot", "potential_energy"), ("press", "pressure"), ("von", "von_mises_stress"))
        if key in content
    }
    barriers = content.get(AUTHORS_BARRIERS)
    return Glass(
        positions=content["positions"],
        numbers=_numbers_from_types(np.asarray(content["types"]).ravel(), species),
        cell=np.diag(box.astype(np.float64)),
        barriers=None if barriers is None else np.asarray(barriers).ravel(),
        name=path.stem,
        provenance={"file": path.name},
        arrays=arrays,
    )


def _numbers_from_types(types: NDArray[Any], species: Mapping[int, str]) -> IntArray:
    missing = sorted(set(np.unique(types).tolist()) - set(species))
    if missing:
        known = ", ".join(f"{kind}={symbol}" for kind, symbol in species.items())
        raise InputError(f"the file has atoms of type {missing}, but the species map names only {known}.")
    numbers = np.zeros(len(types), dtype=np.int64)
    for kind, symbol in species.items():
        numbers[types == kind] = atomic_number(symbol)
    return numbers


def _species_needed(what: str, types: list[int]) -> SpeciesNeededError:
    example = ",".join(
        f"{kind}={symbol}" for kind, symbol in zip(types or [1, 2], ("Cu", "Zr", "Al", "Ag"), strict=False)
    )
    example = example or "1=Cu,2=Zr"
    return SpeciesNeededError(
        f"a LAMMPS {what} does not say which species its types {types} are: give the map, "
        f'for example species={{1: "Cu", 2: "Zr"}} in Python or --species {example} on the command line.',
        tuple(types),
    )


def _require_complete(found: int, declared: int | None, what: str) -> None:
    if declared is not None and found < declared:
        raise InputError(f"the {what} is truncated: it declares {declared} atoms, {found} were found.")


def _dump_layout(path: Path) -> tuple[list[str], list[int]]:
    """Names of the columns, and the number of atoms that each frame declares."""
    columns: list[str] = []
    counts: list[int] = []
    with _open_text(path) as stream:
        for line in stream:
            if line.startswith("ITEM: ATOMS"):
                columns = columns or line.split()[2:]
            elif line.startswith("ITEM: NUMBER OF ATOMS"):
                count = next(stream, "").strip()
                if not count.isdecimal():
                    raise InputError(f"the LAMMPS dump is truncated or damaged: {count!r} is no number of atoms.")
                counts.append(int(count))
    if not columns:
        raise InputError("the LAMMPS dump is truncated: it has no 'ITEM: ATOMS' section.")
    return columns, counts


def _dump_types(path: Path, columns: list[str]) -> set[int]:
    column, types, reading = columns.index("type"), set(), False
    with _open_text(path) as stream:
        for line in stream:
            if line.startswith("ITEM:"):
                reading = line.startswith("ITEM: ATOMS")
            elif reading and len(fields := line.split()) == len(columns) and fields[column].isdecimal():
                types.add(int(fields[column]))
    return types


def _header_count(path: Path, what: str) -> int | None:
    with _open_text(path) as stream:
        for line in stream:
            fields = line.split("#")[0].split()
            if fields[1:] == what.split() and fields[0].isdecimal():
                return int(fields[0])
            if fields[:1] == ["Atoms"]:
                break
    return None


def _declared_cif_atoms(path: Path) -> int | None:
    """Atoms in the cell by the chemical formula of the last block, if it has one of whole numbers."""
    with _open_text(path) as stream:
        text = stream.read()
    formulas = re.findall(r"^_chemical_formula_sum\s+['\"]?([^'\"\n]+)", text, re.MULTILINE)
    units = re.findall(r"^_cell_formula_units_Z\s+(\d+)", text, re.MULTILINE)
    if not formulas or not re.fullmatch(r"(\s*[A-Z][a-z]?\d*)+\s*", formulas[-1]):
        return None
    per_unit = sum(int(count or 1) for count in re.findall(r"[A-Z][a-z]?(\d*)", formulas[-1]))
    return per_unit * (int(units[-1]) if units else 1)


def _said(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
