"""A session keeps frames, edits and the undo list: saved, opened and saved again it is the same file."""

from __future__ import annotations

import asyncio
import html
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.nn import SAGEConv

from symgnn_explain.errors import InputError
from symgnn_explain.export import session_parts
from symgnn_explain.export.session_file import SavedSession, read_session, write_session
from symgnn_explain.export.session_parts import SavedEdit, fingerprint
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import BARRIER
from symgnn_explain.saddles import AseCalculator
from symgnn_explain.saddles.potentials import POTENTIAL_VARIABLE
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state.saved import restore, session_of
from symgnn_widgets.state.saved import save_session as save
from symgnn_widgets.state.session import Session
from tests.own_network import OwnAdapter

N_FRAMES = 4
EDITS = ("move 3 by 0.1 0 -0.30000000000000004", "remove 5, 9", "strain xy 0.7%", "turn 0 into Zr", "turn 0 into Cu")


@pytest.fixture(scope="module")
def small(random_glass: Callable[..., Glass]) -> Glass:
    return random_glass(4)


@pytest.fixture(scope="module")
def file(small: Glass, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trajectory in which each atom moves by a hundredth of an ångström a frame."""
    frames = [replace(small, positions=small.positions + 0.01 * step) for step in range(N_FRAMES)]
    return write_extended_xyz(frames, tmp_path_factory.mktemp("md") / "md.extxyz")


def opened(path: Path, predictor: Predictor, **given: Any) -> Session:
    saved = read_session(path)
    session, problems = session_of(saved, predictor, path.parent, **given)
    restore(session, saved, problems)
    return session


def acted(session: Session, actions: list[tuple[str, Any]]) -> None:
    for action, what in actions:
        if action == "edit":
            session.editing.edit(what)
        elif action == "undo edit":
            session.editing.undo()
        elif action == "select":
            session.select_many(what)
        elif action == "explain":
            session.pick(what)
        elif action == "undo":
            session.steps.undo()
        elif session.frames is not None:
            session.frames.go_to(what)


def test_a_trajectory_is_hashed_away_from_the_page(
    file: Path, tiny_predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing, may_end, heard = threading.Event(), threading.Event(), set[str]()

    def slowly(path: Path) -> tuple[int, str]:
        heard.add(threading.current_thread().name)
        hashing.set()
        assert may_end.wait(20)
        return fingerprint(path)

    monkeypatch.setattr(session_parts, "fingerprint", slowly)

    async def main() -> None:
        files = GlassExplorer(Trajectory(file), tiny_predictor).files
        files.folder.value = str(tmp_path)
        session = files.session()
        files.save.click()
        assert await asyncio.to_thread(hashing.wait, 20)
        assert (files.save.disabled, "is hashed" in files.said.value) == (True, True)
        session.editing.edit("remove 3", wait=True)  # what comes later is not in the file
        may_end.set()
        async with asyncio.timeout(20):
            while files.save.disabled:
                await asyncio.sleep(0.01)
        assert "Saved" in files.said.value
        session.cancel()

    asyncio.run(main())
    assert heard == {"symgnn-job"}
    [kept] = tmp_path.glob("*.symgnn")
    monkeypatch.undo()
    again = opened(kept, tiny_predictor)
    assert (again.error, again.editing.words, again.frames is None) == ("", (), False)


atoms = st.integers(0, 50)
action = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(EDITS)),
    st.tuples(st.just("select"), st.lists(atoms, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("explain"), atoms),
    st.tuples(st.just("frame"), st.integers(0, N_FRAMES - 1)),
    st.tuples(st.sampled_from(["undo", "undo edit"]), st.none()),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(action, max_size=8), home=st.integers(0, N_FRAMES - 1))
def test_saved_opened_and_saved_again_is_the_same_file(
    file: Path, tiny_predictor: Predictor, tmp_path_factory: pytest.TempPathFactory, actions: Any, home: int
) -> None:
    session = Session.of_frame(Trajectory(file), home, tiny_predictor)
    session.method = "saliency"
    acted(session, actions)
    folder = tmp_path_factory.mktemp("s")
    first = save(session, folder / "a.symgnn")
    again = opened(first, tiny_predictor)
    assert again.error == ""
    assert save(again, folder / "b.symgnn").read_bytes() == first.read_bytes()
    # And it goes on from there as the first one does.
    for each in (session, again):
        each.editing.undo()
        each.steps.undo()
    assert again.editing.words == session.editing.words
    assert (again.selection, again.selected_atom) == (session.selection, session.selected_atom)
    for one, other in zip(again.editing.saved, session.editing.saved, strict=True):
        assert one.words == other.words
    if session.editing.step is not None:
        assert again.editing.step.glass.content_hash == session.editing.step.glass.content_hash
        np.testing.assert_allclose(again.editing.change, session.editing.change, atol=1e-6)


@pytest.fixture
def lived_in(file: Path, tiny_predictor: Predictor) -> Session:
    session = Session.of_frame(Trajectory(file), 2, tiny_predictor)
    session.method = "saliency"
    acted(session, [("explain", 7), ("edit", EDITS[0]), ("edit", EDITS[1]), ("frame", 1), ("select", [3, 4])])
    return session


def test_an_explorer_shows_it_all_again(lived_in: Session, tiny_predictor: Predictor, tmp_path: Path) -> None:
    path = save(lived_in, tmp_path / "a.symgnn")
    explorer = GlassExplorer.open(path, predictor=tiny_predictor)
    session = explorer.session
    assert session.error == ""
    assert session.frames is not None
    assert (session.frames.home, session.frames.number, len(session.frames)) == (2, 1, N_FRAMES)
    assert explorer.frames is not None
    assert explorer.frames.slider.value == 1
    assert "explanations are of frame 2" in explorer.frames.note.value
    assert EDITS[1].replace(", ", ",") in explorer.what_if.steps.value
    assert not explorer.what_if.undo.disabled
    assert session.colour_by == lived_in.colour_by
    explorer.selection.undo.click()
    assert (session.selected_atom, explorer.explanation.atom) == (7, 7)
    explorer.what_if.undo.click()
    assert session.editing.words == lived_in.editing.words[:1]
    assert [key[0] for key in session.history] == [7]


@pytest.mark.parametrize("name", ["md.lammpstrj", "XDATCAR", "md.traj", "md.extxyz.gz"])
def test_frames_of_any_format_come_back(name: str, small: Glass, tiny_predictor: Predictor, tmp_path: Path) -> None:
    from ase.io import write

    from tests.structure.test_trajectory import as_dump

    frames = [replace(small, positions=small.positions + 0.01 * step) for step in range(3)]
    path, species = tmp_path / "data" / name, None
    path.parent.mkdir()
    if name == "md.lammpstrj":
        path.write_text(as_dump(frames))
        species = {1: "Cu", 2: "Zr"}
    elif name == "md.extxyz.gz":
        write_extended_xyz(frames, path)
    else:
        write(path, [frame.to_ase() for frame in frames], format={"XDATCAR": "vasp-xdatcar"}.get(name))
    session = Session.of_frame(Trajectory(path, species=species), 0, tiny_predictor)
    kept = save(session, tmp_path / "out" / "a.symgnn")
    again = opened(kept, tiny_predictor)
    assert again.error == ""
    assert len(again.frames) == 3
    # The folder is moved as a whole, and then the trajectory lies beside the session.
    shutil.move(tmp_path / "data", tmp_path / "other")
    assert "is gone" in opened(kept, tiny_predictor).error
    assert opened(kept, tiny_predictor, trajectory=tmp_path / "other" / name).error == ""
    shutil.copy(tmp_path / "other" / name, kept.parent / name)
    assert opened(kept, tiny_predictor).error == ""


def flipped(path: Path) -> None:
    blob = bytearray(path.read_bytes())
    place = blob.rindex(b"1")
    blob[place : place + 1] = b"2"
    path.write_bytes(blob)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "is gone"),
        (flipped, "has changed"),
        (lambda path: path.write_bytes(path.read_bytes() * 2), "has changed"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "has changed"),
        (lambda path: path.write_bytes(b""), "has changed"),
        (lambda path: (path.unlink(), path.mkdir()), "is gone"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is gone"),
    ],
    ids=["gone", "one digit", "longer", "cut", "empty", "folder", "pipe"],
)
def test_a_trajectory_that_is_not_what_it_was_is_one_sentence(
    file: Path, tiny_predictor: Predictor, tmp_path: Path, change: Callable[[Path], Any], said: str
) -> None:
    path = Path(shutil.copy(file, tmp_path))
    session = Session.of_frame(Trajectory(path), 1, tiny_predictor)
    session.pick(5)
    kept = save(session, tmp_path / "a.symgnn")
    change(path)
    again = opened(kept, tiny_predictor)
    assert again.frames is None
    assert said in again.error
    assert "md.extxyz" in again.error
    assert again.error.count(". ") == 0
    assert again.explanation.atom == 5  # all else is there


def test_a_trajectory_that_was_gone_when_the_session_was_saved_is_said(
    file: Path, tiny_predictor: Predictor, tmp_path: Path
) -> None:
    path = Path(shutil.copy(file, tmp_path))
    session = Session.of_frame(Trajectory(path), 1, tiny_predictor)
    path.unlink()
    kept = save(session, tmp_path / "a.symgnn")
    shutil.copy(file, tmp_path)
    assert "was gone when the session was saved" in opened(kept, tiny_predictor).error


class Springs:
    """A potential of which only the name matters here."""

    def __init__(self, name: str) -> None:
        self.identity = {"name": name}


def test_frames_that_were_relaxed_need_the_same_potential(
    file: Path, tiny_predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.of_frame(Trajectory(file), 1, tiny_predictor)
    session.frames.calculator = Springs("a")
    kept = save(session, tmp_path / "a.symgnn")
    monkeypatch.setenv(POTENTIAL_VARIABLE, str(tmp_path / "gone.eam.fs"))
    assert "gone.eam.fs" in opened(kept, tiny_predictor).error
    assert "relaxed with another potential" in opened(kept, tiny_predictor, calculator=Springs("b")).error
    again = opened(kept, tiny_predictor, calculator=Springs("a"))
    assert again.error == ""
    assert again.frames.calculator is not None
    session.frames.calculator = AseCalculator(Calculator())  # of nobody knows which potential
    kept = save(session, tmp_path / "b.symgnn")
    assert "nothing identifies" in opened(kept, tiny_predictor, calculator=session.frames.calculator).error


def test_no_folder_of_the_author_is_stored(
    lived_in: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    path = save(lived_in, tmp_path / "a.symgnn")
    saved = read_session(path)
    assert saved.trajectory is not None
    assert not Path(saved.trajectory.path).is_absolute()
    assert (path.parent / saved.trajectory.path).resolve() == file.resolve()
    monkeypatch.setattr(Path, "home", lambda: file.parent.parent)
    assert read_session(save(lived_in, Path("/tmp") / tmp_path.name / "b.symgnn")).trajectory.path == "md.extxyz"  # noqa: S108
    shutil.rmtree(Path("/tmp") / tmp_path.name)  # noqa: S108


def in_header(path: Path, member: str, change: Callable[[Any], Any]) -> Path:
    """Edit a file by hand."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = json.dumps(change(json.loads(members[member]))).encode()
    by_hand = path.with_name("by_hand.symgnn")
    with zipfile.ZipFile(by_hand, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return by_hand


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0.5,
    10**30,
    "",
    "<b>",
    "../..",
    "/etc/passwd",
    "C:\\x",
    "//host/x",
    [],
    {},
    [1],
)


def test_every_odd_value_of_a_trajectory_is_one_sentence(
    lived_in: Session, tiny_predictor: Predictor, tmp_path: Path
) -> None:
    path = save(lived_in, tmp_path / "a.symgnn")
    names = [*vars(read_session(path).trajectory)]
    refused = 0
    for name in names:
        for odd in ODD:

            def change(header: dict[str, Any], name: str = name, odd: Any = odd) -> dict[str, Any]:
                return header | {"trajectory": header["trajectory"] | {name: odd}}

            try:
                again = opened(in_header(path, "session.json", change), tiny_predictor)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)  # noqa: PT017 - it may also be left out
                continue
            same = read_session(path).trajectory
            harmless = odd == {} or odd == getattr(same, name) or name == "format"
            assert harmless or again.error, f"{name} = {odd!r} was used, and nothing says so"
    assert refused > len(names) * 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda edits: [{**edits[0], "words": "swop 1,2"}], "did you mean 'swap'"),
        (lambda edits: [{**edits[0], "words": "remove selected"}], "edits of the session cannot be made again"),
        (lambda edits: [{**edits[0], "words": 3}], "its words is 3"),
        (lambda edits: [edits[0]] * 2000, "too many"),
        (lambda edits: [{**edits[0], "largest_force": "0.1"}], "no member"),
        (lambda _edits: {"words": ""}, "no list"),
        (lambda _edits: [{"words": "x"}], "has no largest_force"),
        (lambda edits: [edits[0], {**edits[0], "words": "remove 100000"}], "edits of the session cannot be made again"),
    ],
)
def test_edits_that_are_none_are_one_sentence(
    lived_in: Session, tiny_predictor: Predictor, tmp_path: Path, change: Callable[[Any], Any], said: str
) -> None:
    path = in_header(save(lived_in, tmp_path / "a.symgnn"), "edits.json", change)
    explorer = GlassExplorer(lived_in.glass, tiny_predictor)
    before = explorer.session
    explorer.files.path.value = str(path)
    explorer.files.start(wait=True)
    assert said in html.unescape(str(explorer.files.said.value))
    assert "symgnn-error" in explorer.files.said.value
    assert explorer.session is before


