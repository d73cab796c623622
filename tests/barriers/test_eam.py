"""The compiled engine against formulas, ASE, LAMMPS, finite differences and the published per-atom energies."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.eam import EAM
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.saddles.calculator import AseCalculator, within
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.eam_file import read_eam
from symgnn_explain.structure.glass import FloatArray, Glass


def lammps_forces(lammps: str, glass: Glass, potential: Path, folder: Path) -> tuple[float, FloatArray]:
    from ase.io import write

    style = potential.suffix.removeprefix(".")
    atoms = glass.to_ase()
    write(folder / "in.data", atoms, format="lammps-data", specorder=["Cu", "Zr"], masses=True)
    (folder / "in.run").write_text(
        "units metal\natom_style atomic\nboundary p p p\nread_data in.data\n"
        f"pair_style eam/{style}\npair_coeff * * {potential} Cu Zr\nthermo_style custom pe\n"
        "thermo_modify format float %.15g\ndump 1 all custom 1 out.dump id fx fy fz\n"
        "dump_modify 1 sort id format float %.15g\nrun 0\n"
    )
    done = subprocess.run([lammps, "-in", "in.run"], cwd=folder, capture_output=True, text=True, check=True)
    rows = done.stdout.splitlines()
    energy = float(rows[next(place for place, row in enumerate(rows) if row.strip() == "PotEng") + 1])
    forces = np.loadtxt(folder / "out.dump", skiprows=9)[:, 1:]
    return energy, forces  # for an orthorhombic cell ASE turns nothing


@pytest.mark.parametrize("form", ["eam.fs", "eam.alloy"])
@pytest.mark.parametrize("shear", [0.0, 0.2])
def test_energies_and_forces_are_those_of_ase(
    tables: Callable[..., Path], make_crystal: Callable[..., Glass], form: str, shear: float
) -> None:
    glass = make_crystal(4, zr=0.3, rattle=0.1, shear=shear)
    path = tables("Cu", "Zr", form=form)
    surface = EamCalculator(path).surface(glass)
    energy, forces = surface(surface.start)
    reference = AseCalculator(EAM(potential=str(path), form=form.removeprefix("eam."))).surface(glass)
    ase_energy, ase_forces = reference(reference.start)
    assert energy == pytest.approx(ase_energy, abs=1e-6)
    assert np.abs(forces - ase_forces).max() < 1e-6
    assert np.abs(forces).max() > 0.5


def test_energies_are_those_of_the_formulas(
    calculator: EamCalculator, make_crystal: Callable[..., Glass], analytic_energies: Callable[[Glass], FloatArray]
) -> None:
    glass = make_crystal(4, zr=0.3, rattle=0.1)
    assert calculator.energies(glass) == pytest.approx(analytic_energies(glass), abs=1e-6)


@pytest.mark.parametrize("form", ["eam.fs", "eam.alloy"])
def test_forces_are_those_of_lammps(
    lammps: str, tables: Callable[..., Path], make_crystal: Callable[..., Glass], form: str, tmp_path: Path
) -> None:
    glass = make_crystal(4, zr=0.3, rattle=0.1)
    path = tables("Cu", "Zr", form=form)
    surface = EamCalculator(path).surface(glass)
    energy, forces = surface(surface.start)
    expected, known = lammps_forces(lammps, glass, path, tmp_path)
    assert energy == pytest.approx(expected, abs=1e-8)
    assert np.abs(forces - known).max() < 1e-9


def test_forces_on_the_sample_are_those_of_lammps(lammps: str, published_potential: Path, tmp_path: Path) -> None:
    sample = datasets.sample()
    rattled = sample.positions + np.random.default_rng(0).normal(scale=0.1, size=sample.positions.shape)
    glass = Glass(positions=rattled, numbers=sample.numbers, cell=sample.cell)
    surface = EamCalculator(published_potential).surface(glass)
    _, forces = surface(surface.start)
    _, known = lammps_forces(lammps, glass, published_potential, tmp_path)
    assert np.abs(forces - known).max() < 1e-6


def test_published_energies_are_reproduced(published_potential: Path, published: Callable[[str], Glass]) -> None:
    glass = published("train2")
    computed = EamCalculator(published_potential).energies(glass)
    known = glass.arrays["potential_energy"]
    assert np.corrcoef(computed, known)[0, 1] > 0.9999
    assert np.abs(computed - known).max() < 1e-3


@pytest.mark.parametrize("frozen", [False, True])
def test_forces_are_derivatives_of_the_energy(
    calculator: EamCalculator, make_crystal: Callable[..., Glass], frozen: bool
) -> None:
    glass = make_crystal(4, zr=0.3, rattle=0.1)
    surface = calculator.surface(glass, within(glass, 17, 4.5) if frozen else None)
    rng = np.random.default_rng(0)
    x = surface.start + rng.normal(scale=0.05, size=surface.start.shape)
    _, forces = surface(x)
    for _ in range(5):
        direction = rng.normal(size=x.shape)
        h = 1e-4
        difference = (surface(x + h * direction)[0] - surface(x - h * direction)[0]) / (2 * h)
        assert difference == pytest.approx(-(forces * direction).sum(), rel=1e-5, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(atom=st.integers(0, 255), radius=st.floats(1.0, 12.0), seed=st.integers(0, 10))
def test_freezing_atoms_changes_nothing_that_moves(
    calculator: EamCalculator, make_crystal: Callable[..., Glass], atom: int, radius: float, seed: int
) -> None:
    """Energy differences and forces with a frozen rest are those with all atoms movable, after long moves too."""
    glass = make_crystal(4, zr=0.3, rattle=0.1)
    mobile = within(glass, atom, radius)
    assert mobile[0] == atom
    part, whole = calculator.surface(glass, mobile), calculator.surface(glass)
    assert part(part.start)[0] == pytest.approx(whole(whole.start)[0], abs=1e-8)
    moved = np.random.default_rng(seed).normal(scale=0.4, size=part.start.shape)
    everywhere = whole.start.copy()
    everywhere[mobile] += moved
    energy, forces = part(part.start + moved)
    expected, all_forces = whole(everywhere)
    assert energy == pytest.approx(expected, abs=1e-7)
    assert forces == pytest.approx(all_forces[mobile], abs=1e-7)
    assert part(part.start)[0] == pytest.approx(whole(whole.start)[0], abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-30, 30), periodic=st.booleans())
def test_energies_know_no_origin_and_no_numbering(
    calculator: EamCalculator, make_crystal: Callable[..., Glass], seed: int, shift: float, periodic: bool
) -> None:
    glass = make_crystal(4, zr=0.3, rattle=0.1, seed=seed % 3)
    order = np.random.default_rng(seed).permutation(len(glass))
    pbc = np.array([True, periodic, True])
    moved = Glass(positions=glass.positions[order] + shift, numbers=glass.numbers[order], cell=glass.cell, pbc=pbc)
    still = Glass(positions=glass.positions, numbers=glass.numbers, cell=glass.cell, pbc=pbc)
    assert calculator.energies(moved) == pytest.approx(calculator.energies(still)[order], abs=1e-9)


def test_a_cluster_without_periodicity(
    calculator: EamCalculator, make_crystal: Callable[..., Glass], analytic_energies: Callable[[Glass], FloatArray]
) -> None:
    glass = make_crystal(2, zr=0.3, rattle=0.1)
    cluster = Glass(positions=glass.positions, numbers=glass.numbers, cell=glass.cell, pbc=np.zeros(3, dtype=bool))
    assert calculator.energies(cluster) == pytest.approx(analytic_energies(cluster), abs=1e-6)


def test_a_cell_below_twice_the_cutoff_is_refused(
    calculator: EamCalculator, make_crystal: Callable[..., Glass]
) -> None:
    with pytest.raises(InputError, match=r"10\.85 Å high, less than twice .* repeat it first"):
        calculator.surface(make_crystal(3))


def test_a_foreign_species_is_refused(calculator: EamCalculator, random_glass: Callable[..., Glass]) -> None:
    with pytest.raises(InputError, match=r"contains Al, but the potential .* is for Cu, Zr"):
        calculator.energies(random_glass(5, species=(13,)))


def test_both_forms_and_one_element_agree(tables: Callable[..., Path], make_crystal: Callable[..., Glass]) -> None:
    glass = make_crystal(4, rattle=0.1)
    energies = [
        EamCalculator(tables(*elements, form=form)).energies(glass)
        for elements in (("Cu",), ("Cu", "Zr"))
        for form in ("eam.fs", "eam.alloy")
    ]
    for other in energies[1:]:
        assert other == pytest.approx(energies[0], abs=1e-12)


def test_a_calculator_survives_pickling(calculator: EamCalculator, make_crystal: Callable[..., Glass]) -> None:
    glass = make_crystal(4, rattle=0.1)
    copy = pickle.loads(pickle.dumps(calculator))
    assert np.array_equal(copy.energies(glass), calculator.energies(glass))
    assert copy.identity == calculator.identity


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "after the header come"),
        (lambda text: text + "1.0\n", "1 lines are left after its tables"),
        (lambda text: text[: text.rindex(" ")], "ends within its tables"),
        (lambda text: "\n".join(text.split("\n")[:5]), "5 lines"),
        (lambda text: "\n".join([*text.split("\n")[:5], "#", "#"]), "ends after 2 lines"),
        (lambda text: text.replace("2 Cu Zr", "3 Cu Zr"), "a number of elements and their symbols"),
        (lambda text: text.replace("2 Cu Zr", "2 Cu Qq"), "unknown species 'Qq'"),
        (lambda text: text.replace("2 Cu Zr", "2 Cu Cu"), "names an element twice"),
        (lambda text: text.replace("2 Cu Zr", "2 Zr Cu"), "begin with '29', expected its atomic number"),
        (lambda text: text.replace("29 63.546", "29 -1"), "expected a positive one"),
        (lambda text: text.replace("\n6000 ", "\n-6000 "), "Nrho drho Nr dr cutoff"),
        (lambda text: text.replace("\n6000 ", "\nnan "), "Nrho drho Nr dr cutoff"),
        (lambda text: text.replace("\n0\n", "\nnan\n"), "not finite"),
        (lambda text: text.replace("\n0\n", "\nzero\n"), "what is no number"),
        (lambda _: "", "it has 1 lines"),
        (lambda _: "PNG\x00\x01" * 20, "it has 1 lines"),
    ],
)
def test_damaged_tables_are_refused(
    tables: Callable[..., Path], tmp_path: Path, damage: Callable[[str], str], said: str
) -> None:
    path = tmp_path / "damaged.eam.fs"
    path.write_text(damage(tables("Cu", "Zr").read_text()))
    with pytest.raises(InputError, match=said) as refused:
        read_eam(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_eam(tmp_path / "missing.eam.fs")
