"""Finding the published potential: by path, by variable, in an installed openkim-models, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.saddles import potentials
from symgnn_explain.saddles.eam_file import read_eam
from symgnn_explain.saddles.potentials import MODEL, POTENTIAL_VARIABLE, find_potential, read_kim_model


@pytest.fixture(autouse=True)
def _no_installed_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(POTENTIAL_VARIABLE, raising=False)
    monkeypatch.setattr(potentials, "_model_folders", lambda: iter([tmp_path / "models"]))


@pytest.fixture
def model(tables: Callable[..., Path], tmp_path: Path) -> Path:
    """A library as KIM-API's drivers make it: the table as text between other bytes."""
    folder = tmp_path / "models" / MODEL
    folder.mkdir(parents=True)
    text = tables("Cu", "Zr").read_bytes()
    library = folder / "libkim-api-portable-model.so"
    library.write_bytes(b"\x7fELF\x00\x01" + bytes(range(256)) * 5 + b"\x00" + text + b"\x00" + b"strings\x00" * 9)
    return library


def test_without_any_the_sentence_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match=r"was not found: give .* openkim-models") as refused:
        find_potential()
    assert "\n" not in str(refused.value)
    assert len(str(refused.value).split()) <= 40


def test_the_installed_model_is_found(model: Path, tables: Callable[..., Path]) -> None:
    found, written = find_potential(), read_eam(tables("Cu", "Zr"))
    assert found.name == MODEL
    assert found.sha256 == written.sha256
    assert np.array_equal(found.pair, written.pair)
    assert model.is_file()


def test_a_path_and_the_variable_win(model: Path, tables: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert model.is_file()
    monkeypatch.setenv(POTENTIAL_VARIABLE, str(tables("Cu", "Zr")))
    assert find_potential().name == "Cu-Zr.eam.fs"
    assert find_potential(tables("Cu")).name == "Cu.eam.fs"


def test_a_named_file_that_is_missing_is_not_replaced(model: Path, tmp_path: Path) -> None:
    assert model.is_file()
    with pytest.raises(InputError, match="cannot be read"):
        find_potential(tmp_path / "missing")


@pytest.mark.parametrize("content", [b"", b"\x7fELF" * 1000, b"text " * 30_000])
def test_a_library_without_a_table_is_refused(tmp_path: Path, content: bytes) -> None:
    library = tmp_path / "library.so"
    library.write_bytes(content)
    with pytest.raises(InputError, match="holds"):
        read_kim_model(library)
