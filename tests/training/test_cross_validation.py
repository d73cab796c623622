from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.mlp import MLPConfig
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training.cross_validation import RESULT_FILE, CrossValidation, cross_validate
from symgnn_explain.training.module import GlassDataModule, TrainingModule
from symgnn_explain.training.settings import TrainingSettings

CONFIG, SETTINGS = MLPConfig(dim=4, layers=1), TrainingSettings(epochs=3, validate_every=1, patience=1, seed=9)


@pytest.fixture
def glasses(random_glass: Callable[..., Glass]) -> list[Glass]:
    """Three unrelated glasses, and a copy of the first with barriers computed anew."""
    rng = np.random.default_rng(0)
    made = [replace(random_glass(side, seed=side), name=f"glass{side}") for side in (3, 4, 5)]
    return [*made, replace(made[0], name="again", barriers=rng.normal(1.6, 0.3, len(made[0])))]


def run(glasses: list[Glass], out: Path, **changes: Any) -> CrossValidation:
    given: dict[str, Any] = {"config": CONFIG, "settings": SETTINGS, "seeds": (0, 1), "device": "cpu"} | changes
    return cross_validate(glasses, out=out, progress=False, **given)


def test_runs_do_not_pile_up_in_memory(glasses: list[Glass], tmp_path: Path) -> None:
    gc.collect()
    before = sum(type(one) is GlassDataModule for one in gc.get_objects())
    gc.disable()  # it would come sooner or later, and later is too late for data of a gigabyte
    try:
        run(glasses, tmp_path, seeds=(0, 1, 2))
        assert sum(type(one) is GlassDataModule for one in gc.get_objects()) <= before + 1
    finally:
        gc.enable()


def table(values: dict[tuple[int, int, int], float]) -> CrossValidation:
    """A result with these r by fold, seed and epoch."""
    rows = [
        {"fold": fold, "seed": seed, "epoch": epoch, "training_loss": 1.0, "validation_pearson": r}
        for (fold, seed, epoch), r in values.items()
    ]
    return CrossValidation(
        architecture="MLP",
        config=CONFIG.to_dict(),
        settings=SETTINGS,
        folds=(("a", "b"), ("c",)),
        seeds=(0, 5),
        runs=pd.DataFrame(rows),
        n_parameters=3,
        seconds_per_epoch=1.5,
        together={
            "metrics": {"a": {"pearson": 0.8}},
            "pearson": 0.8,
            "calibration": {"floor_ev": 0.2, "scale": 1.5},
            "coverage": {"68": 0.7, "95": 0.94},
        },
    )


class TestStatistics:
    EPOCHS = ({0: (0.5, 0.7), 1: (0.1, 0.3)}, {0: (0.6, 0.8), 1: (0.6, 0.9)}, {0: (0.9, 0.1), 1: (0.6, 0.6)})
    RESULT = table(
        {
            (fold, seed, epoch): both[place]
            for epoch, per_fold in enumerate(EPOCHS, start=1)
            for fold, both in per_fold.items()
            for place, seed in enumerate((0, 5))
        }
        | {(0, 0, 4): 1.0}  # an epoch that one run alone has reached
    )

    def test_one_epoch_is_chosen_for_all_runs(self) -> None:
        assert self.RESULT.epoch == 2
        assert self.RESULT.curve["mean"].to_dict() == pytest.approx({1: 0.4, 2: 0.725, 3: 0.55})

    def test_mean_and_spread(self) -> None:
        assert self.RESULT.pearson == pytest.approx(
            {"mean": 0.725, "std_folds": 0.05 / np.sqrt(2), "std_seeds": 0.25 / np.sqrt(2)}
        )

    def test_table(self) -> None:
        frame = self.RESULT.to_frame()
        assert list(frame.index) == ["a + b", "c", "mean"]
        assert frame.loc["a + b"].tolist() == pytest.approx([0.7, 0.2 / np.sqrt(2), 0.6, 0.8])
        assert frame.loc["mean"].tolist() == pytest.approx([0.725, 0.25 / np.sqrt(2), 0.6, 0.85])

    def test_survives_storage(self, tmp_path: Path) -> None:
        loaded = CrossValidation.load(self.RESULT.save(tmp_path / "new" / RESULT_FILE))
        pd.testing.assert_frame_equal(loaded.runs, self.RESULT.runs, check_dtype=False)
        assert loaded.to_dict() == self.RESULT.to_dict()

    def test_a_single_seed_has_no_spread(self, tmp_path: Path) -> None:
        single = table({(0, 0, 1): 0.5, (1, 0, 1): 0.7})
        single = replace(single, seeds=(0,))
        assert single.to_dict()["pearson"] == {
            "mean": pytest.approx(0.6),
            "std_folds": pytest.approx(0.1414, abs=1e-4),
            "std_seeds": None,
        }
        assert CrossValidation.load(single.save(tmp_path / "one.json")).seeds == (0,)

    def test_a_fold_whose_r_is_not_known_is_not_left_out_of_the_mean(self, tmp_path: Path) -> None:
        """That of predictions that are all equal: the r of the other folds is no r of all folds."""
        result = table({(0, 0, 1): np.nan, (1, 0, 1): 0.7, (0, 0, 2): np.nan, (1, 0, 2): 0.8})
        result = replace(result, seeds=(0,))
        assert result.per_fold[0].tolist() == pytest.approx([np.nan, 0.7], nan_ok=True)
        assert result.to_dict()["pearson"] == {"mean": None, "std_folds": None, "std_seeds": None}
        assert result.to_frame().loc["mean"].isna().all()
        assert CrossValidation.load(result.save(tmp_path / "unknown.json")).to_dict() == result.to_dict()

    def test_an_epoch_at_which_a_run_has_no_r_is_not_the_best(self) -> None:
        values = {(fold, 0, epoch): 0.1 * epoch + 0.2 * fold for fold in (0, 1) for epoch in (1, 2, 3)}
        result = replace(table(values | {(0, 0, 3): np.nan}), seeds=(0,))
        assert result.epoch == 2
        assert result.pearson["mean"] == pytest.approx(0.3)

    def test_the_final_run_is_the_same_schedule_cut_at_the_chosen_epoch(self) -> None:
        config, settings, protocol = self.RESULT.final_run(seed=4)
        assert config == CONFIG
        assert settings == replace(SETTINGS, seed=4, stop_after=2)
        assert protocol["pearson"]["mean"] == pytest.approx(0.725)
        assert protocol["calibration"] == {"floor_ev": 0.2, "scale": 1.5, "coverage": {"68": 0.7, "95": 0.94}}
        json.dumps(protocol)


