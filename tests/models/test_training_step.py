"""The compiled step of training, against PyTorch's own operations."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from symgnn_explain.models import training_step
from symgnn_explain.models.egat import EGATLayer


def graph(n_atoms: int, n_edges: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random features of atoms and edges; some atoms may hear nothing, and several edges join the same two."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(n_atoms, (2, n_edges), generator=generator)
    edge_index = ends[:, torch.argsort(ends[1], stable=True)]
    node, edge = (torch.randn(count, 5, generator=generator, dtype=torch.double) for count in (n_atoms, n_edges))
    return node, edge_index, edge


def layer(heads: int, seed: int, *, last: bool = False, smooth: bool = False, sink: bool = False) -> EGATLayer:
    torch.manual_seed(seed)
    made = EGATLayer(5, heads, last=last, smooth=smooth, sink=sink).double()
    for norm in (part for part in made.modules() if isinstance(part, torch.nn.BatchNorm1d)):
        torch.nn.init.normal_(norm.weight, mean=1.0)
        torch.nn.init.normal_(norm.bias)
    return made.train()


def trained(made: EGATLayer, given: tuple[Tensor, Tensor, Tensor], fading: Tensor | None) -> dict[str, Tensor]:
    """Outputs, gradients of a random function of them, and running statistics after one step."""
    node, edge_index, edge = given[0].clone().requires_grad_(), given[1], given[2].clone().requires_grad_()
    out_node, out_edge = made(node, edge_index, edge, fading)
    generator = torch.Generator().manual_seed(7)
    loss = (out_node * torch.randn(out_node.shape, generator=generator, dtype=torch.double)).sum()
    loss = loss + (out_edge * torch.randn(out_edge.shape, generator=generator, dtype=torch.double)).sum()
    loss.backward()
    gradients = {name: each.grad for name, each in made.named_parameters() if each.grad is not None}
    assert node.grad is not None
    assert edge.grad is not None
    seen = {"node": out_node, "edge": out_edge, "node.grad": node.grad, "edge.grad": edge.grad}
    return {**seen, **gradients, **dict(made.named_buffers())}


def both(
    made: EGATLayer, given: tuple[Tensor, Tensor, Tensor], fading: Tensor | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    plain = copy.deepcopy(made)
    plain.trains_compiled = lambda *_: False  # type: ignore[method-assign]
    assert made.trains_compiled(given[0], given[1])
    return trained(made, given, fading), trained(plain, given, fading)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-8, atol=1e-8, msg=lambda text, n=name: f"{n}: {text}")


@given(
    heads=st.integers(1, 4),
    n_atoms=st.integers(2, 30),
    n_edges=st.integers(3, 200),
    seed=st.integers(0, 99),
    last=st.booleans(),
    smooth=st.booleans(),
    sink=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_values_and_gradients_are_those_of_the_plain_layer(
    heads: int, n_atoms: int, n_edges: int, seed: int, last: bool, smooth: bool, sink: bool
) -> None:
    given_graph = graph(n_atoms, n_edges, seed)
    fading = -torch.rand(n_edges, dtype=torch.double) if smooth else None
    assert_equal(*both(layer(heads, seed, last=last, smooth=smooth, sink=sink), given_graph, fading))


def test_blocks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made, given_graph = layer(3, 1), graph(60, 900, 1)
    whole = trained(copy.deepcopy(made), given_graph, None)
    monkeypatch.setattr(training_step, "BLOCK_BYTES", 5 * 3 * 5 * 8)  # five edges
    cut = trained(copy.deepcopy(made), given_graph, None)
    assert_equal(cut, whole)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        shared = trained(copy.deepcopy(made), given_graph, None)
    finally:
        torch.set_num_threads(before)
    for name, values in cut.items():
        torch.testing.assert_close(shared[name], values, rtol=1e-11, atol=1e-13)


def test_without_momentum_running_statistics_are_means_over_steps() -> None:
    made, given_graph = layer(2, 3), graph(20, 90, 3)
    for norm in (part for part in made.modules() if isinstance(part, torch.nn.BatchNorm1d)):
        norm.momentum = None
    plain = copy.deepcopy(made)
    plain.trains_compiled = lambda *_: False  # type: ignore[method-assign]
    for other in (given_graph, graph(20, 90, 4)):
        found, expected = trained(made, other, None), trained(plain, other, None)
    assert_equal(found, expected)


def test_what_is_evaluated_explained_or_unsorted_stays_plain() -> None:
    made, (node, edge_index, _) = layer(2, 0), graph(10, 40, 0)
    assert made.trains_compiled(node, edge_index)
    assert not made.trains_compiled(node, edge_index.flip(1))
    with torch.autocast("cpu", torch.bfloat16):
        assert not made.trains_compiled(node, edge_index)
    assert not made.eval().trains_compiled(node, edge_index)
    made.train().explain = True
    assert not made.trains_compiled(node, edge_index)
