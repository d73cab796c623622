from __future__ import annotations

from collections import Counter
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from symgnn_explain.analysis.networks.field_bonds import rewire
from symgnn_explain.analysis.networks.graph_statistics import (
    MOTIFS,
    GraphBatch,
    centralities,
    statistics,
)

DEGREES = {
    (1, 1, 2): "open triad",
    (2, 2, 2): "triangle",
    (1, 1, 2, 2): "path",
    (1, 1, 1, 3): "star",
    (2, 2, 2, 2): "square",
    (1, 2, 2, 3): "tailed triangle",
    (2, 2, 3, 3): "diamond",
    (3, 3, 3, 3): "tetrahedron",
}


def random_graphs(seed, n_graphs, n_nodes, n_edges):
    """Graphs of as many edges each, and the ends of these."""
    graphs = [nx.gnm_random_graph(n_nodes, n_edges, seed=seed + number) for number in range(n_graphs)]
    ends = np.array([list(graph.edges) for graph in graphs])
    made = [nx.Graph(graph.edges) for graph in graphs]  # without lone nodes
    return made, ends[..., 0], ends[..., 1]


def census(graph):
    found = dict.fromkeys(MOTIFS, 0)
    for size in (3, 4):
        for nodes in combinations(graph, size):
            part = graph.subgraph(nodes)
            if nx.is_connected(part):
                found[DEGREES[tuple(sorted(dict(part.degree).values()))]] += 1
    return found


def expected_statistics(graph):
    nx.set_node_attributes(graph, {node: node % 3 for node in graph}, "kind")
    n_components = nx.number_connected_components(graph)
    return {
        ("size", "atoms"): len(graph),
        ("size", "components"): n_components,
        ("size", "share of atoms in the largest component"): max(map(len, nx.connected_components(graph))) / len(graph),
        ("size", "independent cycles"): len(nx.cycle_basis(graph)),
        ("clustering", "mean clustering"): nx.average_clustering(graph),
        ("clustering", "transitivity"): nx.transitivity(graph),
        ("assortativity", "species"): nx.attribute_assortativity_coefficient(graph, "kind"),
        ("centrality", "largest degree"): max(dict(graph.degree).values()),
        ("centrality", "mean closeness"): np.mean(list(nx.closeness_centrality(graph).values())),
        ("centrality", "largest betweenness"): max(nx.betweenness_centrality(graph).values()),
        ("centrality", "efficiency"): nx.global_efficiency(graph),
        ("core", "largest core number"): max(nx.core_number(graph).values()),
        **{("motif", name): count for name, count in census(graph).items()},
    }


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_nodes=st.integers(5, 14), density=st.floats(0.15, 1.0))
def test_statistics_of_a_batch_are_those_of_networkx(seed, n_nodes, density):
    n_edges = max(2, int(density * n_nodes * (n_nodes - 1) / 2))
    graphs, first, second = random_graphs(seed, 4, n_nodes, n_edges)
    batch = GraphBatch.of(first, second)
    found = statistics(batch, batch.label % 3)
    for number, graph in enumerate(graphs):
        for key, value in expected_statistics(graph).items():
            assert found[key][number] == pytest.approx(value, nan_ok=True), key


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_values_of_nodes_are_those_of_networkx(seed):
    graphs, first, second = random_graphs(seed, 3, 25, 40)
    batch = GraphBatch.of(first, second)
    closeness, betweenness, _ = centralities(batch)
    for number, graph in enumerate(graphs):
        mine = np.flatnonzero(batch.owner == number)
        nodes = batch.label[mine].tolist()
        for values, expected in (
            (closeness, nx.closeness_centrality(graph)),
            (betweenness, nx.betweenness_centrality(graph)),
        ):
            assert values[mine].tolist() == pytest.approx([expected[node] for node in nodes])


def test_degree_assortativity_is_that_of_networkx():
    graphs, first, second = random_graphs(5, 6, 20, 35)
    batch = GraphBatch.of(first, second)
    found = statistics(batch, batch.label * 0)
    for number, graph in enumerate(graphs):
        expected = nx.degree_pearson_correlation_coefficient(graph)
        assert found["assortativity", "degree"][number] == pytest.approx(expected)
    assert np.isnan(found["assortativity", "species"]).all()  # there is one species only
    ring = GraphBatch.of(np.arange(5)[None], np.roll(np.arange(5), 1)[None])
    assert np.isnan(statistics(ring, ring.label)["assortativity", "degree"]).all()


def test_parallel_edges_count_once():
    once = GraphBatch.of(np.array([[0, 1, 2]]), np.array([[1, 2, 0]]))
    twice = GraphBatch.of(np.array([[0, 1, 2, 0, 1]]), np.array([[1, 2, 0, 1, 0]]))
    for key, values in statistics(once, once.label).items():
        np.testing.assert_array_equal(values, statistics(twice, twice.label)[key])


def test_rewired_graphs_keep_their_degrees_and_stay_simple():
    graph = nx.gnm_random_graph(30, 50, seed=2)
    edges = np.array(graph.edges)
    first, second = rewire(edges[:, 0], edges[:, 1], 20, np.random.default_rng(0))
    original = {frozenset(edge) for edge in graph.edges}
    for one, other in zip(first, second, strict=True):
        rewired = nx.Graph(list(zip(one.tolist(), other.tolist(), strict=True)))
        assert rewired.number_of_edges() == 50
        assert nx.number_of_selfloops(rewired) == 0
        assert dict(rewired.degree) == {node: degree for node, degree in graph.degree if degree}
        assert len(original & {frozenset(edge) for edge in rewired.edges}) < 25


def test_rewiring_reaches_every_graph_equally_often():
    # A path of five nodes: its degrees leave six paths, and a triangle with a bond apart.
    first, second = rewire(np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4]), 6000, np.random.default_rng(1))
    graphs = Counter(
        frozenset(frozenset(edge) for edge in zip(one, other, strict=True))
        for one, other in zip(first.tolist(), second.tolist(), strict=True)
    )
    assert len(graphs) == 7
    assert chisquare(list(graphs.values())).pvalue > 0.001
