"""The verb ``explore``: what it makes JupyterLab run, for structures, trajectories and sessions, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from symgnn_explain.cli import lab, main
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass, write_glass
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets import GlassExplorer
from tests.barriers.conftest import write_tables


@pytest.fixture
def two_files(random_glass: Callable[..., Glass], tmp_path: Path) -> list[Path]:
    return [write_glass(random_glass(4, seed=seed), tmp_path / f"glass{seed}.extxyz") for seed in (1, 2)]


@pytest.fixture
def opened_cell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Run ``explore`` without JupyterLab; what the cell of its notebook says."""
    kept = tmp_path / "kept.ipynb"

    def keep(command: list[str]) -> None:
        assert command[:3] == [sys.executable, "-m", "jupyterlab"]
        assert "--no-browser" in command
        shutil.copy(next(word for word in command if word.endswith(".ipynb")), kept)

    def run(*words: object) -> str:
        monkeypatch.setattr(lab, "_run_until_stopped", keep)
        assert main(["explore", *map(str, words), "--no-browser"]) == 0
        notebook = nbformat.read(kept, as_version=4)
        nbformat.validate(notebook)
        [cell] = notebook.cells
        compile(cell["source"], "cell", "exec")
        return str(cell["source"])

    return run


def test_explore_starts_lab_on_a_notebook_for_the_file(
    two_files: list[Path], tiny_weights: Path, opened_cell: Callable[..., str]
) -> None:
    source = opened_cell(two_files[0], "--weights", tiny_weights)
    assert repr(str(two_files[0])) in source
    assert "GlassExplorer(glass, predictor)" in source
    assert "Trajectory" not in source


def test_explore_opens_a_trajectory_at_a_frame_and_a_session(
    two_files: list[Path], tiny_weights: Path, tmp_path: Path, opened_cell: Callable[..., str]
) -> None:
    glass = read_glass(two_files[0])
    path = write_extended_xyz([glass] * 3, tmp_path / "md.extxyz")
    shown: dict[str, Any] = {}
    exec(opened_cell(path, "--frame", "1", "--weights", tiny_weights), shown)  # noqa: S102 - what a user would run
    explorer = GlassExplorer(shown["trajectory"], shown["predictor"], frame=1)
    assert explorer.session.frames is not None
    assert (explorer.session.frames.home, len(explorer.session.frames)) == (1, 3)
    session = explorer.save(tmp_path / "a.symgnn")
    source = opened_cell(session, "--weights", tiny_weights)
    assert f"GlassExplorer.open({str(session)!r}, weights={str(tiny_weights)!r})" in source
    exec(source, shown)  # noqa: S102
    potential = write_tables(tmp_path / "CuZr.eam.fs", ("Cu", "Zr"), "eam.fs")
    assert "frame=-1, calculator=calculator)" in opened_cell(path, "--relax", "--potential", potential)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["md.extxyz", "--frame", "3"], "frame 3 does not exist"),
        (["md.extxyz", "--potential", "x.eam.fs"], "give both, or neither"),
        (["md.extxyz", "--relax", "--potential", "x.eam.fs"], "x.eam.fs"),
        (["gone.symgnn"], "gone.symgnn is not a file"),
        (["cut.symgnn"], "not a whole session file"),
        (["cut.symgnn", "--frame", "0"], "leave them out"),
        (["empty.lammpstrj"], "is empty"),
    ],
)
def test_explore_refuses_in_a_sentence(
    words: list[str],
    said: str,
    two_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_extended_xyz([read_glass(two_files[0])] * 3, tmp_path / "md.extxyz")
    (tmp_path / "cut.symgnn").write_bytes(b"PK")
    (tmp_path / "empty.lammpstrj").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lab, "_run_until_stopped", lambda _command: pytest.fail("JupyterLab was started"))
    assert main(["explore", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


def test_explore_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(lab, "find_spec", lambda name: None if name == "jupyterlab" else object())
    assert main(["explore", "sample"]) == 2
    assert "the explorer needs jupyterlab" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX ones")
def test_lab_ends_with_the_command_that_started_it(tmp_path: Path) -> None:
    child = tmp_path / "child"
    long = ["sh", "-c", f"echo $$ > {child}; exec sleep 600"]
    code = f"from symgnn_explain.cli import lab; lab._run_until_stopped({long!r})"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not (child.is_file() and child.read_text().endswith("\n")):
            assert process.poll() is None
            time.sleep(0.02)
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
