"""Panels show the session's state and set it."""

from __future__ import annotations

from dataclasses import replace

import ipywidgets as widgets
import numpy as np
import pytest
from markupsafe import escape

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, AtomExplanation
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state.session import Session
from symgnn_widgets.views.tabs import Seen, Tabs


def explained(explorer: GlassExplorer, atom: int = 7) -> AtomExplanation:
    explorer.select(atom)
    explanation = explorer.explain(wait=True)
    assert explanation is not None
    return explanation


def rows_of(explorer: GlassExplorer) -> int:
    return explorer.edges.table.value.count("<tr>") - 1


def test_controls_set_the_session(explorer: GlassExplorer) -> None:
    controls, session = explorer.controls, explorer.session
    controls.explain_on_click.value = False
    controls.atom.value = 21
    assert (session.selected_atom, session.explanation) == (21, None)
    controls.settings["epochs"].value = 3
    controls.explain.click()
    assert explorer.explanation.settings["epochs"] == 3
    controls.k.value = 20
    assert session.k == 20
    controls.method.value = "integrated_gradients"
    assert session.method == "integrated_gradients"
    assert list(controls.settings) == list(session.settings)
    assert METHODS["integrated_gradients"].description in controls.description.value


def test_the_box_of_the_atom_says_what_is_looked_at(explorer: GlassExplorer) -> None:
    controls, session = explorer.controls, explorer.session
    explained(explorer, 7)
    session.adding = True
    controls.atom.value = 21
    assert session.selection == (7, 21)
    assert controls.atom.value == 7
    session.adding = False
    controls.atom.value = 5000
    assert "atom 5000 does not exist" in session.error
    assert controls.atom.value == session.selected_atom == 7


def test_a_number_that_is_no_atom_is_said_to_be_so(explorer: GlassExplorer) -> None:
    controls, session = explorer.controls, explorer.session
    controls.atom.value = 5000
    session.error = ""
    controls.explain.click()
    assert "atom 5000 does not exist" in session.error
    assert session.selected_atom is None


def test_every_tab_says_what_it_is_for(explorer: GlassExplorer) -> None:
    titles = [title for tabs in every_tabs(explorer.tabs) for title in tabs.panels]
    assert len(titles) == len(set(titles))
    assert sorted(titles) == sorted(explorer._tooltips.tabs)


def test_every_tab_can_be_opened_by_its_title(explorer: GlassExplorer) -> None:
    for title, panel in explorer.tabs.every.items():
        explorer.tabs.open(title)
        # The tab itself is in front at every depth, and it alone of the deepest is active.
        seen = explorer.tabs
        while title not in seen.panels:
            seen = seen.panels[seen.ui.titles[seen.ui.selected_index]]
        assert seen.panels[seen.ui.titles[seen.ui.selected_index]] is panel
        inside = [other for other in explorer.tabs.every.values() if getattr(other, "active", False)]
        assert not isinstance(panel, Seen) or panel in inside
        assert len([other for other in inside if not isinstance(other, Tabs)]) <= 1
    with pytest.raises(InputError, match=r"no tab is called 'No such tab': choose from .*Rings"):
        explorer.tabs.open("No such tab")
    assert repr(explorer) == f"GlassExplorer({explorer.session.glass})"


def every_tabs(tabs: Tabs) -> list[Tabs]:
    return [tabs, *(panel for panel in tabs.every.values() if isinstance(panel, Tabs))]


def test_nothing_is_claimed_of_an_atom_that_is_not_explained(explorer: GlassExplorer) -> None:
    explained(explorer, 7)
    assert (explorer.controls.state.value, explorer.controls.bar.value) == ("Explained", 1.0)
    explorer.select(8)
    assert (explorer.controls.state.value, explorer.controls.bar.value) == ("Ready", 0.0)
    explorer.select(7)
    assert (explorer.controls.state.value, explorer.controls.bar.value) == ("Explained", 1.0)


