from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import coo_array

from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.analysis.topology.alpha import periodic_complex
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.analysis.topology.homology import compute_topology
from symgnn_explain.analysis.topology.of_glass import optimal_cycles
from symgnn_explain.analysis.topology.persistence import persistence_pairs
from symgnn_explain.analysis.topology.volumes import volume_optimal_cycles
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


def volumes_of(glass):
    alpha = periodic_complex(glass)
    pairs = persistence_pairs(alpha)
    rings = pairs.rings()
    birth_edge = simplex_rows(pairs.birth_simplex[rings, :2], alpha.edges)
    death_triangle = simplex_rows(pairs.death_simplex[rings, :3], alpha.triangles)
    return alpha, birth_edge, death_triangle, volume_optimal_cycles(alpha, birth_edge, death_triangle, lambda _: None)


def boundary_matrix(alpha):
    a, b, c = alpha.triangles.T
    sides = [simplex_rows(np.column_stack(ends), alpha.edges) for ends in ((b, c), (a, c), (a, b))]
    entries = [np.full(len(alpha.triangles), sign) for sign in (1.0, -1.0, 1.0)]
    columns = np.tile(np.arange(len(alpha.triangles)), 3)
    shape = (len(alpha.edges), len(alpha.triangles))
    return coo_array((np.concatenate(entries), (np.concatenate(sides), columns)), shape=shape).tocsr()


def test_octagon_is_filled_by_six_triangles_and_its_rim_are_its_sides():
    angle = 2 * np.pi * (np.arange(8) + 0.3) / 8
    rng = np.random.default_rng(2)
    ring = np.column_stack([3 * np.cos(angle), 3 * np.sin(angle), np.zeros(8)]) + rng.normal(0, 0.03, (8, 3))
    glass = Glass(ring + 10.0, [40] * 8, np.eye(3) * 20.0)
    alpha, birth_edge, _, [volume] = volumes_of(glass)
    assert len(volume.triangles) == 6
    sides = {tuple(sorted((atom, (atom + 1) % 8))) for atom in range(8)}
    assert {tuple(edge) for edge in alpha.edges[volume.rim].tolist()} == sides
    assert birth_edge[0] in volume.rim


def test_volumes_are_the_smallest_by_an_independent_integer_programme(random_glass):
    glass = random_glass(5, seed=1)
    alpha, birth_edge, death_triangle, volumes = volumes_of(glass)
    boundary = boundary_matrix(alpha)
    asked = [row for row, volume in enumerate(volumes) if len(volume.triangles) > 1]
    assert len(asked) > 40
    for row in asked[::4]:
        born, dies = alpha.edge_values[birth_edge[row]], alpha.triangle_values[death_triangle[row]]
        # In general position, no other edge or triangle enters with either.
        open_edges = np.flatnonzero((alpha.edge_values > born) & (alpha.edge_values < dies))
        free = np.flatnonzero((alpha.triangle_values > born) & (alpha.triangle_values < dies))
        rest = boundary[open_edges]
        positive_and_negative = np.hstack([rest[:, free].toarray(), -rest[:, free].toarray()])
        solution = milp(
            np.ones(2 * len(free)),
            integrality=np.ones(2 * len(free)),
            constraints=LinearConstraint(positive_and_negative, *[-rest[:, [death_triangle[row]]].toarray()[:, 0]] * 2),
        )
        assert solution.status == 0
        assert len(volumes[row].triangles) == round(solution.fun) + 1


def test_rims_are_closed_and_as_old_as_their_ring(random_glass):
    glass = random_glass(6, seed=3, shear=0.1)
    alpha, birth_edge, death_triangle, volumes = volumes_of(glass)
    assert len(volumes) == len(birth_edge) > 500
    for edge, triangle, volume in zip(birth_edge, death_triangle, volumes, strict=True):
        assert edge in volume.rim
        assert triangle in volume.triangles
        assert (alpha.edge_values[volume.rim] <= alpha.edge_values[edge]).all()
        assert (alpha.triangle_values[volume.triangles] <= alpha.triangle_values[triangle]).all()
        _, degree = np.unique(alpha.edges[volume.rim], return_counts=True)
        assert (degree % 2 == 0).all()
        assert len(volume.rim) <= len(volume.triangles) + 2


def test_counts_of_both_kinds_are_of_the_same_pairs(random_glass, tmp_path, monkeypatch):
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path)
    monkeypatch.setattr(topology, "_memory", {})
    glass = random_glass(5)
    shortest, volume = (optimal_cycles(glass, kind=kind) for kind in ("shortest", "volume"))
    np.testing.assert_array_equal(shortest.birth, volume.birth)
    np.testing.assert_array_equal(shortest.death, volume.death)
    # The shortest cycle passes through the birth edge, so does the rim: no rim is shorter.
    assert (volume.length >= shortest.length).all()
    assert (volume.length == shortest.length).mean() > 0.5
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(InputError, match="kind='longest'"):
        optimal_cycles(glass, kind="longest")


def test_volumes_do_not_depend_on_how_the_glass_is_written_down(random_glass):
    glass = random_glass(5, seed=6)
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    moved = (glass.positions + np.array([3.0, -40.0, 7.0])) @ rotation
    other = Glass(moved[order], glass.numbers[order], glass.cell @ rotation)
    one, two = (compute_topology(each, "volume", 4.5).cycles for each in (glass, other))
    np.testing.assert_array_equal(one.length, two.length)
    source, target, displacement = neighbour_edges(glass, 4.0)
    new_name = np.argsort(order)
    np.testing.assert_array_equal(
        one.of_edges(glass, source, target, displacement),
        two.of_edges(other, new_name[source], new_name[target], displacement @ rotation),
    )


def test_search_can_be_cancelled(random_glass):
    stop = threading.Event()

    def watch(fraction):
        if fraction > 0.5:
            stop.set()

    with pytest.raises(Cancelled):
        compute_topology(random_glass(5), "volume", 4.5, watch, stop)
