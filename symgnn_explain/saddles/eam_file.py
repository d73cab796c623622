"""Potentials of the embedded-atom kind as LAMMPS keeps them: ``eam.alloy`` and ``eam.fs`` (Finnis-Sinclair) tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.names import printable
from symgnn_explain.structure.glass import FloatArray, atomic_number
from symgnn_explain.structure.io.tables import is_number, number

COMMENT_LINES = 3
MOST_NODES = 10_000_000  # numbers in one table, above which a header is taken for damaged


@dataclass(frozen=True, eq=False, repr=False)
class EamPotential(Brief):
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
    """Read an ``eam.alloy`` or ``eam.fs`` file as LAMMPS reads it; which it is, its length tells.

    After the three lines of comment, ``#`` and what follows it on a line is left out, and so are empty lines. The
    numbers of a table may stand in any lines; words after its last number, on the same line, are left out. Where the
    file holds exactly the numbers that its header announces, tables may share lines too. Exponents may be written with
    D, as Fortran does.

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
        return parse_eam(blob.decode("latin-1"), name=printable(path.name), sha256=hashlib.sha256(blob).hexdigest())
    except InputError as error:
        raise InputError(f"the potential {path} cannot be used: {error}") from error


def parse_eam(text: str, *, name: str, sha256: str) -> EamPotential:
    """Build a potential from the text of an ``eam.alloy`` or ``eam.fs`` file; see :func:`read_eam`."""
    lines = text.removesuffix("\n").split("\n")  # a comment may hold what else Python takes for the end of a line
    if len(lines) < COMMENT_LINES + 3:
        raise InputError(f"it has {len(lines)} lines, and an eam.alloy or eam.fs table has many more.")
    rows = [words for line in lines[COMMENT_LINES:] if (words := line.split("#", 1)[0].split())]
    if len(rows) < 3:
        raise InputError(f"it ends after {len(rows)} lines of its header.")
    header = _Rows(rows)
    elements = _elements(header.words(1))
    grid = _grid(header.words(5))
    rest = header.rest()
    words = [word for row in rest for word in row]
    failures: list[_MisreadError] = []
    # Of one element both forms are the same. As LAMMPS does, every table begins on a new line; or they share lines,
    # where nothing is surplus.
    for form in ("eam.fs", "eam.alloy") if len(elements) > 1 else ("eam.alloy",):
        layouts = [_Rows(rest)]
        if len(words) == _n_words(form, len(elements), grid):
            layouts.append(_Rows([words], shared=True))
        for layout in layouts:
            try:
                tables = _tables(layout, form, elements, grid)
            except _MisreadError as error:
                failures.append(error)
            else:
                return EamPotential(
                    name=name,
                    sha256=sha256,
                    form=form,
                    elements=elements,
                    cutoff=grid.cutoff,
                    density_spacing=grid.density_spacing,
                    spacing=grid.spacing,
                    **tables,
                )
    failure = max(failures, key=lambda each: each.row)
    wanted = " or ".join(
        f"{_n_words(form, len(elements), grid)} ({form})" for form in ("eam.alloy", "eam.fs")[: len(elements)]
    )
    raise InputError(
        f"{failure}; after the header come {len(words)} words, where {wanted} belong. The file is damaged or of "
        "another kind: give a LAMMPS eam.alloy or eam.fs file."
    ) from failure


class _MisreadError(InputError):
    """The tables are not laid out as was tried; ``row`` is how far the reading came."""

    def __init__(self, said: str, row: int) -> None:
        super().__init__(said)
        self.row = row


@dataclass(frozen=True)
class _Grid:
    n_density: int
    density_spacing: float
    n_distance: int
    spacing: float
    cutoff: float


class _Rows:
    """Takes groups of words from lines, each beginning on a line of its own unless lines are ``shared``."""

    def __init__(self, rows: list[list[str]], *, shared: bool = False) -> None:
        self._rows, self._place, self._used = rows, 0, 0
        self.shared = shared

    def words(self, count: int) -> list[str]:
        """Return the words of as many lines as hold ``count`` of them, or exactly these where lines are shared."""
        if self.shared:
            taken = self._rows[0][self._used : self._used + count]
            self._used += len(taken)
        else:
            taken = []
            while len(taken) < count and self._place < len(self._rows):
                taken += self._rows[self._place]
                self._place += 1
        if len(taken) < count:
            raise _MisreadError("it ends within its tables", self.row)
        return taken

    def numbers(self, count: int) -> FloatArray:
        """Return the next table."""
        return _numbers(self.words(count)[:count], self)

    def rest(self) -> list[list[str]]:
        """Return the lines that are left."""
        return self._rows[self._place :]

    @property
    def row(self) -> int:
        """Lines taken, or words of a shared one."""
        return self._used if self.shared else self._place


