"""Extended and plain XYZ."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import BARRIER_ARRAY, FloatArray, Glass, IntArray, provenance_of
from symgnn_explain.structure.io.opening import Span, decoded, skip_rows
from symgnn_explain.structure.io.species import (
    NOTE_KEYS,
    Source,
    are_types,
    numbers_from_masses,
    numbers_from_words,
    species_of,
)
from symgnn_explain.structure.io.tables import Columns, flags, is_count, is_number, number, read_columns
from symgnn_explain.structure.occupancy import require_full_occupancy

_POSITIONS = ("pos", "position", "positions")
_SPECIES = ("species", "symbol", "symbols", "element", "elements")
_NUMBERS = ("Z", "z", "numbers", "atomic_number", "atomic_numbers")
_TYPES = ("type", "types", "atom_type", "atom_types")
_MASSES = ("mass", "masses")
_PLAIN = "species:S:1:pos:R:3"

# key=value or key alone; a value may be quoted, or stand in brackets or braces, and a backslash protects what follows.
_PAIR = re.compile(
    r"""(?P<key>"(?:\\.|[^"\\])*"|[^\s=]+)
        (?:\s*=\s*(?P<value>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\{[^}]*\}|\[(?:[^\[\]]|\[[^\[\]]*\])*\]|(?:\\.|[^\s\\])*))?""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Frame:
    """Comment of a frame, where it begins, and where its atoms stand in the file."""

    declared: int
    comment: str
    begin: int
    start: int
    end: int
    n_rows: int


@dataclass(frozen=True)
class _Column:
    """One entry of ``Properties``."""

    name: str
    kind: str
    width: int


def xyz_spans(stream: BinaryIO) -> Iterator[Span]:
    """Find the frames of an XYZ file; raises InputError where it is damaged."""
    for frame in _frames(stream):
        yield Span(frame.begin, frame.end - frame.begin)


def parse_xyz(text: bytes, species: Mapping[int, str] | None) -> Glass:
    """Read a frame of an extended or plain XYZ file.

    Raises InputError if it is damaged, or has no cell; SpeciesNeededError where it has types instead of species.
    """
    chosen = next(_frames(io.BytesIO(text)))
    rows = text[chosen.start : chosen.end]
    if chosen.n_rows < chosen.declared:
        raise InputError(
            f"the file cannot be read: it is truncated, a frame declares {chosen.declared} atoms, {chosen.n_rows} were "
            "found."
        )
    if not chosen.declared:
        raise InputError("the XYZ file has no atoms in this frame.")
    info = _info(chosen.comment)
    reserved = {key: _reserved(info, key) for key in ("lattice", "properties", "pbc")}
    cell = _cell(reserved["lattice"])
    arrays = _arrays(rows, reserved["properties"])
    positions = _taken(arrays, _POSITIONS, "positions")
    if positions is None or positions.ndim != 2 or positions.dtype.kind not in "if":
        raise InputError("the XYZ file has no positions: its Properties need pos:R:3.")
    numbers, about = _species(arrays, species)
    require_full_occupancy(arrays)
    return Glass(
        positions=positions,
        numbers=numbers,
        cell=cell,
        pbc=_periodic(reserved["pbc"]),
        barriers=arrays.pop(BARRIER_ARRAY, None),
        provenance={**_provenance(info), **about},
        arrays=arrays,
    )


def _frames(stream: BinaryIO) -> Iterator[_Frame]:
    begin = 0
    for first in stream:
        if not first.strip():
            begin += len(first)
            continue
        count = decoded(first).strip()
        if not is_count(count):
            raise InputError(f"{count[:40]!r} stands where the XYZ file should have a number of atoms: it is damaged.")
        comment = next(stream, b"")
        start = begin + len(first) + len(comment)
        n_rows, size = skip_rows(stream, int(count))
        yield _Frame(int(count), decoded(comment).strip(), begin, start, start + size, n_rows)
        if n_rows < int(count):
            return
        begin = start + size


def _info(comment: str) -> dict[str, str]:
    """Return the keys and values of a comment line as text; a key alone is true."""
    if "=" not in comment:  # a plain file, whose comment is prose
        return {"comment": comment} if comment else {}
    info: dict[str, str] = {}
    for pair in _PAIR.finditer(comment):
        key, value = _bare(pair["key"]), pair["value"]
        info[key] = "T" if value is None else _bare(value)
    return info


def _bare(word: str) -> str:
    if len(word) > 1 and word[0] + word[-1] in ('""', "''", "{}", "[]"):
        word = word[1:-1]
    return re.sub(r"\\(.)", r"\1", word)


def _reserved(info: dict[str, str], key: str) -> str | None:
    """Take a key of the format out of the info, however its letters are written."""
    found = {name: info.pop(name) for name in list(info) if name.lower() == key}
    if len(set(found.values())) > 1:
        raise InputError(f"the comment line of the XYZ file has {' and '.join(found)} with different values: keep one.")
    return next(iter(found.values()), None)


def _provenance(info: dict[str, str]) -> dict[str, str]:
    """Return the other keys as provenance; ``provenance`` itself may hold keys, as JSON."""
    # Some keys of the provenance hold sentences of this package, which a key of the file must not stand for.
    values: dict[str, Any] = {
        f"stated_{key}" if key in NOTE_KEYS else key: value
        for key, value in info.items()
        if key not in {"name", "Origin"}
    }
    stated = values.get("provenance", "")
    if stated.startswith("_JSON "):
        try:
            values["provenance"] = json.loads(stated.removeprefix("_JSON "))
        except (ValueError, RecursionError):
            values["provenance"] = stated  # text that only looks like JSON stays text
    return provenance_of(values)


