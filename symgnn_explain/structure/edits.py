"""Changes of a structure by hand, as records and as words: swap, turn, move, remove, insert, paste and strain.

::

    glass, origin = apply_edits(glass, read_edits("swap 12,15; move 7 by 0.2 0 0", glass))

An edit is a small immutable record, and its text is what :func:`read_edits` understands. To undo is to leave out the
last one of a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from ase.data import covalent_radii

from symgnn_explain.errors import InputError
from symgnn_explain.structure.bins import Bins
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray, atomic_number
from symgnn_explain.structure.selection import require_atoms, select_atoms
from symgnn_explain.structure.selection_language import did_you_mean, short

ATOM_BEFORE = "atom_before_edits"
"""Per-atom array of an edited structure: the number of each atom before the first edit, -1 where it was inserted."""

EDITED_FROM, EDITS = "edited_from", "edits"
"""Keys of the provenance: the hash of the structure before the first edit, and all edits in words."""

OVERLAP = 0.5
"""Two atoms overlap where they are closer than this share of the sum of their covalent radii."""

ROOM = 0.75
"""What is pasted takes the place of atoms that are closer to it than this share of the sum of their covalent radii."""

LARGEST_STRAIN = 0.2

EDIT_FORMS = (
    "swap 12,15 (exchanges their species); turn 12,57 into Zr; move 12 by 0.2 0 -0.1 (Å); remove within 3 of 12; "
    "insert Cu at 1.5 0 7 (Å); paste within 3 of 57 from 57 to 12 (copies atoms around 57 to around 12); "
    "strain 1%, strain z -0.5% or strain xy 0.01; several with ';' between them"
)
"""The ways to write edits, for messages and help. Atoms are chosen by any words of a selection."""


class Edited(NamedTuple):
    """A structure after edits.

    Parameters
    ----------
    glass
        The structure. Known barriers and per-atom arrays of the one before are left out, as they say nothing of it; the
        array ``atom_before_edits`` numbers its atoms as before the first edit.
    origin
        The number that each atom had before, shape (N,), rising; -1 for those that were inserted, which come last.
    """

    glass: Glass
    origin: IntArray


@dataclass(frozen=True)
class Swap:
    """Two atoms exchange their species; both stay where they are, and the composition what it is."""

    first: int
    second: int

    def __str__(self) -> str:
        return f"swap {self.first},{self.second}"

    def apply(self, glass: Glass) -> Edited:
        """Return the structure after it."""
        pair = require_atoms(glass, (self.first, self.second))
        numbers = glass.numbers.copy()
        if numbers[pair[0]] == numbers[pair[1]]:
            symbol = glass.symbols[pair[0]]
            raise InputError(f"atoms {pair[0]} and {pair[1]} are both {symbol}: swap atoms of two species.")
        numbers[pair] = numbers[pair[::-1]]
        return _in_place(glass, pair, numbers=numbers)


@dataclass(frozen=True)
class Turn:
    """Atoms become another species; the composition changes."""

    atoms: tuple[int, ...]
    species: str

    def __str__(self) -> str:
        return f"turn {_listed(self.atoms)} into {self.species}"

    def apply(self, glass: Glass) -> Edited:
        """Return the structure after it."""
        atoms, number = require_atoms(glass, self.atoms), atomic_number(self.species)
        if (glass.numbers[atoms] == number).all():
            raise InputError(f"{_named(atoms)} {'is' if len(atoms) == 1 else 'are'} {self.species} already.")
        numbers = glass.numbers.copy()
        numbers[atoms] = number
        return _in_place(glass, atoms, numbers=numbers)


@dataclass(frozen=True)
class Move:
    """Atoms move by a vector, Å."""

    atoms: tuple[int, ...]
    by: tuple[float, float, float]

    def __str__(self) -> str:
        return f"move {_listed(self.atoms)} by {_vector(self.by)}"

    def apply(self, glass: Glass) -> Edited:
        """Return the structure after it."""
        atoms, by = require_atoms(glass, self.atoms), _finite(self.by, "the way that atoms move")
        if not by.any():
            raise InputError("atoms that move by 0 0 0 stay where they are: give a way in Å.")
        positions = glass.positions.copy()
        positions[atoms] += by
        return _in_place(glass, atoms, positions=positions)


@dataclass(frozen=True)
class Remove:
    """Atoms are taken out; those after them are numbered anew."""

    atoms: tuple[int, ...]

    def __str__(self) -> str:
        return f"remove {_listed(self.atoms)}"

    def apply(self, glass: Glass) -> Edited:
        """Return the structure after it."""
        origin = np.setdiff1d(np.arange(len(glass)), require_atoms(glass, self.atoms))
        if not len(origin):
            raise InputError(f"no atom of {glass.name!r} would be left: remove fewer.")
        return Edited(_bare(glass, positions=glass.positions[origin], numbers=glass.numbers[origin]), origin)


@dataclass(frozen=True)
class Insert:
    """An atom is put in at a place, Å; it is numbered last."""

    species: str
    at: tuple[float, float, float]

    def __str__(self) -> str:
        return f"insert {self.species} at {_vector(self.at)}"

    def apply(self, glass: Glass) -> Edited:
        """Return the structure after it."""
        positions = np.concatenate([glass.positions, _finite(self.at, "the place of an atom")[None]])
        numbers = np.append(glass.numbers, atomic_number(self.species))
        grown = _bare(glass, positions=positions, numbers=numbers)
        return Edited(_require_apart(grown, np.array([len(glass)])), np.append(np.arange(len(glass)), -1))


@dataclass(frozen=True)
class Paste:
    """A motif is copied: atoms are put in around one atom as they are around another, in place of what is there.

    ``centre`` is the atom that they are around, ``onto`` that which they will be around. What would be in their way is
    taken out. They are numbered last, in the order in which they are named.
    """

    atoms: tuple[int, ...]
    centre: int
    onto: int

    def __str__(self) -> str:
        return f"paste {_listed(self.atoms)} from {self.centre} to {self.onto}"

    def apply(self, glass: Glass) -> Edited:
        """Return the structure after it."""
        atoms = require_atoms(glass, self.atoms)
        centre, onto = glass.require_atom(self.centre), glass.require_atom(self.onto)
        if centre == onto:
            raise InputError(
                f"atoms around {centre} are pasted to where they are: name another atom to put them around."
            )
        placed = glass.positions[onto] + glass.displacements_from(centre)[atoms]
        grown = _bare(
            glass,
            positions=np.concatenate([glass.positions, placed]),
            numbers=np.concatenate([glass.numbers, glass.numbers[atoms]]),
        )
        pasted = np.arange(len(glass), len(grown))
        radii = covalent_radii[grown.numbers]
        first, other, distance = Bins.of(grown, 2 * ROOM * float(radii.max())).pairs(pasted)
        near = distance < ROOM * (radii[np.repeat(pasted, np.diff(first))] + radii[other])
        kept = np.setdiff1d(np.arange(len(glass)), other[near])
        rows = np.concatenate([kept, pasted])
        after = _bare(grown, positions=grown.positions[rows], numbers=grown.numbers[rows])
        new = np.arange(len(kept), len(after))
        return Edited(_require_apart(after, new), np.concatenate([kept, np.full(len(atoms), -1)]))


@dataclass(frozen=True)
class Strain:
    """The cell and all places are strained evenly.

    ``axes`` is empty for all three directions alike, ``x``, ``y`` or ``z`` for one, and ``xy``, ``yz`` and the like for
    simple shear: along the first, proportional to the second. ``amount`` is a fraction.
    """

    axes: str
    amount: float

    def __str__(self) -> str:
        return f"strain {self.axes} {_exact(self.amount)}".replace("  ", " ")

    def apply(self, glass: Glass) -> Edited:
        """Return the structure after it."""
        places = ["xyz".find(axis) for axis in self.axes]
        if min(places, default=0) < 0 or len(places) != len(set(places)) or len(places) > 2:
            raise InputError(f"{short(self.axes)} is no strain: use x, y or z, two of them for shear, or none for all.")
        if not 0 < abs(self.amount) <= LARGEST_STRAIN:
            raise InputError(
                f"a strain of {self.amount:g} cannot be used: give a fraction up to ±{LARGEST_STRAIN:g} that is not 0, "
                "such as 0.01 or 1%."
            )
        gradient = np.eye(3)
        rows = places or [0, 1, 2]
        gradient[rows if len(places) < 2 else rows[0], rows if len(places) < 2 else rows[1]] += self.amount
        positions, cell = glass.positions @ gradient.T, glass.cell @ gradient.T
        return Edited(_bare(glass, positions=positions, cell=cell), np.arange(len(glass)))


Edit = Swap | Turn | Move | Remove | Insert | Paste | Strain


def apply_edits(glass: Glass, edits: Sequence[Edit]) -> Edited:
    """Apply edits one after another; each numbers atoms as those before have left them.

    Raises
    ------
    InputError
        If an edit names atoms that are not there, changes nothing, or brings atoms on top of each other.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> glass, origin = apply_edits(datasets.sample("cu50zr50"), [Remove((0,)), Move((0,), (0.1, 0, 0))])
    >>> len(glass), origin[:3]
    (999, array([1, 2, 3]))
    """
    edited, origin = Edited(glass, np.arange(len(glass)))
    for edit in edits:
        edited, before = edit.apply(edited)
        origin = np.where(before < 0, -1, origin[before]).astype(np.int64)
    earlier = glass.arrays.get(ATOM_BEFORE, np.arange(len(glass)))
    words = "; ".join([*([glass.provenance[EDITS]] if EDITS in glass.provenance else []), *map(str, edits)])
    provenance = {EDITED_FROM: glass.content_hash, **glass.provenance, EDITS: words}
    at_first = np.where(origin < 0, -1, earlier[origin])
    return Edited(replace(edited, provenance=provenance, arrays={ATOM_BEFORE: at_first}), origin)


def read_edits(text: str, glass: Glass, **given: Any) -> list[Edit]:
    """Turn words into edits of a structure: ``swap 12,15; remove within 3 of 7``.

    Parameters
    ----------
    text
        One edit, or several with semicolons between them.
    glass
        The structure. Selections in the words are made in the structure that the edits before have left.
    given
        As for :func:`~symgnn_explain.structure.selection.select_atoms`: ``selected``, for example.

    Raises
    ------
    InputError
        If the words cannot be understood, or an edit cannot be applied.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> read_edits("move 12 by 0 0 0.1; strain z 1%", datasets.sample("cu50zr50"))
    [Move(atoms=(12,), by=(0.0, 0.0, 0.1)), Strain(axes='z', amount=0.01)]
    """
    edits: list[Edit] = []
    for part in text.split(";"):
        verb, _, rest = part.strip().partition(" ")
        reader = _READERS.get(verb.lower())
        if reader is None:
            meant = did_you_mean(verb, tuple(_READERS)) or f": write {EDIT_FORMS}"
            raise InputError(f"the edit {short(part.strip())} cannot be understood{meant}.")
        edits.append(reader(glass, rest, given))
        glass = edits[-1].apply(glass).glass
    return edits


def _read_swap(glass: Glass, rest: str, given: dict[str, Any]) -> Edit:
    atoms = _atoms(glass, re.sub(r"^species\s+(?=\d)", "", rest), given)
    if len(atoms) != 2:
        raise InputError(f"a swap needs two atoms, and {short(rest)} names {len(atoms)}: write it as in swap 12,15.")
    return Swap(*atoms)


def _read_turn(glass: Glass, rest: str, given: dict[str, Any]) -> Edit:
    atoms, species = _split(rest, "into", "turn 12 into Zr")
    return Turn(_atoms(glass, atoms, given), species)


def _read_move(glass: Glass, rest: str, given: dict[str, Any]) -> Edit:
    atoms, by = _split(rest, "by", "move 12 by 0.2 0 0")
    return Move(_atoms(glass, atoms, given), _three(by))


def _read_remove(glass: Glass, rest: str, given: dict[str, Any]) -> Edit:
    return Remove(_atoms(glass, rest, given))


def _read_insert(_glass: Glass, rest: str, _given: dict[str, Any]) -> Edit:
    species, at = _split(rest, "at", "insert Cu at 1.5 0 7")
    return Insert(species, _three(at))


def _read_paste(glass: Glass, rest: str, given: dict[str, Any]) -> Edit:
    found = re.fullmatch(r"(.*\S)\s+from\s+(\d+)\s+to\s+(\d+)", rest.strip(), re.IGNORECASE)
    if found is None:
        raise InputError(f"{short(rest)} cannot be pasted: write it as in paste within 3 of 57 from 57 to 12.")
    return Paste(_atoms(glass, found[1], given), int(found[2]), int(found[3]))


def _read_strain(_glass: Glass, rest: str, _given: dict[str, Any]) -> Edit:
    found = re.fullmatch(r"([a-z]*)\s*(\S+?)\s*(%?)", rest.strip().lower().replace("by ", ""))
    amount = _number(found.group(2)) if found else None
    if found is None or amount is None:
        raise InputError(
            f"the strain {short(rest)} cannot be understood: write strain 1%, strain z 0.01 or strain xy 1%."
        )
    return Strain(found.group(1), amount / 100 if found.group(3) else amount)


_READERS: dict[str, Callable[[Glass, str, dict[str, Any]], Edit]] = {
    "swap": _read_swap,
    "turn": _read_turn,
    "move": _read_move,
    "remove": _read_remove,
    "insert": _read_insert,
    "paste": _read_paste,
    "strain": _read_strain,
}


def _atoms(glass: Glass, words: str, given: dict[str, Any]) -> tuple[int, ...]:
    return tuple(select_atoms(glass, words, **given).tolist())


def _split(text: str, word: str, example: str) -> tuple[str, str]:
    before, found, after = text.rpartition(f" {word} ")
    if not found:
        raise InputError(f"{short(text)} lacks the word {word!r}: write it as in {example}.")
    return before.strip(), after.strip()


def _three(text: str) -> tuple[float, float, float]:
    found = [_number(word) for word in re.split(r"[\s,]+", re.sub(r"\s*(Å|A|angstrom)$", "", text))]
    if len(found) != 3 or None in found:
        raise InputError(f"{short(text)} are not three numbers in Å: write them as in 0.2 0 -0.1.")
    x, y, z = (float(value) for value in found if value is not None)
    return x, y, z


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _in_place(glass: Glass, atoms: IntArray, **changed: Any) -> Edited:
    return Edited(_require_apart(_bare(glass, **changed), atoms), np.arange(len(glass)))


def _bare(glass: Glass, **changed: Any) -> Glass:
    """Return a changed copy without what was known of the atoms before."""
    return replace(glass, barriers=None, arrays={}, **changed)


def _require_apart(glass: Glass, atoms: IntArray) -> Glass:
    """Return the structure unless one of these atoms overlaps another."""
    radii = covalent_radii[glass.numbers]
    first, other, distance = Bins.of(glass, 2 * OVERLAP * float(radii.max())).pairs(atoms)
    atom = np.repeat(atoms, np.diff(first))
    allowed = OVERLAP * (radii[atom] + radii[other])
    if (distance < allowed).any():
        worst = int(np.argmin(distance / allowed))
        raise InputError(
            f"atoms {atom[worst]} ({glass.symbols[atom[worst]]}) and {other[worst]} ({glass.symbols[other[worst]]}) "
            f"would be {distance[worst]:.2f} Å apart: keep them {allowed[worst]:.2f} Å apart at least."
        )
    return glass


def _finite(vector: tuple[float, float, float], what: str) -> FloatArray:
    found = np.array(vector, dtype=np.float64)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise InputError(f"{what} is {short(str(vector))}: give three finite numbers in Å.")
    return found


def _listed(atoms: Sequence[int]) -> str:
    return ",".join(map(str, atoms))


def _named(atoms: IntArray) -> str:
    return f"atom {atoms[0]}" if len(atoms) == 1 else f"atoms {_listed(atoms[:5].tolist())}{' …' * (len(atoms) > 5)}"


def _vector(vector: tuple[float, float, float]) -> str:
    return " ".join(map(_exact, vector))


def _exact(value: float) -> str:
    """Return the shortest text that is read as the same number."""
    return np.format_float_positional(value, trim="-")
