"""The command line: the same results as the Python API, whole files or none, clean interruption."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase.io import read
from scipy import stats

from symgnn_explain import datasets
from symgnn_explain.cli import VERBS, explaining, main
from symgnn_explain.cli.training import published_split
from symgnn_explain.explain import METHODS, AtomExplanation, explain_atom, prepare
from symgnn_explain.explain.engine.units import Unit
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass, write_glass
from symgnn_explain.training.cross_validation import CrossValidation
from symgnn_explain.training.module import TrainingModule

PLACE = ["x_angstrom", "y_angstrom", "z_angstrom"]
EXPLANATION_FILES = {"explanation.json", "summary.json", "neighbourhood.html", "edges.csv", "atoms.csv"}


@pytest.fixture(autouse=True)
def _without_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take seconds, and are tested where figures are written."""
    monkeypatch.setenv("BROWSER_PATH", "/nowhere")


@pytest.fixture
def two_files(random_glass: Callable[..., Glass], tmp_path: Path) -> list[Path]:
    return [write_glass(random_glass(4, seed=seed), tmp_path / f"glass{seed}.extxyz") for seed in (1, 2)]


def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for _, _, example in VERBS:
        verb = example.split()[0]
        assert main([verb, "--help"]) == 0
        assert f"Example:\n    symgnn-explain {verb}" in capsys.readouterr().out
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".csv", ".json", ".extxyz"])
def test_predict_writes_what_the_predictor_says(
    two_files: list[Path], tiny_predictor: Predictor, tiny_weights: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / "new" / f"barriers{suffix}"
    assert main(["predict", *map(str, two_files), "--out", str(out), "--weights", str(tiny_weights)]) == 0
    expected = [tiny_predictor.predict(read_glass(path)) for path in two_files]
    if suffix == ".csv":
        table = pd.read_csv(out)
        assert list(table) == ["file", "atom", "id", "species", *PLACE, "barrier_eV"]
        written = [table.loc[table["file"] == path.name, "barrier_eV"].to_numpy() for path in two_files]
        first = table[table["file"] == two_files[0].name]
        np.testing.assert_allclose(first[PLACE], read_glass(two_files[0]).positions, atol=1e-6)
    elif suffix == ".json":
        entries = json.loads(out.read_text())["predictions"]
        assert [entry["file"] for entry in entries] == [path.name for path in two_files]
        assert entries[0]["content_sha256"] == read_glass(two_files[0]).content_hash
        written = [np.array(entry["barrier_eV"]) for entry in entries]
    else:
        frames: Any = read(out, index=":")
        written = [frame.arrays["predicted_barrier"] for frame in frames]
        np.testing.assert_allclose(frames[0].arrays["barrier"], read_glass(two_files[0]).barriers, atol=1e-6)
    for values, expectation in zip(written, expected, strict=True):
        np.testing.assert_allclose(values, expectation, atol=1e-6)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_evaluate_prints_one_json_object(
    two_files: list[Path], tiny_predictor: Predictor, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *map(str, two_files), "--json", "--weights", str(tiny_weights)]) == 0
    report = json.loads(capsys.readouterr().out)
    glasses = {path.name: read_glass(path) for path in two_files}
    pairs = {name: (tiny_predictor.predict(glass), glass.barriers) for name, glass in glasses.items()}
    everything = tuple(np.concatenate(side) for side in zip(*pairs.values(), strict=True))
    per_file = report.pop("per_file")
    assert set(per_file) == set(pairs)
    for metrics, (predicted, known) in ((report, everything), *((per_file[name], pairs[name]) for name in pairs)):
        assert metrics == pytest.approx(
            {
                "pearson": np.corrcoef(predicted, known)[0, 1],
                "spearman": np.corrcoef(stats.rankdata(predicted), stats.rankdata(known))[0, 1],
                "mae": np.mean(np.abs(predicted - known)),
                "rmse": np.linalg.norm(predicted - known) / np.sqrt(len(known)),
            },
            abs=1e-9,
        )
    assert main(["evaluate", *map(str, two_files), "--weights", str(tiny_weights)]) == 0
    assert "all atoms" in capsys.readouterr().out


