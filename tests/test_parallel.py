"""One task an item: the same outcomes here, in worker processes and on Dask; errors stay with their item."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.runs.parallel import Outcome, Report, run_each

ITEMS = list(range(5))
Task = Callable[[Any, int, Report], Any]


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


@pytest.fixture(params=["here", "processes", "dask"])
def where(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Ways to run tasks, as keyword arguments."""
    if request.param == "dask":
        return {"client": request.getfixturevalue("client")}
    return {"workers": 2 if request.param == "processes" else 1}


# Functions within functions are sent to the workers by value: these cannot import the tests.
def make_power() -> Task:
    def power(shared: int, item: int, report: Report) -> int:
        report(0.5)
        return item**shared

    return power


def make_picky() -> Task:
    class UnpicklableError(Exception):
        def __init__(self, first: int, second: int) -> None:
            super().__init__(f"{first} and {second}")

    def picky(_shared: Any, item: int, _report: Report) -> int:
        if item == 1:
            raise ValueError("one is refused")
        if item == 3:
            raise UnpicklableError(3, 4)
        return item

    return picky


def make_endless(started: Path) -> Task:
    def endless(_shared: Any, item: int, report: Report) -> None:
        started.with_name(f"{started.name}{item}").write_text(str(os.getpid()))
        for _ in range(60_000):
            report(0.5)
            time.sleep(0.01)

    return endless


def test_every_item_has_its_result_wherever_it_is_computed(where: dict[str, Any]) -> None:
    outcomes = list(run_each(make_power(), 3, ITEMS, **where))
    assert sorted(outcomes, key=lambda outcome: outcome.item) == [Outcome(item, item**3) for item in ITEMS]


def test_nothing_to_do(where: dict[str, Any]) -> None:
    assert list(run_each(make_power(), 3, [], **where)) == []


def test_an_error_is_the_outcome_of_its_item_alone(where: dict[str, Any]) -> None:
    outcomes = {outcome.item: outcome for outcome in run_each(make_picky(), None, ITEMS, **where)}
    assert {item: outcome.result for item, outcome in outcomes.items()} == {0: 0, 1: None, 2: 2, 3: None, 4: 4}
    assert isinstance(outcomes[1].error, ValueError)
    assert "one is refused" in str(outcomes[1].error)
    assert "3 and 4" in str(outcomes[3].error)
    assert outcomes[0].error is None
    if where != {"workers": 1}:
        assert "in picky" in "".join(outcomes[1].error.__notes__)


def test_cancelling_stops_tasks_midway(where: dict[str, Any], tmp_path: Path) -> None:
    cancel, started = threading.Event(), tmp_path / "started"

    def cancel_once_started() -> bool:
        if next(tmp_path.glob("started*"), None) is not None:
            cancel.set()
        return cancel.is_set()

    # Undisturbed, the tasks would take ten minutes each.
    with pytest.raises(Cancelled):
        list(run_each(make_endless(started), None, ITEMS, cancelled=cancel_once_started, **where))
    if where == {"workers": 2}:
        wait_for_the_end_of({int(path.read_text()) for path in tmp_path.glob("started*")})


def wait_for_the_end_of(processes: set[int]) -> None:
    assert processes
    assert os.getpid() not in processes
    while any(psutil.pid_exists(process) for process in processes):
        time.sleep(0.05)


def test_workers_end_with_the_iterator() -> None:
    def identify(_shared: Any, _item: int, _report: Report) -> int:
        import os

        return os.getpid()

    with closing(run_each(identify, None, list(range(50)), workers=2)) as outcomes:
        process = next(outcomes).result
    assert process is not None
    wait_for_the_end_of({process})


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be held back there")
def test_ctrl_c_never_reaches_a_worker_not_even_while_it_starts() -> None:
    def held(_shared: Any, _item: int, _report: Report) -> bool:
        import signal

        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

    assert [outcome.result for outcome in run_each(held, None, [0, 1], workers=2)] == [True, True]
    assert not held(None, 0, lambda _: None)


def test_what_is_shared_is_sent_once_a_worker(tmp_path: Path) -> None:
    class Shared:
        def __init__(self, marks: Path) -> None:
            self.marks = marks

        def __setstate__(self, state: dict[str, Path]) -> None:
            import tempfile

            self.__dict__ = state
            tempfile.mkstemp(dir=self.marks)

    outcomes = list(run_each(lambda shared, item, _: (shared.marks, item), Shared(tmp_path), ITEMS, workers=2))
    assert len(outcomes) == len(ITEMS)
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def test_a_worker_that_dies_is_reported_in_one_sentence() -> None:
    def die(_shared: Any, _item: int, _report: Report) -> None:
        import os

        os._exit(3)

    with pytest.raises(InputError, match="worker process ended unexpectedly"):
        list(run_each(die, None, ITEMS, workers=2))


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from symgnn_explain.runs.parallel import run_each\n"
        "def triple(shared, item, report):\n"
        "    return shared * item\n"
        "print(sorted(outcome.result for outcome in run_each(triple, 3, [1, 2, 3, 4], workers=2)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "[3, 6, 9, 12]\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process outlives its parent's number there")
def test_workers_end_when_their_caller_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\n"
        "from symgnn_explain.runs.parallel import run_each\n"
        "def wait(shared, item, report):\n"
        "    import os, pathlib, time\n"
        "    pathlib.Path(shared, str(os.getpid())).touch()\n"
        "    time.sleep(600)\n"
        "list(run_each(wait, sys.argv[1], [1, 2], workers=2))\n"
    )
    started = tmp_path / "started"
    started.mkdir()
    caller = subprocess.Popen([sys.executable, str(script), str(started)])
    try:
        for _ in range(1200):
            if len(list(started.iterdir())) == 2:
                break
            time.sleep(0.05)
    finally:
        caller.kill()
        caller.wait()
    processes = {int(path.name) for path in started.iterdir()}
    assert len(processes) == 2
    wait_for_the_end_of(processes)


def test_impossible_requests(client: Any) -> None:
    with pytest.raises(InputError, match="at least 1"):
        run_each(make_power(), 1, ITEMS, workers=0)
    with pytest.raises(InputError, match="leave one of them out"):
        run_each(make_power(), 1, ITEMS, workers=2, client=client)
