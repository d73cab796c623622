"""Methods of this toolkit inside PyG's ``Explainer``: on SymGNN with the fast engine, on other networks without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import GATv2Conv, GCNConv, GraphConv

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import METHODS, explain_atom, prepare
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph, SlowEngineWarning
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
    expected = explain_atom(predictor, glass, 5, method, unit=unit, **settings)
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


def test_networks_without_one_number_a_node_or_without_messages_are_refused(graph) -> None:
    bare = graph.__class__(x=graph.x, edge_index=graph.edge_index)
    for model, said in (
        (GraphConvNet(2), "expected one float an atom"),
        (Pointwise(), "no message passing layer of PyG"),
    ):
        with pytest.raises(InputError, match=said), pytest.warns(SlowEngineWarning):
            PreparedGraph.of(model, bare)


def test_an_isolated_node_has_no_edges_that_matter(graph) -> None:
    x = torch.cat([graph.x, graph.x[:1]])
    with pytest.warns(SlowEngineWarning):
        found = explainer_of(GraphConvNet(1), FastExplainer("saliency"))(x, graph.edge_index, index=len(graph.x))
    assert not found.edge_mask.any()


def test_a_network_that_adds_its_own_self_loops_is_masked_at_the_right_edges(graph) -> None:
    """Integrated Gradients under ``zero``: contributions sum to what the messages of the graph's edges change."""
    torch.manual_seed(0)
    model = GCNNet()
    with pytest.warns(SlowEngineWarning):
        found = explainer_of(model, FastExplainer("integrated_gradients"))(graph.x, graph.edge_index, index=5)
    order = torch.cat([(loop := graph.edge_index[0] == graph.edge_index[1]).logical_not().nonzero(), loop.nonzero()])
    ordered = graph.edge_index[:, order[:, 0]]  # self-loops last, in the order of atoms: where PyG puts them
    with torch.no_grad():
        set_masks(model, torch.zeros(graph.num_edges), ordered, apply_sigmoid=False)
        without = model(graph.x, ordered)[5, 0]
        clear_masks(model)
        original = model(graph.x, ordered)[5, 0]
    assert float(found.edge_mask.sum()) == pytest.approx(float(original - without), abs=1e-5)
    assert found.edge_mask[(graph.edge_index == 5).all(dim=0)].abs().sum() > 0


class GCNNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = GCNConv(2, 5), GCNConv(5, 1)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.second(self.first(x, edge_index).tanh(), edge_index)


class Pointwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:  # noqa: ARG002 - as PyG calls it
        return self.linear(x)


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
