"""Input that cannot be used: one sentence on stderr, exit status 2, nothing run, nothing written."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.io import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass

from .conftest import Refused

SPECIES = {1: "Cu", 2: "Zr"}
FORMATS = ("glass.extxyz", "glass.dump", "glass.data", "POSCAR", "glass.cif", "glass.pickle")


def authors_pickle(glass: Glass, **changes: Any) -> bytes:
    content = {
        "positions": glass.positions,
        "box": np.diag(glass.cell).astype(np.float32),
        "types": np.where(glass.numbers == 29, 1, 2).astype(np.int32),
        "trajectory_start_velocities": np.asarray(glass.barriers, dtype=np.float32),
    }
    return pickle.dumps({**content, **changes})


def dump_text(glass: Glass) -> str:
    bounds = "".join(f"0 {edge}\n" for edge in np.diag(glass.cell))
    rows = "".join(
        f"{atom + 1} {1 if number == 29 else 2} {x} {y} {z}\n"
        for atom, (number, (x, y, z)) in enumerate(zip(glass.numbers, glass.positions, strict=True))
    )
    return (
        f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{len(glass)}\nITEM: BOX BOUNDS pp pp pp\n{bounds}"
        f"ITEM: ATOMS id type x y z\n{rows}"
    )


def in_format(glass: Glass, name: str) -> bytes:
    """The bytes of a file called ``name`` that holds ``glass``."""
    if name.endswith(".pickle"):
        return authors_pickle(glass)
    if name.endswith(".dump"):
        return dump_text(glass).encode()
    ase_format = {"POSCAR": "vasp", ".extxyz": "extxyz", ".data": "lammps-data", ".cif": "cif"}[
        Path(name).suffix or name
    ]
    stream: Any = io.BytesIO() if ase_format == "cif" else io.StringIO()
    write(stream, glass.to_ase(), format=ase_format)
    written = stream.getvalue()
    return written if isinstance(written, bytes) else written.encode()


@pytest.fixture
def small(random_glass: Callable[..., Glass]) -> Glass:
    return random_glass(3)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.9])
def test_truncated_files(refused: Refused, small: Glass, tmp_path: Path, name: str, kept: float) -> None:
    whole = in_format(small, name)
    path = tmp_path / name
    path.write_bytes(whole[: int(kept * len(whole))])
    assert name in refused(path, "--species", "1=Cu,2=Zr")


@pytest.fixture(scope="module")
def cutting_board(random_glass: Callable[..., Glass], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a file cut off at a fraction of its length."""
    folder, glass = tmp_path_factory.mktemp("cut"), random_glass(3)
    intact = {name: in_format(glass, name) for name in FORMATS}

    def cut(name: str, fraction: float) -> Path:
        path = folder / name
        path.write_bytes(intact[name][: int(fraction * len(intact[name]))])
        return path

    return cut


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fraction=st.one_of(st.floats(0.0, 1.0), st.floats(0.95, 1.0)))
def test_a_file_cut_anywhere_is_refused_or_lacks_digits_of_its_last_atom(
    cutting_board: Callable[..., Path], name: str, fraction: float
) -> None:
    whole = read_glass(cutting_board(name, 1.0), species=SPECIES)
    try:
        glass = read_glass(cutting_board(name, fraction), species=SPECIES)
    except InputError:
        return
    np.testing.assert_array_equal(glass.numbers, whole.numbers)
    np.testing.assert_array_equal(glass.positions[:-1], whole.positions[:-1])
    np.testing.assert_array_equal(glass.cell, whole.cell)


MOST_ATOMS_WITH_A_DIGIT_CHANGED = 30
"""The file has 27, and no atoms come from nowhere."""


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_but_an_input_error(
    cutting_board: Callable[..., Path], name: str, data: st.DataObject
) -> None:
    path = cutting_board(name, 1.0)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        glass = read_glass(path, species=SPECIES)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it may also be read
        return
    # What is read is a structure: it holds what a structure made of its parts holds.
    again = Glass(glass.positions, glass.numbers, glass.cell, glass.pbc, glass.barriers)
    assert again.content_hash == glass.content_hash
    assert np.isfinite(glass.positions).all()
    assert glass.volume > 0
    assert 0 < len(glass) <= MOST_ATOMS_WITH_A_DIGIT_CHANGED
    for array in glass.arrays.values():
        assert len(array) == len(glass)


@pytest.mark.parametrize("name", FORMATS[:-1])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_positions_that_are_not_finite(refused: Refused, small: Glass, tmp_path: Path, name: str, value: str) -> None:
    path = tmp_path / name
    *others, last = in_format(small, name).decode().splitlines()
    column = re.findall(r"\S+", last)[{"glass.cif": 4, "POSCAR": 2}.get(name, 3)]
    path.write_text("\n".join([*others, last.replace(column, value), ""]))
    assert ("cannot be read" if name.endswith(".cif") else "finite") in refused(path, "--species", "1=Cu,2=Zr")


