"""The predictor that ships: what its card says, and how it behaves when the glass is moved, turned or renumbered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from symgnn_explain import datasets
from symgnn_explain.glass import Glass
from symgnn_explain.models.invariance import symmetrization_error
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.training.metrics import regression_metrics

FLOAT_TOLERANCE = 2e-4  # eV; sums over some 30 neighbours in single precision, four layers deep


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(device="cpu")


@pytest.fixture(scope="module")
def sample() -> Glass:
    return datasets.sample()


@pytest.fixture(scope="module")
def barriers(predictor, sample) -> np.ndarray:
    return predictor.predict(sample)


def test_the_card_says_where_the_weights_come_from(predictor) -> None:
    card = predictor.card
    assert {glass["name"] for glass in card["validation"]} == {"train0", "train1"}
    assert {glass["name"] for glass in card["training"]} == {"train2", "train3", "train4", "train5", "train6"}
    assert card["provenance"]["command"].startswith("symgnn-explain train --preset light")
    assert card["provenance"]["data_sha256"] == {
        f"{name}.pickle": datasets.SHA256[name] for name in datasets.SHA256 if name.startswith("train")
    }
    assert {"torch", "torch_geometric", "lightning"} <= set(card["versions"])
    assert all(metrics["pearson"] >= 0.6 for metrics in card["metrics"]["validation"].values())


@pytest.mark.slow
def test_validation_metrics_are_those_of_the_card(predictor, published) -> None:
    for name in ("train0", "train1"):
        glass = published(name)
        found = regression_metrics(predictor.predict(glass), glass.barriers)
        assert found == pytest.approx(predictor.card["metrics"]["validation"][glass.name], abs=1e-3)


def test_prediction_is_deterministic(predictor, sample, barriers) -> None:
    np.testing.assert_array_equal(predictor.predict(sample), barriers)


@pytest.mark.parametrize("seed", [0, 1])
def test_rotations_and_reflections_stay_within_the_stated_tolerance(predictor, sample, barriers, seed) -> None:
    """The card states the rms change on a validation glass; another glass and other matrices stay near it."""
    stated = predictor.card["metrics"]["symmetrization_error_ev"]
    for matrix in HaarO3()(2, torch.Generator().manual_seed(seed)).numpy():
        turned = replace(sample, positions=sample.positions @ matrix.T, cell=sample.cell @ matrix.T)
        change = predictor.predict(turned) - barriers
        assert 0 < np.sqrt(np.mean(change**2)) < 2 * stated
    assert stated < 0.05 * barriers.std()


def test_the_stated_tolerance_is_measured(predictor, sample) -> None:
    assert symmetrization_error(predictor, sample) == pytest.approx(
        predictor.card["metrics"]["symmetrization_error_ev"], rel=0.5
    )


def test_translating_wrapping_and_permuting_change_nothing(predictor, sample, barriers) -> None:
    rng = np.random.default_rng(0)
    shifted = replace(sample, positions=sample.positions + rng.uniform(-50, 50, 3))
    lengths = np.diag(sample.cell)
    images = replace(sample, positions=sample.positions + rng.integers(-3, 4, (len(sample), 3)) * lengths)
    order = rng.permutation(len(sample))
    permuted = Glass(sample.positions[order], sample.numbers[order], sample.cell)
    np.testing.assert_allclose(predictor.predict(shifted), barriers, atol=FLOAT_TOLERANCE)
    np.testing.assert_allclose(predictor.predict(images), barriers, atol=FLOAT_TOLERANCE)
    np.testing.assert_allclose(predictor.predict(permuted), barriers[order], atol=FLOAT_TOLERANCE)