class TestRuns:
    def test_relatives_are_held_out_together_and_every_run_is_kept(self, glasses: list[Glass], tmp_path: Path) -> None:
        result = run(glasses, tmp_path)
        assert sorted(result.folds) == [("glass3", "again"), ("glass4",), ("glass5",)]
        assert len(result.runs) == 3 * 2 * 3  # folds, seeds, epochs: patience stops none
        for fold, names in enumerate(result.folds):
            for seed in (0, 1):
                card = Predictor.load(tmp_path / f"fold{fold}" / f"seed{seed}" / "predictor.safetensors").card
                assert {entry["name"] for entry in card["validation"]} == set(names)
                assert card["training_settings"]["seed"] == seed
                there = result.runs[(result.runs["fold"] == fold) & (result.runs["seed"] == seed)]
                assert there["validation_rmse"].tolist() == [entry["validation_rmse"] for entry in card["history"]]
        assert CrossValidation.load(tmp_path / RESULT_FILE).to_dict() == result.to_dict()

    def test_an_interrupted_one_resumes(
        self, glasses: list[Glass], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = run(glasses[:2], tmp_path / "whole")
        original, steps = TrainingModule.training_step, []

        def training_step(self: TrainingModule, *given: Any) -> Any:
            steps.append(1)
            if len(steps) == 5:
                raise KeyboardInterrupt
            return original(self, *given)

        with monkeypatch.context() as patched:
            patched.setattr(TrainingModule, "training_step", training_step)
            with pytest.raises(KeyboardInterrupt):
                run(glasses[:2], tmp_path / "parts")
            assert not (tmp_path / "parts" / RESULT_FILE).exists()
            parts = run(glasses[:2], tmp_path / "parts")
        assert len(steps) == 2 * 2 * 3 + 1  # the step that was interrupted is the only one made again
        pd.testing.assert_frame_equal(parts.runs, whole.runs)


class TestRefusals:
    def test_one_group(self, glasses: list[Glass], tmp_path: Path) -> None:
        with pytest.raises(InputError, match="glass3, again are one glass or related"):
            run([glasses[0], glasses[3]], tmp_path)

    @pytest.mark.parametrize("seeds", [(), (1, 1)])
    def test_seeds(self, glasses: list[Glass], tmp_path: Path, seeds: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="must be given, and each once"):
            run(glasses, tmp_path, seeds=seeds)

    @pytest.mark.parametrize(
        "content", ["", "{}", "[]", '{"format_version": 9}', '{"format_version": 1, "architecture": "os.system"}']
    )
    def test_a_file_that_is_none(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "some.json").write_text(content)
        with pytest.raises(InputError, match=r"some\.json does not hold a cross-validation"):
            CrossValidation.load(tmp_path / "some.json")
