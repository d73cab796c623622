"""Barriers may be known of some atoms only: what learns and compares uses those, and says how many they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from symgnn_explain.cli import main
from symgnn_explain.errors import InputError
from symgnn_explain.export.session_file import PredictorIdentity, SavedSession, read_session, write_session
from symgnn_explain.models.baselines.ridge import RidgeConfig
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting.predictions import parity_figure, prediction_histogram
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass, write_glass
from symgnn_explain.structure.selection import select_atoms
from symgnn_explain.training.held_out import predict_held_out
from symgnn_explain.training.metrics import regression_metrics
from symgnn_explain.training.module import GlassDataModule, TrainingModule

from .conftest import CONFIG, SETTINGS, disordered, run


def without(glass: Glass, unknown: list[int] | slice) -> Glass:
    """The glass without the known barriers of some atoms."""
    assert glass.barriers is not None
    barriers = glass.barriers.copy()
    barriers[unknown] = np.nan
    return replace(glass, barriers=barriers)


PARTLY = without(disordered(1), slice(10, 45))


class TestGlass:
    def test_it_knows_which_barriers_are_known(self) -> None:
        assert PARTLY.barriers is not None
        assert np.array_equal(np.flatnonzero(~PARTLY.labelled), np.arange(10, 45))
        assert PARTLY.known_barrier(9) == PARTLY.barriers[9]
        assert PARTLY.known_barrier(10) is None
        assert "with 25 barriers" in repr(PARTLY)

    def test_none_known_is_none(self) -> None:
        nothing = without(disordered(1), slice(None))
        assert nothing.barriers is None
        assert not nothing.labelled.any()
        assert nothing.known_barrier(0) is None

    @pytest.mark.parametrize("suffix", [".extxyz", ".xyz"])
    def test_files_keep_what_is_unknown(self, suffix: str, tmp_path: Path) -> None:
        again = read_glass(write_glass(PARTLY, tmp_path / f"partly{suffix}"))
        assert np.array_equal(again.barriers, PARTLY.barriers, equal_nan=True)

    def test_sessions_keep_what_is_unknown(self, tmp_path: Path) -> None:
        session = SavedSession(PARTLY, PredictorIdentity("0" * 64))
        again = read_session(write_session(session, tmp_path / "partly.symgnn")).glass
        assert np.array_equal(again.barriers, PARTLY.barriers, equal_nan=True)


class TestComparisons:
    def test_metrics_are_those_of_the_known_atoms(self) -> None:
        known, predicted = np.random.default_rng(0).normal(size=(2, 50))
        partly = np.where(np.arange(50) % 3 == 0, known, np.nan)
        assert regression_metrics(predicted, partly) == regression_metrics(predicted[::3], known[::3])

    def test_metrics_take_two_known_ones(self) -> None:
        with pytest.raises(InputError, match="at least 2 known values, and 1 of 3"):
            regression_metrics([1.0, 2.0, 3.0], [1.0, np.nan, np.nan])

    def test_evaluate_says_how_many_are_known(
        self, tmp_path: Path, tiny_weights: Path, tiny_predictor: Predictor, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_glass(PARTLY, tmp_path / "partly.extxyz")
        assert main(["evaluate", str(path), "--weights", str(tiny_weights), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        known = PARTLY.labelled
        assert PARTLY.barriers is not None
        expected = regression_metrics(tiny_predictor.predict(PARTLY)[known], PARTLY.barriers[known])
        assert report["n_known"] == report["per_file"]["partly.extxyz"]["n_known"] == 25
        assert {name: report[name] for name in expected} == pytest.approx(expected)

    @pytest.mark.parametrize(("n_known", "said"), [(0, "no barriers"), (1, "one known barrier")])
    def test_evaluate_refuses_too_few(
        self, n_known: int, said: str, tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_glass(without(disordered(1), slice(n_known, None)), tmp_path / "few.extxyz")
        assert main(["evaluate", str(path), "--weights", str(tiny_weights)]) == 2
        assert said in capsys.readouterr().err

    def test_held_out_atoms_are_the_known_ones(self, tiny_predictor: Predictor) -> None:
        [held_out] = predict_held_out(0, [PARTLY], [tiny_predictor])
        assert PARTLY.barriers is not None
        assert np.array_equal(held_out.known, PARTLY.barriers[PARTLY.labelled])
        assert np.array_equal(held_out.mean, tiny_predictor.predict(PARTLY)[PARTLY.labelled])

    def test_figures_show_the_known_atoms(self) -> None:
        assert PARTLY.barriers is not None
        parity = parity_figure(PARTLY, np.linspace(1, 2, len(PARTLY)))
        assert len(parity.data[0].x) == 25
        assert "25 of 60 atoms" in parity.layout.annotations[0].text
        histogram = prediction_histogram(PARTLY, PARTLY.barriers, atom=10)
        assert sum(len(trace.x) for trace in histogram.data) == 25


class TestSelection:
    def test_unknown_values_fulfil_nothing(self) -> None:
        glass, unknown = PARTLY, np.flatnonzero(~PARTLY.labelled)
        for words in ("barrier < 1.6", "barrier != 1.6", "not (barrier < 1.6)", "not (not (barrier < 1.6))"):
            assert not np.isin(unknown, select_atoms(glass, words)).any()
        below, not_below = (select_atoms(glass, words) for words in ("barrier < 1.6", "not (barrier < 1.6)"))
        assert np.array_equal(np.union1d(below, not_below), np.flatnonzero(glass.labelled))

    def test_de_morgan(self) -> None:
        for left, right in (
            ("not (barrier < 1.6 and species Zr)", "not (barrier < 1.6) or not (species Zr)"),
            ("not (barrier < 1.6 or index >= 30)", "not (barrier < 1.6) and not (index >= 30)"),
            ("not (species Zr and index < 20)", "species Cu or index >= 20"),
        ):
            assert sorted(select_atoms(PARTLY, left)) == sorted(select_atoms(PARTLY, right))

    def test_the_softest_are_among_the_known(self) -> None:
        for order in ("softest", "hardest"):
            assert set(select_atoms(PARTLY, f"{order}:25")) == set(np.flatnonzero(PARTLY.labelled))
            with pytest.raises(InputError, match="only 25 barriers"):
                select_atoms(PARTLY, f"{order}:26")


class TestTraining:
    def test_the_loss_is_that_of_the_known_atoms(self) -> None:
        data = GlassDataModule([PARTLY, disordered(2)], [], CONFIG)
        module = TrainingModule(CONFIG, SETTINGS, steps_per_epoch=2)
        module.fit_inputs(data)
        assert PARTLY.barriers is not None
        known = np.concatenate([PARTLY.barriers[PARTLY.labelled], disordered(2).barriers])
        assert (float(data.labels.mean()), float(data.labels.std())) == pytest.approx(
            (known.mean(), known.std(ddof=1)), rel=1e-5
        )
        graph = data.training[0]
        labelled = torch.from_numpy(PARTLY.labelled)
        module.log = lambda *_given, **_named: None  # type: ignore[method-assign]
        loss = module.training_step(graph, 0)
        module.training_step(graph, 0)
        graph.y[~labelled] = 1e6
        assert module.training_step(graph, 0) > 100 * loss

    def test_a_network_learns_from_some_atoms(self, tmp_path: Path) -> None:
        predictor = run(tmp_path, training=[PARTLY, disordered(2)], validation=[without(disordered(4), slice(20))])
        assert np.isfinite([row["training_loss"] for row in predictor.card["history"]]).all()
        own = predictor.card["metrics"]["validation"]["toy4"]
        glass = disordered(4)
        assert glass.barriers is not None
        assert own == pytest.approx(regression_metrics(predictor.predict(glass)[20:], glass.barriers[20:]))

    def test_ridge_fits_the_known_atoms(self, tmp_path: Path) -> None:
        config = RidgeConfig(cutoff=5.0, averages=1)
        partly = run(tmp_path / "partly", config=config, training=[PARTLY, disordered(2)])
        lies = replace(PARTLY, barriers=np.where(PARTLY.labelled, PARTLY.barriers, 9.0))
        lied_to = run(tmp_path / "lies", config=config, training=[lies, disordered(2)])
        both = [each.predict(disordered(3)) for each in (partly, lied_to)]
        assert np.isfinite(both[0]).all()
        assert not np.allclose(*both)

    def test_one_without_any_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="'toy2' has no known barriers"):
            run(tmp_path, training=[PARTLY, without(disordered(2), slice(None))])
        with pytest.raises(InputError, match="takes at least two"):
            run(tmp_path, validation=[without(disordered(4), slice(1, None))])
