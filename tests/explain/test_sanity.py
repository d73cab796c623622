"""The sanity battery: planted truth holds in the plain network, and comparisons compare what they say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

from symgnn_explain.errors import InputError
from symgnn_explain.explain import PreparedGlass, prepare
from symgnn_explain.explain.fidelity.rank_agreement import rank_correlation, roc_auc, top_overlap
from symgnn_explain.explain.sanity.battery import sanity_battery
from symgnn_explain.explain.sanity.checks import (
    Request,
    planted_test,
    randomisation_test,
    rotated_glasses,
    rotation_stability,
    seed_stability,
)
from symgnn_explain.explain.sanity.planted import PLANTS, EdgeClass, Plant, PlantedPredictor, plant_in
from symgnn_explain.explain.sanity.randomised import cascade
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import Glass

from .conftest import random_glass, random_model

GRADIENTS = ("integrated_gradients", "input_gradient", "saliency")


@pytest.fixture(scope="module")
def wide_glass() -> Glass:
    """Wide enough for a cut-off of 5 Å."""
    return random_glass(216, edge=15.2)


@pytest.fixture(scope="module")
def plants(wide_glass: Glass) -> dict[str, tuple[PlantedPredictor, PreparedGlass]]:
    """What is planted, and the glass as its network sees it, by name."""
    planted = {name: plant_in(wide_glass, plant) for name, plant in PLANTS.items()}
    return {name: (one, prepare(one.predictor, wide_glass)) for name, one in planted.items()}


@pytest.fixture(scope="module")
def rotated(plants) -> list[PreparedGlass]:
    return rotated_glasses(plants["relay"][1], 2)


# Rankings


scores = st.lists(st.integers(-5, 5), min_size=3, max_size=40)


@given(scores, st.integers(0, 1000))
def test_rank_correlation_is_spearmans(values: list[int], seed: int) -> None:
    first = np.array(values, dtype=float)
    second = np.random.default_rng(seed).integers(-5, 5, len(values)).astype(float)
    sizes = np.abs(first), np.abs(second)
    if np.ptp(sizes[0]) == 0 or np.ptp(sizes[1]) == 0:
        assert rank_correlation(first, second) == 0.0
    else:
        assert rank_correlation(first, second) == pytest.approx(spearmanr(*sizes).statistic)


def test_within_classes_only_their_own_order_counts() -> None:
    """Both put hop 0 before hop 1, and neither agrees with the other inside a hop."""
    rng, hop = np.random.default_rng(0), np.repeat([0, 1], 2000)
    first, second = (rng.random(4000) + 10 * (hop == 0) for _ in range(2))
    assert rank_correlation(first, second) > 0.7
    assert abs(rank_correlation(first, second, hop)) < 0.08
    assert rank_correlation(first, first**3, hop) == pytest.approx(1.0)
    alone = np.append(hop[:-1], 2)
    assert rank_correlation(first, first**3, alone) == pytest.approx(1.0)


@given(st.integers(2, 60), st.integers(0, 1000))
def test_auc_is_the_share_of_pairs_in_order(n_units: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.arange(n_units) < rng.integers(1, n_units)
    score = rng.integers(-4, 5, n_units).astype(float)
    size = np.abs(score)
    pairs = (size[truth][:, None] > size[~truth]) + 0.5 * (size[truth][:, None] == size[~truth])
    assert roc_auc(truth, score) == pytest.approx(pairs.mean())
    assert roc_auc(truth, np.where(truth, -2.0, 1.0)) == 1.0


def test_overlap() -> None:
    first = np.arange(20.0)
    assert top_overlap(first, first) == 1.0
    assert top_overlap(first, -first) == 1.0
    assert top_overlap(first, first[::-1]) == 0.0
    assert top_overlap(first, np.roll(first, 5), 10) == 0.5
    with pytest.raises(InputError, match="cannot be compared"):
        top_overlap(first, first[1:])
    with pytest.raises(InputError, match="true and false"):
        roc_auc(np.ones(3, dtype=bool), np.ones(3))


# Planted truth


@pytest.mark.parametrize("name", PLANTS)
@pytest.mark.parametrize("atom", [0, 100])
def test_planted_truth_by_the_plain_network(name, atom, plants) -> None:
    """Through PyG's own masks on the whole graph: no false edge moves the prediction, every true one does."""
    planted, prepared = plants[name]
    prediction = prepared.masked_prediction(atom, semantics="zero", unit="edge")
    truth, edges = planted.truth(prediction), prediction.forward.field.edges
    assert 0 < truth.sum() < len(truth) / 10
    graph, model = prepared.graph, planted.predictor.model

    def predict(mask: torch.Tensor) -> torch.Tensor:
        set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
        barrier = model(graph.x, graph.edge_index, graph.edge_attr)[atom]
        clear_masks(model)
        return barrier

    everything = torch.ones(graph.num_edges)
    without_false = everything.clone()
    without_false[edges[torch.from_numpy(~truth)]] = 0.0
    assert predict(without_false).item() == pytest.approx(prediction.original, abs=1e-5)
    mask = everything.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(predict(mask), mask)
    assert gradient[edges][torch.from_numpy(truth)].abs().min() > 1e-4
    assert gradient[edges][torch.from_numpy(~truth)].abs().max() < 1e-8


