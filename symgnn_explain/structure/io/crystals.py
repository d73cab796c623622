"""CIF and POSCAR: ASE reads them, after a look at what it would decide in silence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.ase_formats import glass_from
from symgnn_explain.structure.io.frames import chosen_frame, require_only_frame
from symgnn_explain.structure.io.opening import read_text, said
from symgnn_explain.structure.io.species import Source, numbers_from_words, species_of
from symgnn_explain.structure.io.tables import is_count
from symgnn_explain.structure.occupancy import TOLERANCE, refuse_disorder

if TYPE_CHECKING:
    from ase import Atoms
    from ase.io.cif import CIFBlock

_NO_GROUP = {".", "?", "0", "1"}
"""Disorder groups that do not mean one of several alternatives."""


def read_cif(path: Path, species: Mapping[int, str] | None, frame: int) -> Glass:
    """Read one block of a CIF file, counting those with a structure.

    Raises
    ------
    InputError
        If sites are occupied in part or by several species, or the file is truncated or damaged.
    """
    from ase.io.cif import parse_cif

    try:
        blocks = [block for block in parse_cif(read_text(path)) if block.has_structure()]
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles on
        raise InputError(f"the CIF file cannot be read: it is truncated or damaged ({said(error)}).") from error
    block = chosen_frame(blocks, frame, "CIF file with structures")
    refuse_disorder(_disordered_sites(block))
    glass = glass_from(lambda: _ordered_atoms(block), species, frame, "CIF file")
    declared = _declared_atoms(block)
    if declared is not None and len(glass) < declared:
        raise InputError(f"the CIF file is truncated: it declares {declared} atoms, {len(glass)} were found.")
    return glass


def read_poscar(path: Path, species: Mapping[int, str] | None, frame: int) -> Glass:
    """Read a POSCAR or CONTCAR file; where it names no species (VASP 4), the map counts its groups of atoms.

    Raises
    ------
    InputError
        If it is truncated or damaged; SpeciesNeededError where it does not say the species.
    """
    from ase.io.vasp import read_vasp

    require_only_frame(frame, "POSCAR file")
    text = read_text(path)
    lines = text.getvalue().splitlines(keepends=True)
    counts = lines[5].split("!")[0].split() if len(lines) > 5 else []
    if not counts or not all(is_count(word) for word in counts):
        text.seek(0)
        return glass_from(lambda: read_vasp(text), species, frame, "POSCAR file")
    if sum(map(int, counts)) > len(lines):
        raise InputError(f"the POSCAR file is truncated: it declares {' + '.join(counts)} atoms in {len(lines)} lines.")
    types = np.repeat(np.arange(1, len(counts) + 1), [int(word) for word in counts])
    words = np.array(lines[0].split("!")[0].split()[: len(counts)], dtype=np.str_)
    sources = []
    if len(words) == len(counts) and numbers_from_words(words, strict=False).all():
        sources = [Source("its comment line", numbers_from_words(words)[types - 1])]
    numbers, about = species_of("a POSCAR file without a line of symbols", types, sources, species)
    lines.insert(5, " ".join(["H"] * len(counts)) + "\n")  # any symbols: the species are known
    text.seek(0)
    text.truncate()
    text.write("".join(lines))
    text.seek(0)
    glass = glass_from(lambda: read_vasp(text), None, frame, "POSCAR file")
    return replace(glass, numbers=numbers, provenance={**glass.provenance, **about})


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
        if isinstance(occupancy, int | float) and not abs(occupancy - 1) <= TOLERANCE:
            yield f"{label} ({occupancy:g})"
        elif site < len(groups) and str(groups[site]) not in _NO_GROUP:
            yield f"{label} (disorder group {groups[site]})"


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
