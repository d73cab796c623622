"""The spread of predictions: what it is fitted to, what it covers, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.cli import main
from symgnn_explain.errors import InputError
from symgnn_explain.export.predictions import Prediction
from symgnn_explain.models.calibration import GROWTH, POWER, Calibration
from symgnn_explain.models.domain import Domain
from symgnn_explain.models.ensemble import SymGNNEnsemble
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import write_glass
from symgnn_explain.training.held_out import HeldOut, predict_held_out, summarise

CONFIG = SymGNNConfig(dim=4, heads=(1,), distribution="none", radial_basis=3)


def drawn(n: int, floor: float, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    disagreement = rng.gamma(2.0, 0.03, n)
    return rng.normal(0, np.sqrt(floor**2 + (scale * disagreement) ** 2)), disagreement


@pytest.mark.parametrize(("floor", "scale"), [(0.2, 2.0), (0.1, 0.5)])
def test_the_fit_finds_what_the_residuals_were_drawn_with(floor: float, scale: float) -> None:
    found = Calibration.fit(*drawn(200_000, floor, scale))
    assert found.floor == pytest.approx(floor, rel=0.02)
    assert found.scale == pytest.approx(scale, rel=0.1)


def test_intervals_of_fresh_residuals_hold_their_share() -> None:
    calibration = Calibration.fit(*drawn(20_000, 0.2, 2.0))
    residual, disagreement = drawn(50_000, 0.2, 2.0, seed=1)
    inside = calibration.coverage(residual, calibration.spread(disagreement))
    assert inside == pytest.approx({"68": 0.68, "95": 0.95}, abs=0.01)


def test_intervals_hold_their_share_of_residuals_of_any_distribution() -> None:
    rng = np.random.default_rng(0)
    for draw in (rng.laplace, rng.uniform, rng.standard_t):
        parameters = (3,) if draw == rng.standard_t else (-1, 1)
        calibration = Calibration.fit(draw(*parameters, 20_000), np.zeros(20_000))
        fresh = draw(*parameters, 50_000)
        inside = calibration.coverage(fresh, calibration.spread(np.zeros(50_000)))
        assert inside == pytest.approx({"68": 0.68, "95": 0.95}, abs=0.01)


@pytest.mark.parametrize(("n", "levels"), [(2, set()), (10, {"68"}), (19, {"68", "95"}), (25, {"68", "95"})])
def test_intervals_from_a_few_residuals_hold_their_share_or_are_not_stated(n: int, levels: set[str]) -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        calibration = Calibration.fit(rng.normal(0, 0.3, n), np.zeros(n))
        assert set(calibration.half_widths) == levels
        assert Calibration.from_dict(calibration.to_dict()) == calibration
        covered.append(calibration.coverage(rng.normal(0, 0.3, 500), calibration.spread(np.zeros(500))))
    for level in levels:
        assert np.mean([each[level] for each in covered]) > float(level) / 100 - 0.015


def test_a_group_of_many_atoms_counts_as_one_of_few() -> None:
    """Between one group of small errors and one of large ones, the interval holds the mean of both shares."""
    rng = np.random.default_rng(0)
    residual = np.concatenate([rng.normal(0, 0.1, 9_000), rng.normal(0, 1.0, 1_000)])
    group = np.repeat([3, 7], [9_000, 1_000])
    calibration = Calibration.fit(residual, np.zeros(10_000), group=group)
    for level, width in calibration.intervals(calibration.spread(np.zeros(1))).items():
        shares = [np.mean(np.abs(residual[group == number]) <= width[0]) for number in (3, 7)]
        assert np.mean(shares) == pytest.approx(float(level) / 100, abs=0.005)


def test_intervals_grow_with_the_domain_score_as_the_errors_do() -> None:
    rng = np.random.default_rng(0)
    domain = rng.uniform(0.5, 1.25, 40_000)
    true = 0.2 * np.sqrt(1 + (GROWTH * domain**POWER) ** 2)
    calibration = Calibration.fit(rng.normal(0, true), np.zeros(40_000), domain=domain)
    np.testing.assert_allclose(calibration.spread(np.zeros(40_000), domain), true, rtol=0.02)
    for low in (0.5, 0.9, 1.1):
        chosen = (domain > low) & (domain < low + 0.15)
        spread = calibration.spread(np.zeros(chosen.sum()), domain[chosen])
        inside = calibration.coverage(rng.normal(0, true[chosen]), spread)
        assert inside == pytest.approx({"68": 0.68, "95": 0.95}, abs=0.03)
    widest = calibration.spread(np.zeros(3), np.array([1.3, 2.0, 50.0]))
    np.testing.assert_allclose(widest, widest[0])
    assert Calibration.from_dict(calibration.to_dict()) == calibration


def test_a_single_network_has_one_spread_for_all() -> None:
    residual = np.array([0.1, -0.3, 0.2, 0.0])
    calibration = Calibration.fit(residual, np.zeros(4))
    assert calibration.floor == pytest.approx(np.sqrt(np.mean(residual**2)))
    assert calibration.scale == 0


@pytest.mark.parametrize("residual", [[], [0.1], [0.0, 0.0]])
def test_nothing_to_calibrate_on_is_refused(residual: list[float]) -> None:
    with pytest.raises(InputError, match="at least two residuals"):
        Calibration.fit(np.array(residual), np.zeros(len(residual)))


@pytest.mark.parametrize(("floor", "scale"), [(0.0, 1.0), (np.nan, 1.0), (0.1, -1.0)])
def test_a_spread_that_cannot_be_is_refused(floor: float, scale: float) -> None:
    with pytest.raises(InputError, match="must be positive"):
        Calibration(floor, scale)


def ensemble(n_members: int = 3) -> Predictor:
    return Predictor(SymGNNEnsemble.of([SymGNN(CONFIG).eval() for _ in range(n_members)]), device="cpu")


def test_prediction_and_spread_come_from_the_members(random_glass: Callable[..., Glass]) -> None:
    predictor, glass = ensemble(), random_glass(4)
    with pytest.raises(InputError, match="no calibrated spread"):
        predictor.predict_with_spread(glass)
    assert predictor.spread(glass) is None
    predictor.card["protocol"] = {"calibration": {"floor_ev": 0.2, "scale": 3.0, "coverage": {}}}
    barriers, spread = predictor.predict_with_spread(glass)
    each = np.stack([Predictor(member, device="cpu").predict(glass) for member in predictor.model.symgnns])
    np.testing.assert_array_equal(barriers, predictor.predict(glass))
    np.testing.assert_array_equal(spread, predictor.spread(glass))
    np.testing.assert_allclose(barriers, each.mean(0), atol=1e-6)
    np.testing.assert_allclose(spread, np.hypot(0.2, 3.0 * each.std(0, ddof=1)), atol=1e-6)


def test_no_fold_judges_a_calibration_that_it_took_part_in(random_glass: Callable[..., Glass]) -> None:
    """A fold with errors ten times as large as the others' is hardly covered by these."""
    predictors = [Predictor(SymGNN(CONFIG).eval(), device="cpu") for _ in range(2)]
    rng = np.random.default_rng(0)
    held_out = []
    for fold, error in enumerate((0.1, 0.1, 1.0)):
        glass = random_glass(6, seed=fold)
        mean = np.mean([predictor.predict(glass) for predictor in predictors], axis=0)
        labelled = replace(glass, barriers=mean + rng.normal(0, error, len(glass)))
        held_out += predict_held_out(fold, [labelled], predictors)
    summary = summarise(held_out)
    shares = [inside["95"] for inside in summary["coverage_by_fold"]]
    assert shares[2] < 0.6
    assert min(shares[:2]) > 0.95
    assert summary["coverage"]["95"] == pytest.approx(np.mean(shares))
    assert set(summary["metrics"]) == {glass.name for glass in held_out}
    assert summary["calibration"]["growth"] == 0


