"""What a method must obey: determinism, completeness, an untouched model, progress and cancellation."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
import pytest
import torch

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import (
    METHODS,
    AtomExplanation,
    PGExplainer,
    PGTrainingSettings,
    explain_atom,
    prepare,
    train_pg_explainer,
)
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs import watch as scores_module
from symgnn_explain.structure.glass import Glass

from .conftest import random_glass, random_model

QUICK: dict[str, dict[str, Any]] = {
    "gnnexplainer": {"epochs": 12},
    "gnnexplainer_published": {"epochs": 12},
    "gnnexplainer_nested": {"epochs": 12, "start_steps": 2},
    "integrated_gradients": {"steps": 8},
    "input_gradient": {},
    "saliency": {},
    "feature_ablation": {"unit": "atom"},
    "shapley_sampling": {"unit": "atom", "permutations": 2},
    "kernel_shap": {"unit": "atom", "samples": 200},
    "attention": {},
    "distance": {},
    "random": {},
}
SINGLE_STEP = ("input_gradient", "saliency", "pg_explainer", "attention", "distance", "random")
"""Methods that are done before they could be interrupted midway."""


@functools.cache
def trained_explainer() -> PGExplainer:
    """A PGExplainer that has seen little, of the fixture's predictor."""
    prepared = prepare(Predictor(random_model(), device="cpu"), random_glass())
    return train_pg_explainer(prepared, [1, 2, 3], settings=PGTrainingSettings(passes=1, draws=1))


def quick(method: str) -> dict[str, Any]:
    """Settings with which a method is done in a moment."""
    return {"explainer": trained_explainer()} if method == "pg_explainer" else QUICK[method]


def snapshot(model: torch.nn.Module) -> dict[str, object]:
    return {
        "state": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "training": [module.training for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad is None for parameter in model.parameters()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
    }


def assert_untouched(model: torch.nn.Module, before: dict[str, object]) -> None:
    after = snapshot(model)
    assert before["state"].keys() == after["state"].keys()
    assert all(torch.equal(before["state"][name], after["state"][name]) for name in before["state"])
    assert {key: value for key, value in before.items() if key != "state"} == {
        key: value for key, value in after.items() if key != "state"
    }


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_explanation(method, predictor, glass) -> None:
    seed = {"seed": 3} if hasattr(METHODS[method].configure(), "seed") else {}
    first, second = (explain_atom(predictor, glass, 5, method, **seed, **quick(method)) for _ in range(2))
    np.testing.assert_array_equal(first.score, second.score)
    assert first.seed == seed.get("seed")


def test_another_seed_starts_elsewhere(predictor, glass) -> None:
    settings = {"method": "gnnexplainer_published", "epochs": 3}
    first, second = (explain_atom(predictor, glass, 5, seed=seed, **settings).score for seed in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_not_touched(method, training, predictor, glass) -> None:
    predictor.model.train(training)
    before = snapshot(predictor.model)
    explain_atom(predictor, glass, 5, method, **quick(method))
    assert_untouched(predictor.model, before)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_model_is_not_touched_by_an_interruption(method, error, predictor, glass) -> None:
    stop_at = np.random.default_rng([error is RuntimeError, list(METHODS).index(method)]).random()

    def interrupt(fraction: float) -> None:
        if fraction >= stop_at:
            raise error

    before = snapshot(predictor.model)
    with pytest.raises(error):
        explain_atom(predictor, glass, 5, method, progress=interrupt, **quick(method))
    assert_untouched(predictor.model, before)


@pytest.mark.parametrize("method", METHODS)
def test_progress_rises_to_one_and_cancel_stops(method, predictor, glass) -> None:
    seen: list[float] = []
    explain_atom(predictor, glass, 5, method, progress=seen.append, **quick(method))
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0

    cancel, late = threading.Event(), []

    def cancel_midway(fraction: float) -> None:
        late.append(fraction)
        if fraction > 0.4 or method in SINGLE_STEP:
            cancel.set()

    with pytest.raises(Cancelled):
        explain_atom(predictor, glass, 5, method, progress=cancel_midway, cancel=cancel, **quick(method))
    assert late[-1] < 0.7


def test_integrated_gradients_are_complete(predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, 7, "integrated_gradients", steps=64)
    change = explanation.prediction - explanation.diagnostics["baseline_prediction"]
    assert abs(change) > 1e-4
    assert explanation.score.sum() == pytest.approx(change, rel=0.02)
    assert explanation.signed


def test_integrated_gradients_equal_a_riemann_sum(predictor, glass) -> None:
    forward = prepare(predictor, glass).masked_forward(7, "reference")
    total = torch.zeros(forward.n_edges)
    steps = 400
    for step in range(steps):
        mask = torch.full((forward.n_edges,), (step + 0.5) / steps, requires_grad=True)
        total += torch.autograd.grad(forward(mask), mask)[0] / steps
    explanation = explain_atom(predictor, glass, 7, "integrated_gradients", steps=64)
    np.testing.assert_allclose(explanation.score, total.numpy(), atol=2e-3 * float(total.abs().max()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"atom": 60}, "atom 60 does not exist"),
        ({"atom": -1}, "atom -1 does not exist"),
        ({"method": "magic"}, "choose from gnnexplainer"),
        ({"steps": 3}, "has no setting steps"),
        ({"epochs": 0}, "must be positive"),
        ({"epochs": "many"}, "cannot be used"),
        ({"method": "integrated_gradients", "steps": 1}, "at least 2"),
    ],
)
def test_bad_requests_end_in_one_sentence(arguments, said, predictor, glass) -> None:
    with pytest.raises(InputError, match=said):
        explain_atom(predictor, glass, **({"atom": 0, "method": "gnnexplainer"} | arguments))


