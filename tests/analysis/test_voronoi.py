from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, HalfspaceIntersection

from symgnn_explain.analysis.order.voronoi import voronoi_cells
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.neighbours import neighbours_within

# Faces by their number of edges, 3 to 6.
POLYHEDRA = {
    "sc": (0, 6, 0, 0),  # cube
    "bcc": (0, 6, 0, 8),  # truncated octahedron
    "fcc": (0, 12, 0, 0),  # rhombic dodecahedron
    "hcp": (0, 12, 0, 0),  # trapezo-rhombic dodecahedron
    "diamond": (12, 0, 0, 4),  # triakis truncated tetrahedron
}


@pytest.mark.parametrize("repeat", [1, 2, 3])
@pytest.mark.parametrize("name", POLYHEDRA)
def test_crystals_have_their_polyhedra(crystal, name, repeat):
    glass = crystal(name, repeat=repeat)
    cells = voronoi_cells(glass)
    assert (cells.index == POLYHEDRA[name]).all()
    assert (cells.coordination == sum(POLYHEDRA[name])).all()
    assert cells.has_index(POLYHEDRA[name]).all()
    assert cells.volume == pytest.approx(glass.volume / len(glass))
    [row] = cells.frequencies().to_dict(orient="records")
    assert row["index"] == f"⟨{','.join(map(str, POLYHEDRA[name]))}⟩"
    assert row["share"] == 1


def test_icosahedron_has_its_index_and_its_corners_are_open(icosahedron):
    cells = voronoi_cells(Glass(icosahedron(), [29] + [40] * 12, np.eye(3) * 20, pbc=False))
    assert cells.labels.tolist() == ["⟨0,0,12,0⟩"] + ["open"] * 12
    assert cells.has_index().tolist() == cells.closed.tolist() == [True] + [False] * 12
    assert cells.coordination_by_species()[0].tolist() == [0, 12]
    # The cell is the dual dodecahedron, with an inscribed sphere of 1.3 Å.
    assert cells.volume[0] == pytest.approx(10 * np.sqrt(130 - 58 * np.sqrt(5)) * 1.3**3)


def test_disturbed_fcc_needs_a_threshold(crystal):
    perfect = crystal("fcc", repeat=4)
    rng = np.random.default_rng(0)
    moved = Glass(perfect.positions + rng.normal(0, 0.02, perfect.positions.shape), perfect.numbers, perfect.cell)
    assert voronoi_cells(moved).has_index((0, 12, 0, 0)).mean() < 0.05
    assert voronoi_cells(moved, shortest_edge=0.3, smallest_face=0.1).has_index((0, 12, 0, 0)).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), shear=st.sampled_from([0.0, 0.15, 0.9]), n_side=st.sampled_from([2, 4, 6]))
def test_cells_fill_space_and_obey_euler(random_glass, seed, shear, n_side):
    glass = random_glass(n_side, seed=seed, shear=shear)
    cells = voronoi_cells(glass, shortest_edge=0.0)
    assert cells.closed.all()
    assert cells.volume.sum() == pytest.approx(glass.volume)
    edges = 3 + np.arange(cells.faces.shape[1])
    assert (((6 - edges) * cells.faces).sum(axis=1) == 12).all()
    assert (cells.faces.sum(axis=1) == cells.coordination).all()


@pytest.mark.parametrize("pbc", [True, (True, True, False), False])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_cells_do_not_depend_on_how_the_glass_is_written_down(random_glass, rewritten, seed, pbc):
    glass = random_glass(5, seed=seed, shear=0.15, pbc=pbc)
    other, place = rewritten(glass, seed)
    one, two = voronoi_cells(glass), voronoi_cells(other)
    assert (one.labels == two.labels[place]).all()
    np.testing.assert_allclose(one.volume, two.volume[place])
    np.testing.assert_array_equal(one.coordination_by_species(), two.coordination_by_species()[place])
    lengths = [np.sort(cells.neighbours.distance) for cells in (one, two)]
    np.testing.assert_allclose(*lengths)


