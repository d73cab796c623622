"""The verbs ``explain-many`` and ``population``: what the Python API finds, kept when it is stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from symgnn_explain.cli import main, options
from symgnn_explain.explain import METHODS, ExplanationSet, PopulationProgress, explain_many
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass, write_glass
from symgnn_explain.structure.selection import select_atoms


@pytest.fixture
def file(random_glass: Callable[..., Glass], tmp_path: Path) -> Path:
    return write_glass(random_glass(4), tmp_path / "glass.extxyz")


@pytest.fixture
def command(file: Path, tiny_weights: Path, tmp_path: Path) -> list[str]:
    """All but which atoms."""
    few = ["--method", "integrated_gradients", "--set", "steps=4", "--unit", "atom"]
    return ["explain-many", str(file), *few, "--out", str(tmp_path / "out"), "--weights", str(tiny_weights)]


def test_records_and_table_are_those_of_the_api(
    command: list[str], file: Path, tmp_path: Path, tiny_predictor: Predictor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--atoms", "random:5", "--seed", "7"]) == 0
    assert "Explained 5 atoms" in capsys.readouterr().out
    out, glass = tmp_path / "out", read_glass(file)
    wanted = select_atoms(glass, "random:5", seed=7)
    table = pd.read_csv(out / "summary.csv")
    assert table["atom"].tolist() == wanted.tolist()
    api = explain_many(
        tiny_predictor, glass, wanted.tolist(), "integrated_gradients", unit="atom", out=tmp_path / "api", steps=4
    )
    for record in (tmp_path / "api").glob("atom-*.npz"):
        assert (out / record.name).read_bytes() == record.read_bytes()
    assert table["prediction_eV"].tolist() == [explanation.prediction for explanation in api]


def test_atoms_are_chosen_by_predicted_barriers(command: list[str], tmp_path: Path) -> None:
    assert main([*command, "--atoms", "softest:16"]) == 0
    table = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert len(table) == 16
    assert table["prediction_eV"].diff().min() > -1e-5


def test_an_interrupted_run_is_continued_by_the_same_command(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def impatient(_: str, timing: str = "") -> Iterator[Callable[[PopulationProgress], None]]:  # noqa: ARG001
        def advance(progress: PopulationProgress) -> None:
            if progress.done == 3:
                signal.raise_signal(signal.SIGINT)

        yield advance

    with monkeypatch.context() as patched:
        patched.setattr(options, "progress_bar", impatient)
        assert main([*command, "--atoms", "12,5,7,3,0"]) == 130
    assert "3 records are in" in capsys.readouterr().err
    assert ExplanationSet.open(tmp_path / "out").atoms == (5, 7, 12)
    assert main([*command, "--atoms", "12,5,7,3,0"]) == 0
    assert ExplanationSet.open(tmp_path / "out").atoms == (0, 3, 5, 7, 12)


def test_what_some_atoms_fail_with_is_said_and_the_others_are_written(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    method = METHODS["integrated_gradients"]

    def picky(prediction: Any, settings: Any, watch: Any) -> Any:
        if prediction.atom == 7:
            raise ValueError("seven")
        return method.run(prediction, settings, watch)

    monkeypatch.setitem(METHODS, method.name, replace(method, run=picky))
    assert main([*command, "--atoms", "12,7,3"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "1 of 3 atoms could not be explained (7;" in said.err
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["atom"].tolist() == [12, 3]
    assert main([*command, "--atoms", "5,1"]) == 0
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["atom"].tolist() == [5, 1, 3, 12]  # those of before last


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--atoms", "middle:3"], "write all, central:50"),
        (["--atoms", "64"], "64 atoms"),
        (["--atoms", "central:65"], "it has 64"),
        (["--atoms", "1", "--method", "magic"], "choose from gnnexplainer"),
        (["--atoms", "1", "--set", "epochs=3"], "with a key among steps"),
        (["--atoms", "1", "--workers", "0"], "at least 1"),
        (["--atoms", "1", "--semantics", "blur"], "semantics"),
        ([], "--atoms"),
    ],
)
def test_explain_many_refuses(
    command: list[str], tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("out/atom-*"))


def test_a_scheduler_that_does_not_answer_is_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    assert main([*command, "--atoms", "1", "--scheduler", "nonsense://nowhere"]) == 2
    assert "no Dask scheduler answers at --scheduler nonsense://nowhere" in capsys.readouterr().err


@pytest.fixture
def population(file: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All but which atoms; without a browser, which takes seconds to start."""
    monkeypatch.setattr("symgnn_explain.export.figures.static_images_available", lambda: False)
    few = ["--method", "integrated_gradients", "--set", "steps=4", "--k", "5"]
    return ["population", str(file), *few, "--out", str(tmp_path / "out"), "--weights", str(tiny_weights)]


def test_population_writes_what_the_api_finds(
    population: list[str], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from symgnn_explain.analysis import population_analysis

    assert main([*population, "--atoms", "central:3"]) == 0
    said = capsys.readouterr()
    assert "Analysed 3 atoms" in said.out
    assert "Chrome" in said.err
    out = tmp_path / "out"
    names = {"summary.json", "atoms.csv", "statistics.csv", "distances.html", "cycles.html", "enrichment.html"}
    assert {path.name for path in out.iterdir()} == names | {"explanations"}
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    explanations = ExplanationSet.open(out / "explanations")
    chosen = select_atoms(read_glass(file), "central:3").tolist()
    analysis = population_analysis([explanations[atom] for atom in chosen], read_glass(file), k=5)
    assert {name: summary[name] for name in analysis.summary()} == json.loads(json.dumps(analysis.summary()))
    assert summary["run"]["method"] == "integrated_gradients"
    assert pd.read_csv(out / "atoms.csv")["atom"].tolist() == chosen
    assert len(pd.read_csv(out / "statistics.csv")) == len(analysis.statistics_frame())


def test_population_explains_only_what_is_missing(
    population: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    assert main([*population, "--atoms", "12,5"]) == 0
    method, explained = METHODS["integrated_gradients"], []

    def counting(prediction: Any, settings: Any, watch: Any) -> Any:
        explained.append(prediction.atom)
        return method.run(prediction, settings, watch)

    monkeypatch.setitem(METHODS, method.name, replace(method, run=counting))
    assert main([*population, "--atoms", "12,5,7"]) == 0
    assert explained == [7]
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["n_atoms"] == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--atoms", ""], "write all, central:50"),
        (["--atoms", "64"], "64 atoms"),
        (["--atoms", "1", "--k", "0"], "--k"),
        (["--atoms", "1", "--k", "100000"], "k=100000 does not fit"),
        (["--atoms", "1", "--method", "magic"], "choose from gnnexplainer"),
        ([], "--atoms"),
    ],
)
def test_population_refuses(
    population: list[str], tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*population, *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out" / "summary.json").exists()
