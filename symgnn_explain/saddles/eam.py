"""The compiled engine for embedded-atom and Finnis-Sinclair potentials: exact, and fast where few atoms move.

With most atoms frozen only pairs with a movable atom are computed; what frozen atoms do to each other is kept from the
start. Values are those of LAMMPS, table for table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.saddles.calculator import centred
from symgnn_explain.saddles.eam_file import EamPotential, read_eam
from symgnn_explain.saddles.eam_kernels import add_forces, add_pairs, add_virial, embed, list_pairs, list_sites
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray, atomic_number

SKIN = 0.7
"""Pairs are listed this far (Å) beyond the cut-off, so that the list serves until an atom has moved half as far."""


class EamCalculator:
    """Makes energy surfaces with a tabulated embedded-atom potential.

    Parameters
    ----------
    potential
        The tables, or the LAMMPS ``eam.alloy`` or ``eam.fs`` file that holds them.
    """

    def __init__(self, potential: EamPotential | str | Path) -> None:
        self.potential = potential if isinstance(potential, EamPotential) else read_eam(potential)
        self._tables = _tables(self.potential)

    def __repr__(self) -> str:
        return f"EamCalculator({self.potential.name!r}, {' '.join(self.potential.elements)})"

    @property
    def identity(self) -> dict[str, Any]:
        """Name and SHA-256 of the potential."""
        return {"kind": "eam", "name": self.potential.name, "sha256": self.potential.sha256}

    def surface(self, glass: Glass, mobile: IntArray | None = None) -> EamSurface:
        """Let these atoms move, the first of which is the centre; all of them where None.

        Raises
        ------
        InputError
            If the potential lacks a species of the glass, or the cell is smaller than twice the cut-off.
        """
        kind = self._kinds(glass)
        whole = EamSurface(self._tables, glass, kind, np.arange(len(glass)))
        return whole if mobile is None else EamSurface(self._tables, glass, kind, mobile).embedded_in(whole)

    def with_virial(self, glass: Glass) -> tuple[float, FloatArray, FloatArray]:
        """Return energy, forces and virial."""
        surface = self.surface(glass)
        return *surface(surface.start), surface.virial()

    def energies(self, glass: Glass) -> FloatArray:
        """Return each atom's energy (N,), eV: half of its pair energies, and its embedding energy."""
        return self.surface(glass).energies()

    def _kinds(self, glass: Glass) -> NDArray[np.int32]:
        foreign = [symbol for symbol in glass.species if symbol not in self.potential.elements]
        if foreign:
            raise InputError(
                f"{glass.name!r} contains {', '.join(foreign)}, but the potential {self.potential.name} is for "
                f"{', '.join(self.potential.elements)}: give a potential of all species."
            )
        heights = glass.heights()
        low = heights[glass.pbc].min(initial=np.inf)
        if low < 2 * self.potential.cutoff:
            raise InputError(
                f"the cell of {glass.name!r} is {low:.2f} Å high, less than twice the potential's cut-off of "
                f"{self.potential.cutoff:.2f} Å: repeat it first, for example with ASE's atoms.repeat((2, 2, 2))."
            )
        numbers = np.array([atomic_number(symbol) for symbol in self.potential.elements])
        return np.argmax(glass.numbers[:, None] == numbers, axis=1).astype(np.int32)


@dataclass(frozen=True)
class _Tables:
    """Values and derivatives by node: pair (K K m, 2), density at either atom (K K m, 4), embedding (K, n, 2)."""

    pair: FloatArray
    density: FloatArray
    embedding: FloatArray
    n_kinds: int
    n_nodes: int
    spacing: float
    density_spacing: float
    cutoff: float
    density_cutoff: float


def _tables(potential: EamPotential) -> _Tables:
    density = _with_derivatives(potential.density)
    beyond = np.flatnonzero(np.any(density != 0, axis=(0, 1, 3)))
    last = int(beyond[-1]) + 1 if beyond.size else 0
    return _Tables(
        pair=_with_derivatives(potential.pair).reshape(-1, 2),
        # By the kinds of the two atoms: what the second makes at the first, and the first at the second.
        density=np.ascontiguousarray(np.concatenate([density.swapaxes(0, 1), density], axis=-1).reshape(-1, 4)),
        embedding=_with_derivatives(potential.embedding),
        n_kinds=len(potential.elements),
        n_nodes=potential.pair.shape[-1],
        spacing=potential.spacing,
        density_spacing=potential.density_spacing,
        cutoff=potential.cutoff,
        density_cutoff=min(potential.cutoff, last * potential.spacing),
    )


def _with_derivatives(values: FloatArray) -> FloatArray:
    """Put each node's derivative (by node) beside its value, from five nodes, or fewer at the ends, as LAMMPS does."""
    slopes = np.empty_like(values)
    slopes[..., 2:-2] = ((values[..., :-4] - values[..., 4:]) + 8 * (values[..., 3:-1] - values[..., 1:-3])) / 12
    slopes[..., 0] = values[..., 1] - values[..., 0]
    slopes[..., 1] = (values[..., 2] - values[..., 0]) / 2
    slopes[..., -2] = (values[..., -1] - values[..., -3]) / 2
    slopes[..., -1] = values[..., -1] - values[..., -2]
    return np.stack([values, slopes], axis=-1)


