"""CIF and POSCAR: ASE reads them, after a look at what it would decide in silence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.ase_formats import glass_from
from symgnn_explain.structure.io.opening import Span, as_text, decoded, read_bytes, read_text, said, skip_rows
from symgnn_explain.structure.io.species import Source, numbers_from_words, species_of
from symgnn_explain.structure.io.tables import is_count, number
from symgnn_explain.structure.occupancy import TOLERANCE, refuse_disorder

if TYPE_CHECKING:
    from ase import Atoms
    from ase.io.cif import CIFBlock

_TYPE = "_atom_site_type_symbol"
_CONFIGURATION = re.compile(rb"\s*direct\s*(?:configuration.*)?$", re.IGNORECASE)
_NO_GROUP = {".", "?", "0", "1"}  # disorder groups that do not mean one of several alternatives


def cif_blocks(path: Path) -> list[CIFBlock]:
    """Return the blocks of a CIF file that have a structure; raises InputError if it is truncated or damaged."""
    from ase.io.cif import parse_cif

    try:
        return [block for block in map(_with_plain_symbols, parse_cif(read_text(path))) if block.has_structure()]
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles on
        raise InputError(f"the CIF file cannot be read: it is truncated or damaged ({said(error)}).") from error


def read_block(block: CIFBlock, species: Mapping[int, str] | None) -> Glass:
    """Read a block of a CIF file.

    Raises InputError if sites are occupied in part or by several species, or atoms are missing.
    """
    refuse_disorder(_disordered_sites(block))
    _require_one_species_a_site(block)
    glass = glass_from(lambda: _ordered_atoms(block), species, "CIF file")
    declared = _declared_atoms(block)
    if declared is not None and len(glass) < declared:
        raise InputError(f"the CIF file is truncated: it declares {declared} atoms, {len(glass)} were found.")
    return glass


def read_poscar(path: Path, species: Mapping[int, str] | None) -> Glass:
    """Read a POSCAR or CONTCAR file, as :func:`parse_poscar` does."""
    return parse_poscar(read_bytes(path), species)


def xdatcar_spans(stream: BinaryIO) -> Iterator[Span]:
    """Find the configurations of an XDATCAR file, each of which is a POSCAR file but for what it shares with others."""
    header, begin = b"", 0
    while line := stream.readline():
        begin += len(line)
        if not header or not _CONFIGURATION.match(line):  # a title, of a first or changed cell
            lines = [line, *islice(stream, 6)]
            header = b"".join(lines)
            begin += sum(map(len, lines[1:]))
            continue
        counts = decoded(header).splitlines()[-1].split() if header else []
        if not counts or not all(map(is_count, counts)):
            raise InputError("the XDATCAR file has no line with its numbers of atoms: it is truncated or damaged.")
        _, size = skip_rows(stream, sum(map(int, counts)))
        yield Span(begin, size, header + b"Direct\n")
        begin += size


def parse_poscar(content: bytes, species: Mapping[int, str] | None) -> Glass:
    """Read POSCAR text; where it names no species (VASP 4), the map counts its groups of atoms.

    Raises InputError if it is truncated or damaged; SpeciesNeededError where it does not say the species.
    """
    from ase.io.vasp import read_vasp

    text = as_text(content)
    lines = text.getvalue().splitlines(keepends=True)
    named, counts = (lines[place].split("!")[0].split() if len(lines) > place else [] for place in (5, 6))
    if all(is_count(word) for word in named):
        named, counts = [], named
    if (not named and not counts) or not all(is_count(word) for word in counts):
        raise InputError("the POSCAR file cannot be read: it is truncated, or has no line with its numbers of atoms.")
    if named and len(named) != len(counts):
        raise InputError(
            f"the POSCAR file names the {len(named)} species {' '.join(named)}, but has the {len(counts)} numbers of "
            f"atoms {' '.join(counts)}: it is damaged."
        )
    if sum(map(int, counts)) > len(lines):
        raise InputError(f"the POSCAR file is truncated: it declares {' + '.join(counts)} atoms in {len(lines)} lines.")
    types = np.repeat(np.arange(1, len(counts) + 1), [int(word) for word in counts])
    if named:
        words = np.array([re.split(r"[_./]", word)[0] for word in named], dtype=np.str_)
        source = Source("its line of symbols", numbers_from_words(words)[types - 1], plain=True)
        by_group = types if species is not None and set(types.tolist()) <= set(species) else None
        numbers, about = species_of("a POSCAR file", by_group, [source], species)
    else:
        words = np.array(lines[0].split("!")[0].split()[: len(counts)], dtype=np.str_)
        sources = []
        if len(words) == len(counts) and numbers_from_words(words, strict=False).all():
            sources = [Source("its comment line", numbers_from_words(words)[types - 1])]
        numbers, about = species_of("a POSCAR file without a line of symbols", types, sources, species)
    # The species that the map says, because momenta are velocities times their masses.
    symbols = [chemical_symbols[next(iter(numbers[types == kind]), 1)] for kind in range(1, len(counts) + 1)]
    lines[5 : 6 if named else 5] = [" ".join(symbols) + "\n"]
    lines[1] = _scale_by_volume(lines)
    text.seek(0)
    text.truncate()
    text.write("".join(lines))
    text.seek(0)
    glass = glass_from(lambda: read_vasp(text), None, "POSCAR file")
    return replace(glass, numbers=numbers, provenance={**glass.provenance, **about})


def _scale_by_volume(lines: list[str]) -> str:
    """Return the line of the scale as a factor where it is the volume, which ASE gives the sign of the determinant."""
    try:
        volume = -number(lines[1].split()[0])
        cell = np.array([[number(word) for word in line.split()[:3]] for line in lines[2:5]])
        with np.errstate(all="ignore"):
            scale = np.cbrt(volume / abs(np.linalg.det(cell)))
    except (ValueError, IndexError, np.linalg.LinAlgError):  # ASE says what is wrong
        return lines[1]
    return f"{scale!s}\n" if 0 < scale < np.inf else lines[1]


def _ordered_atoms(block: CIFBlock) -> Atoms:
    """Build the atoms of a block; two sites in one place, which ASE would merge, are refused."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*are equivalent")
        try:
            return block.get_atoms(fractional_occupancies=False)
        except UserWarning as warning:
            labels = _listed(block, "_atom_site_label", "_atom_site_type_symbol")
            sites = [str(labels[int(place)]) for place in re.findall(r"\d+", str(warning))]
            refuse_disorder([f"{' and '.join(sites)} (in one place)"])
            raise


