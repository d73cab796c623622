"""An ensemble under a mask: the plain forward of all its members, exactly."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.explain.engine.masked_forward import MaskedForward
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.sanity.randomised import cascade
from symgnn_explain.models.ensemble import SymGNNEnsemble, predict_graph, with_description
from symgnn_explain.models.predictor import Predictor

from .conftest import double_graph, random_glass, random_model
from .reference_messages import predict_with_references


def ensemble(seed: int = 0, n_members: int = 2, environment: tuple[int, int, int] = (3, 2, 3)) -> SymGNNEnsemble:
    members = [random_model(seed + number, heads=(2, 1), environment=environment) for number in range(n_members)]
    for member in members[1:]:
        if environment[0]:
            member.environment.load_state_dict(members[0].environment.state_dict())
    return SymGNNEnsemble.of(members)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(ensemble(), device="cpu")


@given(seed=st.integers(0, 1000), n_members=st.integers(2, 3), environment=st.sampled_from([(0, 0, 0), (3, 2, 3)]))
@settings(max_examples=8, deadline=None)
def test_value_and_gradient_equal_the_plain_forward(
    seed: int, n_members: int, environment: tuple[int, int, int]
) -> None:
    model, glass = ensemble(seed, n_members, environment).double(), random_glass(30, seed=seed)
    graph = double_graph(model, glass)
    atom = seed % len(glass)
    forward = MaskedForward(model, graph, atom)
    mask = torch.rand(graph.num_edges, dtype=torch.float64, requires_grad=True)

    set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
    plain = predict_graph(model, graph)[atom]
    clear_masks(model)
    (plain_gradient,) = torch.autograd.grad(plain, mask)
    fast = forward(mask[forward.field.edges])
    (fast_gradient,) = torch.autograd.grad(fast, mask)
    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(fast_gradient, plain_gradient, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
def test_it_is_the_mean_of_its_members(predictor, glass, semantics) -> None:
    graph = predictor.graph(glass)
    barriers, references = predict_with_references(predictor.model, graph)
    together = MaskedForward(predictor.model, graph, 7, semantics=semantics, reference=references)
    assert float(together.original()) == pytest.approx(float(barriers[7]), abs=1e-6)
    graph = with_description(predictor.model, graph)
    mask = torch.rand(together.n_edges)
    alone = [
        MaskedForward(member, graph, 7, semantics=semantics, reference=[reference])(mask)
        for member, reference in zip(predictor.model.symgnns, references, strict=True)
    ]
    torch.testing.assert_close(together(mask), torch.stack(alone).mean())


@pytest.mark.parametrize("method", ["gnnexplainer", "integrated_gradients", "attention", "random"])
def test_methods_explain_it_and_leave_it_alone(predictor, glass, method) -> None:
    before = copy.deepcopy(predictor.model.state_dict())
    options = {"epochs": 5} if method == "gnnexplainer" else {}
    explanation = explain_atom(predictor, glass, 11, method, **options)
    assert explanation.prediction == pytest.approx(predictor.predict(glass)[11], abs=1e-5)
    assert explanation.score.std() > 0
    for name, tensor in predictor.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_randomising_its_weights_leaves_none_trained(predictor, glass) -> None:
    stages = list(cascade(prepare(predictor, glass)))
    assert [stage for stage, _ in stages] == ["head", "layer 2", "layer 1", "encoders"]
    last = stages[-1][1].predictor.model
    for name, mine in predictor.model.named_parameters():
        if mine.dim() == 2:
            assert not torch.equal(mine, last.get_parameter(name)), name
    assert last.label_scale == predictor.model.label_scale
