"""What a mask means: against the network written out layer by layer, and against edges really taken away."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import scatter

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine import constant_messages, masked_layers
from symgnn_explain.explain.engine.edge_attention import (
    Asked,
    Attended,
    EdgeConstants,
    EdgeInputs,
    edge_attention,
    edge_attention_in_torch,
    weighted_sums_in_torch,
)
from symgnn_explain.explain.engine.masked_forward import MaskedForward
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.models.ensemble import describe_graph
from symgnn_explain.models.environment import fading
from symgnn_explain.models.symgnn import SymGNN
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph

from .conftest import double_graph, random_glass, random_model
from .reference_messages import predict_with_reference


def written_out(model: SymGNN, graph: Data, mask: Tensor, semantics: str, reference: list[Tensor]) -> Tensor:
    """The whole network on the whole graph, with what the mask means said in the plainest way."""
    source, target = graph.edge_index
    node, edge = model.encode_nodes(describe_graph(model, graph)), model.encode_edges(graph.edge_attr)
    fade = fading(graph.edge_attr.norm(dim=1), model.config.cutoff, 0.5)[:, None] if model.config.smooth else 1.0
    for number, layer in enumerate(model.attention_layers):
        ends = layer.from_source(node)[source] + layer.from_target(node)[target]
        hidden = layer.hidden(ends, edge)
        weight = (hidden * layer.attention_vector).sum(-1).exp() * fade
        left = weight * mask[:, None] if semantics == "removal" else weight
        total = scatter(left, target, dim=0, dim_size=len(node)) + float(model.config.attention_sink)
        share = left / total.clamp(min=1e-300)[target]
        message = layer.heads_of(layer.value(node))[source]
        if semantics == "zero":
            message = mask[:, None, None] * message
        if semantics == "reference":
            message = mask[:, None, None] * message + (1 - mask[:, None, None]) * reference[number]
        received = scatter(share[..., None] * message, target, dim=0, dim_size=len(node))
        node, edge = layer.update_node(node, received), layer.update_edge(edge, hidden)
    return model.decode(node)


def triclinic(glass: Glass) -> Glass:
    """The same fractional positions in a sheared cell."""
    shear = np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [-0.2, 0.25, 1.0]])
    return Glass(glass.positions @ shear, glass.numbers, glass.cell @ shear, name="triclinic")


def with_an_isolated_atom(glass: Glass) -> Glass:
    """A free cluster, and one atom beyond everybody's cut-off."""
    positions = np.vstack([glass.positions, glass.positions.max(0) + 20.0])
    cell = np.eye(3) * (np.ptp(positions, axis=0).max() + 20.0)
    return Glass(positions, [*glass.numbers, 29], cell, pbc=False, name="isolated")


STRUCTURES = {
    "cube": lambda seed: random_glass(40, seed=seed),
    "several images": lambda seed: random_glass(8, seed=seed, edge=5.1),
    "triclinic": lambda seed: triclinic(random_glass(40, seed=seed)),
    "isolated atom": lambda seed: with_an_isolated_atom(random_glass(30, seed=seed)),
}


