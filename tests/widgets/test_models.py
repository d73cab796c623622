"""Each model of the state works alone, with those it is made of and no explorer."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, AtomExplanation, explain_atom
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state.colour import Colours
from symgnn_widgets.state.editing import Editing
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.method import MethodChoice
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.state.session import Session
from symgnn_widgets.state.steps import Steps
from symgnn_widgets.state.structure import Structure
from symgnn_widgets.state.threshold import Threshold


@pytest.fixture
def structure(glass: Glass, tiny_predictor: Predictor) -> Structure:
    return Structure(glass, tiny_predictor)


@pytest.fixture
def explaining(structure: Structure) -> Explaining:
    explaining = Explaining(Selection(structure.glass), MethodChoice(structure))
    explaining.choice.method = "gnnexplainer"
    explaining.choice.configure(epochs=3)
    return explaining


@pytest.fixture
def explanation(structure: Structure) -> AtomExplanation:
    return explain_atom(structure.predictor, structure.glass, 7, "gnnexplainer", prepared=structure.prepared, epochs=3)


def test_a_selection_needs_a_glass_alone(glass: Glass) -> None:
    selected = Selection(glass)
    seen: list[tuple[tuple[int, ...], int | None]] = []
    selected.observe(lambda _change: seen.append((selected.selection, selected.selected_atom)), "selection")
    selected.select_many([4, 2])
    selected.look_at(2)
    selected.look_at(9)
    assert seen == [((4, 2), 4), ((9,), 9)]  # both traits at once, or not at all
    with pytest.raises(InputError, match="does not exist"):
        selected.toggle(len(glass))


def test_a_threshold_needs_scores_alone(explanation: AtomExplanation) -> None:
    threshold = Threshold()
    threshold.threshold_by = "share"
    assert threshold.k == 50  # nothing to count yet
    threshold.apply(explanation)
    scores = np.sort(np.abs(explanation.score))[::-1]
    assert scores[: threshold.k].sum() >= threshold.share * scores.sum() > scores[: threshold.k - 1].sum()
    threshold.follow(None)
    k = threshold.k
    threshold.share = 0.9
    assert threshold.k == k


def test_a_method_brings_its_settings_and_says_which_cannot_be_used(structure: Structure) -> None:
    choice = MethodChoice(structure)
    key = choice.key_of(3)
    choice.method = "gnnexplainer"
    assert choice.key_of(3) != key
    choice.configure(epochs=-1)
    assert "epochs" in choice.settings_problem
    choice.become(key)
    assert (choice.key_of(3), choice.settings_problem) == (key, "")


def test_explanations_follow_selection_and_method(explaining: Explaining) -> None:
    steps = Steps(explaining)
    explaining.pick(7)
    first = explaining.explanation
    assert first is not None
    explaining.pick(5)
    steps.undo()
    assert explaining.explanation is first
    explaining.pick(10**6)
    assert "does not exist" in explaining.structure.error


def test_colours_need_no_page(explaining: Explaining) -> None:
    colours = Colours(explaining, Editing(explaining.selected, explaining.structure))
    colours.colour_by = "hops"
    assert colours.missing_colouring
    explaining.pick(7)
    assert colours.colouring().categories[0] == "explained atom"


def test_a_session_offers_what_its_models_have(glass: Glass, tiny_predictor: Predictor) -> None:
    session = Session(glass, tiny_predictor)
    session.k = 20
    session.select(4)
    assert (session.threshold.k, session.selected.selected_atom, session.error) == (20, 4, "")
    assert session.owner("progress") is session.explaining.job
    for name in ("no_such_name", "observe", "_scores"):
        with pytest.raises(AttributeError, match=name):
            getattr(session, name)
    with pytest.raises(AttributeError, match="kk"):
        session.kk = 3


def test_no_two_models_have_a_trait_of_one_name(glass: Glass, tiny_predictor: Predictor) -> None:
    session = Session(glass, tiny_predictor)
    names = [name for model in vars(session).values() if model is not None for name in model.trait_names()]
    assert len(names) == len(set(names))


def test_a_graph_is_built_for_explanations_alone(
    glass: Glass, tiny_predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_given: object, **_named: object) -> None:
        raise AssertionError("a graph of the whole glass was built, which nobody had asked for")

    monkeypatch.setattr("symgnn_widgets.state.structure.prepare", build)
    explorer = GlassExplorer(glass, tiny_predictor)
    explorer.select(4)
    for method in METHODS:
        explorer.session.method = method


def test_what_looks_at_all_atoms_is_refused_of_too_many(
    glass: Glass, tiny_predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symgnn_widgets.state.structure.MOST_ANALYSED", 100)
    monkeypatch.setattr("symgnn_widgets.state.scene.MOST_ANALYSED", 100)
    explorer = GlassExplorer(glass, tiny_predictor)
    explorer.session.method = "saliency"
    explorer.view.stage.receive(None, {"type": "scene_ready"}, None)
    assert explorer.explanation is not None  # the example
    assert (explorer.session.error, explorer.session.scene.cells) == ("", None)
    explorer.tabs.open("Motifs")
    assert "has 216 atoms" in explorer.session.error
    assert "Open a part" in explorer.session.error
