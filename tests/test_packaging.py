"""What is installed: requirements, pinned versions, the conda environment, the wheel; and who may import whom."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from rattler import MatchSpec

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
ENVIRONMENT: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))

CONDA_NAMES = {
    "kaleido": "python-kaleido",
    "playwright": "playwright-python",
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
    "vesin": "python-vesin",
}
"""Where conda-forge calls a package otherwise than the Python package index does."""

INSTALLED = ("lab", "app", "docs", "dev")
"""The extras that the Makefile and the conda environment install."""

CONDA_ONLY = {"python": SpecifierSet(PROJECT["requires-python"]), "pip": SpecifierSet()}


def requirements(*extras: str) -> list[Requirement]:
    listed = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return [Requirement(line) for line in listed]


def conda_specs() -> list[MatchSpec]:
    return [MatchSpec(line) for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]


def pinned_versions() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pin for name, pin in pins}


def test_conda_environment_and_pyproject_agree() -> None:
    from_pyproject = {
        CONDA_NAMES.get(canonicalize_name(requirement.name), canonicalize_name(requirement.name)): requirement.specifier
        for requirement in requirements(*INSTALLED)
    }
    from_conda = {spec.name.normalized: SpecifierSet(str(spec.version or "")) for spec in conda_specs()}
    assert from_conda == {**from_pyproject, **CONDA_ONLY}
    assert ENVIRONMENT["name"] == "symgnn-explain"
    assert ENVIRONMENT["channels"] == ["conda-forge"]


def test_conda_installs_the_project_and_nothing_else_by_pip() -> None:
    [by_pip] = [entry for entry in ENVIRONMENT["dependencies"] if not isinstance(entry, str)]
    assert by_pip == {"pip": ["-e ."]}


def test_pinned_versions_satisfy_the_requirements() -> None:
    pins = pinned_versions()
    for requirement in requirements(*INSTALLED):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
    assert pins["torch"] == "2.13.0"
    assert pins["nglview"] == "4.0"
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", pin) for pin in pins.values())


def test_broken_releases_are_excluded() -> None:
    [nglview] = [requirement for requirement in requirements("lab") if requirement.name == "nglview"]
    assert not nglview.specifier.contains("4.0.1")


def test_every_pinned_package_is_the_installed_one() -> None:
    for name, pin in pinned_versions().items():
        assert version(name).split("+")[0] == pin, f"{name} differs: install with -c constraints.txt"


def test_wheel_holds_both_packages_with_their_data(tmp_path: Path) -> None:
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("symgnn_explain", "widgets"):
        shutil.copytree(ROOT / folder, source / folder, ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    expected = {
        path.relative_to(top).as_posix()
        for top in (source, source / "widgets")
        for package in top.glob("symgnn_*")
        for path in package.rglob("*")
        if path.is_file()
    }
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == expected
    assert {"symgnn_explain/py.typed", "symgnn_widgets/py.typed"} <= packed
    suffixes = {"".join(Path(name).suffixes) for name in packed if name.startswith("symgnn_explain/data/")}
    assert {".safetensors", ".json", ".extxyz.xz"} <= suffixes


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "widgets")])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        (None, ""),
        ("symgnn_explain/structure/glass.py", "from symgnn_explain.analysis import topology"),
        ("symgnn_explain/plotting/style.py", "import ipywidgets"),
        ("widgets/symgnn_widgets/state/jobs.py", "from symgnn_widgets.views import tabs"),
    ],
)
def test_an_import_against_the_direction_is_found(module: str | None, wrong: str, tmp_path: Path) -> None:
    for folder in ("symgnn_explain", "widgets"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if module is not None:
        with (tmp_path / module).open("a", encoding="utf-8") as source:
            source.write(f"\n{wrong}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == (module is not None), done.stdout
    assert ("BROKEN" in done.stdout) == (module is not None)


def test_public_names_resolve() -> None:
    package = import_module("symgnn_explain")
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert package.__version__ == PROJECT["version"]
    assert package.Glass is import_module("symgnn_explain.structure.glass").Glass
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = package.nonsense


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, symgnn_explain, symgnn_explain.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "scipy", "pandas", "ase", "plotly", "lightning"} & set(loaded)


def test_predicting_imports_neither_compiler_nor_data_sets_but_they_are_found_when_asked_for() -> None:
    code = """
import sys
from symgnn_explain import Predictor, datasets
import torch, torch_geometric
Predictor.load(device="cpu")
import symgnn_explain.export.predictions
heavy = {"captum", "plotly", "matplotlib", "sympy", "torch._dynamo", "torch_geometric.datasets.planetoid"}
assert not heavy & set(sys.modules), "imported too early"
assert torch_geometric.datasets.Planetoid is not None
assert torch._dynamo.OptimizedModule is not None
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_citation_and_version_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "BSD-3-Clause"
    [paper] = citation["references"]
    assert (paper["year"], paper["volume"], paper["start"], paper["end"]) == (2024, 235, 29373, 29389)


@pytest.mark.skipif(sys.platform == "win32", reason="the Makefile is for POSIX shells")
def test_an_unusable_python_is_named_in_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\ncase "$2" in *version\\(\\)*) echo 3.9.1;; *) exit 1;; esac\n')
    old.chmod(0o755)
    for python, said in ((old, "is 3.9.1"), (tmp_path / "missing", "does not run")):
        done = subprocess.run(
            ["sh", "scripts/check_python.sh", str(python)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    subprocess.run(["sh", "scripts/check_python.sh", sys.executable], cwd=ROOT, check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="the Makefile is for POSIX shells")
def test_a_machine_without_a_browser_is_told_so_and_set_up_goes_on(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "scripts/setup_system.sh"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    if sys.platform.startswith("linux"):
        assert "apt-get install chromium" in done.stdout
        assert done.stdout.count("\n") == 1
