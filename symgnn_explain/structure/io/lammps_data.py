"""LAMMPS data files, as ``write_data`` and the usual builders write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.io.lammps_dump import length_in_angstrom, ordered_by_id, require_numbers
from symgnn_explain.structure.io.opening import decoded, read_bytes
from symgnn_explain.structure.io.species import (
    Source,
    are_types,
    numbers_from_masses,
    numbers_from_words,
    species_of,
)
from symgnn_explain.structure.io.tables import Columns, is_count, number, read_columns

Sections = dict[str, tuple[str, bytes]]
"""Comment behind the keyword, and body, of each section."""

STYLES = {
    "atomic": "id type x y z",
    "charge": "id type q x y z",
    "bond": "id mol type x y z",
    "angle": "id mol type x y z",
    "molecular": "id mol type x y z",
    "full": "id mol type q x y z",
    "sphere": "id type diameter density x y z",
    "dipole": "id type q x y z mux muy muz",
    "spin": "id type x y z spx spy spz sp",
}
"""Columns of the section Atoms by atom style; three image flags may follow."""

_GUESSED = {5: "atomic", 8: "atomic", 7: "full", 10: "full"}
"""Styles that a number of columns stands for where the file does not name its style."""

# A keyword stands alone on its line. Every other line that begins with a letter has numbers in it.
_KEYWORD = re.compile(
    rb"^[ \t]*([A-Za-z][A-Za-z0-9/_]*(?:[ \t]+[A-Za-z][A-Za-z0-9/_]*)*)[ \t]*(#[^\r\n]*)?\r?$", re.MULTILINE
)


def read_lammps_data(path: Path, species: Mapping[int, str] | None) -> Glass:
    """Read a LAMMPS data file; its atoms are ordered by their ids.

    Species come from the map, else from type labels, comments in Masses, and masses. Image flags are applied.

    Raises InputError if the file is truncated or damaged; SpeciesNeededError where it does not say the species.
    """
    title, _, rest = read_bytes(path).partition(b"\n")
    header, sections = _sections(rest)
    fields = _header(header)
    if "Atoms" not in sections:
        raise InputError("the LAMMPS data file is truncated: it has no section 'Atoms'.")
    style, body = sections["Atoms"]
    columns = _atoms(body, style.strip())
    found, declared = len(columns["id"]), int(fields["atoms"][0])
    if found != declared:
        raise InputError(f"the LAMMPS data file is truncated: it declares {declared} atoms, {found} were found.")
    cell = _cell(fields)
    columns = ordered_by_id(columns)
    positions = np.stack([require_numbers(columns, axis) for axis in "xyz"], axis=1)
    if "ix" in columns:
        images = np.stack([require_numbers(columns, f"i{axis}") for axis in "xyz"], axis=1)
        if not (images == np.round(images)).all():
            raise InputError(
                "the last three columns of the section 'Atoms' are no whole numbers, so no image flags: write the "
                f"style of its atoms behind 'Atoms', for example 'Atoms # charge'; known are {', '.join(STYLES)}."
            )
        with np.errstate(invalid="ignore", over="ignore"):  # Glass says what is not finite
            positions = positions + images @ cell
    labels = _labels(sections)
    columns["type"] = _type_numbers(columns["type"], labels)
    masses, comments = _masses(sections, labels)
    numbers, about = _species(columns["type"], labels, masses, comments, species)
    units = re.search(r"\bunits\s*=\s*(\w+)", decoded(title))
    scale, units_note = length_in_angstrom(units[1] if units else "")
    arrays = {name: values for name, values in columns.items() if name not in {*"xyz", "ix", "iy", "iz"}}
    if masses and set(np.unique(columns["type"]).tolist()) <= set(masses):
        arrays["mass"] = np.array([masses[kind] for kind in columns["type"].tolist()])
    arrays |= _velocities(sections, columns["id"])
    return Glass(
        positions=positions * scale,
        numbers=numbers,
        cell=cell * scale,
        provenance={"title": decoded(title).strip(), **units_note, **about},
        arrays=arrays,
    )


def _sections(text: bytes) -> tuple[str, Sections]:
    """Split into the header, and the comment and body of each section by its keyword."""
    keywords = list(_KEYWORD.finditer(text))
    header = decoded(text[: keywords[0].start()] if keywords else text)
    sections: Sections = {}
    for position, keyword in enumerate(keywords):
        end = keywords[position + 1].start() if position + 1 < len(keywords) else len(text)
        name = " ".join(decoded(keyword[1]).split())
        if name in sections:
            raise InputError(f"the LAMMPS data file has two sections {name!r}: it is damaged.")
        sections[name] = decoded(keyword[2] or b"").lstrip("#").strip(), text[keyword.end() : end]
    return header, sections


def _header(text: str) -> dict[str, list[str]]:
    """Return the values in front of each name, for example ``{"atoms": ["100"], "xlo xhi": ["0", "10"]}``."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        first = next((place for place, word in enumerate(words) if word[0].isalpha()), None)
        if first:
            fields[" ".join(words[first:])] = words[:first]
    count = " ".join(fields.get("atoms", ["nothing"]))
    if not is_count(count):
        raise InputError(f"the LAMMPS data file is damaged: {count!r} stands where its number of atoms should.")
    return fields


