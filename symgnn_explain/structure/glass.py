"""The structure that everything else starts from."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.geometry import find_mic
from numpy.typing import ArrayLike, NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.runs.names import one_line_name, printable
from symgnn_explain.structure.columns import plain_column
from symgnn_explain.structure.occupancy import require_full_occupancy

if TYPE_CHECKING:
    from ase import Atoms

    from symgnn_explain.saddles.inherent import RelaxationSettings

BARRIER_ARRAY = "barrier"
"""Name of the per-atom array that holds energy barriers (eV) in ASE objects and extended XYZ files."""

_FIELDS = {"positions", "numbers", BARRIER_ARRAY}
"""What arrays of a glass cannot be called: ASE keeps the glass itself in arrays of these names."""

MINIMUM_CELL_VOLUME = 1e-6
"""Volume (Å³) under which a cell is taken for singular."""

LONGEST_TEXT = 2000
"""Longest value of the provenance, in letters; the rest is cut off, visibly."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Glass:
    """An immutable, validated atomic structure, with energy barriers where they are known.

    Parameters
    ----------
    positions
        Cartesian positions, shape (N, 3), Å. They may lie outside the cell.
    numbers
        Atomic numbers, shape (N,).
    cell
        Cell vectors as rows, shape (3, 3), Å; any triclinic cell that is not singular.
    pbc
        Periodicity along each cell vector, shape (3,).
    barriers
        Known energy barrier of each atom, shape (N,), eV; NaN where that of an atom is unknown, and None where all are
        (an array of NaN alone becomes None).
    name
        What the structure is called in figures and file names.
    provenance
        Where it came from: free keys and values.
    arrays
        Any further per-atom arrays (first axis N), by name.

    Raises
    ------
    InputError
        If a value is not finite (barriers may be NaN), lengths disagree, a species is unknown or the cell is singular.

    Examples
    --------
    >>> Glass(positions=[[0, 0, 0], [1.6, 1.6, 1.6]], numbers=[29, 40], cell=3.2 * np.eye(3), name="B2")
    Glass('B2', Cu1Zr1, 0.0610 atoms/Å³, without barriers)
    """

    positions: FloatArray
    numbers: IntArray
    cell: FloatArray
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.ones(3, dtype=bool))
    barriers: FloatArray | None = None
    name: str = "glass"
    provenance: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        positions = _frozen(self.positions, np.float64, "positions")
        if positions.ndim != 2 or positions.shape[1] != 3 or len(positions) == 0:
            raise InputError(f"positions have shape {positions.shape}, expected (N, 3) with N ≥ 1.")
        n_atoms = len(positions)
        _require_finite(positions, "positions")
        cell = _frozen(self.cell, np.float64, "cell")
        if cell.shape != (3, 3):
            raise InputError(f"the cell has shape {cell.shape}, expected (3, 3): one cell vector a row, in Å.")
        _require_finite(cell, "cell vectors")
        with np.errstate(all="ignore"):
            volume = abs(float(np.linalg.det(cell)))
        if not np.isfinite(volume):
            raise InputError(f"the cell is too large (vectors of up to {np.abs(cell).max():.3g} Å): give them in Å.")
        if volume < MINIMUM_CELL_VOLUME:
            raise InputError(
                f"the cell is singular (volume {volume:.3g} Å³): give three linearly independent cell vectors in Å, "
                "for example as Lattice=… in an extended XYZ file."
            )
        if np.asarray(self.pbc).dtype.kind not in "biuf":  # every text but the empty one would be true, F included
            raise InputError(f"pbc={str(self.pbc)[:80]} are no flags: give True or False for each cell vector.")
        pbc = _frozen(self.pbc, np.bool_, "periodicities")
        if pbc.shape not in ((), (3,)):
            raise InputError(
                f"pbc has shape {pbc.shape}, expected (3,): whether the glass repeats along each cell vector."
            )
        pbc = _frozen(np.broadcast_to(pbc, (3,)), np.bool_, "periodicities")
        numbers = _frozen(self.numbers, np.float64, "atomic numbers")
        _require_finite(numbers, "atomic numbers")
        if (numbers != np.round(numbers)).any():
            raise InputError("atomic numbers must be whole: give 29 for Cu, 40 for Zr.")
        numbers = _frozen(numbers, np.int64, "atomic numbers")
        if numbers.shape != (n_atoms,):
            raise InputError(f"{numbers.size} atomic numbers were given for {n_atoms} positions.")
        unknown = np.unique(numbers[(numbers < 1) | (numbers >= len(chemical_symbols))])
        if unknown.size:
            raise InputError(f"unknown species with atomic number {unknown.tolist()}: expected elements, 1 to 118.")
        validated = {
            "positions": positions,
            "numbers": numbers,
            "cell": cell,
            "pbc": pbc,
            "barriers": None if self.barriers is None else _checked_barriers(self.barriers, n_atoms),
            "name": one_line_name(str(self.name)),
            "provenance": MappingProxyType({_text(key): _text(value) for key, value in self.provenance.items()}),
            "arrays": MappingProxyType(_checked_arrays(self.arrays, n_atoms)),
        }
        for attribute, checked in validated.items():
            object.__setattr__(self, attribute, checked)

    def __reduce__(self) -> tuple[type[Glass], tuple[Any, ...]]:
        # The read-only mappings cannot be pickled or deep-copied as they are, and worker processes need glasses.
        values = {**self.__dict__, "provenance": dict(self.provenance), "arrays": dict(self.arrays)}
        return Glass, tuple(values[attribute.name] for attribute in fields(self))

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        n_known = int(self.labelled.sum())
        barriers = {0: "without", len(self): "with"}.get(n_known, f"with {n_known}")
        return f"Glass({self.name!r}, {self.formula}, {self.number_density:.4f} atoms/Å³, {barriers} barriers)"

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of each atom."""
        return self._symbols.copy()

    @cached_property
    def _symbols(self) -> list[str]:
        named = dict(zip(np.unique(self.numbers).tolist(), self.species, strict=True))
        return [named[number] for number in self.numbers.tolist()]

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols present, in order of atomic number."""
        return tuple(chemical_symbols[number] for number in np.unique(self.numbers))

    @property
    def formula(self) -> str:
        """Chemical formula, for example ``Cu1920Zr1080``."""
        numbers, counts = np.unique(self.numbers, return_counts=True)
        return "".join(f"{chemical_symbols[number]}{count}" for number, count in zip(numbers, counts, strict=True))

    @property
    def volume(self) -> float:
        """Cell volume, Å³."""
        return abs(float(np.linalg.det(self.cell)))

    def fractional(self, vectors: FloatArray | None = None) -> FloatArray:
        """Return positions, or other vectors (…, 3) in Å, in units of the cell vectors; shape (N, 3), or theirs."""
        asked = self.positions if vectors is None else vectors
        fraction = np.linalg.solve(self.cell.T, asked.reshape(-1, 3).T).T
        return np.asarray(fraction.reshape(asked.shape), dtype=np.float64)

    def heights(self) -> FloatArray:
        """Return the distances between opposite faces of the cell, shape (3,), Å."""
        heights: FloatArray = 1 / np.linalg.norm(np.linalg.inv(self.cell), axis=0)
        return heights

    @property
    def number_density(self) -> float:
        """Atoms per Å³."""
        return len(self) / self.volume

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which atoms have a known barrier, shape (N,)."""
        return np.zeros(len(self), dtype=bool) if self.barriers is None else ~np.isnan(self.barriers)

    def known_barrier(self, atom: int) -> float | None:
        """Return the known barrier (eV) of an atom, or None where it is unknown."""
        known = bool(self.labelled[self.require_atom(atom)])
        return float(self.barriers[atom]) if known and self.barriers is not None else None

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over positions, species, cell and periodicity: equal for equal structures."""
        digest = hashlib.sha256()
        for array in (self.positions, self.numbers, self.cell, self.pbc):
            digest.update((array + 0).tobytes())  # -0.0 + 0 is 0.0: equal numbers, equal bytes
        return digest.hexdigest()

    def require_atom(self, atom: int) -> int:
        """Return ``atom`` as a plain int, or raise InputError if the glass has no such atom."""
        try:
            index = operator.index(atom)
        except TypeError as error:
            raise InputError(f"{atom=} is not the number of an atom: give a whole number from 0.") from error
        if not 0 <= index < len(self):
            raise InputError(
                f"atom {index} does not exist: {self.name!r} has {len(self)} atoms, numbered 0 to {len(self) - 1}."
            )
        return index

    def select(self, words: str, **given: Any) -> IntArray:
        """Return the numbers of the atoms that words describe, such as ``"species Zr and within 5 of 1501"``.

        The language and the keywords are those of :func:`symgnn_explain.structure.selection.select_atoms`.

        Examples
        --------
        >>> from symgnn_explain import datasets
        >>> datasets.sample("cu50zr50").select("species Zr and within 3.5 of 12")
        array([583, 630, 684, 719, 768, 859, 945, 968])
        """
        from symgnn_explain.structure.selection import select_atoms

        return select_atoms(self, words, **given)

    def relaxed(self, calculator: Any, settings: RelaxationSettings | None = None, **watched: Any) -> Glass:
        """Return the nearest minimum of the energy: the inherent structure, for which predictions are made.

        Parameters
        ----------
        calculator
            Any calculator of ASE, or a potential of :mod:`symgnn_explain.saddles`.
        settings, watched
            As for :func:`symgnn_explain.saddles.inherent.relax`: tolerance, cell fixed or free, progress.

        Raises
        ------
        InputError
            If the calculator cannot be used for the glass, or no minimum was found.

        Examples
        --------
        >>> from symgnn_explain.saddles import EamCalculator
        >>> glass.relaxed(EamCalculator("CuZr.eam.fs"))  # doctest: +SKIP
        """
        from symgnn_explain.saddles.inherent import relax

        return relax(self, calculator, settings, **watched)

    def displacements_from(self, atom: int) -> FloatArray:
        """Minimum-image vectors from ``atom`` to every atom, shape (N, 3), Å."""
        vectors, _ = find_mic(self.positions - self.positions[self.require_atom(atom)], self.cell, self.pbc)
        return np.asarray(vectors, dtype=np.float64)

    def reordered(self, order: IntArray) -> Glass:
        """Return a copy whose atoms stand in another order: atom ``order[i]`` of this glass is atom ``i`` of it."""
        return replace(
            self,
            positions=self.positions[order],
            numbers=self.numbers[order],
            barriers=None if self.barriers is None else self.barriers[order],
            arrays={name: array[order] for name, array in self.arrays.items()},
        )

    def with_arrays(self, **arrays: ArrayLike) -> Glass:
        """Return a copy that carries further per-atom arrays."""
        return replace(self, arrays={**self.arrays, **{key: np.asarray(value) for key, value in arrays.items()}})

    def without_arrays(self, *names: str) -> Glass:
        """Return a copy without the per-atom arrays of these names; those that it does not have are passed over."""
        return replace(self, arrays={key: value for key, value in self.arrays.items() if key not in names})

    @classmethod
    def from_ase(cls, atoms: Atoms, *, name: str | None = None, provenance: Mapping[str, str] | None = None) -> Glass:
        """Build a glass from an ASE ``Atoms``; its array ``barrier`` (eV), if any, becomes the barriers.

        Its ``info`` gives the name, and the provenance as text, to which the keys of ``provenance`` are added. The
        results of its calculator are kept in ASE's units: those of atoms as arrays (``forces``, ``energies``,
        ``charges``, ``magmoms``, ``stresses``), the others in the provenance.

        Raises
        ------
        InputError
            If the atoms make no valid glass, or sites are occupied in part.

        Examples
        --------
        >>> from ase.build import bulk
        >>> Glass.from_ase(bulk("Cu", cubic=True), name="copper")
        Glass('copper', Cu4, 0.0850 atoms/Å³, without barriers)
        """
        results = _results(atoms)
        info = {**atoms.info, **{key: value for key, value in results.items() if not _is_per_atom(value, len(atoms))}}
        arrays = {key: value for key, value in results.items() if _is_per_atom(value, len(atoms))}
        arrays |= {key: value for key, value in atoms.arrays.items() if key not in {"positions", "numbers"}}
        require_full_occupancy(arrays, info.pop("occupancy", None))
        barriers = arrays.pop(BARRIER_ARRAY, None)
        stated = info.pop("name", "glass")
        return cls(
            positions=atoms.positions,
            numbers=atoms.numbers,
            cell=np.asarray(atoms.cell),
            pbc=atoms.pbc,
            barriers=barriers,
            name=name or _text(stated),
            provenance={**provenance_of(info), **(provenance or {})},
            arrays=arrays,
        )

    def to_ase(self) -> Atoms:
        """Return an ASE ``Atoms`` with the same content; barriers (eV) become its array ``barrier``."""
        from ase import Atoms

        atoms = Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)
        atoms.info |= {"name": self.name, "provenance": dict(self.provenance)}
        for key, value in self.arrays.items():
            atoms.set_array(key, value)
        if self.barriers is not None:
            atoms.set_array(BARRIER_ARRAY, self.barriers)
        return atoms


