"""The fast forward is the plain forward: same values, same gradients, for any mask, network and structure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.utils import k_hop_subgraph

from symgnn_explain.explain.engine.masked_forward import MaskedForward
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.models.ensemble import predict_graph
from symgnn_explain.structure.graph import build_graph

from .conftest import double_graph, random_glass, random_model


@given(
    seed=st.integers(0, 1000),
    heads=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    dim=st.integers(2, 7),
    edge=st.sampled_from([9.9, 7.0, 5.1]),
    environment=st.sampled_from([(0, 0, 0), (3, 0, 0), (4, 2, 3)]),
)
@settings(max_examples=25, deadline=None)
def test_value_and_gradient_equal_the_plain_forward(
    seed: int, heads: list[int], dim: int, edge: float, environment: tuple[int, int, int]
) -> None:
    """``edge=5.1`` with a cut-off of 3.6 Å gives several images of a neighbour, and of the atom itself."""
    basis = (0, 2, 5)[seed % 3]
    model = random_model(seed, heads=tuple(heads), dim=dim, radial_basis=basis, environment=environment).double()
    glass = random_glass(8 if edge < 6 else 40, seed=seed, edge=edge)
    graph = double_graph(model, glass)
    atom = seed % len(glass)
    forward = MaskedForward(model, graph, atom)
    logits = torch.randn(graph.num_edges, dtype=torch.float64, requires_grad=True)

    set_masks(model, logits, graph.edge_index, apply_sigmoid=True)
    plain = predict_graph(model, graph)[atom]
    clear_masks(model)
    (plain_gradient,) = torch.autograd.grad(plain, logits)
    fast = forward(logits.sigmoid()[forward.field.edges])
    (fast_gradient,) = torch.autograd.grad(fast, logits)

    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(fast_gradient, plain_gradient, rtol=1e-7, atol=1e-11)


def test_unmasked_forward_is_the_prediction(glass, predictor) -> None:
    graph, barriers = predictor.graph(glass), predictor.predict(glass)
    for atom in (0, 17, 59):
        assert float(MaskedForward(predictor.model, graph, atom).original()) == pytest.approx(barriers[atom], abs=1e-5)


@given(seed=st.integers(0, 10_000), n_layers=st.integers(1, 4), shuffled=st.booleans())
@settings(max_examples=50, deadline=None)
def test_receptive_field_equals_k_hop_subgraph(seed: int, n_layers: int, shuffled: bool) -> None:
    rng = np.random.default_rng(seed)
    n_atoms, n_edges = int(rng.integers(2, 30)), int(rng.integers(1, 80))
    edge_index = torch.from_numpy(rng.integers(0, n_atoms, (2, n_edges)))
    if not shuffled:
        edge_index = edge_index[:, torch.argsort(edge_index[1], stable=True)]
    atom = int(rng.integers(n_atoms))
    field = ReceptiveField.of(atom, edge_index, n_atoms, n_layers)

    for hops in range(n_layers + 1):
        nodes, *_ = k_hop_subgraph(atom, hops, edge_index, num_nodes=n_atoms)
        assert sorted(field.nodes[: field.n_nodes[hops]].tolist()) == sorted(nodes.tolist())
        if hops < n_layers:
            into = torch.isin(edge_index[1], nodes).nonzero().squeeze(1)
            assert sorted(field.edges[: field.n_edges[hops]].tolist()) == into.tolist()
    assert field.nodes[0] == atom
    assert torch.equal(field.nodes[field.source], edge_index[0, field.edges])
    assert torch.equal(field.nodes[field.target], edge_index[1, field.edges])


def test_an_edge_outside_the_receptive_field_does_not_matter() -> None:
    model = random_model(heads=(1, 1))
    glass = random_glass(300, edge=17.0)
    graph = build_graph(glass, cutoff=3.6, species=("Cu", "Zr"))
    forward = MaskedForward(model, graph, 0)
    outside = torch.ones(graph.num_edges)
    inside = torch.zeros(graph.num_edges, dtype=torch.bool)
    inside[forward.field.edges] = True
    assert 0 < forward.n_edges < graph.num_edges
    outside[~inside] = 0.0
    set_masks(model, outside, graph.edge_index, apply_sigmoid=False)
    masked = model(graph.x, graph.edge_index, graph.edge_attr)[0]
    clear_masks(model)
    torch.testing.assert_close(masked, model(graph.x, graph.edge_index, graph.edge_attr)[0])
