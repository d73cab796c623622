"""Masks over pairs: against the network on descriptors that are summed pair by pair, and on graphs without pairs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import legval
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, AtomExplanation
from symgnn_explain.explain.engine.joint_prediction import JointPrediction
from symgnn_explain.explain.engine.masked_surroundings import ALONE
from symgnn_explain.explain.engine.pair_forward import PairForward, PairList
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.pyg import FastExplainer
from symgnn_explain.models.ensemble import SymGNNEnsemble
from symgnn_explain.models.environment import ANGULAR_CENTRES, ANGULAR_RANGE, ANGULAR_TAPER, ANGULAR_WIDTH, NEAREST
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN
from symgnn_explain.plotting import contribution_figure
from symgnn_explain.plotting.style import PALE_SAID
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import Glass

from .conftest import double_graph, random_glass, random_model
from .reference_messages import predict_with_reference
from .test_semantics import STRUCTURES, written_out


def described(model: SymGNN, graph: Data, pairs: PairList, mask: Tensor, *, replaced: bool) -> Tensor:
    """The descriptors of every atom, one after the other, each a sum over its neighbours as the module says."""
    env, config = model.environment, model.config
    source, target = pairs.index
    distance = pairs.vector.norm(dim=1)
    rows = []
    for atom in range(graph.num_nodes):
        mean = env.mean[graph.x[atom].argmax()]
        into = [int(p) for p in torch.nonzero((target == atom) & (distance > 0)).flatten()]
        near = [p for p in into if distance[p] <= config.cutoff]
        counted, end = near, config.cutoff
        if config.smooth and env.n_far:
            end = min(config.cutoff + 0.5, env.reach)
            counted = [p for p in into if distance[p] < end]
        columns = []
        density = partial(_density, graph.x[source], mask, replaced)

        width = (config.cutoff - NEAREST) / (env.n_radial - 1)
        centres = torch.arange(env.n_radial, dtype=mask.dtype) * width + NEAREST
        r = distance[counted][:, None]
        weight = torch.exp(-0.5 * ((r - centres) / width) ** 2)
        if config.smooth:
            weight = weight * smooth_step((end - r) / 0.5)
        columns.append(density(counted, weight, mean[: 2 * env.n_radial]))
        if env.degree:
            bent = [p for p in near if distance[p] < ANGULAR_RANGE]
            r = distance[bent][:, None]
            left = (ANGULAR_RANGE - r) / ANGULAR_TAPER
            fade = smooth_step(left) if config.smooth else (3 - 2 * left.clamp(0, 1)) * left.clamp(0, 1) ** 2
            radial = torch.exp(-0.5 * ((r - mask.new_tensor(ANGULAR_CENTRES)) / ANGULAR_WIDTH) ** 2) * fade
            channel = torch.cat([radial * graph.x[source[bent], s, None] for s in range(2)], dim=1)
            unit = pairs.vector[bent] / r
            first, second = np.triu_indices(6)
            weight = radial.sum(1) + ALONE
            average = mean[2 * env.n_radial :][: 21 * env.degree].view(env.degree, 21)
            for degree in range(1, env.degree + 1):
                angle = torch.from_numpy(legval((unit @ unit.T).numpy(), np.eye(4)[degree]))
                m = mask[bent]
                counts = (m[:, None] + m[None]) / 2 if replaced else m[:, None] * m[None]
                column = torch.einsum("pa,qb,pq->ab", channel, channel, counts * angle)[first, second]
                if replaced and bent:
                    column = column + ((1 - m) * weight).sum() / weight.sum() * average[degree - 1]
                columns.append(column)
        if env.n_far:
            width = (env.reach - config.cutoff + 0.4) / (env.n_far - 1)
            centres = config.cutoff - 0.4 + torch.arange(env.n_far, dtype=mask.dtype) * width
            far = into if config.smooth else [p for p in into if distance[p] > centres[0] - 4 * width]
            r = distance[far][:, None]
            weight = torch.exp(-0.5 * ((r - centres) / width) ** 2) * (1 + torch.cos(torch.pi * r / env.reach)) / 2
            if config.smooth:
                weight = weight * smooth_step(env.reach - r)
            columns.append(density(far, weight, mean[-2 * env.n_far :]))
        rows.append(torch.cat(columns))
    return env.features(graph.x, torch.stack(rows))


def smooth_step(left: Tensor) -> Tensor:
    """The polynomial from 0 to 1 with two derivatives that vanish at both ends."""
    left = left.clamp(0, 1)
    return 6 * left**5 - 15 * left**4 + 10 * left**3


def _density(there: Tensor, mask: Tensor, replaced: bool, which: list[int], weight: Tensor, mean: Tensor) -> Tensor:
    parted = (weight + ALONE) / (weight + ALONE).sum(0)
    total = torch.einsum("p,ps,pk->sk", mask[which], there[which], weight)
    if replaced:
        total = total + torch.einsum("p,pk,sk->sk", 1 - mask[which], parted, mean.view(2, -1))
    return total.flatten()


@given(
    seed=st.integers(0, 1000),
    depth=st.integers(1, 3),
    structure=st.sampled_from(sorted(STRUCTURES)),
    semantics=st.sampled_from(MASK_SEMANTICS),
    last=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_value_and_gradient_equal_the_plain_network_on_weighted_pairs(seed, depth, structure, semantics, last) -> None:
    environment = ((3, 0, 0), (4, 3, 0), (3, 2, 3))[seed % 3]
    model = random_model(
        seed, heads=(2, 1, 1)[:depth], dim=4, environment=environment, smooth=seed % 2 == 1, sink=seed % 3 == 2
    ).double()
    glass = STRUCTURES[structure](seed)
    graph = double_graph(model, glass)
    atom = len(glass) - 1 if last else seed % len(glass)
    _, reference = predict_with_reference(model, graph)
    pairs = PairList.of(graph)
    forward = PairForward(model.environment, [model], graph, pairs, atom, semantics=semantics, reference=[reference])
    torch.manual_seed(seed)
    mask = torch.rand(pairs.index.shape[1], dtype=torch.float64, requires_grad=True)

    graph.environment = described(model, graph, pairs, mask, replaced=semantics == "reference")
    of_edges = mask[as_edges(graph, pairs)]
    plain = written_out(model, graph, of_edges, semantics, reference)[atom]
    (plain_gradient,) = torch.autograd.grad(plain, mask)
    fast = forward(mask[forward.field.edges])
    (fast_gradient,) = torch.autograd.grad(fast, mask)

    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(fast_gradient, plain_gradient, rtol=1e-7, atol=1e-11)


def as_edges(graph: Data, pairs: PairList) -> Tensor:
    """Which pair each edge of the graph is."""

    def rows(index: Tensor, vector: Tensor) -> list[tuple[float, ...]]:
        return [tuple(row) for row in torch.cat([index.T.double(), vector], dim=1).tolist()]

    known = {row: number for number, row in enumerate(rows(pairs.index, pairs.vector))}
    return torch.tensor([known[row] for row in rows(graph.edge_index, graph.edge_attr)])


@given(seed=st.integers(0, 1000), structure=st.sampled_from(sorted(STRUCTURES)))
@settings(max_examples=8, deadline=None)
def test_removed_pairs_are_those_of_a_graph_without_them(seed: int, structure: str) -> None:
    model = random_model(seed, heads=(2, 1), dim=4, environment=(3, 2, 3)).double()
    graph = double_graph(model, STRUCTURES[structure](seed))
    pairs = PairList.of(graph)
    forward = PairForward(model.environment, [model], graph, pairs, 3, semantics="removal", reference=None)
    kept = torch.from_numpy(np.random.default_rng(seed).random(pairs.index.shape[1]) < 0.6)
    of_edges, listed = kept[as_edges(graph, pairs)], kept[: graph.pair_index.shape[1]]
    smaller = Data(
        x=graph.x,
        edge_index=graph.edge_index[:, of_edges],
        edge_attr=graph.edge_attr[of_edges],
        pair_index=graph.pair_index[:, listed],
        pair_attr=graph.pair_attr[listed],
    )
    expected = model.predict(smaller)[3]
    torch.testing.assert_close(forward(kept.double()[forward.field.edges]), expected, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def prepared() -> PreparedGlass:
    members = [random_model(seed, heads=(2, 1), dim=4, environment=(4, 2, 3)) for seed in range(2)]
    members[1].environment.load_state_dict(members[0].environment.state_dict())
    return prepare(Predictor(SymGNNEnsemble.of(members), device="cpu"), random_glass())


@pytest.mark.parametrize("semantics", ["zero", "reference"])
@pytest.mark.parametrize("unit", ["pair", "atom", "polyhedron", "shell"])
def test_contributions_of_integrated_gradients_are_complete(prepared, unit, semantics) -> None:
    found = prepared.explain(5, "integrated_gradients", unit=unit, semantics=semantics)
    everything = PairForward(
        prepared.model.environment, prepared.model.symgnns, prepared.graph, prepared.pairs, 5,
        semantics=semantics, reference=prepared.reference,
    )  # fmt: skip
    assert found.prediction == pytest.approx(prepared.predictions[5], abs=1e-6)
    assert found.score.sum() == pytest.approx(found.prediction - float(everything.baseline()), abs=1e-3)


def test_an_atom_without_neighbours_is_explained_by_itself(prepared) -> None:
    lonely = prepare(prepared.predictor, Glass([[1.0, 1, 1], [13.0, 13, 13]], [29, 40], np.eye(3) * 26))
    found = lonely.explain(0, "integrated_gradients", unit="pair")
    assert found.is_self_loop.all()
    expected = found.prediction - found.diagnostics["baseline_prediction"]
    assert found.score.sum() == pytest.approx(expected, abs=1e-3)
    assert found.member_spread is not None


def test_of_each_member_and_of_both_beside_each_other(prepared) -> None:
    """The mean of what members predict under a mask is the prediction; atoms side by side do not see each other."""
    whole = prepared.masked_prediction(5, semantics="reference", unit="pair")
    mask = torch.rand(whole.n_units, generator=torch.Generator().manual_seed(0))
    members = [prepared.masked_prediction(5, semantics="reference", unit="pair", member=one) for one in range(2)]
    torch.testing.assert_close(torch.stack([member(mask) for member in members]).mean(0), whole(mask))
    other = prepared.masked_prediction(9, semantics="reference", unit="pair")
    other_mask = torch.rand(other.n_units, generator=torch.Generator().manual_seed(1))
    together = JointPrediction([whole, other])(torch.cat([mask, other_mask]))
    torch.testing.assert_close(together, torch.stack([whole(mask), other(other_mask)]))


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
def test_masks_one_after_another_predict_what_each_predicts_alone(prepared, semantics) -> None:
    prediction = prepared.masked_prediction(5, semantics=semantics, unit="pair")
    order = np.random.default_rng(0).permutation(prediction.n_units)
    chosen = [order[:count] for count in (0, 1, 1, 30, 3)]
    masks = torch.stack([*map(prediction.keep, chosen), *map(prediction.remove, chosen)])
    with torch.no_grad():
        together = prediction.batch(masks)
    torch.testing.assert_close(together, torch.stack([prediction(mask) for mask in masks]), rtol=1e-6, atol=1e-6)
    assert len(set(together.tolist())) > 4


def test_a_network_without_descriptors_learns_from_messages_alone(glass) -> None:
    plain = prepare(Predictor(random_model(), device="cpu"), glass)
    pair, edge = (plain.masked_prediction(3, semantics="zero", unit=unit) for unit in ("pair", "edge"))
    mask = torch.rand(edge.n_units, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pair(mask), edge(mask), rtol=0, atol=0)


def test_a_graph_whose_edges_are_no_pairs_is_refused(prepared) -> None:
    other = prepared.graph.clone()
    other.pair_attr = other.pair_attr + 0.5
    with pytest.raises(InputError, match="none of its pairs"):
        PreparedGraph.of(prepared.model, other).masked_prediction(5, semantics="zero", unit="pair")


def test_contributions_resolved_by_distance_sum_to_all(prepared) -> None:
    found = prepared.explain(5, "integrated_gradients", unit="pair")
    table = found.by_distance(0.5)
    np.testing.assert_allclose(table["score"].sum(), found.score.sum(), atol=1e-12)
    np.testing.assert_allclose(table["raises"] + table["lowers"], table["score"], atol=1e-12)
    assert table["edges"].sum() == len(found)
    assert table["share"].sum() == pytest.approx(1.0)
    beyond = table["share"][table["inner"] >= 3.0].sum()
    assert found.share_beyond(3.0) == pytest.approx(beyond)
    for distance in (-1.0, float("nan")):
        with pytest.raises(InputError, match="must not be negative"):
            found.share_beyond(distance)
    figure = contribution_figure(found)
    assert {axis.type for axis in figure.select_xaxes()} == {"category"}  # a page would take 10-11 for a month
    waterfall = figure.data[-1]
    assert sum(waterfall.y[:-1]) == pytest.approx(found.prediction)
    # Its y under the pointer is where a step ends, which is not what a shell adds, or what is missing.
    ends = [place in {0, len(waterfall.x) - 1} for place in range(len(waterfall.x))]
    assert ["%{delta:+" not in said for said in waterfall.hovertemplate] == ends
    assert all("%{final:" in said and "%{y" not in said for said in waterfall.hovertemplate)


@pytest.mark.parametrize("semantics", ["zero", "reference"])
@pytest.mark.parametrize("unit", ["pair", "shell"])
def test_integration_over_descriptors_is_that_over_the_mask(prepared, unit, semantics) -> None:
    """Descriptors are polynomials of the mask: Captum over the mask, for all and for each member, says the same."""
    found = prepared.explain(5, "integrated_gradients", unit=unit, semantics=semantics, complete=False, steps=6)
    over_mask = []
    for member in (None, 0, 1):
        prediction = prepared.masked_prediction(5, semantics=semantics, unit=unit, member=member)
        captum = IntegratedGradients(prediction.batch)
        attribution = captum.attribute(
            prediction.full(1.0)[None], baselines=prediction.full(0.0)[None], n_steps=6, internal_batch_size=1
        )
        score = attribution.detach().squeeze(0).double().numpy()
        over_mask.append(prediction.units.spread_over_edges(score, share=True))
    scale = np.abs(found.score).max()
    np.testing.assert_allclose(found.score, over_mask[0], atol=1e-5 * scale)
    assert found.member_spread is not None
    np.testing.assert_allclose(found.member_spread, np.std(over_mask[1:], axis=0, ddof=1), atol=1e-5 * scale)


def test_members_are_told_apart(prepared) -> None:
    """The spread of what two members say is their difference over √2; the mean of both is what the ensemble says."""
    found = prepared.explain(5, "input_gradient", unit="pair")
    scores = []
    for member in range(2):
        alone = prepared.masked_prediction(5, semantics="reference", unit="pair", member=member)
        scores.append(METHODS["input_gradient"].run(alone, None, Watch()).score)
    np.testing.assert_allclose(found.score, np.mean(scores, axis=0), atol=1e-6)
    assert found.member_spread is not None
    np.testing.assert_allclose(found.member_spread, np.abs(scores[0] - scores[1]) / np.sqrt(2), atol=1e-6)
    disputed = np.abs(scores[0] - scores[1]) / np.sqrt(2) > np.abs(found.score)
    near = np.abs(found.member_spread - np.abs(found.score)) < 1e-5  # rounding decides
    np.testing.assert_array_equal(found.is_disputed[~near], disputed[~near])
    assert 0 < disputed.sum() < len(disputed)
    table = found.by_distance()
    pale = table["disputed_raises"] - table["disputed_lowers"]
    assert pale.sum() == pytest.approx(np.abs(found.score[found.is_disputed]).sum())
    bars = [trace for trace in contribution_figure(found).data if trace.type == "bar"]
    drawn = {trace.marker.color: np.sum(trace.y) for trace in bars}
    assert sum(drawn.values()) == pytest.approx(found.score.sum())
    assert drawn["rgba(213,94,0,0.350)"] == pytest.approx(table["disputed_raises"].sum())
    lines = [trace for trace in found.plot(prepared.glass, k=len(found)).data if trace.mode == "lines"]
    pale = [trace for trace in lines if trace.name.replace("<br>", " ") == PALE_SAID]
    groups = {trace.legendgroup for trace in pale}
    assert len(pale) > len(groups)
    assert sorted(trace.legendgroup for trace in pale if trace.showlegend) == sorted(groups)  # said once a group
    assert all(trace.legendrank > 1000 for trace in pale)  # below the widths
    again = AtomExplanation.from_dict(found.to_dict())
    np.testing.assert_array_equal(again.member_spread, found.member_spread)
    assert again.covers == "everything"


def test_message_masks_say_what_they_leave_out(prepared) -> None:
    found = prepared.explain(5, "integrated_gradients", unit="edge")
    everything = prepared.masked_prediction(5, semantics="reference", unit="pair")
    assert found.covers == "messages"
    expected = found.diagnostics["baseline_prediction"] - everything.baseline
    assert found.diagnostics["left_out_by_messages"] == pytest.approx(expected, abs=1e-6)
    assert any("messages alone" in caveat for caveat in found.caveats)
    assert not any("messages alone" in one for one in prepared.explain(5, "input_gradient", unit="atom").caveats)


def test_attention_is_that_of_the_messages_among_the_pairs(prepared) -> None:
    over_pairs, of_messages = (prepared.explain(5, "attention", unit=unit) for unit in ("pair", "edge"))

    def by_edge(found: AtomExplanation) -> dict[tuple[float, ...], float]:
        rows = np.column_stack([found.source, found.target, found.displacement.round(4)])
        return {tuple(row): score for row, score in zip(rows.tolist(), found.score, strict=True) if score}

    assert by_edge(over_pairs) == pytest.approx(by_edge(of_messages), rel=1e-6)


@pytest.mark.parametrize("unit", ["pair", "atom"])
def test_what_knows_edges_alone_refuses_pairs(prepared, unit) -> None:
    with pytest.raises(InputError, match="knows messages alone"):
        prepared.masked_prediction(5, semantics="reference", unit=unit).require_messages("PGExplainer")
    graph, explainer = prepared.graph, FastExplainer("input_gradient", unit=unit)
    pairs = {name: graph[name] for name in ("edge_attr", "environment", "pair_index", "pair_attr")}
    with pytest.raises(InputError, match="knows messages alone"):
        explainer(prepared.model, graph.x, graph.edge_index, target=graph.x, index=5, **pairs)
