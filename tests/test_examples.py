"""Examples in docstrings give what they say, and results say in a line what they are."""

from __future__ import annotations

import doctest
import inspect
import re
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

import symgnn_explain
from symgnn_explain.analysis.topology import of_glass

ROOT = Path(symgnn_explain.__file__).parent
MODULES = [
    ".".join(("symgnn_explain", *path.relative_to(ROOT).with_suffix("").parts))
    for path in sorted(ROOT.rglob("*.py"))
    if any(">>> " in line and "+SKIP" not in line for line in path.read_text(encoding="utf-8").splitlines())
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_glass, "cycle_cache_folder", lambda: tmp_path)
    found = doctest.testmod(import_module(name))
    assert found.attempted > found.failed == 0


def test_what_people_call_every_day_has_examples() -> None:
    assert len(MODULES) >= 35


@pytest.mark.parametrize("room", ["analysis", "explain", "saddles", "structure", "training"])
def test_results_do_not_list_their_arrays(room: str) -> None:
    """A dataclass's own text writes out every array and table, pages of them where a notebook shows a result."""
    namespace = vars(import_module(f"symgnn_explain.{room}"))
    lengthy = [
        name
        for name, kind in namespace.items()
        if inspect.isclass(kind) and is_dataclass(kind) and hasattr(kind.__repr__, "__wrapped__")  # as generated
        if any(re.search("Array|Tensor|Frame", str(field.type)) for field in fields(kind) if field.repr)
    ]
    assert lengthy == []


@pytest.mark.parametrize("room", ["analysis", "analysis.what_if", "explain", "models", "saddles", "structure.io"])
def test_what_a_notebook_shows_is_no_address_in_memory(room: str) -> None:
    """``<… object at 0x7f…>`` says nothing to a reader."""
    kinds = [kind for kind in vars(import_module(f"symgnn_explain.{room}")).values() if inspect.isclass(kind)]
    nameless = [
        kind.__qualname__
        for kind in kinds
        if kind.__module__.startswith("symgnn_explain.")
        if kind.__repr__ is object.__repr__ and not getattr(kind, "_is_protocol", False)
    ]
    assert nameless == []
