from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from symgnn_explain.analysis.networks.field_bonds import field_bonds
from symgnn_explain.analysis.networks.network_analysis import BOND_NULLS, NULLS, network_analysis
from symgnn_explain.analysis.networks.structure_network import BondNetwork, bond_network
from symgnn_explain.analysis.topology.alpha import name_bonds
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting.networks import network_figure
from symgnn_explain.structure.glass import Glass


@pytest.fixture(scope="module")
def large(random_glass) -> Glass:
    return random_glass(9, seed=3)


@pytest.fixture(scope="module")
def network(large) -> BondNetwork:
    return bond_network(large, cutoff=3.6, largest_ring=5)


@pytest.fixture(scope="module")
def whole(large, explain_by_hand) -> AtomExplanation:
    return explain_by_hand(large, 364)


def by_bond(explanation, glass, rng):
    """Random scores, the same along both directions of a bond."""
    named = name_bonds(glass, explanation.target, explanation.source, explanation.displacement)
    _, bond = np.unique(named, axis=0, return_inverse=True)
    score = rng.random(len(named))[bond.reshape(-1)] * ~explanation.is_self_loop
    return replace(explanation, score=score)


def test_both_directions_of_an_edge_are_one_bond(large, whole):
    bonds, candidates = field_bonds(whole, large, k=40)
    top = whole.top_edges(40)
    top = top[~top["self_loop"]]
    pairs = {frozenset(pair) for pair in zip(top["source"], top["target"], strict=True)}
    assert {frozenset(pair) for pair in bonds[candidates.chosen, :2].tolist()} == pairs
    everything = {
        frozenset(pair)
        for pair in zip(whole.source[~whole.is_self_loop], whole.target[~whole.is_self_loop], strict=True)
    }
    assert len(bonds) == len(everything)
    row = int(candidates.weight.argmax())
    first, second = bonds[row, :2]
    along = ((whole.source == first) & (whole.target == second)) | ((whole.source == second) & (whole.target == first))
    assert candidates.weight[row] == pytest.approx(np.abs(whole.score[along]).sum())
    assert candidates.attributes["distance"][row] == pytest.approx(whole.distance[along][0])
    assert set(candidates.attributes["hop_far"] - candidates.attributes["hop_near"]) <= {0, 1}


def test_matched_draws_have_the_lengths_and_hops_of_the_important_bonds(large, whole):
    _, candidates = field_bonds(whole, large, k=40)
    here, rng = np.flatnonzero(candidates.chosen), np.random.default_rng(0)
    near, length = (candidates.attributes[name] for name in ("hop_near", "distance"))
    rows = BOND_NULLS["matched"].draw(candidates, 50, rng).rows
    assert (near[rows] == near[here]).all()
    assert np.abs(length[rows] - length[here]).max() < 0.3
    assert all(len(set(row)) == len(here) for row in rows)
    anything = BOND_NULLS["random"].draw(candidates, 50, rng).rows
    assert (near[anything] != near[here]).any()


def test_analysis_describes_the_graph_of_the_important_bonds(large, whole, network):
    analysis = network_analysis(whole, large, network, k=60, draws=20)
    bonds, candidates = field_bonds(whole, large, k=60)
    graph = nx.Graph(bonds[candidates.chosen, :2].tolist())
    nx.set_node_attributes(graph, dict(enumerate(large.symbols)), "species")
    observed = analysis.statistics
    assert graph.number_of_edges() == analysis.n_bonds
    assert observed["size", "components"] == nx.number_connected_components(graph)
    assert observed["assortativity", "species"] == pytest.approx(
        nx.attribute_assortativity_coefficient(graph, "species")
    )
    assert observed["size", "independent cycles"] == len(nx.minimum_cycle_basis(graph))
    betweenness = max(nx.betweenness_centrality(graph).values())
    assert observed["centrality", "largest betweenness"] == pytest.approx(betweenness)
    assert observed["core", "largest core number"] == max(nx.core_number(graph).values())


def test_rings_of_the_structure_through_important_bonds_are_averaged(large, whole, network):
    analysis = network_analysis(whole, large, network, k=60, draws=20)
    bonds, candidates = field_bonds(whole, large, k=60)
    rows = network.rows_of(bonds[candidates.chosen])
    triangles = np.where(rows >= 0, network.primitive.per_bond[rows, 0], 0)
    assert analysis.statistics["structure", "primitive rings of 3 through a bond"] == pytest.approx(triangles.mean())
    share = analysis.statistics["structure", "share of bonds in the structure's network"]
    assert share == np.mean(candidates.attributes["distance"][candidates.chosen] <= 3.6)
    assert 0 < share < 1


