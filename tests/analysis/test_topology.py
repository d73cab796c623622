from __future__ import annotations

import json
import threading
from itertools import pairwise

import gudhi
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.explained import cycle_comparison as cycle_comparison_module
from symgnn_explain.analysis.explained.cycle_comparison import cycle_comparison
from symgnn_explain.analysis.nulls.null_models import Matched
from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.analysis.topology.alpha import pad_with_ghosts, periodic_complex, wrapped_positions
from symgnn_explain.analysis.topology.cycles import FEWEST_FIRST, shortest_cycles
from symgnn_explain.analysis.topology.of_glass import compute_topology, optimal_cycles, structure_topology
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path / "cycles")
    monkeypatch.setattr(topology, "_memory", {})


def cycles_of(glass, largest_void=4.5):
    return compute_topology(glass, largest_void).cycles


def counts_by_bond(counts):
    return dict(zip(zip(counts.first, counts.second, map(tuple, counts.shift), strict=True), counts.count, strict=True))


def sorted_edge_counts(glass, counts):
    source, target, displacement = neighbour_edges(glass, 4.0)
    cycles = counts.of_edges(glass, source, target, displacement)
    return np.sort(np.linalg.norm(displacement, axis=1)), np.sort(cycles), int(cycles.sum())


def test_octagon_has_one_cycle_through_each_of_its_bonds():
    angle = 2 * np.pi * (np.arange(8) + 0.3) / 8
    ring = 3.0 * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(8)])
    # Not quite regular, so that the last bond to close is known; two far atoms give the points a volume.
    ring *= 1 + 0.01 * np.random.default_rng(1).random((8, 1))
    far = [[0, 0, 30.0], [0, 0, -30.0]]
    glass = Glass(np.concatenate([ring, far]), [29] * 10, np.eye(3) * 100, pbc=[False] * 3)
    counts = optimal_cycles(glass)
    lasting = counts.death - counts.birth > 0.5
    assert lasting.sum() == 1
    assert counts.length[lasting] == 8
    bonds = counts_by_bond(counts)
    for atom in range(8):
        pair = tuple(sorted((atom, (atom + 1) % 8)))
        assert bonds[(*pair, (0, 0, 0))] >= 1


def test_octagon_across_the_boundary_is_the_same_octagon():
    angle = 2 * np.pi * (np.arange(8) + 0.3) / 8
    rng = np.random.default_rng(2)
    ring = np.column_stack([3 * np.cos(angle), 3 * np.sin(angle), np.zeros(8)]) + rng.normal(0, 0.03, (8, 3))
    cell = np.eye(3) * 20.0
    inside, across = (Glass(ring + origin, [40] * 8, cell) for origin in ([10, 10, 10], [0.1, 19.9, 0.0]))
    one, two = (optimal_cycles(glass) for glass in (inside, across))
    for counts in (one, two):
        assert counts.death == pytest.approx([3.0], abs=0.05)
        assert counts.length.tolist() == [8]
    source, target, displacement = neighbour_edges(inside, 3.0)
    cycles = one.of_edges(inside, source, target, displacement)
    np.testing.assert_array_equal(cycles, two.of_edges(across, source, target, displacement))
    assert cycles.tolist() == (source != target).astype(int).tolist()


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), shear=st.sampled_from([0.0, 0.15]))
def test_counts_do_not_depend_on_how_the_glass_is_written_down(random_glass, seed, shear):
    glass = random_glass(8 if shear == 0 else 9, seed=seed, shear=shear)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    moved = (glass.positions + rng.normal(size=3) * 20 + rng.integers(-2, 3, (len(glass), 3)) @ glass.cell) @ rotation
    other = Glass(moved[order], glass.numbers[order], glass.cell @ rotation)
    one, two = cycles_of(glass), cycles_of(other)
    np.testing.assert_allclose(np.sort(one.birth), np.sort(two.birth), atol=1e-6)
    np.testing.assert_allclose(np.sort(one.death), np.sort(two.death), atol=1e-6)
    source, target, displacement = neighbour_edges(glass, 4.0)
    new_name = np.argsort(order)
    np.testing.assert_array_equal(
        one.of_edges(glass, source, target, displacement),
        two.of_edges(other, new_name[source], new_name[target], displacement @ rotation),
    )