def test_cells_are_intersections_of_half_spaces(random_glass):
    glass = random_glass(5, seed=3)
    cells = voronoi_cells(glass)
    around = neighbours_within(glass, 9.0)
    for atom in range(0, 125, 12):
        vectors = around.displacement[around.centre == atom]
        planes = np.column_stack([vectors, -(vectors**2).sum(axis=1) / 2])
        corners = HalfspaceIntersection(planes, np.zeros(3)).intersections
        assert cells.volume[atom] == pytest.approx(ConvexHull(corners).volume)
        corners_on = (np.abs(corners @ vectors.T - (vectors**2).sum(axis=1) / 2) < 1e-9).sum(axis=0)
        faces = np.bincount(corners_on[corners_on >= 3], minlength=7)
        assert tuple(faces[3:7]) == tuple(cells.index[atom])
        mine = cells.neighbours.centre == atom
        np.testing.assert_allclose(
            np.sort(cells.neighbours.distance[mine]), np.sort(np.linalg.norm(vectors[corners_on >= 3], axis=1))
        )


def test_faces_are_seen_alike_from_both_sides(random_glass):
    cells = voronoi_cells(random_glass(3, seed=8))  # 8 Å across: some atoms see several images of another
    pairs = cells.neighbours
    rows = np.column_stack([pairs.centre, pairs.neighbour, cells.shift, cells.area])
    mirrored = np.column_stack([pairs.neighbour, pairs.centre, -cells.shift, cells.area])
    assert sorted(rows.tolist()) == sorted(mirrored.tolist())
    vectors = cells.position[pairs.neighbour] + cells.shift @ cells.cell - cells.position[pairs.centre]
    np.testing.assert_allclose(vectors, pairs.displacement, atol=1e-9)


def test_slab_is_bulk_inside_and_open_at_its_surfaces(random_glass):
    periodic = random_glass(6, seed=2)
    slab = Glass(periodic.positions, periodic.numbers, periodic.cell, pbc=(True, True, False))
    bulk, cut = voronoi_cells(periodic), voronoi_cells(slab)
    height = slab.positions[:, 2]
    inside = (height > height.min() + 5) & (height < height.max() - 5)
    assert cut.closed[inside].all()
    assert (cut.labels[inside] == bulk.labels[inside]).all()
    topmost = np.argsort(height)[-10:]
    assert not cut.closed[topmost].any()
    assert np.isnan(cut.volume[topmost]).all()
    assert (cut.index[topmost] == -1).all()
    assert 0 < cut.closed.sum() < len(slab)


def test_thresholds_only_take_away(random_glass):
    glass = random_glass(6)
    coordination = [voronoi_cells(glass, smallest_face=face).coordination for face in (0.0, 0.1, 0.5, 2.0)]
    for more, fewer in pairwise(coordination):
        assert (fewer <= more).all()
        assert fewer.sum() < more.sum()
    large = voronoi_cells(glass, smallest_face=0.5)
    assert large.area.min() >= 0.5


def test_results_are_tables(random_glass):
    glass = random_glass(6)
    cells = voronoi_cells(glass)
    table = cells.to_frame()
    assert (table["coordination"] == table["coordination_Cu"] + table["coordination_Zr"]).all()
    frequencies = cells.frequencies()
    assert frequencies["count"].sum() == len(glass)
    assert frequencies["share"].sum() == pytest.approx(1)
    assert (frequencies["Cu"] + frequencies["Zr"] == frequencies["count"]).all()
    top = frequencies.iloc[0]
    assert top["count"] == (table["index"] == top["index"]).sum() == frequencies["count"].max()


def test_unusable_input_is_said(random_glass, crystal):
    glass = random_glass(3)
    with pytest.raises(InputError, match="from 0"):
        voronoi_cells(glass, shortest_edge=-1.0)
    flat = Glass(glass.positions * [1, 1, 0], glass.numbers, glass.cell, pbc=False)
    with pytest.raises(InputError, match="at least five atoms"):
        voronoi_cells(flat)
    twice = Glass(np.vstack([glass.positions, glass.positions[:1]]), np.append(glass.numbers, 29), glass.cell)
    with pytest.raises(InputError, match="at one place"):
        voronoi_cells(twice)
    with pytest.raises(InputError, match="another structure"):
        voronoi_cells(glass).require_glass(crystal("fcc"))


def test_published_glass_has_its_icosahedra_around_copper(published):
    cells = voronoi_cells(published("train2"))
    copper, zirconium = (cells.has_index()[cells.numbers == number].mean() for number in (29, 40))
    assert copper > 0.05 > 10 * zirconium
    assert cells.frequencies()["index"][0] == "⟨0,0,12,0⟩"
