"""Methods of this toolkit inside PyG's ``Explainer``: on SymGNN with the fast engine, on other networks without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import GATv2Conv, GraphConv

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import METHODS, explain, prepare
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph, SlowEngineWarning
from symgnn_explain.explain.engine.trimmed_forward import TrimmedForward
from symgnn_explain.explain.pyg import FastExplainer
from symgnn_explain.structure.graph import build_graph

from .conftest import random_glass
from .test_explain import QUICK, assert_untouched, snapshot

REGRESSION = {"mode": "regression", "task_level": "node", "return_type": "raw"}


class AttentionNet(nn.Module):
    """Another architecture: PyG's own attention layers, with the displacements as edge features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = GATv2Conv(2, 5, edge_dim=3, add_self_loops=False)
        self.second = GATv2Conv(5, 1, edge_dim=3, add_self_loops=False)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.second(self.first(x, edge_index, edge_attr).tanh(), edge_index, edge_attr)


def explainer_of(model: nn.Module, algorithm: FastExplainer, **changes: object) -> Explainer:
    settings = {"explanation_type": "model", "edge_mask_type": "object", "model_config": REGRESSION}
    return Explainer(model, algorithm, **(settings | changes))


@pytest.fixture
def graph():
    return build_graph(random_glass(), cutoff=3.6, species=("Cu", "Zr"))


@pytest.mark.parametrize("method", sorted({*METHODS} - {"distance", "pg_explainer"}))
def test_it_finds_what_explain_finds(method, glass, predictor) -> None:
    settings = dict(QUICK[method])
    unit = settings.pop("unit", "edge")
    expected = explain(predictor, glass, 5, method, unit=unit, **settings)
    graph = predictor.graph(glass)
    before = snapshot(predictor.model)
    explainer = explainer_of(predictor.model, FastExplainer(method, unit=unit, **settings))
    found = explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=5)
    assert_untouched(predictor.model, before)
    edges = prepare(predictor, glass).masked_forward(5, "zero").field.edges
    np.testing.assert_allclose(found.edge_mask[edges].numpy(), expected.score, atol=1e-6)
    assert found.edge_mask.abs().sum() == pytest.approx(found.edge_mask[edges].abs().sum())


def test_a_model_of_another_architecture_is_explained_with_a_warning(graph) -> None:
    model = AttentionNet()
    before = snapshot(model)
    explainer = explainer_of(model, FastExplainer("gnnexplainer", epochs=200))
    with pytest.warns(SlowEngineWarning, match="AttentionNet is not a SymGNN"):
        found = explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=5)
    assert_untouched(model, before)
    with torch.no_grad():
        set_masks(model, found.edge_mask, graph.edge_index, apply_sigmoid=False)
        masked = model(graph.x, graph.edge_index, graph.edge_attr)[5]
        clear_masks(model)
        plain = model(graph.x, graph.edge_index, graph.edge_attr)
    assert float((masked - plain[5]).abs()) < 0.05 * float(plain.std())


def test_trimmed_forward_equals_the_whole_graph(graph) -> None:
    model = AttentionNet().double()
    graph.x, graph.edge_attr = graph.x.double(), graph.edge_attr.double()
    atoms = [5, 40, 5]
    forward = TrimmedForward(model, graph, atoms)
    mask = torch.rand(graph.num_edges, dtype=torch.float64, requires_grad=True)
    set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
    plain = model(graph.x, graph.edge_index, graph.edge_attr)[atoms, 0]
    clear_masks(model)
    trimmed = forward(mask[forward.field.edges])
    torch.testing.assert_close(trimmed, plain)
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    (expected,) = torch.autograd.grad(plain @ weight, mask)
    (gradient,) = torch.autograd.grad(trimmed @ weight, mask)
    torch.testing.assert_close(gradient, expected)


def test_networks_without_one_number_a_node_or_without_messages_are_refused(graph) -> None:
    with pytest.raises(InputError, match="expected one number an atom"), pytest.warns(SlowEngineWarning):
        PreparedGraph.of(GraphConvNet(2), graph.__class__(x=graph.x, edge_index=graph.edge_index))
    with pytest.raises(InputError, match="no PyG message passing layer"):
        TrimmedForward(nn.Linear(2, 1), graph, 0)
    with pytest.raises(InputError, match="masked with 'zero' alone"):
        TrimmedForward(AttentionNet(), graph, 0, semantics="reference")


class GraphConvNet(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = GraphConv(2, outputs)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layer(x, edge_index)


def test_settings_that_it_cannot_honour_are_refused_as_pyg_does(predictor) -> None:
    for changes in (
        {"model_config": {"mode": "multiclass_classification", "task_level": "node", "return_type": "raw"}},
        {"model_config": {"mode": "regression", "task_level": "graph", "return_type": "raw"}},
        {"explanation_type": "phenomenon"},
        {"node_mask_type": "attributes"},
    ):
        with pytest.raises(ValueError, match="does not support the given explanation settings"):
            explainer_of(predictor.model, FastExplainer(), **changes)


def test_bad_requests_end_in_one_sentence(predictor, graph) -> None:
    with pytest.raises(InputError, match="is unknown"):
        FastExplainer("magic")
    explainer = explainer_of(predictor.model, FastExplainer(epochs=3))
    for index, said in ((None, "must name the one node"), (torch.tensor([1, 2]), "must name"), (999, "does not exist")):
        with pytest.raises(InputError, match=said):
            explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=index)
    explainer = explainer_of(predictor.model, FastExplainer("gnnexplainer", unit="bond"))
    with pytest.raises(InputError, match="needs a structure"):
        explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=3)


def test_it_can_be_cancelled(predictor, graph) -> None:
    class Always:
        def is_set(self) -> bool:
            return True

    explainer = explainer_of(predictor.model, FastExplainer(cancel=Always()))
    with pytest.raises(Cancelled):
        explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=3)


def test_pygs_own_explainer_still_runs_afterwards(predictor, graph) -> None:
    arguments = {"edge_attr": graph.edge_attr, "index": 5}
    explainer_of(predictor.model, FastExplainer(epochs=3))(graph.x, graph.edge_index, **arguments)
    found = explainer_of(predictor.model, GNNExplainer(epochs=3))(graph.x, graph.edge_index, **arguments)
    assert found.edge_mask.sum() > 0
