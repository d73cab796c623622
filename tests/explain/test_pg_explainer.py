"""PGExplainer: training, determinism, files, and what it is refused for."""

from __future__ import annotations

import json
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import AtomExplanation, PGExplainer, PGTrainingSettings, explain_atom, prepare
from symgnn_explain.explain import train_pg_explainer as train
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.models.predictor import Predictor

from .conftest import random_glass, random_model
from .test_explain import assert_untouched, snapshot, trained_explainer

ATOMS = [0, 11, 22, 33, 44, 55]
BRIEF = PGTrainingSettings(passes=2, draws=2)


@pytest.fixture(scope="module")
def trained() -> PGExplainer:
    return trained_explainer()


def weights(explainer: PGExplainer) -> np.ndarray:
    return torch.cat([tensor.flatten() for tensor in explainer.scorer.state_dict().values()]).numpy()


def test_training_makes_masks_small_while_predictions_stay(glass) -> None:
    """Judged on atoms that it was not trained on: better than the mean mask everywhere, and much smaller than 1."""
    model = random_model()
    model.label_scale.fill_(30.0)  # untrained predictions hardly differ from atom to atom
    predictor = Predictor(model, device="cpu")
    prepared = prepare(predictor, glass)
    spread = float(prepared.predictions.std())
    settings = PGTrainingSettings(passes=40, draws=2, learning_rate=0.02, tolerance=0.2 * spread)
    explainer = train(prepared, ATOMS, settings=settings)
    curve = explainer.card["learning_curve"]
    assert curve[-1]["mean_mask"] < 0.5 * curve[0]["mean_mask"]
    changes, sizes, uniform = [], [], []
    for atom in (5, 17, 29, 41):
        explanation = explain_atom(predictor, glass, atom, "pg_explainer", explainer=explainer, prepared=prepared)
        changes.append(explanation.masked_change)
        sizes.append(explanation.score.mean())
        prediction = prepared.masked_prediction(atom, semantics="reference", unit="edge")
        uniform.append(float(prediction(prediction.full(float(explanation.score.mean())))) - prediction.original)
    assert np.mean(sizes) < 0.3
    assert np.sqrt(np.mean(np.square(changes))) < np.sqrt(np.mean(np.square(uniform)))


def test_same_seed_same_explainer_whatever_the_process_drew_before(glass, predictor) -> None:
    prepared = prepare(predictor, glass)
    found = []
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            found.append(weights(train(prepared, ATOMS, settings=BRIEF)))
            assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*found)
    other = train(prepared, ATOMS, settings=PGTrainingSettings(passes=2, draws=2, seed=1))
    assert not np.array_equal(weights(other), found[0])


def test_training_leaves_the_predictor_alone_also_when_it_is_cancelled(glass, predictor) -> None:
    before = snapshot(predictor.model)
    cancel, seen = threading.Event(), []

    def cancel_midway(fraction: float) -> None:
        seen.append(fraction)
        if fraction > 0.4:
            cancel.set()

    with pytest.raises(Cancelled):
        train(prepare(predictor, glass), ATOMS, settings=BRIEF, progress=cancel_midway, cancel=cancel)
    assert seen == sorted(seen)
    assert seen[-1] < 0.6
    assert_untouched(predictor.model, before)
    seen.clear()
    train(prepare(predictor, glass), ATOMS, settings=BRIEF, progress=seen.append)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_the_mask_is_what_its_logits_say(trained, predictor, glass) -> None:
    """And the scorer is the two-layer network of its weights, edge by edge."""
    prepared = prepare(predictor, glass)
    prediction = prepared.masked_prediction(7, semantics="reference", unit="edge")
    explanation = explain_atom(predictor, glass, 7, "pg_explainer", explainer=trained)
    scorer, features = trained.scorer, prepared.features
    node = (features.node - scorer.node_mean) / scorer.node_scale
    edges = (features.edge - scorer.edge_mean) / scorer.edge_scale
    first = torch.cat([layer.weight for layer in (scorer.from_source, scorer.from_target, scorer.from_explained)], 1)
    for edge in range(0, len(explanation), 101):
        number = prediction.forward.field.edges[edge]
        ends = torch.cat([node[prediction.source[edge]], node[prediction.target[edge]], node[7]])
        hidden = first @ ends + scorer.from_edge(edges[number]) + scorer.from_hop.weight[explanation.hop[edge]]
        mask = torch.sigmoid(scorer.out(hidden.relu()))
        assert explanation.score[edge] == pytest.approx(mask.item(), abs=1e-5)
    masked = prediction(torch.tensor(explanation.score, dtype=torch.float32))
    assert explanation.masked_prediction == pytest.approx(float(masked), abs=1e-5)


@pytest.mark.parametrize("unit", UNITS)
def test_groups_have_the_mean_logit_of_their_edges(unit, trained, predictor, glass) -> None:
    edges = explain_atom(predictor, glass, 7, "pg_explainer", explainer=trained).score
    groups = explain_atom(predictor, glass, 7, "pg_explainer", explainer=trained, unit=unit)
    logits = np.log(edges / (1 - edges))
    expected = logits if groups.units is None else groups.units.gather(logits, mean=True)
    np.testing.assert_allclose(groups.unit_score, 1 / (1 + np.exp(-expected)), atol=1e-5)


