"""What if and Mechanism in the explorer: edits, undo, colours, relaxation, counterfactuals, verification."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.analysis import mechanism
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.saddles import EamCalculator
from symgnn_explain.structure.edits import apply_edits, read_edits
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.panels import barrier_search
from symgnn_widgets.state import editing as editing_state
from symgnn_widgets.state.colourings import CHANGE

ATOM = 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (barrier_search, editing_state):
        usual = module.SearchSettings
        monkeypatch.setattr(
            module,
            "SearchSettings",
            lambda usual=usual, **chosen: usual(escape_curvature=-0.3, local_radius=5.0, highest_energy=4.0, **chosen),
        )


@pytest.fixture
def explorer(vacancy: Glass, tiny_predictor: Predictor, calculator: EamCalculator) -> GlassExplorer:
    explorer = GlassExplorer(vacancy, tiny_predictor)
    explorer.session.editing.calculator = explorer.barrier.search.calculator = calculator
    return explorer


def unlike(glass: Glass) -> tuple[int, int]:
    return int(np.flatnonzero(glass.numbers == 29)[3]), int(np.flatnonzero(glass.numbers == 40)[0])


def test_words_edit_colour_and_are_undone(explorer: GlassExplorer, vacancy: Glass, tiny_predictor: Predictor) -> None:
    panel, session = explorer.what_if, explorer.session
    words = "swap {},{}; remove 5".format(*unlike(vacancy))
    usual = session.colours.colour_by
    panel.line.value = words
    edited, origin = apply_edits(vacancy, read_edits(words, vacancy))
    expected = np.full(len(vacancy), np.nan)
    expected[origin] = tiny_predictor.predict(edited) - session.predictions[origin]
    np.testing.assert_allclose(session.editing.change, expected, atol=1e-5)
    assert (panel.line.value, session.colours.colour_by) == ("", CHANGE)
    np.testing.assert_array_equal(session.colours.colouring().values, session.editing.change)
    assert words in panel.steps.value
    largest = int(np.nanargmax(np.abs(expected)))
    assert f"{vacancy.symbols[largest]} {largest}" in panel.changes.value
    panel.changes.click("pick", largest)
    assert session.selected.selected_atom == largest
    revision = session.colours.revision
    panel.line.value = "move 3 by 0.1 0 0"
    assert session.colours.revision > revision
    for _ in range(2):
        panel.undo.click()
    assert session.editing.change is None
    assert session.colours.colour_by == usual
    assert panel.undo.disabled
    assert panel.open.disabled


def test_buttons_act_on_what_is_selected_by_the_numbers_of_the_glass_shown(
    explorer: GlassExplorer, vacancy: Glass
) -> None:
    panel, session = explorer.what_if, explorer.session
    first, second = unlike(vacancy)
    panel.line.value = "remove 0"
    session.selected.select_many([first, second])
    panel.swap.click()
    glass = session.editing.step.glass
    assert glass.symbols[first - 1] == vacancy.symbols[second]
    assert glass.symbols[second - 1] == vacancy.symbols[first]
    session.selected.select_many([7])
    panel.species.value = "Zr" if vacancy.symbols[7] == "Cu" else "Cu"
    panel.turn.click()
    assert session.editing.step.glass.symbols[6] == panel.species.value
    panel.remove.click()
    assert len(session.editing.step.glass) == len(vacancy) - 2
    assert session.editing.now_of(7) is None


def test_what_is_refused_stays_in_the_box_and_is_said(explorer: GlassExplorer) -> None:
    panel, editing = explorer.what_if, explorer.session.editing
    panel.line.value = "swap 1"
    assert "two atoms" in panel.words.value
    assert panel.line.value == "swap 1"
    assert editing.step is None
    editing.verify()
    assert explorer.session.error
    explorer.select(ATOM)
    editing.verify()
    assert "nothing to verify" in panel.words.value


def test_relaxed_verified_and_explored(explorer: GlassExplorer, vacancy: Glass, calculator: EamCalculator) -> None:
    panel, session = explorer.what_if, explorer.session
    panel.line.value = "swap {},{}".format(*unlike(vacancy))
    panel.relax.click()
    relaxed = session.editing.step.glass
    surface = calculator.surface(relaxed)
    assert np.linalg.norm(surface(surface.start)[1], axis=1).max() < 1.1e-3
    explorer.select(ATOM)
    panel.searches.value = 2
    panel.verify.click()
    verified = session.editing.verified
    assert verified.before.searches == verified.after.searches == 2
    assert str(verified) in panel.result.value
    panel.open.click()
    assert explorer.session is not session
    assert explorer.session.structure.glass is relaxed


def test_found_edits_name_the_atom_that_is_selected(explorer: GlassExplorer) -> None:
    panel, editing = explorer.what_if, explorer.session.editing
    editing.calculator = None
    panel.line.value = "remove 0"
    explorer.select(ATOM)
    panel.by.value = -0.002
    panel.find.click()
    assert editing.found.atom == ATOM - 1
    assert f"atom {ATOM} (now {ATOM - 1})" in panel.counterfactuals.value


def test_a_counterfactual_is_found_and_taken(explorer: GlassExplorer) -> None:
    panel, editing = explorer.what_if, explorer.session.editing
    editing.calculator = None
    explorer.select(ATOM)
    panel.by.value = -0.002
    panel.find.click()
    assert editing.reason == ""
    assert editing.found.by == -0.002
    best = editing.found.found[0]
    assert str(best) in panel.counterfactuals.value
    editing.potential = "CuZr.eam.fs"  # named only now, to verify
    panel._show_found()
    assert "(not relaxed;" in panel.counterfactuals.value
    panel.counterfactuals.click("take", 0)
    assert editing.change[ATOM] == pytest.approx(best.change, abs=1e-5)


def test_work_is_off_the_interface_and_can_be_cancelled(explorer: GlassExplorer, vacancy: Glass) -> None:
    panel, editing = explorer.what_if, explorer.session.editing

    async def act() -> None:
        explorer.select(ATOM)
        panel.find.click()
        assert editing.job.running
        assert panel.find.disabled
        panel.cancel.click()
        assert editing.job.status == "cancelled"
        panel.line.value = "swap {},{}".format(*unlike(vacancy))
        while editing.job.running:
            await asyncio.sleep(0.02)

    asyncio.run(act())
    assert editing.found is None
    assert editing.change is not None


def test_mechanism_compares_the_shown_explanation_with_the_saddle_points(
    explorer: GlassExplorer, tmp_path: Path
) -> None:
    panel, search, session = explorer.mechanism, explorer.barrier.search, explorer.session
    explorer.tabs.open("Mechanism")
    explorer.select(ATOM)
    session.method = "integrated_gradients"
    why = explorer.explain(wait=True)
    assert panel.result is None
    search.searches = 3
    search.compute(wait=True)
    assert search.barrier.saddles
    expected = mechanism(why, search.barrier, session.structure.glass)
    assert panel.result.auc == expected.auc
    assert str(expected) in panel.said.value
    assert "mechanism" in panel.page_figures()
    explorer.export.folder.value = str(tmp_path)
    [page] = explorer.export.start_report(wait=True)
    assert str(expected) in page.read_text(encoding="utf-8")
    panel.moves.value = 5.0
    assert "choose another distance" in panel.said.value
    assert not panel.page_figures()
