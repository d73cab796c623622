"""A film in the explorer: of the explanation or of the trajectory, in the background, cancelled without a trace."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symgnn_explain.export import film
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets import GlassExplorer
from symgnn_widgets.panels import film as film_panel
from tests.test_film import frames_of, painted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "drawn_one_after_another", painted)
    for module in (film, film_panel):
        monkeypatch.setattr(module, "static_images_available", lambda: True)


@pytest.fixture
def explorer(glass: Glass, tiny_predictor: Predictor, tmp_path: Path) -> GlassExplorer:
    frames = [replace(glass, positions=glass.positions + 0.01 * step) for step in range(12)]
    explorer = GlassExplorer(Trajectory(write_extended_xyz(frames, tmp_path / "md.extxyz")), tiny_predictor, frame=3)
    explorer.session.method = "saliency"
    explorer.film.folder.value = str(tmp_path / "out")
    return explorer


def written(explorer: GlassExplorer) -> list[Path]:
    folder = Path(explorer.film.folder.value)
    return sorted(folder.iterdir()) if folder.exists() else []


def test_an_explanation_turns_and_a_trajectory_runs(explorer: GlassExplorer) -> None:
    panel, session = explorer.film, explorer.session
    panel.write.click()
    assert "explain an atom first" in panel.said.value
    session.pick(5)
    panel.seconds.value = 0.5
    panel.write.click()
    assert session.error == ""
    [path] = written(explorer)
    assert path.suffix == ".gif"
    assert "atom5" in path.name
    assert len(frames_of(path)) == 5
    assert panel.screen.value == path.read_bytes()
    assert f'download="{path.name}"' in panel.said.value
    panel.kind.value, panel.format.value = film_panel.FRAMES, ".webp"
    panel.write.click()
    [film_of_frames] = [each for each in written(explorer) if each != path]
    frames = frames_of(film_of_frames)
    assert len(frames) == 5  # of 12, evenly
    assert sum(duration for _, duration in frames) == pytest.approx(0.5, abs=0.01)
    assert len(session.frames.known) == 1, "what is filmed is not kept"
    panel.write.click()
    assert len(written(explorer)) == 3, "no film is replaced"


def test_few_frames_last_as_long_as_was_asked_for(explorer: GlassExplorer) -> None:
    explorer.film.kind.value, explorer.film.seconds.value = film_panel.FRAMES, 10
    explorer.film.write.click()
    frames = frames_of(written(explorer)[0])
    assert len(frames) == 12
    assert sum(duration for _, duration in frames) == pytest.approx(10, abs=0.01)


def test_without_frames_there_is_nothing_else_to_film(glass: Glass, tiny_predictor: Predictor) -> None:
    assert GlassExplorer(glass, tiny_predictor).film.kind.options == (film_panel.TURNING,)


def test_cancel_writes_nothing_and_the_next_film_is_made(
    explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = explorer.film
    drawing, over = threading.Event(), threading.Event()

    def slow(_figures: Any, _ratio: float, watch: Watch) -> list[bytes]:
        try:
            while True:
                watch.advance(0.1)
                drawing.set()
        finally:
            over.set()
        return []

    explorer.session.pick(5)
    panel.seconds.value = 0.5
    monkeypatch.setattr(film, "drawn_one_after_another", slow)

    async def act() -> None:
        panel.write.click()
        assert panel.job.running
        assert panel.write.disabled
        assert await asyncio.to_thread(drawing.wait, 20)
        panel.cancel.click()
        assert await asyncio.to_thread(over.wait, 20)
        await asyncio.sleep(0.05)

    asyncio.run(act())
    assert "Cancelled" in panel.said.value
    assert not panel.write.disabled
    assert written(explorer) == []
    assert explorer.session.error == ""
    monkeypatch.setattr(film, "drawn_one_after_another", painted)
    panel.write.click()
    assert len(written(explorer)) == 1


def test_what_fails_is_a_sentence(explorer: GlassExplorer, tmp_path: Path) -> None:
    explorer.session.pick(5)
    explorer.film.seconds.value = 0.5
    (tmp_path / "file").touch()
    explorer.film.folder.value = str(tmp_path / "file" / "in")
    explorer.film.write.click()
    assert "nothing can be written into" in explorer.session.error
    assert not explorer.film.write.disabled
