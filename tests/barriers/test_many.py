"""Barriers of many atoms: records, resuming, what killed runs leave, the command, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from symgnn_explain.cli import main
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.saddles import (
    AtomBarrier,
    BarrierSet,
    EamCalculator,
    Saddle,
    SearchSettings,
    compute_barriers,
    many,
    search_saddles,
)
from symgnn_explain.structure.datasets import COMPUTED_ARRAY, with_computed_barriers
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass, write_glass

QUICK = SearchSettings(searches=2, escape_curvature=-0.3, local_radius=5.0, highest_energy=4.0)
QUICK_OPTIONS = [
    *("--searches", "2", "--set", "escape_curvature=-0.3", "--set", "local_radius=5.0", "--set", "highest_energy=4.0")
]


@pytest.fixture
def glass(vacancy: Glass) -> Glass:
    return vacancy


def record_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("atom-*.npz")}


def test_an_atoms_barrier_is_the_mean_over_its_saddles() -> None:
    none = np.empty((0, 3))
    saddles = tuple(
        Saddle(barrier, 0.1, -1.0, k, np.empty(0, np.int64), none) for k, barrier in enumerate((1.0, 2.0, 3.0))
    )
    barrier = AtomBarrier(4, saddles, {"saddle": 3, "not connected": 2}, (10, 2))
    assert barrier.mean == pytest.approx(2.0)
    assert barrier.standard_error == pytest.approx(1 / np.sqrt(3))
    assert barrier.searches == 5
    assert str(barrier) == "atom 4: 2.000 ± 0.577 eV from 3 saddles in 5 searches"
    empty = AtomBarrier(4, (), {"not connected": 5}, (10, 2))
    assert empty.mean is None
    assert empty.standard_error is None
    assert AtomBarrier(4, saddles[:1], {"saddle": 1}, (10, 2)).standard_error is None


def test_searches_with_two_seeds_join_to_what_one_longer_run_would_be(calculator: EamCalculator, glass: Glass) -> None:
    first, second = (
        search_saddles(glass, calculator, 1, SearchSettings(**{**vars(QUICK), "searches": 4, "seed": seed}))
        for seed in (0, 1)
    )
    joined = first.with_more(second, QUICK.same_saddle)
    assert joined.searches == 8
    assert joined.outcomes["saddle"] == len(joined.saddles) >= len(first.saddles)
    apart = [a.distance_to(b) for k, a in enumerate(joined.saddles) for b in joined.saddles[:k]]
    assert min(apart, default=1.0) >= QUICK.same_saddle
    assert joined.calls == (first.calls[0] + second.calls[0], first.calls[1] + second.calls[1])
    # What was found already adds nothing.
    assert [s.barrier for s in first.with_more(first, QUICK.same_saddle).saddles] == list(first.barriers)
    assert first.saddles[0].distance_to(first.saddles[0]) == 0.0
    with pytest.raises(InputError, match="cannot be joined"):
        first.with_more(AtomBarrier(2, (), {}, (0, 0)), QUICK.same_saddle)


def test_records_survive_and_a_second_run_computes_nothing(
    calculator: EamCalculator, glass: Glass, tmp_path: Path
) -> None:
    computed = compute_barriers(glass, calculator, [0, 3], settings=QUICK, out=tmp_path)
    direct = search_saddles(glass, calculator, 3, QUICK)
    assert computed[1].to_dict() == direct.to_dict()
    assert any(barrier.saddles for barrier in computed)
    for barrier in computed:
        for saddle in barrier.saddles:
            assert np.linalg.norm(saddle.displacements, axis=1).min() > 0.019
    kept = record_files(tmp_path)
    started = time.perf_counter()
    again = compute_barriers(glass, calculator, [3, 0], settings=QUICK, out=tmp_path)
    assert time.perf_counter() - started < 5
    assert again.atoms == (3, 0)
    assert record_files(tmp_path) == kept
    assert BarrierSet.open(tmp_path).atoms == (0, 3)
    labelled = with_computed_barriers(glass, again.to_frame()).arrays[COMPUTED_ARRAY]
    assert np.isfinite(labelled).sum() == sum(bool(barrier.saddles) for barrier in computed)


def test_workers_and_this_process_write_the_same_records(
    calculator: EamCalculator, glass: Glass, tmp_path: Path
) -> None:
    for workers in (1, 2):
        compute_barriers(glass, calculator, [0, 1], settings=QUICK, out=tmp_path / str(workers), workers=workers)
    assert record_files(tmp_path / "1") == record_files(tmp_path / "2")


def test_a_cancelled_run_keeps_what_was_done_and_a_damaged_record_is_computed_anew(
    calculator: EamCalculator, glass: Glass, tmp_path: Path
) -> None:
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        compute_barriers(
            glass,
            calculator,
            [0, 1, 2],
            settings=QUICK,
            out=tmp_path,
            cancel=cancel,
            progress=lambda progress: cancel.set() if progress.done == 1 else None,
        )
    [kept] = record_files(tmp_path)
    whole = (tmp_path / kept).read_bytes()
    (tmp_path / kept).write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="is not whole"):
        compute_barriers(glass, calculator, [0], settings=QUICK, out=tmp_path)
    assert (tmp_path / kept).read_bytes() == whole


def test_a_folder_of_another_run_is_refused(calculator: EamCalculator, glass: Glass, tmp_path: Path) -> None:
    compute_barriers(glass, calculator, [0], settings=QUICK, out=tmp_path)
    with pytest.raises(InputError, match=r"holds barriers that differ in settings .*searches: 2 there, 3 here"):
        compute_barriers(
            glass, calculator, [0], settings=SearchSettings(**{**vars(QUICK), "searches": 3}), out=tmp_path
        )


@pytest.fixture
def command(glass: Glass, tables: Callable[..., Path], tmp_path: Path) -> list[str]:
    """All but where to."""
    file = write_glass(glass, tmp_path / "crystal.extxyz")
    return ["barriers", str(file), *QUICK_OPTIONS, "--potential", str(tables("Cu", "Zr"))]


def test_the_command_writes_table_saddles_and_structure(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*command, "--atoms", "0,3", "--out", str(out)]) == 0
    assert "atom 0: " in capsys.readouterr().out
    table = pd.read_csv(out / "barriers.csv")
    assert table["atom"].tolist() == [0, 3]
    content = json.loads((out / "barriers.json").read_text())
    assert content["run"]["settings"]["searches"] == 2
    known = [atom for atom in content["atoms"] if atom["saddles"]]
    assert known
    for atom in known:
        mean = np.mean([saddle["barrier"] for saddle in atom["saddles"]])
        assert atom["barrier_eV"] == pytest.approx(mean)
        assert table.set_index("atom").loc[atom["atom"], "barrier_eV"] == pytest.approx(mean, abs=1e-5)
    structure = read_glass(out / "barriers.extxyz")
    assert np.flatnonzero(np.isfinite(structure.arrays[COMPUTED_ARRAY])).tolist() == [a["atom"] for a in known]


def test_the_table_holds_all_that_is_recorded_whichever_run_ends_last(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert main([*command, "--atoms", "0,3,5,7", "--out", str(whole)]) == 0
    assert main([*command, "--atoms", "3", "--out", str(out)]) == 0
    assert main([*command, "--atoms", "0", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.count("with 1 atoms of other runs") == 1
    assert pd.read_csv(out / "barriers.csv")["atom"].tolist() == [0, 3]
    write = many.write_barriers
    seen = []

    def meanwhile(barriers: many.BarrierSet, *others: Any) -> Any:
        """Another run ends while this one writes its files."""
        seen.append(barriers.atoms)
        if len(seen) == 1:
            assert main([*command, "--atoms", "7", "--out", str(out)]) == 0
        return write(barriers, *others)

    monkeypatch.setattr(many, "write_barriers", meanwhile)
    assert main([*command, "--atoms", "5", "--out", str(out)]) == 0
    assert seen[0] == (0, 3, 5)
    for name in ("barriers.csv", "barriers.json", "barriers.extxyz"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_atoms_are_chosen_by_what_predict_wrote_into_the_file(
    command: list[str], glass: Glass, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    which = [*command, "--atoms", "lowest:2", "--out", str(tmp_path / "out")]
    assert main(which) == 2
    assert "--out F.extxyz` writes them beside the structure" in capsys.readouterr().err
    predicted = np.where(np.isin(np.arange(len(glass)), [3, 5]), 0.5, 1.5)
    Path(command[1]).unlink()
    write_glass(replace(glass, arrays={"predicted_barrier": predicted}), Path(command[1]))
    assert main(which) == 0
    assert pd.read_csv(tmp_path / "out" / "barriers.csv")["atom"].tolist() == [3, 5]


def test_other_settings_are_refused_before_anything_is_computed(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--atoms", "3", "--out", str(tmp_path / "out")]) == 0
    before = (tmp_path / "out" / "barriers.csv").read_bytes()
    monkeypatch.setattr(many, "at_minimum", lambda *_: pytest.fail("it computes"))
    assert main([*command, "--atoms", "0", "--seed", "9", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "holds barriers that differ in settings (seed: 0 there, 9 here)" in said
    assert said.count("\n") == 1
    assert (tmp_path / "out" / "barriers.csv").read_bytes() == before


@pytest.mark.slow
def test_a_run_that_is_killed_twice_ends_with_the_same_records(command: list[str], tmp_path: Path) -> None:
    def run(out: Path, *, kill_at: int | None = None) -> None:
        shell = [sys.executable, "-m", "symgnn_explain", *command, "--atoms", "0 to 19", "--out", str(out)]
        with subprocess.Popen(shell, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            while kill_at is not None and process.poll() is None and len(record_files(out / "records")) < kill_at:
                time.sleep(0.01)
            if kill_at is not None:
                process.send_signal(signal.SIGKILL)
            _, said = process.communicate(timeout=240)
        if kill_at is None:
            assert process.returncode == 0, said.decode()

    run(tmp_path / "killed", kill_at=5)
    assert 5 <= len(record_files(tmp_path / "killed" / "records")) < 20
    run(tmp_path / "killed", kill_at=12)
    assert 12 <= len(record_files(tmp_path / "killed" / "records")) < 20
    run(tmp_path / "killed")
    run(tmp_path / "whole")
    assert record_files(tmp_path / "killed" / "records") == record_files(tmp_path / "whole" / "records")
    for name in ("barriers.csv", "barriers.json", "barriers.extxyz"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--atoms", "400"], "400"),
        (["--atoms", "1", "--searches", "0"], "searches=0"),
        (["--atoms", "1", "--set", "push=3"], "expected KEY=VALUE with a key among searches, seed"),
        (["--atoms", "1", "--set", "push_step=far"], "push_step is of type float"),
        (["--atoms", "1", "--potential", "missing.eam.fs"], "missing.eam.fs cannot be read"),
        (["--atoms", "1", "--workers", "0"], "at least 1"),
    ],
)
def test_the_command_refuses(
    command: list[str], tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("out/records/atom-*"))
