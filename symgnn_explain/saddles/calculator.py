"""What saddle searches ask of a potential: energy and forces of a glass in which some atoms may move.

The compiled engine (:mod:`symgnn_explain.saddles.eam`) and every calculator of ASE provide it, so that the same search
runs on a machine-learned potential too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.runs.plain import shown
from symgnn_explain.saddles.identity import NotIdentifiedError, parameters_of
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

if TYPE_CHECKING:
    from ase import Atoms


class EnergySurface(Protocol):
    """Energy of a structure as a function of the positions of its movable atoms.

    Attributes
    ----------
    start
        Positions of the movable atoms in the glass, shape (n, 3), Å; those that are passed in continue from there,
        without wrapping.
    mobile
        Numbers of the movable atoms, shape (n,).
    calls
        How many energies and forces were computed.
    """

    start: FloatArray
    mobile: IntArray
    calls: int

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Return the energy (eV) of the whole structure, and the forces (n, 3) on the movable atoms (eV/Å)."""
        ...


class Calculator(Protocol):
    """Makes energy surfaces of glasses; must survive pickling, since workers get a copy."""

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this potential from another, in plain values, for records."""
        ...

    def surface(self, glass: Glass, mobile: IntArray | None = None) -> EnergySurface:
        """Let these atoms of a glass move, the first of which is the centre; all of them where None."""
        ...

    def with_virial(self, glass: Glass) -> tuple[float, FloatArray, FloatArray]:
        """Return energy (eV), forces (N, 3) in eV/Å, and minus the derivative of the energy by strain, (3, 3) in eV."""
        ...


def within(glass: Glass, atom: int, radius: float) -> IntArray:
    """Return the atoms within ``radius`` (Å) of one under the minimum image, nearest first, itself first of all."""
    distance = np.linalg.norm(glass.displacements_from(atom), axis=1)
    order = np.argsort(distance, kind="stable")
    return order[distance[order] < radius].astype(np.int64)


class AseCalculator:
    """Offers a calculator of ASE: each call computes the whole structure.

    Parameters
    ----------
    calculator
        Any ASE calculator with energies (eV) and forces (eV/Å).
    name
        What it is called in records. Needed where class and parameters do not say what it computes: for calculators of
        other packages, machine-learned ones among them, and those that run a program. Two potentials need two names.

    Examples
    --------
    >>> from ase.calculators.emt import EMT
    >>> AseCalculator(EMT()).identity["class"]
    'ase.calculators.emt.EMT'
    """

    def __init__(self, calculator: Any, name: str | None = None) -> None:
        if not hasattr(calculator, "get_potential_energy"):
            raise InputError(f"{shown(calculator)} is no calculator: give EamCalculator(file), or a calculator of ASE.")
        self._calculator = calculator
        self._name = name

    def __repr__(self) -> str:
        return f"AseCalculator({self._name or type(self._calculator).__name__})"

    @property
    def identity(self) -> dict[str, Any]:
        """Class, parameters as they are now and hashes of the files that they name; and the name that was given.

        Raises
        ------
        InputError
            If that does not tell the calculator from others, and no name was given.
        """
        try:
            parameters = parameters_of(self._calculator)
        except NotIdentifiedError as error:
            if not self._name:
                raise InputError(
                    f"records cannot say which calculator they are of ({error}): name the potential, as in "
                    'AseCalculator(calculator, name="MACE-MP-0 medium"), and another one by another name.'
                ) from error
            parameters = {}
        kind = type(self._calculator)
        return {
            "kind": "ase",
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "name": self._name,
            "parameters": parameters,
        }

    def surface(self, glass: Glass, mobile: IntArray | None = None) -> EnergySurface:
        """Let these atoms move; all where None."""
        atoms = glass.to_ase()
        atoms.calc = self._calculator
        return AseSurface(atoms, np.arange(len(glass)) if mobile is None else mobile)

    def with_virial(self, glass: Glass) -> tuple[float, FloatArray, FloatArray]:
        """Return energy, forces and virial.

        Raises
        ------
        InputError
            If the calculator has no stress.
        """
        from ase.calculators.calculator import PropertyNotImplementedError

        atoms = glass.to_ase()
        atoms.calc = self._calculator
        try:
            stress = atoms.get_stress(voigt=False)
        except PropertyNotImplementedError as error:
            raise InputError(
                f"{type(self._calculator).__name__} computes no stress: keep the cell fixed, or give another potential."
            ) from error
        return float(atoms.get_potential_energy()), atoms.get_forces(), -glass.volume * stress


class AseSurface:
    """The energy of an ASE ``Atoms`` with a calculator; see :class:`EnergySurface`."""

    def __init__(self, atoms: Atoms, mobile: IntArray) -> None:
        if atoms.calc is None:
            raise InputError("these atoms have no calculator: set atoms.calc first.")
        self._atoms = atoms
        self.mobile = np.asarray(mobile, dtype=np.int64)
        self.start: FloatArray = atoms.positions[self.mobile].copy()
        self.calls = 0

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Return energy (eV) and forces (n, 3) on the movable atoms (eV/Å).

        Raises InputError if the calculator does not know a species, or computes no forces.
        """
        self._atoms.positions[self.mobile] = positions
        self.calls += 1
        try:
            return float(self._atoms.get_potential_energy()), self._atoms.get_forces()[self.mobile]
        except NotImplementedError as error:
            raise InputError(
                f"{type(self._atoms.calc).__name__} cannot compute {self._atoms.get_chemical_formula()} ({error}): "
                "give a potential of all species."
            ) from error


def as_ase(glass: Glass, surface: EnergySurface) -> Atoms:
    """Return the movable atoms of a surface as ASE's, with a calculator: for optimisers and dynamics of ASE."""
    from ase.calculators.calculator import Calculator as AseBase
    from ase.calculators.calculator import all_changes

    class OfSurface(AseBase):
        implemented_properties = ("energy", "forces")

        def calculate(
            self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            energy, forces = surface(self.atoms.positions)
            self.results = {"energy": energy, "forces": forces}

    atoms = glass.to_ase()[surface.mobile]
    atoms.positions = surface.start
    atoms.calc = OfSurface()
    return atoms


def centred(glass: Glass, atom: int) -> FloatArray:
    """Return the image of each atom in the cell that has ``atom`` in its middle, shape (N, 3), Å."""
    scaled = glass.fractional(glass.positions - glass.positions[atom])
    scaled -= np.where(glass.pbc, np.round(scaled), 0.0)
    return scaled @ glass.cell + glass.positions[atom]
