"""Ensembles: the mean of their members, on disk too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.models.calibration import Calibration
from symgnn_explain.models.ensemble import EnsembleConfig, SymGNNEnsemble
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.graph import build_graph
from symgnn_explain.training.ensemble import train_ensemble
from symgnn_explain.training.settings import TrainingSettings

CONFIG = SymGNNConfig(
    dim=6, heads=(2, 1), distribution="none", radial_basis=4, environment_radial=4, environment_degree=1
)


def members(glass, n_members: int = 3) -> list[SymGNN]:
    graph = build_graph(glass, cutoff=CONFIG.cutoff, species=CONFIG.species)
    networks = []
    for seed in range(n_members):
        torch.manual_seed(seed)
        network = SymGNN(CONFIG)
        network.fit_inputs([graph])
        networks.append(network.eval())
    return networks


def test_prediction_is_the_mean_and_survives_a_file(glass, tmp_path) -> None:
    alone = members(glass)
    expected = np.mean([Predictor(member, device="cpu").predict(glass) for member in alone], axis=0)
    predictor = Predictor(SymGNNEnsemble.of(alone), device="cpu")
    np.testing.assert_allclose(predictor.predict(glass), expected, atol=1e-6)
    loaded = Predictor.load(predictor.save(tmp_path / "ensemble.safetensors"), device="cpu")
    assert loaded.model.config == predictor.model.config
    np.testing.assert_array_equal(loaded.predict(glass), predictor.predict(glass))


def test_members_are_copied(glass) -> None:
    alone = members(glass)
    ensemble = SymGNNEnsemble.of(alone)
    before = Predictor(ensemble, device="cpu").predict(glass)
    with torch.no_grad():
        for parameter in alone[0].parameters():
            parameter.zero_()
    np.testing.assert_array_equal(Predictor(ensemble, device="cpu").predict(glass), before)


def test_members_that_do_not_belong_together_are_refused(glass, random_glass) -> None:
    first = members(glass, 1)[0]
    with pytest.raises(InputError, match="same glasses"):
        SymGNNEnsemble.of([first, members(random_glass(5, seed=9), 1)[0]])
    with pytest.raises(InputError, match="same hyperparameters"):
        SymGNNEnsemble.of([first, SymGNN(SymGNNConfig())])
    with pytest.raises(InputError, match="at least 2"):
        EnsembleConfig(CONFIG, 1)


def test_training_one_leaves_its_members_and_resumes(random_glass, tmp_path) -> None:
    glasses = [random_glass(4, seed=seed) for seed in (0, 1)]
    settings = TrainingSettings(epochs=1, validate_every=1)
    options = {"n_members": 2, "config": CONFIG, "settings": settings, "device": "cpu", "progress": False}
    predictor = train_ensemble(glasses[:1], glasses[1:], out=tmp_path, **options)
    assert [member["seed"] for member in predictor.card["members"]] == [0, 1]
    each = [
        Predictor.load(tmp_path / f"member{number}" / "predictor.safetensors", device="cpu").predict(glasses[1])
        for number in (0, 1)
    ]
    assert np.abs(each[0] - each[1]).max() > 1e-4
    np.testing.assert_allclose(predictor.predict(glasses[1]), np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(predictor.predict_members(glasses[1]).T, each, atol=1e-6)
    # Intervals are those of the mean, where the members disagree, and not those of one of them.
    measured = Calibration.fit(
        glasses[1].barriers - np.mean(each, axis=0),
        np.std(each, axis=0, ddof=1),
        domain=predictor.predict_atoms(glasses[1]).domain,
    )
    assert predictor.calibration is not None
    assert predictor.calibration.floor == pytest.approx(measured.floor, rel=1e-4)
    assert predictor.calibration.half_widths == pytest.approx(measured.half_widths, rel=1e-4)
    again = train_ensemble(glasses[:1], glasses[1:], out=tmp_path, **options)
    np.testing.assert_array_equal(again.predict(glasses[1]), predictor.predict(glasses[1]))


def test_members_of_vectors_average_over_transformations_of_their_own(random_glass, tmp_path) -> None:
    glasses = [random_glass(4, seed=seed) for seed in (0, 1)]
    predictor = train_ensemble(
        glasses,
        n_members=2,
        config=SymGNNConfig(dim=6, heads=(2, 1), distribution="haar", inference_samples=4),
        settings=TrainingSettings(epochs=1, validate_every=1),
        out=tmp_path,
        device="cpu",
        progress=False,
    )
    first, second = (member.inference_transformations for member in predictor.model.members)
    assert not torch.equal(first, second)
    loaded = Predictor.load(tmp_path / "predictor.safetensors", device="cpu")
    np.testing.assert_array_equal(loaded.predict(glasses[0]), predictor.predict(glasses[0]))
