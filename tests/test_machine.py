"""Machines where something is missing: a browser, a home, room on the disk, semaphores, a scheduler, a reader."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import psutil
import pytest

from symgnn_explain import cli, export
from symgnn_explain.analysis.topology import of_glass
from symgnn_explain.errors import InputError
from symgnn_explain.explain import explain_atom
from symgnn_explain.export import figures as pictures
from symgnn_explain.export.predictions import Prediction, write_predictions
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs import compiled, parallel
from symgnn_explain.runs.failures import failure_sentence
from symgnn_explain.runs.files import WritingError, staged, write_atomically
from symgnn_explain.runs.processes import running
from symgnn_explain.structure.glass import Glass

posix = pytest.mark.skipif(os.name != "posix", reason="signals, and files that run as programs")


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def figure() -> go.Figure:
    return go.Figure(go.Scatter(y=[1, 2]), layout={"width": 300, "height": 200})


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture
def explanation(glass: Glass, tiny_predictor: Predictor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Nearest first, with topologies kept out of the user's cache."""
    monkeypatch.setattr(of_glass, "cycle_cache_folder", lambda: tmp_path.parent / f"{tmp_path.name}-cycles")
    return explain_atom(tiny_predictor, glass, 0, "distance")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that nobody else writes to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


SAYS_ITS_VERSION = 'if [ "$1" = --version ]; then echo 1; exit; fi'


@posix
@pytest.mark.parametrize(
    ("browser", "seconds", "said"),
    [
        ("exit 1", 60, "does not start"),
        ("sleep 600 & sleep 600", 3, "does not start"),
        ("trap '' TERM INT; sleep 600", 3, "does not start"),
        (f"{SAYS_ITS_VERSION}; sleep 600 & sleep 600", 3, "drew nothing within 3 s and was ended"),
        (f"{SAYS_ITS_VERSION}; trap '' TERM INT; sleep 600", 3, "drew nothing within 3 s and was ended"),
    ],
)
def test_a_browser_that_fails_or_hangs_takes_nothing_with_it(
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    glass: Glass,
    explanation: Any,
    browser: str,
    seconds: int,
    said: str,
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(program(tmp_path / "browser", browser)))
    monkeypatch.setenv(pictures.TIME_LIMIT_VARIABLE, str(seconds))
    before, started = children(), time.monotonic()
    out = tmp_path / "out"
    with pytest.warns(export.StaticImageWarning, match=said) as caught:
        written = export.export_explanation(explanation, glass, glass.barriers, out, k=20)
    assert len(caught) == 1
    assert "neighbourhood.png" in str(caught[0].message)
    assert time.monotonic() - started < 60
    assert {path.name for path in written} == {path.name for path in out.iterdir()}
    assert {"summary.json", "explanation.json", "glass.extxyz", "cycles.html"} <= {path.name for path in written}
    assert children() == before
    assert list(temporary.iterdir()) == []


