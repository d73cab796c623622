"""Glasses by melting and quenching in LAMMPS, and local sampling by molecular dynamics."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain import datasets
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.saddles.calculator import within
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.melt_quench import QuenchSettings, melt_quench, quality
from symgnn_explain.saddles.minimisation import at
from symgnn_explain.saddles.saddles import at_minimum
from symgnn_explain.structure.glass import Glass

TINY = QuenchSettings(
    {"Cu": 64, "Zr": 36}, n_atoms=200, cooling_rate=2e15, melt_temperature=1500.0, melt_time=0.4, seed=5
)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(50, 5000), zr=st.integers(5, 95), rate=st.floats(1e11, 1e15))
def test_compositions_and_pieces_add_up(n: int, zr: int, rate: float) -> None:
    protocol = QuenchSettings({"Cu": 100 - zr, "Zr": zr}, n_atoms=n, cooling_rate=rate)
    assert sum(protocol.counts.values()) == n
    assert protocol.counts["Zr"] == pytest.approx(n * zr / 100, abs=1)
    melt, *cooling = protocol.pieces
    assert melt[:2] == (2000.0, 2000.0)
    assert cooling[-1][1] == pytest.approx(300.0)
    for before, after in pairwise(cooling):
        assert before[1] == after[0]
    seconds = sum(steps for *_, steps in cooling) * 2e-15
    assert seconds == pytest.approx(1700 / rate, rel=0.01, abs=4e-15)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"composition": {}}, "positive part"),
        ({"composition": {"Cu": 1, "Qq": 1}}, "unknown species 'Qq'"),
        ({"composition": {"Cu": -1}}, "positive part"),
        ({"composition": {"Cu": 1}, "cooling_rate": 0.0}, "cooling_rate=0.0 must be positive"),
        ({"composition": {"Cu": 1}, "end_temperature": 3000.0}, "must be below"),
    ],
)
def test_protocols_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        QuenchSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.usefixtures("lammps")
def test_a_quench_that_is_stopped_continues_and_ends_at_a_minimum(tables: Callable[..., Path], tmp_path: Path) -> None:
    potential, cancel = tables("Cu", "Zr"), threading.Event()
    with pytest.raises(Cancelled):
        melt_quench(
            TINY,
            tmp_path / "stopped",
            potential=potential,
            progress=lambda fraction: cancel.set() if fraction > 0.2 else None,
            cancel=cancel,
        )
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "stopped").glob("piece-*.restart")}
    assert kept
    seen: list[float] = []
    glass = melt_quench(TINY, tmp_path / "stopped", potential=potential, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert glass.formula == "Cu128Zr72"
    calculator = EamCalculator(potential)
    surface = calculator.surface(glass)
    assert at(surface, surface.start).largest_force < 0.01
    assert calculator.energies(glass) == pytest.approx(glass.arrays["potential_energy"], abs=1e-4)
    again = melt_quench(TINY, tmp_path / "stopped", potential=potential)
    assert np.array_equal(again.positions, glass.positions)
    with pytest.raises(InputError, match="pieces of a melt-quench that differ in"):
        melt_quench(QuenchSettings({"Cu": 1}, n_atoms=200), tmp_path / "stopped", potential=potential)


def test_without_lammps_the_sentence_says_what_to_install(tables: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"LAMMPS \(no-such-lmp\) was not found: install it with pip install"):
        melt_quench(TINY, tmp_path, potential=tables("Cu", "Zr"), lmp="no-such-lmp")


@pytest.mark.usefixtures("lammps")
def test_an_error_of_lammps_is_said(tables: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LAMMPS ended in an error"):
        melt_quench(QuenchSettings({"Al": 1}, n_atoms=200), tmp_path, potential=tables("Cu", "Zr"))


@pytest.mark.usefixtures("lammps")
def test_a_glass_that_lacks_atoms_is_none(
    tables: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where random places run out LAMMPS goes on with fewer atoms, which is another composition."""
    monkeypatch.setattr("symgnn_explain.saddles.melt_quench.START_DENSITY", 0.15)
    with pytest.raises(InputError, match=r"only \d+ of 200 atoms found a place: choose another seed"):
        melt_quench(TINY, tmp_path, potential=tables("Cu", "Zr"))


def test_the_sample_glass_is_like_the_published_ones() -> None:
    report = quality(datasets.sample())
    assert report["atoms_per_cubic_angstrom"] == pytest.approx(0.0630, abs=2e-4)
    assert report["maxima_angstrom"][0] == pytest.approx(2.65, abs=0.06)
    assert 13.0 < report["coordination_number"] < 14.0


@pytest.fixture(scope="module")
def vacancy(calculator: EamCalculator, make_crystal: Callable[..., Glass]) -> Glass:
    """Fcc Cu with a vacancy at the origin, relaxed."""
    return at_minimum(make_crystal(4, vacancy=True), calculator)


@pytest.fixture(scope="module")
def sampling() -> ModuleType:
    """Local sampling, which the script that measures it brings along."""
    path = Path(__file__).parents[2] / "scripts" / "_local_sampling.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_heat_beside_a_vacancy_makes_an_atom_jump(
    calculator: EamCalculator, vacancy: Glass, sampling: ModuleType
) -> None:
    """A jump into the vacancy joins equal minima; the same seed gives the same jumps."""
    beside = int(np.argmin(np.linalg.norm(vacancy.positions - np.array([0.0, 1.8075, 1.8075]), axis=1)))
    hot = sampling.SamplingSettings(pulses=2, local_radius=6.0, lowest_temperature=5000.0, most_raises=3)
    sampled, again = (sampling.sample_locally(vacancy, calculator, beside, hot) for _ in range(2))
    assert sampled.mean is not None
    assert np.abs(sampled.energy_changes).min() < 0.05
    assert np.array_equal(sampled.energy_changes, again.energy_changes)


def test_no_heat_changes_nothing(calculator: EamCalculator, vacancy: Glass, sampling: ModuleType) -> None:
    cold = sampling.SamplingSettings(pulses=1, lowest_temperature=1.0, most_raises=1, local_radius=5.0)
    sampled = sampling.sample_locally(vacancy, calculator, 10, cold)
    assert sampled.mean is None
    assert sampled.pulses == 1
    assert len(within(vacancy, 10, 5.0)) > 10
