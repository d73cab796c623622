from __future__ import annotations

import gudhi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.alpha import (
    alpha_filtration,
    pad_with_ghosts,
    periodic_complex,
    ring_pairs,
    wrapped_positions,
)
from symgnn_explain.errors import InputError
from symgnn_explain.glass import Glass


def cluster(points):
    return Glass(points, np.full(len(points), 29), np.eye(3) * 100.0, pbc=[False] * 3)


def simplices(filtration):
    for rows, values in (
        (filtration.edges, filtration.edge_values),
        (filtration.triangles, filtration.triangle_values),
        (filtration.tetrahedra, filtration.tetrahedron_values),
    ):
        yield from zip(map(tuple, rows.tolist()), values.tolist(), strict=True)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_points=st.integers(5, 80), flatness=st.floats(0.05, 1.0))
def test_filtration_and_ring_pairs_agree_with_gudhis_alpha_complex(seed, n_points, flatness):
    points = np.random.default_rng(seed).random((n_points, 3)) * [4.0, 4.0, 4.0 * flatness]
    filtration = alpha_filtration(points)
    tree = gudhi.AlphaComplex(points=points).create_simplex_tree()
    expected = {tuple(simplex): value for simplex, value in tree.get_filtration() if len(simplex) > 1}
    found = dict(simplices(filtration))
    assert found.keys() == expected.keys()
    for simplex, value in found.items():
        assert value == pytest.approx(expected[simplex], rel=1e-6, abs=1e-9)
    tree.compute_persistence(homology_coeff_field=2)
    rings_of = periodic_complex(cluster(points))
    birth_edge, death = ring_pairs(rings_of)
    ours = np.column_stack([rings_of.edge_values[birth_edge], death])
    theirs = tree.persistence_intervals_in_dimension(1).reshape(-1, 2)
    # Pairs that live no longer than rounding errors may be counted by one and not by the other.
    ours, theirs = (pairs[np.diff(pairs, axis=1)[:, 0] > 1e-7] for pairs in (ours, theirs))
    np.testing.assert_allclose(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)], rtol=1e-6, atol=1e-9)


def test_faces_never_enter_after_what_they_bound():
    filtration = alpha_filtration(np.random.default_rng(0).random((300, 3)))
    value = dict(simplices(filtration))
    for simplex in map(tuple, filtration.tetrahedra.tolist()):
        for drop in range(4):
            face = simplex[:drop] + simplex[drop + 1 :]
            assert value[face] <= value[simplex]
            assert all(value[face[:other] + face[other + 1 :]] <= value[face] for other in range(3))


def test_ring_is_born_at_half_its_bond_and_dies_at_its_radius():
    n_atoms, radius = 9, 3.0
    angle = 2 * np.pi * np.arange(n_atoms) / n_atoms
    poles = [[0, 0, 40.0], [0, 0, -40.0]]  # a complex in space needs points out of the plane; these are far away
    points = np.concatenate([radius * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle]), poles])
    rings_of = periodic_complex(cluster(points))
    birth_edge, death = ring_pairs(rings_of)
    births = np.sqrt(rings_of.edge_values[birth_edge])
    lasting = np.sqrt(death) - births > 0.01
    assert lasting.sum() == 1
    assert births[lasting] == pytest.approx(radius * np.sin(np.pi / n_atoms))
    assert np.sqrt(death[lasting]) == pytest.approx(radius)


def test_cospherical_corners_of_a_lattice_are_handled():
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    filtration = alpha_filtration(grid)
    assert np.isfinite(filtration.edge_values).all()
    assert filtration.edge_values.min() == pytest.approx(0.25)
    assert filtration.tetrahedron_values.max() == pytest.approx(0.75)
    _, death = ring_pairs(periodic_complex(cluster(grid)))
    # Each unit square is a ring that its diagonal fills; a cube's sixth square is spanned by the other five.
    assert death == pytest.approx(0.5)
    assert len(death) == 3 * 4 * 3 * 3 - 27


@pytest.mark.parametrize(
    "points", [np.eye(3), np.column_stack([np.random.default_rng(0).random((20, 2)), np.zeros(20)])]
)
def test_points_without_volume_are_refused(points):
    with pytest.raises(InputError, match="not all in a plane"):
        alpha_filtration(points)


def test_ghosts_are_images_within_the_padding_and_complete(random_glass):
    glass = random_glass(3, shear=0.2)
    wrapped = wrapped_positions(glass)
    padded = pad_with_ghosts(wrapped, glass.cell, glass.pbc, 13.0)  # wider than the cell: several layers of images
    np.testing.assert_array_equal(padded.position[: len(glass)], wrapped)
    np.testing.assert_allclose(padded.position, wrapped[padded.original] + padded.shift @ glass.cell)
    assert len(np.unique(np.column_stack([padded.original, padded.shift]), axis=0)) == len(padded.original)
    shifts = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    images = (wrapped[None] + (shifts @ glass.cell)[:, None]).reshape(-1, 3)
    normals = np.linalg.inv(glass.cell) / np.linalg.norm(np.linalg.inv(glass.cell), axis=0)
    depth, width = images @ normals, np.diag(glass.cell @ normals)
    assert ((depth >= -13.0) & (depth < width + 13.0)).all(axis=1).sum() == len(padded.original)


def test_directions_that_are_not_periodic_get_no_ghosts(random_glass):
    glass = random_glass(4, pbc=(True, False, True))
    padded = pad_with_ghosts(wrapped_positions(glass), glass.cell, glass.pbc, 6.0)
    assert (padded.shift[:, 1] == 0).all()
    assert len(padded.original) > len(glass)


@pytest.mark.parametrize("n_side", [8, 3])
def test_complex_is_a_torus(random_glass, n_side):
    glass = random_glass(n_side, shear=0.1)
    whole = periodic_complex(glass)
    tree = gudhi.SimplexTree()
    tree.insert_batch(whole.edges.T.astype(np.int32), whole.edge_values)
    tree.insert_batch(whole.triangles.T.astype(np.int32), whole.triangle_values)
    # Without its tetrahedra the torus has the same connected components and loops.
    tree.compute_persistence(homology_coeff_field=2)
    assert tree.betti_numbers()[:2] == [1, 3]
    n_tetrahedra = len(whole.triangles) / 2
    assert whole.n_vertices - len(whole.edges) + len(whole.triangles) - n_tetrahedra == 0  # Euler
    # Each bond of the glass stands once for each copy of its cell, and is counted once.
    copies = whole.n_vertices // len(glass)
    bonds, times = np.unique(whole.bonds, axis=0, return_counts=True)
    assert (times == copies).all()
    assert whole.counted.sum() == len(bonds)
    assert len(np.unique(whole.bonds[whole.counted], axis=0)) == len(bonds)


def test_bonds_lead_from_atom_to_atom(random_glass):
    glass = random_glass(3, shear=0.2)
    whole = periodic_complex(glass)
    first, second, shift = whole.bonds[:, 0], whole.bonds[:, 1], whole.bonds[:, 2:]
    wrapped = wrapped_positions(glass)
    length = np.linalg.norm(wrapped[second] + shift @ glass.cell - wrapped[first], axis=1)
    np.testing.assert_allclose(length, whole.length)


def test_one_atom_in_a_cell_is_its_lattice():
    glass = Glass([[0.3, 0.1, 0.2]], [29], np.eye(3) * 2.5)
    whole = periodic_complex(glass)
    shortest = whole.length < 2.6
    assert np.unique(whole.bonds[shortest], axis=0).tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0]]