@posix
def test_a_browser_that_does_not_close_is_ended_and_its_pictures_are_kept(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = 'printf one > "$3/0"; printf two > "$3/1"; sleep 600 & sleep 600'
    monkeypatch.setattr(pictures.sys, "executable", str(program(tmp_path / "python", draws)))
    monkeypatch.setattr(pictures, "CLOSING_SECONDS", 0.2)
    monkeypatch.setattr(pictures, "static_images_available", lambda: True)
    monkeypatch.setattr(pictures, "_require_starting", lambda *_: None)
    before = children()
    written = export.write_figures({tmp_path / "a.png": figure(), tmp_path / "b.png": figure()})
    assert [path.read_bytes() for path in written] == [b"one", b"two"]
    assert children() == before
    assert list(temporary.iterdir()) == []


def test_without_a_folder_for_temporary_files_pictures_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr(pictures, "static_images_available", lambda: True)
    with pytest.raises(export.PictureError, match=r"cannot be started .*missing"):
        export.write_figure(figure(), tmp_path / "figure.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_limit_is_a_number_of_seconds(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(pictures.TIME_LIMIT_VARIABLE, given)
    with pytest.raises(InputError, match="must be a positive number of seconds"):
        pictures.time_limit()


def test_pictures_of_an_earlier_run_do_not_stand_beside_newer_data(
    tmp_path: Path, glass: Glass, explanation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "distances.png").write_bytes(b"of an earlier run")
    monkeypatch.setattr(pictures, "static_images_available", lambda: False)
    with pytest.warns(export.StaticImageWarning):
        export.export_explanation(explanation, glass, glass.barriers, tmp_path, k=20, overwrite=True)
    assert not (tmp_path / "distances.png").exists()


@posix
def test_a_program_ends_with_its_block_and_so_does_what_it_started(tmp_path: Path) -> None:
    text = "(setsid sleep 600 || sleep 600) & sleep 600"
    before = children()
    with running([str(program(tmp_path / "p", text))], cwd=tmp_path) as started:
        while len(children() - before) < 2 and started.runs():
            pass
        begun = children() - before
    assert len(begun) >= 2
    assert not any(psutil.pid_exists(process) for process in begun)


@posix
def test_lammps_that_hangs_is_ended(tmp_path: Path) -> None:
    from symgnn_explain.runs.watch import Watch
    from symgnn_explain.saddles.melt_quench import _run

    lammps = program(tmp_path / "lmp", "sleep 600")
    with pytest.raises(InputError, match=r"ended after 1 s: see .*log\.lammps"):
        _run(str(lammps), tmp_path, "", Watch(), 0.0, limit=1.0)
    with pytest.raises(InputError, match="cannot be started"):
        _run(str(tmp_path / "missing"), tmp_path, "", Watch(), 0.0, limit=1.0)


def test_files_appear_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "folder"
    with pytest.raises(KeyboardInterrupt):
        interrupted_in(folder)
    assert list(tmp_path.iterdir()) == []
    write_atomically(folder / "a", b"old")

    with pytest.raises(WritingError, match=r"into .*folder \(No space left on device\)"), staged(folder) as staging:
        write_one_and_fill_the_disk(staging, monkeypatch)
    monkeypatch.undo()
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("a", b"old")]
    with staged(folder) as staging:
        write_atomically(staging / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("a", b"new")]


def interrupted_in(folder: Path) -> None:
    with staged(folder) as staging:
        (staging / "a").write_text("half")
        raise KeyboardInterrupt


def write_one_and_fill_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(folder / "a", b"new")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    write_atomically(folder / "b", b"new")


@posix
def test_a_full_disk_is_no_lost_output(tmp_path: Path, glass: Glass) -> None:
    """Results that are written bit by bit run into it as well; what else goes wrong stays what it is."""
    import resource

    for number, error in ((28, WritingError), (5, OSError)):
        with pytest.raises(OSError, match="said by the system") as raised, staged(tmp_path):
            raise OSError(number, "said by the system")
        assert type(raised.value) is error
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        for name in ("predictions.csv", "predictions.json", "predictions.extxyz"):
            with pytest.raises(WritingError, match=f"nothing can be written into {tmp_path}"):
                write_predictions({"glass": Prediction(glass, glass.positions[:, 0])}, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


def test_llvm_is_told_that_arrays_share_no_memory() -> None:
    def add_to_both(values: Any, one: Any, other: Any) -> None:
        for place in range(len(values)):
            one[place] += values[place]
            other[place] += values[place]

    function: Any = compiled.compiled_apart(add_to_both)
    function._cache.flush()  # numba does not show code that an earlier run has left there
    function(*np.ones((3, 4)))
    (code,) = function.inspect_llvm().values()
    assert "noalias" in next(line for line in code.splitlines() if line.startswith("define") and "add_to_both" in line)


def test_a_cache_of_compiled_functions_that_fails_later_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_warned", False)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def twice(number: float) -> float:
        return 2 * number

    function: Any = compiled.compiled(twice)
    monkeypatch.setattr(function._cache, "save_overload", compiled._tolerant(full))
    with pytest.warns(UserWarning, match="cannot be used .*No space left") as caught:
        assert (function(1.5), function(2)) == (3.0, 4)
    assert len(caught) == 1


def test_without_semaphores_one_process_does_all_the_work_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import loky.process_executor

    def refuse(*_: object, **__: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(loky.process_executor.ProcessPoolExecutor, "__init__", refuse)
    with pytest.warns(UserWarning, match="cannot be started on this machine .*Function not implemented"):
        outcomes = list(parallel.run_each(lambda shared, item, _: shared * item, 3, [1, 2], workers=2))
    assert [outcome.result for outcome in outcomes] == [3, 6]


@pytest.fixture
def stranger() -> Iterator[Callable[[bytes], str]]:
    """Give the address of a server that answers with some bytes and then says nothing more."""
    servers, connections = [], []

    def start(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return  # the test is over
                connections.append(connection)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for one in [*servers, *connections]:
        one.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff" * 64])
def test_a_scheduler_that_is_none_is_refused_in_a_sentence(
    stranger: Callable[[bytes], str], answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    from symgnn_explain.runs import cluster

    assert cluster.ANSWER_WITHIN <= 12
    monkeypatch.setattr(cluster, "ANSWER_WITHIN", 1.0)
    started = time.monotonic()
    with (
        pytest.raises(InputError, match="no Dask scheduler answers at --scheduler"),
        cluster.connected(stranger(answer)),
    ):
        pytest.fail("it is none")
    assert time.monotonic() - started < 5


def test_versions_of_workers_are_compared() -> None:
    pytest.importorskip("distributed")
    from symgnn_explain.runs.cluster import _compare_versions

    def machine(python: str = "3.11.7.final.0", **packages: str | None) -> dict[str, Any]:
        own = {"symgnn_explain": "0.1.0", "torch": "2.4", "numpy": "2.0", "cloudpickle": "3.0", "distributed": "1"}
        return {"host": {"python": python}, "packages": own | packages}

    def compared(worker: dict[str, Any]) -> None:
        _compare_versions({"client": machine(), "workers": {"tcp://w:1": worker}}, "tcp://s:1")

    compared(machine("3.11.9.final.0"))
    with pytest.raises(InputError, match=r"runs Python 3\.12, this is 3\.11"):
        compared(machine("3.12.1.final.0"))
    with pytest.raises(InputError, match="does not have symgnn_explain"):
        compared(machine(symgnn_explain=None))
    with pytest.raises(InputError, match=r"has symgnn_explain 0\.2"):
        compared(machine(symgnn_explain="0.2"))
    with pytest.warns(UserWarning, match=r"torch 2\.5 instead of 2\.4: results may differ"):
        compared(machine(torch="2.5"))
    with pytest.warns(UserWarning, match="No worker is connected"):
        _compare_versions({"client": machine(), "workers": {}}, "tcp://s:1")


@posix
def test_the_only_worker_is_killed_and_another_comes() -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address=None, silence_logs=50, protocol="tcp"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--no-nanny"]
        command += ["--nthreads", "1", "--no-dashboard"]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def measure(shared: bytes, item: int, _report: Any) -> int:
            import time

            time.sleep(0.02)
            return len(shared) + item

        worker, done = start(), []
        try:
            for outcome in parallel.run_each(measure, b"x" * 100_000, list(range(20)), client=client):
                done.append(outcome)
                if len(done) == 4:
                    worker.kill()
                    worker.wait()
                    worker = start()
        finally:
            worker.kill()
            worker.wait()
    assert sorted(outcome.result or -1 for outcome in done) == [100_000 + item for item in range(20)]


@posix
@pytest.mark.parametrize("where", ["/dev/full", None])
def test_output_that_cannot_be_printed_is_said_in_a_line(where: str | None) -> None:
    if where is not None and not Path(where).exists():
        pytest.skip("this system has no /dev/full")
    command = [sys.executable, "-m", "symgnn_explain", "--help"]
    reading, writing = os.pipe()
    os.close(reading)
    target = writing if where is None else os.open(where, os.O_WRONLY)
    done = subprocess.run(command, stdout=target, stderr=subprocess.PIPE, text=True, check=False)
    for handle in {writing, target}:
        os.close(handle)
    assert done.returncode == cli.OUTPUT_LOST
    assert done.stderr.startswith("Not all could be printed (")
    assert done.stderr.count("\n") == 1


@posix
def test_sigterm_ends_what_the_process_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    lammps = program(tmp_path / "lmp", f"echo $$ > {pid}.part; mv {pid}.part {pid}; sleep 600")
    script = (
        "import sys; from pathlib import Path; import typer; from symgnn_explain import cli\n"
        "from symgnn_explain.runs.processes import running\n"
        "def wait():\n"
        f"    with running([{str(lammps)!r}], cwd=Path({str(tmp_path)!r})) as started:\n"
        "        while started.runs(): pass\n"
        "cli.app = typer.Typer(); cli.app.command()(wait)\n"
        "sys.exit(cli.main(['--']))\n"
    )
    started = subprocess.Popen([sys.executable, "-c", script])
    try:
        while not pid.exists():
            assert started.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)  # a program may run before the call that starts it has returned
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 128 + signal.SIGTERM
    finally:
        started.kill()
    assert not psutil.pid_exists(int(pid.read_text()))


def test_what_is_kept_is_not_claimed_where_all_failed() -> None:
    error = {3: ZeroDivisionError("by zero"), 5: ValueError("x")}
    assert "the others were, and are kept" in failure_sentence("could not be explained", error, 3)
    said = failure_sentence("could not be explained", error, 2)
    assert said == "none of 2 atoms could be explained (3, 5; the first because of ZeroDivisionError: by zero)."
