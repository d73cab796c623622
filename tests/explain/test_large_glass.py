"""A large glass is explained from the surroundings of each atom alone, as from the graph of the whole."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, explain_atom, explain_many, explain_positions, prepare
from symgnn_explain.explain.engine import prepared as module
from symgnn_explain.explain.engine import sample as sample_module
from symgnn_explain.explain.engine.prepared import PreparedGlass, PreparedLargeGlass
from symgnn_explain.models.predictor import AtomPredictions, Predicted, Predictor
from symgnn_explain.structure.glass import Glass
from tests.explain.conftest import random_glass, random_model

ATOM = 700
SETTINGS: dict[str, dict[str, Any]] = {
    "gnnexplainer": {"epochs": 3},
    "gnnexplainer_published": {"epochs": 3},
    "gnnexplainer_nested": {"epochs": 3},
    "integrated_gradients": {"steps": 2},
}
SKIPPED = {"feature_ablation", "shapley_sampling", "kernel_shap", "pg_explainer"}
"""As slow as many masked predictions, or trained; they are given the same masked prediction."""

Both = tuple[PreparedGlass, PreparedLargeGlass]


@pytest.fixture(scope="module", params=[(0, 0, 0), (4, 3, 2)], ids=["vectors", "described"])
def both(request: pytest.FixtureRequest) -> Both:
    """A glass prepared as a whole, and as a large one."""
    glass = random_glass(3375, edge=38.0)
    predictor = Predictor(random_model(1, heads=(2, 1), environment=request.param), device="cpu")
    whole = prepare(predictor, glass)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LARGE_ATOMS", 1000)
        cut = prepare(predictor, glass)
    assert isinstance(cut, PreparedLargeGlass)
    assert not isinstance(whole, PreparedLargeGlass)
    return whole, cut


@pytest.mark.parametrize("method", sorted(set(METHODS) - SKIPPED))
def test_explanations_are_those_of_the_whole_graph(both: Both, method: str) -> None:
    whole, cut = (prepared.explain(ATOM, method, **SETTINGS.get(method, {})) for prepared in both)
    for name in ("atom", "unit", "covers", "glass_sha256", "reference_name", "settings", "prediction_range"):
        assert getattr(cut, name) == getattr(whole, name), name
    for name in ("source", "target", "hop", "displacement"):  # in the same order
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))
    # Sums over other batches of atoms round differently.
    np.testing.assert_allclose(cut.score, whole.score, rtol=0, atol=1e-5 * np.abs(whole.score).max())
    assert cut.prediction == pytest.approx(whole.prediction, abs=1e-6)
    assert cut.diagnostics == pytest.approx(whole.diagnostics, rel=1e-4, abs=1e-6)


def test_whatever_else_is_asked_of_an_atom_is_the_same(both: Both) -> None:
    whole, cut = both
    of_whole, of_cut = (explain_positions(each, ATOM) for each in both)
    np.testing.assert_array_equal(of_cut.atoms, of_whole.atoms)
    np.testing.assert_allclose(of_cut.gradient, of_whole.gradient, atol=1e-6)
    near = np.argsort(np.linalg.norm(whole.glass.displacements_from(ATOM), axis=1))[1:4]
    units = {"a": near[:2].tolist(), "b": near[2:].tolist()}
    np.testing.assert_allclose(*(each.interactions(ATOM, units).coalitions for each in both), atol=1e-6)
    again = pickle.loads(pickle.dumps(cut))  # as for a process that explains other atoms
    np.testing.assert_allclose(again.explain(3, "saliency").score, whole.explain(3, "saliency").score, atol=1e-6)


def test_the_graph_of_the_whole_is_not_built(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    _, cut = both
    cut.__dict__.pop("graph", None)
    largest: list[int] = []
    build = module._described_graph
    monkeypatch.setattr(module, "_described_graph", lambda *given: largest.append(len(given[1])) or build(*given))
    many = explain_many(cut.predictor, cut.glass, [1, 2, 3, 2 * ATOM], "saliency", prepared=cut)
    assert len(many) == 4
    assert len(largest) == 4
    assert max(largest) < len(cut.glass)
    assert len(cut._latest) == module._KEPT
    cut.explain(2 * ATOM, "saliency")
    assert len(largest) == 4  # its surroundings were kept
    assert cut.graph.num_nodes == len(cut.glass)  # what looks at all atoms finds it


def test_surroundings_explain_their_own_atom_alone(both: Both) -> None:
    part = both[1].around(ATOM)
    with pytest.raises(InputError, match=f"surroundings of atom {ATOM}"):
        part.explain(ATOM + 1, "saliency")
    with pytest.raises(InputError, match="does not exist"):
        both[1].explain(len(both[1].glass), "saliency")


def test_atoms_that_see_themselves_are_explained_in_the_whole_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_ATOMS", 10)
    thin = random_glass(60)
    predictor = Predictor(random_model(1), device="cpu")
    assert not isinstance(prepare(predictor, thin), PreparedLargeGlass)
    wall = Glass(thin.positions, thin.numbers, thin.cell, np.array([False, False, False]), name="cluster")
    alone = prepare(predictor, wall)
    assert isinstance(alone, PreparedLargeGlass)
    monkeypatch.setattr(module, "LARGE_ATOMS", 1000)
    expected = explain_atom(predictor, wall, 5, "saliency")
    np.testing.assert_allclose(alone.explain(5, "saliency").score, expected.score, atol=1e-6)


@pytest.fixture(scope="module")
def sampled() -> tuple[PreparedGlass, PreparedLargeGlass]:
    """A glass prepared as a whole, and as a very large one of which nothing is predicted yet but a sample."""
    glass = random_glass(3375, edge=38.0)
    predictor = described_predictor(glass)
    whole = prepare(predictor, glass)
    unknown = np.full(len(glass), np.nan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LARGE_ATOMS", 1000)
        patch.setattr(module, "SAMPLED_ATOMS", 1000)
        patch.setattr(sample_module, "CUBE_EDGE", 14.0)
        cut = prepare(predictor, glass, predicted=Predicted(AtomPredictions(unknown, None, unknown), None))
    assert isinstance(cut, PreparedLargeGlass)
    return whole, cut


def described_predictor(glass: Glass) -> Predictor:
    """Half of the atoms of the glass lie outside of its domain."""
    model = random_model(1, heads=(2, 1), environment=(4, 3, 2))
    length = Predictor(model, device="cpu").neighbourhood_length(glass)
    domain = {"edge": float(np.median(length)), "density": [0, 1], "composition": {}, "held_out_outside": [0, 1]}
    return Predictor(model, {"protocol": {"domain": domain}}, device="cpu")


def test_a_sample_says_what_is_said_of_its_atoms(sampled: tuple[PreparedGlass, PreparedLargeGlass]) -> None:
    whole, cut = sampled
    sample = cut.sample
    assert sample is not None
    assert len(np.unique(sample.atoms)) == len(sample.atoms) < len(whole.glass) / 2
    np.testing.assert_allclose(sample.said.values, whole.predictions[sample.atoms], atol=1e-5)
    np.testing.assert_allclose(sample.said.domain, whole.domain[sample.atoms], atol=1e-12)


def test_one_sample_of_all_atoms_has_the_mean_messages_of_all(
    sampled: tuple[PreparedGlass, PreparedLargeGlass], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = sampled
    monkeypatch.setattr(sample_module, "CUBE_EDGE", 100.0)
    every = sample_module.sample_of(whole.predictor, whole.glass)
    assert len(every.atoms) == len(whole.glass)
    for found, expected in zip(every.messages, whole.reference, strict=True):
        for layer, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(layer, wanted, atol=1e-6)


def test_an_atom_is_explained_before_all_are_predicted(sampled: tuple[PreparedGlass, PreparedLargeGlass]) -> None:
    whole, cut = sampled
    same_messages = dataclasses.replace(whole, reference=cut.sample.messages)
    one, other = (prepared.explain(ATOM, "saliency") for prepared in (same_messages, cut))
    np.testing.assert_allclose(other.score, one.score, atol=1e-5)
    assert other.prediction == pytest.approx(one.prediction, abs=1e-6)
    assert other.prediction_range == (cut.sample.said.values.min(), cut.sample.said.values.max())
    expected = {**one.diagnostics, "sampled_atoms": len(cut.sample.atoms)}
    assert dict(other.diagnostics) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert 0.2 < other.diagnostics["share_of_atoms_outside_the_domain"] < 0.8
    assert f"those of {len(cut.sample.atoms):,} of its atoms" in cut.explain(3, "saliency").caveats[-1]


def test_cubes_lie_within_any_glass() -> None:
    rng = np.random.default_rng(0)
    for pbc in ([True] * 3, [False] * 3, [True, False, True]):
        glass = Glass(rng.random((500, 3)) * [90, 60, 20], np.full(500, 29), np.diag([200.0, 60, 20]), np.array(pbc))
        cubes = sample_module.cubes_all_over(glass)
        assert cubes
        for atoms in cubes:
            assert np.ptp(glass.positions[atoms], axis=0).max() <= sample_module.CUBE_EDGE + 1e-9
        together = np.concatenate(cubes)
        assert len(np.unique(together)) == len(together)
