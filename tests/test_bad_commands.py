"""Commands that cannot be carried out: one sentence on stderr, exit status 2, nothing run, nothing written."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from symgnn_explain.cli import main
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import write_glass


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["predict"],
        ["predict", "sample"],
        ["predict", "sample", "--out"],
        ["predict", "sample", "--out", "a.csv", "--frame", "last"],
        ["predict", "sample", "sample", "--out", "a.csv"],
        ["explain", "sample", "--out", "out"],
        ["explain", "sample", "--atom", "x", "--out", "out"],
        ["explain", "sample", "--atom", "1", "--k", "0", "--out", "out"],
        ["train", "--preset", "huge"],
        ["train", "--validate", "train0"],
        ["train", "--validate", "test0,test1"],
        ["train", "some.extxyz"],
        ["evaluate", "missing.extxyz", "--json"],
    ],
)
def test_command_lines_that_cannot_be_understood(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"[^\n]+\.\n", said.err)
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_may_not_be_read_is_one_sentence(
    tmp_path: Path,
    tiny_weights: Path,
    glass: Glass,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, out = write_glass(glass, tmp_path / "g.extxyz"), tmp_path / "out"
    command = ["explain-many", str(source), "--atoms", "0", "--method", "saliency", "--weights", str(tiny_weights)]
    assert main([*command, "--out", str(out)]) == 0
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.suffix == ".npz":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    capsys.readouterr()
    assert main([*command, "--out", str(out)]) == 2
    assert "atom-000000.npz cannot be used (Permission denied)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["barriers", "{}", "--atoms", "0", "--out", "a" * 300], "File name too long"),
        (["population", "{}", "--atoms", "0", "--out", "a" * 300], "File name too long"),
        (["evaluate", "{}", "--species", "9" * 5000 + "=Cu"], "cannot be understood"),
        (["evaluate", "{}", "--species", "1=X"], "expected a chemical symbol"),
        (["benchmark", "{}", "--models", "mlp", "--budget", "1min", "--out", "{}.out"], "at least two groups"),
        (["cross-validate", "{}", "--seeds", "9" * 5000], "cannot be understood"),
        (["train", "{}", "--validate", "{}", "--seed", "-1"], "--seed"),
        (["train", "{}", "--validate", "{}", "--target", ""], "target's name is ''"),
        (["explain", "{}", "--atom", "0", "--out", "{}.out", "--method", "random", "--seed", "-1"], "--seed"),
        (
            ["explain", "{}", "--atom", "0", "--out", "{}.out", "--method", "random", "--set", "seed=-1"],
            "seed is -1: 0 to",
        ),
        (["explain", "{}", "--atom", "0", "--out", "{}.out", "--method", "saliency", "--set", "a=1"], "no settings"),
    ],
)
def test_options_that_cannot_be_used_are_one_sentence(
    command: list[str], said: str, tmp_path: Path, glass: Glass, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_glass(glass, tmp_path / "g.extxyz")
    assert main([word.replace("{}", str(path)) for word in command]) == 2
    sentences = capsys.readouterr().err.splitlines()
    assert said in sentences[-1]
    assert not any(word.startswith("Traceback") for word in sentences)
    assert [entry.name for entry in tmp_path.iterdir()] == ["g.extxyz"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["predict", "{}", "--out", "{}.csv", "--weights", ""], "a predictor is a .safetensors file"),
        (["predict", "{}", "--out", "{}.csv", "--species", "1=Cu,1=Zr"], "names two species for type 1"),
        (["predict", "{}", "--out", "{}.csv", "--format", "nonsense"], "there is no format 'nonsense'"),
        (["predict", "{}", "--out", "{}", "--overwrite"], "is a file to predict"),
        (["benchmark", "{}", "--json", "{}"], "name one in .json"),
        (["train", "{}", "--validate", "{}", "--epochs", "0"], "epochs=0 must be positive."),
    ],
)
def test_sentences_say_what_was_given_and_what_to_do(
    command: list[str],
    said: str,
    tmp_path: Path,
    random_glass: Callable[..., Glass],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_glass(random_glass(3), tmp_path / "g.extxyz")
    before = path.read_bytes()
    assert main([word.replace("{}", str(path)) for word in command]) == 2
    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 1
    assert said in sentences[0]
    assert len(sentences[0]) < 400
    assert [entry.name for entry in tmp_path.iterdir()] == ["g.extxyz"]
    assert path.read_bytes() == before
