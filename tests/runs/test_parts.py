"""What is kept of a long computation, where two run at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.runs.parts import Parts
from symgnn_explain.runs.records import RecordFolder


def test_parts_that_another_run_removes_are_gone_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Parts(tmp_path / "parts"), Parts(tmp_path / "parts")
    one.put("a", {"value": 1})
    exists = Path.exists

    def removed_in_between(path: Path) -> bool:
        found = exists(path)
        path.unlink(missing_ok=True)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", removed_in_between)
        assert other.get("b") is None
        assert other.get("a") in (None, {"value": 1})
    iterdir = Path.iterdir

    def written_in_between(path: Path) -> object:
        found = list(iterdir(path))
        one.put("late", {"value": 2})
        return iter(found)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", written_in_between)
        other.discard()


def test_two_runs_that_begin_at_once_share_no_folder(tmp_path: Path) -> None:
    first, second = (RecordFolder(tmp_path, {"method": name}) for name in ("saliency", "attention"))
    first.open()
    first.open()
    with pytest.raises(InputError, match="differ in method"):
        second.open()
