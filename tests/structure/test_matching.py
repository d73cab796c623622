"""Which atom of one structure is which of another, and how far each has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.matching import displacements_between, matched


@pytest.fixture
def glass(random_glass: Callable[..., Glass]) -> Glass:
    made = random_glass(4)
    return made.with_arrays(id=np.random.default_rng(1).permutation(len(made)) + 5)


def shuffled(glass: Glass, order: np.ndarray) -> Glass:
    return replace(
        glass,
        positions=glass.positions[order],
        numbers=glass.numbers[order],
        barriers=None,
        arrays={name: array[order] for name, array in glass.arrays.items()},
    )


def test_ids_say_which_atom_is_which(glass: Glass) -> None:
    marked = glass.with_arrays(mark=np.arange(len(glass)))
    found = matched(shuffled(marked, np.random.default_rng(2).permutation(len(glass))), glass)
    np.testing.assert_array_equal(found.positions, glass.positions)
    np.testing.assert_array_equal(found.arrays["mark"], np.arange(len(glass)))


def test_without_ids_the_order_does(glass: Glass) -> None:
    plain = replace(glass, arrays={})
    assert matched(plain, glass) is plain
    same = replace(glass, arrays={"id": np.ones(len(glass), dtype=np.int64)})
    assert matched(same, glass) is same  # these tell no atom from another


def test_other_atoms_are_refused(glass: Glass) -> None:
    kept = np.arange(len(glass) - 1)
    for other in (
        glass.with_arrays(id=glass.arrays["id"] + 1),
        shuffled(glass, kept),
        replace(shuffled(glass, kept), arrays={}),
        replace(glass, numbers=glass.numbers[::-1], arrays={}),
    ):
        with pytest.raises(InputError, match="do not hold the same atoms"):
            matched(other, glass)
    with pytest.raises(InputError, match="do not repeat"):
        matched(replace(glass, pbc=np.array([True, True, False])), glass)


def test_displacements_leave_out_drift_strain_and_crossings(glass: Glass) -> None:
    moved = np.random.default_rng(3).normal(0, 0.1, glass.positions.shape)
    moved -= np.median(moved, axis=0)
    strain = np.array([[1.02, 0, 0], [0.03, 0.99, 0], [0, 0.01, 1.0]])
    crossed = np.random.default_rng(4).integers(-2, 3, glass.positions.shape)
    end = replace(
        glass, positions=(glass.positions + moved + [1, 2, 3] + crossed @ glass.cell) @ strain, cell=glass.cell @ strain
    )
    np.testing.assert_allclose(displacements_between(glass, end), moved, atol=1e-9)


@pytest.mark.parametrize("share", [0.25, 0.49, 0.5, [0.5, -0.5, 0.51]])
def test_another_origin_of_the_cell_moves_nobody(glass: Glass, share: float | list[float]) -> None:
    """From -L/2 … L/2 to 0 … L every atom comes half a cell, and its nearest image is on either side."""
    moved = np.random.default_rng(3).normal(0, 0.1, glass.positions.shape)
    moved -= np.median(moved, axis=0)
    end = replace(glass, positions=glass.positions + moved + np.multiply(share, np.ones(3)) @ glass.cell)
    np.testing.assert_allclose(displacements_between(glass, end), moved, atol=1e-9)


def test_a_box_that_only_encloses_its_atoms_strains_nothing(glass: Glass) -> None:
    """The cell vector of a direction without periodicity says nothing."""
    start = replace(glass, pbc=np.array([True, True, False]))
    end = replace(start, cell=start.cell * [[1], [1], [3]])
    np.testing.assert_allclose(displacements_between(start, end), 0, atol=1e-9)


def test_a_drift_across_a_tilted_slab_moves_nobody() -> None:
    """Of a way along an open direction a tilted cell vector would take off a part, of some atoms only."""
    random = np.random.default_rng(0)
    cell = np.array([[30.0, 0, 0], [4.0, 8.0, 0], [0, 0, 30.0]])
    start = Glass(random.random((12, 3)) @ cell, np.full(12, 29), cell, pbc=[False, True, False])
    moved = random.normal(0, 0.3, (12, 3))
    moved -= np.median(moved, axis=0)
    end = replace(start, positions=start.positions + moved + [10.2, 0, 0])
    np.testing.assert_allclose(displacements_between(start, end), moved, atol=1e-9)