def test_a_prepared_glass_is_not_predicted_again(predictor, glass, monkeypatch) -> None:
    prepared = prepare(predictor, glass)
    np.testing.assert_allclose(prepared.predictions, predictor.predict(glass), atol=1e-6)
    plain = explain_atom(predictor, glass, 5, "gnnexplainer", epochs=2)
    monkeypatch.setattr("symgnn_explain.explain.api.prepare", None)
    reused = explain_atom(predictor, glass, 5, "gnnexplainer", epochs=2, prepared=prepared)
    np.testing.assert_array_equal(reused.score, plain.score)
    assert reused.prediction_range == plain.prediction_range


def test_what_was_prepared_for_another_glass_is_refused(predictor, glass) -> None:
    with pytest.raises(InputError, match="what prepare\\(\\) returned"):
        explain_atom(predictor, random_glass(seed=1), 5, "gnnexplainer", epochs=2, prepared=prepare(predictor, glass))


@pytest.mark.parametrize("semantics", MASK_SEMANTICS)
@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_and_semantics_is_reported_and_survives_a_file(unit, semantics, predictor, glass, tmp_path) -> None:
    explanation = explain_atom(predictor, glass, 5, "gnnexplainer", epochs=4, unit=unit, semantics=semantics)
    assert (explanation.unit, explanation.mask_semantics) == (unit, semantics)
    assert explanation.out_of_distribution is not None
    again = AtomExplanation.load(explanation.save(tmp_path / "explanation.json"))
    np.testing.assert_array_equal(again.unit_score, explanation.unit_score)
    assert again.top_units(5).equals(explanation.top_units(5))
    assert again.fidelity.to_frame().equals(explanation.fidelity.to_frame())


def test_unknown_unit_and_semantics_are_refused(predictor, glass) -> None:
    with pytest.raises(InputError, match="unit='cluster' is unknown"):
        explain_atom(predictor, glass, 5, unit="cluster")
    with pytest.raises(InputError, match="semantics='blur' is unknown"):
        explain_atom(predictor, glass, 5, semantics="blur")


def test_a_preview_is_the_explanation_as_it_is_so_far(
    glass: Glass, tiny_predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_module, "PREVIEW_INTERVAL", 0.0)
    for unit in ("edge", "atom"):
        seen: list[AtomExplanation] = []
        final = explain_atom(
            tiny_predictor, glass, 3, "gnnexplainer", unit=unit, preview=seen.append, epochs=7, stop_early=False
        )
        assert len(seen) == 7
        np.testing.assert_allclose(seen[-1].score, final.score)
        np.testing.assert_array_equal(seen[0].source, final.source)
        assert (seen[-1].masked_prediction, seen[-1].fidelity) == (None, None)
        # Watching changes nothing.
        unwatched = explain_atom(tiny_predictor, glass, 3, "gnnexplainer", unit=unit, epochs=7, stop_early=False)
        np.testing.assert_array_equal(unwatched.score, final.score)


def test_previews_are_rare(glass: Glass, tiny_predictor: Predictor) -> None:
    seen: list[AtomExplanation] = []
    explain_atom(tiny_predictor, glass, 3, "gnnexplainer", preview=seen.append, epochs=20, stop_early=False)
    assert len(seen) < 5
