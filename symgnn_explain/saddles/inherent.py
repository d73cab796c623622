"""Inherent structures: the minimum of the energy that a structure relaxes into, its cell fixed or free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError, require_counts, require_positive
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles.calculator import AseCalculator, Calculator, EnergySurface
from symgnn_explain.saddles.minimisation import at, descend
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

OF_THE_STRUCTURE_BEFORE = ("forces", "stresses", "energies", "velocities")
"""Arrays of ASE's results that say nothing about the relaxed structure."""

RELAXED_FROM, LARGEST_FORCE = "relaxed_from", "largest_force"
"""Keys of the provenance: the hash of the structure before, and the largest force (eV/Å) after."""


@dataclass(frozen=True)
class RelaxationSettings:
    """How to relax.

    Parameters
    ----------
    tolerance
        Largest force on any atom at the end, eV/Å; with a free cell also the largest force on the cell, which is its
        stress times the volume of an atom over 1 Å.
    free_cell
        Whether the cell changes too, until it is free of stress.
    most_steps
        Steps after which it is said that no minimum was found.

    Raises
    ------
    InputError
        If a number is not positive, or that of steps not whole.
    """

    tolerance: float = 1e-3
    free_cell: bool = False
    most_steps: int = 5000

    def __post_init__(self) -> None:
        require_positive(tolerance=self.tolerance)
        require_counts(most_steps=self.most_steps)
        object.__setattr__(self, "most_steps", int(self.most_steps))


def relax(
    glass: Glass,
    calculator: Calculator | Any,
    settings: RelaxationSettings | None = None,
    watch: Watch | None = None,
) -> Glass:
    """Follow the forces on all atoms down to the nearest minimum of the energy.

    Parameters
    ----------
    glass
        The structure.
    calculator
        A potential of :mod:`symgnn_explain.saddles`, or any calculator of ASE.
    settings
        Of the relaxation.
    watch
        Told the fraction done, which is estimated from how far the largest force has fallen.

    Returns
    -------
    Glass
        The same atoms in the same order, without the forces, stresses, energies and velocities that they had. Its
        provenance has the hash of the structure before (``relaxed_from``) and the largest force left.

    Raises
    ------
    InputError
        If the potential cannot be used for the glass, or no minimum was found.
    Cancelled
        If the watch's ``cancel`` was set.
    """
    settings, watch = settings or RelaxationSettings(), watch or Watch()
    potential = calculator if hasattr(calculator, "surface") else AseCalculator(calculator)
    surface = FreeCellSurface(glass, potential) if settings.free_cell else potential.surface(glass)
    point = start = at(surface, surface.start)
    largest = start.largest_force
    lowest = largest
    with finite_forces(glass):
        for lower in descend(surface, start, tolerance=settings.tolerance, most_steps=settings.most_steps):
            point = lower
            lowest = max(min(lowest, point.largest_force), settings.tolerance)
            watch.advance(float(np.log(lowest / largest) / np.log(settings.tolerance / largest)))
    if not point.largest_force < settings.tolerance:
        raise InputError(
            f"{glass.name!r} has not reached a minimum after {settings.most_steps} steps: the largest force is "
            f"{point.largest_force:.2g} eV/Å, and {settings.tolerance:g} was asked for; allow more steps or a larger "
            "force."
        )
    if isinstance(surface, FreeCellSurface):
        positions, cell = surface.structure(point.positions)
    else:
        positions, cell = glass.positions + (point.positions - start.positions), glass.cell
    return relaxed_to(glass, positions, f"{point.largest_force:.3g} eV/Å", cell)


@contextmanager
def finite_forces(glass: Glass) -> Iterator[None]:
    """Raise InputError where forces on the atoms of a glass, or their places, are no numbers."""
    try:
        yield
    except FloatingPointError as error:
        raise InputError(f"{glass.name!r} cannot be relaxed: {error} Do atoms lie on top of each other?") from error


def relaxed_to(glass: Glass, positions: FloatArray, largest_force: str, cell: FloatArray | None = None) -> Glass:
    """Return a structure with its atoms where they have relaxed to.

    Raises InputError if these are not places of its atoms.
    """
    return replace(
        glass,
        positions=positions,
        cell=glass.cell if cell is None else cell,
        arrays={name: array for name, array in glass.arrays.items() if name not in OF_THE_STRUCTURE_BEFORE},
        provenance={**glass.provenance, RELAXED_FROM: glass.content_hash, LARGEST_FORCE: largest_force},
    )


class FreeCellSurface(EnergySurface):
    """Energy as a function of the atoms' positions before the cell changed, and of that change: N + 3 rows.

    The last three are the deformation gradient times the number of atoms, so that a step moves the cell about as far
    as the atoms (Tadmor et al., Phys. Rev. B 59, 235 (1999); the variables of ASE's ``UnitCellFilter``).
    """

    def __init__(self, glass: Glass, calculator: Calculator) -> None:
        if not glass.pbc.all():
            raise InputError(f"{glass.name!r} is not periodic in all directions: its cell cannot be free.")
        self._glass, self._calculator = glass, calculator
        self.mobile: IntArray = np.arange(len(glass))
        self.start: FloatArray = np.concatenate([glass.positions, len(glass) * np.eye(3)])
        self.calls = 0

    def structure(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the positions of the atoms and the cell, Å."""
        gradient = positions[-3:] / len(self._glass)
        return positions[:-3] @ gradient.T, self._glass.cell @ gradient.T

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Return the energy (eV), and the forces on atoms and cell (N + 3, 3), eV/Å."""
        self.calls += 1
        gradient = positions[-3:] / len(self._glass)
        atoms, cell = self.structure(positions)
        if not (np.isfinite(cell).all() and np.linalg.det(gradient) > 0.1):
            raise FloatingPointError("the cell collapsed, as a step was too long for this potential.")
        energy, forces, virial = self._calculator.with_virial(replace(self._glass, positions=atoms, cell=cell))
        on_gradient = np.linalg.solve(gradient, virial.T).T
        return energy, np.concatenate([forces @ gradient, on_gradient / len(self._glass)])
