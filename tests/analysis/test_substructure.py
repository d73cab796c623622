from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.analysis.explained.substructure import open_topology
from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.analysis.topology.homology import compute_topology
from symgnn_explain.analysis.topology.of_glass import cycle_comparison, structure_topology
from symgnn_explain.errors import InputError
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path / "cycles")
    monkeypatch.setattr(topology, "_memory", {})


def test_whole_cluster_is_its_own_sub_structure(random_glass, explain_by_hand):
    cluster = random_glass(5, pbc=False)
    cut = open_topology(explain_by_hand(cluster, 0, cutoff=5.0, layers=9), cluster)
    assert not cut.glass.pbc.any()
    assert len(cut.placement.atoms) == len(cluster)
    whole = compute_topology(cluster, 4.5)
    for dimension in (0, 1, 2):
        np.testing.assert_allclose(
            cut.topology.persistence.diagram(dimension), whole.persistence.diagram(dimension), atol=1e-9
        )
    edges = neighbour_edges(cluster, 4.0)
    np.testing.assert_array_equal(cut.of_edges(*edges), whole.cycles.of_edges(cluster, *edges))


def test_short_rings_deep_inside_are_those_of_the_whole_structure(random_glass, explain_by_hand):
    glass = random_glass(10, seed=1)
    cut = open_topology(explain_by_hand(glass, 0, cutoff=5.0, layers=2), glass)
    whole = compute_topology(glass, 4.5)
    pairs = []
    for one, atom in ((cut.topology, cut.placement.rows_of(np.array([0]))), (whole, np.array([0]))):
        cycles = one.cycles
        on_bond = (cycles.first == atom) | (cycles.second == atom)
        through = np.unique(np.repeat(np.arange(len(cycles)), cycles.length)[on_bond[cycles.bond]])
        pairs.append(one.persistence.diagram(1)[through[one.cycles.length[through] <= 4]])
    assert len(pairs[0]) > 10
    np.testing.assert_allclose(*pairs, atol=1e-9)


def test_edges_across_the_cut_have_no_cycles(random_glass, explain_by_hand):
    glass = random_glass(4)  # 10 Å across: many images of each atom within reach
    cut = open_topology(explain_by_hand(glass, 0, cutoff=4.0, layers=2), glass)
    source, target, displacement = neighbour_edges(glass, 4.0)
    count = cut.of_edges(source, target, displacement)
    rows = cut.placement.rows_of(source), cut.placement.rows_of(target)
    between = cut.placement.position[rows[0]] - cut.placement.position[rows[1]]
    across = np.linalg.norm(between - displacement, axis=1) > 0.1
    assert across.any()
    assert (count[across] == 0).all()
    assert count.max() > 0
    glass = random_glass(8)
    elsewhere = open_topology(explain_by_hand(glass, 0, cutoff=4.0, layers=1), glass)
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
    with pytest.raises(InputError, match="another glass"):
        open_topology(explain_by_hand(glass, 0), random_glass(5, seed=1))