class EamSurface:
    """Energy of a glass by an embedded-atom potential; see :class:`~symgnn_explain.saddles.EnergySurface`.

    Inside, atoms are renumbered: those that may move come first.
    """

    def __init__(self, tables: _Tables, glass: Glass, kind: NDArray[np.int32], mobile: IntArray) -> None:
        self._tables = tables
        self.mobile = mobile = np.asarray(mobile, dtype=np.int64)
        self.calls = 0
        self._n_mobile = len(mobile)
        self._order = np.concatenate([mobile, np.setdiff1d(np.arange(len(glass)), mobile)])
        self._positions = np.ascontiguousarray(centred(glass, int(mobile[0]))[self._order])
        self._kind = kind[self._order]
        repeats = [(-1, 0, 1) if periodic else (0,) for periodic in glass.pbc]
        self._shifts = np.array(list(product(*repeats)), dtype=np.float64) @ glass.cell
        self.start: FloatArray = self._positions[: self._n_mobile].copy()
        self._listed_at: FloatArray | None = None
        self._frozen_density = np.zeros(len(glass))
        self._frozen_energy = np.zeros(len(glass))
        self._rest = 0.0
        self._density, self._embedding, self._slope = (np.zeros(len(glass)) for _ in range(3))

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Return energy (eV) and forces (n, 3) on the movable atoms (eV/Å)."""
        self.calls += 1
        return self._compute(positions)

    def embedded_in(self, whole: EamSurface) -> EamSurface:
        """Count what frozen atoms do to each other, as computed with all atoms movable."""
        energy, _ = whole._compute(whole.start)
        density = np.empty(len(self._order))
        density[whole._order] = whole._density
        self._compute(self.start)
        frozen = slice(self._n_mobile, None)
        self._frozen_density[frozen] = density[self._order][frozen] - self._density[frozen]
        every = np.arange(len(self._order))
        self._embed(self._frozen_density, every)
        self._frozen_energy[frozen] = self._embedding[frozen]
        self._rest = energy - self._compute(self.start)[0]
        return self

    def _compute(self, positions: FloatArray) -> tuple[float, FloatArray]:
        energy = self._compute_pairs(positions, np.empty(0))
        self._embed(self._density, self._touched)
        energy += float((self._embedding[self._touched] - self._frozen_energy[self._touched]).sum())
        forces = np.zeros((self._n_mobile, 3))
        add_forces(self._slope, self._work, forces)
        return energy + self._rest, forces

    def virial(self) -> FloatArray:
        """Return minus the derivative by strain, (3, 3), of the energy that was computed last; all atoms movable."""
        virial = np.zeros((3, 3))
        add_virial(self._slope, self._work, virial)
        return virial

    def energies(self) -> FloatArray:
        """Return each atom's energy, in the order of the glass; only where all atoms are movable."""
        per_atom = np.zeros(len(self._order))
        self._compute_pairs(self.start, per_atom)
        self._embed(self._density, self._touched)
        energies = np.empty(len(self._order))
        energies[self._order] = per_atom + self._embedding
        return energies

    def _compute_pairs(self, positions: FloatArray, per_atom: FloatArray) -> float:
        self._positions[: self._n_mobile] = positions
        # What is not a number is not within the skin either: pairs would be left out, and there would be no forces.
        if self._listed_at is None or not np.square(positions - self._listed_at).sum(axis=1).max() <= (SKIN / 2) ** 2:
            self._list(positions)
        sites = self._positions[self._site_atom]
        sites[self._n_mobile :] += self._site_shift
        np.copyto(self._density, self._frozen_density)
        tables = self._tables
        given = (
            tables.pair,
            tables.density,
            tables.n_kinds,
            tables.n_nodes,
            tables.spacing,
            tables.cutoff,
            tables.density_cutoff,
        )
        listed = (self._first, self._partner, self._site_atom)
        return float(add_pairs(given, listed, sites, self._kind, self._density, self._work, per_atom))

    def _embed(self, density: FloatArray, atoms: IntArray) -> None:
        table, spacing = self._tables.embedding, self._tables.density_spacing
        embed(table, spacing, density, self._kind, atoms, self._embedding, self._slope)

    def _list(self, positions: FloatArray) -> None:
        """List the pairs anew: all that come closer than the cut-off before any atom has moved half the skin."""
        if not np.isfinite(positions).all():
            raise FloatingPointError("positions are not finite: a step was too long for this potential.")
        reach = self._tables.cutoff + SKIN
        middle = len(self._shifts) // 2
        atom, shift = list_sites(self._positions, self._n_mobile, self._shifts, reach)
        sites = self._positions[atom] + self._shifts[shift]
        self._first, self._partner = list_pairs(sites, atom, shift, middle, self._n_mobile, reach)
        self._site_atom, self._site_shift = atom, self._shifts[shift[self._n_mobile :]]
        self._touched = np.union1d(np.arange(self._n_mobile), atom[self._partner])
        self._listed_at = positions.copy()
        n_pairs = len(self._partner)
        self._work = (
            np.empty((n_pairs, 3)),
            np.empty((n_pairs, 3)),
            np.empty(n_pairs, dtype=np.int32),
            np.empty(self._n_mobile + 1, dtype=np.int64),
            np.empty(n_pairs),
            np.empty(n_pairs, dtype=np.uint64),
        )