def test_planted_cluster_is_found_by_the_geometric_nulls(large, whole, network):
    # All bonds between the atoms nearest to one that is not the explained one.
    centre = int(whole.source[whole.hop == 1][7])
    near = np.argsort(np.linalg.norm(large.displacements_from(centre), axis=1))[:8]
    inside = np.isin(whole.source, near) & np.isin(whole.target, near) & ~whole.is_self_loop
    planted = replace(whole, score=np.where(inside, 1.0, 0.0))
    table = network_analysis(planted, large, network, k=int(inside.sum()), draws=100).to_frame()
    for null in ("random", "matched"):
        rows = table[table["null"] == null].set_index(["group", "name"])
        for key in (("motif", "triangle"), ("clustering", "mean clustering"), ("core", "largest core number")):
            assert rows.loc[key, "observed"] > rows.loc[key, "null_high"]
            assert rows.loc[key, "p_value"] < 0.05
        assert rows.loc[("motif", "open triad"), "effect"] > 3
        assert rows.loc[("size", "atoms"), "observed"] < rows.loc[("size", "atoms"), "null_low"]


def test_degree_null_keeps_what_degrees_decide(large, whole, network):
    table = network_analysis(whole, large, network, k=60, draws=50).of_null("degree")
    fixed = {"atoms", "largest degree", "open triad"}
    assert not fixed & set(table["name"].where(table["group"] != "motif", ""))
    assert "structure" not in set(table["group"])
    assert "species" in set(table["name"])


def test_random_bonds_have_uniform_p_values(large, whole, network):
    p_values: dict[tuple[str, str], list[float]] = {}
    for seed in range(25):
        explanation = by_bond(whole, large, np.random.default_rng(seed))
        table = network_analysis(explanation, large, network, k=60, draws=79, seed=seed).to_frame()
        for row in table.query("name in ('species', 'efficiency') and null != 'degree'").itertuples():
            p_values.setdefault((str(row.null), str(row.name)), []).append(float(row.p_value))
    assert len(p_values) == 4
    for values in p_values.values():
        assert len(values) == 25
        assert kstest(values, "uniform").pvalue > 0.01


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_network_does_not_depend_on_how_the_glass_is_written_down(random_glass, explain_by_hand, rewritten, seed):
    glass = random_glass(7, seed=seed)
    other, place = rewritten(glass, seed)
    score = lambda e: np.exp(-((e.distance - 3.1) ** 2)) / (1 + e.hop)  # noqa: E731
    one, two = (
        network_analysis(
            explain_by_hand(each, int(atom), score=score),
            each,
            bond_network(each, cutoff=3.5, largest_ring=4),
            45,
            draws=5,
        )
        for each, atom in ((glass, 5), (other, place[5]))
    )
    assert dict(one.statistics) == pytest.approx(dict(two.statistics), nan_ok=True)


def test_narrow_cells_are_analysed_and_parallel_bonds_counted(random_glass, explain_by_hand):
    glass = random_glass(3, seed=1)
    explanation = explain_by_hand(glass, 4)
    analysis = network_analysis(explanation, glass, bond_network(glass, cutoff=3.4, largest_ring=4), k=150, draws=10)
    assert analysis.n_parallel > 0
    assert analysis.statistics["size", "atoms"] <= 27


def test_analysis_is_reproducible(large, whole, network):
    one, two = (network_analysis(whole, large, network, k=40, draws=30, seed=3) for _ in range(2))
    assert one.to_frame().equals(two.to_frame())
    assert set(one.to_frame()["null"]) == set(NULLS)
    assert (one.to_frame()["q_value"] >= one.to_frame()["p_value"]).all()


def test_single_bond_is_a_network(large, whole, network):
    top = int(whole.rank()[~whole.is_self_loop[whole.rank()]][0])
    single = replace(whole, score=np.where(np.arange(len(whole)) == top, 1.0, 0.0))
    analysis = network_analysis(single, large, network, k=1, draws=10)
    assert analysis.n_bonds == 1
    assert analysis.statistics["size", "independent cycles"] == 0
    assert not len(analysis.of_null("degree"))


def test_a_network_without_any_other_has_nothing_to_be_compared_with(explain_by_hand):
    glass = Glass([[1.0, 1, 1], [3.6, 1, 1]], [29, 40], np.eye(3) * 14)
    explanation = explain_by_hand(glass, 0)
    analysis = network_analysis(explanation, glass, bond_network(glass, cutoff=3.0), k=10, draws=10)
    assert analysis.n_bonds == 1
    assert not len(analysis.to_frame())
    assert not len(analysis.of_null("random"))
    assert len(network_figure(analysis).layout.shapes)


def test_bad_input_is_said(large, whole, network, random_glass, explain_by_hand):
    other = random_glass(6)
    with pytest.raises(InputError, match="another structure"):
        network_analysis(explain_by_hand(other, 3), other, network)
    with pytest.raises(InputError, match="another glass"):
        network_analysis(explain_by_hand(other, 3), large, network)
    loops = replace(whole, score=whole.is_self_loop * 1.0)
    with pytest.raises(InputError, match="larger k"):
        network_analysis(loops, large, network, k=5)
    with pytest.raises(InputError, match="choose from random"):
        network_analysis(whole, large, network, k=20, draws=10).of_null("nonsense")