def _disordered_sites(block: CIFBlock) -> Iterator[str]:
    """Describe the sites that are occupied in part, or belong to a group of alternatives."""
    occupancies = _listed(block, "_atom_site_occupancy")
    groups = _listed(block, "_atom_site_disorder_group")
    for site, label in enumerate(_listed(block, "_atom_site_label", "_atom_site_type_symbol")):
        occupancy = occupancies[site] if site < len(occupancies) else 1
        if isinstance(occupancy, int | float):
            full, shown = abs(occupancy - 1) <= TOLERANCE, f"{occupancy:g}"
        else:
            full, shown = occupancy in {".", "?"}, str(occupancy)
        if not full:
            yield f"{label} ({shown})"
        elif site < len(groups) and str(groups[site]) not in _NO_GROUP:
            yield f"{label} (disorder group {groups[site]})"


def _with_plain_symbols(block: CIFBlock) -> CIFBlock:
    """Write the species of each site as ASE understands it, which takes the first capital of ``CU`` for the whole."""
    from ase.io.cif import CIFBlock

    words = [str(word) for word in _listed(block, _TYPE)]
    return CIFBlock(block.name, {**block, _TYPE: [_plain_symbol(word) for word in words]}) if words else block


def _require_one_species_a_site(block: CIFBlock) -> None:
    """Refuse words of which ASE would take the first symbol for the whole.

    Raises InputError if a site is of several species, or its label alone leaves open which one it is of.
    """
    types, labels = _listed(block, _TYPE), [str(label) for label in _listed(block, "_atom_site_label")]
    words = [str(word) for word in types] or labels
    refuse_disorder(
        word if labels[site : site + 1] in ([], [word]) else f"{labels[site]} ({word})"
        for site, word in enumerate(words)
        if _names_several(word)
    )
    for label in [] if types else words:
        first = re.match(r"[A-Z]{2}", label)
        if first and first[0].capitalize() in atomic_numbers:
            raise InputError(
                f"the label {label!r} of the CIF file may mean {first[0].capitalize()} or {label[0]}: name the species "
                f"in a column {_TYPE}."
            )


def _plain_symbol(word: str) -> str:
    """Return the symbol of a word such as ``Cu``, ``CU`` or ``Zr4+``; any other word as it is."""
    found = re.fullmatch(r"([A-Za-z]{1,2})(?:[\d.]*[-+][\d.]*|\d*)", word)
    symbol = found[1].capitalize() if found else ""
    return symbol if symbol in atomic_numbers else word


def _names_several(word: str) -> bool:
    """Whether a word such as ``Cu/Zr``, ``CuZr1`` or ``Cu0.5Zr0.5`` names two species (in ``Cu1B``, B is a letter)."""
    found = re.match(r"([A-Z][a-z]?)[\d.()]*(?:\s*[/,;|&]\s*([A-Z][a-z]?)|([A-Z][a-z]))", word)
    return found is not None and {found[1], found[2] or found[3]} <= set(atomic_numbers)


def _listed(block: CIFBlock, *tags: str) -> list[Any]:
    """Return the values of the first tag that a block has."""
    value: Any = next((block[tag] for tag in tags if tag in block), [])
    return value if isinstance(value, list) else [value]


def _declared_atoms(block: CIFBlock) -> int | None:
    """Return the number of atoms in the cell by the chemical formula, if that has whole numbers."""
    formula, units = str(block.get("_chemical_formula_sum", "")), block.get("_cell_formula_units_z", 1)
    if not re.fullmatch(r"(\s*[A-Z][a-z]?\d*)+\s*", formula) or not isinstance(units, int):
        return None
    return units * sum(int(count or 1) for count in re.findall(r"[A-Z][a-z]?(\d*)", formula))
