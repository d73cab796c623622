"""Nested masks: what the ranking promises holds for every set of it, and it is found where it is planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import prepare
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.fidelity.measure import fidelity, importance_order, log_counts
from symgnn_explain.explain.methods.nested_masks import NestedMasksSettings, _standardised, nested_masks
from symgnn_explain.explain.sanity.checks import Request
from symgnn_explain.explain.sanity.planted import PLANTS, plant_in
from symgnn_explain.models.target import BARRIER
from symgnn_explain.runs.watch import Watch

from .conftest import random_glass

QUICK = NestedMasksSettings(epochs=40, start_steps=4)


@pytest.fixture(scope="module")
def planted():
    glass = random_glass(216, edge=15.2)
    network = plant_in(glass, PLANTS["relay"])
    return network, prepare(network.predictor, glass)


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
@pytest.mark.parametrize("unit", ["edge", "atom", "shell"])
def test_the_set_suffices_and_so_does_every_larger_one(unit, semantics, planted) -> None:
    _, prepared = planted
    prediction = prepared.masked_prediction(11, semantics=semantics, unit=unit)
    scores = nested_masks(prediction, QUICK, Watch())
    assert ((scores.score >= 0) & (scores.score <= 1)).all()
    chosen = int((scores.score > 0.5).sum())
    assert chosen == scores.diagnostics["sufficient_units"]
    assert abs(scores.masked_prediction - prediction.original) <= BARRIER.required_tolerance
    checked = fidelity(prediction, importance_order(scores.score), log_counts(prediction.n_units))
    assert (checked.sufficiency[checked.count >= chosen] <= BARRIER.required_tolerance).all()
    assert checked.kept[checked.count == chosen][0] == pytest.approx(scores.masked_prediction, abs=1e-6)


def test_fewer_units_suffice_than_of_what_it_starts_from(planted) -> None:
    _, prepared = planted
    needed = {"own": [], "integrated_gradients": [], "random": []}
    for atom in (3, 11, 40, 77):
        prediction = prepared.masked_prediction(atom, semantics="reference", unit="edge")
        ranked = {name: Request(name, semantics="reference").run(prepared, atom)[1].score for name in list(needed)[1:]}
        ranked["own"] = nested_masks(prediction, NestedMasksSettings(epochs=150), Watch()).score
        for name, score in ranked.items():
            checked = fidelity(prediction, importance_order(score), log_counts(prediction.n_units))
            needed[name].append(checked.insertion_area)
    assert np.mean(needed["own"]) < np.mean(needed["integrated_gradients"]) < np.mean(needed["random"])


def test_nothing_false_is_chosen_where_the_truth_is_planted(planted) -> None:
    """A sufficient set may leave true units out, but false ones have no influence that could put them in."""
    network, prepared = planted
    prediction = prepared.masked_prediction(11, semantics="reference", unit="edge")
    scores = nested_masks(prediction, NestedMasksSettings(epochs=150, tolerance=1e-3), Watch())
    chosen = scores.score > 0.5
    assert chosen.sum() > 0
    assert network.truth(prediction)[importance_order(scores.score)[: chosen.sum()]].mean() > 0.9


def test_it_is_the_same_each_time_and_touches_nothing(planted) -> None:
    network, prepared = planted
    before = {name: value.clone() for name, value in network.predictor.model.state_dict().items()}
    prediction = prepared.masked_prediction(5, semantics="reference", unit="atom")
    first, second = (nested_masks(prediction, QUICK, Watch()).score for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert all(torch.equal(value, before[name]) for name, value in network.predictor.model.state_dict().items())


def test_progress_cancellation_and_settings(planted) -> None:
    _, prepared = planted
    prediction = prepared.masked_prediction(5, semantics="reference", unit="atom")
    seen: list[float] = []
    nested_masks(prediction, QUICK, Watch(progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    class AfterHalf:
        def is_set(self) -> bool:
            return len(late) > 20

    late: list[float] = []
    with pytest.raises(Cancelled):
        nested_masks(prediction, QUICK, Watch(progress=late.append, cancel=AfterHalf()))
    assert len(late) == 21
    for wrong in ({"epochs": 0}, {"start_steps": 0}, {"learning_rate": 0.0}, {"temperature": -1.0}, {"tolerance": 0.0}):
        with pytest.raises(InputError, match="must be positive"):
            NestedMasksSettings(**wrong)


def test_a_prediction_that_nothing_changes_needs_nothing(predictor, glass) -> None:
    """Two atoms of an untrained network differ by less than the tolerance: the empty set suffices."""
    prediction = prepare(predictor, glass).masked_prediction(5, semantics="reference", unit="edge")
    scores = nested_masks(prediction, QUICK, Watch())
    assert scores.diagnostics["sufficient_units"] == 0
    assert (scores.score < 0.5).all()
    assert scores.masked_prediction == pytest.approx(prediction.baseline, abs=1e-6)


@pytest.mark.parametrize("unit", [1e-35, 1e-6, 1e6, 1e30])
def test_the_start_does_not_depend_on_the_unit_of_the_quantity(unit) -> None:
    contribution = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(_standardised(unit * contribution), _standardised(contribution))
    assert not _standardised(torch.zeros(5)).any()
