"""Populations: each atom as alone, the same bytes whatever computed them, and no work lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import (
    METHODS,
    ExplanationSet,
    Method,
    PopulationError,
    PopulationProgress,
    explain_atom,
    explain_many,
    prepare,
)
from symgnn_explain.explain.population.explanation_set import encode
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.records import DamagedRecordWarning
from symgnn_explain.structure.glass import Glass

from .conftest import random_glass, random_model

ATOMS = [5, 31, 12, 0, 59, 44]
FEW = {"method": "gnnexplainer", "epochs": 6}
WORKERS = [1, pytest.param(2, marks=pytest.mark.slow)]  # workers import PyTorch first


def results_in(folder: Path) -> dict[str, bytes]:
    """What a run leaves behind, except how long it took."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "seconds.csv"}


def without_time(explanation: Any) -> dict[str, Any]:
    return {**explanation.to_dict(), "wall_time": None}


def scored_by(score: Callable[[int], float], **features: Any) -> Method:
    """A method whose score of each unit follows from the atom; ``score`` may raise."""

    @dataclass(frozen=True)
    class NoSettings:
        pass

    def run(prediction: Any, _settings: Any, watch: Any) -> Any:
        import numpy as np

        from symgnn_explain.explain.scores import UnitScores

        watch.advance(0.5)
        return UnitScores(np.full(prediction.n_units, score(prediction.atom)), signed=False)

    return Method("scored", "Scored", "For tests.", NoSettings, run, **features)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of an undisturbed run in this process."""
    out = tmp_path_factory.mktemp("one") / "out"
    explain_many(Predictor(random_model(), device="cpu"), random_glass(), ATOMS, out=out, **FEW)
    return out


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("method", ["gnnexplainer", "gnnexplainer_published", "integrated_gradients", "random"])
def test_each_atom_is_explained_as_it_would_be_alone(method, predictor, glass) -> None:
    settings = {"gnnexplainer": {"epochs": 4, "repetitions": 2, "seed": 3}, "gnnexplainer_published": {"epochs": 6}}
    settings |= {"integrated_gradients": {"steps": 3}, "random": {"seed": 2}}
    prepared = prepare(predictor, glass)
    together = explain_many(predictor, glass, ATOMS, method, unit="bond", prepared=prepared, **settings[method])
    for atom, explanation in zip(ATOMS, together, strict=True):
        alone = explain_atom(predictor, glass, atom, method, unit="bond", prepared=prepared, **settings[method])
        assert without_time(explanation) == without_time(alone)
        assert without_time(together[atom]) == without_time(alone)


@pytest.mark.parametrize("where", ["here", "dask"])
def test_the_bytes_do_not_depend_on_what_computed_them(where, one_process, request, tmp_path, predictor, glass) -> None:
    how = {} if where == "here" else {"client": request.getfixturevalue("client")}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        explain_many(predictor, glass, ATOMS[::-1], out=tmp_path / "out", **how, **FEW)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert results_in(tmp_path / "out") == results_in(one_process)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("how", ["cancelled", "interrupted"])
def test_a_stopped_run_continues_to_the_same_bytes(seed, how, one_process, tmp_path, predictor, glass) -> None:
    out, cancel = tmp_path / "out", threading.Event()
    stop_at = np.random.default_rng(seed).uniform(0.0, 0.99)

    def stop(progress: PopulationProgress) -> None:
        if progress >= stop_at and how == "cancelled":
            cancel.set()
        elif progress >= stop_at:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled if how == "cancelled" else KeyboardInterrupt):
        explain_many(predictor, glass, ATOMS, out=out, progress=stop, cancel=cancel, **FEW)
    done = ExplanationSet.open(out).atoms
    assert len(done) == int(stop_at * len(ATOMS))
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("atom-*")}
    explain_many(predictor, glass, ATOMS, out=out, **FEW)
    assert results_in(out) == results_in(one_process)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX ones")
def test_a_killed_run_continues_to_the_same_bytes(tmp_path, tiny_weights) -> None:
    from symgnn_explain.structure.io import read_glass, write_glass

    path, killed, whole = write_glass(random_glass(), tmp_path / "glass.extxyz"), tmp_path / "killed", tmp_path / "out"
    few = {"method": "gnnexplainer", "epochs": 40}
    arguments = [
        "explain-many",
        str(path),
        "--atoms",
        "central:20",
        "--method",
        few["method"],
        "--set",
        "epochs=40",
        "--out",
        str(killed),
    ]
    command = [sys.executable, "-m", "symgnn_explain", *arguments, "--weights", str(tiny_weights)]
    with subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.DEVNULL) as process:
        while len(list(killed.glob("atom-*.npz"))) < 5:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert 5 <= len(ExplanationSet.open(killed)) < 20
    glass, predictor = read_glass(path), Predictor.load(tiny_weights, device="cpu")
    for out in (killed, whole):
        explain_many(predictor, glass, "central:20", out=out, **few)
    leftovers = {path.name for path in killed.glob("*.part")}
    assert {name: blob for name, blob in results_in(killed).items() if name not in leftovers} == results_in(whole)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, predictor, glass) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="nothing can be written into"):
        explain_many(predictor, glass, ATOMS, out=tmp_path / "file" / "out", **FEW)


def test_more_atoms_are_added_to_a_folder(one_process, tmp_path, predictor, glass) -> None:
    out = tmp_path / "out"
    first = explain_many(predictor, glass, ATOMS[:2], out=out, **FEW)
    assert first.atoms == tuple(ATOMS[:2])
    later = explain_many(predictor, glass, ATOMS[1:], out=out, **FEW)
    assert later.atoms == tuple(ATOMS[1:])
    assert ExplanationSet.open(out).atoms == tuple(sorted(ATOMS))
    assert results_in(out) == results_in(one_process)


def test_a_record_that_is_not_whole_is_computed_anew(one_process, tmp_path, predictor, glass) -> None:
    out = tmp_path / "out"
    shutil.copytree(one_process, out)
    records = sorted(out.glob("atom-*"))
    whole = records[0].read_bytes()
    records[0].write_bytes(whole[: len(whole) // 2])
    records[1].write_bytes(b"")
    with pytest.warns(DamagedRecordWarning) as warned:
        explain_many(predictor, glass, ATOMS, out=out, **FEW)
    assert len(warned) == 2
    assert results_in(out) == results_in(one_process)


def another_predictor() -> Predictor:
    return Predictor(random_model(seed=1), device="cpu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"glass": random_glass(seed=1)}, r"differ in glass \(name: random0 there, random1 here; sha256: "),
        ({"predictor": another_predictor()}, r"differ in predictor \(weights_sha256: "),
        ({"method": "gnnexplainer_published"}, r"method \(gnnexplainer there, gnnexplainer_published here\)"),
        ({"epochs": 7}, r"differ in settings \(epochs: 6 there, 7 here\):"),
        ({"semantics": "zero"}, r"differ in mask semantics \(reference there, zero here\), reference glass"),
        ({"unit": "atom"}, r"differ in unit \(edge there, atom here\):"),
    ],
)
def test_a_folder_of_something_else_is_refused_and_left_alone(change, said, one_process, predictor, glass) -> None:
    before = results_in(one_process)
    arguments = {"predictor": predictor, "glass": glass, "atoms": [1], "out": one_process, **FEW} | change
    with pytest.raises(InputError, match=said) as refused:
        explain_many(**arguments)
    assert "\n" not in str(refused.value)
    assert results_in(one_process) == before


def test_another_reference_glass_is_something_else(one_process, predictor, glass) -> None:
    prepared = prepare(predictor, glass, reference=random_glass(seed=5))
    with pytest.raises(InputError, match="differ in reference glass"):
        explain_many(predictor, glass, ATOMS, out=one_process, prepared=prepared, **FEW)


def test_records_of_another_run_among_those_of_this_one_are_refused(one_process, tmp_path, predictor, glass) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    shutil.copytree(one_process, out)
    explain_many(predictor, glass, ATOMS[:1], "gnnexplainer", out=other, epochs=3)
    name = f"atom-{ATOMS[0]:06d}.npz"
    shutil.copy(other / name, out / name)
    with pytest.raises(InputError, match="another run or another atom"):
        explain_many(predictor, glass, ATOMS, out=out, **FEW)
    shutil.copy(one_process / f"atom-{ATOMS[1]:06d}.npz", out / name)
    with pytest.raises(InputError, match="another run or another atom"):
        explain_many(predictor, glass, ATOMS, out=out, **FEW)


@pytest.mark.parametrize("text", [None, "not JSON", "[]", "{}"])
def test_records_without_a_usable_manifest_are_refused(text, one_process, tmp_path, predictor, glass) -> None:
    out = tmp_path / "out"
    shutil.copytree(one_process, out)
    (out / "manifest.json").unlink()
    if text is not None:
        (out / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="choose another folder"):
        explain_many(predictor, glass, ATOMS, out=out, **FEW)


@pytest.mark.parametrize("workers", WORKERS)
def test_errors_of_some_atoms_do_not_lose_the_others(workers, monkeypatch, tmp_path, predictor, glass) -> None:
    bad = {31, 44}

    def score(atom: int) -> float:
        if atom in bad:
            raise ZeroDivisionError(f"atom {atom}\nis bad.")
        return 1 / (1 + atom)

    monkeypatch.setitem(METHODS, "scored", scored_by(score))
    seen: list[PopulationProgress] = []
    with pytest.raises(PopulationError) as failed:
        explain_many(predictor, glass, ATOMS, "scored", out=tmp_path / "out", workers=workers, progress=seen.append)
    sentence = str(failed.value)
    assert "2 of 6 atoms could not be explained (31, 44; the first because of ZeroDivisionError: atom" in sentence
    assert sentence.count("\n") == 0
    assert set(failed.value.errors) == bad
    others = tuple(atom for atom in ATOMS if atom not in bad)
    assert failed.value.explanations.atoms == others
    assert [explanation.score[0] for explanation in failed.value.explanations] == [1 / (1 + atom) for atom in others]
    assert seen[-1].done == seen[-1].total == len(ATOMS)
    bad.clear()
    if workers == 1:
        assert explain_many(predictor, glass, ATOMS, "scored", out=tmp_path / "out").atoms == tuple(ATOMS)


def test_what_no_atom_can_be_explained_with_is_said_as_for_one_atom(monkeypatch, predictor, glass) -> None:
    def score(_: int) -> float:
        raise InputError("this cannot be.")

    monkeypatch.setitem(METHODS, "scored", scored_by(score))
    with pytest.raises(InputError, match=r"^this cannot be\.$") as refused:
        explain_many(predictor, glass, ATOMS, "scored")
    assert not isinstance(refused.value, PopulationError)


def test_a_method_that_takes_several_atoms_gets_them_in_chunks(monkeypatch, predictor, glass) -> None:
    alone = scored_by(lambda atom: 1 / (1 + atom))
    chunks: list[list[int]] = []

    def run_many(predictions: Any, settings: Any, watch: Any) -> Any:
        chunks.append([prediction.atom for prediction in predictions])
        if 12 in chunks[-1]:
            raise RuntimeError("not twelve beside others")
        return [alone.run(prediction, settings, watch) for prediction in predictions]

    monkeypatch.setitem(METHODS, "scored", replace(alone, run_many=run_many))
    together = explain_many(predictor, glass, ATOMS, "scored", atoms_at_once=2)
    assert chunks == [ATOMS[:2], ATOMS[2:4], ATOMS[4:]]
    assert [explanation.score[0] for explanation in together] == [1 / (1 + atom) for atom in ATOMS]


@pytest.mark.parametrize("repetitions", [1, 2])
def test_side_by_side_or_alone_is_the_same_to_rounding(repetitions, predictor, glass) -> None:
    settings = {
        "method": "gnnexplainer",
        "epochs": 8,
        "repetitions": repetitions,
        "stop_early": False,
        "prepared": prepare(predictor, glass),
    }
    alone = explain_many(predictor, glass, ATOMS, **settings)
    together = explain_many(predictor, glass, ATOMS, atoms_at_once=4, **settings)
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first.source, second.source)
        np.testing.assert_allclose(first.score, second.score, atol=1e-3)
        assert first.prediction == second.prediction


def test_cancelling_within_an_atom_keeps_those_before(tmp_path, predictor, glass, monkeypatch) -> None:
    cancel, out = threading.Event(), tmp_path / "out"

    def cancel_within_the_third(progress: PopulationProgress) -> None:
        if progress.done == 2 and progress > 2.5 / len(ATOMS):
            cancel.set()

    scored = scored_by(lambda _: 0.5)

    def endless(prediction: Any, settings: Any, watch: Any) -> Any:
        if prediction.atom == ATOMS[2]:
            for step in range(10**9):
                watch.advance(min(step / 100, 0.9))
        return scored.run(prediction, settings, watch)

    monkeypatch.setitem(METHODS, "scored", replace(scored, run=endless))
    with pytest.raises(Cancelled):
        explain_many(predictor, glass, ATOMS, "scored", out=out, progress=cancel_within_the_third, cancel=cancel)
    assert ExplanationSet.open(out).atoms == tuple(sorted(ATOMS[:2]))


def test_a_run_that_was_cancelled_before_it_began_does_nothing(tmp_path, predictor, glass) -> None:
    cancel = threading.Event()
    cancel.set()
    for workers in (1, 2):
        with pytest.raises(Cancelled):
            explain_many(predictor, glass, ATOMS, out=tmp_path / "out", workers=workers, cancel=cancel)
    assert not (tmp_path / "out").exists()


def test_progress_counts_the_atoms_and_never_falls(tmp_path, predictor, glass) -> None:
    explain_many(predictor, glass, ATOMS[:2], out=tmp_path / "out", **FEW)
    seen: list[PopulationProgress] = []
    explain_many(predictor, glass, ATOMS, out=tmp_path / "out", progress=seen.append, **FEW)
    require_rising(seen, first=2, total=6)
    assert seen[0].seconds_left is None
    assert str(seen[0]) == "2 of 6 atoms"
    assert str(seen[-1]) == "6 of 6 atoms, about 0 s left"


def require_rising(seen: list[PopulationProgress], *, first: int, total: int) -> None:
    assert seen == sorted(seen)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert (seen[0].done, seen[-1].done) == (first, total)
    assert {progress.total for progress in seen} == {total}
    assert (seen[0], seen[-1]) == (pytest.approx(first / total), 1.0)
    assert seen[-1].seconds_left == 0
    assert all(progress.seconds_left >= 0 for progress in seen if progress.seconds_left is not None)


def test_without_a_folder_the_results_are_the_same(one_process, predictor, glass) -> None:
    in_memory, on_disk = explain_many(predictor, glass, ATOMS, **FEW), ExplanationSet.open(one_process)
    assert in_memory.atoms == tuple(ATOMS)
    assert on_disk.atoms == tuple(sorted(ATOMS))
    assert [without_time(explanation) for explanation in in_memory] == [without_time(on_disk[atom]) for atom in ATOMS]
    assert in_memory.manifest == on_disk.manifest


def test_a_set_knows_its_atoms(one_process, glass) -> None:
    explanations = ExplanationSet.open(one_process)
    assert len(explanations) == len(ATOMS)
    assert all(atom in explanations for atom in ATOMS)
    assert 1 not in explanations
    assert [explanation.atom for explanation in explanations] == sorted(ATOMS)
    with pytest.raises(InputError, match="atom 1 is not among the 6 explained"):
        explanations[1]
    explanations.require_glass(glass)
    with pytest.raises(InputError, match="belong to another glass"):
        explanations.require_glass(random_glass(seed=1))
    assert "6 atoms of 'random0', gnnexplainer" in repr(explanations)


def test_a_set_summarises_its_explanations(one_process) -> None:
    explanations = ExplanationSet.open(one_process)
    table = explanations.to_frame().set_index("atom")
    assert list(table.index) == sorted(ATOMS)
    for explanation in explanations:
        row = table.loc[explanation.atom]
        assert row["prediction"] == explanation.prediction
        assert row["masked_change"] == explanation.masked_change
        assert row["out_of_distribution"] == explanation.out_of_distribution
        assert row["n_edges"] == len(explanation)
        assert row["seconds"] == explanation.wall_time > 0
        checked = explanation.fidelity.to_frame().set_index("count")
        assert row["necessity_10"] == checked.loc[10, "necessity"]
        assert row["sufficiency_3"] == checked.loc[3, "sufficiency"]


def test_a_timing_that_was_cut_off_is_unknown(one_process, tmp_path, predictor, glass) -> None:
    shutil.copytree(one_process, tmp_path / "out")
    timings = tmp_path / "out" / "seconds.csv"
    timings.write_text(timings.read_text()[:-3])
    explanations = ExplanationSet.open(tmp_path / "out")
    assert {explanation.atom for explanation in explanations if explanation.wall_time == 0} == {ATOMS[-1]}
    more = explain_many(predictor, glass, [1], out=tmp_path / "out", **FEW)
    assert more[1].wall_time > 0


def test_a_set_holds_one_explanation_at_a_time(tmp_path, predictor, glass) -> None:
    """What iterating keeps does not grow with the number of atoms."""
    explanations = explain_many(predictor, glass, "all", "random", out=tmp_path / "out")
    assert len(explanations) == len(glass)
    one = len(explanations[0].to_dict()["score"]) * 8 * 10  # ten arrays or so
    for explanation in explanations:
        del explanation
        break
    tracemalloc.start()
    try:
        for explanation in explanations:
            del explanation
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5 * one


def test_a_folder_that_holds_nothing_is_no_set(tmp_path) -> None:
    with pytest.raises(InputError, match="holds no explanations"):
        ExplanationSet.open(tmp_path)


@pytest.mark.slow
def test_forty_atoms_interrupted_or_not_here_in_processes_or_on_dask(tmp_path, client) -> None:
    """The acceptance of populations, with few epochs and a small network."""
    glass, predictor = random_glass(125, edge=12.7), Predictor(random_model(heads=(2, 1)), device="cpu")
    settings = {"atoms": "random:40", "method": "gnnexplainer", "epochs": 3}
    seen: list[PopulationProgress] = []
    stops = iter(np.sort(np.random.default_rng(0).uniform(0.05, 0.95, 4)))
    at = next(stops)

    def stop(progress: PopulationProgress) -> None:
        if progress > at:
            raise KeyboardInterrupt

    explain_many(predictor, glass, out=tmp_path / "whole", **settings)
    for following in [*stops, 2.0]:
        with pytest.raises(KeyboardInterrupt):
            explain_many(predictor, glass, out=tmp_path / "interrupted", progress=stop, **settings)
        at = following
    explain_many(predictor, glass, out=tmp_path / "interrupted", progress=stop, **settings)
    explain_many(predictor, glass, out=tmp_path / "processes", workers=2, progress=seen.append, **settings)
    require_rising(seen, first=0, total=40)
    explain_many(predictor, glass, out=tmp_path / "dask", client=client, **settings)
    expected = results_in(tmp_path / "whole")
    assert len(expected) == 41
    for other in ("interrupted", "processes", "dask"):
        assert results_in(tmp_path / other) == expected


def test_each_is_what_explain_alone_gives_to_the_bit_whatever_the_threads(
    glass: Glass, tiny_predictor: Predictor
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = explain_atom(tiny_predictor, glass, 7, "gnnexplainer", epochs=5)
        torch.set_num_threads(3)
        among = explain_many(tiny_predictor, glass, [3, 7], "gnnexplainer", epochs=5)[7]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert encode(alone, "run") == encode(among, "run")