def _n_words(form: str, n_elements: int, grid: _Grid) -> int:
    rows = n_elements if form == "eam.fs" else 1
    n_pairs = n_elements * (n_elements + 1) // 2
    return n_elements * (4 + grid.n_density + rows * grid.n_distance) + n_pairs * grid.n_distance


def _tables(rows: _Rows, form: str, elements: tuple[str, ...], grid: _Grid) -> dict[str, FloatArray]:
    masses, embedding, density = [], [], []
    for element in elements:
        masses.append(_mass(rows, element))
        embedding.append(rows.numbers(grid.n_density))
        if form == "eam.fs":
            density.append([rows.numbers(grid.n_distance) for _ in elements])
        else:
            density.append([rows.numbers(grid.n_distance)] * len(elements))
    pair = np.zeros((len(elements), len(elements), grid.n_distance))
    for first in range(len(elements)):
        for second in range(first + 1):
            pair[first, second] = pair[second, first] = rows.numbers(grid.n_distance)
    # LAMMPS does not look at what follows; but numbers belong to tables of another form or size.
    left = rows.rest()
    if not rows.shared and any(is_number(words[0]) for words in left):
        raise _MisreadError(f"{len(left)} lines are left after its tables", rows.row)
    return {
        "masses": np.array(masses),
        "embedding": np.array(embedding),
        "density": np.array(density),
        "pair": pair,
    }


def _mass(rows: _Rows, symbol: str) -> float:
    """Read the line that begins an element's tables: atomic number, mass, and what is not needed."""
    charge, mass, *_lattice = rows.words(4 if rows.shared else 2)
    if charge != str(atomic_number(symbol)):
        raise _MisreadError(f"the tables of {symbol} begin with {charge[:20]!r}, expected its atomic number", rows.row)
    value = float(_numbers([mass], rows)[0])
    if value <= 0:
        raise _MisreadError(f"the mass of {symbol} is {value} u, expected a positive one", rows.row)
    return value


def _numbers(words: list[str], rows: _Rows) -> FloatArray:
    try:
        values = np.array([number(word) for word in words])
    except ValueError as error:
        raise _MisreadError(f"a table holds what is no number ({error})", rows.row) from error
    if not np.isfinite(values).all():
        raise _MisreadError("a table holds values that are not finite", rows.row)
    return values


def _elements(words: list[str]) -> tuple[str, ...]:
    count, *symbols = words
    said = " ".join(words)[:60]
    if not count.isdecimal() or int(count) != len(symbols) or not symbols:
        raise InputError(f"line {COMMENT_LINES + 1} is {said!r}, expected a number of elements and their symbols.")
    for symbol in symbols:
        atomic_number(symbol)
    if len(set(symbols)) != len(symbols):
        raise InputError(f"line {COMMENT_LINES + 1} names an element twice: {said!r}.")
    return tuple(symbols)


def _grid(words: list[str]) -> _Grid:
    try:
        n_density, n_distance = int(words[0]), int(words[2])
        lengths = np.array([number(words[place]) for place in (1, 3, 4)])
    except ValueError:
        n_density = n_distance = 0
        lengths = np.full(3, np.nan)
    # Five nodes are what the derivatives at the nodes are made from.
    usable = np.isfinite(lengths).all() and (lengths > 0).all() and min(n_density, n_distance) >= 5
    if not usable or max(n_density, n_distance) > MOST_NODES:
        said = " ".join(words)[:60]
        raise InputError(
            f"line {COMMENT_LINES + 2} is {said!r}, expected numbers and spacings of nodes, and a cut-off: "
            "Nrho drho Nr dr cutoff."
        )
    density_spacing, spacing, cutoff = lengths.tolist()
    return _Grid(n_density, density_spacing, n_distance, spacing, cutoff)
