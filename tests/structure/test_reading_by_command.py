"""What the command line and the explorer say about a file that was read."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.cli import main
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.panels.files import Files
from symgnn_widgets.state.session import Session

from .spellings import COMMENTED, data, dump


@pytest.mark.parametrize("name", [b"a.data", b"gl\xe4s.data"])
def test_inferred_species_are_said_once_beside_the_results(
    random_glass: Callable[..., Glass],
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: bytes,
) -> None:
    path, out = tmp_path / os.fsdecode(name), tmp_path / "out.csv"
    path.write_text(data(random_glass(3), "id type x y z", before=COMMENTED))
    command = ["predict", str(path), "--weights", str(tiny_weights), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().err
    shown = name.decode("utf-8", "backslashreplace")
    sentence = f"{shown}: the species 1=Cu, 2=Zr are taken from the comments in its Masses section; no map was given."
    assert said.splitlines().count(sentence) == 1
    with out.open() as stream:
        assert {row["file"] for row in csv.DictReader(stream)} == {shown}
    assert main([*command, "--species", "1=Cu,2=Zr", "--overwrite"]) == 0
    assert "no map was given" not in capsys.readouterr().err


def test_the_explorer_says_what_reading_inferred(
    random_glass: Callable[..., Glass], tiny_predictor: Predictor, tmp_path: Path
) -> None:
    glass = random_glass(3)
    (tmp_path / "a.dump").write_text(dump(glass, "id type mass x y z"))
    shown = [Session(glass, tiny_predictor)]
    panel = Files(lambda: shown[-1], shown.append)
    panel.path.value = str(tmp_path / "a.dump")
    panel.start(wait=True)
    assert "taken from its mass column; no map was given" in panel.said.value
    np.testing.assert_array_equal(shown[-1].glass.numbers, glass.numbers)
