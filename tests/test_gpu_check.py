"""What runs where there is a GPU must be right before there is one: rehearsed on the CPU, with small sizes."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from symgnn_explain.cli import main as command_line
from symgnn_explain.structure.io import write_glass

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("gpu_check", BENCHMARKS / "gpu_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCHMARKS))


def test_a_device_differs_from_itself_by_nothing(check: ModuleType) -> None:
    assert set(check.exactness("cpu", True).values()) == {0.0}


def test_every_preset_and_precision_is_timed(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "PRESETS", {"accurate": check.PRESETS["accurate"]})
    figures = check.steps("cpu", True)
    assert set(figures) == {"accurate 32-true", "accurate bf16-mixed"}
    assert all(seconds > 0 for row in figures.values() for seconds in row.values())


def test_trainings_are_commands_that_train(check: ModuleType, tmp_path: Path) -> None:
    write_glass(check.labelled(6), tmp_path / check.REHEARSAL)
    command = check.commands(tmp_path, "cpu", tiny=True)["training_symgnn"]
    assert command_line(command[command.index("train") :]) == 0
    assert (tmp_path / "symgnn" / "predictor.safetensors").is_file()


def test_stages_are_cut_short_kept_and_taken_up_again(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = f"from pathlib import Path; Path({str(tmp_path / 'first.json')!r}).write_text('{{\"figure\": 1}}')"
    stages = {
        "first": [sys.executable, "-c", counted],
        "training_long": [sys.executable, "-c", "import time; time.sleep(60)"],
        "broken": [sys.executable, "-c", "raise SystemExit('no such kernel')"],
    }
    monkeypatch.setattr(check, "commands", lambda *_, **__: stages)
    monkeypatch.setattr(check, "GRACE", 1.0)
    arguments = ["gpu_check.py", "--out", str(tmp_path), "--device", "cpu", "--minutes", "0.3"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="failed: broken"):
        check.main()
    record = json.loads((tmp_path / "gpu_check.json").read_text())["stages"]
    assert {name: stage["state"] for name, stage in record.items()} == {
        "first": "finished",
        "training_long": "cut short",
        "broken": "failed",
    }
    assert record["first"]["figures"] == {"figure": 1}
    assert "no such kernel" in record["broken"]["end_of_output"]

    stages |= {"first": [sys.executable, "-c", "raise SystemExit('ran twice')"], "broken": [sys.executable, "-c", ""]}
    stages["training_long"] = [sys.executable, "-c", ""]
    check.main()
    record = json.loads((tmp_path / "gpu_check.json").read_text())["stages"]
    assert {stage["state"] for stage in record.values()} == {"finished"}
    assert record["first"]["figures"] == {"figure": 1}
