"""GNNExplainer: both objectives, the constraint that the faithful one keeps, and several atoms at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

from symgnn_explain.errors import InputError
from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.explain.methods.gnn_explainer import GNNExplainerSettings, gnn_explainer, gnn_explainer_many
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import BARRIER
from symgnn_explain.runs.watch import Watch

from .conftest import random_glass, random_model


def test_gnn_explainer_follows_the_published_objective(predictor, glass) -> None:
    """Against the objective written out on the whole graph, with the plain network and PyG's masks."""
    atom, epochs = 7, 10
    settings = {"epochs": epochs, "learning_rate": 0.05, "size": 0.01, "entropy": 0.5, "seed": 2}
    explanation = explain_atom(predictor, glass, atom, "gnnexplainer_published", **settings)
    graph, model = predictor.graph(glass), predictor.model
    edges = ReceptiveField.of(atom, graph.edge_index, graph.num_nodes, len(model.layers)).edges
    logits = (torch.randn(len(edges), generator=torch.Generator().manual_seed(2)) * 0.1).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.05)
    original = model(graph.x, graph.edge_index, graph.edge_attr)[atom].detach()

    def masked_prediction() -> torch.Tensor:
        full = torch.ones(graph.num_edges).index_put((edges,), logits.sigmoid())
        set_masks(model, full, graph.edge_index, apply_sigmoid=False)
        prediction = model(graph.x, graph.edge_index, graph.edge_attr)[atom]
        clear_masks(model)
        return prediction

    for _ in range(epochs):
        m = logits.sigmoid()
        entropy = -(m * m.log() + (1 - m) * (1 - m).log()).mean()
        loss = ((masked_prediction() - original) / 0.3) ** 2 + 0.01 * m.sum() + 0.5 * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(explanation.score, logits.sigmoid().detach().numpy(), atol=2e-4)
    assert explanation.masked_prediction == pytest.approx(masked_prediction().item(), abs=1e-4)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
@pytest.mark.parametrize("unit", ["edge", "atom"])
def test_the_faithful_mask_keeps_the_prediction_and_is_small(semantics, unit) -> None:
    predictor = Predictor(random_model(3), device="cpu")
    glass = random_glass(seed=3)
    explanation = explain_atom(predictor, glass, 9, "gnnexplainer", semantics=semantics, unit=unit, epochs=400)
    assert abs(explanation.masked_change) < BARRIER.required_tolerance / 2
    assert explanation.unit_score.mean() < 0.3
    assert not any("not faithful" in caveat for caveat in explanation.caveats)


def test_a_large_size_term_loses_the_prediction_and_says_so(predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, 9, "gnnexplainer_published", size=1.0, learning_rate=0.5, epochs=60)
    assert explanation.unit_score.max() < 0.1
    predictor.model.label_scale.fill_(30.0)
    explanation = explain_atom(predictor, glass, 9, "gnnexplainer_published", size=1.0, learning_rate=0.5, epochs=60)
    assert abs(explanation.masked_change) > BARRIER.required_tolerance
    assert any("not faithful" in caveat for caveat in explanation.caveats)


def test_one_run_does_not_depend_on_the_seed_and_several_report_their_spread(predictor, glass) -> None:
    once = [explain_atom(predictor, glass, 5, "gnnexplainer", epochs=20, seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(once[0].score, once[1].score)
    assert once[0].spread is None
    often = [
        explain_atom(predictor, glass, 5, "gnnexplainer", epochs=20, repetitions=3, seed=seed) for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(often[0].score, often[1].score)
    assert not np.array_equal(often[0].score, often[2].score)
    assert often[0].spread.shape == often[0].score.shape
    assert often[0].spread.max() > 0


def test_it_stops_when_the_most_important_units_have_settled(predictor, glass) -> None:
    seen: list[float] = []
    early = explain_atom(predictor, glass, 5, "gnnexplainer", epochs=5000, progress=seen.append)
    assert 100 < early.diagnostics["epochs"] < 5000
    assert seen[-1] == 1.0
    late = explain_atom(predictor, glass, 5, "gnnexplainer", epochs=300, stop_early=False)
    assert late.diagnostics["epochs"] == 300


@pytest.mark.parametrize("unit", ["edge", "bond"])
def test_several_atoms_at_once_are_explained_as_one_by_one(unit) -> None:
    predictor, glass = Predictor(random_model(1), device="cpu"), random_glass(80, seed=1, edge=10.9)
    single = prepare(predictor, glass)
    predictor.model.double()
    graph = single.graph.apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
    prepared = replace(single, graph=graph, reference=[[message.double() for message in single.reference[0]]])
    predictions = [prepared.masked_prediction(atom, semantics="reference", unit=unit) for atom in (4, 60, 33)]
    settings = GNNExplainerSettings(epochs=170)
    together = gnn_explainer_many(predictions, settings, Watch())
    for prediction, scores in zip(predictions, together, strict=True):
        alone = gnn_explainer(prediction, settings, Watch())
        np.testing.assert_allclose(scores.score, alone.score, atol=1e-6)
        assert scores.diagnostics["epochs"] == alone.diagnostics["epochs"]
        assert scores.masked_prediction == pytest.approx(alone.masked_prediction, abs=1e-6)


def test_settings_that_cannot_be_used_are_refused() -> None:
    for wrong in ({"penalty": 0.0}, {"repetitions": 0}, {"epochs": 0}, {"learning_rate": -1.0}):
        with pytest.raises(InputError, match="must be positive"):
            GNNExplainerSettings(**wrong)