def test_planted_truth_of_the_first_shell_is_its_geometry(wide_glass, plants) -> None:
    planted, prepared = plants["first_shell"]
    prediction = prepared.masked_prediction(7, semantics="reference", unit="edge")
    near = np.flatnonzero(np.linalg.norm(wide_glass.displacements_from(7), axis=1) < 3.4)
    found = planted.truth(prediction)
    assert set(prediction.target[found]) == {7}
    assert sorted(prediction.source[found]) == near.tolist()
    by_atom = prepared.masked_prediction(7, semantics="reference", unit="atom")
    assert by_atom.units.table["atom"][planted.truth(by_atom)].tolist() == near.tolist()


def test_a_planted_network_predicts_as_it_is_described(wide_glass, plants) -> None:
    """The first shell's mean species, on the scale of real barriers."""
    barriers = plants["first_shell"][1].predictions
    assert (barriers.mean(), barriers.std()) == pytest.approx((1.6, 0.25), abs=1e-4)
    share = []
    for atom in range(len(wide_glass)):
        near = np.linalg.norm(wide_glass.displacements_from(atom), axis=1) < 3.4
        share.append((wide_glass.numbers[near] == 40).mean())
    assert np.corrcoef(barriers, share)[0, 1] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("semantics", ["reference", "zero"])
@pytest.mark.parametrize("method", GRADIENTS)
@pytest.mark.parametrize("name", PLANTS)
def test_gradients_find_what_is_planted(name, method, semantics, plants) -> None:
    planted, prepared = plants[name]
    found = planted_test(planted, prepared, 11, Request(method, semantics=semantics))
    assert (found.auc, found.precision) == (1.0, 1.0)
    assert found.n_true > 0


def test_random_scores_find_nothing_and_nearness_not_what_is_far(plants) -> None:
    planted, prepared = plants["relay"]
    aucs = [planted_test(planted, prepared, atom, Request("random", seed=atom)).auc for atom in range(0, 120, 10)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.06)
    nearest = planted_test(*plants["far_edges"], 11, Request("distance"))
    assert nearest.precision < 0.5


