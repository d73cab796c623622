"""The 3D view: clicks select atoms, messages stay small, and a page that connects is sent the whole scene."""

from __future__ import annotations

import base64
import io
import json
import threading
from typing import Any

import numpy as np
import pytest
from ase.io import read

from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.views.highlight import drawn_radii
from symgnn_widgets.views.structure import pdb_text


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


def test_the_structure_text_reads_back(glass: Glass) -> None:
    positions = wrapped_positions(glass)
    atoms = read(io.StringIO(pdb_text(glass, positions)), format="proteindatabank")
    np.testing.assert_allclose(atoms.positions, positions, atol=6e-4)
    assert atoms.get_chemical_symbols() == glass.symbols
    np.testing.assert_allclose(atoms.arrays["bfactor"], drawn_radii(glass), atol=6e-3)
