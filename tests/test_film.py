"""Films: as many pictures as asked for, each what it is of, whatever was drawn before; bad input in one sentence."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from symgnn_explain.cli import main
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.export import film, static_images_available, write_film
from symgnn_explain.export.figures import PictureError, drawn_one_after_another
from symgnn_explain.models.target import BARRIER
from symgnn_explain.plotting import glass_figure, trajectory_figures, turning_figures
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.writing import write_extended_xyz

SIZE = {"width": 240, "height": 180}
needs_browser = pytest.mark.skipif(not static_images_available(), reason="no Chrome or Chromium")


def painted(figures: Sequence[go.Figure], ratio: float, watch: Watch) -> list[bytes]:
    """Stand in for the browser: a picture of the figure's size, whose colour says which figure it is."""
    pictures = []
    for place, figure in enumerate(figures):
        watch.advance(place / len(figures))
        colour = tuple(hashlib.sha256(figure.to_json().encode()).digest()[:3])
        size = (round(figure.layout.width * ratio), round(figure.layout.height * ratio))
        stream = io.BytesIO()
        Image.new("RGB", size, colour).save(stream, "png")
        pictures.append(stream.getvalue())
    return pictures


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "drawn_one_after_another", painted)
    monkeypatch.setattr(film, "static_images_available", lambda: True)


def titled(count: int, **size: int) -> list[go.Figure]:
    return [go.Figure(layout={"title": {"text": str(place)}, **(size or SIZE)}) for place in range(count)]


def frames_of(path: Path) -> list[tuple[Image.Image, float]]:
    with Image.open(path) as picture:
        found = []
        for place in range(picture.n_frames):
            picture.seek(place)
            found.append((picture.convert("RGB"), picture.info["duration"] / 1000))
    return found


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize(("count", "rate"), [(2, 10), (30, 10), (7, 15), (31, 24), (5, 0.5)])
def test_a_film_has_all_pictures_their_size_and_lasts_as_long_as_the_rate_says(
    tmp_path: Path, suffix: str, count: int, rate: float
) -> None:
    seen: list[float] = []
    path = write_film(titled(count), tmp_path / f"a{suffix}", rate=rate, pixel_ratio=2, watch=Watch(seen.append))
    frames = frames_of(path)
    assert len(frames) == count
    assert {picture.size for picture, _ in frames} == {(480, 360)}
    assert sum(duration for _, duration in frames) == pytest.approx(count / rate, abs=0.006)
    assert len({picture.getpixel((5, 5)) for picture, _ in frames}) == count
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.fixture(scope="module")
def moving(random_glass: Callable[..., Glass]) -> list[tuple[int, Glass, Any]]:
    """Frames of which predictions rise everywhere, from one end of the scale to the other."""
    glass = random_glass(4)
    return [(10 * step, replace(glass, name="md"), np.full(len(glass), 0.5 + 0.5 * step)) for step in range(4)]


def test_frames_are_coloured_alike_and_say_what_they_are(moving: list[tuple[int, Glass, Any]]) -> None:
    figures = trajectory_figures(moving, BARRIER)
    scales = {(each.layout.coloraxis.cmin, each.layout.coloraxis.cmax) for each in figures}
    assert len(scales) == 1
    [(low, high)] = scales
    assert (low, high) == pytest.approx((0.5, 2.0))
    for figure, (number, glass, values) in zip(figures, moving, strict=True):
        assert figure.layout.title.text == f"md: frame {number}"
        assert figure.layout.coloraxis.colorbar.title.text == "Predicted barrier (eV)"
        assert figure.layout.scene.xaxis.title.text == "x (Å)"
        atoms = np.concatenate([trace.customdata for trace in figure.data if trace.customdata is not None])
        assert sorted(atoms) == list(range(len(glass)))
        colours = np.concatenate([trace.marker.color for trace in figure.data if trace.customdata is not None])
        np.testing.assert_array_equal(colours, values[atoms])
        inside = np.concatenate([np.c_[t.x, t.y, t.z] for t in figure.data if t.customdata is not None])
        fraction = inside @ np.linalg.inv(glass.cell)
        assert fraction.min() > -1e-9
        assert fraction.max() < 1 + 1e-9
    with pytest.raises(InputError, match="1 frame is no film"):
        trajectory_figures(moving[:1], BARRIER)
    with pytest.raises(InputError, match="one value an atom"):
        glass_figure(moving[0][1], [1.0], "height (Å)")


