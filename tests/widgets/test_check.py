"""What keeps the explorer from working is said in a sentence, before anything is built."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import symgnn_widgets
from symgnn_explain.errors import InputError
from symgnn_widgets import check, check_environment

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def pretend(monkeypatch: pytest.MonkeyPatch, package: str, installed: str | None) -> None:
    def looked_up(name: str) -> str:
        if name != package:
            return version(name)
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(check, "version", looked_up)


def test_this_environment_is_fine() -> None:
    assert check_environment() == []


def test_the_broken_release_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "nglview", "4.0.1")
    [problem] = check_environment()
    assert "nglview==4.0" in problem
    with pytest.raises(InputError, match=r"nglview 4\.0\.1 draws nothing"):
        _ = symgnn_widgets.GlassExplorer


@pytest.mark.parametrize(("package", "installed"), [("anywidget", None), ("ipywidgets", "7.8.1")])
def test_what_is_missing_or_old_is_named(monkeypatch: pytest.MonkeyPatch, package: str, installed: str | None) -> None:
    pretend(monkeypatch, package, installed)
    [problem] = check_environment()
    assert package in problem
    assert "pip install" in problem


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="Explorador"):
        _ = symgnn_widgets.Explorador


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
