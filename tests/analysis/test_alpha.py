from __future__ import annotations

import gudhi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.topology.alpha import pad_with_ghosts, periodic_complex, wrapped_positions
from symgnn_explain.analysis.topology.delaunay import alpha_filtration, delaunay_tetrahedra, simplex_rows
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass


def cluster(points):
    return Glass(points, np.full(len(points), 29), np.eye(3) * 100.0, pbc=[False] * 3)


def simplices(filtration):
    for vertices, entry, _ in filtration:
        yield from zip(map(tuple, vertices.tolist()), entry.tolist(), strict=True)


def filtered(points):
    return alpha_filtration(points, delaunay_tetrahedra(points))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_points=st.integers(5, 80), flatness=st.floats(0.05, 1.0))
def test_filtration_agrees_with_gudhis_alpha_complex(seed, n_points, flatness):
    points = np.random.default_rng(seed).random((n_points, 3)) * [4.0, 4.0, 4.0 * flatness]
    filtration = filtered(points)
    tree = gudhi.AlphaComplex(points=points).create_simplex_tree()
    expected = {tuple(simplex): value for simplex, value in tree.get_filtration() if len(simplex) > 1}
    found = dict(simplices(filtration))
    assert found.keys() == expected.keys()
    for simplex, value in found.items():
        assert value == pytest.approx(expected[simplex], rel=1e-6, abs=1e-9)


def test_faces_never_enter_after_what_they_bound():
    filtration = filtered(np.random.default_rng(0).random((300, 3)))
    value = dict(simplices(filtration))
    for simplex in map(tuple, filtration[2].vertices.tolist()):
        for drop in range(4):
            face = simplex[:drop] + simplex[drop + 1 :]
            assert value[face] <= value[simplex]
            assert all(value[face[:other] + face[other + 1 :]] <= value[face] for other in range(3))


def test_cospherical_corners_of_a_lattice_are_handled():
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    filtration = filtered(grid)
    edges, _, tetrahedra = filtration
    assert np.isfinite(edges.entry).all()
    assert edges.entry.min() == pytest.approx(0.25)
    assert tetrahedra.entry.max() == pytest.approx(0.75)


@pytest.mark.parametrize(
    "points", [np.eye(3), np.column_stack([np.random.default_rng(0).random((20, 2)), np.zeros(20)])]
)
def test_points_without_volume_are_refused(points):
    with pytest.raises(InputError, match="not all in a plane"):
        delaunay_tetrahedra(points)


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


@pytest.mark.parametrize(("n_side", "complete"), [(8, True), (3, True)])
def test_complex_is_a_closed_manifold_that_fills_the_torus(random_glass, n_side, complete):
    glass = random_glass(n_side, shear=0.1)
    whole = periodic_complex(glass)
    assert whole.complete is complete
    n_edges, n_triangles, n_tetrahedra = sizes(whole)
    assert whole.n_vertices - n_edges + n_triangles - n_tetrahedra == 0  # Euler
    assert n_tetrahedra * 4 == n_triangles * 2
    corners = glass.cell * round((whole.n_vertices / len(glass)) ** (1 / 3))
    assert tetrahedron_volumes(glass, whole).sum() == pytest.approx(abs(np.linalg.det(corners)), rel=1e-9)
    # Each bond of the glass stands once for each copy of its cell, and is counted once.
    copies = whole.n_vertices // len(glass)
    bonds, times = np.unique(whole.bonds, axis=0, return_counts=True)
    assert (times == copies).all()
    _, first = np.unique(whole.edges.number, return_index=True)
    assert len(first) == len(np.unique(whole.bonds[first], axis=0)) == len(bonds)
    assert len(np.unique(whole.triangles.number)) * copies == n_triangles


def sizes(whole):
    return [len(each.vertices) for each in (whole.edges, whole.triangles, whole.tetrahedra)]


def tetrahedron_volumes(glass, whole):
    """Volumes from the vectors along the bonds, which know the images."""
    vector = bond_vectors(glass, whole)
    low, high = whole.bonds[:, 0], whole.bonds[:, 1]
    sides = []
    for corner in (1, 2, 3):
        ends = whole.tetrahedra.vertices[:, [0, corner]]
        rows = simplex_rows(ends, whole.edges.vertices)
        start = ends[:, 0] % whole.n_atoms
        same = low[rows] == high[rows]
        assert not same.any() or len(glass) == 1
        sides.append(np.where((start == low[rows])[:, None], vector[rows], -vector[rows]))
    return np.abs(np.einsum("ij,ij->i", sides[0], np.cross(sides[1], sides[2]))) / 6


def bond_vectors(glass, whole):
    first, second, shift = whole.bonds[:, 0], whole.bonds[:, 1], whole.bonds[:, 2:]
    wrapped = wrapped_positions(glass)
    return wrapped[second] + shift @ glass.cell - wrapped[first]


def test_bonds_lead_from_atom_to_atom(random_glass):
    glass = random_glass(3, shear=0.2)
    whole = periodic_complex(glass)
    np.testing.assert_allclose(np.linalg.norm(bond_vectors(glass, whole), axis=1), whole.length)


def test_one_atom_in_a_cell_is_its_lattice():
    glass = Glass([[0.3, 0.1, 0.2]], [29], np.eye(3) * 2.5)
    whole = periodic_complex(glass)
    shortest = whole.length < 2.6
    assert np.unique(whole.bonds[shortest], axis=0).tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0]]


LATTICES = {
    "simple cubic": np.zeros((1, 3)),
    "BCC": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    "FCC": np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "HCP": np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 5 / 6, 0.5], [0, 1 / 3, 0.5]]),
}


@pytest.mark.parametrize("repeat", [1, 5])
@pytest.mark.parametrize("lattice", LATTICES)
def test_images_of_a_crystal_are_cut_into_the_same_tetrahedra(lattice, repeat):
    # Eight (simple cubic) and six (FCC) atoms lie on one empty sphere, so that Delaunay's complex is not unique.
    basis = LATTICES[lattice]
    stretch = np.array([1, np.sqrt(3), np.sqrt(8 / 3)]) if lattice == "HCP" else np.ones(3)
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = ((cells + basis) * stretch * 3.0).reshape(-1, 3)
    whole = periodic_complex(Glass(positions, [29] * len(positions), np.diag(stretch * 3.0 * repeat)))
    assert whole.complete
    n_edges, n_triangles, n_tetrahedra = sizes(whole)
    assert n_tetrahedra * 4 == n_triangles * 2
    assert whole.n_vertices - n_edges + n_triangles - n_tetrahedra == 0
    # Values are those of the true positions.
    nearest = whole.length.min()
    assert whole.edges.entry.min() == pytest.approx(nearest**2 / 4, rel=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(2, 4))
def test_rows_of_simplices_are_found(seed, size):
    rng = np.random.default_rng(seed)
    known = np.unique(np.sort(rng.integers(0, 2_000_000, (300, size)), axis=1), axis=0)
    asked = rng.integers(0, len(known), 50)
    np.testing.assert_array_equal(simplex_rows(known[asked], known), asked)


@pytest.mark.parametrize("void", [0.0, -1.0, np.nan])
def test_largest_void_must_be_positive(random_glass, void):
    with pytest.raises(InputError, match="largest_void"):
        periodic_complex(random_glass(3), void)
