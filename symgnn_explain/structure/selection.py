"""Which atoms of a glass are meant by ``central:50``, ``species Zr and barrier < 1.2``, ``within 5 of 12``."""

from __future__ import annotations

import itertools
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.geometry import find_mic
from numpy.typing import ArrayLike, NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import BARRIER_ARRAY, FloatArray, Glass, IntArray
from symgnn_explain.structure.selection_language import FORMS, Node, did_you_mean, parse_selection, short

__all__ = ["FORMS", "atoms_within", "centre_of", "require_atoms", "select_atoms", "selectable_values"]

MOST_IMAGES = 10**8
"""Periodic images of atoms that distances are measured to."""

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_OF_BARRIERS = {"softest": "lowest", "hardest": "highest"}


def select_atoms(
    glass: Glass,
    selection: str,
    *,
    predictions: FloatArray | None = None,
    label: str = BARRIER_ARRAY,
    seed: int = 0,
    selected: Iterable[int] | None = None,
    values: Mapping[str, ArrayLike] | None = None,
    allow_none: bool = False,
) -> IntArray:
    """Turn words into numbers of atoms.

    Parameters
    ----------
    glass
        The structure.
    selection
        - ``all``: every atom;
        - ``12,57``, ``index 12,57``, ``10 to 20``: these atoms, in this order;
        - ``central:50``: the 50 atoms nearest the centre (:func:`centre_of`), nearest first;
        - ``random:20``: 20 atoms without repetition; of two selections with one seed, the smaller begins the larger;
        - ``lowest:10``, ``highest:10``: the atoms with the lowest and the highest predictions, from the extreme on; of
          barriers also ``softest:10``, ``hardest:10``;
        - ``species:Zr``, ``species Cu,Zr``: every atom of the species;
        - ``prediction < 1.2``, ``barrier < 1.2``, ``0 <= x < 5``, ``species != Cu``: by a value an atom, see
          :func:`selectable_values`;
        - ``within 5 of 1501``: up to 5 Å from an atom or from any of a selection, under the minimum image, these
          included;
        - ``neighbours of 12``: atoms up to the first minimum of g(r) from it or from any of a selection, without these;
        - ``selected``: the atoms of ``selected``;
        - these with ``and``, ``or``, ``not`` and brackets. ``a and b`` has the order of ``a``; ``a or b`` is ``a`` and
          then the rest of ``b``. An atom whose value is unknown (NaN) is in no comparison, nor in its ``not``.

        A space or a colon may stand between a word and its number. Ties are in the order of the atoms.
    predictions
        Of each atom, shape (N,); the known values of the glass take their place where None.
    label
        Array of what is predicted.
    seed
        Of ``random``.
    selected
        Atoms that ``selected`` stands for.
    values
        Further values by name, one an atom, shape (N,).
    allow_none
        Return no atoms where none is so, instead of raising an error.

    Returns
    -------
    IntArray
        Numbers of the atoms, from 0, none twice; shape (n,).

    Raises
    ------
    InputError
        If the words cannot be understood, the glass has no such atoms, or none is so.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> select_atoms(datasets.sample("cu50zr50"), "central:50 and species Zr and not x < 0")[:5]
    array([931, 569, 731, 574, 902])
    """
    asked = _Question(glass, selection, predictions, label, seed, selected, values or {})
    atoms, _ = asked.answer(parse_selection(selection))
    if not len(atoms) and not allow_none:
        raise InputError(f"no atom of {glass.name!r} is in the selection {short(selection)}: widen it.")
    return atoms


def selectable_values(
    glass: Glass,
    *,
    predictions: FloatArray | None = None,
    label: str = BARRIER_ARRAY,
    values: Mapping[str, ArrayLike] | None = None,
) -> dict[str, NDArray[Any]]:
    """Name the values that a selection can compare, each of shape (N,).

    They are ``x``, ``y``, ``z`` (Å), ``index``, ``prediction``, the glass's per-atom arrays (``force[0]`` for the first
    column of one with several) and ``values``. The name of what is predicted, ``barrier``, stands for the prediction
    where there is one, and for the known value where not; ``known_barrier`` is the known value always.
    """
    named: dict[str, NDArray[Any]] = {axis: glass.positions[:, column] for column, axis in enumerate("xyz")}
    named["index"] = np.arange(len(glass))
    for name, array in glass.arrays.items():
        columns = np.asarray(array).reshape(len(glass), -1)
        if array.ndim == 1:
            named[name] = np.asarray(array)
        else:
            named |= {f"{name}[{column}]": columns[:, column] for column in range(columns.shape[1])}
    if glass.barriers is not None:
        named[BARRIER_ARRAY] = glass.barriers
    if label in named:
        named[f"known_{label}"] = named[label]
    if predictions is not None:
        named[label] = named["prediction"] = predictions
    return named | {name: np.asarray(value) for name, value in (values or {}).items()}


