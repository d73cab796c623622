"""Captum's methods against other ways to the same numbers: enumeration, finite differences, PyG's masks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, explain_atom, prepare
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.methods import perturbation_methods
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import Glass

from .conftest import random_glass, random_model

SIGNED = ("input_gradient", "integrated_gradients", "feature_ablation", "shapley_sampling", "kernel_shap")
FEW = {"kernel_shap": {"samples": 60}, "shapley_sampling": {"permutations": 3}}
ATOM = 2


@pytest.fixture
def few_atoms() -> Glass:
    """Six atoms in a periodic cell, each of which sees several images of the others."""
    return random_glass(6, seed=4, edge=5.6)


@contextmanager
def plain_network(predictor: Predictor, glass: Glass, atom: int) -> Iterator[Any]:
    """The plain network over the whole graph, under a mask over all edges by PyG's own means."""
    graph, model = predictor.graph(glass), predictor.model

    def predict(mask: Tensor) -> float:
        set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
        with torch.no_grad():
            return float(model(graph.x, graph.edge_index, graph.edge_attr)[atom])

    try:
        yield predict, graph
    finally:
        clear_masks(model)


def run(method: str, prediction: MaskedPrediction, **settings: Any) -> UnitScores:
    return METHODS[method].run(prediction, METHODS[method].configure(**settings), Watch())


def shapley_values(predictor: Predictor, glass: Glass, atom: int) -> np.ndarray:
    """By their definition, over all subsets of atoms, with the plain network."""
    n = len(glass)
    with plain_network(predictor, glass, atom) as (predict, graph):
        value = {
            kept: predict(torch.isin(graph.edge_index[0], torch.tensor(kept, dtype=torch.long)).float())
            for size in range(n + 1)
            for kept in itertools.combinations(range(n), size)
        }
    scores = np.zeros(n)
    for kept, before in value.items():
        weight = (
            math.factorial(len(kept)) * math.factorial(n - len(kept) - 1) / math.factorial(n) if len(kept) < n else 0
        )
        for added in set(range(n)) - set(kept):
            scores[added] += weight * (value[tuple(sorted((*kept, added)))] - before)
    return scores


def test_shapley_sampling_tends_to_the_enumerated_values(predictor, few_atoms) -> None:
    exact = shapley_values(predictor, few_atoms, ATOM)
    prediction = prepare(predictor, few_atoms).masked_prediction(ATOM, semantics="zero", unit="atom")
    scores = run("shapley_sampling", prediction, permutations=60)
    assert np.abs(exact).max() > 1e-3
    assert (np.abs(scores.score - exact) < 4 * scores.spread / np.sqrt(60) + 1e-6).all()


def test_kernel_shap_tends_to_the_enumerated_values(predictor, few_atoms) -> None:
    exact = shapley_values(predictor, few_atoms, ATOM)
    prediction = prepare(predictor, few_atoms).masked_prediction(ATOM, semantics="zero", unit="atom")
    scores = run("kernel_shap", prediction, samples=1000).score
    np.testing.assert_allclose(scores, exact, atol=0.1 * np.abs(exact).max())


def test_feature_ablation_is_masking_one_edge_of_the_whole_graph(predictor, few_atoms) -> None:
    explanation = explain_atom(predictor, few_atoms, ATOM, "feature_ablation", semantics="zero")
    with plain_network(predictor, few_atoms, ATOM) as (predict, graph):
        edges = prepare(predictor, few_atoms).masked_forward(ATOM, "zero").field.edges
        whole = predict(torch.ones(graph.num_edges))
        for edge in range(0, len(edges), 7):
            alone = predict(torch.ones(graph.num_edges).index_fill(0, edges[edge : edge + 1], 0.0))
            assert explanation.score[edge] == pytest.approx(whole - alone, abs=2e-6)


def test_feature_ablation_under_removal_is_a_graph_without_the_atom_as_sender(predictor, few_atoms) -> None:
    explanation = explain_atom(predictor, few_atoms, ATOM, "feature_ablation", semantics="removal", unit="atom")
    graph, model = predictor.graph(few_atoms), predictor.model
    with torch.no_grad():
        whole = model(graph.x, graph.edge_index, graph.edge_attr)[ATOM]
        for atom, score in zip(explanation.units.table["atom"], explanation.unit_score, strict=True):
            kept = graph.edge_index[0] != atom
            without = model(graph.x, graph.edge_index[:, kept], graph.edge_attr[kept])[ATOM]
            assert score == pytest.approx(float(whole - without), abs=2e-6)


def test_input_gradient_is_the_finite_difference_of_the_plain_network(predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, ATOM, "input_gradient", semantics="zero")
    edges = prepare(predictor, glass).masked_forward(ATOM, "zero").field.edges
    step = 0.02
    with plain_network(predictor, glass, ATOM) as (predict, graph):
        ones = torch.ones(graph.num_edges)
        for edge in explanation.rank()[:8]:
            up, down = (ones.index_fill(0, edges[edge : edge + 1], 1 + sign * step) for sign in (1, -1))
            difference = (predict(up) - predict(down)) / (2 * step)
            assert explanation.score[edge] == pytest.approx(difference, rel=0.02)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
def test_saliency_is_the_size_of_the_gradient(semantics, predictor, glass) -> None:
    size = explain_atom(predictor, glass, ATOM, "saliency", semantics=semantics)
    signed = explain_atom(predictor, glass, ATOM, "input_gradient", semantics=semantics)
    np.testing.assert_allclose(
        size.score * size.diagnostics["largest_gradient"], np.abs(signed.score), rtol=1e-5, atol=1e-9
    )
    assert size.score.max() == 1.0


