"""Text dumps of LAMMPS: every frame has its own columns, number of atoms, box and boundaries."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import BARRIER_ARRAY, FloatArray, Glass, IntArray
from symgnn_explain.structure.io.opening import Span, decoded, marked_lines
from symgnn_explain.structure.io.species import (
    Source,
    are_types,
    numbers_from_masses,
    numbers_from_words,
    species_of,
)
from symgnn_explain.structure.io.tables import Columns, is_count, is_number, number, read_columns

_PLACES = ("x y z", "xs ys zs", "xu yu zu", "xsu ysu zsu")
_WORDS = ("element", "typelabel")
_LAMMPS_DEFAULT = "C"  # what LAMMPS writes as element where the user has named none


LENGTHS = {"metal": 1.0, "real": 1.0, "electron": 0.529177210903, "nano": 10.0, "micro": 1e4, "cgs": 1e8, "si": 1e10}
"""Length of one unit of distance, Å, by unit style."""


@dataclass
class _Frame:
    """What stands before the atoms of a frame, and where its atoms stand in the file."""

    items: dict[str, list[str]] = field(default_factory=dict)
    columns: list[str] | None = None
    start: int = 0
    end: int = 0
    n_rows: int = 0

    @classmethod
    def of(cls, text: bytes) -> Self:
        """Read what stands before the atoms, and count these."""
        frame, offset, item = cls(), 0, ""
        for line in io.BytesIO(text):
            offset += len(line)
            if frame.columns is not None:
                if line.strip():
                    frame.n_rows += 1
                    frame.end = offset
            elif line.startswith(b"ITEM:"):
                item = _item(line)
                if item == "ATOMS" or item.startswith("ATOMS "):
                    frame.columns, frame.start, frame.end = item.split()[1:], offset, offset
                else:
                    frame.items[item] = []
            elif item and line.strip():
                frame.items[item].append(decoded(line).strip())
        return frame

    @property
    def n_atoms(self) -> int:
        words = self.items.get("NUMBER OF ATOMS", [])
        if not words or not is_count(words[0]):
            found = repr(words[0]) if words else "nothing"
            raise InputError(
                f"the LAMMPS dump is truncated or damaged: {found} stands where its number of atoms should."
            )
        return int(words[0])

    @property
    def box(self) -> tuple[list[str], list[str]]:
        """Words behind BOX BOUNDS, and the lines below it."""
        for item, lines in self.items.items():
            if item.startswith("BOX BOUNDS"):
                return item.split()[2:], lines
        raise InputError("the LAMMPS dump is truncated or damaged: a frame has no 'ITEM: BOX BOUNDS' section.")


def dump_spans(stream: BinaryIO) -> Iterator[Span]:
    """Find the frames of a dump; a new one begins at the first item after atoms, or at a second time step."""
    begin, before, units = -1, b"", b""
    items: set[str] = set()
    for offset, line, below in marked_lines(stream, b"ITEM:"):
        item = _item(line)
        if "ATOMS" in items or (item == "TIMESTEP" and item in items):
            yield Span(begin, offset - begin, before)
            items, before = set(), units
        begin = begin if items else offset
        items.add("ATOMS" if item.startswith("ATOMS ") else item)
        if item == "UNITS":  # said once, it holds for all frames to come
            units = line + b"\n" + below + b"\n"
    if items:
        yield Span(begin, stream.tell() - begin, before)  # not what is written behind it from now on


def parse_lammps_dump(text: bytes, species: Mapping[int, str] | None) -> Glass:
    """Read a frame of a text dump; its atoms are ordered by their ids.

    Raises InputError if the frame is damaged, or lacks positions; SpeciesNeededError where it does not say the species.
    """
    chosen = _Frame.of(text)
    rows = text[chosen.start : chosen.end]
    if chosen.columns is None:
        raise InputError("the LAMMPS dump is truncated: a frame has no 'ITEM: ATOMS' section.")
    if chosen.n_rows != chosen.n_atoms:
        raise InputError(
            f"the LAMMPS dump is {'truncated' if chosen.n_rows < chosen.n_atoms else 'damaged'}: a frame declares "
            f"{chosen.n_atoms} atoms, {chosen.n_rows} were found."
        )
    cell, origin, pbc, about = _box(*chosen.box)
    if not rows.endswith(b"\n"):
        about["ending"] = "the LAMMPS dump ends in the middle of a line: its last number may be cut off."
    places = _positions_named(chosen.columns)
    columns = ordered_by_id(read_columns(rows, chosen.columns, text=_WORDS))
    positions = np.stack([require_numbers(columns, name) for name in places], axis=1)
    if "s" in places[0]:
        with np.errstate(invalid="ignore", over="ignore"):  # Glass says what is not finite
            positions = origin + positions @ cell
    numbers, species_note = _species(columns, species)
    symbols = np.array(chemical_symbols)[numbers]
    said_twice = [name for name in _WORDS if name in columns and (columns[name] == symbols).all()]
    scale, units_note = length_in_angstrom(" ".join(chosen.items.get("UNITS", [])))
    stated = {key.lower(): " ".join(chosen.items[key]) for key in ("TIMESTEP", "TIME") if key in chosen.items}
    return Glass(
        positions=positions * scale,
        numbers=numbers,
        cell=cell * scale,
        pbc=np.array(pbc),
        barriers=columns.pop(BARRIER_ARRAY, None),
        provenance={**stated, **units_note, **about, **species_note},
        arrays={name: values for name, values in columns.items() if name not in {*places, *said_twice}},
    )


def length_in_angstrom(style: str) -> tuple[float, dict[str, str]]:
    """Return the unit of length (Å) of the style that a file names, and a note for the provenance.

    Files that name none are in Å, the unit of the styles metal and real.

    Raises InputError if lengths of that style have no meaning in Å.
    """
    style = style.strip().lower()
    if not style or LENGTHS.get(style) == 1.0:
        return 1.0, {"lammps_units": style} if style else {}
    if style not in LENGTHS:
        raise InputError(
            f"the file is in LAMMPS' units {style!r}, which have no fixed length in Å: "
            "scale positions and cell to Å first."
        )
    note = f"lengths were converted to Å from LAMMPS' units {style!r}; other columns are as in the file."
    return LENGTHS[style], {"lammps_units": style, "units": note}


def ordered_by_id(columns: Columns) -> Columns:
    """Return the rows in the order of the atoms' ids, or as they are where there are none.

    Raises InputError if an id is no whole number, or occurs more than once.
    """
    ids = columns.get("id")
    if ids is None:
        return columns
    if ids.dtype.kind != "i":
        raise InputError("the column 'id' holds other values than whole numbers: the file is damaged.")
    order = np.argsort(ids, kind="stable")
    same = np.flatnonzero(np.diff(ids[order]) == 0)
    if len(same):
        shown = ", ".join(map(str, np.unique(ids[order][same])[:5].tolist()))
        raise InputError(
            f"several atoms have the id(s) {shown}: every atom needs an id of its own, so the file is damaged, or "
            "several were joined."
        )
    return {name: values[order] for name, values in columns.items()}


def require_numbers(columns: Columns, name: str) -> FloatArray:
    """Return a column of numbers; raises InputError if it holds words."""
    values = columns[name]
    if values.dtype.kind not in "if":
        words = [str(value) for value in values.tolist()]
        strange = next((word for word in words if not is_number(word)), words[0])
        raise InputError(f"the column {name!r} holds {strange!r} where a number is expected.")
    return values.astype(np.float64)


def _item(line: bytes) -> str:
    return " ".join(decoded(line[5:]).split())


def _positions_named(columns: list[str]) -> list[str]:
    for names in _PLACES:
        if set(names.split()) <= set(columns):
            return names.split()
    for names in _PLACES:
        missing = [name for name in names.split() if name not in columns]
        if len(missing) < 3:
            found = " and ".join(name for name in names.split() if name in columns)
            raise InputError(
                f"the LAMMPS dump has the column(s) {found}, but not {' and '.join(missing)}: dump x y z (or xs ys zs, "
                "xu yu zu, xsu ysu zsu)."
            )
    raise InputError(
        f"the LAMMPS dump has the columns {' '.join(columns) or 'of no name'}, but no positions: dump x y z "
        "(or xs ys zs, xu yu zu, xsu ysu zsu)."
    )


def _box(words: list[str], lines: list[str]) -> tuple[FloatArray, FloatArray, list[bool], dict[str, str]]:
    """Return cell, origin, periodicity, and what has to be said about it."""
    try:
        rows = [[number(word) for word in line.split()] for line in lines]
        widths = {len(row) for row in rows}
        if len(rows) != 3 or len(widths) != 1 or not widths <= {2, 3, 4}:
            raise ValueError(f"{len(lines)} lines")
    except ValueError as error:
        raise InputError(f"the box of the LAMMPS dump cannot be read ({error}): it is truncated or damaged.") from error
    bounds = np.array(rows)
    pbc, about = _boundaries([word for word in words if word not in {"xy", "xz", "yz", "abc", "origin"}])
    if widths == {4}:
        return bounds[:, :3], bounds[:, 3], pbc, about
    low, high = bounds[:, 0], bounds[:, 1]
    tilt = dict.fromkeys(("xy", "xz", "yz"), 0.0)
    if widths == {3}:
        named = [word for word in words if word in tilt]
        tilt |= dict(zip(named if len(named) == 3 else tilt, bounds[:, 2].tolist(), strict=True))
    xy, xz, yz = tilt["xy"], tilt["xz"], tilt["yz"]
    # The bounds enclose the tilted cell, as LAMMPS' documentation of triclinic boxes says.
    low = low - [min(0, xy, xz, xy + xz), min(0, yz), 0]
    high = high - [max(0, xy, xz, xy + xz), max(0, yz), 0]
    if (high < low).any():
        raise InputError("the box of the LAMMPS dump ends before it begins: it is damaged.")
    cell = np.diag(high - low)
    cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
    return cell, low, pbc, about


def _boundaries(words: list[str]) -> tuple[list[bool], dict[str, str]]:
    """Return the periodicity along x, y and z; directions of which the file says nothing are taken as periodic."""
    strange = [word for word in words if set(word.lower()) - set("pfsm")]
    if strange or len(words) > 3:
        raise InputError(
            f"the boundaries {' '.join(words)!r} of the LAMMPS dump are unknown: expected pp, ff, fs and the like."
        )
    pbc = ["p" in word.lower() for word in words] + [True] * (3 - len(words))
    if len(words) == 3:
        return pbc, {}
    silent = " ".join("xyz"[len(words) :])
    return pbc, {"boundaries": f"the LAMMPS dump does not say its boundaries along {silent}: taken as periodic."}


def _species(columns: Columns, species: Mapping[int, str] | None) -> tuple[IntArray, dict[str, str]]:
    types, sources = None, []
    for name in ("type", "element", "typelabel"):
        values = columns.get(name)
        if values is None:
            continue
        if are_types(values):
            types = values.astype(np.int64) if types is None else types
        elif name == "element" and not (types is not None and _is_default(values, types)):
            sources.append(Source("its element column", numbers_from_words(values, strict=species is None), plain=True))
        elif name != "element":
            strict = species is None and types is None and "element" not in columns
            sources.append(Source(f"its column {name!r}", numbers_from_words(values, strict=strict)))
    if "mass" in columns and columns["mass"].dtype.kind in "if":
        sources.append(Source("its mass column", numbers_from_masses(columns["mass"])))
    if types is None and not sources:
        raise InputError("the LAMMPS dump has neither a 'type' nor an 'element' column: dump one of them.")
    return species_of("a LAMMPS dump", types, sources, species)


def _is_default(elements: NDArray[Any], types: NDArray[Any]) -> bool:
    """Whether several types are all called what LAMMPS calls them where the user has named none."""
    return set(np.unique(elements).tolist()) == {_LAMMPS_DEFAULT} and len(np.unique(types)) > 1