def atoms_within(glass: Glass, radius: float, of: Iterable[int]) -> IntArray:
    """Return the atoms up to ``radius`` (Å) from any image of one of the atoms ``of``, these included; ascending.

    Raises
    ------
    InputError
        If the radius is not a positive number.

    Examples
    --------
    >>> from ase.build import bulk
    >>> atoms_within(Glass.from_ase(bulk("NaCl", "rocksalt", a=5.6, cubic=True)), 3.0, of=[0])
    array([0, 1, 5, 7])
    """
    from scipy.spatial import KDTree

    if not 0 < radius < np.inf:
        raise InputError(f"{radius=} Å must be positive and finite.")
    references = np.fromiter(of, dtype=np.int64)
    if not len(references):
        return references
    fractional = glass.fractional()
    fractional -= np.where(glass.pbc, np.floor(fractional), 0.0)
    positions = fractional @ glass.cell
    # The nearest image is no farther away than the one in the cell.
    reach = min(radius, float(np.linalg.norm(np.ptp(positions, axis=0))))
    heights = glass.heights()
    repeats = np.where(glass.pbc, np.floor(reach / heights).astype(int) + 1, 0)
    if float(len(references)) * np.prod(2.0 * repeats + 1) > MOST_IMAGES:
        raise InputError(f"{radius=} Å reaches over too many images of so thin a cell: choose a smaller one.")
    grid = [np.arange(-count, count + 1) for count in repeats]
    shifts = np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(-1, 3)
    images = (fractional[references] + shifts[:, None]).reshape(-1, 3) @ glass.cell
    distance, _ = KDTree(images).query(positions)
    near = distance <= radius
    near[references] = True
    return np.flatnonzero(near).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Question:
    """A selection with all that its words refer to."""

    glass: Glass
    text: str
    predictions: FloatArray | None
    label: str
    seed: int
    selected: Iterable[int] | None
    values: Mapping[str, ArrayLike]

    def answer(self, node: Node) -> tuple[IntArray, IntArray]:
        """Return the atoms that a part of the selection means, in its order, and the others, ascending.

        An atom whose value is unknown is among neither of a comparison.
        """
        parts = [self.answer(part) for part in node.of]
        match node.word:
            case "not":
                [(yes, no)] = parts
                return no, np.sort(yes)
            case "and":
                (first, not_first), (second, not_second) = parts
                return first[np.isin(first, second)], np.union1d(not_first, not_second)
            case "or":
                (first, not_first), (second, not_second) = parts
                yes = np.concatenate([first, second[~np.isin(second, first)]])
                return yes, np.intersect1d(not_first, not_second)
            case "compare":
                return self._compared(*node.given)
        yes = self._meant(node.word, node.given, *(atoms for atoms, _ in parts))
        return yes, np.setdiff1d(np.arange(len(self.glass), dtype=np.int64), yes)

    def _meant(self, word: str, given: tuple[Any, ...], *of: IntArray) -> IntArray:  # noqa: PLR0911 - one a word
        glass = self.glass
        match word:
            case "all":
                return np.arange(len(glass), dtype=np.int64)
            case "selected":
                if self.selected is None:
                    raise InputError(f"the atoms {short(self.text)} cannot be selected: nothing can be selected here.")
                return np.fromiter(self.selected, dtype=np.int64)
            case "index":
                return require_atoms(glass, _numbered(glass, given))
            case "species":
                return np.unique(np.concatenate([_of_species(glass, symbol) for symbol in given]))
            case "within":
                return atoms_within(glass, given[0], of[0])
            case "neighbours":
                from symgnn_explain.structure.radial import first_shell_cutoff

                return np.setdiff1d(atoms_within(glass, first_shell_cutoff(glass), of[0]), of[0])
        return self._first_of(word, given[0])

    def _first_of(self, order: str, count: int) -> IntArray:
        glass = self.glass
        if count > len(glass):
            raise InputError(f"the atoms {short(self.text)} are more than {glass.name!r} has: it has {len(glass)}.")
        orders: dict[str, Callable[[], IntArray]] = {
            "central": lambda: _order_of(find_mic(glass.positions - centre_of(glass), glass.cell, glass.pbc)[1]),
            "random": lambda: np.random.default_rng(self.seed).permutation(len(glass)),
            "lowest": lambda: _order_of(self._values()),
            "highest": lambda: _order_of(-self._values()),
        }
        if order in _OF_BARRIERS and self.label != BARRIER_ARRAY:
            raise InputError(
                f"the atoms {short(self.text)} cannot be selected: {order!r} is a word for barriers, and what is "
                f"predicted is {self.label!r}: write {_OF_BARRIERS[order]!r}."
            )
        atoms = orders[_OF_BARRIERS.get(order, order)]()
        if count > len(atoms):
            plural = "barriers" if self.label == BARRIER_ARRAY else f"{self.label} values"
            raise InputError(
                f"the atoms {short(self.text)} cannot be selected: only {len(atoms)} {plural} of "
                f"{glass.name!r} are known."
            )
        return atoms[:count].astype(np.int64)

    def _values(self) -> FloatArray:
        """Return what is predicted of every atom, or what is known where nothing is."""
        glass, chosen = self.glass, self.predictions
        if chosen is None:
            chosen = glass.barriers if self.label == BARRIER_ARRAY else glass.arrays.get(self.label)
        if chosen is None:
            raise InputError(
                f"the atoms {short(self.text)} are chosen by {self.label}, and {glass.name!r} has none: "
                "predict them first (`symgnn-explain predict … --out F.extxyz` writes them beside the structure)."
            )
        values = np.asarray(chosen, dtype=np.float64)
        if values.shape != (len(glass),):
            raise InputError(f"{self.label} has shape {values.shape}, expected ({len(glass)},): one value an atom.")
        return values

    def _compared(self, name: str, comparison: str, value: float | str) -> tuple[IntArray, IntArray]:
        if name in (self.label, "prediction"):
            self._values()
        there = selectable_values(self.glass, predictions=self.predictions, label=self.label, values=self.values)
        if name not in there:
            raise InputError(
                f"the atoms {short(self.text)} cannot be selected, {self.glass.name!r} has no values "
                f"{short(name)}{did_you_mean(name, tuple(there))}: it has {', '.join(there)}."
            )
        array = there[name]
        is_text = array.dtype.kind in "US"
        if is_text != isinstance(value, str) or (is_text and comparison not in ("==", "!=")):
            kind = "text, which can be equal (==) or not (!=)" if is_text else "a number"
            raise InputError(f"the atoms {short(self.text)} cannot be selected: {short(name)} is {kind}.")
        fulfilled = _COMPARISONS[comparison](array, value)
        known = ~np.isnan(array) if array.dtype.kind == "f" else np.ones(len(array), dtype=bool)
        return np.flatnonzero(fulfilled & known), np.flatnonzero(~fulfilled & known)


