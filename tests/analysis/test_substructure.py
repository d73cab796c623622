from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.explained.substructure import k_hop_atoms, open_topology
from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.analysis.topology.homology import compute_topology
from symgnn_explain.analysis.topology.of_glass import cycle_comparison, structure_topology
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path / "cycles")
    monkeypatch.setattr(topology, "_memory", {})


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 100), hops=st.integers(1, 3))
def test_atoms_of_the_sub_structure_are_within_so_many_bonds(random_glass, seed, hops):
    glass = random_glass(6, seed=seed)
    placed = k_hop_atoms(glass, 7, hops, 3.2)
    source, target, _ = neighbour_edges(glass, 3.2)
    graph = nx.Graph(zip(source.tolist(), target.tolist(), strict=True))
    hop_of = nx.single_source_shortest_path_length(graph, 7, cutoff=hops)
    assert dict(zip(placed.atoms.tolist(), placed.hop.tolist(), strict=True)) == hop_of
    shift = np.linalg.solve(glass.cell.T, (placed.position - (glass.positions[placed.atoms] - glass.positions[7])).T)
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)


def test_explanation_and_its_atom_have_the_same_sub_structure(random_glass, explain_by_hand):
    glass = random_glass(8)
    explanation = explain_by_hand(glass, 5, cutoff=4.0, layers=2)
    one = open_topology(explanation, glass)
    two = open_topology(5, glass, hops=2, cutoff=4.0)
    np.testing.assert_array_equal(one.placement.atoms, two.placement.atoms)
    np.testing.assert_array_equal(one.topology.cycles.birth, two.topology.cycles.birth)
    assert len(one.glass) == len(one.placement.atoms) < len(glass)
    assert not one.glass.pbc.any()


def test_whole_cluster_is_its_own_sub_structure(random_glass):
    cluster = random_glass(5, pbc=False)
    cut = open_topology(0, cluster, hops=50)
    assert len(cut.placement.atoms) == len(cluster)
    whole = compute_topology(cluster, "shortest", 4.5)
    for dimension in (0, 1, 2):
        np.testing.assert_allclose(
            cut.topology.persistence.diagram(dimension), whole.persistence.diagram(dimension), atol=1e-9
        )
    edges = neighbour_edges(cluster, 4.0)
    np.testing.assert_array_equal(cut.of_edges(*edges), whole.cycles.of_edges(cluster, *edges))
    some = [part[::31] for part in edges]
    np.testing.assert_array_equal(cut.through_edges(*some), whole.cycles.through_edges(cluster, *some))


def test_short_rings_deep_inside_are_those_of_the_whole_structure(random_glass):
    glass = random_glass(10, seed=1)
    cut = open_topology(0, glass, hops=2, cutoff=5.0)
    whole = compute_topology(glass, "shortest", 4.5)
    pairs = []
    for one, atom in ((cut.topology, cut.placement.rows_of(np.array([0]))), (whole, np.array([0]))):
        through = one.cycles.through_atoms(atom)
        pairs.append(one.persistence.diagram(1)[through[one.cycles.length[through] <= 4]])
    assert len(pairs[0]) > 10
    np.testing.assert_allclose(*pairs, atol=1e-9)


def test_edges_across_the_cut_have_no_cycles(random_glass):
    glass = random_glass(4)  # 10 Å across: many images of each atom within reach
    cut = open_topology(0, glass, hops=2, cutoff=4.0)
    source, target, displacement = neighbour_edges(glass, 4.0)
    count = cut.of_edges(source, target, displacement)
    rows = cut.placement.rows_of(source), cut.placement.rows_of(target)
    between = cut.placement.position[rows[0]] - cut.placement.position[rows[1]]
    across = np.linalg.norm(between - displacement, axis=1) > 0.1
    assert across.any()
    assert (count[across] == 0).all()
    assert count.max() > 0
    elsewhere = open_topology(0, random_glass(8), hops=1, cutoff=4.0)
    far = np.flatnonzero(~np.isin(np.arange(512), elsewhere.placement.atoms))[:1]
    assert elsewhere.of_edges(far, far, np.ones((1, 3))).tolist() == [0]


def test_open_comparison_counts_in_the_explanations_own_atoms(random_glass, explain_by_hand):
    glass = random_glass(8)
    explanation = explain_by_hand(glass, 5, cutoff=4.0)
    edges = explanation.source, explanation.target, explanation.displacement
    for boundary, cycles in (
        ("open", open_topology(explanation, glass).of_edges(*edges)),
        ("periodic", structure_topology(glass).cycles.of_edges(glass, *edges)),
    ):
        comparison = cycle_comparison(explanation, glass, k=10, boundary=boundary)
        top = explanation.rank()[~explanation.is_self_loop[explanation.rank()]][:10]
        assert comparison.group("top").mean == pytest.approx(cycles[top].mean())
    with pytest.raises(InputError, match="boundary='closed'"):
        cycle_comparison(explanation, glass, boundary="closed")


def test_what_cannot_be_cut_out_is_refused(random_glass, explain_by_hand):
    glass = random_glass(5)
    with pytest.raises(InputError, match="hops=0"):
        open_topology(0, glass, hops=0)
    with pytest.raises(InputError, match="does not exist"):
        open_topology(125, glass)
    with pytest.raises(InputError, match="another glass"):
        open_topology(explain_by_hand(glass, 0), random_glass(5, seed=1))
    far_apart = Glass([[0, 0, 0], [10, 10, 10]], [29, 29], np.eye(3) * 20)
    with pytest.raises(InputError, match="not all in a plane"):
        open_topology(0, far_apart)
