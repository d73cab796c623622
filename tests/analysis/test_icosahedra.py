from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.order.icosahedra import KINDS, polyhedron_connections
from symgnn_explain.analysis.order.voronoi import voronoi_cells
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass

RADIUS = 2.6


def united(*groups):
    """Positions of all groups, each place once."""
    places = []
    for place in np.concatenate(groups):
        if all(np.linalg.norm(place - other) > 1e-6 for other in places):
            places.append(place)
    return np.array(places)


def joined(icosahedron, kind):
    """Two icosahedra that share the corners of one vertex, edge or face, and the number of atoms they share."""
    one = icosahedron(RADIUS)
    nearest = np.argsort(np.linalg.norm(one[1:] - one[1], axis=1))[: {"vertex": 1, "edge": 2, "face": 6}[kind]] + 1
    if kind == "face":  # the first corner, a neighbour of it, and one that is a neighbour of both
        third = next(c for c in nearest[2:] if np.linalg.norm(one[c] - one[nearest[1]]) < 1.1 * RADIUS)
        corners = one[[1, nearest[1], third]]
        normal = corners.mean(axis=0) / np.linalg.norm(corners.mean(axis=0))
        other = one - 2 * np.outer((one - corners[0]) @ normal, normal)
        return united(one, other), 3
    other = 2 * one[nearest].mean(axis=0) - one
    return united(one, other), len(nearest)


def interpenetrating():
    """Two icosahedra, each centre a corner of the other: 19 atoms on one axis and three rings of five."""
    turn = 2 * np.pi * np.arange(5) / 5
    ring = RADIUS * np.sqrt(0.8) * np.column_stack([np.cos(turn), np.sin(turn), np.zeros(5)])
    twisted = RADIUS * np.sqrt(0.8) * np.column_stack([np.cos(turn + np.pi / 5), np.sin(turn + np.pi / 5), np.zeros(5)])
    low, high = RADIUS * np.array([0, 0, -1 / np.sqrt(5)]), RADIUS * np.array([0, 0, 1 + 1 / np.sqrt(5)])
    axis = RADIUS * np.array([[0, 0, 0], [0, 0, 1], [0, 0, -1], [0, 0, 2]])
    return np.concatenate([axis, ring + low, twisted + axis[1] / 2, ring + high])


def cluster(positions):
    return Glass(positions, np.full(len(positions), 29), np.eye(3) * 40, pbc=False)


@pytest.mark.parametrize("kind", ["vertex", "edge", "face"])
def test_joined_icosahedra_share_what_they_share(icosahedron, kind):
    positions, n_shared = joined(icosahedron, kind)
    assert len(positions) == 26 - n_shared
    cells = voronoi_cells(cluster(positions))
    assert cells.has_index()[[0, 13]].all()
    connections = polyhedron_connections(cells, [0, 13])  # a shared atom may be the centre of another one
    assert connections.kind.tolist() == [kind]
    assert connections.n_shared.tolist() == [n_shared]
    assert connections.centres.tolist() == [0, 13]
    assert connections.joins(kind).sum() == n_shared
    assert connections.per_atom(kind).sum() == 2
    assert (connections.members == 2).sum() == n_shared
    assert (connections.members == 1).sum() == 24 - 2 * n_shared
    np.testing.assert_allclose(connections.displacement[0], positions[13] - positions[0], atol=1e-9)


def test_interpenetrating_icosahedra_share_a_volume():
    connections = polyhedron_connections(voronoi_cells(cluster(interpenetrating())))
    assert connections.centres.tolist() == [0, 1]
    assert connections.kind.tolist() == ["volume"]
    assert connections.n_shared.tolist() == [5]


def connections_by_hand(cells, centres):
    """Every connection between polyhedra, by comparing sets of corners image by image."""
    corners = {
        c: {
            (int(a), *map(int, s))
            for a, s in zip(
                cells.neighbours.neighbour[cells.neighbours.centre == c],
                cells.shift[cells.neighbours.centre == c],
                strict=True,
            )
        }
        for c in centres
    }
    found = []
    for one, other in combinations_with_replacement(centres, 2):
        for image in product(range(-3, 4), repeat=3):
            if one == other and image <= (0, 0, 0):
                continue
            moved = {(a, x + image[0], y + image[1], z + image[2]) for a, x, y, z in corners[other]}
            shared = len(corners[one] & moved)
            if (other, *image) in corners[one]:
                found.append((one, other, "volume", shared))
            elif shared:
                found.append((one, other, {1: "vertex", 2: "edge", 3: "face"}.get(shared, "squeezed"), shared))
    return sorted(found)


@pytest.mark.parametrize(("n_side", "n_centres"), [(6, 40), (3, 8)])
def test_connections_are_those_of_every_pair_of_polyhedra(random_glass, n_side, n_centres):
    cells = voronoi_cells(random_glass(n_side, seed=4))
    centres = np.arange(len(cells))[:: len(cells) // n_centres]
    connections = polyhedron_connections(cells, centres)
    rows = zip(connections.first, connections.second, connections.kind, connections.n_shared, strict=True)
    assert sorted((int(a), int(b), str(k), int(n)) for a, b, k, n in rows) == connections_by_hand(cells, centres)
    assert len(set(connections.kind)) >= 4
    np.testing.assert_array_equal(np.bincount(connections.shared_row), connections.n_shared)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_connections_do_not_depend_on_how_the_glass_is_written_down(random_glass, rewritten, seed):
    glass = random_glass(6, seed=seed)
    other, place = rewritten(glass, seed)
    chosen = glass.numbers == 40
    one = polyhedron_connections(voronoi_cells(glass), chosen)
    two = polyhedron_connections(voronoi_cells(other), place[chosen])
    assert sorted(one.kind) == sorted(two.kind)
    for kind in KINDS:
        np.testing.assert_array_equal(one.per_atom(kind), two.per_atom(kind)[place])
        np.testing.assert_array_equal(one.joins(kind), two.joins(kind)[place])
    np.testing.assert_allclose(
        np.sort(np.linalg.norm(one.displacement, axis=1)), np.sort(np.linalg.norm(two.displacement, axis=1))
    )


def test_glass_without_icosahedra_has_no_connections(crystal):
    connections = polyhedron_connections(voronoi_cells(crystal("fcc", repeat=2)))
    assert len(connections) == len(connections.centres) == len(connections.to_frame()) == 0


def test_bad_centres_are_said(icosahedron, random_glass):
    cells = voronoi_cells(cluster(icosahedron()))
    with pytest.raises(InputError, match="open cell"):
        polyhedron_connections(cells, [0, 3])
    with pytest.raises(InputError, match="must be atoms"):
        polyhedron_connections(cells, [99])
    with pytest.raises(InputError, match="choose from vertex"):
        polyhedron_connections(voronoi_cells(random_glass(4))).of_kind("corner")