def test_impossible_plants_are_refused(wide_glass, plants) -> None:
    with pytest.raises(InputError, match="expected 1 to 1"):
        plant_in(wide_glass, PLANTS["relay"], depth=1)
    with pytest.raises(InputError, match="listens to Al"):
        plant_in(wide_glass, Plant("x", "", (EdgeClass(senders=("Al",)),)))
    with pytest.raises(InputError, match="tells no two atoms"):
        plant_in(dataclasses.replace(wide_glass, numbers=np.full(216, 29)), PLANTS["first_shell"])
    with pytest.raises(InputError, match="inner < outer"):
        EdgeClass(3.0, 2.0)
    planted, _ = plants["first_shell"]
    foreign = prepare(Predictor(random_model(), device="cpu"), wide_glass)
    with pytest.raises(InputError, match="another predictor"):
        planted_test(planted, foreign, 0, Request("saliency"))


# Randomised networks


def test_a_cascade_draws_one_stage_after_the_other_and_leaves_the_network_alone(predictor, glass) -> None:
    prepared = prepare(predictor, glass)
    before = {name: value.clone() for name, value in predictor.model.state_dict().items()}
    networks = dict(cascade(prepared, seed=1))
    assert list(networks) == ["head", "layer 3", "layer 2", "layer 1", "encoders"]
    for name, value in predictor.model.state_dict().items():
        assert torch.equal(value, before[name])
    weights = [networks[stage].predictor.model.state_dict() for stage in networks]
    assert torch.equal(weights[0]["layers.2.value.weight"], before["layers.2.value.weight"])
    for stage, name in enumerate(
        ["decoder.0.weight", "layers.2.value.weight", "layers.1.value.weight", "layers.0.value.weight"]
    ):
        assert not torch.equal(weights[stage][name], before[name])
    assert not torch.equal(weights[1]["layers.2.attention_vector"], before["layers.2.attention_vector"])
    for stage in networks.values():
        assert stage.predictions.mean() == pytest.approx(prepared.predictions.mean(), abs=1e-4)
        assert stage.predictions.std() == pytest.approx(prepared.predictions.std(), rel=1e-3)
    again = dict(cascade(prepared, seed=1))["encoders"].predictions
    np.testing.assert_array_equal(again, networks["encoders"].predictions)
    assert not np.allclose(again, dict(cascade(prepared, seed=2))["encoders"].predictions)


def test_random_scores_do_not_notice_other_weights_and_gradients_do(predictor, glass) -> None:
    prepared = prepare(predictor, glass)
    networks = dict(cascade(prepared))
    ignorant = randomisation_test(prepared, networks, 5, Request("distance", unit="atom"))
    np.testing.assert_allclose(ignorant.correlation, 1.0)
    assert (ignorant.overlap == 1.0).all()
    gradient = randomisation_test(prepared, networks, 5, Request("saliency"))
    assert (gradient.given_graph < 0.8).all()
    assert gradient["flow_correlation"].between(-1, 1).all()
    assert gradient["stage"].tolist() == list(networks)


# Stability


def test_stability_over_seeds(predictor, glass) -> None:
    prepared = prepare(predictor, glass)
    found = seed_stability(prepared, 5, Request("random", unit="edge"), seeds=(0, 1, 2))
    assert len(found) == 3
    assert np.abs(found.correlation).max() < 0.2
    same = seed_stability(prepared, 5, Request("random"), seeds=(4, 4))
    assert (same.overlap[0], same.correlation[0]) == (1.0, pytest.approx(1.0))
    with pytest.raises(InputError, match="takes no seed"):
        seed_stability(prepared, 5, Request("saliency"))
    with pytest.raises(InputError, match="too few"):
        seed_stability(prepared, 5, Request("random"), seeds=(1,))


@pytest.mark.parametrize("unit", ["edge", "bond", "atom", "shell"])
def test_an_exactly_invariant_network_is_stable_under_rotations(unit, plants, rotated) -> None:
    """A planted network sees distances alone; reflections are among the transformations."""
    _, prepared = plants["relay"]
    cells = [np.sign(np.linalg.det(other.glass.cell)) for other in rotated]
    assert sorted(cells) == [-1, 1]
    found = rotation_stability(prepared, rotated, 11, Request("integrated_gradients", unit=unit))
    np.testing.assert_allclose(found.prediction_change, 0.0, atol=1e-4)
    assert (found.correlation > 0.99).all()
    assert len(found) == 2


