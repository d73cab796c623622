"""Examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import symgnn_explain
from symgnn_explain.analysis.topology import of_glass

ROOT = Path(symgnn_explain.__file__).parent
MODULES = [
    ".".join(("symgnn_explain", *path.relative_to(ROOT).with_suffix("").parts))
    for path in sorted((ROOT / "analysis").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_glass, "cycle_cache_folder", lambda: tmp_path)
    found = doctest.testmod(import_module(name))
    assert found.attempted > found.failed == 0


def test_the_analyses_of_every_day_have_examples() -> None:
    assert len(MODULES) >= 8