def atomic_number(symbol: str) -> int:
    """Return the atomic number of a chemical symbol, or raise InputError if there is no such element.

    >>> atomic_number("Zr")
    40
    """
    number = atomic_numbers.get(symbol, 0)
    if number == 0:
        meant = symbol.capitalize()
        expected = f"write {meant}." if atomic_numbers.get(meant) else "expected a chemical symbol such as Cu or Zr."
        raise InputError(f"unknown species {symbol!r}: {expected}")
    return int(number)


def _checked_barriers(value: ArrayLike, n_atoms: int) -> FloatArray | None:
    if np.asarray(value).dtype.kind == "b":
        raise InputError("barriers are flags: give one number (eV) an atom, NaN where it is unknown.")
    barriers = _frozen(value, np.float64, "barriers")
    if barriers.shape != (n_atoms,):
        raise InputError(f"barriers have shape {barriers.shape}, expected ({n_atoms},): one value (eV) an atom.")
    unknown = np.isnan(barriers)
    _require_finite(np.where(unknown, 0.0, barriers), "barriers")
    return None if unknown.all() else barriers


def _checked_arrays(arrays: Mapping[str, ArrayLike], n_atoms: int) -> dict[str, NDArray[Any]]:
    checked = {}
    for key, value in arrays.items():
        column = plain_column(key, value)
        if column.shape[:1] != (n_atoms,):
            raise InputError(f"array {key!r} has shape {column.shape}, expected {n_atoms} rows.")
        name = printable(str(key))
        if name in _FIELDS:
            raise InputError(f"array {key!r} has the name of what every glass has: rename it.")
        if name in checked:
            raise InputError(f"two arrays are called {name!r}: rename one.")
        column.flags.writeable = False
        checked[name] = column
    return checked


