"""Relaxation ends in a minimum, the cell free or fixed, and continues where it was interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.calculators.calculator import Calculator as AseBase
from ase.calculators.emt import EMT

from symgnn_explain import Predictor, datasets
from symgnn_explain.cli import main
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles import AseCalculator, EamCalculator, RelaxationSettings, inherent, relaxed_frames
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.io import read_glass
from symgnn_explain.structure.io.reading import read_frames
from symgnn_explain.structure.io.writing import write_extended_xyz


def strained(glass: Glass, strain: FloatArray) -> Glass:
    gradient = np.eye(3) + strain
    return replace(glass, positions=glass.positions @ gradient.T, cell=glass.cell @ gradient.T)


@pytest.mark.parametrize("kind", ["eam", "ase"])
def test_the_virial_is_minus_the_derivative_of_the_energy_by_strain(calculator, make_crystal, kind: str) -> None:
    potential = calculator if kind == "eam" else AseCalculator(EMT())
    glass = make_crystal(zr=0.2 if kind == "eam" else 0.0, rattle=0.1, shear=0.1)
    energy, forces, virial = potential.with_virial(glass)
    direction = np.random.default_rng(0).normal(size=(3, 3))
    direction += direction.T
    ahead, behind = (potential.with_virial(strained(glass, sign * 1e-5 * direction))[0] for sign in (1, -1))
    assert -(ahead - behind) / 2e-5 == pytest.approx((virial * direction).sum(), rel=1e-4)
    surface = potential.surface(glass)
    np.testing.assert_allclose(surface(surface.start)[1], forces, atol=1e-10)
    assert surface(surface.start)[0] == pytest.approx(energy)


@pytest.mark.parametrize("free_cell", [False, True])
def test_no_force_is_left_and_the_energy_has_fallen(calculator, make_crystal, free_cell: bool) -> None:
    glass = make_crystal(zr=0.2, rattle=0.1).with_arrays(forces=np.ones((256, 3)), id=np.arange(256))
    relaxed = glass.relaxed(calculator, RelaxationSettings(tolerance=1e-4, free_cell=free_cell))
    energy, forces, virial = calculator.with_virial(relaxed)
    assert np.linalg.norm(forces, axis=1).max() < 1.1e-4
    assert energy < calculator.with_virial(glass)[0]
    assert "forces" not in relaxed.arrays
    assert (relaxed.arrays["id"] == np.arange(256)).all()
    assert relaxed.provenance["relaxed_from"] == glass.content_hash
    if free_cell:
        assert np.abs(virial).max() / len(glass) < 2e-4
    else:
        np.testing.assert_array_equal(relaxed.cell, glass.cell)


def test_a_crystal_finds_its_lattice_again_whatever_it_was_strained_to(calculator, make_crystal) -> None:
    settings = RelaxationSettings(tolerance=1e-5, free_cell=True)
    volumes = []
    for seed, size in ((0, 0.0), (1, 0.03)):
        change = size * np.random.default_rng(seed).normal(size=(3, 3))
        relaxed = strained(make_crystal(rattle=0.05, seed=seed), change).relaxed(calculator, settings)
        volumes.append(relaxed.volume)
        metric = relaxed.cell @ relaxed.cell.T  # free of the rotation that a strain may hold
        np.testing.assert_allclose(metric / metric[0, 0], np.eye(3), atol=1e-5)
    assert volumes[0] == pytest.approx(volumes[1], rel=1e-6)


def test_a_cell_that_changes_moves_no_atom_by_itself(calculator, make_crystal, tmp_path: Path) -> None:
    """Atoms of a strained crystal stay at their places in the cell, wherever its origin is."""
    squeezed = strained(make_crystal(), np.diag([-0.01, 0.01, 0.02]))
    squeezed = replace(squeezed, positions=squeezed.positions + np.array([30.0, -10.0, 5.0]))
    settings = RelaxationSettings(free_cell=True)
    [frame] = relaxed_frames.relaxed_frames([(0, squeezed)], calculator, tmp_path, settings)
    assert abs(frame.row["volume_change"]) > 0.005
    assert frame.row["largest_displacement_angstrom"] < 1e-3


def test_any_calculator_of_ase_relaxes(make_crystal) -> None:
    glass = make_crystal(2, rattle=0.1)
    relaxed = glass.relaxed(EMT(), RelaxationSettings(tolerance=1e-3, free_cell=True))
    atoms = relaxed.to_ase()
    atoms.calc = EMT()
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 2e-3
    assert np.abs(atoms.get_stress()).max() * relaxed.volume / len(relaxed) < 2e-3


class WithoutStress(AseBase):
    implemented_properties = ("energy", "forces")


def test_what_cannot_be_relaxed_is_said(calculator, make_crystal) -> None:
    glass = make_crystal(rattle=0.1)
    free = RelaxationSettings(free_cell=True)
    with pytest.raises(InputError, match="WithoutStress computes no stress: keep the cell fixed"):
        glass.relaxed(WithoutStress(), free)
    with pytest.raises(InputError, match="not periodic in all directions"):
        replace(glass, pbc=[True, True, False]).relaxed(calculator, free)
    with pytest.raises(InputError, match="has not reached a minimum after 2 steps"):
        glass.relaxed(calculator, RelaxationSettings(most_steps=2))
    with pytest.raises(InputError, match="tolerance=0 must be positive"):
        RelaxationSettings(tolerance=0)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        glass.relaxed(calculator, watch=Watch(cancel=cancelled))


def test_progress_rises_to_the_end(calculator, make_crystal) -> None:
    told: list[float] = []
    make_crystal(rattle=0.1).relaxed(calculator, watch=Watch(told.append))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


@pytest.fixture
def trajectory(tmp_path: Path, make_crystal: Callable[..., Glass]) -> Path:
    return write_extended_xyz([make_crystal(rattle=0.1, seed=seed) for seed in range(3)], tmp_path / "md.extxyz")


def test_frames_relaxed_after_an_interruption_are_those_without(
    trajectory: Path, tables: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["relax", str(trajectory), "--potential", str(tables("Cu", "Zr")), "--out"]
    assert main([*command, str(tmp_path / "at once")]) == 0

    done: list[Glass] = []

    def interrupted(glass: Glass, *others: object) -> Glass:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(glass)
        return inherent.relax(glass, *others)

    monkeypatch.setattr(relaxed_frames, "relax", interrupted)
    assert main([*command, str(tmp_path / "resumed")]) == 130
    assert not (tmp_path / "resumed" / "relaxed.extxyz").exists()
    monkeypatch.setattr(relaxed_frames, "relax", inherent.relax)
    assert main([*command, str(tmp_path / "resumed")]) == 0

    for name in ("relaxed.extxyz", "relaxation.csv", "frame-00002.extxyz"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes()
    assert len(list(read_frames(tmp_path / "resumed" / "relaxed.extxyz"))) == 3
    assert (pd.read_csv(tmp_path / "resumed" / "relaxation.csv")["largest_force_left_eV_per_angstrom"] < 0.02).all()


def test_a_structure_that_is_refused_leaves_no_folder(
    make_crystal, tables: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crystal = make_crystal(rattle=0.1, seed=0)
    source = write_extended_xyz([replace(crystal, numbers=np.full(len(crystal), 13))], tmp_path / "al.extxyz")
    command = [str(source), "--potential", str(tables("Cu", "Zr")), "--out"]
    assert main(["relax", *command, str(tmp_path / "out")]) == 2
    assert main(["predict", "--relax", *command, str(tmp_path / "out.csv")]) == 2
    assert "contains Al" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_a_folder_of_something_else_is_left_alone(
    trajectory: Path, tables: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["relax", str(trajectory), "--potential", str(tables("Cu", "Zr")), "--out", str(tmp_path / "out")]
    assert main([*command, "--frame", "0"]) == 0
    before = (tmp_path / "out" / "frame-00000.extxyz").read_bytes()
    assert main([*command, "--frame", "0", "--tolerance", "0.01"]) == 2
    assert "relaxed structures that differ in" in capsys.readouterr().err
    write_extended_xyz([read_glass(trajectory, frame=1)], trajectory)
    assert main([*command, "--frame", "0"]) == 2
    assert "relaxed from another structure than frame 0" in capsys.readouterr().err
    assert main([*command, "--frame", "7"]) == 2
    assert "frame 7 does not exist" in capsys.readouterr().err
    assert (tmp_path / "out" / "frame-00000.extxyz").read_bytes() == before


def test_predictions_of_a_snapshot_are_restored(
    published_potential: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    glass = datasets.sample("cu50zr50")
    shaken = glass.positions + np.random.default_rng(0).normal(0, 0.1, glass.positions.shape)
    write_extended_xyz([replace(glass, positions=shaken)], tmp_path / "md.extxyz")
    out = tmp_path / "predicted.extxyz"
    command = ["predict", str(tmp_path / "md.extxyz"), "--out", str(out), "--potential", str(published_potential)]
    assert main(command) == 2
    assert "--potential is what --relax relaxes with" in capsys.readouterr().err
    assert main([*command, "--relax"]) == 0
    assert "relaxed; its atoms moved by 0.1" in capsys.readouterr().out
    undisturbed = Predictor.load(device="cpu").predict(glass)
    assert np.corrcoef(read_glass(out).arrays["predicted_barrier"], undisturbed)[0, 1] > 0.95
    assert EamCalculator(published_potential).with_virial(read_glass(out))[1].max() < 2e-3


def test_a_calculator_that_does_not_know_a_species_is_refused(make_crystal) -> None:
    """ASE's EMT knows copper and no zirconium."""
    crystal = make_crystal(rattle=0.05, seed=1)
    foreign = replace(crystal, numbers=np.where(np.arange(len(crystal)) == 0, 40, 29))
    with pytest.raises(InputError, match=r"EMT cannot compute .*Zr.*give a potential of all species"):
        foreign.relaxed(EMT())
