"""The explainer that is trained at first use: kept, found again, and made anew where it is damaged."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from symgnn_explain.errors import Cancelled
from symgnn_explain.explain import PGTrainingSettings, explain_atom, prepare
from symgnn_explain.explain.methods import pg_first_use
from symgnn_explain.explain.methods.pg_first_use import explainer_at_hand
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train on few atoms, and keep what was trained out of the user's cache."""
    monkeypatch.setattr(pg_first_use, "explainer_folder", lambda: tmp_path)
    monkeypatch.setattr(pg_first_use, "TRAINING", PGTrainingSettings(passes=1))
    monkeypatch.setattr(pg_first_use, "TRAINING_ATOMS", 4)
    return tmp_path


def test_it_is_trained_once_and_kept(
    glass: Glass, tiny_predictor: Predictor, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(tiny_predictor, glass)
    seen: list[float] = []
    first = explainer_at_hand(prepared, progress=seen.append)
    assert seen[-1] == 1.0
    assert len(first.card["atoms"]) == 4
    monkeypatch.setattr(pg_first_use, "train_pg_explainer", None)
    again = explainer_at_hand(prepare(tiny_predictor, glass))
    assert again.name == first.name
    assert str(small) not in again.name
    explanations = [explain_atom(tiny_predictor, glass, 3, "pg_explainer", explainer=one) for one in (first, again)]
    assert (explanations[0].score == explanations[1].score).all()


def test_another_meaning_of_masks_needs_another(glass: Glass, tiny_predictor: Predictor) -> None:
    prepared = prepare(tiny_predictor, glass)
    assert {explainer_at_hand(prepared, semantics).semantics for semantics in ("reference", "zero")} == {
        *("reference", "zero"),
    }


def test_a_damaged_one_is_replaced(glass: Glass, tiny_predictor: Predictor, small: Path) -> None:
    prepared = prepare(tiny_predictor, glass)
    name = explainer_at_hand(prepared).name
    [path] = small.glob("*.safetensors")
    path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="cannot be used .*; it is trained anew"):
        assert explainer_at_hand(prepared).name == name
    assert path.read_bytes() != b"damaged"


def test_one_that_cannot_be_kept_is_used_all_the_same(
    glass: Glass, tiny_predictor: Predictor, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = small / "a file"
    blocked.write_text("no folder")
    monkeypatch.setattr(pg_first_use, "explainer_folder", lambda: blocked / "explainers")
    with pytest.warns(UserWarning, match="cannot be kept in .*; it will be trained again"):
        assert len(explainer_at_hand(prepare(tiny_predictor, glass)).card["atoms"]) == 4


def test_it_can_be_cancelled(glass: Glass, tiny_predictor: Predictor, small: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        explainer_at_hand(prepare(tiny_predictor, glass), cancel=stop)
    assert list(small.iterdir()) == []
