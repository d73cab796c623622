"""A population is explained from the selection, can be cancelled, and continues."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.explain import ExplanationSet, explain_many
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state import population as session_population

TIMEOUT = 30.0


def test_the_selection_is_explained_and_listed(explorer: GlassExplorer, tmp_path: Path) -> None:
    session, panel = explorer.session, explorer.population
    assert panel.start.disabled
    explorer.selection.words.value = "softest 4"
    assert panel.start.description == "Explain 4 selected"
    panel.folder.value = str(tmp_path / "population")
    panel.start.click()
    assert (session.error, session.many.job.status) == ("", "done")
    expected = explain_many(session.predictor, session.glass, session.selection, session.method, **session.settings)
    assert session.population.atoms == session.selection
    for atom in session.selection:
        np.testing.assert_array_equal(session.population[atom].score, expected[atom].score)
    assert panel.table.value.count("<tr>") == 5
    assert len(panel.figure.figure.data) > 0
    assert ExplanationSet.open(tmp_path / "population").atoms
    # Looking at one of them computes nothing.
    last = session.selection[-1]
    panel.table.click("pick", last)
    assert session.explanation.atom == last
    assert session.status == "done"
    assert len(session.selection) == 4


def test_a_cancelled_population_continues(explorer: GlassExplorer, tmp_path: Path, monkeypatch: Any) -> None:
    session, panel = explorer.session, explorer.population
    started, over = threading.Event(), threading.Event()

    def watched(*arguments: Any, progress: Any, **options: Any) -> Any:
        def tell(fraction: Any) -> None:
            progress(fraction)
            if fraction.done == 2:
                started.set()

        try:
            return explain_many(*arguments, progress=tell, **options)
        finally:
            over.set()

    monkeypatch.setattr(session_population, "explain_many", watched)
    panel.folder.value = str(tmp_path)
    session.method = "gnnexplainer"
    session.settings = {**session.settings, "epochs": 400, "stop_early": False}
    panel.folder.value = str(tmp_path)
    session.select_many(range(8))

    async def main() -> None:
        panel.start.click()
        assert session.many.job.status == "running"
        assert await asyncio.to_thread(started.wait, TIMEOUT)
        panel.cancel.click()
        assert session.many.job.status == "cancelled"
        assert await asyncio.to_thread(over.wait, TIMEOUT)

    asyncio.run(main())
    assert session.population is None
    done = ExplanationSet.open(tmp_path).atoms
    assert 2 <= len(done) < 8
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    panel.start.click()
    assert session.many.job.status == "done"
    assert session.population.atoms == tuple(range(8))
    kept = [path for path, when in before.items() if path.stat().st_mtime_ns == when]
    assert len(kept) >= len(done)


def test_a_change_without_a_sign_is_called_one_and_an_unknown_one_is_a_dash(
    explorer: GlassExplorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, whole = explorer.population, ExplanationSet.to_frame
    unknown = {"sufficiency_50": [0.125, np.nan]}
    monkeypatch.setattr(ExplanationSet, "to_frame", lambda found: whole(found).assign(**unknown))
    panel.folder.value = str(tmp_path)
    explorer.session.select_many([3, 5])
    panel.start.click()
    assert "|change of the predicted barrier| with the 50 most important units alone" in panel.table.value
    assert "<td>0.125</td>" in panel.table.value
    assert "nan" not in panel.table.value


def test_folders_are_named_for_what_is_set(explorer: GlassExplorer) -> None:
    session, panel = explorer.session, explorer.population
    names = {panel.folder.value}
    session.method = "integrated_gradients"
    names.add(panel.folder.value)
    session.unit = "atom"
    names.add(panel.folder.value)
    session.settings = {"steps": 7}
    names.add(panel.folder.value)
    assert len(names) == 4
    assert "steps7" in panel.folder.value


def test_a_folder_of_something_else_is_one_sentence(explorer: GlassExplorer, tmp_path: Path) -> None:
    session, panel = explorer.session, explorer.population
    panel.folder.value = str(tmp_path)
    session.select_many([1, 2])
    panel.start.click()
    session.method = "gnnexplainer"
    session.settings = {**session.settings, "epochs": 5}
    panel.folder.value = str(tmp_path)
    panel.start.click()
    assert session.many.job.status == "failed"
    assert "epochs" in session.error


def test_nothing_selected_is_one_sentence(explorer: GlassExplorer, tmp_path: Path) -> None:
    explorer.session.explain_selection(tmp_path)
    assert "No atom is selected" in explorer.session.error
