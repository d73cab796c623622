from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.cli import main
from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.mlp import MLPConfig
from symgnn_explain.models.target import BARRIER
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import write_glass
from symgnn_explain.training import benchmark
from symgnn_explain.training.benchmark import PUBLISHED, Budget, benchmark_table, run_benchmark, time_step
from symgnn_explain.training.cross_validation import CrossValidation
from symgnn_explain.training.recipes import BENCHMARKED, RECIPES
from symgnn_explain.training.settings import TRAINING_PRESETS, TrainingSettings


@pytest.fixture
def glasses(random_glass: Callable[..., Glass]) -> list[Glass]:
    """Two glasses whose barriers an atom's species tells, but for noise."""
    made = []
    for side in (3, 4):
        glass = random_glass(side, seed=side)
        noise = np.random.default_rng(side).normal(0, 0.2, len(glass))
        made.append(replace(glass, barriers=1.5 + 0.4 * (glass.numbers == 40) + noise, name=f"glass{side}"))
    return made


def run(glasses: list[Glass], out: Path, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"names": ["mlp", "ridge"], "budget": Budget(4, "epochs"), "seeds": (0, 1)} | changes
    return run_benchmark(glasses, given.pop("names"), out=out, device="cpu", progress=False, **given)


class TestBudget:
    @pytest.mark.parametrize(
        ("text", "budget"),
        [("15min", Budget(15, "min")), (" 0.5 min", Budget(0.5, "min")), ("3 epochs", Budget(3, "epochs"))],
    )
    def test_is_read(self, text: str, budget: Budget) -> None:
        assert Budget.parse(text) == budget == Budget.parse(str(budget))

    @pytest.mark.parametrize("text", ["", "15", "min", "0min", "-1epochs", "1.5epochs", "1h", "1e3min"])
    def test_is_refused(self, text: str) -> None:
        with pytest.raises(InputError, match="cannot be understood"):
            Budget.parse(text)

    def test_minutes_become_epochs_that_fill_them(
        self, glasses: list[Glass], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With steps of 0.1 s, predictions of 0.05 s and one glass on either side, 10 validations cost 0.5 s."""
        monkeypatch.setattr(benchmark, "time_step", lambda *_: (0.1, 0.05))
        report = run(glasses, tmp_path, names=["mlp"], budget=Budget(0.04, "min"), seeds=(0,))
        [row] = report["rows"]
        assert row["epochs"] == round((60 * 0.04 - 0.5) / 0.1)
        assert json.loads((tmp_path / "mlp" / "plan.json").read_text())["seconds_per_step"] == 0.1

    @pytest.mark.parametrize("budget", [Budget(60, "min"), Budget(1000, "epochs")])
    def test_no_network_trains_longer_than_it_learns(
        self, glasses: list[Glass], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: Budget
    ) -> None:
        monkeypatch.setattr(benchmark, "time_step", lambda *_: (0.001, 0.0))
        [row] = run(glasses, tmp_path, names=["mlp"], budget=budget, seeds=(0,))["rows"]
        assert row["epochs"] == RECIPES["mlp"].most_epochs == 100

    def test_a_network_of_which_nobody_knows_how_long_it_learns_takes_the_budget(self, glasses: list[Glass]) -> None:
        schnet = RECIPES["schnet"]
        assert benchmark._plan(schnet, Budget(1000, "epochs"), glasses, "cpu", target=BARRIER)["epochs"] == 1000
        assert {name for name, each in RECIPES.items() if each.most_epochs} == {*TRAINING_PRESETS, "ridge", "mlp"}

    def test_a_step_is_timed(self, glasses: list[Glass]) -> None:
        of_step, of_prediction = time_step(MLPConfig(), TrainingSettings(), glasses[0], "cpu")
        assert 0 < of_prediction < 10
        assert 0 < of_step < 10


class TestReport:
    def test_rows_are_the_cross_validations(self, glasses: list[Glass], tmp_path: Path) -> None:
        report = run(glasses, tmp_path)
        assert [row["network"] for row in report["rows"]] == ["mlp", "ridge"]
        for row in report["rows"]:
            result = CrossValidation.load(tmp_path / row["network"] / "cross_validation.json")
            assert row["r"] == result.pearson["mean"]
            assert row["r_by_fold"] == result.per_fold.mean(axis=1).tolist()
            assert row["n_parameters"] == result.n_parameters > 10
        mlp, ridge = report["rows"]
        assert (mlp["epochs"], ridge["epochs"]) == (4, 1)
        assert mlp["std_seeds"] is not None
        assert ridge["std_seeds"] is None  # solved once: it has no seed
        assert mlp["published_r"] == PUBLISHED["mlp"]
        assert ridge["published_r"] is None
        assert report["folds"] == [["glass3"], ["glass4"]]
        assert json.loads(json.dumps(report, allow_nan=False)) == report
        table = benchmark_table(report)
        assert table["r"].is_monotonic_decreasing
        assert set(table.index) == {"mlp", "ridge"}

    def test_it_resumes_as_planned_and_refuses_another_budget(
        self, glasses: list[Glass], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(benchmark, "time_step", lambda *_: (0.1, 0.0))
        given: dict[str, Any] = {"names": ["mlp"], "budget": Budget(0.005, "min"), "seeds": (0,)}
        first = run(glasses, tmp_path, **given)
        monkeypatch.setattr(benchmark, "time_step", lambda *_: pytest.fail("the plan is kept"))
        assert run(glasses, tmp_path, **given) == first
        with pytest.raises(InputError, match=r"holds a benchmark with a budget of 0\.005 min"):
            run(glasses, tmp_path, **given | {"budget": Budget(1, "epochs")})

    def test_the_first_folds_alone(self, glasses: list[Glass], tmp_path: Path) -> None:
        report = run(glasses, tmp_path, names=["mlp"], n_folds=1)
        assert report["folds"] == [["glass3"]]
        [row] = report["rows"]
        assert row["std_folds"] is None
        assert len(row["r_by_fold"]) == 1
        assert [path.name for path in (tmp_path / "mlp").glob("fold*")] == ["fold0"]
        with pytest.raises(InputError, match="3 folds are asked of 2 groups"):
            run(glasses, tmp_path / "more", names=["mlp"], n_folds=3)

    def test_names(self, glasses: list[Glass], tmp_path: Path) -> None:
        for names, said in ((["mlp", "mlp"], "each once"), ([], "each once"), (["resnet"], "no network 'resnet'")):
            with pytest.raises(InputError, match=said):
                run(glasses, tmp_path, names=names)
        assert not list(tmp_path.iterdir())

    def test_the_papers_networks_are_all_there(self) -> None:
        assert set(PUBLISHED) < set(BENCHMARKED) < set(RECIPES)


@pytest.mark.filterwarnings("ignore:The '(train|val)_dataloader' does not have many workers")
def test_the_command(glasses: list[Glass], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(write_glass(glass, tmp_path / f"{glass.name}.extxyz")) for glass in glasses]
    given = ["--models", "ridge,mlp", "--budget", "2epochs", "--seeds", "0", "--out", str(tmp_path / "runs")]
    assert main(["benchmark", *files, *given, "--json", str(tmp_path / "table.json")]) == 0
    shown = capsys.readouterr().out
    assert "0.0575" in shown
    assert "ICML 2024" in shown
    report = json.loads((tmp_path / "table.json").read_text())
    assert [row["network"] for row in report["rows"]] == ["ridge", "mlp"]
    assert main(["benchmark", *files, *given, "--budget", "soon"]) == 2
    assert main(["benchmark", *files, *given, "--models", "resnet"]) == 2
