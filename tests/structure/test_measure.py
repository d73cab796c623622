"""Distances, angles and neighbours of a few atoms, whatever the cell."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.measure import measure


def test_what_is_measured_in_a_crystal_is_known() -> None:
    scaled = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    copper = Glass(3.6 * scaled, np.full(4, 29), 3.6 * np.eye(3))
    near = 3.6 / np.sqrt(2)
    neighbours, distance, angle = (measure(copper, atoms, within=3.0) for atoms in ([2], [0, 3], [1, 0, 2]))
    assert neighbours is not None
    assert neighbours.value == 12
    assert str(neighbours) == "neighbours of 2 within 3.00 Å: 12"
    assert distance is not None
    assert distance.value == pytest.approx(near)
    assert angle is not None
    assert angle.value == pytest.approx(60.0)
    assert measure(copper, [0, 1, 2, 3], within=3.0) is None
    assert measure(copper, [], within=3.0) is None


def test_the_nearest_image_counts() -> None:
    cell = np.array([[10.0, 0, 0], [4.0, 9.0, 0], [0, 0, 8.0]])
    across = Glass(np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 7.5], [9.5, 0.5, 0.5]]), np.full(3, 29), cell)
    assert str(measure(across, [0, 1], within=3.0)) == "distance 0–1: 1.000 Å"
    assert str(measure(across, [1, 0, 2], within=3.0)) == "angle 1–0–2: 90.0 °"
    open_box = Glass(across.positions, across.numbers, cell, np.zeros(3, dtype=bool))
    assert str(measure(open_box, [0, 1], within=3.0)) == "distance 0–1: 7.000 Å"


def test_atoms_that_cannot_be_measured_are_named() -> None:
    glass = Glass(np.array([[0.0, 0, 0], [3.0, 0, 0]]), np.full(2, 29), 9 * np.eye(3))
    for atoms, words in (([0, 7], "7"), ([1, 1], "more than once")):
        with pytest.raises(InputError, match=words):
            measure(glass, atoms, within=3.0)
