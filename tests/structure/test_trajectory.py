"""Frames of a file: each is read alone, the file is looked through once, and no more of it than was asked for."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory, read_frames, read_glass, sources
from symgnn_explain.structure.io.opening import Span, opened
from symgnn_explain.structure.io.reading import frame_choice
from symgnn_explain.structure.io.writing import write_extended_xyz

N_FRAMES = 12
SPECIES = {1: "Cu", 2: "Zr"}


@pytest.fixture(scope="module")
def frames() -> list[Glass]:
    rng = np.random.default_rng(0)
    numbers = np.array([29] * 5 + [40] * 6)
    return [
        Glass(rng.random((11, 3)) * (9 + frame / 10), numbers, np.eye(3) * (9 + frame / 10))
        for frame in range(N_FRAMES)
    ]


def as_dump(frames: list[Glass]) -> str:
    text = ""
    for step, glass in enumerate(frames):
        units = "ITEM: UNITS\nmetal\n" if step == 0 else ""
        edge = float(glass.cell[0, 0])
        rows = "".join(
            f"{atom + 1} {1 if symbol == 'Cu' else 2} {x!r} {y!r} {z!r}\n"
            for atom, (symbol, (x, y, z)) in enumerate(zip(glass.symbols, glass.positions.tolist(), strict=True))
        )
        text += (
            f"{units}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(glass)}\nITEM: BOX BOUNDS pp pp pp\n"
            + f"0 {edge!r}\n" * 3
            + f"ITEM: ATOMS id type x y z\n{rows}"
        )
    return text


FORMATS = ["md.lammpstrj", "md.lammpstrj.gz", "md.extxyz", "md.extxyz.xz", "XDATCAR", "md.traj", "md.xsf", "md.cif"]


@pytest.fixture(scope="module", params=FORMATS)
def file(request: pytest.FixtureRequest, frames: list[Glass], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ase.io import write

    path: Path = tmp_path_factory.mktemp("frames") / request.param
    if "lammpstrj" in path.name:
        text = as_dump(frames).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    elif "extxyz" in path.name:
        write_extended_xyz(frames, path)
    else:
        kinds = {"XDATCAR": "vasp-xdatcar"}
        write(path, [glass.to_ase() for glass in frames], format=kinds.get(path.name))
    return path


def opened_as(file: Path) -> Trajectory:
    return Trajectory(file, species=SPECIES if "lammpstrj" in file.name else None)


def assert_same(found: Glass, glass: Glass) -> None:
    np.testing.assert_array_equal(found.numbers, glass.numbers)
    np.testing.assert_allclose(found.cell, glass.cell, atol=1e-4)
    np.testing.assert_allclose(found.positions, glass.positions, atol=1e-4)


@pytest.mark.parametrize("chosen", [slice(None), slice(None, None, 5), slice(2, 7, 2), slice(-3, None), slice(9, 99)])
def test_every_format_gives_the_frames_that_a_slice_of_them_has(file: Path, frames: list[Glass], chosen: slice) -> None:
    found = opened_as(file)[chosen]
    assert len(found) == len(frames[chosen])
    for one, other in zip(found, frames[chosen], strict=True):
        assert_same(one, other)


def test_frames_in_any_order_are_those_read_alone(file: Path, frames: list[Glass]) -> None:
    trajectory = opened_as(file)
    for frame in (7, 2, -1, 0):
        assert_same(trajectory[frame], frames[frame])
    assert len(trajectory) == N_FRAMES
    with pytest.raises(InputError, match=f"{file.name}: frame 12 does not exist: the .* has 12 frame"):
        trajectory[12]
    with pytest.raises(InputError, match="frame -13 does not exist"):
        trajectory[-13]


def test_units_said_once_hold_for_frames_read_alone(frames: list[Glass], tmp_path: Path) -> None:
    path = tmp_path / "nano.dump"
    path.write_text(as_dump(frames).replace("metal", "nano"))
    np.testing.assert_allclose(read_glass(path, species=SPECIES, frame=5).positions, frames[5].positions * 10)


@pytest.mark.parametrize("title", ["", " ", "Direct quench", "Cu Zr"])
@pytest.mark.parametrize("again", [False, True])
def test_the_title_of_an_xdatcar_file_is_any_line(tmp_path: Path, title: str, again: bool) -> None:
    head = f"{title}\n1.0\n10 0 0\n0 10 0\n0 0 10\nCu Zr\n1 1\n"
    frames = [f"Direct configuration= {number}\n0.1 0.1 0.{number}\n0.5 0.5 0.5\n" for number in (1, 2, 3)]
    path = tmp_path / "XDATCAR"
    path.write_text(head + (head if again else "").join(frames) + "\n")
    found = Trajectory(path)
    assert [glass.positions[0, 2] for glass in found] == pytest.approx([1.0, 2.0, 3.0])
    assert found[0].formula == "Cu1Zr1"


@pytest.mark.parametrize("name", ["md.lammpstrj", "md.extxyz", "XDATCAR"])
def test_a_file_is_passed_through_once_and_only_as_far_as_needed(
    name: str, frames: list[Glass], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    @contextmanager
    def counting(path: Path) -> Iterator[Any]:
        nonlocal read
        with opened(path) as stream:
            plain = stream.read

            def counted(size: int = -1) -> bytes:
                nonlocal read
                found = plain(size)
                read += len(found)
                return found

            yield _Stream(stream, counted)

    from ase.io import write

    monkeypatch.setattr(sources, "opened", counting)
    path, many = tmp_path / name, frames * 20
    if name == "XDATCAR":
        write(path, [glass.to_ase() for glass in many], format="vasp-xdatcar")
    elif name == "md.extxyz":
        write_extended_xyz(many, path)
    else:
        path.write_text(as_dump(many))
    monkeypatch.setattr("symgnn_explain.structure.io.opening._CHUNK", 1024)
    trajectory = Trajectory(path, species=SPECIES if "lammps" in name else None)
    assert read == 0
    trajectory[3]
    assert read < path.stat().st_size / 10
    read = 0
    assert sum(1 for _ in trajectory) == len(many)
    assert read < 2.2 * path.stat().st_size


class _Stream:
    """A stream whose reading is counted."""

    def __init__(self, stream: Any, read: Callable[[int], bytes]) -> None:
        self._stream, self.read = stream, read
        self.seek, self.tell = stream.seek, stream.tell

    def readline(self) -> bytes:
        line: bytes = next(self, b"")
        return line

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> bytes:
        line = self._stream.readline()
        if not line:
            raise StopIteration
        self.read(0)
        return bytes(line)


def test_a_frame_that_is_damaged_does_not_hide_those_before_it(frames: list[Glass], tmp_path: Path) -> None:
    path = tmp_path / "md.lammpstrj"
    path.write_text(as_dump(frames)[:-40])
    found = read_frames(path, species=SPECIES)
    for glass in frames[:-1]:
        assert_same(next(found), glass)
    with pytest.raises(InputError, match="truncated"):
        next(found)


def test_words_choose_frames_as_python_does(frames: list[Glass], tmp_path: Path) -> None:
    path = write_extended_xyz(frames, tmp_path / "md.extxyz")
    trajectory, all_frames = Trajectory(path), list(range(N_FRAMES))
    for words, expected in {
        "::5": all_frames[::5],
        "2:7": all_frames[2:7],
        "-2:": all_frames[-2:],
        "::-4": all_frames[::-4],
        "5": [5],
        "0, 3,-1,3": [0, 3, 11],
        "0,2:4": [0, 2, 3],
        ":": all_frames,
    }.items():
        assert list(trajectory.numbers(words)) == expected
    for words in ("", "a", "1:2:3:4", "::0", "1.5", "0,", "²"):
        with pytest.raises(InputError, match="frames"):
            list(trajectory.numbers(words))
    with pytest.raises(InputError, match="50: chooses none of the frames: the XYZ file has 12"):
        list(trajectory.numbers("50:"))
    assert frame_choice("1:") == [slice(1, None)]


def test_a_span_is_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"0123456789")
    with opened(path) as stream:
        assert Span(2, 3, b"ab").read(stream) == b"ab234"
        assert Span(8).read(stream) == b"89"


def test_frames_that_are_written_meanwhile_do_not_harm_those_that_are_known(
    frames: list[Glass], tmp_path: Path
) -> None:
    path = tmp_path / "md.lammpstrj"
    path.write_text(as_dump(frames[:3]))
    trajectory = Trajectory(path, species=SPECIES)
    assert len(trajectory) == 3
    path.write_text(as_dump(frames))
    assert_same(trajectory[-1], frames[2])
