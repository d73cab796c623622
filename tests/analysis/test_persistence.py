from __future__ import annotations

from collections import Counter

import gudhi
import numpy as np
import pytest
from gudhi.hera import bottleneck_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from symgnn_explain.analysis.topology.alpha import pad_with_ghosts, periodic_complex, wrapped_positions
from symgnn_explain.analysis.topology.persistence import persistence_of as pairs_of
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass

TORUS = (1, 3, 3, 1)
"""Betti numbers of the 3-torus, which a structure that is periodic in all directions fills in the end."""

FAR = [[0, 0, 60.0], [0, 0, -60.0]]
"""A complex in space needs points out of the plane; these are far away."""


def persistence_of(glass, largest_void=4.5):
    return pairs_of(periodic_complex(glass, largest_void), largest_void, glass.content_hash)[0]


def cluster(points):
    return Glass(points, np.full(len(points), 29), np.eye(3) * 200.0, pbc=[False] * 3)


def crystal(basis, edge, repeat):
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = ((cells + np.array(basis)) * edge).reshape(-1, 3)
    return Glass(positions, np.full(len(positions), 29), np.eye(3) * edge * repeat)


def lasting(persistence, dimension, life):
    diagram = persistence.diagram(dimension)
    return diagram[np.diff(diagram, axis=1)[:, 0] > life]


def test_ring_of_atoms_is_one_pair_with_known_birth_and_death():
    n_atoms, radius = 9, 3.0
    angle = 2 * np.pi * np.arange(n_atoms) / n_atoms
    ring = radius * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    persistence = persistence_of(cluster(np.concatenate([ring, FAR])))
    [[birth, death]] = lasting(persistence, 1, 0.01)
    assert birth == pytest.approx(radius * np.sin(np.pi / n_atoms))
    assert death == pytest.approx(radius)
    assert (lasting(persistence, 2, 0.01)[:, 0] > 20).all()  # with the far atoms only


def test_sphere_of_atoms_is_one_void_with_known_birth_and_death():
    n_atoms, radius = 150, 5.0
    golden = np.pi * (3 - np.sqrt(5)) * np.arange(n_atoms)
    height = 1 - 2 * (np.arange(n_atoms) + 0.5) / n_atoms
    across = np.sqrt(1 - height**2)
    points = radius * np.column_stack([across * np.cos(golden), across * np.sin(golden), height])
    points += np.random.default_rng(0).normal(0, 1e-4, points.shape)
    # The void closes with the last triangle of the surface, and is filled at its centre.
    a, b, c = points[ConvexHull(points).simplices.T]
    sides = [np.linalg.norm(one - other, axis=1) for one, other in ((a, b), (b, c), (c, a))]
    radii = np.prod(sides, axis=0) / (2 * np.linalg.norm(np.cross(b - a, c - a), axis=1))
    persistence = persistence_of(cluster(points))
    [[birth, death]] = lasting(persistence, 2, 0.1)
    assert birth == pytest.approx(radii.max(), abs=1e-3)
    assert death == pytest.approx(radius, abs=1e-3)


def test_icosahedron_has_the_rings_and_voids_of_its_geometry():
    golden = (1 + np.sqrt(5)) / 2
    shell = np.array(
        [np.roll([0, one, golden * two], turn) for turn in range(3) for one in (1, -1) for two in (1, -1)]
    ) / np.sqrt(1 + golden**2)
    persistence = persistence_of(cluster(2.7 * np.concatenate([[[0, 0, 0]], shell])))
    edge = 2 / np.sqrt(1 + golden**2)  # of the shell, relative to its radius
    spoke_triangle = 1 / (2 * np.sqrt(1 - edge**2 / 4))  # circumradii
    face = edge / np.sqrt(3)
    tetrahedron = 1 / (2 * np.sqrt(1 - face**2))
    expected = {0: (12, 0, 0.5), 1: (30, edge / 2, spoke_triangle), 2: (20, face, tetrahedron)}
    for dimension, (count, birth, death) in expected.items():
        diagram = persistence.diagram(dimension)
        assert len(diagram) == count
        np.testing.assert_allclose(diagram / 2.7, np.tile([birth, death], (count, 1)), atol=1e-9)
    assert persistence.betti_numbers() == (1, 0, 0, 0)


FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
BCC = [[0, 0, 0], [0.5, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("basis", "edge", "repeat", "stages"),
    [
        # radius in units of the cell's edge: rings and voids an atom, besides those of the torus
        ([[0, 0, 0]], 2.5, 6, {0.3: (0, None), 0.6: (2, 0), 0.75: (0, 1), 0.87: (0, 0)}),
        # BCC: 4 + 3 bonds, 12 triangles, 6 tetrahedra an atom
        (BCC, 3.2, 4, {0.45: (3, 0), 0.51: (6, 0), 0.54: (0, 6), 0.56: (0, 0)}),
        # FCC: 6 bonds, 8 triangles, 2 tetrahedra and one octahedron an atom
        (FCC, 3.6, 4, {0.36: (5, 0), 0.42: (0, 3), 0.45: (0, 1), 0.51: (0, 0)}),
    ],
    ids=["simple cubic", "BCC", "FCC"],
)
def test_crystals_have_their_known_betti_numbers(basis, edge, repeat, stages):
    glass = crystal(basis, edge, repeat)
    persistence = persistence_of(glass, 3.0)
    for radius, (rings, voids) in stages.items():
        components, one, two, three = persistence.betti_numbers(radius * edge)
        if voids is None:
            assert (components, one, two, three) == (len(glass), 0, 0, 0)
        elif rings == voids == 0:
            assert (components, one, two, three) == TORUS
        elif rings:
            assert (components, one, two, three) == (1, rings * len(glass) + 1, 0, 0)
        else:
            assert (components, one, two, three) == (1, 3, voids * len(glass) + 2, 0)


@pytest.mark.parametrize(("n_side", "shear"), [(8, 0.0), (8, 0.2), (3, 0.1)])
def test_rattled_cubic_lattice_fills_the_3_torus(random_glass, n_side, shear):
    persistence = persistence_of(random_glass(n_side, shear=shear))
    assert persistence.complete
    assert persistence.betti_numbers() == TORUS == (1, 3, 3, 1)
    assert [len(persistence.essential(dimension)) for dimension in range(4)] == [1, 3, 3, 1]
    assert persistence.betti_numbers(0.0) == (len(persistence.rows(0)) + 1, 0, 0, 0)


def test_betti_numbers_obey_eulers_rule_at_every_radius(random_glass):
    glass = random_glass(8, seed=3)
    alpha = periodic_complex(glass)
    persistence = persistence_of(glass)
    assert len(persistence.rows(0)) == len(glass) - 1
    for radius in (0.9, 1.2, 1.4, 1.6, 1.8, 2.2):
        euler = len(glass)
        for sign, simplices in ((-1, alpha.edges), (1, alpha.triangles), (-1, alpha.tetrahedra)):
            euler += sign * int((simplices.entry <= radius**2).sum())
        components, rings, voids, filled = persistence.betti_numbers(radius)
        assert components - rings + voids - filled == euler


def test_pairs_of_all_dimensions_are_those_of_gudhis_alpha_complex_on_the_torus(random_glass):
    glass = random_glass(8, seed=5)
    padded = pad_with_ghosts(wrapped_positions(glass), glass.cell, glass.pbc, 9.0)
    tree = gudhi.AlphaComplex(points=padded.position).create_simplex_tree()
    quotient = gudhi.SimplexTree()
    for simplex, value in tree.get_filtration():
        if min(simplex) < len(glass):  # touches the cell: its neighbourhood is complete
            quotient.insert(sorted({int(padded.original[vertex]) for vertex in simplex}), value)
    quotient.make_filtration_non_decreasing()
    quotient.compute_persistence(homology_coeff_field=2, persistence_dim_max=True, min_persistence=1e-9)
    persistence = persistence_of(glass)
    for dimension in (0, 1, 2):
        pairs = np.sqrt(quotient.persistence_intervals_in_dimension(dimension))
        finite, essential = pairs[np.isfinite(pairs[:, 1])], pairs[np.isinf(pairs[:, 1]), 0]
        ours = persistence.diagram(dimension)
        ours, finite = (rows[np.lexsort(rows.round(6).T)] for rows in (ours, finite))
        np.testing.assert_allclose(ours, finite, atol=1e-6)
        np.testing.assert_allclose(np.sort(persistence.essential(dimension)), np.sort(essential), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_points=st.integers(5, 80), flatness=st.floats(0.05, 1.0))
def test_pairs_of_a_cluster_are_those_of_gudhis_alpha_complex(seed, n_points, flatness):
    points = np.random.default_rng(seed).random((n_points, 3)) * [4.0, 4.0, 4.0 * flatness]
    tree = gudhi.AlphaComplex(points=points).create_simplex_tree()
    tree.compute_persistence(homology_coeff_field=2)
    persistence = persistence_of(cluster(points))
    for dimension in (0, 1, 2):
        ours = persistence.diagram(dimension) ** 2
        theirs = tree.persistence_intervals_in_dimension(dimension).reshape(-1, 2)
        theirs = theirs[np.isfinite(theirs[:, 1])]
        # Pairs that live no longer than rounding errors may be counted by one and not by the other.
        ours, theirs = (pairs[np.diff(pairs, axis=1)[:, 0] > 1e-7] for pairs in (ours, theirs))
        np.testing.assert_allclose(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)], rtol=1e-6, atol=1e-9)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), n_side=st.sampled_from([5, 6]))
