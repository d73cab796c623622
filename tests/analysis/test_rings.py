from __future__ import annotations

import threading
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.networks.structure_network import bond_network
from symgnn_explain.analysis.topology import rings as rings_module
from symgnn_explain.analysis.topology.alpha import name_bonds
from symgnn_explain.analysis.topology.rings import Graph, HopTable, kings_rings, primitive_rings
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.neighbours import neighbours_within

# Cut-off in lattice constants, bonds an atom, and primitive rings an atom by size.
KNOWN = {
    "sc": (1.1, 6, {4: 3, 6: 4}),  # the faces of the cube, and the hexagons around its body diagonals
    "fcc": (0.8, 12, {3: 8, 4: 3}),  # the faces of tetrahedra, and the equators of octahedra
    "hcp": (1.2, 12, {3: 8, 4: 3}),
    "bcc": (0.9, 8, {4: 12, 6: 4}),
    "diamond": (0.5, 4, {6: 2}),
    "graphene": (0.7, 3, {6: 0.5}),
}


def random_graph(n_nodes, n_edges, seed):
    made = nx.gnm_random_graph(n_nodes, n_edges, seed=seed)
    return made, Graph.of(n_nodes, np.array(made.edges, dtype=np.int64).reshape(-1, 2))


def named(cycles):
    """Each ring by its sides."""
    return {frozenset(frozenset(side) for side in zip(ring, [*ring[1:], ring[0]], strict=True)) for ring in cycles}


def listed(found):
    return [named(map(tuple, rings.tolist())) for rings in found.rings]


def primitive_by_definition(graph, largest):
    distance = dict(nx.all_pairs_shortest_path_length(graph))
    found = [set() for _ in range(3, largest + 1)]
    for ring in nx.simple_cycles(graph, length_bound=largest):
        size = len(ring)
        if all(distance[ring[i]][ring[j]] == min(j - i, size - j + i) for i, j in combinations(range(size), 2)):
            found[size - 3] |= named([ring])
    return found


def kings_by_definition(graph, largest):
    found, n_open = [set() for _ in range(3, largest + 1)], 0
    for node in graph:
        rest = graph.subgraph(set(graph) - {node})
        for one, other in combinations(graph[node], 2):
            if not nx.has_path(rest, one, other) or nx.shortest_path_length(rest, one, other) > largest - 2:
                n_open += 1
                continue
            for path in nx.all_shortest_paths(rest, one, other):
                found[len(path) - 2] |= named([(node, *path)])
    return found, n_open


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n_nodes=st.integers(3, 12), density=st.floats(0.1, 0.8))
def test_rings_of_random_graphs_are_those_of_the_definitions(seed, n_nodes, density):
    made, graph = random_graph(n_nodes, int(density * n_nodes * (n_nodes - 1) / 2), seed)
    assert listed(primitive_rings(graph, 8)) == primitive_by_definition(made, 8)
    kings = kings_rings(graph, 7)
    assert (listed(kings), kings.n_open) == kings_by_definition(made, 7)


@pytest.mark.parametrize("n_nodes", [3, 4, 9, 12])
def test_single_ring_is_one_ring(n_nodes):
    around = np.arange(n_nodes)
    graph = Graph.of(n_nodes, np.column_stack([around, np.roll(around, 1)]))
    for find in (primitive_rings, kings_rings):
        counts = find(graph, 12).counts
        assert counts.sum() == counts[n_nodes - 3] == 1
    too_small = kings_rings(graph, n_nodes - 1) if n_nodes > 3 else None
    assert too_small is None or too_small.n_open == n_nodes