def test_files_of_one_name_are_told_apart_by_their_paths(
    two_files: list[Path], tiny_weights: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    twin = tmp_path / "other" / two_files[0].name
    twin.parent.mkdir()
    shutil.copy(two_files[1], twin)
    assert main(["evaluate", str(two_files[0]), str(twin), "--json", "--weights", str(tiny_weights)]) == 0
    assert set(json.loads(capsys.readouterr().out)["per_file"]) == {str(two_files[0]), str(twin)}


def test_evaluate_needs_barriers(tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "sample", "--weights", str(tiny_weights)]) == 2
    assert "sample holds no barriers" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "unit", "few"),
    [
        ("gnnexplainer", "edge", {"epochs": 5}),
        ("integrated_gradients", "bond", {"steps": 4}),
        ("distance", "atom", {}),
    ],
)
def test_explain_writes_what_the_api_finds(
    two_files: list[Path],
    tiny_predictor: Predictor,
    tiny_weights: Path,
    tmp_path: Path,
    method: str,
    unit: Unit,
    few: dict[str, int],
) -> None:
    out = tmp_path / "out"
    options = ["--atom", "7", "--method", method, "--seed", "3", "--k", "20", "--unit", unit]
    options += [word for key, value in few.items() for word in ("--set", f"{key}={value}")]
    assert main(["explain", str(two_files[0]), *options, "--out", str(out), "--weights", str(tiny_weights)]) == 0
    assert {path.name for path in out.iterdir()} >= EXPLANATION_FILES
    written = AtomExplanation.load(out / "explanation.json")
    seed = {"seed": 3} if hasattr(METHODS[method].configure(), "seed") else {}
    expected = explain_atom(tiny_predictor, read_glass(two_files[0]), 7, method, unit=unit, **seed, **few)
    np.testing.assert_allclose(written.score, expected.score, atol=1e-6)
    assert written.settings.items() >= few.items()
    assert written.seed == seed.get("seed")
    assert json.loads((out / "summary.json").read_text())["atom"] == 7