def centre_of(glass: Glass) -> FloatArray:
    """Return the point (Å, shape (3,)) that ``central`` is measured from, under the minimum image.

    Along each periodic cell vector that is the multiple of one half which is nearest the middle of the atoms: the
    middle of the cell where coordinates run from 0 to 1, and the origin where they run from -½ to ½. The published
    glasses are of the second kind, so that ``central:50`` are the "50 atoms nearest the origin" of the paper (Li et
    al., ICML 2024). Along a vector without periodicity it is the middle of the atoms itself.
    """
    fractional = glass.fractional()
    middle = (fractional.min(0) + fractional.max(0)) / 2
    centre: FloatArray = np.where(glass.pbc, np.round(2 * middle) / 2, middle) @ glass.cell
    return centre


def _order_of(value: FloatArray) -> IntArray:
    """Atoms by rising value; those whose value is unknown are left out."""
    return np.argsort(value, kind="stable")[: np.count_nonzero(~np.isnan(value))]


def _of_species(glass: Glass, symbol: str) -> IntArray:
    if symbol not in glass.species:
        raise InputError(f"{glass.name!r} has no atoms of {short(symbol)}: it has {', '.join(glass.species)}.")
    return np.flatnonzero(np.array(glass.symbols) == symbol).astype(np.int64)


def _numbered(glass: Glass, ranges: Sequence[range]) -> Iterator[int]:
    """Count through ranges that the glass has; raises InputError before more atoms are named than it has."""
    for each in ranges:
        glass.require_atom(each.stop - 1)
    if (named := sum(map(len, ranges))) > len(glass):
        raise InputError(
            f"{named} atoms were named, and {glass.name!r} has {len(glass)}: some more than once; name each once."
        )
    return itertools.chain.from_iterable(ranges)


def require_atoms(glass: Glass, atoms: Iterable[int]) -> IntArray:
    """Return numbers of atoms as an array, or raise InputError if one does not exist, is named twice, or none is."""
    known = [glass.require_atom(atom) for atom in atoms]
    repeated = sorted(atom for atom, count in Counter(known).items() if count > 1)
    if repeated:
        raise InputError(f"atom {', '.join(map(str, repeated))} was named more than once: name each atom once.")
    if not known:
        raise InputError("no atom was named: name at least one.")
    return np.array(known, dtype=np.int64)
