"""The 3D view: clicks select atoms, messages stay small, and a page that connects is sent the whole scene."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import numpy as np
import pytest

from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.views import structure as structure_view
from symgnn_widgets.views.highlight import drawn_radii


@pytest.fixture
def sent(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The code that the view has been told to run since."""
    code: list[str] = []
    monkeypatch.setattr(explorer.view.stage, "send", lambda message: code.append(message["args"][0]))
    return code


def click(explorer: GlassExplorer, atom: int, *, add: bool = False) -> None:
    """Pick as the browser does."""
    message = {"type": "scene_pick", "data": {"atom": atom, "add": add}}
    explorer.view.stage.receive(None, message, [])


def test_a_click_selects_and_explains(explorer: GlassExplorer) -> None:
    click(explorer, 12)
    assert explorer.session.selected_atom == 12
    assert explorer.explanation.atom == 12
    assert explorer.controls.atom.value == 12


def test_the_drawn_spheres_say_which_atoms_they_are(explorer: GlassExplorer) -> None:
    click(explorer, 14)
    drawn: Any = explorer.view.stage._scene["selection"][1]["spheres"]
    atoms = np.frombuffer(base64.b64decode(drawn["atom"]), dtype="<i4")
    np.testing.assert_array_equal(atoms, explorer.view.highlight().atoms)


def test_a_click_with_a_key_held_adds_and_takes_away(explorer: GlassExplorer) -> None:
    click(explorer, 12)
    click(explorer, 14, add=True)
    click(explorer, 3, add=True)
    click(explorer, 14, add=True)
    assert explorer.session.selection == (12, 3)
    assert explorer.explanation.atom == 12
    assert not explorer.session.adding
    click(explorer, 5)
    assert explorer.session.selection == (5,)


def test_the_message_archive_stays_empty_and_messages_stay_small(explorer: GlassExplorer, sent: list[str]) -> None:
    sizes = []
    for atom in range(8):
        sent.clear()
        click(explorer, atom)
        sizes.append(sum(map(len, sent)))
        assert not any("HETATM" in code for code in sent)
    assert explorer.view.stage._ngl_msg_archive == []
    assert max(sizes[-4:]) < 1.3 * max(sizes[:4])
    assert max(sizes) < 60_000


def test_a_page_that_connects_gets_the_present_scene(explorer: GlassExplorer, sent: list[str]) -> None:
    click(explorer, 3)
    latest = sent[-1]
    sent.clear()
    explorer.view.stage.receive(None, {"type": "updateIDs", "data": ["first"]}, [])
    assert "glassScene" in sent[0]
    calls = [code.split("?.")[1].split("(")[0] for code in sent[1:]]
    assert calls == ["colour", "load", "draw", "draw"]
    assert sent[-1] == latest
    again = len(sent)
    explorer.view.stage.receive(None, {"type": "updateIDs", "data": ["first", "second"]}, [])
    assert len(sent) == 2 * again


def test_the_rest_fades_while_an_explanation_is_shown(explorer: GlassExplorer, sent: list[str]) -> None:
    def opacity() -> float:
        return float(json.loads(sent[-1].partition("(")[2].removesuffix(")"))["opacity"])

    explorer.select(3)
    assert opacity() == 1.0
    explorer.explain(wait=True)
    assert opacity() < 0.5
    explorer.view.controls.dim.value = False
    assert opacity() == 1.0


def test_the_view_starts_no_threads(glass: Glass, explorer: GlassExplorer) -> None:
    before = threading.active_count()
    GlassExplorer(glass, explorer.session.predictor)
    assert threading.active_count() == before


def test_a_page_that_has_drawn_or_failed_says_so(explorer: GlassExplorer) -> None:
    explorer.view.stage.receive(None, {"type": "scene_ready"}, [])
    assert explorer.session.shown
    explorer.view.stage.receive(None, {"type": "scene_error", "data": "no WebGL"}, [])
    assert explorer.session.error == "The 3D view could not be drawn (no WebGL)."


