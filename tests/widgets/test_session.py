"""The session explains what is selected, remembers it, and says what goes wrong in one sentence."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import METHODS, PGTrainingSettings, explain_atom
from symgnn_explain.explain.methods import pg_first_use
from symgnn_explain.models.target import with_tolerance
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state import explaining as session_explaining
from symgnn_widgets.state.explaining import HISTORY_LENGTH
from symgnn_widgets.state.saved import open_session, restore
from symgnn_widgets.state.session import Session

TIMEOUT = 20.0


async def finished(shown: Session) -> None:
    async with asyncio.timeout(TIMEOUT):
        while shown.status == "running" or shown.counting.job.running:
            await asyncio.sleep(0.005)


def test_explains_as_the_api_does(explorer: GlassExplorer) -> None:
    explorer.select(17)
    found = explorer.explain(wait=True)
    expected = explain_atom(
        explorer.session.predictor, explorer.session.glass, 17, "gnnexplainer", **explorer.session.settings
    )
    assert found is explorer.explanation
    assert found.atom == 17
    np.testing.assert_allclose(found.score, expected.score)
    assert (explorer.session.status, explorer.session.progress, explorer.session.error) == ("done", 1.0, "")


def test_selecting_computes_nothing_and_picking_does(explorer: GlassExplorer) -> None:
    explorer.select(3)
    assert (explorer.explanation, explorer.session.status) == (None, "idle")
    explorer.session.pick(4)
    assert explorer.explanation.atom == 4
    explorer.session.explain_on_click = False
    explorer.session.pick(5)
    assert (explorer.session.selected_atom, explorer.explanation) == (5, None)


def test_known_explanations_come_back_at_once(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(predictor: Any, glass: Any, atom: int, *arguments: Any, **settings: Any) -> Any:
        calls.append(atom)
        return explain_atom(predictor, glass, atom, *arguments, **settings)

    monkeypatch.setattr(session_explaining, "explain_atom", counted)
    shown = explorer.session
    shown.pick(1)
    first = explorer.explanation
    shown.pick(2)
    shown.select(1)
    assert explorer.explanation is first
    shown.pick(1)
    assert calls == [1, 2]
    shown.settings = {**shown.settings, "seed": 1}
    shown.explain()
    assert calls == [1, 2, 1]
    assert explorer.explanation is not first
    shown.settings = {**shown.settings, "seed": 0}
    assert explorer.explanation is first


def test_history_is_bounded(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer.select(0)
    known = explorer.explain(wait=True)
    monkeypatch.setattr(session_explaining, "explain_atom", lambda *_arguments, **_settings: known)
    for atom in range(1, HISTORY_LENGTH + 10):
        explorer.session.pick(atom)
    assert len(explorer.session.history) == HISTORY_LENGTH
    assert next(iter(explorer.session.history))[0] == 10


def test_methods_bring_their_settings(explorer: GlassExplorer) -> None:
    for name, method in reversed(METHODS.items()):
        explorer.session.method = name
        own = with_tolerance(method.configure(), explorer.session.target)
        assert method.configure(**explorer.session.settings) == own


def test_bad_settings_are_one_sentence(explorer: GlassExplorer) -> None:
    explorer.session.method = "gnnexplainer"
    explorer.session.settings = {**explorer.session.settings, "epochs": 0}
    explorer.session.pick(0)
    assert explorer.session.status == "failed"
    assert "epochs" in explorer.session.error
    assert "Traceback" not in explorer.session.error
    with pytest.raises(InputError, match="epochs"):
        explorer.explain(wait=True)


def test_unexpected_failures_are_one_sentence_and_logged(
    explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: Any, **_settings: Any) -> None:
        raise RuntimeError("first line.\nsecond line")

    monkeypatch.setattr(session_explaining, "explain_atom", broken)
    explorer.session.pick(0)
    assert explorer.session.error == "The explanation failed (RuntimeError: first line)."
    assert "second line" in caplog.text


def test_atoms_that_do_not_exist_are_refused(explorer: GlassExplorer) -> None:
    with pytest.raises(InputError, match="216 atoms"):
        explorer.select(216)
    explorer.session.pick(-1)
    assert "216 atoms" in explorer.session.error
    assert explorer.session.selected_atom is None
    with pytest.raises(InputError, match="No atom is selected"):
        explorer.explain(wait=True)


def test_cancelling_leaves_everything_as_it_was(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = explorer.session
    before = {name: value.clone() for name, value in shown.predictor.model.state_dict().items()}
    ended: list[BaseException] = []
    under_way, over = threading.Event(), threading.Event()

    def watched(*arguments: Any, progress: Any, **settings: Any) -> Any:
        def tell(fraction: float) -> None:
            progress(fraction)
            under_way.set()

        try:
            return explain_atom(*arguments, progress=tell, **settings)
        except Cancelled as error:
            ended.append(error)
            raise
        finally:
            over.set()

    monkeypatch.setattr(session_explaining, "explain_atom", watched)

    async def main() -> None:
        shown.method = "gnnexplainer"
        shown.settings = {**shown.settings, "epochs": 100_000}
        shown.pick(8)
        await asyncio.to_thread(under_way.wait, TIMEOUT)
        assert shown.status == "running"
        explorer.controls.cancel.click()
        assert shown.status == "cancelled"
        await asyncio.to_thread(over.wait, TIMEOUT)
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert len(ended) == 1
    assert (shown.status, explorer.explanation, shown.error, shown.history) == ("cancelled", None, "", {})
    after = shown.predictor.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_another_pick_supersedes_the_one_that_is_running(explorer: GlassExplorer) -> None:
    shown = explorer.session
    seen: list[int] = []
    shown.explaining.observe(lambda change: seen.append(change["new"].atom if change["new"] else -1), "explanation")

    async def main() -> None:
        shown.method = "gnnexplainer"
        shown.settings = {**shown.settings, "epochs": 100_000}
        shown.pick(8)
        shown.settings = {**shown.settings, "epochs": 3}
        shown.pick(9)
        await finished(shown)
        await asyncio.sleep(0.1)

    asyncio.run(main())
    assert seen == [9]
    assert [key[0] for key in shown.history] == [9]


def test_cycles_are_counted_for_the_shown_explanation(explorer: GlassExplorer) -> None:
    shown = explorer.session
    shown.count_cycles()
    assert "explain an atom first" in shown.error
    shown.pick(0)

    async def main() -> None:
        explorer.cycles.count.click()
        assert shown.counting.job.running
        await finished(shown)

    asyncio.run(main())
    assert shown.error == ""
    assert shown.cycles.atom == 0
    assert len(explorer.cycles.figure.figure.data) > 0
    shown.pick(1)
    assert shown.cycles is None


def test_pg_explainer_is_trained_when_it_is_first_wanted(
    explorer: GlassExplorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_first_use, "explainer_folder", lambda: tmp_path)
    monkeypatch.setattr(pg_first_use, "TRAINING", PGTrainingSettings(passes=1))
    monkeypatch.setattr(pg_first_use, "TRAINING_ATOMS", 3)
    session = explorer.session
    session.method = "pg_explainer"
    assert session.needs_training
    explorer.select(2)
    first = explorer.explain(wait=True)
    assert not session.needs_training
    assert first is not None
    assert first.settings["explainer"].startswith("PGExplainer (")
    explorer.select(3)
    second = explorer.explain(wait=True)
    assert second is not None
    assert second.settings == first.settings
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    # A session that is opened again knows them by the same names.
    path = explorer.save(tmp_path / "kept.symgnn")
    saved, _ = open_session(path, predictor=session.predictor)
    restore(session, saved)
    session.select(2)
    assert explorer.explanation is not None
    assert (explorer.explanation.score == first.score).all()
    session.recall(next(iter(session.history)))
    assert session.settings_problem == ""


def test_cancel_stops_the_training(explorer: GlassExplorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg_first_use, "explainer_folder", lambda: tmp_path)
    session = explorer.session
    session.method = "pg_explainer"
    explorer.select(2)
    session.explaining.job.observe(lambda _change: session.cancel(), "progress")
    session.explain()
    assert session.status == "cancelled"
    assert session.needs_training
    assert explorer.explanation is None
    assert list(tmp_path.iterdir()) == []
