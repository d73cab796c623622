"""Fidelity: identities at all and no units, analytic curves of additive predictions, nulls that match what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import prepare
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.engine.unit_geometry import UnitGeometry, unit_geometry
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.explain.fidelity.measure import (
    Fidelity,
    fidelity,
    importance_order,
    log_counts,
)
from symgnn_explain.explain.fidelity.nulls import (
    LENGTH_BIN,
    NULL_ORDERS,
    fidelity_against_nulls,
    null_order,
)
from symgnn_explain.models.target import BARRIER
from symgnn_explain.runs.watch import Watch

from .conftest import random_model


@dataclass
class Additive:
    """A prediction that is the sum of what its units contribute: everything about it is known."""

    contributions: np.ndarray
    baseline: float = 1.5

    prepared = SimpleNamespace(compared=np.array([1.0, 2.0]), target=BARRIER)

    @property
    def n_units(self) -> int:
        return len(self.contributions)

    @property
    def original(self) -> float:
        return self.baseline + float(self.contributions.sum())

    def full(self, value: float) -> torch.Tensor:
        return torch.full((self.n_units,), value, dtype=torch.float64)

    def keep(self, units: torch.Tensor) -> torch.Tensor:
        return self.full(0.0).index_fill(0, units, 1.0)

    def remove(self, units: torch.Tensor) -> torch.Tensor:
        return self.full(1.0).index_fill(0, units, 0.0)

    def __call__(self, mask: torch.Tensor) -> torch.Tensor:
        return self.baseline + mask @ torch.from_numpy(self.contributions)

    def batch(self, masks: torch.Tensor) -> torch.Tensor:
        return torch.stack([self(mask) for mask in masks])


contributions = st.lists(st.floats(-1, 1), min_size=2, max_size=60).map(np.array)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
@pytest.mark.parametrize("unit", UNITS)
def test_all_units_are_the_original_and_none_the_baseline(unit, semantics, predictor, glass) -> None:
    prediction = prepare(predictor, glass).masked_prediction(5, semantics=semantics, unit=unit)
    order = np.random.default_rng(0).permutation(prediction.n_units)
    checked = fidelity(prediction, order, log_counts(prediction.n_units))
    assert (checked.count[0], checked.count[-1]) == (0, prediction.n_units)
    assert checked.kept[-1] == checked.removed[0] == pytest.approx(prediction.original, abs=1e-6)
    assert checked.kept[0] == checked.removed[-1] == pytest.approx(prediction.baseline, abs=1e-6)
    assert abs(prediction.original - prediction.baseline) > 1e-5


def test_keeping_some_is_removing_the_others(predictor, glass) -> None:
    prediction = prepare(predictor, glass).masked_prediction(5, semantics="reference", unit="atom")
    n_units = prediction.n_units
    order = np.random.default_rng(1).permutation(n_units)
    kept = fidelity(prediction, order, range(n_units + 1)).kept
    removed = fidelity(prediction, order[::-1], range(n_units + 1)).removed
    np.testing.assert_allclose(kept, removed[::-1], atol=1e-6)


@given(contributions)
@settings(deadline=None)
def test_curves_of_an_additive_prediction_are_partial_sums(given_: np.ndarray) -> None:
    order = importance_order(given_)
    checked = fidelity(Additive(given_), order, range(len(given_) + 1))
    sums = np.concatenate([[0.0], np.cumsum(given_[order])])
    np.testing.assert_allclose(checked.necessity, np.abs(sums), atol=1e-9)
    np.testing.assert_allclose(checked.sufficiency, np.abs(given_.sum() - sums), atol=1e-9)
    assert checked.prediction_spread == 0.5
    table = checked.to_frame()
    np.testing.assert_allclose(table["necessity_in_spreads"], 2 * table["necessity"])
    assert "necessity_in_spreads" not in replace(checked, prediction_spread=0.0).to_frame()  # a single atom


@pytest.mark.parametrize("change", [0.7, -0.7])
def test_areas_of_a_perfect_step(change) -> None:
    """All hangs on one unit: the best ranking inserts everything at once, the worst only at the very end."""
    prediction = Additive(np.array([0.0, change, *np.zeros(998)]))
    best = importance_order(prediction.contributions)
    first = fidelity(prediction, best, range(1001))
    assert first.insertion_area == pytest.approx(0.0, abs=1e-12)
    assert first.deletion_area == pytest.approx(abs(change))
    assert first.sufficient_count() == 1
    last = fidelity(prediction, best[::-1], range(1001))
    assert last.insertion_area == pytest.approx(abs(change), rel=1e-3)
    assert last.deletion_area == pytest.approx(0.0, abs=1e-3)
    assert last.sufficient_count() == 1000


def test_an_area_hardly_depends_on_the_grid() -> None:
    """A curve linear in log k: its mean is half its range, whatever the counts between the ends."""
    n_units = 10_000
    for counts in (log_counts(n_units), np.unique(np.geomspace(1, n_units, 300).astype(int))):
        curve = 1 - np.log(np.maximum(counts, 1)) / np.log(n_units)
        checked = Fidelity(counts, kept=1 + curve, removed=2 - curve, original=1.0, baseline=2.0)
        assert checked.insertion_area == pytest.approx(0.5)
        assert checked.deletion_area == pytest.approx(0.5)


def test_a_curve_that_swings_through_the_original_does_not_suffice() -> None:
    swinging = Fidelity(np.array([0, 1, 2, 4, 8]), np.array([1.3, 1.0, 1.2, 1.04, 1.0]), np.ones(5), 1.0, 1.3)
    assert swinging.sufficient_count() == 4
    assert swinging.sufficient_count(0.01) == 8
    assert swinging.sufficient_count(0.5) == 0
    never = Fidelity(np.array([1, 2]), np.array([1.0, 1.2]), np.ones(2), 1.0, 1.3)
    assert never.sufficient_count() is None


def test_a_fidelity_survives_plain_values(predictor, glass) -> None:
    prediction = prepare(predictor, glass).masked_prediction(5, semantics="zero", unit="bond")
    checked = fidelity(prediction, np.arange(prediction.n_units))
    assert Fidelity.from_dict(checked.to_dict()).to_frame().equals(checked.to_frame())


@given(n_units=st.integers(1, 50_000))
def test_the_grid_holds_the_ends_and_the_standard_counts(n_units: int) -> None:
    counts = log_counts(n_units)
    assert counts[0] == 0
    assert counts[-1] == n_units
    assert (np.diff(counts) > 0).all()
    assert {count for count in (1, 10, 50, 300, 1000) if count <= n_units} <= set(counts.tolist())


def test_bad_orders_and_counts_are_refused() -> None:
    prediction = Additive(np.ones(4))
    for order in ([0, 1, 2], [0, 0, 1, 2], [0, 1, 2, 4]):
        with pytest.raises(InputError, match="each of the 4 units once"):
            fidelity(prediction, np.array(order))
    with pytest.raises(InputError, match="must not be negative"):
        fidelity(prediction, np.arange(4), [-1])
    with pytest.raises(InputError, match="at least two counts"):
        _ = fidelity(prediction, np.arange(4), [0, 4]).insertion_area


def test_without_dependence_on_edges_nothing_is_necessary_and_nothing_is_needed(glass) -> None:
    from symgnn_explain.models.predictor import Predictor

    model = random_model()
    with torch.no_grad():
        for layer in model.attention_layers:
            layer.node_out.weight.zero_()
    prepared = prepare(Predictor(model, device="cpu"), glass)
    for semantics in MASK_SEMANTICS:
        prediction = prepared.masked_prediction(5, semantics=semantics, unit="edge")
        checked = fidelity(prediction, np.arange(prediction.n_units), log_counts(prediction.n_units))
        np.testing.assert_allclose(checked.necessity, 0.0, atol=1e-6)
        assert checked.sufficient_count() == 0


# Nulls


@pytest.fixture
def geometry() -> UnitGeometry:
    rng = np.random.default_rng(3)
    distance, length, flow = rng.uniform(0, 15, 500), rng.uniform(0, 5, 500), rng.uniform(0, 1, 500)
    return UnitGeometry(rng.integers(0, 4, 500), distance, length, flow)


@pytest.mark.parametrize("null", NULL_ORDERS)
def test_every_null_ranks_each_unit_once(null, geometry) -> None:
    order = np.random.default_rng(0).permutation(500)
    drawn = null_order(null, order, geometry, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(drawn), np.arange(500))


def test_matched_nulls_match_at_every_rank(geometry) -> None:
    order = np.random.default_rng(0).permutation(500)
    random = np.random.default_rng(1)
    by_hop = null_order("hop_matched", order, geometry, random)
    np.testing.assert_array_equal(geometry.hop[by_hop], geometry.hop[order])
    assert np.abs(geometry.length[by_hop] - geometry.length[order]).max() > 1
    by_both = null_order("hop_length_matched", order, geometry, random)
    np.testing.assert_array_equal(geometry.hop[by_both], geometry.hop[order])
    assert np.abs(geometry.length[by_both] - geometry.length[order]).max() <= LENGTH_BIN
    assert (by_both != order).mean() > 0.5
    np.testing.assert_array_equal(
        null_order("nearest", order, geometry, random), np.argsort(geometry.distance, kind="stable")
    )
    with pytest.raises(InputError, match="null='clever' is unknown"):
        null_order("clever", order, geometry, random)


def test_a_matched_null_takes_every_unit_of_a_class_equally_often() -> None:
    geometry = UnitGeometry(np.array([0, 0, 0, 1, 1]), np.zeros(5), np.zeros(5), np.zeros(5))
    random, order = np.random.default_rng(0), np.array([3, 0, 1, 4, 2])
    first = [null_order("hop_matched", order, geometry, random)[:2] for _ in range(3000)]
    share = np.bincount([pair[0] for pair in first], minlength=5) / 3000
    np.testing.assert_allclose(share, [0, 0, 0, 0.5, 0.5], atol=0.04)
    share = np.bincount([pair[1] for pair in first], minlength=5) / 3000
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 1 / 3, 0, 0], atol=0.04)


@pytest.mark.parametrize("unit", UNITS)
def test_geometry_of_units(unit, predictor, glass) -> None:
    prediction = prepare(predictor, glass).masked_prediction(5, semantics="zero", unit=unit)
    found, units = unit_geometry(prediction), prediction.units
    assert len(found.hop) == len(found.flow) == prediction.n_units
    apart = np.linalg.norm(glass.displacements_from(5), axis=1)
    if unit in ("atom", "polyhedron"):
        np.testing.assert_allclose(found.distance, apart[units.table["atom"]], atol=1e-5)
        assert found.hop[(units.table["atom"] == 5).to_numpy()] == 0
    if unit in ("pair", "edge"):
        np.testing.assert_allclose(found.length, np.linalg.norm(prediction.displacement, axis=1))
        np.testing.assert_array_equal(found.hop == 0, prediction.target == 5)
    if unit == "bond":
        both_ways = np.bincount(units.of_edge) == 2
        assert both_ways.any()
        assert found.length.max() <= predictor.cutoff + 1e-4


def test_flow_is_what_even_attention_hands_on(predictor, glass) -> None:
    """Against the definition: all walks to the explained atom, each step shared evenly among the neighbours."""
    prediction = prepare(predictor, glass).masked_prediction(5, semantics="zero", unit="edge")
    n_atoms, n_layers = len(glass), len(predictor.model.layers)
    even = np.zeros((n_atoms, n_atoms))
    even[prediction.target, prediction.source] = 1.0
    even /= np.maximum(even.sum(1, keepdims=True), 1)
    held = np.eye(n_atoms)[5]
    expected = np.zeros(prediction.n_units)
    for _ in range(n_layers):
        expected += held[prediction.target] * even[prediction.target, prediction.source]
        held = held @ (np.eye(n_atoms) + even)
    found = unit_geometry(prediction)
    np.testing.assert_allclose(found.flow, expected, rtol=1e-9)
    classes = found.flow_classes(4)
    assert set(np.unique(classes) // 4) == set(np.unique(found.hop))
    assert np.ptp(np.bincount(classes)[np.unique(classes)][-4:]) <= 1


def test_nulls_of_one_atom(predictor, glass) -> None:
    prediction = prepare(predictor, glass).masked_prediction(5, semantics="reference", unit="atom")
    order = np.random.default_rng(0).permutation(prediction.n_units)
    report = fidelity_against_nulls(prediction, order, draws=4, seed=1)
    again = fidelity_against_nulls(prediction, order, draws=4, seed=1)
    assert report.to_frame().equals(again.to_frame())
    assert {null: len(draws) for null, draws in report.nulls.items()} == {
        "random": 4,
        "nearest": 1,
        "even_attention": 1,
        "hop_matched": 4,
        "hop_length_matched": 4,
    }
    table = report.to_frame().query("count == 10").set_index("ranking")
    values = [draw.necessity[list(draw.count).index(10)] for draw in report.nulls["random"]]
    assert table.loc["random", "necessity"] == pytest.approx(np.mean(values))
    assert min(values) <= table.loc["random", "necessity_low"] <= table.loc["random", "necessity_high"] <= max(values)
    own = table.loc["explanation", "necessity"]
    assert table.loc["random", "necessity_p"] == pytest.approx((1 + sum(value >= own for value in values)) / 5)
    assert np.isnan(table.loc["nearest", "necessity_p"])
    assert set(report.to_frame()["ranking"]) == {"explanation", *NULL_ORDERS}
    with pytest.raises(InputError, match="draws=0"):
        fidelity_against_nulls(prediction, order, draws=0)


def test_nulls_report_progress_and_stop(predictor, glass) -> None:
    prediction = prepare(predictor, glass).masked_prediction(5, semantics="reference", unit="shell")
    seen: list[float] = []
    fidelity_against_nulls(prediction, np.arange(prediction.n_units), draws=2, watch=Watch(progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    cancelled = SimpleNamespace(is_set=lambda: True)
    with pytest.raises(Cancelled):
        fidelity_against_nulls(prediction, np.arange(prediction.n_units), draws=2, watch=Watch(cancel=cancelled))
