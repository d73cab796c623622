"""Interactions against their definitions by orders of players, and coalitions against single masks."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn import GCNConv

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import INTERACTION_UNITS, Interactions, PreparedGlass, prepare
from symgnn_explain.explain.engine.coalitions import MOST_GROUPS, coalition_predictions
from symgnn_explain.explain.engine.pair_forward import PairForward
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.set_functions import by_order, dividends, interactions, variance_by_order
from symgnn_explain.models.ensemble import SymGNNEnsemble
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting import interaction_figure, interaction_space_figure
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.radial import radial_distribution

from .conftest import double_graph, random_glass, random_model

set_functions = st.integers(0, 5).flatmap(
    lambda n: st.lists(st.floats(-9, 9, width=32), min_size=2**n, max_size=2**n).map(np.array)
)


def bits(players: object) -> int:
    return sum(1 << player for player in players)  # type: ignore[attr-defined]


def by_permutations(values: np.ndarray, chosen: tuple[int, ...]) -> float:
    """The mean mixed difference of ``chosen`` where it comes in as one, over all orders of it and the other players."""
    n = len(values).bit_length() - 1
    others = [player for player in range(n) if player not in chosen]
    found = []
    for order in permutations([*others, None]):
        before = bits(order[: order.index(None)])
        parts = (part for size in range(len(chosen) + 1) for part in combinations(chosen, size))
        found.append(sum((-1) ** (len(chosen) - len(part)) * values[before | bits(part)] for part in parts))
    return float(np.mean(found))


def test_no_step_of_an_interaction_waits_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(Predictor(random_model(0, environment=(3, 2, 3)), device="cpu"), random_glass(80))
    seen: list[int] = []
    described = PairForward.described

    def counted(self: PairForward, mask: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return described(self, mask)

    monkeypatch.setattr(PairForward, "described", counted)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        prepared.interactions(5, {"a": [1, 2], "b": [3]})
    finally:
        torch.set_num_threads(before)
    assert len(seen) > 3
    assert set(seen) == {1}


@given(values=set_functions)
@settings(max_examples=40, deadline=None)
def test_interactions_are_means_over_orders_of_players(values: np.ndarray) -> None:
    n = len(values).bit_length() - 1
    sets = [chosen for size in (1, 2, 3) for chosen in combinations(range(n), size)]
    expected = [by_permutations(values, chosen) for chosen in sets]
    np.testing.assert_allclose(interactions(values, sets), expected, atol=1e-9)
    of_players = interactions(values, [(player,) for player in range(n)])
    assert of_players.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


@given(values=set_functions)
@settings(max_examples=40, deadline=None)
def test_dividends_of_all_parts_sum_to_the_value_of_each_set(values: np.ndarray) -> None:
    found = dividends(values)
    index = np.arange(len(values))
    summed = [found[(index & one) == index].sum() for one in index]
    np.testing.assert_allclose(summed, values, atol=1e-9)
    assert by_order(values).sum() == pytest.approx(values[-1], abs=1e-9)
    assert by_order(values)[0] == values[0]


@given(values=set_functions)
@settings(max_examples=40, deadline=None)
def test_variance_is_split_by_order_into_parts_of_conditional_means(values: np.ndarray) -> None:
    """The part of first order is the variance of the means with each player in, and out; all parts are the whole."""
    n = len(values).bit_length() - 1
    found = variance_by_order(values)
    assert found.sum() == pytest.approx(values.var(), abs=1e-9)
    held = np.arange(len(values))[:, None] >> np.arange(n) & 1
    effects = [values[held[:, player] == 1].mean() - values[held[:, player] == 0].mean() for player in range(n)]
    if n:
        assert found[1] == pytest.approx((np.array(effects) ** 2 / 4).sum(), abs=1e-9)


@given(n=st.integers(2, 5), order=st.integers(1, 3), seed=st.integers(0, 99), weight=st.floats(-3, 3).filter(abs))
@settings(max_examples=30, deadline=None)
def test_only_players_that_act_together_interact(n: int, order: int, seed: int, weight: float) -> None:
    """A product of players interacts within their set alone, and all its variance of highest order is there."""
    together = tuple(sorted(np.random.default_rng(seed).permutation(n)[: min(order, n)].tolist()))
    held = np.arange(2**n)
    values = weight * ((held & bits(together)) == bits(together)).astype(float)
    sets = list(combinations(range(n), len(together)))
    expected = [weight if chosen == together else 0.0 for chosen in sets]
    np.testing.assert_allclose(interactions(values, sets), expected, atol=1e-12)
    assert by_order(values)[len(together)] == pytest.approx(weight)


def test_a_set_function_has_a_power_of_two_values() -> None:
    with pytest.raises(InputError, match="2\\^n values"):
        dividends(np.zeros(6))


ENVIRONMENTS = {"messages": (0, 0, 0), "near": (4, 0, 0), "angles": (4, 2, 0), "far": (3, 2, 3)}


@given(
    seed=st.integers(0, 99),
    environment=st.sampled_from(sorted(ENVIRONMENTS)),
    semantics=st.sampled_from(MASK_SEMANTICS),
    unit=st.sampled_from(["pair", "atom", "polyhedron"]),
    n_groups=st.integers(1, 5),
)
@settings(max_examples=15, deadline=None)
def test_each_coalition_is_the_prediction_under_its_mask(seed, environment, semantics, unit, n_groups) -> None:
    model = random_model(seed, heads=(2, 1), dim=4, environment=ENVIRONMENTS[environment], smooth=seed % 2 == 1)
    edge = 9.9 if seed % 3 else 6.0  # the smaller cell is narrower than what the network sees
    glass = random_glass(60 if seed % 3 else 14, seed=seed, edge=edge)
    prepared = PreparedGraph.of(model.double(), double_graph(model, glass))
    prediction = prepared.masked_prediction(seed % len(glass), semantics=semantics, unit=unit)
    rng = np.random.default_rng(seed)
    n_groups = min(n_groups, prediction.n_units)
    group = rng.permutation(np.arange(prediction.n_units) % n_groups)
    found = coalition_predictions(prediction, group)
    with torch.no_grad():
        plain = [float(prediction(torch.from_numpy((c >> group & 1).astype(float)))) for c in range(2**n_groups)]
    np.testing.assert_allclose(found, plain, atol=1e-9)


@pytest.fixture(scope="module")
def prepared() -> PreparedGlass:
    members = [random_model(seed, heads=(2, 1), dim=4, environment=(4, 2, 3)) for seed in range(2)]
    members[1].environment.load_state_dict(members[0].environment.state_dict())
    return prepare(Predictor(SymGNNEnsemble.of(members), device="cpu"), random_glass(216, edge=15.2))


@pytest.fixture(scope="module")
def together(prepared) -> dict[str, Interactions]:
    return {units: prepared.interactions(7, units) for units in INTERACTION_UNITS}


@pytest.mark.parametrize("units", INTERACTION_UNITS)
def test_values_sum_to_the_prediction_minus_the_one_with_everything_masked(prepared, together, units) -> None:
    found = together[units]
    assert found.coalitions[-1] == pytest.approx(prepared.predictions[7], abs=1e-5)
    assert found.prediction == pytest.approx(prepared.predictions[7], abs=1e-5)
    assert abs(found.completeness_error) < 1e-5
    assert found.matrix.shape == (len(found), len(found))
    np.testing.assert_array_equal(np.diag(found.matrix), found.values)
    shares = found.body_shares()
    assert shares["sum"].sum() == pytest.approx(found.prediction - found.baseline, abs=1e-5)
    assert shares["variance"].sum() == pytest.approx(1.0)
    assert [row["sum_ev"] for row in found.summary()["body_shares"]] == shares["sum"].tolist()
    assert len(found.to_frame(3)) == sum(len(found.of_order(order)) for order in (1, 2, 3))


def test_units_are_what_their_kind_says(prepared, together) -> None:
    glass, near, species = prepared.glass, together["neighbours"], together["species"]
    assert [len(atoms) for atoms in near.atoms[:-1]] == [1] * (len(near) - 1)
    assert near.names[-1] == "all others"
    first = glass.displacements_from(7)[near.atoms[0][0]]
    distance = np.linalg.norm(glass.displacements_from(7), axis=1)
    assert np.linalg.norm(first) == pytest.approx(np.sort(distance)[1])
    assert species.atoms[0].tolist() == [7]
    ends = [f"{end:.2f}" for end in radial_distribution(glass).minima]
    said = ("itself", *(f"{inner}–{outer} Å" for inner, outer in pairwise(["0.00", *ends])), f"beyond {ends[-1]} Å")
    shells = together["shells"].names
    assert shells == said[: len(shells)]
    assert sorted(np.concatenate(species.atoms).tolist()) == list(range(len(glass)))


def test_atoms_that_are_named_are_a_unit_and_all_others_one_more(prepared) -> None:
    """Two units: the interaction is v(both) - v(one) - v(other) + v(none), by single masks."""
    prediction = prepared.masked_prediction(7, semantics="zero", unit="pair")
    chosen = np.unique(prediction.source)[:20]
    found = prepared.interactions(7, {"some": chosen.tolist()}, semantics="zero")
    of_some = torch.from_numpy(np.isin(prediction.source, chosen)).float()
    with torch.no_grad():
        some, others = float(prediction(of_some)), float(prediction(1 - of_some))
    assert found.names == ("some", "all others")
    expected = found.prediction - some - others + found.baseline
    assert found.matrix[0, 1] == pytest.approx(expected, abs=1e-5)


def test_units_that_are_too_many_are_named(prepared) -> None:
    atoms = np.argsort(np.linalg.norm(prepared.glass.displacements_from(7), axis=1))[:MOST_GROUPS]
    farthest_first = {f"unit of {atom}": [atom] for atom in atoms[::-1].tolist()}
    found = prepared.interactions(7, farthest_first, semantics="zero")
    assert found.names == (*list(farthest_first)[:-1], "all others")
    [said] = found.caveats
    assert f"unit of {atoms[0]} are among all others" in said  # the nearest of them
    assert "farthest" not in said


def test_units_that_cannot_be_are_refused(prepared) -> None:
    for units, said in (
        ("rings", "choose from neighbours, shells"),
        ({"a": [1], "b": [1, 2]}, "atom 1 is in two units"),
        ({"a": []}, "at least one atom"),
        ({}, "at least one atom"),
        ({"a": [99999]}, "99999"),
        ({str(atom): [atom] for atom in range(13)}, "12 or fewer"),
    ):
        with pytest.raises(InputError, match=said):
            prepared.interactions(7, units)
    with pytest.raises(InputError, match="semantics='none' is unknown: choose from"):
        prepared.interactions(7, semantics="none")
    prediction = prepared.masked_prediction(7, semantics="zero", unit="pair")
    with pytest.raises(InputError, match="coalitions"):
        coalition_predictions(prediction, np.arange(prediction.n_units) % (MOST_GROUPS + 1))
    with pytest.raises(InputError, match="each of 3 groups a unit"):
        coalition_predictions(prediction, np.where(np.arange(prediction.n_units) % 2, 0, 2))
    with pytest.raises(InputError, match="order=4"):
        prepared.interactions(7, {"a": [1]}).to_frame(4)


def test_it_can_be_stopped_and_says_how_far_it_is(prepared) -> None:
    class Stop:
        def is_set(self) -> bool:
            return True

    with pytest.raises(Cancelled):
        prepared.interactions(7, "species", cancel=Stop())
    told: list[float] = []
    prepared.interactions(7, "species", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


class Convolved(torch.nn.Module):
    """A network that knows nothing but messages."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = GCNConv(2, 4), GCNConv(4, 1)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor, **_: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x, edge_index).relu(), edge_index).squeeze(1)