def test_supercell_of_a_small_cell_counts_each_image_alike(random_glass):
    # 8 Å across: every atom has several images within the cut-off and within a ring.
    small = random_glass(3, seed=4)
    shifts = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    large = Glass(
        (small.positions[None] + (shifts @ small.cell)[:, None]).reshape(-1, 3),
        np.tile(small.numbers, 8),
        small.cell * 2,
    )
    one, eight = (cycles_of(glass) for glass in (small, large))
    assert len(eight) == pytest.approx(8 * len(one), rel=0.02)
    source, target, displacement = neighbour_edges(large, 5.0)
    cycles = eight.of_edges(large, source, target, displacement)
    expected = one.of_edges(small, source % len(small), target % len(small), displacement)
    # Long cycles run around a torus, and the two tori have different ones; every ring shorter than these stands eight
    # times in the large cell. Equal images are ties, so that all but a few bonds agree.
    around = 10
    rings = [np.bincount(counts.length[counts.length < around], minlength=around) for counts in (one, eight)]
    np.testing.assert_array_equal(rings[1], 8 * rings[0])
    assert rings[0].sum() > 100
    assert np.mean(cycles == expected) > 0.93


def test_pairs_are_those_of_gudhis_alpha_complex_on_the_torus(random_glass):
    glass = random_glass(8, seed=5)
    padded = pad_with_ghosts(wrapped_positions(glass), glass.cell, glass.pbc, 9.0)
    tree = gudhi.AlphaComplex(points=padded.position).create_simplex_tree()
    quotient = gudhi.SimplexTree()
    for simplex, value in tree.get_filtration():
        if min(simplex) < len(glass):  # touches the cell: its neighbourhood is complete
            quotient.insert(sorted({int(padded.original[vertex]) for vertex in simplex}), value)
    quotient.make_filtration_non_decreasing()
    quotient.compute_persistence(homology_coeff_field=2, persistence_dim_max=True, min_persistence=1e-9)
    assert quotient.betti_numbers() == [1, 3, 3, 1]  # a torus
    pairs = quotient.persistence_intervals_in_dimension(1)
    finite = np.sqrt(pairs[np.isfinite(pairs).all(axis=1)])
    counts = cycles_of(glass)
    ours = np.column_stack([counts.birth, counts.death])
    # Rings that fill together are told apart by their births, whatever the rounding of the deaths.
    ours, finite = (pairs[np.lexsort(pairs.round(6).T)] for pairs in (ours, finite))
    np.testing.assert_allclose(ours, finite, atol=1e-6)


def test_larger_voids_add_only_the_rings_that_they_fill():
    rng = np.random.default_rng(0)
    points = rng.random((400, 3)) * 26.0
    points = points[np.linalg.norm(points - 13.0, axis=1) > 6.5]
    glass = Glass(points, [29] * len(points), np.eye(3) * 26.0)
    narrow, wide = (cycles_of(glass, void) for void in (3.0, 6.0))
    assert narrow.death.max() <= 3.0 < wide.death.max()
    kept = wide.death <= 3.0
    np.testing.assert_allclose(np.sort(narrow.death), np.sort(wide.death[kept]))
    np.testing.assert_allclose(np.sort(narrow.birth), np.sort(wide.birth[kept]))


def test_slab_in_vacuum_is_handled(random_glass):
    block = random_glass(5)
    cell = block.cell + np.diag([0, 0, 25.0])
    slab, periodic = (
        Glass(block.positions, block.numbers, cell, pbc=pbc) for pbc in ((True, True, False), (True,) * 3)
    )
    np.testing.assert_allclose(np.sort(cycles_of(slab).birth), np.sort(cycles_of(periodic).birth), atol=1e-6)