def test_it_survives_a_file_and_another_process(trained, predictor, glass, tmp_path: Path) -> None:
    path = trained.save(tmp_path / "explainer.safetensors")
    by_object = explain_atom(predictor, glass, 7, "pg_explainer", explainer=trained)
    by_path = explain_atom(predictor, glass, 7, "pg_explainer", explainer=path)
    by_pickle = explain_atom(predictor, glass, 7, "pg_explainer", explainer=pickle.loads(pickle.dumps(trained)))
    np.testing.assert_array_equal(by_path.score, by_object.score)
    np.testing.assert_array_equal(by_pickle.score, by_object.score)
    digest = trained.name.removeprefix("PGExplainer ")
    assert by_path.settings == {"explainer": f"{path.name} {digest}"}
    again = AtomExplanation.load(by_object.save(tmp_path / "explanation.json"))
    assert again.settings == {"explainer": trained.name}
    assert json.loads(path.with_suffix(".json").read_text())["atoms"] == [1, 2, 3]


class TestRefusals:
    def test_without_an_explainer(self, predictor, glass) -> None:
        with pytest.raises(InputError, match=r"train_pg_explainer\(\) returned"):
            explain_atom(predictor, glass, 7, "pg_explainer")

    def test_other_semantics(self, trained, predictor, glass) -> None:
        with pytest.raises(InputError, match="semantics 'reference', not 'zero'"):
            explain_atom(predictor, glass, 7, "pg_explainer", explainer=trained, semantics="zero")

    def test_another_predictor(self, trained, glass) -> None:
        with pytest.raises(InputError, match="another predictor"):
            explain_atom(Predictor(random_model(1), device="cpu"), glass, 7, "pg_explainer", explainer=trained)

    @pytest.mark.parametrize("damage", ["weights", "card", "no card", "no file", "another card", "of another kind"])
    def test_damaged_files(self, damage, trained, predictor, glass, tmp_path: Path) -> None:
        path = trained.save(tmp_path / "explainer.safetensors")
        card = path.with_suffix(".json")
        content = json.loads(card.read_text())
        if damage == "weights":
            path.write_bytes(path.read_bytes()[:-3])
        elif damage == "card":
            card.write_text("{")
        elif damage == "no card":
            card.unlink()
        elif damage == "no file":
            path.unlink()
        elif damage == "another card":
            card.write_text(json.dumps(content | {"weights_sha256": "0" * 64}))
        else:
            card.write_text(json.dumps({"architecture": "SymGNN"}))
        with pytest.raises(InputError, match=r"PGExplainer|do not belong together"):
            explain_atom(predictor, glass, 7, "pg_explainer", explainer=path)

    @pytest.mark.parametrize(
        ("atoms", "arguments", "said"),
        [
            ([], {}, "none were given"),
            ([60], {}, "atom 60 does not exist"),
            ([0, 40], {"others": [random_glass(40)]}, "atom 40 does not exist"),
            ([1], {"semantics": "blur"}, "choose from zero"),
        ],
    )
    def test_training_on_what_is_not_there(self, atoms, arguments, said, predictor, glass) -> None:
        glasses = [glass, *arguments.pop("others", [])]
        with pytest.raises(InputError, match=said):
            train([prepare(predictor, other) for other in glasses], atoms, **arguments)

    def test_training_for_two_predictors(self, predictor, glass) -> None:
        other = Predictor(random_model(1), device="cpu")
        with pytest.raises(InputError, match="explains one"):
            train([prepare(predictor, glass), prepare(other, glass)], ATOMS)
        with pytest.raises(InputError, match="none were given"):
            train([], ATOMS)

    @pytest.mark.parametrize("wrong", [{"passes": 0}, {"draws": 0}, {"tolerance": 0.0}, {"entropy": -1.0}, {"cold": 0}])
    def test_settings(self, wrong) -> None:
        with pytest.raises(InputError, match=r"must (not )?be (positive|negative)"):
            PGTrainingSettings(**wrong)

    def test_another_suffix(self, trained, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"must end in \.safetensors"):
            trained.save(tmp_path / "explainer.pt")


def test_several_glasses_are_learnt_from_alike(predictor, glass) -> None:
    prepared = prepare(predictor, glass)
    family = [prepared, prepare(predictor, random_glass(seed=1), reference=glass)]
    explainer = train(family, ATOMS[:3], settings=BRIEF)
    assert set(explainer.card["glasses"]) == {"random0", "random1"}
    assert set(explainer.card["references"]) == {"random0"}
    alone = train(prepared, ATOMS[:3], settings=BRIEF)
    assert not np.array_equal(weights(explainer), weights(alone))


def test_another_glass_of_the_family_is_explained_too(trained, predictor) -> None:
    other = random_glass(90, seed=3, edge=11.5)
    explanation = explain_atom(predictor, other, 50, "pg_explainer", explainer=trained)
    assert ((explanation.score > 0) & (explanation.score < 1)).all()
