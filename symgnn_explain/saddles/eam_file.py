"""Potentials of the embedded-atom kind as LAMMPS keeps them: ``eam.alloy`` and ``eam.fs`` (Finnis-Sinclair) tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, atomic_number

COMMENT_LINES = 3
MOST_NODES = 10_000_000
"""Numbers in one table, above which a header is taken for damaged."""


@dataclass(frozen=True, eq=False)
class EamPotential:
    """Tabulated pair energies, electron densities and embedding energies of some elements.

    Parameters
    ----------
    name
        What the potential is called: its file.
    sha256
        Of the file, in hexadecimal digits.
    form
        ``eam.alloy`` or ``eam.fs``; the former where both are the same.
    elements
        Chemical symbols, in the order of the tables.
    masses
        Atomic masses, shape (K,), u.
    cutoff
        Distance from which atoms do not interact, Å.
    density_spacing
        Between nodes of the embedding energy.
    spacing
        Between nodes of all that depends on distance, Å.
    embedding
        Embedding energy at each electron density, shape (K, n), eV.
    density
        Electron density that an atom of the first element makes at one of the second, shape (K, K, m).
    pair
        Pair energy times distance, shape (K, K, m), eV·Å; symmetric.
    """

    name: str
    sha256: str
    form: str
    elements: tuple[str, ...]
    masses: FloatArray
    cutoff: float
    density_spacing: float
    spacing: float
    embedding: FloatArray
    density: FloatArray
    pair: FloatArray


def read_eam(path: str | Path) -> EamPotential:
    """Read an ``eam.alloy`` or ``eam.fs`` file of LAMMPS; which it is, its length tells.

    Raises
    ------
    InputError
        If the file is missing, is no such table, is cut short or goes on, or holds values that make no potential.
    """
    path = Path(path)
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise InputError(f"the potential {path} cannot be read ({error.strerror}): check the path.") from error
    try:
        return parse_eam(blob.decode("latin-1"), name=path.name, sha256=hashlib.sha256(blob).hexdigest())
    except InputError as error:
        raise InputError(f"the potential {path} cannot be used: {error}") from error


def parse_eam(text: str, *, name: str, sha256: str) -> EamPotential:
    """Build a potential from the text of an ``eam.alloy`` or ``eam.fs`` file; see :func:`read_eam`."""
    lines = text.splitlines()
    if len(lines) < COMMENT_LINES + 3:
        raise InputError(f"it has {len(lines)} lines, and an eam.alloy or eam.fs table has many more.")
    elements = _elements(lines[COMMENT_LINES])
    n_density, density_spacing, n_distance, spacing, cutoff = _grid(lines[COMMENT_LINES + 1])
    words = [word for line in lines[COMMENT_LINES + 2 :] for word in line.split()]
    per_element = {"eam.alloy": 1, "eam.fs": len(elements)}
    n_pairs = len(elements) * (len(elements) + 1) // 2
    expected = {
        form: len(elements) * (4 + n_density + rows * n_distance) + n_pairs * n_distance
        for form, rows in per_element.items()
    }
    # Of one element both forms are the same.
    form = next((form for form, count in expected.items() if count == len(words)), None)
    if form is None:
        wanted = " or ".join(f"{count} ({form})" for form, count in expected.items())
        raise InputError(
            f"after the header come {len(words)} values, where {wanted} "
            "belong: the file is damaged or of another kind; give a LAMMPS eam.alloy or eam.fs file."
        )
    reader = _Reader(words)
    masses, embedding, density = [], [], []
    for element in elements:
        masses.append(reader.element(element))
        embedding.append(reader.numbers(n_density))
        rows = [reader.numbers(n_distance) for _ in range(per_element[form])]
        density.append(rows * (len(elements) if form == "eam.alloy" else 1))
    pair = np.zeros((len(elements), len(elements), n_distance))
    for first in range(len(elements)):
        for second in range(first + 1):
            pair[first, second] = pair[second, first] = reader.numbers(n_distance)
    return EamPotential(
        name=name,
        sha256=sha256,
        form=form,
        elements=elements,
        masses=np.array(masses),
        cutoff=cutoff,
        density_spacing=density_spacing,
        spacing=spacing,
        embedding=np.array(embedding),
        density=np.array(density),
        pair=pair,
    )


def _elements(line: str) -> tuple[str, ...]:
    count, *symbols = line.split() or [""]
    if not count.isdecimal() or int(count) != len(symbols) or not symbols:
        raise InputError(f"line {COMMENT_LINES + 1} is {line[:60]!r}, expected a number of elements and their symbols.")
    for symbol in symbols:
        atomic_number(symbol)
    if len(set(symbols)) != len(symbols):
        raise InputError(f"line {COMMENT_LINES + 1} names an element twice: {line[:60]!r}.")
    return tuple(symbols)


def _grid(line: str) -> tuple[int, float, int, float, float]:
    try:
        words = line.split()
        n_density, n_distance = int(words[0]), int(words[2])
        density_spacing, spacing, cutoff = (float(words[place]) for place in (1, 3, 4))
    except (ValueError, IndexError):
        n_density = n_distance = 0
        density_spacing = spacing = cutoff = np.nan
    lengths = np.array([density_spacing, spacing, cutoff])
    # Five nodes are what the derivatives at the nodes are made from.
    usable = np.isfinite(lengths).all() and (lengths > 0).all() and min(n_density, n_distance) >= 5
    if not usable or max(n_density, n_distance) > MOST_NODES:
        raise InputError(
            f"line {COMMENT_LINES + 2} is {line[:60]!r}, expected numbers and spacings of nodes, and a cut-off: "
            "Nrho drho Nr dr cutoff."
        )
    return n_density, density_spacing, n_distance, spacing, cutoff


class _Reader:
    """Takes values from a list of words, one group after the other."""

    def __init__(self, words: list[str]) -> None:
        self._words: Iterator[str] = iter(words)

    def element(self, symbol: str) -> float:
        number, mass, _lattice_constant, _lattice = (next(self._words) for _ in range(4))
        if number != str(atomic_number(symbol)):
            raise InputError(f"the tables of {symbol} begin with {number!r}, expected its atomic number.")
        value = float(_numbers([mass])[0])
        if value <= 0:
            raise InputError(f"the mass of {symbol} is {value} u, expected a positive one.")
        return value

    def numbers(self, count: int) -> FloatArray:
        return _numbers([next(self._words) for _ in range(count)])


def _numbers(words: list[str]) -> FloatArray:
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"a table holds what is no number ({error}).") from error
    if not np.isfinite(values).all():
        raise InputError("a table holds values that are not finite.")
    return values
