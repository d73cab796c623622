"""With a page, a glass is shown before it is predicted; without one everything is there when it returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine import prepared as prepared_module
from symgnn_explain.models.predictor import Predicted, Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state import structure as structure_module
from symgnn_widgets.state.structure import NOT_YET

TIMEOUT = 30.0


class Held(Predictor):
    """Predicts once it is let go, and asks on the way whether it was cancelled."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor.model, predictor.card, device="cpu")
        self.go = threading.Event()
        self.asked, self.threads = 0, set[str]()

    def predict_glass(self, glass: Glass, *, progress: Callable[[float], None] | None = None) -> Predicted:
        self.asked += 1
        self.threads.add(threading.current_thread().name)
        while not self.go.wait(0.01):
            if progress is not None:
                progress(0.5)
        return super().predict_glass(glass, progress=progress)


@pytest.fixture
def held(tiny_predictor: Predictor) -> Iterator[Held]:
    predictor = Held(tiny_predictor)
    yield predictor
    predictor.go.set()


def with_a_page(main: Coroutine[Any, Any, None]) -> None:
    """Run as a notebook does, whose loop serves a page."""

    async def limited() -> None:
        async with asyncio.timeout(TIMEOUT):
            await main

    asyncio.run(limited())


async def until(so: Callable[[], object]) -> None:
    while not so():
        await asyncio.sleep(0.005)


def scene(explorer: GlassExplorer, key: str) -> dict[str, Any]:
    return explorer.view.stage._scene[key][1]


def test_the_structure_comes_before_its_predictions(glass: Glass, held: Held) -> None:
    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        structure = explorer.session.structure
        before = scene(explorer, "colours")
        assert "Species" in explorer.view.legend.value
        assert "colours come with the predictions" in explorer.view.legend.value
        assert len(set(map(tuple, explorer.session.colouring().rgb()))) == len(glass.species)
        await until(lambda: explorer.controls.bar.value == 0.5)
        assert "Predicting 50%" in explorer.controls.state.value
        explorer.tabs.open("Values")
        explorer.select(3)
        assert NOT_YET in explorer.summary.text.value
        held.go.set()
        await until(lambda: structure.predicted)
        assert scene(explorer, "colours") != before
        np.testing.assert_array_equal(structure.predictions, held.predict(glass))
        assert NOT_YET not in explorer.summary.text.value
        assert "Species" not in explorer.view.legend.value
        assert "prediction <" in explorer.selection.words.placeholder
        assert np.isfinite(explorer.values.figure.figure.data[0].y).all()
        assert explorer.controls.cancel.disabled

    with_a_page(main())
    assert (held.asked, held.threads) == (1, {"symgnn-job"})


def test_a_click_before_the_predictions_is_answered_after_them(glass: Glass, held: Held) -> None:
    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        explorer.session.method = "saliency"
        explorer.view.stage.receive(None, {"type": "scene_pick", "data": {"atom": 5, "add": False}}, None)
        explorer.view.stage.receive(None, {"type": "scene_pick", "data": {"atom": 7, "add": False}}, None)
        await asyncio.sleep(0.05)
        assert (explorer.session.selected_atom, explorer.explanation, explorer.session.error) == (7, None, "")
        held.go.set()
        await until(lambda: explorer.explanation)
        assert explorer.explanation is not None
        assert explorer.explanation.atom == 7
        assert explorer.session.structure.predicted
        assert explorer.session.error == ""

    with_a_page(main())
    assert held.asked == 1