def test_atoms_outside_of_the_cell_along_an_open_direction_are_in_the_picture(glass: Glass) -> None:
    """As in a box from -L/2 to L/2 whose origin the file did not keep."""
    slab = replace(glass, positions=glass.positions - 0.5 * glass.cell.sum(axis=0), pbc=[True, True, False])
    scene = glass_figure(slab, slab.positions[:, 2], "height (Å)").layout.scene
    low, high = scene.zaxis.range
    assert low <= slab.positions[:, 2].min()
    assert high >= max(slab.positions[:, 2].max(), glass.cell[:, 2].max())
    np.testing.assert_allclose(
        scene.xaxis.range, glass_figure(glass, glass.positions[:, 2], "").layout.scene.xaxis.range
    )


def test_the_camera_goes_once_round_at_one_distance(moving: list[tuple[int, Glass, Any]]) -> None:
    still = trajectory_figures(moving, BARRIER)[0]
    eyes = [each.layout.scene.camera.eye for each in turning_figures(still, 12)]
    places = np.array([[eye.x, eye.y, eye.z] for eye in eyes])
    np.testing.assert_allclose(places[0], [1.25, 1.05, 0.55])
    np.testing.assert_allclose(places[:, :2].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), np.linalg.norm(places[0]))
    steps = np.linalg.norm(np.roll(places, -1, axis=0) - places, axis=1)
    np.testing.assert_allclose(steps, steps[0])
    assert still.layout.scene.camera.eye.x == 1.25  # the figure itself stays
    with pytest.raises(InputError, match="no camera"):
        turning_figures(go.Figure(), 12)
    with pytest.raises(InputError, match="do not turn"):
        turning_figures(still, 1)


@needs_browser
def test_pictures_are_of_their_figures_whatever_was_drawn_before(moving: list[tuple[int, Glass, Any]]) -> None:
    """A page in which one figure becomes the next shows nothing of the one before, nor a camera on its way."""
    figures = [each.update_layout(**SIZE) for each in trajectory_figures(moving[::3], BARRIER)]
    figures += turning_figures(figures[0], 5)[1:]
    there = drawn_one_after_another(figures, 1.0, Watch())
    back = drawn_one_after_another(figures[::-1], 1.0, Watch())[::-1]
    pictures = [np.asarray(Image.open(io.BytesIO(blob)).convert("RGB")).astype(int) for blob in there]
    for one, other in zip(pictures, back, strict=True):
        assert one.shape == (SIZE["height"], SIZE["width"], 3)
        np.testing.assert_array_equal(one, np.asarray(Image.open(io.BytesIO(other)).convert("RGB")))
        assert one.std() > 20, "nothing is drawn"
    for place, one in enumerate(pictures):
        for other in pictures[:place]:
            assert np.abs(one - other).mean() > 0.5, "two figures have one picture"
    blue = [(picture[..., 2] - picture[..., 0] > 60).sum() for picture in pictures]
    yellow = [(picture[..., 0] - picture[..., 2] > 100).sum() for picture in pictures]
    assert blue[0] > 300 > 3 * yellow[0] - 300  # low values are blue on the scale of all frames, high ones yellow
    assert yellow[1] > 3 * yellow[0]
    assert blue[1] < blue[0] / 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "figures", "options", "said"),
    [
        ("a.avi", titled(3), {}, r"unknown suffix: films are \.gif, \.webp or \.mp4"),
        ("a", titled(3), {}, "unknown suffix"),
        ("there.gif", titled(3), {}, "exists already"),
        ("a.gif", [], {}, "0 pictures are no film"),
        ("a.gif", titled(1), {}, "1 pictures are no film"),
        ("a.gif", titled(601), {}, "601 pictures are no film"),
        ("a.gif", titled(3), {"rate": 0}, "rate=0 cannot be shown"),
        ("a.gif", titled(3), {"rate": -1.0}, "cannot be shown"),
        ("a.gif", titled(3), {"rate": float("nan")}, "cannot be shown"),
        ("a.gif", titled(3), {"rate": 51}, "cannot be shown"),
        ("a.gif", [*titled(2), *titled(2, width=10, height=10)], {}, "have one size"),
        ("a.gif", [go.Figure(), go.Figure()], {}, "have one size"),
        ("a.mp4", titled(3), {}, "MP4 needs ffmpeg, and none was found"),
    ],
)
def test_what_is_no_film_is_one_sentence(
    tmp_path: Path, name: str, figures: list[go.Figure], options: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "_ffmpeg", lambda: "")
    (tmp_path / "there.gif").touch()
    with pytest.raises(InputError, match=said) as caught:
        write_film(figures, tmp_path / name, **options)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["there.gif"]


