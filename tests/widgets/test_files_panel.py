"""A session is saved and reopened in the same state; other glasses are opened, or refused in a sentence."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import write

from symgnn_explain.errors import InputError
from symgnn_explain.export.session_file import PredictorIdentity, SavedSession, read_session, write_session
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state.saved import _CHOSEN as CHOSEN
from tests.barriers.conftest import crystal, write_tables

EPOCHS = 4


def live(glass: Glass, tiny_weights: Path) -> GlassExplorer:
    """Do some things in a new explorer."""
    explorer = GlassExplorer(glass.with_arrays(charge=np.arange(216.0)), Predictor.load(tiny_weights))
    session = explorer.session
    session.method = "gnnexplainer"
    session.settings = {**session.settings, "epochs": EPOCHS}
    for atom in (3, 7):
        explorer.select(atom)
        explorer.explain(wait=True)
    session.method, session.unit = "input_gradient", "atom"
    explorer.explain(wait=True)
    session.select_many([9, 11], add=True)
    session.threshold_by, session.share = "share", 0.4
    session.colour_by = "charge"
    session.shown_range = (10.0, 150.0)
    session.slab_axis, session.slab = "y", (2.0, 9.0)
    session.explain_on_click = session.cell_shown = False
    return explorer


@pytest.fixture
def lived_in(glass: Glass, tiny_weights: Path) -> GlassExplorer:
    """An explorer in which some things have been done."""
    return live(glass, tiny_weights)


@pytest.fixture(scope="module")
def kept(random_glass: Any, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> SavedSession:
    """What such an explorer saves."""
    return read_session(live(random_glass(6), tiny_weights).save(tmp_path_factory.mktemp("kept") / "a.symgnn"))


def state_of(explorer: GlassExplorer) -> dict[str, Any]:
    session = explorer.session
    return {name: getattr(session, name) for name in (*CHOSEN, "selection", "selected_atom", "history")} | {
        "glass": session.glass.content_hash,
        "shown": None if session.explanation is None else session.explanation.to_dict(),
        "history": {str(key): explanation.to_dict() for key, explanation in session.history.items()},
        "weights": PredictorIdentity.of(session.predictor),
    }


def test_a_session_is_reopened_in_the_same_state(lived_in: GlassExplorer, tiny_weights: Path, tmp_path: Path) -> None:
    path = lived_in.save(tmp_path / "a.symgnn")
    opened = GlassExplorer.open(path, weights=tiny_weights)
    assert json.dumps(state_of(opened), default=str) == json.dumps(state_of(lived_in), default=str)
    # What the panels show is made of it.
    assert opened.neighbourhood.figure.ui.figure == lived_in.neighbourhood.figure.ui.figure
    assert opened.view.legend.value == lived_in.view.legend.value
    # A known atom is shown at once.
    [first, *_] = lived_in.session.history
    opened.session.recall(first)
    assert opened.explanation is opened.session.history[first]
    assert opened.session.status != "running"
    with pytest.raises(InputError, match="exists already"):
        lived_in.save(path)


def test_an_untouched_session_is_reopened(explorer: GlassExplorer, tiny_weights: Path, tmp_path: Path) -> None:
    path = explorer.save(tmp_path / "a.symgnn")
    opened = GlassExplorer.open(path, weights=tiny_weights)
    assert (opened.session.selected_atom, opened.explanation, opened.session.history) == (None, None, {})
    with pytest.raises(InputError, match="another network"):
        GlassExplorer.open(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "exec"}, "'exec' is unknown"),
        ({"settings": {"steps": ["many"]}}, "its settings 'steps' is a list"),
        ({"selected_atom": 10**9}, "not among the selected ones"),
        ({"selection": [-1]}, "that do not exist"),
        ({"selection": 3}, "state of the session cannot be used"),
        ({"shown_explanation": 99}, "state of the session cannot be used"),
        ({"slab": ["a", "b"]}, "state of the session cannot be used"),
        ({"k": -5}, "state of the session cannot be used"),
    ],
)
def test_a_state_that_is_none_is_one_sentence(
    kept: SavedSession, tiny_weights: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write_session(replace(kept, state={**kept.state, **change}), tmp_path / "b.symgnn")
    with pytest.raises(InputError, match=said) as caught:
        GlassExplorer.open(path, weights=tiny_weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour_by": "<b>"}, "The glass has nothing called '<b>' to colour by."),
        ({"settings": {"steps": "many", "nonsense": 1}}, "has no setting nonsense"),
    ],
)
def test_what_this_version_does_not_know_is_left_out_and_said(
    kept: SavedSession, tiny_weights: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write_session(replace(kept, state={**kept.state, **change}), tmp_path / "b.symgnn")
    opened = GlassExplorer.open(path, weights=tiny_weights)
    assert said in opened.session.error
    assert len(opened.session.history) == len(kept.explanations)


def opened(explorer: GlassExplorer, path: Path) -> str:
    """Open a file through the panel; what it says."""
    explorer.files.path.value = str(path)
    explorer.files.open.click()
    return explorer.files.said.value


def test_the_panel_opens_another_glass_in_place_of_the_present_one(
    lived_in: GlassExplorer, tmp_path: Path, random_glass: Any
) -> None:
    other = random_glass(5, seed=3)
    write(tmp_path / "other.extxyz", other.to_ase())
    past = lived_in.session
    said = opened(lived_in, tmp_path / "other.extxyz")
    assert "Opened other: 125 atoms" in said
    assert lived_in.session is not past
    assert len(lived_in.session.glass) == 125
    assert (lived_in.session.history, lived_in.explanation, lived_in.session.selected_atom) == ({}, None, None)
    assert lived_in.session.predictor is past.predictor
    assert lived_in.tabs.every["Open and save"] is lived_in.files
    lived_in.session.method = "gnnexplainer"
    lived_in.session.settings = {**lived_in.session.settings, "epochs": EPOCHS}
    lived_in.select(100)
    explanation = lived_in.explain(wait=True)
    assert explanation is not None
    assert explanation.glass_sha256 == lived_in.session.glass.content_hash


def test_the_panel_saves_and_opens_sessions(lived_in: GlassExplorer, tmp_path: Path) -> None:
    files = lived_in.files
    files.folder.value = str(tmp_path / "kept")
    before = state_of(lived_in)
    files.save.click()
    files.save.click()
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert len(names) == 2
    assert all(name.startswith("random_session_20") and name.endswith(".symgnn") for name in names)
    assert "download" in files.said.value
    lived_in.session.method, lived_in.session.colour_by = "saliency", "species"
    lived_in.select(100)
    said = opened(lived_in, tmp_path / "kept" / names[0])
    assert "Opened random: 216 atoms" in said
    assert json.dumps(state_of(lived_in), default=str) == json.dumps(before, default=str)


def lammps_dump(path: Path, glass: Glass) -> Path:
    edge = glass.cell[0, 0]
    rows = [
        f"{index + 1} {1 if number == 29 else 2} {x} {y} {z}"
        for index, (number, (x, y, z)) in enumerate(zip(glass.numbers, glass.positions, strict=True))
    ]
    bounds = [f"0.0 {edge}"] * 3
    head = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", str(len(glass)), "ITEM: BOX BOUNDS pp pp pp", *bounds]
    path.write_text("\n".join([*head, "ITEM: ATOMS id type x y z", *rows, ""]))
    return path


def test_lammps_types_are_asked_for(explorer: GlassExplorer, glass: Glass, tmp_path: Path) -> None:
    files = explorer.files
    said = opened(explorer, lammps_dump(tmp_path / "quench.lammpstrj", glass))
    assert "say what the types 1, 2 are" in said
    assert files.species.layout.display == "flex"
    assert {kind: box.value for kind, box in files.types.items()} == {1: "Cu", 2: "Zr"}
    files.types[2].value = "Xx"
    files.open.click()
    assert "expected a chemical symbol" in files.said.value
    files.types[2].value = "Zr"
    files.open.click()
    assert "Opened quench: 216 atoms" in files.said.value
    np.testing.assert_array_equal(explorer.session.glass.numbers, glass.numbers)
    assert files.species.layout.display == "none"


def test_an_uploaded_file_is_opened(explorer: GlassExplorer, glass: Glass, tmp_path: Path) -> None:
    write(tmp_path / "mine.extxyz", glass.to_ase())
    content = (tmp_path / "mine.extxyz").read_bytes()
    upload = {"name": "../../mine.extxyz", "content": memoryview(content), "size": len(content), "type": ""}
    explorer.files.upload.value = ({**upload, "last_modified": datetime.now(UTC)},)
    assert "Opened mine: 216 atoms" in explorer.files.said.value
    broken = {**upload, "name": "broken.extxyz", "content": memoryview(content[:5000])}
    explorer.files.upload.value = ({**broken, "last_modified": datetime.now(UTC)},)
    assert "broken.extxyz: the file cannot be read" in explorer.files.said.value
    assert "symgnn-explain-" not in explorer.files.said.value
    assert explorer.session.glass.name == "mine"


def test_an_uploaded_trajectory_has_a_slider_as_long_as_it_is_shown(
    explorer: GlassExplorer, glass: Glass, tmp_path: Path
) -> None:
    frames = [replace(glass, positions=glass.positions + 0.01 * step) for step in range(3)]
    content = write_extended_xyz(frames, tmp_path / "md.extxyz").read_bytes()
    upload = {"name": "md.extxyz", "content": memoryview(content), "size": len(content), "type": ""}
    explorer.files.frame.value = 1
    explorer.files.upload.value = ({**upload, "last_modified": datetime.now(UTC)},)
    assert "frame 1 of 0–2; the others: Compare, Frames" in explorer.files.said.value
    explorer.tabs.open("Frames")
    shown = explorer.session.frames
    assert shown is not None
    assert [each.number for each in shown.known] == [0, 1, 2]
    folder = shown.trajectory.path.parent
    assert folder.is_dir()
    explorer.files.upload.value = ({**upload, "name": "other.extxyz", "last_modified": datetime.now(UTC)},)
    del shown
    gc.collect()
    assert not folder.exists()
    explorer.files.frame.value = 7
    explorer.files.upload.value = ({**upload, "last_modified": datetime.now(UTC)},)
    assert "md.extxyz: frame 7 does not exist" in explorer.files.said.value


def test_mistakes_are_sentences_and_leave_the_session(explorer: GlassExplorer, glass: Glass, tmp_path: Path) -> None:
    session = explorer.session
    gold = replace(glass, numbers=np.where(glass.numbers == 40, 79, glass.numbers))
    write(tmp_path / "gold.extxyz", gold.to_ase())
    (tmp_path / "empty.extxyz").touch()
    (tmp_path / "cut.symgnn").write_bytes(explorer.save(tmp_path / "s.symgnn").read_bytes()[:2000])
    write_session(SavedSession(glass, PredictorIdentity("1" * 64)), tmp_path / "other.symgnn")
    for name, expected in (
        ("", "Name a file, upload one, or choose a network"),
        ("missing.xyz", "is not a file"),
        ("empty.extxyz", "is empty"),
        ("gold.extxyz", "Au"),
        ("cut.symgnn", "not a whole session file"),
        ("other.symgnn", "another network"),
    ):
        said = opened(explorer, tmp_path / name if name else Path())
        if name == "":
            explorer.files.path.value = ""
            explorer.files.open.click()
            said = explorer.files.said.value
        assert expected in said, name
        assert 'class="symgnn-error"' in said
        assert "Traceback" not in said
        assert explorer.session is session
        assert not explorer.files.open.disabled


def test_a_bad_session_folder_is_a_sentence(explorer: GlassExplorer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    explorer.files.folder.value = str(tmp_path / "file" / "in")
    explorer.files.keep()
    said = explorer.files.said.value
    assert not explorer.files.save.disabled
    assert "nothing can be written into" in said
    assert "Traceback" not in said


def test_a_format_can_be_named(explorer: GlassExplorer, glass: Glass, tmp_path: Path) -> None:
    write(tmp_path / "mine.extxyz", glass.to_ase())
    path = (tmp_path / "mine.extxyz").rename(tmp_path / "mine.cif")
    explorer.files.path.value = str(path)
    explorer.files.start(wait=True)
    assert "symgnn-error" in explorer.files.said.value
    explorer.files.format.value = "extxyz"
    explorer.files.start(wait=True)
    assert "Opened mine: 216 atoms" in explorer.files.said.value
    assert explorer.files.format.value == ""


def test_a_glass_outside_of_what_training_covered_can_be_relaxed(
    glass: Glass, tiny_weights: Path, tmp_path: Path
) -> None:
    assert GlassExplorer(glass, Predictor.load(tiny_weights)).files.relaxation.layout.display == "none"
    snapshot = crystal(zr=0.3, rattle=0.1)
    explorer = GlassExplorer(snapshot, Predictor.load(device="cpu"))
    panel = explorer.files
    assert panel.relaxation.layout.display == "flex"
    panel.potential.value = str(tmp_path / "missing.eam.fs")
    panel.start_relaxation(wait=True)
    assert "missing.eam.fs" in panel.said.value
    assert explorer.session.structure.glass is snapshot
    panel.potential.value = str(write_tables(tmp_path / "CuZr.eam.fs", ("Cu", "Zr"), "eam.fs"))
    panel.start_relaxation(wait=True)
    relaxed = explorer.session.structure.glass
    assert relaxed.provenance["relaxed_from"] == snapshot.content_hash
    assert not panel.relax.disabled
    # Of a trajectory every frame is relaxed, when it is wanted.
    moved = replace(snapshot, positions=snapshot.positions + 0.01)
    panel.path.value = str(write_extended_xyz([snapshot, moved], tmp_path / "md.extxyz"))
    panel.start(wait=True)
    panel.start_relaxation(wait=True)
    frames = explorer.session.frames
    assert frames is not None
    frames.go_to(0)
    np.testing.assert_allclose(frames.present.glass.positions, relaxed.positions, atol=1e-6)
    explorer.close()


def test_the_present_glass_is_shown_by_another_network(lived_in: GlassExplorer) -> None:
    before = lived_in.session
    lived_in.files.weights.value = "symgnn"
    lived_in.files.start(wait=True)
    session, shipped = lived_in.session, Predictor.load("symgnn", device="cpu")
    assert "symgnn-error" not in lived_in.files.said.value
    assert (session is before, session.glass.content_hash) == (False, before.glass.content_hash)
    assert session.predictor.identity == shipped.identity
    np.testing.assert_allclose(session.predictions, shipped.predict(session.glass), atol=1e-5)
    assert (session.selection, session.selected_atom) == (before.selection, before.selected_atom)


def test_the_selected_atom_is_explained_by_the_other_network(glass: Glass, tiny_weights: Path) -> None:
    explorer = GlassExplorer(glass, Predictor.load(tiny_weights))
    explorer.select(7)
    explorer.explain(wait=True)
    explorer.files.weights.value = "symgnn"
    explorer.files.start(wait=True)
    explained = explorer.session.explanation
    assert explained is not None
    assert (explained.atom, explained.prediction) == (7, pytest.approx(explorer.session.predictions[7], abs=1e-4))


def test_a_network_that_is_none_leaves_everything_as_it_is(lived_in: GlassExplorer) -> None:
    before = lived_in.session
    lived_in.files.weights.value = "nowhere.safetensors"
    lived_in.files.start(wait=True)
    assert "symgnn-error" in lived_in.files.said.value
    assert "nowhere.safetensors" in lived_in.files.said.value
    assert lived_in.session is before
    assert not lived_in.files.open.disabled


def test_frames_stay_when_the_network_changes(random_glass: Any, tiny_weights: Path, tmp_path: Path) -> None:
    frames = [random_glass(4), random_glass(4, seed=1)]
    write(tmp_path / "md.extxyz", [frame.to_ase() for frame in frames])
    explorer = GlassExplorer(frames[0], Predictor.load(tiny_weights))
    explorer.files.path.value = str(tmp_path / "md.extxyz")
    explorer.files.start(wait=True)
    explorer.files.path.value, explorer.files.weights.value = "", "symgnn"
    explorer.files.start(wait=True)
    assert explorer.session.frames is not None
    assert len(explorer.session.frames) == 2
    assert explorer.session.predictor.identity == Predictor.load("symgnn", device="cpu").identity
