"""Sweeps over blocks of atoms: what the plain network predicts of the whole graph, for any cell and any cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, pairwise, starmap
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain import datasets
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import prepare
from symgnn_explain.models.calibration import Calibration
from symgnn_explain.models.chunked import receptive_field
from symgnn_explain.models.domain import neighbourhood_length
from symgnn_explain.models.ensemble import SymGNNEnsemble, SymGNNLike, predict_members, with_description
from symgnn_explain.models.folded import FoldedNodeEncoder
from symgnn_explain.models.messages import Senders, attend, attend_in_torch
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.sweep import blocks_of, sweep
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure import bins as bins_module
from symgnn_explain.structure.bins import Bins, Boxes, images_within, wrapped_into_cell
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph, neighbour_edges
from tests.explain.reference_messages import predict_with_references

DESCRIBED = SymGNNConfig(
    dim=6,
    heads=(2, 1),
    cutoff=4.5,
    distribution="none",
    radial_basis=4,
    environment_radial=5,
    environment_degree=2,
    environment_far=3,
    environment_reach=7.0,
    environment_width=8,
    decoder_layers=1,
)
PUBLISHED = SymGNNConfig(dim=4, heads=(3, 2, 1), cutoff=3.6, radial_basis=0, inference_samples=2, decoder_layers=2)


def network(config: SymGNNConfig, seed: int) -> SymGNN:
    """A network whose normalisations have seen something."""
    torch.manual_seed(seed)
    model = SymGNN(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.normal_(module.running_mean, std=0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.weight, mean=1.0, std=0.2)
    return model.eval()


def bounded(config: SymGNNConfig) -> SymGNN:
    """A network most of whose predictions leave the range of its labels."""
    model = network(config, 4)
    model.fit_labels(torch.tensor([-0.1, 0.0, 0.05]))
    return model


@pytest.fixture(scope="module")
def networks() -> dict[str, SymGNNLike]:
    members = [network(DESCRIBED, seed) for seed in range(2)]
    for member in members:
        member.environment.mean.copy_(torch.linspace(0, 2, member.environment.mean.numel()).view(2, -1))
    return {
        "ensemble": SymGNNEnsemble.of(members),
        "published": network(PUBLISHED, 2),
        "near": network(replace(DESCRIBED, environment_far=0, environment_degree=0), 3),
        "smooth": bounded(replace(DESCRIBED, environment_limit=2.0, smooth=True, bounded=True)),
        "smooth and near": network(replace(DESCRIBED, environment_far=0, smooth=True), 5),
        "sink": network(replace(PUBLISHED, attention_sink=True), 6),
    }


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_blocks_predict_what_the_whole_graph_does(
    random_glass: Callable[..., Glass], networks: dict[str, SymGNNLike], data: st.DataObject
) -> None:
    """Any cell, also narrower than the cut-off, any periodicity, atoms cells away from the cell, any cut."""
    model = networks[data.draw(st.sampled_from(sorted(networks)))]
    glass = random_glass(
        data.draw(st.integers(1, 4)),
        seed=data.draw(st.integers(0, 9)),
        shear=data.draw(st.sampled_from([0.0, 0.3, -0.4])),
        pbc=tuple(data.draw(st.lists(st.booleans(), min_size=3, max_size=3))),
    )
    moved = replace(glass, positions=glass.positions + data.draw(st.sampled_from([0.0, 7.3, -310.0])))
    found = sweep(model, moved, block_atoms=data.draw(st.sampled_from([6, 20, 1000])))
    graph = with_description(model, model.graph(moved))
    with torch.no_grad():
        expected = predict_members(model, graph).T.numpy()
        _, received = predict_with_references(model, graph)
    np.testing.assert_allclose(found.members, expected, rtol=2e-6, atol=2e-6)
    for own, other in zip(chain(*found.received), chain(*received), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)
    if model.describes:
        np.testing.assert_allclose(found.length, neighbourhood_length(model, graph), rtol=1e-5)
    else:
        assert found.length is None


def test_fewer_neighbours_than_the_network_sees_are_noticed(
    random_glass: Callable[..., Glass], networks: dict[str, SymGNNLike]
) -> None:
    """So that the test above can fail: the atoms beyond a block matter to nearly all predictions in it."""
    glass, model = replace(random_glass(5), barriers=None), networks["ensemble"]
    order, ends = blocks_of(glass, 40)
    whole = sweep(model, glass).members
    for core in starmap(slice, pairwise(ends)):
        alone = replace(glass, positions=glass.positions[order[core]], numbers=glass.numbers[order[core]], pbc=False)
        assert np.abs(sweep(model, alone).members - whole[order[core]]).max() > 1e-3


@pytest.mark.parametrize("pbc", [True, False])
def test_blocks_are_compact_and_of_about_the_size_asked_for(random_glass: Callable[..., Glass], pbc: bool) -> None:
    glass = random_glass(9, pbc=pbc)
    order, ends = blocks_of(glass, 100)
    assert np.array_equal(np.sort(order), np.arange(len(glass)))
    assert np.diff(ends).max() < 200
    scaled = glass.fractional() % 1.0 if pbc else glass.fractional()
    assert max(np.ptp(scaled[order[a:b]], axis=0).max() for a, b in pairwise(ends)) < 0.6


def test_the_shipped_network_says_the_same_in_blocks_and_in_any_number_of_threads() -> None:
    predictor, sample = Predictor.load(device="cpu"), datasets.sample()
    whole = predictor.predict_atoms(sample)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        parts = predictor.predict_atoms(sample, chunk_atoms=400)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    plain = predictor.predict_graph(predictor.graph(sample))
    np.testing.assert_allclose(whole.values, plain, rtol=0, atol=1e-6)


def test_preparing_says_what_predicting_does_and_predicts_once(
    random_glass: Callable[..., Glass], networks: dict[str, SymGNNLike], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, glass, other = networks["ensemble"], random_glass(4, seed=1), random_glass(3, seed=2)
    card = {"protocol": {"calibration": Calibration(0.1, 1.5).to_dict()}}
    predictor = Predictor(model, card, device="cpu")
    said = predictor.predict_atoms(glass)
    passes: list[int] = []
    encode = FoldedNodeEncoder.__call__
    monkeypatch.setattr(
        FoldedNodeEncoder, "__call__", lambda self, rows: passes.append(len(rows)) or encode(self, rows)
    )
    prepared = prepare(predictor, glass)
    assert sum(passes) == len(glass)
    np.testing.assert_allclose(prepared.predictions, said.values, rtol=0, atol=1e-6)
    np.testing.assert_allclose(prepared.spread, said.spread, rtol=0, atol=1e-6)
    assert prepared.domain is said.domain is None
    assert prepared.reference is not None
    referring = prepare(predictor, glass, reference=other)
    assert referring.reference is not None
    for own, expected in zip(referring.reference[0], prepare(predictor, other).reference[0], strict=True):
        torch.testing.assert_close(own, expected)
    assert not torch.equal(referring.reference[0][0], prepared.reference[0][0])


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_grows_to_one_and_may_stop_the_sweep(
    random_glass: Callable[..., Glass], networks: dict[str, SymGNNLike], threads: int
) -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled("enough")

    fractions: list[float] = []
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        sweep(networks["near"], random_glass(7), block_atoms=100, progress=fractions.append)
        with pytest.raises(Cancelled, match="enough"):
            sweep(networks["near"], random_glass(7), block_atoms=100, progress=stop)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(fractions) > 5
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"numbers": np.full(27, 79)}, "contains Au, but this predictor knows only Cu"),
        ({"positions": np.zeros((27, 3))}, "Å apart"),
        ({"cell": np.eye(3) * 2}, "its lengths are not in Å"),
    ],
)
def test_refusals(
    random_glass: Callable[..., Glass], networks: dict[str, SymGNNLike], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        sweep(networks["ensemble"], replace(random_glass(3), **changes))
    with pytest.raises(InputError, match="block_atoms=0 must be at least 1"):
        sweep(networks["ensemble"], random_glass(3), block_atoms=0)


@pytest.mark.parametrize("nothing", [-np.inf, 0.0])
@pytest.mark.parametrize("rounding", [0.0, 0.25])
def test_attention_is_the_same_compiled_and_in_torch(rounding: float, nothing: float) -> None:
    torch.manual_seed(0)
    first, n_edges = np.array([0, 3, 3, 9]), 9
    source = np.random.default_rng(0).integers(0, 5, n_edges).astype(np.int32)
    senders = Senders(torch.randn(2, 5, 4), torch.randn(2, 5, 3, 6), source)
    others = torch.randn(2, 3, 3, 6), torch.randn(2, 3, 6), first
    one = torch.randn(2, n_edges, 3, 6)
    other = one.clone()
    edges = {"fading": -torch.rand(n_edges) if rounding else torch.zeros(n_edges), "numbers": (rounding, nothing)}
    torch.testing.assert_close(
        attend(senders, *others, one, **edges), attend_in_torch(senders, *others, other, **edges), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(one, other)


def drawn_glass(random_glass: Callable[..., Glass], data: st.DataObject) -> Glass:
    """A small glass of any cell and periodicity, perhaps far outside of its cell."""
    glass = random_glass(
        data.draw(st.integers(1, 5)),
        seed=data.draw(st.integers(0, 9)),
        shear=data.draw(st.sampled_from([0.0, 0.4])),
        pbc=tuple(data.draw(st.lists(st.booleans(), min_size=3, max_size=3))),
    )
    return replace(glass, positions=glass.positions + data.draw(st.sampled_from([0.0, -55.0])))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_neighbours_of_a_part_are_those_of_the_whole(random_glass: Callable[..., Glass], data: st.DataObject) -> None:
    """Against vesin's list, which another test compares with ASE's."""
    moved = drawn_glass(random_glass, data)
    bins = Bins.of(moved, 7.0)
    atoms = np.random.default_rng(0).permutation(len(moved))[: data.draw(st.integers(1, len(moved)))]
    edges = bins.edges(atoms, 4.0)
    source, target, displacement = neighbour_edges(moved, 4.0)
    for place, atom in enumerate(atoms):
        own = slice(edges.first[place], edges.first[place + 1])
        np.testing.assert_array_equal(edges.source[own], source[target == atom])
        np.testing.assert_allclose(edges.displacement[own], displacement[target == atom], rtol=1e-6, atol=1e-6)
    first, other, distance = bins.pairs(atoms)
    source, target, displacement = neighbour_edges(moved, 7.0)
    expected = np.linalg.norm(displacement, axis=1)
    for place, atom in enumerate(atoms):
        own = slice(first[place], first[place + 1])
        there = (target == atom) & (expected > 0)
        np.testing.assert_allclose(np.sort(distance[own]), np.sort(expected[there]), rtol=1e-6)
        np.testing.assert_array_equal(np.sort(other[own]), np.sort(source[there]))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_boxes_hold_all_that_is_between_two_corners(random_glass: Callable[..., Glass], data: st.DataObject) -> None:
    """Also of small boxes, so that a small glass has many, and of corners far outside of the cell."""
    moved = drawn_glass(random_glass, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bins_module, "_BOX_EDGE", data.draw(st.sampled_from([0.7, 3.0, 8.0])))
        boxes = Boxes.of(moved)
    assert sorted(boxes.order) == list(range(len(moved)))
    low = np.array(data.draw(st.lists(st.floats(-2.5, 2.5), min_size=3, max_size=3)))
    high = low + np.array(data.draw(st.lists(st.floats(0, 1.5), min_size=3, max_size=3)))
    looked_at = boxes.between(low, high)
    assert (np.diff(looked_at) > 0).all()
    part, place, vectors = images_within(moved, low, high, wrapped_into_cell(moved, looked_at))
    expected = images_within(moved, low, high, wrapped_into_cell(moved))
    found, all_of_them = (
        {(int(atom), *vector.tolist()) for atom, vector in zip(atoms, shifts, strict=True)}
        for atoms, shifts in ((looked_at[part], vectors), (expected[0], expected[2]))
    )
    assert found == all_of_them
    assert len(part) == len(place) == len(found)


def test_descriptors_are_the_same_compiled_and_in_torch(random_glass: Callable[..., Glass]) -> None:
    glass = random_glass(3, shear=0.2)
    model = network(DESCRIBED, 0)
    graph = build_graph(glass, cutoff=4.5, species=("Cu", "Zr"), reach=7.0)
    bins = Bins.of(glass, 7.0)
    atoms = np.arange(len(glass))
    kinds = graph.x.argmax(1).numpy()
    expected = model.environment.raw(
        graph.x.double(), graph.edge_index, graph.edge_attr.double(), graph.pair_index, graph.pair_attr.double()
    )
    found = model.environment.raw_of(kinds, bins.edges(atoms, 4.5), bins.pairs(atoms))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_part_holds_its_receptive_field_and_no_more(random_glass: Callable[..., Glass]) -> None:
    """Every atom that is read is within the hops, every edge leads to one that sends on: checked by matrix powers."""
    graph = build_graph(random_glass(6), cutoff=3.6, species=("Cu", "Zr"))
    n_core, depth = 10, 3
    field, atoms = receptive_field(graph, torch.arange(n_core), depth)
    adjacency = torch.zeros(graph.num_nodes, graph.num_nodes)
    adjacency[graph.edge_index[1], graph.edge_index[0]] = 1
    hops = [torch.linalg.matrix_power(adjacency, k)[:n_core].sum(0) > 0 for k in range(depth + 1)]
    assert len(field.x) == hops[depth].sum()
    assert field.edge_index.shape[1] == hops[depth - 1][graph.edge_index[1]].sum()
    assert torch.equal(atoms, torch.nonzero(hops[depth]).squeeze(1))
    assert torch.equal(field.x, graph.x[atoms])
