"""What if with a potential: relaxed counterfactuals, and their verification by saddle searches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.analysis.what_if.counterfactuals import CounterfactualSettings, find_counterfactuals
from symgnn_explain.analysis.what_if.laboratory import RELAXED, WhatIf
from symgnn_explain.analysis.what_if.verification import Verified, verify
from symgnn_explain.models.live import LivePrediction
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.saddles import AtomBarrier, EamCalculator, Saddle, SearchSettings, at_minimum
from symgnn_explain.structure.glass import Glass

QUICK = SearchSettings(searches=2, escape_curvature=-0.3, local_radius=5.0, highest_energy=4.0)


@pytest.fixture(scope="module")
def glass(calculator: EamCalculator, make_crystal: Callable[..., Glass]) -> Glass:
    return at_minimum(make_crystal(4, vacancy=True, zr=0.05), calculator)


def test_counterfactuals_are_minima_of_the_potential(
    glass: Glass, calculator: EamCalculator, tiny_predictor: Predictor
) -> None:
    atom = int(np.argmin(np.linalg.norm(glass.positions, axis=1)))
    live = LivePrediction.of(tiny_predictor, glass)
    found = find_counterfactuals(live, atom, 0.01, calculator, CounterfactualSettings(within=3.5))
    before = tiny_predictor.predict(glass)[atom]
    for each in found.found:
        surface = calculator.surface(each.glass)
        assert np.linalg.norm(surface(surface.start)[1], axis=1).max() < 1.1e-3
        assert (np.sort(each.glass.numbers) == np.sort(glass.numbers)).all()
        assert each.change == pytest.approx(tiny_predictor.predict(each.glass)[atom] - before, abs=1e-5)
    assert found.found


def test_a_step_is_relaxed_and_undone(glass: Glass, calculator: EamCalculator, tiny_predictor: Predictor) -> None:
    what_if = WhatIf(tiny_predictor, glass)
    edited = what_if.edit("move 0 by 0.2 0 0")
    relaxed = what_if.relax(calculator)
    assert relaxed.words == RELAXED
    # The atom falls back to where it was.
    np.testing.assert_allclose(relaxed.glass.positions, glass.positions, atol=5e-3)
    assert np.abs(what_if.change).max() < 0.1 * np.abs(edited.predictions[0] - what_if.start.predictions[0]).max()
    assert what_if.undo() is edited


def test_verification_searches_both_structures_and_keeps_what_it_finds(
    glass: Glass, calculator: EamCalculator, tmp_path: Path
) -> None:
    atom = int(np.argmin(np.linalg.norm(glass.positions, axis=1)))
    zirconium = int(np.flatnonzero(glass.numbers == 40)[0])
    numbers = glass.numbers.copy()
    numbers[zirconium] = 29
    other = at_minimum(replace(glass, numbers=numbers, arrays={}), calculator)
    found = verify((glass, atom), (other, atom), calculator, QUICK, out=tmp_path)
    assert found.before.searches == found.after.searches == QUICK.searches
    records = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/atom-*.npz")}
    assert len(records) == 2
    again = verify((glass, atom), (other, atom), calculator, QUICK, out=tmp_path)
    assert again.change == found.change
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/atom-*.npz")} == records


def test_what_was_verified_is_said_with_its_error() -> None:
    def barrier(*values: float) -> AtomBarrier:
        none = np.empty((0, 3))
        saddles = tuple(Saddle(value, 0.1, -1.0, k, np.empty(0, np.int64), none) for k, value in enumerate(values))
        return AtomBarrier(3, saddles, {"saddle": len(values), "not connected": 1}, (1, 1))

    found = Verified(barrier(1.0, 2.0), barrier(0.4, 0.6))
    assert found.change == pytest.approx(-1.0)
    assert found.standard_error == pytest.approx(np.hypot(0.5, 0.1))
    assert "a change of -1.000 ± 0.510 eV" in str(found)
    assert Verified(barrier(1.0), barrier()).change is None
    assert "after the edit" in str(Verified(barrier(1.0), barrier()))
