"""Atoms are selected by words, clicks, tables and plots; what was done can be undone."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import select_atoms
from symgnn_widgets import GlassExplorer
from symgnn_widgets.views.table import marked


def test_words_select(explorer: GlassExplorer, glass: Glass) -> None:
    explorer.selection.words.value = "species Zr and barrier > 1.5"
    expected = select_atoms(glass, "species Zr and barrier > 1.5", predictions=explorer.session.predictions)
    assert explorer.session.selection == tuple(expected)
    assert explorer.session.selected_atom == expected[0]
    assert f"<b>{len(expected)}</b>" in explorer.selection.list.value
    explorer.selection.words.value = "selected and softest 3"
    assert set(explorer.session.selection) <= set(expected)


def test_words_that_mean_nothing_are_one_sentence_and_change_nothing(explorer: GlassExplorer) -> None:
    explorer.select(4)
    explorer.selection.words.value = "speces Zr"
    assert "did you mean 'species'" in explorer.session.error
    assert "did you mean" in explorer.controls.error.value
    assert explorer.session.selection == (4,)


def test_values_of_the_session_can_be_compared(explorer: GlassExplorer, glass: Glass) -> None:
    session = explorer.session
    explorer.selection.words.value = "error > 0.5"
    assert session.selection == tuple(np.flatnonzero(session.predictions - glass.barriers > 0.5))
    explorer.selection.words.value = "importance > 0"
    assert "'importance'" in session.error
    explorer.select(3)
    explorer.explain(wait=True)
    explorer.selection.words.value = "importance > 0"
    assert set(session.selection) <= set(session.history[next(iter(session.history))].source.tolist())


def test_words_go_when_they_no_longer_say_what_is_selected(explorer: GlassExplorer) -> None:
    words, session = explorer.selection.words, explorer.session
    words.value = "index 12"
    assert (session.selection, words.value) == ((12,), "index 12")
    session.pick(3)
    assert words.value == ""
    words.value = "index 12"
    assert session.selection == (12,)
    words.value = "index 5000"
    assert words.value == "index 5000"  # to be mended
    assert "5000" in session.error


def test_adding_toggles_and_explains_nothing(explorer: GlassExplorer) -> None:
    session = explorer.session
    session.pick(1)
    shown = session.explanation
    explorer.selection.adding.value = True
    for atom in (5, 9, 5):
        session.pick(atom)
    assert (session.selection, session.selected_atom) == ((1, 9), 1)
    assert session.explanation is shown
    explorer.selection.words.value = "7, 1"
    assert session.selection == (1, 9, 7)
    explorer.selection.adding.value = False
    session.pick(2)
    assert session.selection == (2,)
    assert session.explanation.atom == 2


def test_chips_look_at_atoms_and_remove_them(explorer: GlassExplorer) -> None:
    session, chips = explorer.session, explorer.selection.list
    session.select_many([3, 8, 5])
    assert session.selected_atom == 3
    chips.click("look", 8)
    assert (session.selected_atom, session.selection) == (8, (3, 8, 5))
    chips.click("remove", 8)
    assert (session.selected_atom, session.selection) == (5, (3, 5))
    chips.click("remove", 3)
    chips.click("remove", 5)
    assert (session.selected_atom, session.selection) == (None, ())
    assert "No atom is selected" in chips.value


def test_many_atoms_are_counted_not_listed(explorer: GlassExplorer, glass: Glass) -> None:
    explorer.selection.words.value = "all"
    text = explorer.selection.list.value
    assert f"<b>{len(glass)}</b>" in text
    assert text.count("symgnn-chip ") + text.count('symgnn-chip"') == 30
    assert f"and {len(glass) - 30} more" in text


def test_atoms_that_do_not_exist_or_are_named_twice_are_refused(explorer: GlassExplorer) -> None:
    for atoms in ([1, 216], [1, 1], []):
        with pytest.raises(InputError):
            explorer.session.select_many(atoms)
    assert explorer.session.selection == ()


def test_tables_and_plots_select(explorer: GlassExplorer) -> None:
    session = explorer.session
    session.pick(3)
    explorer.edges.table.click("pick", 11)
    assert session.explanation.atom == 11
    drawn = [trace for trace in explorer.neighbourhood.figure.figure.data if trace.customdata is not None]
    other = int(drawn[0].customdata[0])
    explorer.neighbourhood.figure.ui.click(other)
    assert session.selected_atom == other
    explorer.tabs.open("Values")
    explorer.values.figure.ui.select([4, 6, 8])
    assert session.selection == (4, 6, 8)
    marks = explorer.values.figure.figure.data[-1]
    assert list(marks.customdata) == [4, 6, 8]


def test_messages_of_the_page_are_clicks(explorer: GlassExplorer) -> None:
    explorer.edges.table._handle(None, {"action": "pick", "number": 9}, [])
    assert explorer.session.selected_atom == 9
    explorer.values.figure.ui._handle(None, {"action": "select", "numbers": [1, 2]}, [])
    assert explorer.session.selection == (1, 2)
    explorer.values.figure.ui._handle(None, {"action": "click", "numbers": [5]}, [])
    assert explorer.session.selected_atom == 5
    assert 'data-number="9"' in marked("x", "pick", 9, "tip")


def test_undo_and_redo_go_back_and_forth(explorer: GlassExplorer) -> None:
    session, panel = explorer.session, explorer.selection
    assert panel.undo.disabled
    session.pick(1)
    first = session.explanation
    session.method = "integrated_gradients"
    session.pick(1)
    second = session.explanation
    session.select_many([4, 5])
    assert session.explanation is None
    panel.undo.click()
    assert (session.selection, session.selected_atom, session.explanation) == ((1,), 1, second)
    panel.undo.click()
    assert (session.explanation, session.method) == (first, "gnnexplainer")
    panel.undo.click()
    assert (session.selection, session.explanation) == ((), None)
    assert panel.undo.disabled
    for _ in range(3):
        panel.redo.click()
    assert (session.selection, session.selected_atom, session.explanation) == ((4, 5), 4, None)
    assert panel.redo.disabled
    panel.undo.click()
    session.pick(7)
    assert panel.redo.disabled
    panel.undo.click()
    assert session.explanation is second


def test_history_lists_explanations_and_goes_back(explorer: GlassExplorer) -> None:
    session, history = explorer.session, explorer.history
    explorer.tabs.open("History")
    session.pick(1)
    first = session.explanation
    session.unit = "bond"
    session.pick(2)
    session.method = "integrated_gradients"
    session.pick(3)
    assert history.table.value.count("<tr") == 3
    history.table.click("recall", 0)
    assert session.explanation is first
    assert (session.method, session.unit, session.selected_atom) == ("gnnexplainer", "edge", 1)
    assert explorer.controls.method.value == "gnnexplainer"
    assert "looked-at" in history.table.value.split("<tr")[-1]


def test_deselecting_nothing_known_changes_nothing(explorer: GlassExplorer) -> None:
    explorer.select(4)
    explorer.session.deselect(17)
    assert explorer.session.selection == (4,)
    explorer.selection.clear.click()
    assert explorer.session.selected_atom is None
