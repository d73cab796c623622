"""The frames of a trajectory in the explorer: a slider, predictions ahead, and values against time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.explain import path_contributions
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting.arrows import LONGEST_ARROW
from symgnn_explain.plotting.frames import frames_figure
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets import GlassExplorer
from symgnn_widgets.panels.two_frames import TwoFrames
from symgnn_widgets.state import frames as frames_module
from symgnn_widgets.state.colours import difference_colouring
from symgnn_widgets.state.frames import Frames

N_FRAMES = 6


@pytest.fixture
def steps(glass: Glass) -> list[Glass]:
    """A glass that moves by a tenth of an ångström a frame, in one direction for each half of the atoms."""
    push = np.where(np.arange(len(glass)) % 2, 0.1, -0.1)[:, None] * [1.0, 0, 0]
    return [replace(glass, positions=glass.positions + step * push) for step in range(N_FRAMES)]


@pytest.fixture
def trajectory(steps: list[Glass], tmp_path: Path) -> Trajectory:
    return Trajectory(write_extended_xyz(steps, tmp_path / "md.extxyz"))


@pytest.fixture
def explorer(trajectory: Trajectory, tiny_predictor: Predictor) -> GlassExplorer:
    return GlassExplorer(trajectory, tiny_predictor)


def frames_of(explorer: GlassExplorer) -> Frames:
    assert explorer.session.frames is not None
    return explorer.session.frames


def drawn(explorer: GlassExplorer) -> dict[str, str]:
    """What the 3D view was last told of places and colours."""
    return next(arguments for method, arguments in reversed(explorer.view.stage.calls()) if method == "move")


def test_the_last_frame_comes_first_and_others_are_predicted_once_somebody_looks(
    explorer: GlassExplorer, steps: list[Glass], tiny_predictor: Predictor
) -> None:
    frames = frames_of(explorer)
    assert frames.number == frames.home == N_FRAMES - 1
    assert [each.number for each in frames.known] == [N_FRAMES - 1]
    explorer.tabs.open("Frames")
    assert [each.number for each in frames.known] == list(range(N_FRAMES))
    for each in frames.known:
        np.testing.assert_allclose(each.values, tiny_predictor.predict(steps[each.number]), atol=1e-6)


def test_the_slider_moves_the_atoms_and_comes_back(explorer: GlassExplorer, steps: list[Glass]) -> None:
    panel, frames = explorer.frames, frames_of(explorer)
    assert panel is not None
    explorer.tabs.open("Frames")
    panel.slider.value = 2
    assert frames.number == panel.play.value == 2
    places = np.frombuffer(base64.b64decode(drawn(explorer)["positions"]), "<f4").reshape(-1, 3)
    there = steps[2]
    apart = (places - there.positions) @ np.linalg.inv(there.cell)
    np.testing.assert_allclose(apart, np.round(apart), atol=1e-4)
    away = drawn(explorer)
    assert "explanations are of frame 5" in panel.note.value
    # The colour bar is that of what is drawn, whatever was chosen for the frame that is explained.
    explorer.session.colour_by = "species"
    assert "Predicted barrier (eV)" in explorer.view.legend.value
    assert "Species" not in explorer.view.legend.value
    assert drawn(explorer)["colours"] == away["colours"]
    panel.slider.value = frames.home
    assert "Species" in explorer.view.legend.value
    explorer.session.colour_by = explorer.session.colours.usual
    assert drawn(explorer)["positions"] != away["positions"]
    home = np.frombuffer(base64.b64decode(drawn(explorer)["colours"]), "u1").reshape(-1, 3)
    np.testing.assert_array_equal(home, explorer.session.colours.colouring().rgb())
    explorer.session.colour_by = "species"
    species = np.frombuffer(base64.b64decode(drawn(explorer)["colours"]), "u1").reshape(-1, 3)
    np.testing.assert_array_equal(species, explorer.session.colours.colouring().rgb())


def test_a_frame_is_marked_before_it_is_predicted() -> None:
    values = {"Cu 0": np.array([1.0, 2.0])}
    assert frames_figure([0, 1], values, "eV", shown=5).layout.shapes[0].x0 == 5
    moments = ("timestep", np.array([100.0, 200.0]))
    assert frames_figure([0, 1], values, "eV", shown=1, moments=moments).layout.shapes[0].x0 == 200
    assert not frames_figure([0, 1], values, "eV", shown=5, moments=moments).layout.shapes  # nobody knows when it is


def test_curves_are_drawn_against_the_steps_that_the_file_states(
    steps: list[Glass], tmp_path: Path, tiny_predictor: Predictor
) -> None:
    when = [1000 * number**2 for number in range(N_FRAMES)]
    stated = [replace(frame, provenance={"timestep": str(step)}) for frame, step in zip(steps, when, strict=True)]
    explorer = GlassExplorer(Trajectory(write_extended_xyz(stated, tmp_path / "md.extxyz")), tiny_predictor)
    panel, frames = explorer.frames, frames_of(explorer)
    assert panel is not None
    explorer.tabs.open("Frames")
    explorer.session.selected.select_many([0, 1])
    figure = panel.figure.figure
    assert all(list(curve.x) == when for curve in figure.data)
    assert figure.layout.xaxis.title.text == "timestep"
    assert figure.layout.shapes[0].x0 == when[-1]
    panel.figure.ui.click(3)
    assert frames.number == 3
    assert "frame 3 is timestep 9000" in panel.note.value
    # Steps that go back, as of two runs in one file, are no axis.
    again = [*stated[:3], *stated[:3]]
    restarted = GlassExplorer(Trajectory(write_extended_xyz(again, tmp_path / "again.extxyz")), tiny_predictor)
    assert restarted.frames is not None
    restarted.tabs.open("Frames")
    restarted.session.selected.select_many([0])
    assert list(restarted.frames.figure.figure.data[0].x) == list(range(6))
    assert restarted.frames.figure.figure.layout.xaxis.title.text == "frame"


def test_curves_and_measurements_follow_the_selection(explorer: GlassExplorer, steps: list[Glass]) -> None:
    panel, frames = explorer.frames, frames_of(explorer)
    assert panel is not None
    explorer.tabs.open("Frames")
    explorer.session.selected.select_many([0, 1])
    first, second, measured = panel.figure.figure.data
    np.testing.assert_allclose(first.y, [each.values[0] for each in frames.known])
    np.testing.assert_allclose(second.y, [each.values[1] for each in frames.known])
    for frame, distance in zip(steps, measured.y, strict=True):
        along = (frame.positions[1] - frame.positions[0]) @ np.linalg.inv(frame.cell)
        assert distance == pytest.approx(np.linalg.norm((along - np.round(along)) @ frame.cell), abs=1e-9)
    assert f"distance 0–1: {measured.y[-1]:.3f} Å" in panel.note.value
    assert "distance 0–1" in explorer.view.legend.value
    panel.figure.ui.click(3)
    assert frames.number == 3
    assert set(panel.page_figures()) == {"frames"}


def test_a_click_in_another_frame_selects_and_explains_nothing(explorer: GlassExplorer) -> None:
    explorer.tabs.open("Frames")
    frames_of(explorer).number = 1
    explorer.view.stage.receive(None, {"type": "scene_pick", "data": {"atom": 4, "add": False}}, None)
    assert explorer.session.selected_atom == 4
    assert explorer.explanation is None


def test_a_frame_is_opened_with_the_selection_and_what_is_known(explorer: GlassExplorer, steps: list[Glass]) -> None:
    explorer.tabs.open("Frames")
    explorer.select(7)
    frames_of(explorer).number = 2
    assert explorer.frames is not None
    assert not explorer.frames.open.disabled
    explorer.frames.open.click()
    np.testing.assert_allclose(explorer.session.glass.positions, steps[2].positions)
    assert explorer.session.selected_atom == 7
    frames = frames_of(explorer)
    assert frames.home == frames.number == 2
    assert len(frames.known) == N_FRAMES


def test_memory_is_bounded_and_the_frame_that_is_looked_at_stays(
    trajectory: Trajectory, tiny_predictor: Predictor, glass: Glass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_module, "KEPT_BYTES", 3 * 80 * len(glass))
    frames = frames_of(GlassExplorer(trajectory, tiny_predictor))
    for number in (0, 2, 4):
        frames.number = number
        frames.predict_ahead(wait=True)
        assert frames.present is not None
        assert len(frames.known) <= 3
        assert frames.at(frames.home) is not None


def test_frames_are_predicted_away_from_the_interface(trajectory: Trajectory, tiny_predictor: Predictor) -> None:
    async def look() -> None:
        explorer = GlassExplorer(trajectory, tiny_predictor)
        frames = frames_of(explorer)
        explorer.tabs.open("Frames")
        assert len(frames.known) == 1
        frames.number = 3
        for _ in range(600):
            await asyncio.sleep(0.05)
            if frames.present is not None:
                break
        assert drawn(explorer)["positions"]
        explorer.close()
        assert not frames.job.running

    asyncio.run(look())


def test_frames_of_other_atoms_are_refused(
    steps: list[Glass], random_glass: Callable[..., Glass], tiny_predictor: Predictor, tmp_path: Path
) -> None:
    path = write_extended_xyz([random_glass(5), *steps[:2]], tmp_path / "odd.extxyz")
    explorer = GlassExplorer(Trajectory(path), tiny_predictor)
    explorer.tabs.open("Frames")
    assert "frame 0 cannot be set beside frame 2" in explorer.session.error


def test_frames_are_relaxed_first(tiny_predictor: Predictor, tmp_path: Path) -> None:
    from ase.calculators.lj import LennardJones

    from symgnn_explain.saddles import AseCalculator

    pair = Glass(np.array([[0.0, 0, 0], [2.8, 0, 0]]), np.array([29, 40]), 20 * np.eye(3))
    path = write_extended_xyz([pair, replace(pair, positions=pair.positions * 1.05)], tmp_path / "pair.extxyz")
    calculator = AseCalculator(LennardJones(sigma=2.5, epsilon=0.5, rc=8.0))
    explorer = GlassExplorer(Trajectory(path), tiny_predictor, calculator=calculator)
    explorer.tabs.open("Frames")
    explorer.session.selected.select_many([0, 1])
    assert explorer.frames is not None
    np.testing.assert_allclose(explorer.frames.figure.figure.data[-1].y, 2.5 * 2 ** (1 / 6), atol=0.01)


def test_files_with_frames_open_with_a_slider(
    explorer: GlassExplorer, trajectory: Trajectory, glass: Glass, tmp_path: Path
) -> None:
    files = explorer.files
    files.path.value, files.frame.value = str(trajectory.path), 1
    files.start(wait=True)
    assert frames_of(explorer).home == 1
    files.path.value = str(write_extended_xyz([glass], tmp_path / "one.extxyz"))
    files.frame.value = -1
    files.start(wait=True)
    assert explorer.session.frames is None
    assert explorer.frames is None
    assert "Frames" not in explorer.tabs.every


@pytest.fixture
def compared(explorer: GlassExplorer) -> TwoFrames:
    """Two frames, 1 and 4, side by side; atom 7 is selected."""
    explorer.tabs.open("Two frames")
    panel = explorer.two_frames
    assert panel is not None
    panel.since.value, panel.number.value = 1, 4
    explorer.select(7)
    return panel


def test_two_frames_list_who_changed_and_colour_by_it(
    explorer: GlassExplorer, compared: TwoFrames, steps: list[Glass], tiny_predictor: Predictor
) -> None:
    change = tiny_predictor.predict(steps[4]) - tiny_predictor.predict(steps[1])
    assert compared.changes is not None
    listed = compared.changes.set_index("atom").sort_index()
    np.testing.assert_allclose(listed["change"], change, atol=1e-5)
    largest = int(np.abs(change).argmax())
    assert f"{change[largest]:+.3f}" in compared.table.value
    assert "frame 1" in compared.table.value
    rgb = np.frombuffer(base64.b64decode(drawn(explorer)["colours"]), "u1").reshape(-1, 3)
    np.testing.assert_array_equal(rgb, difference_colouring("", change).rgb())
    assert "Change since frame 1 (eV)" in explorer.view.legend.value
    compared.table.click("pick", largest)
    assert explorer.session.selected_atom == largest
    explorer.tabs.open("Frames")
    assert "Predicted barrier" in explorer.view.legend.value


def test_what_displacements_did_is_listed_drawn_saved_and_forgotten(
    explorer: GlassExplorer, compared: TwoFrames, steps: list[Glass], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    compared.start(wait=True)
    expected = path_contributions(explorer.session.predictor, steps[1], steps[4], 7)
    assert compared.found is not None
    np.testing.assert_allclose(compared.found.contribution, expected.contribution, atol=1e-5)
    assert "Atom 7, frame 1 to 4" in compared.said.value
    assert "not accounted for" in compared.said.value
    top = expected.to_frame(1).iloc[0]
    assert f"{top['contribution']:+.4f}" in compared.displacements.value
    assert set(explorer.page_figures()) >= {"displacements"}
    compared.in_view = True
    start, end, _, _ = compared.arrows(explorer.view.drawn_place) or pytest.fail("there are arrows")
    longest = int(np.linalg.norm(end - start, axis=1).argmax())
    assert np.linalg.norm(end - start, axis=1)[longest] == pytest.approx(LONGEST_ARROW)
    assert any(name == "draw" and given.get("name") == "displacements" for name, given in explorer.view.stage.calls())
    changes, displacements = compared.save()
    given = np.genfromtxt(displacements, delimiter=",", names=True, dtype=None, encoding="utf-8")["contribution_eV"]
    assert given.sum() == pytest.approx(expected.contribution.sum(), abs=1e-4)
    headings, *rows = changes.read_text().splitlines()
    assert {"prediction_before_eV", "change_eV", "moved_angstrom"} <= set(headings.split(","))
    assert len(rows) == len(given) == len(steps[0])
    assert len(compared.save()) == 2  # beside the first, not over them
    compared.number.value = 3
    assert compared.found is None
    assert compared.displacements.value == ""
    assert not compared.figure.figure.data


def test_frames_are_matched_by_their_ids(steps: list[Glass], tiny_predictor: Predictor, tmp_path: Path) -> None:
    ids, order = np.arange(len(steps[0])), np.random.default_rng(0).permutation(len(steps[0]))
    last, mixed = steps[-1].with_arrays(id=ids), steps[0]
    mixed = Glass(mixed.positions[order], mixed.numbers[order], mixed.cell, arrays={"id": ids[order]})
    trajectory = Trajectory(write_extended_xyz([mixed, last], tmp_path / "mixed.extxyz"))
    frames = frames_of(GlassExplorer(trajectory, tiny_predictor))
    frames.go_to(0)
    assert frames.present is not None
    np.testing.assert_allclose(frames.present.values, tiny_predictor.predict(steps[0]), atol=1e-5)