def test_cancel_brings_back_what_was_shown(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = explained(explorer, 7)
    session = explorer.session
    job = session.explaining.job
    monkeypatch.setattr(job, "start", lambda *_, **__: job.set_trait("status", "running"))
    session.method = "saliency"
    session.explain()
    assert (session.status, session.explanation) == ("running", None)
    session.cancel()
    assert (session.status, session.explanation) == ("cancelled", shown)
    assert session.shown_key == (7, "gnnexplainer", *next(iter(session.history))[2:])
    session.select(8)
    session.undo()
    assert (session.explanation, session.method) == (shown, "gnnexplainer")
    session.method = "saliency"
    session.select(8)
    session.explain()
    session.cancel()
    assert (session.explanation, session.status) == (None, "cancelled")
    session.select(9)
    assert session.status == "idle"


def test_the_ring_of_a_self_loop_is_explained_where_one_is_drawn(explorer: GlassExplorer) -> None:
    explanation = explained(explorer)
    caption = explorer.neighbourhood.caption
    loops = np.flatnonzero(explanation.is_self_loop[explanation.rank()])
    assert loops[0] > 0  # so that fewer edges hold none
    explorer.session.k = int(loops[0]) + 1
    assert "self-loop" in caption.value
    explorer.session.k = int(loops[0])
    assert "self-loop" not in caption.value


def test_controls_follow_the_session(explorer: GlassExplorer) -> None:
    controls, session = explorer.controls, explorer.session
    session.method = "integrated_gradients"
    session.k = 75
    session.select(30)
    assert (controls.method.value, controls.k.value, controls.atom.value) == ("integrated_gradients", 75, 30)
    session.status, session.progress, session.seconds_left = "running", 0.25, 12.4
    assert controls.state.value == "25%, 12 s left"
    assert not controls.cancel.disabled
    session.status = "cancelled"
    assert controls.cancel.disabled


def test_errors_are_shown_as_text(explorer: GlassExplorer) -> None:
    explorer.session.error = "<b>no</b>"
    assert "&lt;b&gt;no&lt;/b&gt;" in explorer.controls.error.value
    explorer.session.error = ""
    assert explorer.controls.error.value == ""


def test_the_table_has_k_rows_in_the_order_of_importance(explorer: GlassExplorer) -> None:
    explanation = explained(explorer)
    assert rows_of(explorer) == explorer.session.k
    explorer.session.k = 10
    assert rows_of(explorer) == 10
    best = explanation.top_edges(1).iloc[0]
    assert f'data-number="{best["source"]}"' in explorer.edges.table.value.split("<tbody>")[1].split("</tr>")[0]


def test_figures_show_the_explanation_and_go_with_it(explorer: GlassExplorer) -> None:
    explorer.tabs.open("Distances")
    explained(explorer)
    for panel in (explorer.neighbourhood.figure, explorer.distances.figure):
        assert len(panel.figure.data) > 0
        assert len(panel.ui.figure["data"]) == len(panel.figure.data)
    explorer.select(8)
    for panel in (explorer.neighbourhood.figure, explorer.distances.figure):
        assert len(panel.figure.data) == 0
        assert panel.ui.figure == {}
        assert "Explain an atom" in panel.ui.note


def test_the_summary_names_the_atom_and_its_prediction(explorer: GlassExplorer) -> None:
    assert "No atom selected" in explorer.summary.text.value
    explained(explorer, 7)
    text = explorer.summary.text.value
    assert "Atom 7" in text
    assert f"{explorer.session.predictions[7]:.3f} eV" in text
    assert "GNNExplainer" in text


def test_the_summary_names_the_id_of_the_file(explorer: GlassExplorer, tiny_predictor: Predictor) -> None:
    glass = explorer.session.structure.glass
    numbered = GlassExplorer(glass.with_arrays(id=np.arange(len(glass)) + 101), tiny_predictor)
    numbered.select(7)
    assert "id 108" in numbered.summary.text.value
    explorer.select(7)
    assert "id 1" not in explorer.summary.text.value


def test_caveats_of_an_explanation_are_shown_as_text(explorer: GlassExplorer) -> None:
    explanation = explained(explorer, 7)
    unfaithful = replace(explanation, masked_prediction=explanation.prediction + 0.2)
    explorer.session.explanation = unfaithful
    assert unfaithful.caveats
    for sentence in unfaithful.caveats:
        assert escape(sentence) in explorer.summary.text.value


def test_semantics_and_unit_are_chosen_and_reported(explorer: GlassExplorer) -> None:
    controls, session = explorer.controls, explorer.session
    controls.semantics.value, controls.unit.value = "zero", "atom"
    explanation = explained(explorer, 7)
    assert (explanation.mask_semantics, explanation.unit) == ("zero", "atom")
    assert "atoms; a mask means: neighbours taken out" in explorer.summary.text.value
    session.unit = "bond"
    assert controls.unit.value == "bond"
    session.method = "gnnexplainer_published"
    session.method = "gnnexplainer"
    assert controls.semantics.value == "reference"


def test_the_explorer_is_shown_as_one_widget(explorer: GlassExplorer) -> None:
    bundle = explorer._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.ui.model_id


def test_a_closed_explorer_leaves_no_widgets_behind(glass: Glass, tiny_predictor: Predictor) -> None:
    open_before = set(widgets.widget._instances)
    explorer = GlassExplorer(glass, tiny_predictor)
    opened = len(set(widgets.widget._instances) - open_before)
    explorer.show(Session(glass, tiny_predictor))
    assert len(set(widgets.widget._instances) - open_before) < 1.1 * opened
    explorer.close()
    assert len(set(widgets.widget._instances) - open_before) < 0.2 * opened
