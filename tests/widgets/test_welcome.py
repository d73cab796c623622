"""What an explorer begins with, and that nothing stays of one that has ended."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from ipywidgets.widgets import widget

from symgnn_widgets import GlassExplorer
from symgnn_widgets.panels.welcome import LOWEST, worked_example
from symgnn_widgets.state.session import Session
from symgnn_widgets.state.structure import Structure
from symgnn_widgets.views import cell


def test_a_page_that_shows_the_structure_begins_with_a_soft_atom(explorer: GlassExplorer) -> None:
    session = explorer.session
    assert explorer.explanation is None
    explorer.view.stage.receive(None, {"type": "scene_ready"}, [])
    assert explorer.explanation is not None
    atom = explorer.explanation.atom
    assert session.selection == (atom,)
    covered = np.flatnonzero(session.domain <= 1) if session.domain is not None else np.arange(len(session.glass))
    lower = (session.predictions[covered] < session.predictions[atom]).mean()
    assert lower <= LOWEST
    # Another page that connects begins nothing new.
    explorer.select(11)
    explorer.session.scene.shown = False
    explorer.view.stage.receive(None, {"type": "scene_ready"}, [])
    assert session.selected_atom == 11


def test_the_example_never_replaces_what_somebody_chose(explorer: GlassExplorer) -> None:
    explorer.select(7)
    explorer.view.stage.receive(None, {"type": "scene_ready"}, [])
    assert explorer.session.selection == (7,)
    assert explorer.explanation is None


def test_where_nothing_is_covered_there_is_an_example_all_the_same(
    explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    structure = explorer.session.structure
    outside = structure.said._replace(domain=np.full(len(structure.glass), 2.0))
    monkeypatch.setattr(Structure, "said", outside)
    lowest = np.argsort(structure.predictions)[: max(1, int(LOWEST * len(structure.glass)))]
    assert worked_example(structure) in lowest


def test_the_hint_and_a_mistake_are_dismissed(explorer: GlassExplorer) -> None:
    explorer.welcome.ui.click("dismiss", 0)
    assert explorer.welcome.ui.layout.display == "none"
    explorer.session.structure.error = "A mistake."
    assert "A mistake." in explorer.controls.error.value
    explorer.controls.error.click("dismiss", 0)
    assert (explorer.session.structure.error, explorer.controls.error.value) == ("", "")


def test_the_glass_is_cut_in_front_of_the_selected_atom_where_it_is_not_faded(explorer: GlassExplorer) -> None:
    def cut() -> bool:
        return bool(explorer.view.stage._scene["selection"][1]["cut"])

    assert not cut()
    explorer.select(7)
    assert cut()
    explorer.explain(wait=True)
    assert not cut()
    explorer.view.controls.dim.value = False
    assert cut()
    explorer.view.controls.cut.value = False
    assert not cut()


@pytest.fixture
def lived_in(explorer: GlassExplorer) -> GlassExplorer:
    explorer.select(3)
    explorer.explain(wait=True)
    for title in ("Atoms", "Values", "Distances", "Arrows", "Side by side", "History"):
        explorer.tabs.open(title)
    explorer.session.method = "saliency"
    explorer.session.threshold_by = "share"
    return explorer


def test_nothing_stays_of_a_session_that_was_replaced_or_closed(lived_in: GlassExplorer) -> None:
    glass, predictor = lived_in.session.structure.glass, lived_in.session.structure.predictor
    others = set(widget._instances) - {model.model_id for model in everything_in(lived_in.ui)}
    for _ in range(2):
        past = weakref.ref(lived_in.session)
        lived_in.show(Session(glass, predictor))
        gc.collect()
        assert past() is None
        assert set(widget._instances) - others == {model.model_id for model in everything_in(lived_in.ui)}
    lived_in.close()
    assert set(widget._instances) <= others


def test_a_cell_that_is_run_again_closes_what_it_made(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    def made_in(name: str, run: str) -> GlassExplorer:
        request = {"metadata": {"cellId": name} if name else {}, "header": {"msg_id": run}}
        kernel = SimpleNamespace(get_parent=lambda _channel: request)
        monkeypatch.setattr(cell, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
        return GlassExplorer(explorer.session.structure.glass, explorer.session.structure.predictor)

    def is_open(made: GlassExplorer) -> bool:
        return made.ui.comm is not None

    one, two, other = made_in("a", "run 1"), made_in("a", "run 1"), made_in("b", "run 2")
    outside = [made_in("", f"run {number}") for number in (3, 4)]
    assert all(map(is_open, (explorer, one, two, other, *outside)))
    one.close()  # as somebody may have done
    again = made_in("a", "run 5")
    assert not is_open(one)
    assert not is_open(two)
    assert all(map(is_open, (explorer, again, other, *outside)))


def everything_in(part: widget.Widget) -> list[widget.Widget]:
    """A widget, and all that are reached from it."""
    inside = [getattr(part, name) for name in part.keys]
    inside += [other for value in inside if isinstance(value, (list, tuple)) for other in value]
    return [part, *(found for other in inside if isinstance(other, widget.Widget) for found in everything_in(other))]


def test_hints_that_were_dismissed_stay_away(explorer: GlassExplorer) -> None:
    explorer.welcome.ui.click("dismiss", 0)
    explorer.show(explorer.session)
    assert explorer.welcome.dismissed
