"""Smooth fields: constants stay, periodic images count, and a direct sum agrees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgnn_explain.analysis import smooth_field
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass


def triclinic(glass: Glass) -> Glass:
    """The same atoms in a sheared cell."""
    shear = np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [0.1, -0.2, 1.0]])
    return Glass(positions=glass.positions @ shear, numbers=glass.numbers, cell=glass.cell @ shear, pbc=glass.pbc)


def test_a_constant_stays_constant(glass: Glass) -> None:
    field = smooth_field(glass, np.full(len(glass), 1.7))
    np.testing.assert_allclose(field.values, 1.7)
    assert field.level(0.2) == pytest.approx(1.7)


def test_opposite_faces_of_a_periodic_cell_are_the_same(glass: Glass) -> None:
    random = np.random.default_rng(0)
    values = smooth_field(triclinic(glass), random.normal(size=len(glass))).values
    for axis in range(3):
        np.testing.assert_allclose(np.take(values, 0, axis), np.take(values, -1, axis), atol=1e-9)


def test_agrees_with_a_direct_sum_over_images(random_glass: Callable[..., Glass]) -> None:
    glass = triclinic(random_glass(3))
    quantity = np.random.default_rng(1).normal(size=len(glass))
    field = smooth_field(glass, quantity, length=1.5, spacing=2.0)
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ glass.cell
    for index in [(0, 0, 0), (1, 0, 2), (2, 1, 1)]:
        point = field.origin + np.array(index) @ field.step
        distance = np.linalg.norm(glass.positions[:, None] + shifts - point, axis=-1)
        weight = np.where(distance < 2.5 * 1.5, np.exp(-0.5 * (distance / 1.5) ** 2), 0.0).sum(axis=1)
        assert field.values[index] == pytest.approx((weight * quantity).sum() / weight.sum())


def test_without_periodicity_the_grid_spans_the_atoms(glass: Glass) -> None:
    loose = Glass(positions=glass.positions, numbers=glass.numbers, cell=3 * glass.cell, pbc=(False, False, False))
    field = smooth_field(loose, np.ones(len(glass)))
    far_corner = field.origin + (np.array(field.values.shape) - 1) @ field.step
    np.testing.assert_allclose(field.origin, glass.positions.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(far_corner, glass.positions.max(axis=0), atol=1e-9)


def test_what_cannot_be_averaged_is_said(glass: Glass) -> None:
    with pytest.raises(InputError, match="one finite value for each"):
        smooth_field(glass, np.ones(3))
    with pytest.raises(InputError, match="length=0"):
        smooth_field(glass, np.ones(len(glass)), length=0.0)