def test_atoms_too_far_apart_have_no_cycles():
    glass = Glass([[0, 0, 0], [10, 10, 10]], [29, 29], np.eye(3) * 20)
    counts = optimal_cycles(glass)
    assert len(counts) == len(counts.count) == 0
    assert counts.of_edges(glass, *neighbour_edges(glass, 5.0)).tolist() == [0, 0]


def test_atoms_in_a_plane_without_periodicity_are_refused():
    flat = np.column_stack([np.random.default_rng(0).random((20, 2)) * 9, np.zeros(20)])
    with pytest.raises(InputError, match="in a plane"):
        optimal_cycles(Glass(flat, [29] * 20, np.eye(3) * 30, pbc=[False] * 3))


def test_cycles_are_the_shortest_by_an_independent_search():
    points = np.random.default_rng(7).random((60, 3)) * 8
    whole = periodic_complex(Glass(points, [29] * 60, np.eye(3) * 30, pbc=[False] * 3))
    weight = 1 + FEWEST_FIRST * whole.length
    graph = nx.Graph()
    expected = {}
    for row in np.argsort(whole.edges.entry, kind="stable"):
        start, end = whole.edges.vertices[row].tolist()
        if graph.has_node(start) and graph.has_node(end) and nx.has_path(graph, start, end):
            expected[row] = nx.dijkstra_path_length(graph, start, end) + weight[row]
        graph.add_edge(start, end, weight=weight[row])
    assert len(expected) > 100
    found = shortest_cycles(whole, np.array(list(expected)), lambda _: None)
    for cycle, total in zip(found, expected.values(), strict=True):
        assert weight[cycle].sum() == pytest.approx(total)
        # It is one closed loop: every vertex on it has two of its edges.
        _, degree = np.unique(whole.edges.vertices[cycle], return_counts=True)
        assert (degree == 2).all()


def test_both_directions_of_an_edge_share_their_cycles_and_self_loops_have_none(random_glass):
    glass = random_glass(3)
    counts = optimal_cycles(glass)
    source, target, displacement = neighbour_edges(glass, 4.0)
    there = counts.of_edges(glass, source, target, displacement)
    back = counts.of_edges(glass, target, source, -displacement)
    np.testing.assert_array_equal(there, back)
    assert (there[np.linalg.norm(displacement, axis=1) == 0] == 0).all()
    assert there.max() > 0
    # Each bond is found from either end, and every cycle is counted at each of its bonds.
    assert counts.count.sum() == counts.length.sum()
    long, _, _ = neighbour_edges(glass, 12.0)
    everywhere = counts.of_edges(glass, *neighbour_edges(glass, 12.0))
    assert len(long) == len(everywhere)
    assert everywhere.sum() == 2 * counts.count.sum()


def test_counts_of_another_structure_are_refused(random_glass):
    counts = optimal_cycles(random_glass(3))
    with pytest.raises(InputError, match="another structure"):
        counts.of_edges(random_glass(3, seed=1), *neighbour_edges(random_glass(3, seed=1), 3.0))


def test_result_is_reused_in_memory_and_on_disk(random_glass, monkeypatch, tmp_path):
    glass = random_glass(3)
    first = optimal_cycles(glass)
    assert optimal_cycles(random_glass(3)) is first
    monkeypatch.setattr(topology, "_memory", {})
    monkeypatch.setattr(topology, "compute_topology", lambda *_: pytest.fail("computed again"))
    second = optimal_cycles(glass)
    assert second.to_frame().equals(first.to_frame())
    np.testing.assert_array_equal(second.length, first.length)
    assert [path.suffix for path in (tmp_path / "cycles").iterdir()] == [".npz"]


