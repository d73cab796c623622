"""What every verb says of files: their format, results that exist, and names that are not UTF-8."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer

from symgnn_explain.cli import VERBS, app, main
from symgnn_explain.cli.training import _file_hashes
from symgnn_explain.errors import InputError
from symgnn_explain.export.predictions import Prediction
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass, write_glass

FAST = ["--method", "input_gradient"]
READING = {"predict", "evaluate", "explain", "report", "explain-many", "population", "train", "cross-validate"}
READING |= {"benchmark", "barriers", "explore", "relax"}


def options_of(verb: str) -> set[str]:
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in parameter.opts}


def test_every_verb_that_reads_takes_a_format() -> None:
    verbs = {verb.__name__.replace("_", "-") for verb, *_ in VERBS}
    assert {verb for verb in verbs if "--species" in options_of(verb)} == READING
    assert {verb for verb in verbs if "--format" in options_of(verb)} == READING


@pytest.fixture
def nameless(tmp_path: Path, glass: Glass) -> Path:
    """Extended XYZ under a name that says something else."""
    path = tmp_path / "structure.cif"
    write_glass(glass, tmp_path / "glass.extxyz").rename(path)
    return path


def test_a_format_is_used(nameless: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    command = ["predict", str(nameless), "--weights", str(tiny_weights), "--out", str(out)]
    assert main(command) == 2
    assert not out.exists()
    assert main([*command, "--format", "extxyz"]) == 0
    assert main(["evaluate", str(nameless), "--weights", str(tiny_weights), "--format", "extxyz"]) == 0


def test_files_of_one_name_in_two_folders_have_a_hash_each(tmp_path: Path) -> None:
    files = [tmp_path / folder / "glass.extxyz" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        file.write_text(file.parent.name)
    given = [*map(str, files), "sample"]
    assert _file_hashes([*given, given[0]]) == {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    assert list(_file_hashes(given[:1])) == ["glass.extxyz"]


def test_ids_of_a_file_stand_beside_what_is_predicted(tmp_path: Path, tiny_weights: Path, glass: Glass) -> None:
    """Files that have ids may stand beside files that have none."""
    ids = 7 + 2 * np.arange(len(glass))
    files = [write_glass(glass, tmp_path / "a.extxyz"), write_glass(glass.with_arrays(id=ids), tmp_path / "b.extxyz")]
    out = tmp_path / "out.csv"
    assert main(["predict", *map(str, files), "--weights", str(tiny_weights), "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert table.query("file == 'a.extxyz'")["id"].isna().all()
    assert table.query("file == 'b.extxyz'")["id"].tolist() == ids.tolist()


@pytest.fixture
def without_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/bin/false")


class TestOverwriting:
    @pytest.mark.parametrize("name", ["out.csv", "out.extxyz"])
    def test_predictions_that_another_run_wrote_meanwhile(
        self, name: str, tmp_path: Path, tiny_weights: Path, glass: Glass, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source, out = write_glass(glass, tmp_path / "in.extxyz"), tmp_path / name
        original = Prediction.said

        def said(*given: Any) -> Prediction:
            out.write_text("precious")
            return original(*given)

        monkeypatch.setattr(Prediction, "said", said)
        command = ["predict", str(source), "--weights", str(tiny_weights), "--out", str(out)]
        assert main(command) == 2
        assert out.read_text() == "precious"
        assert main([*command, "--overwrite"]) == 0
        assert out.read_text() != "precious"

    def test_predictions(
        self, tmp_path: Path, tiny_weights: Path, glass: Glass, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source, out = write_glass(glass, tmp_path / "in.extxyz"), tmp_path / "out.json"
        out.write_text("precious")
        command = ["predict", str(source), "--weights", str(tiny_weights), "--out", str(out)]
        assert main(command) == 2
        assert "out.json exists already" in (said := capsys.readouterr().err)
        assert "--overwrite" in said
        assert out.read_text() == "precious"
        assert main([*command, "--overwrite"]) == 0
        assert f"Replaced {out}" in capsys.readouterr().out
        assert json.loads(out.read_text())["predictions"]
        out.unlink()
        assert main(command) == 0
        assert f"Wrote {out}" in capsys.readouterr().out

    @pytest.mark.usefixtures("without_browser")
    def test_explanations(
        self, tmp_path: Path, tiny_weights: Path, glass: Glass, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source, out = write_glass(glass, tmp_path / "in.extxyz"), tmp_path / "out"
        out.mkdir()
        (out / "notes.txt").write_text("mine")
        command = ["explain", str(source), "--weights", str(tiny_weights), "--out", str(out), *FAST, "--k", "5"]
        assert main([*command, "--atom", "3"]) == 0
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert main([*command, "--atom", "4"]) == 2
        assert "exist already" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
        assert main([*command, "--atom", "4", "--overwrite"]) == 0
        assert f"Replaced {out / 'explanation.json'}" in capsys.readouterr().out
        assert json.loads((out / "explanation.json").read_text())["atom"] == 4
        assert (out / "notes.txt").read_text() == "mine"

    def test_a_single_file_of_results_is_enough(
        self, tmp_path: Path, tiny_weights: Path, glass: Glass, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = write_glass(glass, tmp_path / "in.extxyz")
        (tmp_path / "edges.csv").write_text("precious")
        command = ["explain", str(source), "--atom", "3", "--weights", str(tiny_weights), "--out", str(tmp_path)]
        assert main([*command, *FAST]) == 2
        assert "edges.csv exists already" in capsys.readouterr().err
        assert (tmp_path / "edges.csv").read_text() == "precious"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not have such names")
@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_names_that_are_not_utf8(
    encoding: str, tmp_path: Path, tiny_weights: Path, random_glass: Callable[..., Glass]
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gl\xe4ser"))
    folder.mkdir()
    source = folder / os.fsdecode(b"gl\xe4s.extxyz")
    write_glass(random_glass(4), folder / "plain.extxyz").rename(source)
    weights = folder / tiny_weights.name
    for suffix in (".safetensors", ".json"):
        weights.with_suffix(suffix).write_bytes(tiny_weights.with_suffix(suffix).read_bytes())
    verbs = [
        ["predict", str(source), "--out", str(folder / "out.csv")],
        ["predict", str(source), "--out", str(folder / "out.json")],
        ["predict", str(source), "--out", str(folder / os.fsdecode(b"\xe4.extxyz"))],
        ["evaluate", str(source)],
        ["evaluate", str(source), "--json"],
        ["explain", str(source), "--atom", "3", *FAST, "--k", "5", "--out", str(folder / "explained")],
        ["report", str(source), "--atom", "3", *FAST, "--k", "5", "--out", str(folder / "report.html")],
        ["explain-many", str(source), "--atoms", "1,2", *FAST, "--out", str(folder / "many")],
        ["population", str(source), "--atoms", "1,2,3", *FAST, "--out", str(folder / "population")],
        ["predict", str(folder / os.fsdecode(b"missing\xe4.extxyz")), "--out", str(folder / "a.csv")],
    ]
    script = (
        "import sys, json, warnings\nfrom symgnn_explain.cli import main\n"
        "for arguments in json.loads(sys.stdin.read()):\n"
        "    print('STATUS', main(arguments), flush=True)\n"
    )
    chosen = verbs if encoding == "ascii:strict" else [verbs[0], verbs[-1]]
    commands = [[*verb, "--weights", str(weights)] for verb in chosen]
    if chosen is verbs:
        train = ["train", str(source), "--final", "--epochs", "1", "--preset", "mlp", "--out", str(folder / "run")]
        commands.insert(0, train)
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(commands).encode(),
        env=os.environ | {"PYTHONIOENCODING": encoding, "BROWSER_PATH": "/bin/false"},
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode("latin-1")
    assert "Traceback" not in said, said
    assert "EncodeError" not in said, said
    statuses = [line.split()[1] for line in said.splitlines() if line.startswith("STATUS")]
    assert statuses == ["0"] * (len(commands) - 1) + ["2"], said
    if chosen is not verbs:
        return
    card = json.loads((folder / "run" / "predictor.json").read_text(encoding="utf-8"))
    assert "gl\\xe4s.extxyz" in card["provenance"]["command"]
    again = read_glass(folder / os.fsdecode(b"\xe4.extxyz"))
    assert np.isfinite(again.arrays["predicted_barrier"]).all()
    assert json.loads((folder / "out.json").read_text(encoding="utf-8"))["predictions"][0]["file"] == "gl\\xe4s.extxyz"


@pytest.mark.skipif(sys.platform == "win32", reason="other systems do not have such names")
def test_names_with_line_ends_leave_every_sentence_on_one_line(
    tmp_path: Path, tiny_weights: Path, random_glass: Callable[..., Glass], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "two\nlines\x1b[2J"
    source = write_glass(random_glass(4), folder / "a\nglass.extxyz")
    weights = ["--weights", str(tiny_weights)]
    assert read_glass(source).name == "a\\nglass"
    verbs = [
        ["predict", str(source), "--out", str(folder / "out.csv")],
        ["explain-many", str(source), "--atoms", "1,2", *FAST, "--out", str(folder / "many")],
        ["predict", str(source), "--out", str(folder / "out.csv")],  # which is there already
    ]
    assert [main([*verb, *weights]) for verb in verbs] == [0, 0, 2]
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert said.out.count("two\\nlines\\x1b[2J") == 3
    assert "two\\nlines\\x1b[2J" in said.err
    assert "\nlines" not in said.out + said.err
    with pytest.raises(InputError) as caught:
        read_glass(source, frame=3)
    assert str(caught.value).isprintable()