def _cell(fields: Mapping[str, list[str]]) -> FloatArray:
    try:
        if "avec" in fields:
            return np.array([[number(word) for word in fields[name]] for name in ("avec", "bvec", "cvec")]).reshape(
                3, 3
            )
        cell = np.zeros((3, 3))
        for axis, name in enumerate("xyz"):
            low, high = (number(word) for word in fields[f"{name}lo {name}hi"])
            cell[axis, axis] = high - low
        if (cell.diagonal() < 0).any():
            raise ValueError("it ends before it begins")
        if "xy xz yz" in fields:
            cell[1, 0], cell[2, 0], cell[2, 1] = (number(word) for word in fields["xy xz yz"])
    except (ValueError, KeyError) as error:
        missing = f"no line {error.args[0]!r}" if isinstance(error, KeyError) else error
        raise InputError(
            f"the box of the LAMMPS data file cannot be read ({missing}): it is truncated or damaged."
        ) from error
    return cell


def _atoms(body: bytes, style: str) -> Columns:
    rows = [line for line in body.split(b"\n", 64)[:64] if line.split(b"#")[0].strip()]
    if not rows:
        raise InputError("the LAMMPS data file is truncated: it declares atoms, 0 were found.")
    width = len(rows[0].split(b"#")[0].split())
    words = style.split()
    chosen = words[0] if words and words[0] in STYLES else _GUESSED.get(width) if not words else None
    if chosen is None:
        raise InputError(
            f"the LAMMPS data file has atoms of {width} columns and "
            + (f"of the style {style!r}" if words else "does not say their style")
            + f": write the style behind 'Atoms', for example 'Atoms # charge'; known are {', '.join(STYLES)}."
        )
    names = STYLES[chosen].split()
    if width == len(names) + 3:
        names += ["ix", "iy", "iz"]
    return read_columns(body, names, text=("type",), comment="#")


def _labels(sections: Sections) -> dict[int, str]:
    rows = _rows(sections, "Atom Type Labels")
    return {int(words[0]): words[1] for words, _ in rows if len(words) > 1 and is_count(words[0])}


def _type_numbers(words: NDArray[Any], labels: Mapping[int, str]) -> IntArray:
    if are_types(words):
        return words.astype(np.int64)
    known = {label: kind for kind, label in labels.items()}
    kinds = [known.get(word, int(word) if is_count(word) else None) for word in words.tolist()]
    strange = next((word for word, kind in zip(words.tolist(), kinds, strict=True) if kind is None), None)
    if strange is not None:
        raise InputError(f"the LAMMPS data file has an atom of type {strange!r}, which no 'Atom Type Labels' names.")
    return np.array(kinds, dtype=np.int64)


def _masses(sections: Sections, labels: Mapping[int, str]) -> tuple[dict[int, float], dict[int, str]]:
    """Return the mass (u) of each type, and what its comment says."""
    known = {label: kind for kind, label in labels.items()}
    masses, comments = {}, {}
    for words, comment in _rows(sections, "Masses"):
        kind = int(words[0]) if is_count(words[0]) else known.get(words[0])
        try:
            mass = number(words[1])
        except (ValueError, IndexError) as error:
            raise InputError(
                f"the section Masses has the row {' '.join(words)!r}: expected a type and its mass."
            ) from error
        if kind is not None:
            masses[kind], comments[kind] = mass, comment
    return masses, comments


def _species(
    types: IntArray,
    labels: Mapping[int, str],
    masses: Mapping[int, float],
    comments: Mapping[int, str],
    species: Mapping[int, str] | None,
) -> tuple[IntArray, dict[str, str]]:
    def spread(by_kind: Mapping[int, int]) -> IntArray:
        return np.array([by_kind.get(kind, 0) for kind in kinds.tolist()], dtype=np.int64)[place]

    kinds, place = np.unique(types, return_inverse=True)
    sources = [
        Source("its Atom Type Labels section", spread({kind: _symbol([label]) for kind, label in labels.items()})),
        Source(
            "the comments in its Masses section",
            spread({kind: _symbol(re.findall(r"[A-Za-z]+", comment)) for kind, comment in comments.items()}),
        ),
        Source(
            "its Masses section",
            spread(dict(zip(masses, numbers_from_masses(np.array(list(masses.values()))).tolist(), strict=True))),
        ),
    ]
    return species_of("a LAMMPS data file", types, sources, species)


def _symbol(words: list[str]) -> int:
    """Return the atomic number of the only word that is a chemical symbol, else 0."""
    symbols = {word for word in words if word[:1].isupper() and numbers_from_words(np.array([word]), strict=False)[0]}
    return int(numbers_from_words(np.array(sorted(symbols)))[0]) if len(symbols) == 1 else 0


def _velocities(sections: Sections, ids: NDArray[Any]) -> Columns:
    if "Velocities" not in sections:
        return {}
    columns = ordered_by_id(read_columns(sections["Velocities"][1], ["id", "vx", "vy", "vz"], comment="#"))
    if not np.array_equal(columns["id"], ids):
        raise InputError("the sections Atoms and Velocities name different atoms: the file is truncated or damaged.")
    return {name: require_numbers(columns, name) for name in ("vx", "vy", "vz")}


def _rows(sections: Sections, name: str) -> list[tuple[list[str], str]]:
    """Return words and comment of each row of a section."""
    rows = [line.partition("#") for line in decoded(sections.get(name, ("", b""))[1]).splitlines()]
    return [(words.split(), comment.strip()) for words, _, comment in rows if words.strip()]
