"""PyG's own explainers drive SymGNN as it is, and mask the edges that they mean."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer, ModelConfig
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph

ATOM = 5
REGRESSION = ModelConfig(mode="regression", task_level="node", return_type="raw")


@pytest.fixture
def model(tiny_predictor: Predictor) -> SymGNN:
    """A copy: PyG's explainers change the model that they are given."""
    return copy.deepcopy(tiny_predictor.model)


@pytest.fixture
def graph(tiny_predictor: Predictor, random_glass: Callable[..., Glass]) -> Data:
    return tiny_predictor.graph(random_glass(3))


def forward(model: SymGNN, graph: Data) -> Tensor:
    with torch.no_grad():
        return model(graph.x, graph.edge_index, graph.edge_attr)


class TestMasks:
    @pytest.fixture
    def masked(self, scramble: Any, random_glass: Callable[..., Glass]) -> Iterator[tuple[SymGNN, Data, Tensor]]:
        model = scramble(SymGNN(SymGNNConfig(dim=4, heads=(3, 2, 1), inference_samples=2, decoder_layers=1)))
        graph = build_graph(random_glass(2), cutoff=5.0, species=("Cu", "Zr"))
        graph = graph.apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
        mask = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        yield model, graph, mask
        clear_masks(model)

    @pytest.mark.parametrize("apply_sigmoid", [False, True])
    def test_multiply_the_messages_of_their_own_edges(
        self, masked: tuple[SymGNN, Data, Tensor], reference: Any, *, apply_sigmoid: bool
    ) -> None:
        model, graph, mask = masked
        set_masks(model, mask, graph.edge_index, apply_sigmoid=apply_sigmoid)
        weights = mask.sigmoid() if apply_sigmoid else mask
        expected = reference(model)(
            graph.x.numpy(), graph.edge_index.T.numpy(), graph.edge_attr.numpy(), weights.numpy()
        )
        np.testing.assert_allclose(forward(model, graph), expected, rtol=1e-9, atol=1e-10)

    def test_of_ones_change_nothing_and_are_cleared(self, masked: tuple[SymGNN, Data, Tensor]) -> None:
        model, graph, mask = masked
        expected = forward(model, graph)
        set_masks(model, torch.ones_like(mask), graph.edge_index, apply_sigmoid=False)
        torch.testing.assert_close(forward(model, graph), expected)
        set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
        assert (forward(model, graph) - expected).abs().max() > 1e-3
        clear_masks(model)
        torch.testing.assert_close(forward(model, graph), expected)

    def test_of_self_loops_count_as_any_other(self, masked: tuple[SymGNN, Data, Tensor], reference: Any) -> None:
        model, graph, _ = masked
        loops = (graph.edge_index[0] == graph.edge_index[1]) & (graph.edge_attr == 0).all(1)
        mask = (~loops).double()
        set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
        expected = reference(model)(graph.x.numpy(), graph.edge_index.T.numpy(), graph.edge_attr.numpy(), mask.numpy())
        np.testing.assert_allclose(forward(model, graph), expected, rtol=1e-9, atol=1e-10)


class TestExplainers:
    def test_gnn_explainer_runs(self, model: SymGNN, graph: Data) -> None:
        explainer = Explainer(
            model,
            algorithm=GNNExplainer(epochs=30, lr=0.05),
            explanation_type="model",
            edge_mask_type="object",
            model_config=REGRESSION,
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            explanation = explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=ATOM)
        assert explanation.edge_mask.shape == (graph.num_edges,)
        assert 0 < explanation.edge_mask.max() <= 1
        reached = explanation.edge_mask > 0
        assert reached[graph.edge_index[1] == ATOM].all()

    def test_gnn_explainer_leaves_out_what_the_atom_cannot_see(self, model: SymGNN) -> None:
        chain = Glass(
            positions=[[4.0 * k, 0, 0] for k in range(8)], numbers=[29, 40] * 4, cell=np.diag([40.0, 20, 20]), pbc=False
        )
        graph = build_graph(chain, cutoff=5.0, species=("Cu", "Zr"))
        explainer = Explainer(
            model,
            algorithm=GNNExplainer(epochs=3),
            explanation_type="model",
            edge_mask_type="object",
            model_config=REGRESSION,
        )
        explanation = explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=0)
        hops = len(model.config.heads)
        seen = graph.edge_index[1] < hops  # atom k is k hops from atom 0; an edge is seen where its target is
        assert torch.equal(explanation.edge_mask > 0, seen)

    def test_captum_integrated_gradients_run_and_are_complete(self, model: SymGNN, graph: Data) -> None:
        explainer = Explainer(
            model,
            algorithm=CaptumExplainer("IntegratedGradients", n_steps=100),
            explanation_type="model",
            edge_mask_type="object",
            model_config=REGRESSION,
        )
        expected = forward(model, graph)[ATOM]
        explanation = explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=ATOM)
        assert explanation.edge_mask.shape == (graph.num_edges,)
        clear_masks(model)
        set_masks(model, torch.zeros(graph.num_edges), graph.edge_index, apply_sigmoid=False)
        without = forward(model, graph)[ATOM]
        clear_masks(model)
        total = explanation.edge_mask.sum()
        assert total.item() == pytest.approx((expected - without).item(), rel=0.05, abs=2e-3)