def test_colours_follow_the_choice(explorer: GlassExplorer, glass: Glass) -> None:
    view = explorer.view
    assert "known barrier" in view.controls.colour_by.options
    np.testing.assert_array_equal(explorer.session.colouring().values, explorer.session.predictions)
    view.controls.colour_by.value = "known barrier"
    np.testing.assert_array_equal(explorer.session.colouring().values, glass.barriers)
    assert "Known barrier (eV)" in view.legend.value
    view.controls.colour_by.value = "species"
    assert len(np.unique(explorer.session.colouring().rgb(), axis=0)) == len(glass.species)
    explorer.select(2)
    explorer.explain(wait=True)
    view.controls.colour_by.value = "importance"
    reached = np.unique(explorer.explanation.source)
    assert set(np.flatnonzero(explorer.session.colouring().values)) <= set(reached)


def test_without_known_barriers_they_are_not_offered(random_glass: Any, explorer: GlassExplorer) -> None:
    plain = GlassExplorer(random_glass(5, barriers=False), explorer.session.predictor)
    assert "known barrier" not in plain.view.controls.colour_by.options


def test_the_structure_that_is_sent_reads_back(explorer: GlassExplorer, glass: Glass) -> None:
    method, sent = explorer.view.stage._scene["glass"]
    assert method == "load"
    place = np.frombuffer(base64.b64decode(sent["positions"]), "<f4").reshape(-1, 3)
    np.testing.assert_allclose(place, wrapped_positions(glass), rtol=1e-6, atol=1e-6)
    species = np.frombuffer(base64.b64decode(sent["species"]), "u1")
    assert [sent["symbols"][kind] for kind in species] == glass.symbols
    np.testing.assert_allclose(np.array(sent["radii"])[species], drawn_radii(glass))
    assert sent["numbers"] is None


def test_of_a_large_structure_a_part_is_drawn(
    explorer: GlassExplorer, glass: Glass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure_view, "MOST_DRAWN", 100)
    monkeypatch.setattr(structure_view, "DRAWN_OF_LARGE", 60)
    monkeypatch.setattr(structure_view, "SEEN_AROUND", 3.5)
    large = GlassExplorer(glass, explorer.session.predictor)
    view, session, places = large.view, large.session, wrapped_positions(glass)

    def check(centre: Any) -> None:
        scene = view.stage._scene
        numbers = np.frombuffer(base64.b64decode(scene["glass"][1]["numbers"]), "<i4")
        away = np.linalg.norm(places - centre, axis=1)
        assert set(numbers) == set(np.argsort(away)[:60])
        place = np.frombuffer(base64.b64decode(scene["glass"][1]["positions"]), "<f4").reshape(-1, 3)
        np.testing.assert_allclose(place, places[numbers], rtol=1e-6, atol=1e-6)
        rgb = np.frombuffer(base64.b64decode(scene["colours"][1]["colours"]), "u1").reshape(-1, 3)
        np.testing.assert_array_equal(rgb, session.colouring().rgb()[numbers])

    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    check(middle)
    assert "Drawn are 60 of 216 atoms" in view.legend.value
    near = int(np.linalg.norm(places - middle, axis=1).argmin())
    large.select(near)
    check(middle)  # it has its surroundings there
    corner = int(np.linalg.norm(places, axis=1).argmin())
    low = float(np.median(places[:, 0]))
    session.slab_axis, session.slab = "x", (-1.0, low)
    large.select(corner)
    check(places[corner])
    drawn = np.frombuffer(base64.b64decode(view.stage._scene["filter"][1]["drawn"]), "u1")
    numbers = np.frombuffer(base64.b64decode(view.stage._scene["glass"][1]["numbers"]), "<i4")
    np.testing.assert_array_equal(drawn > 0, places[numbers, 0] <= low)
    assert "Drawn are" not in explorer.view.legend.value
