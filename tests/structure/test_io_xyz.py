"""Extended XYZ of other programs: columns of every kind, keys of any type, and what has to be refused in a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import write

from symgnn_explain.errors import InputError, SpeciesNeededError
from symgnn_explain.export.session_file import PredictorIdentity, SavedSession, decode_session, write_session
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import notes, read_glass, write_glass
from symgnn_explain.structure.selection import select_atoms

CELL = "20 0 0 0 20 0 0 0 20"
HEAD = f'3\nLattice="{CELL}"'
PLAIN = "Cu 1 2 3\nZr 4 5 6\nCu 7 8 9\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Glass]:
    def read_text(text: str | bytes, **options: Any) -> Glass:
        path = tmp_path / "a.xyz"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_glass(path, **options)

    return read_text


def with_columns(named: str, rows: str) -> str:
    lines = "\n".join(f"{atom} {more}" for atom, more in zip(PLAIN.splitlines(), rows.splitlines(), strict=True))
    return f"{HEAD} Properties=species:S:1:pos:R:3:{named}\n{lines}\n"


def test_columns_of_every_kind_work_from_file_to_file(read: Callable[..., Glass], tmp_path: Path) -> None:
    # As OVITO writes them: flags as 1 and 0, text, and vectors; and energies and forces, which ASE takes for results.
    named = "force:R:3:energies:R:1:forces:R:3:id:I:1:Structure_Type:S:1:Selection:L:1"
    glass = read(with_columns(named, "1 2 3 -3.4 0 0 1 7 Other 1\n0 0 0 -3.5 0 1 0 8 ICO 0\n0 0 1 -3.6 1 0 0 9 FCC 1"))
    kinds = {name: (values.dtype.kind, values.shape) for name, values in glass.arrays.items()}
    assert kinds == {
        "force": ("f", (3, 3)),
        "energies": ("f", (3,)),
        "forces": ("f", (3, 3)),
        "id": ("i", (3,)),
        "Structure_Type": ("U", (3,)),
        "Selection": ("b", (3,)),
    }
    saved = decode_session(
        write_session(SavedSession(glass, PredictorIdentity("0" * 64)), tmp_path / "a.symgnn").read_bytes()
    ).glass
    again = read_glass(write_glass(glass, tmp_path / "b.extxyz"))
    for other in (saved, again):
        for name, values in glass.arrays.items():
            np.testing.assert_array_equal(other.arrays[name], values)
    assert select_atoms(glass, "id > 7 and energies < -3.55").tolist() == [2]


@pytest.mark.parametrize("dtype", ["b1", "i1", "u1", "i2", ">i4", "u4", "i8", "f2", ">f4", "f8", "g", "S3", "U4", "O"])
def test_arrays_of_any_width_come_back(glass: Glass, tmp_path: Path, dtype: str) -> None:
    values = np.arange(len(glass)) % 3
    expected = values > 0 if dtype == "b1" else values.astype("U1") if dtype in {"O", "S3", "U4"} else values
    stored = expected.astype(dtype)
    read = read_glass(write_glass(glass.with_arrays(mine=stored), tmp_path / "a.extxyz")).arrays["mine"]
    assert read.dtype.kind in "bifU"
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("provenance=DFT", {"provenance": "DFT"}),
        ("provenance=3", {"provenance": "3"}),
        ("provenance=nan", {"provenance": "nan"}),
        ("provenance", {"provenance": "T"}),
        ('provenance="1 2 3"', {"provenance": "1 2 3"}),
        ("provenance=[a, b]", {"provenance": "a, b"}),
        ('provenance="_JSON [1, {}]"', {"provenance": "[1, {}]"}),
        ('provenance="_JSON {broken"', {"provenance": "_JSON {broken"}),
        (r'provenance="_JSON {\"by\": [1, null], \"2\": {}}"', {"by": "[1, None]", "2": "{}"}),
        ('name=[1,2] energy=-3.5 stress="1 0 0 0 1 0 0 0 1"', {"energy": "-3.5", "stress": "1 0 0 0 1 0 0 0 1"}),
        ("file=elsewhere.cfg config_type='a b'", {"config_type": "a b"}),
    ],
)
def test_keys_of_any_type_are_read(read: Callable[..., Glass], written: str, kept: dict[str, str]) -> None:
    glass = read(f"{HEAD} {written}\n{PLAIN}")
    assert glass.name == "a"
    assert dict(glass.provenance) == {**kept, "file": "a.xyz"}


@pytest.mark.parametrize("value", ["DFT", 3, math.nan, True, [1, 2], {"by": 1}, np.eye(3), None, b"\xe4", object])
@pytest.mark.parametrize("key", ["name", "provenance", "energy"])
def test_info_of_any_type_is_read_from_ase(glass: Glass, key: str, value: object) -> None:
    atoms = glass.to_ase()
    atoms.info[key] = value
    read = Glass.from_ase(atoms)
    assert isinstance(read.name, str)
    assert all(isinstance(part, str) for pair in read.provenance.items() for part in pair)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"3\n\n{PLAIN}", "Lattice="),
        (f'3\nLattice="1 2 3"\n{PLAIN}', "nine numbers"),
        (f"{HEAD} Properties=species:S:1:pos:R:3:a\n{PLAIN}", "name:type:number of columns"),
        (f"{HEAD} Properties=species:S:1:pos:Q:3\n{PLAIN}", "name:type:number of columns"),
        (f"{HEAD} Properties=species:S:1:pos:R:3:pos:R:1\n{PLAIN}", "twice"),
        (f"{HEAD} Properties=species:S:1:pos:R:2:z:R:1\n{PLAIN}", "expected (N, 3)"),
        (f"{HEAD} Properties=species:S:1:a:R:3\n{PLAIN}", "no positions"),
        (f"{HEAD} Properties=a:S:1:pos:R:3\n{PLAIN}", "neither species nor types"),
        (f"{HEAD} pbc=maybe\n{PLAIN}", "'maybe'"),
        (f"{HEAD} pbc='T T'\n{PLAIN}", "three of T and F"),
        (f'{HEAD} lattice="9 0 0 0 9 0 0 0 9"\n{PLAIN}', "Lattice and lattice"),
        (f"{HEAD}\n{PLAIN.replace('5', 'five')}", "'five'"),
        (f"{HEAD}\n{PLAIN.replace(' 9', '')}", "row 3 of the atoms has 3 value"),
        (f"{HEAD} Properties=species:S:1:pos:R:3\n{PLAIN.replace(' 9', ' 9 10')}", "row 3 of the atoms has 5 value"),
        (f"{HEAD}\n{PLAIN[:18]}", "declares 3 atoms, 2 were found"),
        (f"{HEAD}\n{PLAIN.replace('Zr', 'Qq')}", "Qq"),
        (with_columns("flag:L:1", "T\nF\nperhaps"), "'perhaps'"),
        (with_columns("occupancy:R:1", "1\n0.5\n1"), "atom 1 (0.5)"),
        ("three\n", "number of atoms"),
        ("0\n\n", "no atoms"),
    ],
)
def test_what_is_wrong_is_named(read: Callable[..., Glass], text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert said in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_plain_types_ask_for_a_map_and_further_columns_are_kept(read: Callable[..., Glass]) -> None:
    text = HEAD + "\n" + "1 1 2 3 -0.5\n2 4 5 6 0.25\n1 7 8 9 0\n"
    with pytest.raises(SpeciesNeededError, match="types \\[1, 2\\]") as caught:
        read(text)
    assert caught.value.types == (1, 2)
    glass = read(text, species={1: "Zr", 2: "Al"})
    assert glass.symbols == ["Zr", "Al", "Zr"]
    np.testing.assert_array_equal(glass.arrays["column_5"], [-0.5, 0.25, 0])


def test_a_map_for_atomic_numbers_and_one_that_contradicts(read: Callable[..., Glass]) -> None:
    hydrogen = f"{HEAD}\n{PLAIN.replace('Cu', 'H').replace('Zr', 'He')}"  # types that a program took for numbers
    assert read(hydrogen, species={1: "Cu", 2: "Zr"}).symbols == ["Cu", "Zr", "Cu"]
    with pytest.raises(InputError, match="names the species Cu, Zr"):
        read(f"{HEAD}\n{PLAIN}", species={1: "Al", 2: "Zr"})


def test_whole_numbers_beyond_64_bits_keep_their_digits(read: Callable[..., Glass]) -> None:
    digits = ["18446744073709551616", "1", "99999999999999999999"]
    for kind in "IS":
        assert read(with_columns(f"hash:{kind}:1", "\n".join(digits))).arrays["hash"].tolist() == digits


def test_every_digit_is_read(read: Callable[..., Glass]) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)) * 10.0 ** np.arange(-3, 47)[:, None].clip(None, 3)
    rows = "".join(f"Cu {' '.join(map(repr, row))}\n" for row in values.tolist())
    np.testing.assert_array_equal(read(f'50\nLattice="{CELL}"\n{rows}').positions, values)


def test_frames_have_their_own_columns_and_counts(read: Callable[..., Glass]) -> None:
    text = with_columns("mine:R:1", "1\n2\n3") + f'1\nLattice="{CELL}"\nAl 0 0 0\n\n'
    assert read(text).symbols == ["Al"]
    assert read(text, frame=0).arrays["mine"].tolist() == [1, 2, 3]
    assert read(text, frame=-2).symbols == ["Cu", "Zr", "Cu"]
    for frame in (2, -3):
        with pytest.raises(InputError, match=f"frame {frame} does not exist: the XYZ file has 2 frame"):
            read(text, frame=frame)


def test_results_of_calculators_are_kept(glass: Glass, tmp_path: Path) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms, rng = glass.to_ase(), np.random.default_rng(0)
    results = {"forces": (216, 3), "energies": (216,), "charges": (216,), "magmoms": (216,), "stresses": (216, 6)}
    values = {name: rng.normal(size=shape).round(6) for name, shape in results.items()}
    atoms.calc = SinglePointCalculator(atoms, energy=-700.5, **values)
    for path in (tmp_path / "a.extxyz", tmp_path / "a.traj"):
        write(path, atoms)
        read = read_glass(path)
        for name, expected in values.items():
            if name in read.arrays or path.suffix == ".traj":
                np.testing.assert_allclose(read.arrays[name], expected, atol=1e-6)
        assert {"forces", "energies", "magmoms"} <= set(read.arrays)
        assert float(read.provenance["energy"]) == -700.5
    atoms.positions[0] += 0.1  # what was computed is not of these atoms any more
    assert "forces" not in Glass.from_ase(atoms).arrays


def test_unknown_barriers_stay_unknown(read: Callable[..., Glass]) -> None:
    glass = read(with_columns("barrier:R:1", "1.5\nnan\nNaN"))
    assert glass.barriers is not None
    np.testing.assert_array_equal(glass.barriers, [1.5, np.nan, np.nan])


def test_text_that_is_not_utf_8(read: Callable[..., Glass]) -> None:
    glass = read(f"{HEAD} author=M\xfcller\n{PLAIN}".encode("latin-1"))
    assert glass.provenance["author"] == "Müller"


def test_categories_that_are_not_utf_8_stay_apart(read: Callable[..., Glass]) -> None:
    text = with_columns("phase:S:1", "\xe4\n\xf6\n\xe4").encode("latin-1")
    assert read(text).arrays["phase"].tolist() == ["ä", "ö", "ä"]


def test_whole_numbers_with_decimals_are_types(read: Callable[..., Glass]) -> None:
    rows = "1 2 3 1.0\n4 5 6 2.0\n7 8 9 1.0\n"
    glass = read(f"{HEAD} Properties=pos:R:3:type:R:1\n{rows}", species={"1": "Cu", "2": "Zr"})
    assert glass.symbols == ["Cu", "Zr", "Cu"]


def test_a_number_that_only_python_reads_is_refused(read: Callable[..., Glass]) -> None:
    with pytest.raises(InputError, match="'1_0' where a number is expected"):
        read(f"{HEAD}\n{PLAIN}".replace("Cu 1 2", "Cu 1_0 2"))


def test_keys_of_a_file_are_no_sentences_of_this_package(read: Callable[..., Glass]) -> None:
    glass = read(f"{HEAD} units=metal virial=[[1,2,3],[4,5,6],[7,8,9]]\n{PLAIN}")
    assert notes(glass) == []
    assert glass.provenance["stated_units"] == "metal"
    assert set(glass.provenance) == {"stated_units", "virial", "file"}