def test_folds_with_larger_scores_have_wider_intervals() -> None:
    rng, scores = np.random.default_rng(0), (0.7, 0.8, 1.1)
    held_out = [
        HeldOut(
            fold,
            f"glass{fold}",
            rng.normal(0, 0.2 * np.sqrt(1 + (GROWTH * score**POWER) ** 2), 4_000),
            np.zeros(4_000),
            np.zeros(4_000),
            np.full(4_000, 1.5 * score),
        )
        for fold, score in enumerate(scores)
    ]
    summary = summarise(held_out, Domain(edge=1.5, density=(0.06, 0.06), composition={}))
    for inside in summary["coverage_by_fold"]:
        assert inside == pytest.approx({"68": 0.68, "95": 0.95}, abs=0.04)


def test_intervals_stand_beside_predictions_and_known_values_are_counted_in_them(
    random_glass: Callable[..., Glass], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor, glass = ensemble(), random_glass(4)
    predictor.card["protocol"] = {"calibration": Calibration(0.2, 0.0, half_widths={"68": 1.0, "95": 2.5}).to_dict()}
    predicted = Prediction.of(predictor, glass)
    columns = predicted.columns()
    np.testing.assert_allclose(columns["interval_68_eV"], 0.2)
    np.testing.assert_allclose(columns["interval_95_eV"], 0.5)

    off = np.where(np.arange(len(glass)) % 4 == 0, 0.4, 0.1)  # a quarter lies outside of the narrower interval
    write_glass(replace(glass, barriers=predicted.values + off), tmp_path / "known.extxyz")
    half = np.where(np.arange(len(glass)) % 2 == 0, predicted.values + 0.4, np.nan)
    write_glass(replace(glass, barriers=half), tmp_path / "half.extxyz")
    predictor.save(tmp_path / "weights.safetensors")
    files = [str(tmp_path / name) for name in ("known.extxyz", "half.extxyz")]
    assert main(["evaluate", *files, "--weights", str(tmp_path / "weights.safetensors"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["coverage_68"], report["coverage_95"]) == pytest.approx((0.5, 1.0))  # over all known values alike
    metrics = report["per_file"]["known.extxyz"]
    assert metrics["coverage_68"] == 0.75
    assert metrics["coverage_95"] == 1.0
