"""Which atoms of a glass are meant by ``central:50``, ``random:20``, ``species:Zr`` and the like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
from ase.geometry import find_mic

from symgnn_explain.errors import InputError
from symgnn_explain.glass import FloatArray, Glass, IntArray

FORMS = "all, central:50, random:20, softest:10, hardest:10, species:Zr, or numbers such as 12,57"
"""The ways to select atoms, for messages and help."""


def select_atoms(glass: Glass, selection: str, *, barriers: FloatArray | None = None, seed: int = 0) -> IntArray:
    """Turn words into numbers of atoms.

    Parameters
    ----------
    glass
        The structure.
    selection
        - ``all``: every atom;
        - ``12,57``: these atoms, in this order;
        - ``central:50``: the 50 atoms nearest the centre (:func:`centre_of`), nearest first;
        - ``random:20``: 20 atoms without repetition; of two selections with one seed, the smaller begins the larger;
        - ``softest:10``, ``hardest:10``: the atoms with the lowest and the highest barriers, from the extreme on;
        - ``species:Zr``: every atom of the species.

        Ties are in the order of the atoms.
    barriers
        Of each atom, shape (N,), eV, predicted or known; those of the glass where None.
    seed
        Of ``random``.

    Returns
    -------
    IntArray
        Numbers of the atoms, from 0, none twice; shape (n,).

    Raises
    ------
    InputError
        If the words are not among these, or the glass has no such atoms.
    """
    word, colon, argument = (part.strip() for part in selection.partition(":"))
    if selection.strip() == "all":
        return np.arange(len(glass), dtype=np.int64)
    if not colon:
        return _listed(glass, selection)
    if word == "species":
        return _of_species(glass, argument)
    orders: dict[str, Callable[[], IntArray]] = {
        "central": lambda: _order_of(_distance_from_centre(glass)),
        "random": lambda: np.random.default_rng(seed).permutation(len(glass)),
        "softest": lambda: _order_of(_barriers_of(glass, barriers, selection)),
        "hardest": lambda: _order_of(-_barriers_of(glass, barriers, selection)),
    }
    if word not in orders:
        raise InputError(f"the atoms {selection!r} cannot be understood: write {FORMS}.")
    count = _count(glass, selection, argument)
    return orders[word]()[:count].astype(np.int64)


def centre_of(glass: Glass) -> FloatArray:
    """Return the point (Å, shape (3,)) that ``central`` is measured from, under the minimum image.

    Along each periodic cell vector that is the multiple of one half which is nearest the middle of the atoms: the
    middle of the cell where coordinates run from 0 to 1, and the origin where they run from -½ to ½. The published
    glasses are of the second kind, so that ``central:50`` are the "50 atoms nearest the origin" of the paper (Li et
    al., ICML 2024). Along a vector without periodicity it is the middle of the atoms itself.
    """
    fractional = np.linalg.solve(glass.cell.T, glass.positions.T).T
    middle = (fractional.min(0) + fractional.max(0)) / 2
    centre: FloatArray = np.where(glass.pbc, np.round(2 * middle) / 2, middle) @ glass.cell
    return centre


def _distance_from_centre(glass: Glass) -> FloatArray:
    _, distance = find_mic(glass.positions - centre_of(glass), glass.cell, glass.pbc)
    return np.asarray(distance, dtype=np.float64)


def _barriers_of(glass: Glass, barriers: FloatArray | None, selection: str) -> FloatArray:
    chosen = glass.barriers if barriers is None else np.asarray(barriers, dtype=np.float64)
    if chosen is None:
        raise InputError(
            f"the atoms {selection!r} are chosen by barrier, and {glass.name!r} has none: predict them first."
        )
    if chosen.shape != (len(glass),):
        raise InputError(f"barriers have shape {chosen.shape}, expected ({len(glass)},): one value (eV) an atom.")
    return chosen


def _order_of(value: FloatArray) -> IntArray:
    return np.argsort(value, kind="stable")


def _count(glass: Glass, selection: str, argument: str) -> int:
    if not argument.isdecimal() or int(argument) < 1:
        raise InputError(f"the atoms {selection!r} cannot be understood: after the colon comes a number from 1.")
    count = int(argument)
    if count > len(glass):
        raise InputError(f"the atoms {selection!r} are more than {glass.name!r} has: it has {len(glass)}.")
    return count


def _of_species(glass: Glass, symbol: str) -> IntArray:
    if symbol not in glass.species:
        raise InputError(f"{glass.name!r} has no atoms of {symbol!r}: it has {', '.join(glass.species)}.")
    return np.flatnonzero(np.array(glass.symbols) == symbol).astype(np.int64)


def _listed(glass: Glass, selection: str) -> IntArray:
    numbers = [entry.strip() for entry in selection.split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise InputError(f"the atoms {selection!r} cannot be understood: write {FORMS}.")
    return require_atoms(glass, [int(number) for number in numbers])


def require_atoms(glass: Glass, atoms: Iterable[int]) -> IntArray:
    """Return numbers of atoms as an array, or raise InputError if one does not exist, is named twice, or none is."""
    known = [glass.require_atom(atom) for atom in atoms]
    repeated = sorted(atom for atom, count in Counter(known).items() if count > 1)
    if repeated:
        raise InputError(f"atom {', '.join(map(str, repeated))} was named more than once: name each atom once.")
    if not known:
        raise InputError("no atom was named: name at least one.")
    return np.array(known, dtype=np.int64)
