"""Pickles that would run something: nothing of them is loaded, and one sentence says so."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.structure.plain_pickle import load_plain_pickle

from .conftest import Refused


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def hostile_pickles(marker: Path) -> dict[str, bytes]:
    """Pickles that would make the file ``marker``, or bring numpy to follow a forged address."""
    touch = f"open({str(marker)!r}, 'w').close()"
    saved = io.BytesIO()
    np.save(saved, np.array([Calls(exec, touch)], dtype=object), allow_pickle=True)
    forged = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
    opcodes = b"\x80\x04c%s\n%s\n(S'%s'\ntR."
    return {
        "system": pickle.dumps(Calls(os.system, f"touch {marker}")),
        "system, by hand": opcodes % (b"posix", b"system", f"touch {marker}".encode()),
        "popen": pickle.dumps(Calls(subprocess.Popen, ["touch", str(marker)])),
        "exec": pickle.dumps(Calls(exec, touch)),
        "eval": pickle.dumps(Calls(eval, f"open({str(marker)!r}, 'w')")),
        "open": pickle.dumps(Calls(builtins.open, str(marker), "w")),
        "getattr": pickle.dumps(Calls(getattr, "text", "format")),
        "import": pickle.dumps(Calls(__import__, "this")),
        "pickle within": pickle.dumps(Calls(pickle.loads, pickle.dumps(Calls(exec, touch)))),
        "numpy.load": pickle.dumps(Calls(np.load, io.BytesIO(saved.getvalue()), None, True)),
        "object array": pickle.dumps(np.array([Calls(exec, touch)], dtype=object)),
        "within a good file": pickle.dumps({"positions": np.zeros((1, 3)), "box": Calls(exec, touch)}),
        "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__doc__\x93.",
        "forged dtype": pickle.dumps(
            Calls(
                np.core.numeric._frombuffer if np.__version__ < "2" else np._core.numeric._frombuffer,
                struct.pack("<Q", 0x4141414141) * 2,
                Forged(forged),
                (2,),
                "C",
            )
        ),
    }


class Forged:
    """Pickles as a dtype of eight bytes that claims, in its state, to hold addresses of objects."""

    def __init__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, ("V8", False, True), self.state


@pytest.mark.parametrize("kind", hostile_pickles(Path("marker")))
@pytest.mark.parametrize("name", ["glass.pickle", "glass.PKL", "glass.extxyz", "glass.traj", "glass.data", "glass"])
def test_hostile_pickles_run_nothing(refused: Refused, tmp_path: Path, kind: str, name: str) -> None:
    marker = tmp_path / "marker"
    blob = hostile_pickles(marker)[kind]
    path = tmp_path / name
    path.write_bytes(blob)
    said = refused(path, "--species", "1=Cu,2=Zr")
    assert not marker.exists()
    if name == "glass.pickle" and kind not in {"forged dtype", "object array"}:
        assert "could run code, so nothing of it was loaded" in said


def test_the_hostile_pickles_are_hostile(tmp_path: Path) -> None:
    for kind in ("system", "system, by hand", "exec", "pickle within", "object array", "within a good file"):
        marker = tmp_path / "marker"
        pickle.loads(hostile_pickles(marker)[kind])
        assert marker.exists()
        marker.unlink()


def test_a_pickle_cannot_change_what_rebuilds_the_next_one() -> None:
    # BUILD with a pair of dicts sets attributes on whatever is on the stack: here on the stand-in of a numpy function.
    module, name = b"numpy.core.multiarray", b"_reconstruct"
    poison = b"\x80\x02c" + module + b"\n" + name + b"\n(N}X\x08\x00\x00\x00functionNstb."
    load_plain_pickle(poison)
    np.testing.assert_array_equal(load_plain_pickle(pickle.dumps(np.arange(3))), np.arange(3))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(np.arange(3))), np.arange(3))


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "glass.pickle"
    path.write_bytes(hostile_pickles(marker)["system"])
    command = [sys.executable, "-m", "symgnn_explain", "predict", str(path), "--out", str(tmp_path / "out.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"[^\n]+could run code, so nothing of it was loaded[^\n]+\.\n", done.stderr)
    assert list(tmp_path.iterdir()) == [path]