def _cell(lattice: str | None) -> FloatArray:
    if lattice is None:
        raise InputError(
            "the cell is singular: the comment line of the XYZ file has none; write "
            'Lattice="ax ay az bx by bz cx cy cz" (Å) into it.'
        )
    try:
        values = [number(word) for word in re.split(r"[\s,]+", lattice.strip())]
        return np.array(values).reshape(3, 3)
    except ValueError as error:
        raise InputError(f"Lattice={lattice[:80]!r} of the XYZ file is no cell: expected nine numbers in Å.") from error


def _periodic(words: str | None) -> NDArray[np.bool_]:
    if words is None:
        return np.ones(3, dtype=bool)
    values = flags(np.array(re.split(r"[\s,]+", words.strip())), "pbc")
    if len(values) not in (1, 3):
        raise InputError(f"pbc={words!r} of the XYZ file is not understood: expected three of T and F.")
    return np.broadcast_to(values, (3,))


def _columns(properties: str) -> list[_Column]:
    words = properties.strip().split(":")
    names, kinds, widths = words[::3], [kind.upper() for kind in words[1::3]], words[2::3]
    wrong = (
        len(words) % 3 or not set(kinds) <= set("SRIL") or not all(is_count(w) and 0 < int(w) < 1000 for w in widths)
    )
    if wrong or not all(names):
        raise InputError(
            f"Properties={properties[:80]!r} of the XYZ file is not understood: expected name:type:number of columns, "
            f"with types S, R, I and L, for example {_PLAIN}."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Properties of the XYZ file name {twice[0]!r} twice: name each column once.")
    return [_Column(name, kind, int(width)) for name, kind, width in zip(names, kinds, widths, strict=True)]


def _arrays(rows: bytes, properties: str | None) -> Columns:
    columns = _columns(properties or _PLAIN)
    if properties is None:  # a plain file may have further columns, which have no names
        width = len(rows.split(b"\n", 1)[0].split())
        columns += [_Column(f"column_{place}", "", 1) for place in range(5, width + 1)]
    # The separator keeps column 0 of "v" apart from a column that is itself called "v0".
    names = [
        [column.name] if column.width == 1 else [f"{column.name}\0{place}" for place in range(column.width)]
        for column in columns
    ]
    flat = [name for each in names for name in each]
    words = [name for column, each in zip(columns, names, strict=True) if column.kind in {"S", "L"} for name in each]
    try:
        read = read_columns(rows, flat, text=words)
    except InputError as error:
        raise InputError(str(error).replace("\0", "_")) from error
    arrays = {}
    for column, each in zip(columns, names, strict=True):
        parts = [_of_kind(read[name], column) for name in each]
        arrays[column.name] = parts[0] if column.width == 1 else np.stack(parts, axis=1)
    return arrays


def _of_kind(values: NDArray[Any], column: _Column) -> NDArray[Any]:
    if column.kind == "L":
        return flags(values, column.name)
    if column.kind in {"R", "I"} and values.dtype.kind not in "if":
        strange = next((word for word in values.astype(np.str_).tolist() if not is_number(word)), None)
        if strange is None and column.kind == "I":
            return values.astype(np.str_)  # names in digits, beyond 64 bits: kept to the last one as text
        if strange is not None:
            raise InputError(f"the column {column.name!r} holds {strange!r} where a number is expected.")
    return values.astype(np.float64) if column.kind == "R" else values


def _taken(arrays: Columns, names: tuple[str, ...], what: str) -> NDArray[Any] | None:
    """Take a column out of the arrays: that of the format's own name, else the one that means the same."""
    if names[0] in arrays:
        return arrays.pop(names[0])
    found = [name for name in arrays if name.lower() in names]
    if len(found) > 1:
        raise InputError(f"the XYZ file has several columns for its {what}, {' and '.join(found)}: keep one.")
    return arrays.pop(found[0]) if found else None


def _species(arrays: Columns, species: Mapping[int, str] | None) -> tuple[IntArray, dict[str, str]]:
    named = _taken(arrays, _SPECIES, "species")
    atomic = _taken(arrays, _NUMBERS if named is None else _NUMBERS[:1], "atomic numbers")
    types = next((values for name, values in arrays.items() if name.lower() in _TYPES and are_types(values)), None)
    types = None if types is None else types.astype(np.int64)
    sources = []
    if named is not None and named.ndim == 1 and are_types(named):
        types = named.astype(np.int64) if types is None else types
    elif named is not None:
        sources.append(
            Source("its species column", numbers_from_words(named, strict=species is None or types is None), True)
        )
    if atomic is not None:
        sources.append(Source("its column of atomic numbers", _whole(atomic), plain=True))
    for name, values in ({} if sources else arrays).items():
        if name.lower() in _TYPES and values.ndim == 1 and values.dtype.kind == "U" and not are_types(values):
            sources.append(Source(f"its column {name!r}", numbers_from_words(values, strict=species is None)))
        if name.lower() in _MASSES and values.ndim == 1 and values.dtype.kind in "if":
            sources.append(Source("its mass column", numbers_from_masses(values)))
    if types is None and not sources:
        raise InputError("the XYZ file has neither species nor types: its Properties need species:S:1.")
    return species_of("an XYZ file", types, sources, species)


def _whole(values: NDArray[Any]) -> IntArray:
    known = len(chemical_symbols)
    if values.ndim != 1 or values.dtype.kind not in "if" or not (np.isin(values, np.arange(known))).all():
        raise InputError(f"the atomic numbers of the XYZ file are not whole numbers up to {known - 1}, one an atom.")
    return values.astype(np.int64)