@given(
    seed=st.integers(0, 1000),
    heads=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    dim=st.integers(2, 7),
    structure=st.sampled_from(sorted(STRUCTURES)),
    semantics=st.sampled_from(MASK_SEMANTICS),
    last=st.booleans(),
    sink=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_value_and_gradient_equal_the_network_written_out(seed, heads, dim, structure, semantics, last, sink) -> None:
    environment = ((0, 0, 0), (3, 0, 0), (4, 2, 3))[seed % 3]
    basis, smooth = (0, 2, 5)[seed % 3], seed % 2 == 1
    model = random_model(
        seed, heads=tuple(heads), dim=dim, radial_basis=basis, environment=environment, smooth=smooth, sink=sink
    ).double()
    glass = STRUCTURES[structure](seed)
    graph = double_graph(model, glass)
    atom = len(glass) - 1 if last else seed % len(glass)
    _, reference = predict_with_reference(model, graph)
    forward = MaskedForward(model, graph, atom, semantics=semantics, reference=[reference])
    torch.manual_seed(seed)
    mask = torch.rand(graph.num_edges, dtype=torch.float64, requires_grad=True)

    plain = written_out(model, graph, mask, semantics, reference)[atom]
    (plain_gradient,) = torch.autograd.grad(plain, mask)
    fast = forward(mask[forward.field.edges])
    (fast_gradient,) = torch.autograd.grad(fast, mask)

    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(fast_gradient, plain_gradient, rtol=1e-7, atol=1e-11)


@given(seed=st.integers(0, 1000), structure=st.sampled_from(sorted(STRUCTURES)), sink=st.booleans())
@settings(max_examples=20, deadline=None)
def test_removal_is_the_prediction_of_the_graph_without_the_edges(seed: int, structure: str, sink: bool) -> None:
    model = random_model(seed, sink=sink).double()
    graph = double_graph(model, STRUCTURES[structure](seed))
    kept = torch.from_numpy(np.random.default_rng(seed).random(graph.num_edges) < 0.6)
    forward = MaskedForward(model, graph, 3, semantics="removal")
    smaller = model(graph.x, graph.edge_index[:, kept], graph.edge_attr[kept])[3]
    torch.testing.assert_close(forward(kept.double()[forward.field.edges]), smaller, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
def test_a_mask_of_ones_changes_nothing(semantics: str) -> None:
    model = random_model().double()
    graph = double_graph(model, random_glass())
    barriers, reference = predict_with_reference(model, graph)
    torch.testing.assert_close(barriers, model(graph.x, graph.edge_index, graph.edge_attr), rtol=0, atol=0)
    for atom in (0, 7, 59):
        forward = MaskedForward(model, graph, atom, semantics=semantics, reference=[reference])
        torch.testing.assert_close(forward.original(), barriers[atom], rtol=1e-9, atol=1e-12)


def test_reference_messages_alone_tell_species_apart_and_nothing_else() -> None:
    """With every message replaced by the mean, an atom is its own species in an average environment."""
    model = random_model().double()
    glass = random_glass()
    graph = double_graph(model, glass)
    _, reference = predict_with_reference(model, graph)
    baselines = [
        float(MaskedForward(model, graph, atom, semantics="reference", reference=[reference]).baseline())
        for atom in range(20)
    ]
    for number in (29, 40):
        same = np.array(baselines)[glass.numbers[:20] == number]
        np.testing.assert_allclose(same, same[0], atol=1e-12)


@pytest.mark.parametrize("sink", [False, True])
def test_reference_messages_are_what_atoms_receive_on_average(sink: bool) -> None:
    model = random_model(sink=sink).double()
    graph = double_graph(model, random_glass())
    _, reference = predict_with_reference(model, graph)
    source, target = graph.edge_index
    layer, node, edge = model.attention_layers[0], model.encode_nodes(graph.x), model.encode_edges(graph.edge_attr)
    hidden = layer.hidden(layer.from_source(node)[source] + layer.from_target(node)[target], edge)
    attention = layer.attention(hidden, target, len(node))
    received = scatter(layer.heads_of(layer.value(node))[source] * attention[..., None], target, dim=0)
    attended = attention.sum(0)[:, None] / len(node)
    assert (attended < 0.99).all() == sink
    torch.testing.assert_close(reference[0] * attended, received.mean(0))


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
def test_atoms_explained_side_by_side_do_not_see_each_other(semantics: str) -> None:
    model = random_model().double()
    graph = double_graph(model, random_glass(200, edge=14.8))
    _, reference = predict_with_reference(model, graph)
    atoms = [5, 120, 5, 77]
    together = MaskedForward(model, graph, atoms, semantics=semantics, reference=[reference])
    mask = torch.rand(together.n_edges, dtype=torch.float64, requires_grad=True)
    values = together(mask)
    (gradient,) = torch.autograd.grad(values.sum(), mask)
    for place, atom in enumerate(atoms):
        alone = MaskedForward(model, graph, atom, semantics=semantics, reference=[reference])
        mine = together.field.owner == place
        torch.testing.assert_close(together.field.edges[mine], alone.field.edges)
        own = mask[mine].detach().requires_grad_()
        value = alone(own)
        torch.testing.assert_close(values[place], value, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(gradient[mine], torch.autograd.grad(value, own)[0], rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("rounding", [0.0, 0.25])
@pytest.mark.parametrize("nothing", [-np.inf, 0.0, 1.5])
@pytest.mark.parametrize("renormalise", [False, True])
def test_the_compiled_attention_equals_that_in_torch(renormalise: bool, nothing: float, rounding: float) -> None:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    members, n_targets, n_sources, n_edges, heads, width, n_hidden = 2, 6, 9, 40, 3, 4, 11
    # Nothing reaches the last target.
    target = torch.randint(n_targets - 1, (n_edges,), generator=generator).sort().values
    mask = torch.rand(members, n_edges, generator=generator, dtype=torch.float64)
    inputs = EdgeInputs(
        node=random(members, n_sources, 5),
        from_source=random(members, n_sources, heads, width),
        from_target=random(members, n_targets, heads, width),
        from_edge=random(members, n_edges, heads, width),
        mask=mask,
    )
    constants = EdgeConstants(
        vector=random(members, heads, width),
        fading=-random(n_edges).abs() if rounding else torch.zeros(n_edges, dtype=torch.float64),
        source=torch.randint(n_sources, (n_edges,), generator=generator),
        first_edge=torch.searchsorted(target, torch.arange(n_targets + 1)),
    )
    counts = not renormalise
    towards = Attended(
        random(members, n_targets, heads),
        random(members, n_targets if counts else 0, heads),
        random(members, n_targets, heads, 5),
        random(members, n_hidden, heads, width),
    )
    results = []
    for function in (edge_attention, edge_attention_in_torch):
        asked = Asked(rounding, nothing, n_hidden, renormalise=renormalise, counts=counts)
        found, pullback = function(inputs, constants, asked)
        _, pull_without = function(inputs, constants, asked._replace(towards_edges=False))
        gradients, without_edges = pullback(towards), pull_without(towards)
        assert without_edges.from_edge is None
        torch.testing.assert_close(without_edges, gradients._replace(from_edge=None), rtol=1e-12, atol=1e-12)
        results.append([*found, *gradients])
    for compiled, plain in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("function", [edge_attention, edge_attention_in_torch])
def test_removing_what_has_all_attention_leaves_the_rest(function) -> None:
    """In single precision the share of what is left underflows, unless it is told apart from what was removed."""
    given_tensors = torch.eye(2)[None], torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1, 1)
    from_edge = torch.tensor([200.0, 1.0, 2.0]).view(1, 3, 1, 1)
    ends, mask = (torch.tensor([0, 0, 1]), torch.tensor([0, 3])), torch.tensor([[0.0, 1.0, 1.0]])
    inputs = EdgeInputs(*given_tensors, from_edge, mask)
    constants = EdgeConstants(torch.ones(1, 1, 1), torch.zeros(3), *ends)
    found, pullback = function(inputs, constants, Asked(renormalise=True))
    share = 1 / (1 + np.exp(-1.0))
    torch.testing.assert_close(found.aggregated.flatten(), torch.tensor([1 - share, share], dtype=torch.float32))
    gradients = pullback(Attended(*(torch.ones_like(tensor) for tensor in found)))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
@pytest.mark.parametrize("environment", [(0, 0, 0), (3, 2, 3)])
@pytest.mark.parametrize("sink", [False, True])
def test_other_devices_compute_the_same(semantics, environment, sink, monkeypatch) -> None:
    """What is compiled for the CPU has a twin of PyTorch's operations, which runs here too."""
    model = random_model(environment=environment, smooth=any(environment), sink=sink).double()
    graph = double_graph(model, random_glass())
    _, reference = predict_with_reference(model, graph)
    found = []
    for twin in (False, True):
        if twin:
            monkeypatch.setattr(masked_layers, "edge_attention", edge_attention_in_torch)
            monkeypatch.setattr(constant_messages, "weighted_sums", weighted_sums_in_torch)
        forward = MaskedForward(model, graph, 3, semantics=semantics, reference=[reference])
        mask = torch.rand(
            forward.n_edges, generator=torch.Generator().manual_seed(0), dtype=torch.float64
        ).requires_grad_()
        prediction = forward(mask)
        found.append((prediction.detach(), *torch.autograd.grad(prediction, mask)))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def test_reference_without_messages_is_refused() -> None:
    model = random_model()
    graph = build_graph(random_glass(), cutoff=3.6, species=("Cu", "Zr"))
    with pytest.raises(InputError, match="need reference messages"):
        MaskedForward(model, graph, 0, semantics="reference")