def test_a_pickle_with_a_position_that_is_not_finite(refused: Refused, small: Glass, tmp_path: Path) -> None:
    positions = small.positions.copy()
    positions[5, 1] = np.nan
    path = tmp_path / "glass.pickle"
    path.write_bytes(authors_pickle(small, positions=positions))
    assert "positions are not finite" in refused(path)


@pytest.mark.parametrize("name", ["glass.extxyz", "POSCAR", "glass.cif"])
def test_a_species_that_is_no_element(refused: Refused, small: Glass, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(re.sub(r"\bZr", "Qq", in_format(small, name).decode()))
    assert "Qq" in refused(path)


def test_a_control_character_among_the_atoms(small: Glass, tmp_path: Path) -> None:
    path = tmp_path / "glass.extxyz"
    path.write_bytes(b" \x0b ".join(in_format(small, path.name).rsplit(b" ", 1)))
    with pytest.raises(InputError, match="rows of atoms cannot be read") as raised:
        read_glass(path)
    assert "\n" not in str(raised.value)


def test_a_species_in_other_letters_is_corrected(refused: Refused, small: Glass, tmp_path: Path) -> None:
    path = tmp_path / "glass.dump"
    path.write_text(dump_text(small))
    assert "unknown species 'ZR': write Zr." in refused(path, "--species", "1=Cu,2=ZR")


def test_a_name_that_stands_for_no_format(refused: Refused, small: Glass, tmp_path: Path) -> None:
    path = tmp_path / "glass.dat"
    path.write_bytes(in_format(small, "glass.extxyz"))
    assert "name the format" in refused(path)


@pytest.mark.parametrize("name", ["glass.dump", "glass.data", "glass.pickle"])
def test_a_species_map_that_names_no_element(refused: Refused, small: Glass, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(in_format(small, name))
    assert "unknown species 'Qq'" in refused(path, "--species", "1=Cu,2=Qq")


def test_a_species_that_the_predictor_does_not_know(
    refused: Refused, random_glass: Callable[..., Glass], tmp_path: Path
) -> None:
    path = tmp_path / "glass.extxyz"
    path.write_bytes(in_format(random_glass(3, species=(29, 13)), path.name))
    assert "contains Al, but this predictor knows only Cu, Zr" in refused(path)


@pytest.mark.parametrize("name", ["glass.dump", "glass.data"])
def test_lammps_types_without_a_map(refused: Refused, small: Glass, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(in_format(small, name))
    assert "--species 1=Cu,2=Zr" in refused(path)
    assert "type" in refused(path, "--species", "1=Cu")


@pytest.mark.parametrize("text", ["Cu,Zr", "1=", "=Cu", "1:Cu", "one=Cu", "1=Cu,,"])
def test_species_maps_that_cannot_be_understood(refused: Refused, small: Glass, tmp_path: Path, text: str) -> None:
    path = tmp_path / "glass.dump"
    path.write_bytes(in_format(small, path.name))
    assert "--species" in refused(path, "--species", text)


def test_singular_cells(refused: Refused, small: Glass, tmp_path: Path) -> None:
    path = tmp_path / "glass.extxyz"
    text = in_format(small, path.name).decode()
    lattice = re.compile(r'Lattice="[^"]*"')
    for cell in ("10 0 0 0 10 0 0 0 0", "10 0 0 10 0 0 0 0 10", "0 0 0 0 0 0 0 0 0"):
        path.write_text(lattice.sub(f'Lattice="{cell}"', text))
        assert "the cell is singular" in refused(path)
    path.write_text(lattice.sub("", text))
    assert "the cell is singular" in refused(path)
    path.write_bytes(authors_pickle(small, box=np.array([10.0, 0.0, 10.0])))
    path.rename(path.with_suffix(".pickle"))
    assert "the cell is singular" in refused(path.with_suffix(".pickle"))


def test_overlapping_atoms(refused: Refused, small: Glass, tmp_path: Path) -> None:
    positions = small.positions.copy()
    positions[1] = positions[0] + 1e-3
    path = tmp_path / "glass.extxyz"
    path.write_bytes(in_format(Glass(positions, small.numbers, small.cell), path.name))
    assert "apart" in refused(path)


def test_paths_that_are_no_files(refused: Refused, tmp_path: Path) -> None:
    assert "is not a file" in refused(tmp_path / "missing.extxyz")
    assert "is not a file" in refused(tmp_path)
    (tmp_path / "empty.extxyz").touch()
    assert "is empty" in refused(tmp_path / "empty.extxyz")


@pytest.mark.parametrize(
    "changes",
    [
        {"positions": "text"},
        {"positions": [[1, 2, 3], [4, 5]]},
        {"positions": np.zeros((27, 2))},
        {"box": "abc"},
        {"box": np.zeros((3, 3))},
        {"box": {"x": 1}},
        {"types": np.ones(3, dtype=int)},
        {"types": ["Cu"] * 27},
        {"types": [1, "Zr"] * 13 + [1]},
        {"types": None},
        {"trajectory_start_velocities": np.ones(5)},
        {"trajectory_start_velocities": ["x"] * 27},
        {"pot": np.ones(4)},
    ],
)
def test_pickles_of_other_content(refused: Refused, small: Glass, tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "glass.pickle"
    path.write_bytes(authors_pickle(small, **changes))
    refused(path)


@pytest.mark.parametrize("content", [None, 3, [], {}, {"positions": 1}, np.zeros(3)])
def test_pickles_of_something_else(refused: Refused, tmp_path: Path, content: Any) -> None:
    path = tmp_path / "glass.pickle"
    path.write_bytes(pickle.dumps(content))
    assert "expected the published data set's keys" in refused(path)


@pytest.fixture
def weights(tiny_predictor: Predictor, tmp_path: Path) -> Path:
    """A copy of the tiny predictor that may be damaged."""
    return tiny_predictor.save(tmp_path / "weights" / "predictor.safetensors")


@pytest.fixture
def good_file(small: Glass, tmp_path: Path) -> Path:
    path = tmp_path / "glass.extxyz"
    path.write_bytes(in_format(small, path.name))
    return path


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_truncated_weights(refused: Refused, good_file: Path, weights: Path, kept: float) -> None:
    blob = weights.read_bytes()
    weights.write_bytes(blob[: int(kept * len(blob))])
    assert "is damaged or does not belong to its card" in refused(good_file, weights=weights)


def test_weights_that_are_not_finite(
    refused: Refused, good_file: Path, tmp_path: Path, make_predictor: Callable[..., Predictor]
) -> None:
    diverged = make_predictor()
    with torch.no_grad():
        diverged.model.decoder[0].weight.fill_(torch.nan)
    weights = diverged.save(tmp_path / "diverged.safetensors")
    assert "not finite in decoder.0.weight" in refused(good_file, weights=weights)


def test_missing_weights_and_cards(refused: Refused, good_file: Path, weights: Path) -> None:
    weights.with_suffix(".json").unlink()
    assert "is missing" in refused(good_file, weights=weights)
    assert "is missing" in refused(good_file, weights=weights.with_name("none.safetensors"))


def test_cards_that_do_not_fit(
    refused: Refused, good_file: Path, weights: Path, make_predictor: Callable[..., Predictor]
) -> None:
    card = weights.with_suffix(".json")
    content = json.loads(card.read_text())
    make_predictor(dim=4).save(weights.with_name("other.safetensors"))
    other = weights.with_name("other.json").read_text()
    for text in (
        "not JSON",
        "[]",
        json.dumps({}),
        json.dumps({**content, "format_version": 99}),
        json.dumps({**content, "config": {**content["config"], "unheard_of": 1}}),
        json.dumps({**content, "config": {**content["config"], "heads": []}}),
        other,
    ):
        card.write_text(text)
        assert "predictor" in refused(good_file, weights=weights)


def test_a_device_that_is_not_there(refused: Refused, good_file: Path) -> None:
    assert "'tpu' is not one of" in refused(good_file, "--device", "tpu")
    if not torch.cuda.is_available():
        assert "sees no GPU" in refused(good_file, "--device", "cuda")


def test_results_that_cannot_be_written(refused: Refused, good_file: Path, tmp_path: Path) -> None:
    assert "suffix '.txt'" in refused(good_file, out=tmp_path / "out.txt")
    assert "not a folder that you may write to" in refused(good_file, out=good_file / "out.csv")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert "is a folder" in refused(good_file, out=folder)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(refused: Refused, good_file: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "not a folder that you may write to" in refused(good_file, out=locked / "out.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [("binary.dump", b"\xf6\xff\xff\xff\x08DUMPATOM"), ("a.dump", "ITEM: X".encode("utf-16")), ("a.xyz", b"\n\n")],
)
def test_a_file_without_frames_is_not_asked_for_another_frame(
    refused: Refused, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    assert "there is no frame in the" in refused(tmp_path / name)


def test_more_atoms_than_a_dump_declares_are_no_truncation(refused: Refused, small: Glass, tmp_path: Path) -> None:
    path = tmp_path / "g.dump"
    path.write_text(dump_text(small).replace(f"\n{len(small)}\n", f"\n{len(small) - 2}\n"))
    assert "is damaged: a frame declares 25 atoms, 27 were found" in refused(path, "--species", "1=Cu,2=Zr")


def test_a_package_that_a_format_needs_is_named(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    (tmp_path / "md.nc").write_bytes(b"CDF\x02" + bytes(100))
    said = refused(tmp_path / "md.nc")
    assert "netCDF4" in said
    assert "truncated" not in said


@pytest.mark.parametrize("name", ["md.lammpstrj", "md.extxyz"])
def test_a_last_frame_that_is_not_whole_yet_names_the_one_before(
    refused: Refused, small: Glass, tmp_path: Path, name: str
) -> None:
    whole = dump_text(small) if name.endswith("trj") else in_format(small, "g.extxyz").decode()
    (tmp_path / name).write_text(2 * whole + whole[: len(whole) // 2])
    assert "earlier frames may be whole, the last of them is 1." in refused(tmp_path / name, "--species", "1=Cu,2=Zr")
    assert len(read_glass(tmp_path / name, species=SPECIES, frame=1)) == len(small)