@pytest.mark.filterwarnings("ignore::symgnn_explain.explain.engine.prepared_graph.SlowEngineWarning")
def test_of_any_other_network(prepared) -> None:
    foreign = PreparedGraph.of(Convolved(), prepared.graph)
    prediction = foreign.masked_prediction(7, semantics="zero", unit="atom")
    group = np.arange(prediction.n_units) % 3
    found = coalition_predictions(prediction, group, Watch())
    mask = torch.from_numpy((5 >> group & 1).astype(np.float32))
    assert found[5] == pytest.approx(float(prediction(mask)), abs=1e-6)
    assert found[0] == pytest.approx(prediction.baseline, abs=1e-6)


def test_figures_draw_what_was_found(prepared, together) -> None:
    found = together["neighbours"]
    figure = interaction_figure(found)
    assert figure.layout.xaxis.type == "category"  # names may look like numbers or dates
    assert {axis.type for axis in figure.select_yaxes()} == {"category"}
    matrix = figure.data[0]
    pairs = np.array(matrix.z, dtype=float)
    lower = np.tril_indices(len(found), -1)
    np.testing.assert_allclose(pairs[lower], found.matrix[lower])
    assert np.isnan(pairs[np.triu_indices(len(found))]).all()
    space = interaction_space_figure(prepared.glass, found, k=4)
    lines = [trace for trace in space.data if trace.type == "scatter3d" and trace.mode == "lines"]
    assert sum(len(trace.x) // 3 for trace in lines) == 4
    assert sum(trace.type == "mesh3d" for trace in space.data) == 3
    with pytest.raises(InputError, match="units of one atom"):
        interaction_space_figure(prepared.glass, together["species"])