def test_a_ratio_that_no_browser_draws_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "static_images_available", lambda: True)
    with pytest.raises(InputError, match="pixel_ratio=100"):
        write_film(titled(2), tmp_path / "a.gif", pixel_ratio=100)


def test_without_a_browser_it_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere")
    with pytest.raises(PictureError, match=r"a\.gif cannot be written\. Pictures .* need Chrome"):
        write_film(titled(2), tmp_path / "a.gif")


@needs_browser
def test_a_browser_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    stop = threading.Event()
    with pytest.raises(Cancelled):
        write_film(titled(3), tmp_path / "a.gif", watch=Watch(lambda _done: stop.set(), stop))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_mp4_is_what_ffmpeg_makes_of_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tmp_path / "ffmpeg"
    encoder.write_text('#!/bin/sh\necho "$@" > film.mp4\nls picture*.png >> film.mp4\n')
    encoder.chmod(0o755)
    monkeypatch.setattr(film, "_ffmpeg", lambda: str(encoder))
    said = write_film(titled(3), tmp_path / "a.mp4", rate=12).read_text()
    assert "-framerate 12 " in said
    assert said.splitlines()[1:] == ["picture0000.png", "picture0001.png", "picture0002.png"]
    encoder.write_text("#!/bin/sh\necho first >&2\necho 'no such codec' >&2\nexit 3\n")
    with pytest.raises(InputError, match=r"failed \(no such codec\): write a GIF"):
        write_film(titled(3), tmp_path / "b.mp4")
    monkeypatch.setattr(film, "_ffmpeg", lambda: "/nowhere/ffmpeg")
    with pytest.raises(InputError, match="cannot be started"):
        write_film(titled(3), tmp_path / "b.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "ffmpeg"]


@pytest.mark.usefixtures("quick")
def test_films_on_the_command_line(
    random_glass: Callable[..., Glass],
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere")  # pictures of the explanation take seconds
    monkeypatch.setattr(film, "SECONDS", 0.4)
    glass = random_glass(4)
    md = write_extended_xyz(
        [replace(glass, positions=glass.positions + 0.01 * step) for step in range(5)], tmp_path / "md.extxyz"
    )
    weights = ["--weights", str(tiny_weights)]
    predict = ["predict", str(md), *weights, "--out", str(tmp_path / "a.csv"), "--film", str(tmp_path / "md.gif")]
    assert main([*predict, "--frames", "::2"]) == 0
    assert len(frames_of(tmp_path / "md.gif")) == 3
    explain = ["explain", str(md), "--atom", "3", "--method", "saliency", *weights, "--out", str(tmp_path / "why")]
    assert main([*explain, "--film", str(tmp_path / "atom.webp")]) == 0
    assert len(frames_of(tmp_path / "atom.webp")) == 4
    capsys.readouterr()
    for command, said in (
        ([*predict, "--frames", "::2", "--overwrite", "--film", str(tmp_path / "x.avi")], "unknown suffix"),
        ([*predict[:-1], str(tmp_path / "b.gif"), "--overwrite"], "--film shows several frames"),
        ([*explain, "--film", str(tmp_path / "new.gif")], "--out"),
        ([*explain[:-1], str(tmp_path / "new"), "--film", str(tmp_path / "atom.webp")], "--film"),
        (["predict", str(md), *predict[1:], "--frames", "::2", "--overwrite"], "given more than once"),
    ):
        assert main(command) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert said in line
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "b.gif").exists()