def test_a_directional_network_is_not_stable(predictor, glass) -> None:
    prepared = prepare(predictor, glass)
    found = rotation_stability(prepared, rotated_glasses(prepared, 4), 5, Request("saliency"))
    assert np.abs(found.prediction_change).max() > 1e-5
    assert found.correlation.max() < 0.999


def test_small_cells_and_no_rotation_are_refused(predictor) -> None:
    small = random_glass(8, edge=5.1)
    prepared = prepare(predictor, small)
    request = Request("saliency")
    with pytest.raises(InputError, match="several periodic images"):
        rotation_stability(prepared, rotated_glasses(prepared, 1), 0, request)
    with pytest.raises(InputError, match="no rotated glass"):
        rotation_stability(prepared, [], 0, request)


def test_requests_are_checked() -> None:
    with pytest.raises(InputError, match="is unknown"):
        Request("magic")
    with pytest.raises(InputError, match="has no setting"):
        Request("saliency", epochs=3)
    assert Request("random").takes_seed
    assert not Request("saliency").takes_seed
    assert Request("random").with_seed(3).configured.seed == 3


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_planted_truth_holds_in_any_structure(seed: int) -> None:
    """Gradients of a planted network vanish outside the truth, for random classes, atoms and glasses."""
    rng = np.random.default_rng(seed)
    glass = random_glass(64, seed=seed, edge=10.5)
    inner = float(rng.uniform(0, 3))
    # Just below the cut-off too few Gaussians are left beyond a bound to tell lengths apart sharply.
    outer = min(inner + float(rng.uniform(1.0, 2.5)), 4.5)
    last = EdgeClass(inner, outer, (("Zr",), ("Cu",), ())[seed % 3])
    planted = plant_in(glass, Plant("random", "", (EdgeClass(outer=3.0), last)), depth=2)
    prepared = prepare(planted.predictor, glass)
    prediction, found = Request("saliency", semantics="zero").run(prepared, int(rng.integers(64)))
    truth = planted.truth(prediction)
    # The class's edge is as sharp as Gaussians make it: within 0.01 Å of a bound an edge counts in part.
    length = np.linalg.norm(prediction.displacement, axis=1)
    clear = np.abs(length[:, None] - [inner, outer, 3.0]).min(axis=1) > 0.01
    assume(clear[prediction.target == prediction.atom].all())  # else what lies behind such an edge counts in part too
    assert np.abs(found.score[~truth & clear]).max(initial=0.0) < 1e-8
    assert np.abs(found.score[truth & clear]).min() > 1e-6


# All of them


def test_a_whole_battery(tiny_predictor) -> None:
    prepared = prepare(tiny_predictor, random_glass(125, edge=12.7))
    seen: list[float] = []
    methods = [Request("input_gradient", unit="atom"), Request("random", unit="atom")]
    watch = Watch(progress=seen.append)
    plants = [PLANTS["first_shell"]]
    table = sanity_battery(prepared, methods, [0, 7], plants=plants, n_rotations=1, watch=watch)
    found = table.set_index(["method", "check"])
    assert found.loc[("input_gradient", "planted AUC, first_shell"), "value"] == 1.0
    assert found.loc[("input_gradient", "planted AUC, first_shell"), "met"]
    assert not found.loc[("random", "overlap over seeds"), "met"]
    assert ("input_gradient", "overlap over seeds") not in found.index
    assert found.loc[("input_gradient", "completeness error in spreads"), "value"] > 0
    assert found.loc[("random", "correlation with random weights"), "value"] == pytest.approx(1.0)
    assert (table["n_atoms"] == 2).all()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert seen[-1] == 1.0
    assert seen == sorted(seen)
    with pytest.raises(InputError, match="at least one"):
        sanity_battery(prepared, [], [0])
