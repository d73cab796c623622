"""Many structures, and blocks of large ones: the predictions of each whole, whoever computes them, and none twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from symgnn_explain.cli import main
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.models import many
from symgnn_explain.models.blocks import surroundings
from symgnn_explain.models.predictor import AtomPredictions, Predictor
from symgnn_explain.models.sweep import blocks_of
from symgnn_explain.runs.parts import Parts
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.writing import write_extended_xyz


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(device="cpu")


def crystal(cells: Sequence[int], seed: int = 0, *, pbc: Sequence[bool] = (True, True, True), tilt: float = 0) -> Glass:
    """Return rattled B2 CuZr, with atoms that lie outside of the cell."""
    rng = np.random.default_rng(seed)
    corners = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    scaled = (corners + np.array([[0.1, 0.1, 0.1], [0.6, 0.6, 0.6]])).reshape(-1, 3) / cells
    cell = 3.26 * np.diag(np.array(cells, dtype=float))
    cell[1, 0] = tilt
    scaled = scaled + np.where(pbc, rng.integers(-1, 2, scaled.shape), 0)
    return Glass(
        scaled @ cell + rng.normal(0, 0.05, scaled.shape), np.tile([29, 40], len(scaled) // 2), cell, np.array(pbc)
    )


@pytest.mark.parametrize(
    ("glass", "block_atoms"),
    [
        (crystal((9, 9, 9)), 400),
        (crystal((4, 5, 14), tilt=2.0), 150),
        (crystal((7, 7, 7), pbc=(True, False, True)), 200),
        (crystal((2, 2, 40)), 170),
    ],
    ids=["periodic", "tilted", "slab", "smaller than the cut-off"],
)
def test_blocks_are_predicted_as_in_the_whole(glass: Glass, block_atoms: int, predictor: Predictor) -> None:
    whole = predictor.predict_atoms(glass)
    order, ends = blocks_of(glass, block_atoms)
    assert len(ends) > 2
    for core in starmap(slice, pairwise(ends[:3].tolist())):
        atoms = order[core]
        block = surroundings(predictor.model, glass, atoms)
        found = predictor.predict_first(block)
        for name in AtomPredictions._fields:
            np.testing.assert_allclose(getattr(found, name), getattr(whole, name)[atoms], atol=1e-6, rtol=1e-6)


def test_workers_find_what_one_process_does_and_blocks_go_back_to_their_places(predictor: Predictor) -> None:
    glasses = [crystal((5, 5, 5), seed) for seed in range(2)]
    found = many.predict_many(predictor, glasses, total=2, workers=2, block_atoms=160)
    for glass, (same, predicted) in zip(glasses, found, strict=True):
        assert same is glass
        np.testing.assert_allclose(predicted.values, predictor.predict(glass), atol=1e-6)


def test_a_cluster_finds_what_one_process_does(predictor: Predictor) -> None:
    distributed = pytest.importorskip("distributed")
    glass = crystal((5, 5, 5))
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        [(_, found)] = many.predict_many(predictor, [glass], total=1, client=client, block_atoms=160)
    np.testing.assert_allclose(found.values, predictor.predict(glass), atol=1e-6)


def test_nothing_is_computed_twice_after_an_interruption(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glasses, computed = [crystal((3, 3, 3), seed) for seed in range(4)], []
    predict_part = many._predict_part

    def counted(shared: Any, work: Any, report: Callable[[float], None]) -> dict[str, Any]:
        computed.append(work.content_hash)
        return predict_part(shared, work, report)

    monkeypatch.setattr(many, "_predict_part", counted)
    stop, parts = threading.Event(), Parts(tmp_path / "parts")

    def progress(done: float) -> None:
        if done >= 0.5:
            stop.set()

    with pytest.raises(Cancelled):
        list(many.predict_many(predictor, glasses, parts, total=4, progress=progress, cancel=stop))
    assert 0 < len(parts) < 4
    resumed = list(many.predict_many(predictor, glasses, Parts(tmp_path / "parts"), total=4))
    assert sorted(computed) == sorted(glass.content_hash for glass in glasses)
    for glass, predicted in resumed:
        np.testing.assert_array_equal(predicted.values, predictor.predict(glass))
    # What stands there is another structure's, or damaged: it is not used.
    moved = [replace(glass, positions=glass.positions + 0.01) for glass in glasses[:1]]
    list(many.predict_many(predictor, moved, Parts(tmp_path / "parts"), total=1))
    assert computed[-1] == moved[0].content_hash
    for path in (tmp_path / "parts").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="is not whole"):
        list(many.predict_many(predictor, moved, Parts(tmp_path / "parts"), total=1))
    assert computed[-2:] == [moved[0].content_hash] * 2


@pytest.fixture
def trajectory(tmp_path: Path) -> Path:
    return write_extended_xyz([crystal((3, 3, 3), seed) for seed in range(5)], tmp_path / "md.extxyz")


def test_frames_on_the_command_line(
    trajectory: Path, tmp_path: Path, predictor: Predictor, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert main(["predict", str(trajectory), "--frames", "::2", "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert table["frame"].unique().tolist() == [0, 2, 4]
    assert "162 atoms in 3 frames" in capsys.readouterr().out
    for frame in (0, 2, 4):
        values = table.query("frame == @frame")["barrier_eV"]
        np.testing.assert_allclose(values, predictor.predict(crystal((3, 3, 3), frame)), atol=1e-6)
    one = tmp_path / "one.csv"
    assert main(["predict", str(trajectory), "--frame", "2", "--out", str(one)]) == 0
    pd.testing.assert_frame_equal(
        pd.read_csv(one), table.query("frame == 2").drop(columns="frame").reset_index(drop=True)
    )
    assert main(["predict", str(trajectory), "--frames", "1,-1", "--out", str(tmp_path / "out.json")]) == 0
    entries = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert [entry["frame"] for entry in entries] == [1, 4]
    assert main(["predict", str(trajectory), "--frames", "3:", "--out", str(tmp_path / "out.extxyz")]) == 0
    assert (tmp_path / "out.extxyz").read_text().count("Lattice=") == 2
    assert not list(tmp_path.glob("*.parts"))
    capsys.readouterr()
    for wrong, sentence in {
        ("--frames", "5:"): "chooses none of the frames",
        ("--frames", "1", "--frame", "1"): "both given",
        ("--frames", "7"): "frame 7 does not exist: the XYZ file has 5",
        ("--frames", "one"): "cannot be understood",
        ("--frames", ":", "--workers", "0"): "must be at least 1",
    }.items():
        assert main(["predict", str(trajectory), *wrong, "--out", str(tmp_path / "no.csv")]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1


def test_an_interrupted_command_continues(
    trajectory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(trajectory), "--frames", ":"]
    assert main([*command, "--out", str(tmp_path / "whole.csv")]) == 0
    computed = 0
    predict_atoms = Predictor.predict_atoms

    def interrupted(*given: Any, **options: Any) -> Any:
        nonlocal computed
        computed += 1
        if computed == 3:
            raise KeyboardInterrupt
        return predict_atoms(*given, **options)

    monkeypatch.setattr(Predictor, "predict_atoms", interrupted)
    again = [*command, "--out", str(tmp_path / "again.csv")]
    assert main(again) == 130
    assert "2 parts are in" in capsys.readouterr().err
    assert not (tmp_path / "again.csv").exists()
    assert main(again) == 0
    assert computed == 6
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not list(tmp_path.glob("*.parts"))


def test_parts_remove_nothing_of_others(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    parts.put("a", {"values": [1.0]})
    (tmp_path / "parts" / "notes.txt").write_text("mine")
    parts.discard()
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["notes.txt"]


def test_what_died_with_its_workers_is_said_and_the_rest_is_kept(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> dict[str, Any]:
        import os

        os._exit(9)

    monkeypatch.setattr(many, "_predict_part", die)
    with pytest.raises(InputError, match="a worker process ended unexpectedly"):
        list(many.predict_many(predictor, [crystal((2, 2, 2))], Parts(tmp_path / "parts"), total=1, workers=2))