def test_hops_are_the_same_in_both_kinds_of_table(monkeypatch):
    made, graph = random_graph(40, 70, 3)
    square = HopTable.of(graph, 4)
    monkeypatch.setattr(rings_module, "_LARGEST_SQUARE", 0)
    sparse = HopTable.of(graph, 4)
    assert square.square is not None
    assert sparse.square is None
    first, second = np.divmod(np.arange(1600), 40)
    expected = dict(nx.all_pairs_shortest_path_length(made, cutoff=4))
    lengths = [expected[a].get(b, 5) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert square.between(first, second).tolist() == sparse.between(first, second).tolist() == lengths
    assert listed(primitive_rings(graph, 8)) == primitive_by_definition(made, 8)


@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize("name", KNOWN)
def test_crystals_have_their_known_rings(crystal, name, repeat):
    cutoff, degree, known = KNOWN[name]
    glass = crystal(name, repeat=repeat)
    network = bond_network(glass, cutoff=4.0 * cutoff)
    assert (np.bincount(network.bonds[:, :2].ravel()) == degree).all()
    per_atom = {size: known.get(size, 0) for size in range(3, 8)}
    found = network.to_frame().query("kind == 'primitive'").set_index("size")["rings_per_atom"]
    assert found.to_dict() == pytest.approx(per_atom)
    for place, size in enumerate(network.primitive.sizes):
        assert network.primitive.per_atom[:, place] == pytest.approx(size * known.get(size, 0))
        # All bonds of these lattices are alike, and each ring has as many as atoms.
        assert network.primitive.per_bond[:, place] == pytest.approx(2 * size * known.get(size, 0) / degree)
    assert network.king.n_open == 0


def test_kings_rings_of_open_networks_are_their_primitive_ones(crystal):
    for name in ("diamond", "graphene"):
        network = bond_network(crystal(name), cutoff=4.0 * KNOWN[name][0])
        np.testing.assert_allclose(network.king.count, network.primitive.count)


def test_every_small_periodic_cell_has_the_rings_of_its_supercell(random_glass):
    small = random_glass(2, seed=4)  # 5 Å across: rings would run around the cell
    shifts = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    large = Glass(
        (small.positions[None] + (shifts @ small.cell)[:, None]).reshape(-1, 3),
        np.tile(small.numbers, 8),
        small.cell * 2,
    )
    one, eight = (bond_network(glass, cutoff=3.3, largest_ring=5) for glass in (small, large))
    for kind in ("primitive", "king"):
        mine, theirs = getattr(one, kind), getattr(eight, kind)
        np.testing.assert_allclose(theirs.count, 8 * mine.count)
        np.testing.assert_allclose(theirs.per_atom, np.tile(mine.per_atom, (8, 1)))
        assert theirs.n_open == 8 * mine.n_open


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_network_does_not_depend_on_how_the_glass_is_written_down(random_glass, rewritten, seed):
    glass = random_glass(5, seed=seed, shear=0.15)
    other, place = rewritten(glass, seed)
    one, two = (bond_network(each, cutoff=3.4, largest_ring=5) for each in (glass, other))
    assert len(one) == len(two)
    for kind in ("primitive", "king"):
        mine, theirs = getattr(one, kind), getattr(two, kind)
        np.testing.assert_allclose(mine.count, theirs.count)
        np.testing.assert_allclose(mine.per_atom, theirs.per_atom[place])
    around = neighbours_within(glass, 3.4)
    rotation = np.linalg.lstsq(glass.cell, other.cell, rcond=None)[0]
    rows = one.rows_of(name_bonds(glass, around.centre, around.neighbour, around.displacement))
    moved = name_bonds(other, place[around.centre], place[around.neighbour], around.displacement @ rotation)
    their_rows = two.rows_of(moved)
    assert (rows >= 0).all()
    np.testing.assert_array_equal(one.primitive.per_bond[rows], two.primitive.per_bond[their_rows])


def test_rings_through_bonds_and_atoms_add_up(random_glass):
    network = bond_network(random_glass(8), cutoff=3.4, largest_ring=6)
    for rings in (network.primitive, network.king):
        assert rings.count.sum() > 100
        np.testing.assert_allclose(rings.per_bond.sum(axis=0), rings.sizes * rings.count)
        np.testing.assert_allclose(rings.per_atom.sum(axis=0), rings.sizes * rings.count)
        through_ends = np.zeros_like(rings.per_atom)
        np.add.at(through_ends, network.bonds[:, 0], rings.per_bond)
        np.add.at(through_ends, network.bonds[:, 1], rings.per_bond)
        np.testing.assert_allclose(through_ends, 2 * rings.per_atom)


def test_network_is_the_graph_of_its_bonds(random_glass):
    glass = random_glass(6)
    network = bond_network(glass, cutoff=3.4, largest_ring=4)
    assert len(network) == len(neighbours_within(glass, 3.4)) // 2
    simple = nx.Graph(network.bonds[:, :2].tolist())
    assert network.primitive.count[0] == sum(nx.triangles(simple).values()) / 3
    assert network.rows_of(np.array([[0, 0, 5, 5, 5]])).tolist() == [-1]


def test_progress_is_shown_and_cancelling_stops(random_glass):
    glass = random_glass(5)
    seen: list[float] = []
    bond_network(glass, cutoff=3.4, largest_ring=5, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        bond_network(glass, cutoff=3.4, cancel=stop)


def test_results_are_tables_and_bad_input_is_said(random_glass, crystal):
    glass = random_glass(5)
    network = bond_network(glass, cutoff=3.4, largest_ring=5)
    assert network.to_frame()["size"].tolist() == [3, 4, 5] * 2
    with pytest.raises(InputError, match="no bonds"):
        bond_network(glass, cutoff=0.6)
    with pytest.raises(InputError, match="at least 3"):
        bond_network(glass, cutoff=3.0, largest_ring=2)
    with pytest.raises(InputError, match="another structure"):
        network.require_glass(crystal("fcc"))
