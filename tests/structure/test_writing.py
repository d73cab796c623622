"""What is written is read back equal, or refused before anything is written."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symgnn_explain.cli import main
from symgnn_explain.errors import InputError
from symgnn_explain.export.session_file import PredictorIdentity, SavedSession, read_session, write_session
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import LossyFormatWarning, read_glass, write_glass
from symgnn_explain.structure.io.writing import differences, write_extended_xyz

N = 4
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


def glass_with(**arrays: Any) -> Glass:
    rng = np.random.default_rng(3)
    return Glass(
        positions=rng.uniform(-20, 40, (N, 3)),  # outside the cell too
        numbers=[29, 40, 29, 13],
        cell=[[9.1, 0.0, 0.0], [1 / 3, 8.7, 0.0], [-1e-7, 2**0.5, 10.0]],
        pbc=[True, False, True],
        barriers=[1.0, np.nan, 0.1 + 0.2, 1e-300],
        name="written",
        provenance={"by": 'a "test" with \\ and \n, {braces} [x] = é 1.0', "1": "T"},
        arrays=arrays,
    )


FITTING: dict[str, Any] = {
    "a name with spaces": np.arange(N) / 3,
    "name=1": np.arange(N),
    "quo\"te's": np.arange(N),
    "comma,and;more": np.arange(N),
    "back\\slash": np.arange(N),
    "{brace}[x]": np.arange(N),
    "größe μ": np.arange(N) * 0.1,
    "<script>alert(1)</script>": np.arange(N),
    "Lattice": np.arange(N),
    "Properties": np.arange(N),
    "pbc": np.arange(N),
    "uint64": np.array([0, 1, 2**33, 2**53], dtype=np.uint64),
    "int8": np.array([-128, 0, 1, 127], dtype=np.int8),
    "large": np.array([2**31 - 1, 2**31, 2**40, -(2**45)]),
    "least": np.array([-(2**31), 0, 0, 0]),
    "float32": np.array([0.1, 1e-30, 3e38, np.nan], dtype=np.float32),
    "extremes": np.array([np.inf, -np.inf, 5e-324, 1.7976931348623157e308]),
    "flag": np.array([True, False, True, True]),
    "flags": np.array([[True, False]] * N),
    "vector": np.random.default_rng(0).normal(size=(N, 3)),
    "six": np.random.default_rng(0).normal(size=(N, 6)),
    "word": np.array(["Cu", "ß", "1", "T"]),
    "words": np.array([["a", "b"]] * N),
}
UNFITTING: dict[str, Any] = {
    "with:colon": np.arange(N),
    "line\nend": np.arange(N),
    "": np.arange(N),
    "species": np.arange(N),
    "pos": np.random.default_rng(0).normal(size=(N, 3)),
    "Z": np.arange(N),
    "charge": np.arange(N) * 1.0,
    "move_mask": np.ones(N, dtype=bool),
    "beyond": np.array([2**53 + 1, 0, 0, 0]),
    "tensor": np.zeros((N, 3, 3)),
    "one column": np.zeros((N, 1)),
    "spaced": np.array(["a b", "c", "d", "e"]),
    "empty text": np.array(["", "c", "d", "e"]),
}


class TestExtendedXyz:
    @pytest.mark.parametrize("suffix", [".extxyz", ".xyz", ".extxyz.xz", ".xyz.gz", ".extxyz.bz2"])
    def test_everything_comes_back(self, suffix: str, tmp_path: Path) -> None:
        glass = glass_with(**FITTING)
        again = read_glass(write_glass(glass, tmp_path / f"all{suffix}"))
        assert differences(glass, again) == []
        assert again.content_hash == glass.content_hash
        assert list(again.arrays) == list(glass.arrays)
        assert [array.dtype.kind for array in again.arrays.values() if array.dtype.kind != "f"] == [
            array.dtype.kind
            for name, array in glass.arrays.items()
            if array.dtype.kind != "f" and name not in _AS_FLOAT
        ]

    @pytest.mark.parametrize("name", FITTING)
    def test_each_comes_back(self, name: str, tmp_path: Path) -> None:
        glass = glass_with(**{name: FITTING[name]})
        again = read_glass(write_glass(glass, tmp_path / "one.extxyz"))
        assert np.array_equal(again.arrays[name], glass.arrays[name], equal_nan=glass.arrays[name].dtype.kind == "f")

    @pytest.mark.parametrize("name", UNFITTING)
    def test_what_does_not_fit_is_refused_by_name(self, name: str, tmp_path: Path) -> None:
        glass = glass_with(fits=np.arange(N), **{name: UNFITTING[name]})
        path = tmp_path / "old.extxyz"
        path.write_text("old")
        with pytest.raises(InputError, match=r"would not be read back|does not fit") as refused:
            write_glass(glass, path)
        assert repr(name) in str(refused.value)
        assert "fits'" not in str(refused.value)
        assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.extxyz", "old")]

    @pytest.mark.parametrize("other", ["force0", "element", "symbols_", "z", "type", "mass", "occ"])
    def test_columns_of_similar_names_stay_apart(self, tmp_path: Path, other: str) -> None:
        glass = glass_with(force=np.ones((N, 3)), **{other: np.ones(N)})
        again = read_glass(write_glass(glass, tmp_path / "two.extxyz"))
        assert set(again.arrays) == {"force", other}
        assert again.content_hash == glass.content_hash

    @pytest.mark.parametrize("name", ["forces", "energies", "charges", "stresses", "magmoms", "momenta", "tags"])
    def test_names_of_ase_come_back(self, name: str, tmp_path: Path) -> None:
        columns = {"forces": 3, "stresses": 6, "momenta": 3}.get(name)
        array = np.random.default_rng(1).normal(size=(N, columns) if columns else N)
        again = read_glass(write_glass(glass_with(**{name: array}), tmp_path / "ase.extxyz"))
        assert np.array_equal(again.arrays[name], array)

    @pytest.mark.parametrize("name", ["positions", "numbers", "barrier"])
    def test_a_glass_refuses_names_of_its_own(self, name: str) -> None:
        with pytest.raises(InputError, match=f"'{name}' has the name"):
            glass_with(**{name: np.arange(N)})

    def test_provenance_comes_back(self, tmp_path: Path) -> None:
        glass = glass_with()
        provenance = dict(read_glass(write_glass(glass, tmp_path / "p.extxyz")).provenance)
        assert provenance.pop("file") == "p.extxyz"
        assert provenance == dict(glass.provenance)

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
    def test_every_digit_comes_back(self, tmp_path: Path, position: list[float]) -> None:
        glass = replace(glass_with(), positions=[position, [0, 0, 0], [1, 1, 1], [2, 2, 2]])
        assert read_glass(write_glass(glass, tmp_path / "digits.extxyz")).content_hash == glass.content_hash

    def test_frames_come_back(self, tmp_path: Path) -> None:
        first, second = glass_with(a=np.arange(N)), glass_with(b=np.arange(N) / 7)
        path = write_extended_xyz([first, second], tmp_path / "two.extxyz", info=[{"note": 'a "b"'}, {}])
        assert differences(first, read_glass(path, frame=0)) == []
        assert differences(second, read_glass(path, frame=1)) == []
        assert read_glass(path, frame=0).provenance["note"] == 'a "b"'

    def test_other_programs_read_it(self, tmp_path: Path) -> None:
        from ase.io import read

        glass = glass_with(vector=FITTING["vector"], flag=FITTING["flag"])
        atoms = read(write_glass(glass, tmp_path / "ase.extxyz"))
        assert np.array_equal(atoms.positions, glass.positions)
        assert np.array_equal(atoms.cell, glass.cell)
        assert np.array_equal(atoms.arrays["vector"], glass.arrays["vector"])


_AS_FLOAT = {"uint64", "large", "least"}
"""Whole numbers that readers would overflow on as integers."""


class TestOtherFormats:
    @pytest.mark.parametrize("name", ["POSCAR", "glass.cif", "glass.xsf", "glass.data", "glass.vasp"])
    def test_what_is_dropped_is_said(self, name: str, tmp_path: Path) -> None:
        glass = Glass(
            positions=np.random.default_rng(0).uniform(0, 9, (8, 3)),
            numbers=[29] * 5 + [40] * 3,
            cell=np.diag([9.0, 9.5, 10.0]),
            barriers=np.linspace(0, 2, 8),
            arrays={"mine": np.arange(8)},
        )
        with pytest.warns(LossyFormatWarning, match=r"barriers.*'mine'.*: \.extxyz does"):
            path = write_glass(glass, tmp_path / name)
        assert [file.name for file in tmp_path.iterdir()] == [path.name]

    @pytest.mark.parametrize("name", ["glass.unknown", "glass.png", "glass"])
    def test_what_cannot_be_read_is_refused(self, name: str, tmp_path: Path) -> None:
        with warnings.catch_warnings(), pytest.raises(InputError, match=r"use \.extxyz"):
            write_glass(glass_with(), tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_another_structure_is_refused(self, tmp_path: Path) -> None:
        tilted = Glass(positions=np.eye(3) * 2, numbers=[29, 40, 29], cell=[[0, 9, 1], [9, 0, 0], [0, 1, 9]])
        with pytest.raises(InputError, match="another structure"):
            write_glass(tilted, tmp_path / "turned.data")
        assert not list(tmp_path.iterdir())


class TestSessions:
    def test_everything_comes_back(self, tmp_path: Path) -> None:
        arrays = FITTING | {name: value for name, value in UNFITTING.items() if name != "line\nend"}
        glass = glass_with(**arrays)
        session = SavedSession(glass, PredictorIdentity("0" * 64))
        again = read_session(write_session(session, tmp_path / "all.symgnn")).glass
        assert differences(glass, again) == []
        assert again.content_hash == glass.content_hash
        assert again.provenance == glass.provenance


class TestCommandLine:
    def test_predictions_keep_the_columns(self, tmp_path: Path, tiny_weights: Path, glass: Glass) -> None:
        source = write_glass(glass.with_arrays(**{"my id": np.arange(len(glass)) + 2**40}), tmp_path / "in.extxyz")
        out = tmp_path / "out.extxyz"
        assert main(["predict", str(source), "--weights", str(tiny_weights), "--out", str(out)]) == 0
        again = read_glass(out)
        assert again.content_hash == glass.content_hash
        assert np.array_equal(again.arrays["my id"], np.arange(len(glass)) + 2**40)
        assert np.isfinite(again.arrays["predicted_barrier"]).all()

    def test_an_explanation_fits_the_glass_beside_it(
        self, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from symgnn_explain.explain.result.explanation import AtomExplanation

        monkeypatch.setenv("BROWSER_PATH", "/nowhere")
        rng = np.random.default_rng(0)
        grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3) * 2.6
        lines = [
            f"{number + 1} {1 + number % 2} {x:.16g} {y:.16g} {z:.16g}"
            for number, (x, y, z) in enumerate(grid + rng.uniform(0, 0.3, grid.shape))
        ]
        header = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n64\nITEM: BOX BOUNDS pp pp pp\n"
        header += "0 10.4123456789012\n" * 3
        dump = tmp_path / "sixteen_digits.dump"
        dump.write_text(header + "ITEM: ATOMS id type x y z\n" + "\n".join(lines) + "\n")
        out = tmp_path / "out"
        command = ["explain", str(dump), "--species", "1=Cu,2=Zr", "--atom", "3", "--weights", str(tiny_weights)]
        assert main([*command, "--method", "integrated_gradients", "--set", "steps=2", "--out", str(out)]) == 0
        explanation = AtomExplanation.load(out / "explanation.json")
        explanation.require_glass(read_glass(out / "glass.extxyz"))
        assert json.loads((out / "summary.json").read_text())