def test_overlapping_atoms_of_a_very_large_glass_are_named_once_it_is_predicted(
    glass: Glass, tiny_predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are refused before anything is shown."""
    doubled = replace(glass, positions=np.concatenate([glass.positions[:1], glass.positions[:1], glass.positions[2:]]))

    async def main() -> None:
        with pytest.raises(InputError, match="Å apart"):
            GlassExplorer(doubled, tiny_predictor)
        for module in (structure_module, prepared_module):
            monkeypatch.setattr(module, "is_sampled", lambda *_given: True)
        structure = GlassExplorer(doubled, tiny_predictor).session.structure
        await until(lambda: structure.error)
        assert "atoms 0 and 1" in structure.error
        assert not structure.explainable
        assert not structure.predicted

    with_a_page(main())


def test_an_atom_of_a_very_large_glass_is_explained_before_the_others_are_predicted(
    glass: Glass, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (structure_module, prepared_module):
        monkeypatch.setattr(module, "is_sampled", lambda *_given: True)

    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        session, structure = explorer.session, explorer.session.structure
        session.method = "saliency"
        explorer.view.stage.receive(None, {"type": "scene_ready"}, [])
        await until(lambda: explorer.explanation)
        assert explorer.explanation is not None
        assert explorer.explanation.atom in structure.sample.atoms
        assert "of its atoms" in explorer.explanation.caveats[-1]
        assert not structure.predicted
        assert structure.target.text(explorer.explanation.prediction) in explorer.summary.text.value
        assert "Predicting" in explorer.controls.state.value
        for title in explorer.tabs.every:  # no panel asks for what is not there
            explorer.tabs.open(title)
            await asyncio.sleep(0.02)
        assert session.error == ""
        before = explorer.explanation
        explorer.select(7)
        explorer.explain()
        held.go.set()
        assert np.isfinite(session.predictions).all()  # though they rest for an explanation, which this loop would show
        await until(lambda: structure.predicted)
        explorer.select(before.atom)
        assert explorer.explanation is before
        assert np.isfinite(structure.prepared.predictions).all()
        again = structure.prepared.explain(before.atom, "saliency")
        np.testing.assert_array_equal(again.score, before.score)
        assert again.prediction_range == before.prediction_range

    with_a_page(main())


def test_code_that_asks_waits(glass: Glass, held: Held) -> None:
    held.go.set()

    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        np.testing.assert_array_equal(explorer.session.predictions, held.predict(glass))
        explorer.session.select_words("lowest:1")
        assert explorer.session.selected_atom == np.argmin(held.predict(glass))
        explorer.session.method = "saliency"
        assert explorer.explain(wait=True) is not None
        assert explorer.session.structure.predicted
        assert "Predicted" in explorer.view.legend.value

    with_a_page(main())


def test_what_cannot_be_said_yet_is_a_sentence(glass: Glass, held: Held) -> None:
    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        explorer.selection.words.value = "lowest:1"
        assert (explorer.session.error, explorer.session.selection) == (NOT_YET, ())
        held.go.set()
        await until(lambda: explorer.session.structure.predicted)
        explorer.selection.words.value = "lowest:2"
        assert (explorer.session.error, len(explorer.session.selection)) == ("", 2)

    with_a_page(main())


def test_cancelled_predictions_begin_anew_with_a_click(glass: Glass, held: Held) -> None:
    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        explorer.session.method = "saliency"
        structure = explorer.session.structure
        explorer.view.stage.receive(None, {"type": "scene_pick", "data": {"atom": 5, "add": False}}, None)
        await until(lambda: held.asked)
        explorer.controls.cancel.click()
        assert explorer.controls.state.value == "Cancelled"
        assert explorer.controls.cancel.disabled
        await asyncio.sleep(0.1)
        held.go.set()
        await asyncio.sleep(0.1)
        assert not structure.predicted
        assert held.asked == 1  # the click that waited was cancelled with them
        explorer.controls.explain.click()
        await until(lambda: explorer.explanation)
        assert structure.predicted
        assert held.asked == 2

    with_a_page(main())


def test_predictions_of_a_structure_that_was_replaced_are_dropped(
    glass: Glass, held: Held, tmp_path: Path, random_glass: Any
) -> None:
    path = write_extended_xyz([random_glass(5, seed=3)], tmp_path / "other.extxyz")

    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        past, view = explorer.session.structure, explorer.view
        await until(lambda: held.asked)
        explorer.files.path.value = str(path)
        explorer.files.start()
        await until(lambda: explorer.session.structure is not past)
        assert "Opened other" in explorer.files.said.value
        assert not explorer.session.structure.predicted  # it is shown while it is predicted
        explorer.session.method = "saliency"
        explorer.view.stage.receive(None, {"type": "scene_pick", "data": {"atom": 100, "add": False}}, None)
        held.go.set()
        await until(lambda: explorer.explanation)
        await asyncio.sleep(0.1)
        assert explorer.session.error == ""
        assert (past.predicted, past.error) == (False, "")
        assert "colours come with the predictions" in view.legend.value

    with_a_page(main())


def test_what_cannot_be_predicted_leaves_the_session(glass: Glass, held: Held, tmp_path: Path) -> None:
    gold = replace(glass, numbers=np.where(glass.numbers == 40, 79, glass.numbers))
    overlapping = replace(glass, positions=np.concatenate([glass.positions[:1] + 0.01, glass.positions[:-1]]))
    held.go.set()

    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        session = explorer.session
        for wrong, said in ((gold, "Au"), (overlapping, "apart")):
            explorer.files.path.value = str(write_extended_xyz([wrong], tmp_path / f"{said}.extxyz"))
            explorer.files.start()
            await until(lambda: not explorer.files.open.disabled)
            assert said in explorer.files.said.value
            assert explorer.session is session
        for wrong, said in ((gold, "Au"), (overlapping, "apart")):
            with pytest.raises(InputError, match=said):
                GlassExplorer(wrong, held)

    with_a_page(main())


def test_predictions_that_fail_are_a_sentence(glass: Glass, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object, **_named: object) -> None:
        raise InputError("the weights are damaged.")

    monkeypatch.setattr(held, "predict_glass", fail)

    async def main() -> None:
        explorer = GlassExplorer(glass, held)
        await until(lambda: explorer.session.error)
        assert explorer.session.error == "the weights are damaged."
        assert explorer.controls.state.value == "Failed"
        explorer.session.pick(3)
        await until(lambda: explorer.session.explaining.job.status == "failed")
        assert explorer.session.error == "the weights are damaged."

    with_a_page(main())
    with pytest.raises(InputError, match="damaged"):
        GlassExplorer(glass, held)


def test_a_session_is_opened_before_it_is_predicted(glass: Glass, held: Held, tmp_path: Path) -> None:
    held.go.set()
    explorer = GlassExplorer(glass, held)
    explorer.session.method = "saliency"
    explorer.select(4)
    explorer.explain(wait=True)
    middle = float(np.median(explorer.session.predictions))
    explorer.session.shown_range = (middle, 10.0)
    path = explorer.save(tmp_path / "a.symgnn")
    held.go.clear()

    async def main() -> None:
        opened = GlassExplorer.open(path, predictor=held)
        assert opened.explanation is not None
        assert scene(opened, "filter")["drawn"] is None  # the range is of predictions, not of species
        await asyncio.sleep(0.05)
        held.go.set()
        await until(lambda: opened.session.structure.predicted)
        assert scene(opened, "filter")["drawn"] is not None
        assert opened.view.legend.value == explorer.view.legend.value
        assert opened.session.error == ""

    with_a_page(main())


def test_a_trajectory_is_opened_before_it_is_predicted(glass: Glass, held: Held, tmp_path: Path) -> None:
    moved = replace(glass, positions=glass.positions + 0.1)
    trajectory = Trajectory(write_extended_xyz([moved, glass], tmp_path / "md.extxyz"))

    async def main() -> None:
        explorer = GlassExplorer(trajectory, held)
        frames = explorer.session.frames
        assert frames is not None
        assert frames.present is not None
        assert np.isnan(frames.present.values).all()
        held.go.set()
        await until(lambda: explorer.session.structure.predicted)
        np.testing.assert_array_equal(frames.present.values, held.predict(glass))
        frames.number = 0
        await until(lambda: frames.present)
        np.testing.assert_array_equal(frames.known[0].values, held.predict(moved))

    with_a_page(main())