@pytest.mark.slow
def test_explain_says_what_acts_together_where_it_is_asked(
    two_files: list[Path], tiny_predictor: Predictor, tiny_weights: Path, tmp_path: Path
) -> None:
    """And an explanation without that, in the same folder, leaves nothing of it behind."""
    out, file = tmp_path / "out", str(two_files[0])
    command = [
        "explain",
        file,
        "--atom",
        "7",
        "--method",
        "distance",
        "--out",
        str(out),
        "--weights",
        str(tiny_weights),
    ]
    assert main([*command, "--interactions", "species", "--beside", str(tiny_weights)]) == 0
    alike = pd.read_csv(out / "agreement.csv").set_index("quantity")["both"].dropna()
    np.testing.assert_allclose(alike, 1.0)  # the same network twice
    assert len(alike) > 3
    expected = prepare(tiny_predictor, read_glass(file)).interactions(7, "species")
    written = pd.read_csv(out / "interactions.csv")
    np.testing.assert_allclose(written["score_eV"], expected.to_frame(3)["score"], atol=1e-6)
    said = json.loads((out / "summary.json").read_text())["interactions"]
    assert said["names"] == list(expected.names)
    assert (out / "interactions.html").exists()
    assert main([*command, "--overwrite"]) == 0
    assert not list(out.glob("interactions*"))
    assert not (out / "agreement.csv").exists()
    assert main([*command, "--overwrite", "--beside", str(tmp_path / "missing.safetensors")]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--atom", "64"], "64 atoms"),
        (["--atom", "-1"], "does not exist"),
        (["--atom", "1", "--method", "magic"], "choose from gnnexplainer"),
        (["--atom", "1", "--interactions", "rings"], "choose from neighbours, shells, species, polyhedra"),
        (["--atom", "1", "--set", "epochs"], "expected KEY=VALUE"),
        (["--atom", "1", "--set", "step=5"], "with a key among steps"),
        (["--atom", "1", "--set", "steps=few"], "steps is of type int"),
        (["--atom", "1", "--set", "steps=0"], "steps"),
    ],
)
def test_explain_refuses(
    two_files: list[Path],
    tiny_weights: Path,
    tmp_path: Path,
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert main(["explain", str(two_files[0]), "--out", str(out), "--weights", str(tiny_weights), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_methods_lists_all_with_their_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    listed = capsys.readouterr().out
    for method in METHODS.values():
        assert method.name in listed
        for field in fields(method.settings):
            assert f"{field.name}={field.default}" in listed


@pytest.mark.filterwarnings("ignore:The '(train|val)_dataloader' does not have many workers")
def test_train_leaves_a_predictor_that_says_where_it_comes_from(
    two_files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    training, validation = map(str, two_files)
    assert main(["train", training, "--validate", validation, "--epochs", "1", "--out", str(out), "--seed", "4"]) == 0
    assert "glass2" in capsys.readouterr().out
    predictor = Predictor.load(out / "predictor.safetensors")
    provenance = predictor.card["provenance"]
    assert set(provenance["data_sha256"]) == {path.name for path in two_files}
    assert provenance["command"].startswith("symgnn-explain train ")
    assert predictor.card["training_settings"]["seed"] == 4
    assert predictor.species == ("Cu", "Zr")


def test_published_glasses_are_split_without_touching_the_test_glasses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(datasets, "load_published", lambda names: [asked.append(name) for name in names])
    training, validation, hashes = published_split(["train2,train3"])
    assert list(validation) == ["train2", "train3"]
    assert {*training, *validation} == set(asked) == {f"train{number}" for number in range(7)}
    assert hashes == {f"{name}.pickle": datasets.SHA256[name] for name in asked}


def test_unexpected_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken() -> Glass:
        raise ZeroDivisionError

    monkeypatch.setattr(datasets, "sample", broken)
    with pytest.raises(ZeroDivisionError):
        main(["predict", "sample", "--out", str(tmp_path / "a.csv")])


def interrupt() -> None:
    """Do what Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


def test_an_interrupted_explanation_writes_nothing(
    two_files: list[Path],
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[float] = []

    @contextmanager
    def impatient(_: str) -> Iterator[Callable[[float], None]]:
        def advance(fraction: float) -> None:
            seen.append(fraction)
            if fraction > 0.5:
                interrupt()

        yield advance

    monkeypatch.setattr(explaining, "progress_bar", impatient)
    out = tmp_path / "out"
    options = [
        "--atom",
        "7",
        "--method",
        "gnnexplainer",
        "--set",
        "epochs=20",
        "--out",
        str(out),
        "--weights",
        str(tiny_weights),
    ]
    assert main(["explain", str(two_files[0]), *options]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"
    assert 0.5 < seen[-1] < 1
    assert not out.exists()


@pytest.mark.filterwarnings("ignore:The '(train|val)_dataloader' does not have many workers")
def test_a_final_run_takes_what_cross_validation_chose(
    two_files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, chosen, out = list(map(str, two_files)), tmp_path / "cv", tmp_path / "final"
    command = ["cross-validate", *files, "--preset", "mlp", "--epochs", "3", "--seeds", "0,1", "--out", str(chosen)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "glass1" in shown
    assert "Pearson r " in shown
    result = CrossValidation.load(chosen / "cross_validation.json")
    assert result.seeds == (0, 1)
    given = ["--final", "--cross-validation", str(chosen / "cross_validation.json"), "--seed", "7", "--out", str(out)]
    assert main(["train", *files, *given]) == 0
    card = Predictor.load(out / "predictor.safetensors").card
    assert card["architecture"] == "MLP"
    assert card["epoch"] == result.epoch
    assert card["training_settings"]["seed"] == 7
    assert card["training_settings"]["epochs"] == 3
    assert card["protocol"]["pearson"] == result.to_dict()["pearson"]
    assert card["provenance"]["data_sha256"].keys() == {"glass1.extxyz", "glass2.extxyz"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--final"], "--final needs --cross-validation JSON, or a number of --epochs"),
        (["--final", "--epochs", "1", "--validate", "train0"], "leave out --validate"),
        (["--cross-validation", "nowhere.json"], "--cross-validation goes with --final"),
        (["--final", "--cross-validation", "nowhere.json", "--preset", "paper"], "names the preset"),
        (["--final", "--cross-validation", "nowhere.json"], "nowhere.json does not hold a cross-validation"),
        (["--preset", "resnet"], "there is no network 'resnet' to train: choose from "),
    ],
)
def test_train_refuses(
    given: list[str], said: str, two_files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(two_files[0]), *given, "--out", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("seeds", "said"), [("a,b", "cannot be understood"), ("1,1", "each once")])
def test_cross_validate_refuses(
    seeds: str, said: str, two_files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--preset", "mlp", "--seeds", seeds, "--out", str(tmp_path / "cv")]
    assert main(["cross-validate", *map(str, two_files), *given]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:The '(train|val)_dataloader' does not have many workers")
def test_an_interrupted_training_resumes(
    two_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["train", str(two_files[0]), "--validate", str(two_files[1]), "--epochs", "6", "--out", str(out)]
    validated: list[int] = []
    original = TrainingModule.on_validation_epoch_end

    def impatient(module: TrainingModule) -> None:
        original(module)
        validated.append(module.current_epoch)
        if len(validated) == 2:
            interrupt()

    monkeypatch.setattr(TrainingModule, "on_validation_epoch_end", impatient)
    before = signal.getsignal(signal.SIGINT)
    assert main(command) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "the same command resumes it" in capsys.readouterr().err
    assert not (out / "predictor.safetensors").exists()
    assert main(command) == 0
    assert (out / "predictor.safetensors").is_file()


def test_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "symgnn_explain", "--help"], capture_output=True, text=True, check=True
    )
    assert "predict" in done.stdout


def test_defaults_that_a_help_names_are_those_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    from symgnn_explain.cli.training import hyperparameters
    from symgnn_explain.training.recipes import RECIPES
    from symgnn_explain.training.splits import DEFAULT_VALIDATION

    for verb in ("train", "cross-validate"):
        assert main([verb, "--help"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        [named] = re.findall(r"such as schnet; default: (\w+)\.", said)
        chosen = hyperparameters(None, None, 0)
        assert chosen[0] == RECIPES[named].config
        assert {"accurate", "symgnn", "paper", "schnet"} <= set(RECIPES)
        if verb == "train":
            assert f"(default {','.join(DEFAULT_VALIDATION)})" in said


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"symgnn-explain {version('symgnn_explain')}\n"


def test_defaults_of_verbs_are_those_of_the_functions_that_they_call() -> None:
    from symgnn_explain.analysis.explained.population import population_analysis
    from symgnn_explain.explain import explain_many
    from symgnn_explain.export import export_explanation
    from symgnn_explain.saddles import SearchSettings

    def default(function: Callable[..., Any], name: str) -> Any:
        return inspect.signature(function).parameters[name].default

    verbs = {example.split()[0]: verb for verb, _, example in VERBS}
    for name in ("method", "unit", "semantics"):
        for verb, function in (("explain", explain_atom), ("report", explain_atom), ("explain-many", explain_many)):
            assert default(verbs[verb], name) == default(function, name)
    assert default(verbs["explain"], "k") == default(export_explanation, "k")
    assert default(verbs["population"], "k") == default(population_analysis, "k")
    assert default(verbs["barriers"], "searches") == SearchSettings().searches
    assert default(verbs["barriers"], "workers") == default(explain_many, "workers") == 1