@pytest.mark.parametrize("damage", ["truncated", "garbage", "foreign", "empty"])
def test_damaged_cache_is_computed_anew_with_a_warning(random_glass, monkeypatch, tmp_path, damage):
    glass = random_glass(3)
    first = optimal_cycles(glass)
    [path] = (tmp_path / "cycles").iterdir()
    if damage == "foreign":
        optimal_cycles(random_glass(3, seed=1))
        [other] = set((tmp_path / "cycles").iterdir()) - {path}
        path.write_bytes(other.read_bytes())
    else:
        path.write_bytes({"truncated": path.read_bytes()[:-200], "garbage": b"no archive", "empty": b""}[damage])
    monkeypatch.setattr(topology, "_memory", {})
    with pytest.warns(UserWarning, match="damaged"):
        again = optimal_cycles(glass)
    assert again.to_frame().equals(first.to_frame())
    monkeypatch.setattr(topology, "_memory", {})
    assert optimal_cycles(glass).to_frame().equals(first.to_frame())  # repaired: no warning now


def test_folder_that_cannot_be_written_costs_only_a_warning(random_glass, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert len(structure_topology(random_glass(3), folder=tmp_path / "file" / "cycles").cycles)


def test_progress_rises_and_cancelling_leaves_nothing(random_glass, tmp_path):
    glass = random_glass(4)
    stop = threading.Event()
    seen: list[float] = []

    def watch(fraction: float) -> None:
        seen.append(fraction)
        if fraction > 0.3:
            stop.set()

    with pytest.raises(Cancelled):
        optimal_cycles(glass, watch, stop)
    assert not (tmp_path / "cycles").exists()
    assert not topology._memory
    seen.clear()
    stop.clear()
    optimal_cycles(glass, seen.append, stop)
    assert all(later >= earlier for earlier, later in pairwise(seen))
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_important_short_edges_differ_from_random_ones_but_not_from_their_like(random_glass, explain_by_hand):
    glass = random_glass(8)
    explanation = explain_by_hand(
        glass, 5, score=lambda e: (e.distance > 0) * (4 - e.distance).clip(0) + 1e-3 * np.sin(e.source)
    )
    comparison = cycle_comparison(explanation, glass, k=10)
    groups = comparison.to_frame().set_index("group")
    top, random, matched = (groups.loc[name] for name in ("top", "random", "matched"))
    # Short edges lie on more cycles whatever their importance: the paper's null sees a difference, the matched none.
    assert top["mean"] > random["high"]
    assert comparison.p_random < 0.01
    assert matched["mean"] > random["high"]
    assert comparison.p_matched > 0.01
    assert groups.loc["bottom", "mean"] < random["mean"]


def test_a_single_edge_a_group_says_nothing_of_how_others_would_scatter(random_glass, explain_by_hand):
    comparison = cycle_comparison(explain_by_hand(random_glass(6), 5), random_glass(6), k=1)
    groups = comparison.to_frame().set_index("group")
    of_one = groups[groups["interval"] == "mean"]
    assert of_one[["low", "high"]].isna().all(axis=None)
    assert groups.loc["random", ["low", "high"]].notna().all()
    said = json.loads(json.dumps(comparison.summary(), allow_nan=False))["cycles_per_edge"]["top"]
    assert said == {"mean": of_one.loc["top", "mean"], "low": None, "high": None, "interval": "mean"}


def test_an_atom_with_hardly_a_neighbour_has_no_groups_of_edges(explain_by_hand):
    glass = Glass([[1.0, 1, 1], [3.5, 1, 1]], np.array([29, 40]), 20 * np.eye(3))
    with pytest.raises(InputError, match="atom 0 has 2 edges to other atoms within reach: too few for top, middle"):
        cycle_comparison(explain_by_hand(glass, 0), glass, k=1)


def test_random_edges_do_not_differ_from_the_nulls(random_glass, explain_by_hand):
    glass = random_glass(8)
    p_values = []
    for seed in range(12):
        comparison = cycle_comparison(explain_by_hand(glass, 5, seed=seed), glass, k=10, draws=300)
        p_values += [comparison.p_random, comparison.p_matched]
    assert np.mean(np.array(p_values) < 0.05) < 0.25
    assert 0.25 < np.mean(p_values) < 0.75


def test_matches_have_the_hop_and_length_and_are_no_top_bonds(random_glass, explain_by_hand):
    glass = random_glass(7)
    explanation = explain_by_hand(glass, 5)
    comparison = cycle_comparison(explanation, glass, k=10)
    bonds = ~explanation.is_self_loop
    top = [(row.source, row.target, row.distance) for row in comparison.edges.itertuples()]
    for row in comparison.edges.itertuples():
        like = bonds & (explanation.hop == row.hop) & (np.abs(explanation.distance - row.distance) <= 0.3)
        n_top = sum(
            any(
                {source, target} == {explanation.source[edge], explanation.target[edge]}
                and abs(distance - explanation.distance[edge]) < 1e-6
                for source, target, distance in top
            )
            for edge in np.flatnonzero(like)
        )
        assert row.matches == like.sum() - n_top
    assert len(comparison.cycles) == bonds.sum()


def test_random_null_is_the_mean_of_all_edges_and_its_interval_narrows(random_glass, explain_by_hand):
    glass = random_glass(7)
    explanation = explain_by_hand(glass, 5)
    groups = [cycle_comparison(explanation, glass, k=k).to_frame().set_index("group") for k in (10, 160)]
    few, many = (table.loc["random"] for table in groups)
    cycles = optimal_cycles(glass).of_edges(glass, explanation.source, explanation.target, explanation.displacement)
    assert few["mean"] == many["mean"] == pytest.approx(cycles[~explanation.is_self_loop].mean())
    assert (few["high"] - few["low"]) / (many["high"] - many["low"]) == pytest.approx(4, rel=0.35)  # square root of 16


def test_comparison_is_deterministic_and_json(random_glass, explain_by_hand):
    glass = random_glass(6)
    explanation = explain_by_hand(glass, 5)
    one, two = (cycle_comparison(explanation, glass, k=5, seed=3) for _ in range(2))
    assert one.summary() == two.summary() == json.loads(json.dumps(one.summary(), allow_nan=False))
    assert one.to_frame()["group"].tolist() == ["top", "middle", "bottom", "random", "matched"]


@pytest.mark.parametrize("k", [0, 10_000])
def test_too_many_or_no_edges_are_refused(random_glass, explain_by_hand, k):
    glass = random_glass(4)
    with pytest.raises(InputError, match="k="):
        cycle_comparison(explain_by_hand(glass, 5), glass, k=k)


def test_edges_without_match_are_counted_not_invented(random_glass, explain_by_hand, monkeypatch):
    nearly = Matched("matched", "edges of the same length", by=(("distance", 1e-9),))
    monkeypatch.setattr(cycle_comparison_module, "_LIKE_TOP", nearly)
    glass = random_glass(6)
    explanation = explain_by_hand(glass, 5, score=lambda e: (e.distance > 0) / (0.1 + e.distance))
    comparison = cycle_comparison(explanation, glass, k=3)
    assert comparison.n_unmatched == 3
    assert comparison.p_matched is None
    assert comparison.to_frame()["group"].tolist() == ["top", "middle", "bottom", "random"]


def test_crystal_with_ties_is_handled():
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    counts = optimal_cycles(Glass(basis * 4.0, [29] * 4, np.eye(3) * 4.0))
    assert counts.birth == pytest.approx(np.sqrt(0.5) * 2.0)
    assert counts.length.min() >= 3


@pytest.mark.slow
def test_published_glass_has_the_known_number_of_rings(published):
    glass = published("train6")
    counts = cycles_of(glass)
    # HomCloud finds 16 818 periodic H1 pairs in a published glass of 3 000 atoms: 5.6 an atom.
    assert len(counts) / len(glass) == pytest.approx(5.6, abs=0.15)
