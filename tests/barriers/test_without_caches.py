"""Where neither the package nor the home can be written to, everything works, without a cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import symgnn_explain
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import write_glass

PACKAGE = Path(symgnn_explain.__file__).parent


@pytest.fixture
def without_caches(tmp_path: Path) -> dict[str, str]:
    """An environment whose package and home nobody can write to, not even root: files stand where folders would be."""
    copy = tmp_path / "site" / "symgnn_explain"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("no folder")
    nowhere = tmp_path / "a file"
    nowhere.write_text("no folder")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "NUMBA_"))}
    return kept | {"PYTHONPATH": str(copy.parent), "HOME": str(nowhere / "home"), "BROWSER_PATH": str(nowhere)}


def test_every_verb_works_with_one_warning_of_each_kind(
    without_caches: dict[str, str],
    make_crystal: Callable[..., Glass],
    tables: Callable[..., Path],
    tiny_weights: Path,
    tmp_path: Path,
) -> None:
    given = str(write_glass(make_crystal(3, zr=0.36, rattle=0.05), tmp_path / "glass.extxyz"))
    few = ["--method", "gnnexplainer", "--set", "epochs=2"]
    explained = [given, "--atom", "3", *few, "--weights", str(tiny_weights), "--out"]
    commands = [
        ["explain", *explained, "explanation"],
        ["report", *explained, "report.html"],
        ["predict", given, "--weights", str(tiny_weights), "--out", "barriers.csv"],
        ["barriers", given, "--atoms", "3", "--searches", "1", "--set", "most_rounds=1", "--out", "barriers"],
    ]
    commands[-1] += ["--potential", str(tables("Cu", "Zr"))]
    script = (
        "import json, sys\n"
        "from symgnn_explain import cli, errors\n"
        "assert errors.__file__.startswith(sys.argv[1]), errors.__file__\n"
        "for command in json.loads(sys.argv[2]):\n"
        "    assert cli.main(command) == 0, command\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), json.dumps(commands)]
    done = subprocess.run(command, env=without_caches, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for written in ("explanation/summary.json", "report.html", "barriers.csv", "barriers/barriers.csv"):
        assert (tmp_path / written).is_file()
    said = done.stderr.splitlines()
    assert sum("cache of compiled functions cannot be used" in line for line in said) == 1
    assert sum("topology cannot be kept" in line for line in said) <= 1
    assert not [line for line in said if "cannot" not in line and "need Chrome" not in line]