@pytest.mark.parametrize("method", ["shapley_sampling", "kernel_shap"])
@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
def test_shapley_values_are_complete(method, semantics, predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, ATOM, method, semantics=semantics, unit="polyhedron")
    change = explanation.prediction - explanation.diagnostics["baseline_prediction"]
    assert explanation.score.sum() == pytest.approx(change, abs=2e-5)
    assert explanation.diagnostics["completeness_error"] == pytest.approx(0, abs=2e-5)


class LinearPrediction:
    """Stands for a MaskedPrediction that is linear in the mask."""

    semantics, at_once, label_scale, forward = "reference", 1, 1.0, None

    def __init__(self, weight: Tensor) -> None:
        self.weight, self.n_units = weight, len(weight)
        self.units = SimpleNamespace(kind="edge")
        self.original, self.baseline = 0.7 + float(weight.sum()), 0.7

    def batch(self, masks: Tensor) -> Tensor:
        return masks @ self.weight + 0.7

    def full(self, value: float) -> Tensor:
        return torch.full((self.n_units,), value, dtype=self.weight.dtype)


@pytest.mark.parametrize("method", SIGNED)
@pytest.mark.parametrize("n_units", [1, 2, 9])
def test_all_signed_methods_agree_where_the_prediction_is_linear(method, n_units) -> None:
    weight = torch.randn(n_units, generator=torch.Generator().manual_seed(n_units), dtype=torch.float64)
    scores = run(method, LinearPrediction(weight))
    np.testing.assert_allclose(scores.score, weight.numpy(), atol=1e-5)
    assert scores.signed
    assert scores.diagnostics["completeness_error"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("method", ["shapley_sampling", "kernel_shap", "random"])
def test_random_numbers_are_the_methods_own(method, predictor, few_atoms) -> None:
    """Neither does the state of the process's generators matter, nor is it changed."""
    results, few = [], FEW.get(method, {})
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
            results.append(explain_atom(predictor, few_atoms, ATOM, method, unit="atom", seed=5, **few).score)
            assert torch.equal(torch.get_rng_state(), before)
            np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    np.testing.assert_array_equal(*results)
    another = explain_atom(predictor, few_atoms, ATOM, method, unit="atom", seed=6, **few).score
    assert not np.array_equal(another, results[0])


def test_spread_of_shapley_sampling_is_over_permutations(predictor, few_atoms) -> None:
    prediction = prepare(predictor, few_atoms).masked_prediction(ATOM, semantics="zero", unit="atom")
    assert run("shapley_sampling", prediction, permutations=1).spread is None
    assert run("shapley_sampling", prediction, permutations=5).spread.shape == (6,)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
@pytest.mark.parametrize("unit", ["edge", "atom"])
def test_masks_side_by_side_predict_what_each_predicts_alone(semantics, unit, glass) -> None:
    predictor = Predictor(random_model(heads=(2, 1, 2)), device="cpu")
    alone = prepare(predictor, glass).masked_prediction(ATOM, semantics=semantics, unit=unit)
    together = at_once(alone, 3)
    masks = torch.rand(7, alone.n_units, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.arange(1.0, 8.0)
    values, gradients = [], []
    for prediction in (alone, together):
        values.append(prediction.batch(masks))
        gradients.append(torch.autograd.grad(values[-1] @ weights, masks)[0])
    torch.testing.assert_close(values[1], values[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", SIGNED)
def test_methods_find_the_same_with_masks_side_by_side(method, predictor, few_atoms) -> None:
    alone = prepare(predictor, few_atoms).masked_prediction(ATOM, semantics="reference", unit="atom")
    few = FEW.get(method, {})
    np.testing.assert_allclose(run(method, at_once(alone, 4), **few).score, run(method, alone, **few).score, atol=2e-6)


def at_once(prediction: MaskedPrediction, count: int) -> MaskedPrediction:
    return MaskedPrediction(
        prediction.forward,
        prediction.units,
        source=prediction.source,
        target=prediction.target,
        displacement=prediction.displacement,
        prepared=prediction.prepared,
        atom=prediction.atom,
        at_once=count,
    )


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("gnnexplainer", "pg_explainer")])
def test_an_atom_that_nothing_reaches_is_explained_by_itself(method, predictor) -> None:
    lonely = Glass([[1.0, 1, 1], [9.0, 9, 9]], [29, 40], np.eye(3) * 20)
    explanation = explain_atom(predictor, lonely, 0, method)
    assert len(explanation) == 1
    assert explanation.is_self_loop.all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "integrated_gradients", "semantics": "removal"}, "choose 'reference' or 'zero'"),
        ({"method": "shapley_sampling"}, "at most 50 units"),
        ({"method": "kernel_shap"}, "coarser unit such as 'atom'"),
        ({"method": "kernel_shap", "unit": "shell", "samples": 3}, "are too few"),
        ({"method": "kernel_shap", "samples": -1}, "must not be negative"),
        ({"method": "shapley_sampling", "permutations": 0}, "at least 1"),
    ],
)
def test_what_has_no_meaning_or_no_end_is_refused(arguments, said, predictor, glass, monkeypatch) -> None:
    monkeypatch.setattr(perturbation_methods, "MOST_SHAPLEY_UNITS", 50)
    monkeypatch.setattr(perturbation_methods, "MOST_KERNEL_UNITS", 50)
    with pytest.raises(InputError, match=said):
        explain_atom(predictor, glass, ATOM, **arguments)
