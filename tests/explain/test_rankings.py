"""Attention and the null rankings: laws that they obey, and the same by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.models.predictor import Predictor

from .conftest import random_glass, random_model

ATOM = 9


def test_features_are_those_of_the_network(predictor, glass) -> None:
    prepared = prepare(predictor, glass)
    features, graph = prepared.features, prepared.graph
    np.testing.assert_allclose(predictor.model.decode(features.node).detach(), predictor.predict(glass), atol=1e-6)
    for layer, attention in zip(predictor.model.layers, features.attention, strict=True):
        assert attention.shape == (graph.num_edges, layer.heads)
        total = torch.zeros(len(glass), layer.heads).index_add(0, graph.edge_index[1], attention)
        torch.testing.assert_close(total, torch.ones_like(total))


def test_attention_of_the_first_layer_is_a_softmax_over_incoming_edges(predictor, glass) -> None:
    prepared, model = prepare(predictor, glass), predictor.model
    graph, layer = prepared.graph, model.layers[0]
    with torch.no_grad():
        node, edge = model.encode_nodes(graph.x), model.encode_edges(graph.edge_attr)
        for atom in (0, 30):
            into = torch.nonzero(graph.edge_index[1] == atom).squeeze(1)
            f = layer.from_source(node[graph.edge_index[0, into]]) + layer.from_target(node[atom])
            f = torch.nn.functional.leaky_relu(f + layer.from_edge(edge[into]), 0.01)
            logits = (f.view(len(into), layer.heads, layer.dim) * layer.attention_vector).sum(-1)
            torch.testing.assert_close(prepared.features.attention[0][into], logits.softmax(0))


def dense_attention(predictor: Predictor, glass) -> list[np.ndarray]:
    """Matrices (N, N) of each layer, averaged over heads: row i is where atom i looks."""
    prepared = prepare(predictor, glass)
    source, target = prepared.graph.edge_index.numpy()
    matrices = []
    for attention in prepared.features.attention:
        matrix = np.zeros((len(glass), len(glass)))
        np.add.at(matrix, (target, source), attention.double().mean(1).numpy())
        matrices.append(matrix)
    return matrices


def test_rollout_is_the_product_of_the_layers(predictor, glass) -> None:
    """Abnar and Zuidema's matrix product, cut at each layer: what enters there arrives by what comes after."""
    explanation = explain_atom(predictor, glass, ATOM, "attention")
    matrices = dense_attention(predictor, glass)
    after, expected = np.eye(len(glass))[ATOM], np.zeros((len(glass), len(glass)))
    for matrix in reversed(matrices):
        expected += 0.5 * after[:, None] * matrix / len(matrices)
        after = after @ (0.5 * matrix + 0.5 * np.eye(len(glass)))
    found = np.zeros_like(expected)
    np.add.at(found, (explanation.target, explanation.source), explanation.score)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert explanation.score.sum() == pytest.approx(0.5)
    assert not explanation.signed


def test_mean_attention_counts_layers_that_the_atom_depends_on(predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, ATOM, "attention", aggregation="mean")
    matrices, hops = dense_attention(predictor, glass), explanation.hop
    depth = len(matrices)
    expected = np.zeros((len(glass), len(glass)))
    hop_of = np.full(len(glass), depth)
    hop_of[explanation.target] = hops
    for layer, matrix in enumerate(matrices):
        expected += np.where(hop_of[:, None] <= depth - 1 - layer, matrix, 0) / depth
    found = np.zeros_like(expected)
    np.add.at(found, (explanation.target, explanation.source), explanation.score)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("unit", UNITS)
def test_the_shares_of_groups_sum_to_those_of_edges(unit, predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, ATOM, "attention", unit=unit)
    assert explanation.unit_score.sum() == pytest.approx(0.5)


def test_unknown_aggregation_is_refused(predictor, glass) -> None:
    with pytest.raises(InputError, match="choose rollout or mean"):
        explain_atom(predictor, glass, ATOM, "attention", aggregation="flow")


def test_nearest_first_follows_the_minimum_image(glass) -> None:
    predictor = Predictor(random_model(heads=(1, 1)), device="cpu")
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ glass.cell
    offsets = glass.positions[None] - glass.positions[ATOM] + images[:, None]
    of_atom = np.linalg.norm(offsets, axis=2).min(0)
    edges = explain_atom(predictor, glass, ATOM, "distance")
    both = (of_atom[edges.source] + of_atom[edges.target]) / 2
    np.testing.assert_allclose(edges.score, 1 - both / both.max(), atol=1e-9)
    atoms = explain_atom(predictor, glass, ATOM, "distance", unit="atom")
    of_unit = of_atom[atoms.units.table["atom"]]
    np.testing.assert_allclose(atoms.unit_score, 1 - of_unit / of_unit.max(), atol=1e-9)
    own = (edges.source == ATOM) & (edges.target == ATOM) & edges.is_self_loop
    assert edges.score[own] == 1.0


def test_distance_and_random_do_not_ask_the_network(glass) -> None:
    for method in ("distance", "random"):
        scores = [
            explain_atom(Predictor(random_model(seed), device="cpu"), glass, ATOM, method).score for seed in (0, 1)
        ]
        np.testing.assert_array_equal(*scores)


def test_random_scores_are_uniform() -> None:
    predictor = Predictor(random_model(), device="cpu")
    score = explain_atom(predictor, random_glass(150, edge=13.5), ATOM, "random").score
    assert len(score) > 1000
    share = np.histogram(score, bins=10, range=(0, 1))[0] / len(score)
    np.testing.assert_allclose(share, 0.1, atol=5 * np.sqrt(0.09 / len(score)))