def test_relaxed_steps_come_back_and_their_places_are_of_the_atoms(
    small: Glass, tiny_predictor: Predictor, tmp_path: Path
) -> None:
    session = Session(small, tiny_predictor)
    places = small.positions + 0.05
    session.editing.resume([SavedEdit("remove 3"), SavedEdit("relax", places[1:], "0.0009 eV/Å")])
    path = save(session, tmp_path / "a.symgnn")
    again = opened(path, tiny_predictor)
    assert again.editing.words == ("remove 3", "relax")
    np.testing.assert_array_equal(again.editing.step.glass.positions, places[1:])
    assert dict(again.editing.step.glass.provenance) == dict(session.editing.step.glass.provenance)
    saved = read_session(path)
    for wrong in (places, places[:5]):
        other = replace(saved, edits=(saved.edits[0], replace(saved.edits[1], positions=wrong)))
        with pytest.raises(InputError, match="edits of the session cannot be made again"):
            opened(write_session(other, tmp_path / f"{len(wrong)}.symgnn"), tiny_predictor)


@pytest.mark.parametrize(
    "change",
    [
        {"atom": [10**6]},
        {"atom": [3]},
        {"explanation": [5]},
        {"explanation": [0]},
        {"first": [0, 7]},
        {"selected": [-1]},
        {"first": [1]},
    ],
)
def test_an_undo_list_that_does_not_hold_together_is_refused(
    lived_in: Session, tmp_path: Path, change: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = session_parts.steps_arrays
    monkeypatch.setattr(
        "symgnn_explain.export.session_file.steps_arrays",
        lambda steps: real(steps) | {f"steps/{name}": np.array(value) for name, value in change.items()},
    )
    path = save(lived_in, tmp_path / "a.symgnn")
    with pytest.raises(InputError, match="undo list does not hold together"):
        read_session(path)


def test_files_of_version_1_are_read(lived_in: Session, tiny_predictor: Predictor, tmp_path: Path) -> None:
    def older(header: dict[str, Any]) -> dict[str, Any]:
        new = {"trajectory", "has_steps", "step"}
        return {name: value for name, value in header.items() if name not in new} | {"session_version": 1}

    path = in_header(save(lived_in, tmp_path / "a.symgnn"), "session.json", older)
    saved: SavedSession = read_session(path)
    assert (saved.trajectory, saved.edits, saved.steps) == (None, (), ())
    again = opened(path, tiny_predictor)
    assert (again.error, again.frames, again.editing.words) == ("", None, ())
    assert [key[0] for key in again.history] == [7]


def test_a_session_of_ones_own_network_needs_the_same_settings(small: Glass, tmp_path: Path) -> None:
    network = SAGEConv(1, 1)
    given, other = OwnAdapter(network), OwnAdapter(network)
    other.cutoff = 4.5
    first, second = (Predictor(adapter, target=BARRIER) for adapter in (given, other))
    path = GlassExplorer(small, first).save(tmp_path / "own.symgnn")
    assert GlassExplorer.open(path, predictor=first).session.predictor is first
    with pytest.raises(InputError, match="other settings of it, than the SAGEConv at hand"):
        GlassExplorer.open(path, predictor=second)