def test_pairs_do_not_depend_on_how_the_glass_is_written_down(random_glass, seed, n_side):
    glass = random_glass(n_side, seed=seed, shear=0.1)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    lattice = rng.integers(-2, 3, (len(glass), 3)) @ glass.cell
    moved = (glass.positions + rng.normal(size=3) * 20 + lattice) @ rotation
    one, two = persistence_of(glass), persistence_of(Glass(moved[order], glass.numbers[order], glass.cell @ rotation))
    for dimension in (0, 1, 2):
        np.testing.assert_allclose(one.diagram(dimension), two.diagram(dimension), atol=1e-6)
    new_name = np.argsort(order)
    touching = [new_name[one.birth_atoms[row][one.birth_atoms[row] >= 0]] for row in one.rows(1)]
    asked = [two.birth_atoms[row][two.birth_atoms[row] >= 0] for row in two.rows(1)]
    assert Counter(map(frozenset, touching)) == Counter(map(frozenset, asked))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), shake=st.floats(0.001, 0.1))
def test_diagrams_are_stable(random_glass, seed, shake):
    # Cohen-Steiner, Edelsbrunner and Harer (2007): atoms that move by at most ε move no pair by more than ε.
    glass = random_glass(6, seed=seed)
    step = np.random.default_rng(seed).normal(size=glass.positions.shape)
    step *= shake / np.linalg.norm(step, axis=1).max()
    one, two = persistence_of(glass), persistence_of(Glass(glass.positions + step, glass.numbers, glass.cell))
    for dimension in (0, 1, 2):
        assert bottleneck_distance(one.diagram(dimension), two.diagram(dimension), delta=0.0) <= shake * (1 + 1e-6)


def test_pairs_name_the_atoms_that_make_and_end_them(random_glass):
    glass = random_glass(8, seed=2)
    persistence = persistence_of(glass)
    cell = np.diag(glass.cell)
    for dimension in (0, 1):
        rows = persistence.rows(dimension)
        if dimension == 1:
            ends = persistence.birth_atoms[rows][:, :2]
            expected = persistence.birth[rows]
        else:
            ends, expected = persistence.death_atoms[rows][:, :2], persistence.death[rows]
        between = glass.positions[ends[:, 0]] - glass.positions[ends[:, 1]]
        between -= np.rint(between / cell) * cell
        # An edge enters at half its length, or later where an atom lies inside its sphere.
        assert (np.linalg.norm(between, axis=1) / 2 <= expected + 1e-9).all()
        assert np.isclose(np.linalg.norm(between, axis=1) / 2, expected).mean() > 0.9


def test_voids_above_the_limit_are_left_open():
    rng = np.random.default_rng(0)
    points = rng.random((700, 3)) * 30.0
    points = points[np.linalg.norm(points - 15.0, axis=1) > 7.0]
    glass = Glass(points, [29] * len(points), np.eye(3) * 30.0)
    narrow, wide = persistence_of(glass, 4.0), persistence_of(glass, 7.4)
    assert not narrow.complete
    assert wide.complete
    assert wide.betti_numbers() == TORUS
    assert narrow.betti_numbers() == wide.betti_numbers(4.0)
    for dimension in (0, 1, 2):
        everything = wide.diagram(dimension)
        np.testing.assert_allclose(narrow.diagram(dimension), everything[everything[:, 1] <= 4.0], atol=1e-9)


def test_small_cell_has_the_pairs_of_its_supercell(random_glass):
    small = random_glass(4, seed=4)
    shifts = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (small.positions[None] + (shifts @ small.cell)[:, None]).reshape(-1, 3)
    one, eight = persistence_of(small), persistence_of(Glass(positions, np.tile(small.numbers, 8), small.cell * 2))
    # Images are ties: which of them dies when is a choice, and which are counted too.
    for dimension in (0, 1, 2):
        assert len(eight.rows(dimension)) == pytest.approx(8 * len(one.rows(dimension)), rel=0.03)
    assert one.betti_numbers() == eight.betti_numbers() == TORUS


def test_table_holds_every_class(random_glass):
    persistence = persistence_of(random_glass(5))
    table = persistence.to_frame()
    assert len(table) == len(persistence)
    assert table["essential"].sum() == 8
    assert (table["life"] > 0).all()
    assert sum(len(persistence.rows(dimension)) for dimension in range(3)) == len(persistence) - 8
    with pytest.raises(InputError, match="dimension=3"):
        persistence.diagram(3)


def test_atoms_too_far_apart_are_never_joined():
    persistence = persistence_of(Glass([[0, 0, 0], [10, 10, 10]], [29, 29], np.eye(3) * 20))
    assert persistence.betti_numbers() == (2, 0, 0, 0)
    assert [len(persistence.rows(dimension)) for dimension in (0, 1, 2)] == [0, 0, 0]
    assert not persistence.complete