def provenance_of(info: Mapping[str, Any]) -> dict[str, str]:
    """Return what a structure says about itself as keys and text; its key ``provenance`` may hold keys of its own."""
    own = info.get("provenance", {})
    if not isinstance(own, Mapping):
        own = {"provenance": own}
    others = {key: value for key, value in info.items() if key != "provenance"}
    return {_text(key): _text(value) for key, value in {**others, **own}.items()}


def _results(atoms: Atoms) -> dict[str, Any]:
    """Return what the calculator has already computed for these very atoms."""
    results = getattr(atoms.calc, "results", None)
    if not isinstance(results, Mapping) or not hasattr(atoms.calc, "check_state") or atoms.calc.check_state(atoms):
        return {}
    return {str(key): value for key, value in results.items() if value is not None}


def _is_per_atom(value: Any, n_atoms: int) -> bool:
    return isinstance(value, np.ndarray) and value.shape[:1] == (n_atoms,)


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else printable(str(value))
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " …"


def _frozen(value: ArrayLike, dtype: type | None, what: str) -> NDArray[Any]:
    try:
        array = np.array(value, dtype=dtype, copy=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} are not numbers of one shape: {error}.") from error
    array.flags.writeable = False
    return array


def _require_finite(array: NDArray[Any], what: str) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        rows = np.unique(bad[:, 0])
        shown = ", ".join(map(str, rows[:5])) + (" …" if len(rows) > 5 else "")
        raise InputError(
            f"{what} are not finite (NaN or infinite) in {len(rows)} row(s), {shown}: repair the input first."
        )
