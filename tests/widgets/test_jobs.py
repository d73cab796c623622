"""A job delivers the latest work's result and nothing else, on the thread that started it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from symgnn_widgets.state.jobs import Job, Progress

TIMEOUT = 10.0


class Record:
    """What a job has delivered, and on which threads."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[Exception] = []
        self.fractions: list[float] = []
        self.threads: set[int] = set()
        self.job = Job(self._note(self.errors))
        self.job.observe(lambda change: self._note(self.fractions)(change["new"]), "progress")

    def _note(self, kept: list[Any]) -> Any:
        def note(value: Any) -> None:
            self.threads.add(threading.get_ident())
            kept.append(value)

        return note

    def start(self, work: Any, *, wait: bool = False) -> None:
        self.job.start(work, self._note(self.results), wait=wait)

    async def until_delivered(self, count: int = 1) -> None:
        async with asyncio.timeout(TIMEOUT):
            while len(self.results) + len(self.errors) < count:
                await asyncio.sleep(0.005)


def test_runs_in_place_where_no_loop_is_running() -> None:
    record = Record()
    worked_on = []

    def work(progress: Progress, _cancel: threading.Event) -> str:
        worked_on.append(threading.get_ident())
        progress(0.5)
        return "done"

    record.start(work)
    assert (record.results, record.fractions, record.errors) == (["done"], [0.5, 1.0], [])
    assert worked_on == [threading.get_ident()]


def test_runs_in_a_thread_and_delivers_on_the_loop() -> None:
    record = Record()
    worked_on = []

    def work(progress: Progress, _cancel: threading.Event) -> str:
        worked_on.append(threading.get_ident())
        progress(0.25)
        return "done"

    async def main() -> None:
        record.start(work)
        assert record.results == []
        await record.until_delivered()

    asyncio.run(main())
    assert (record.results, record.fractions) == (["done"], [0.25, 1.0])
    assert worked_on != [threading.get_ident()]
    assert record.threads == {threading.get_ident()}


def test_waits_inside_a_running_loop_when_told_to() -> None:
    record = Record()

    async def main() -> None:
        record.start(lambda _progress, _cancel: 7, wait=True)
        assert record.results == [7]

    asyncio.run(main())


def test_cancelled_work_is_told_and_delivers_nothing() -> None:
    record = Record()
    started, stopped = threading.Event(), threading.Event()

    def work(_progress: Progress, cancel: threading.Event) -> str:
        started.set()
        assert cancel.wait(TIMEOUT)
        stopped.set()
        return "too late"

    async def main() -> None:
        record.start(work)
        await asyncio.to_thread(started.wait, TIMEOUT)
        record.job.cancel()
        await asyncio.to_thread(stopped.wait, TIMEOUT)
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert stopped.is_set()
    assert (record.results, record.errors, record.job.status) == ([], [], "cancelled")


def test_late_results_progress_and_errors_are_dropped() -> None:
    record = Record()
    release = threading.Event()

    def stubborn(progress: Progress, _cancel: threading.Event) -> str:
        release.wait(TIMEOUT)
        progress(0.9)
        return "old"

    def failing(_progress: Progress, _cancel: threading.Event) -> str:
        release.wait(TIMEOUT)
        raise RuntimeError("old")

    async def main() -> None:
        record.start(stubborn)
        record.start(failing)
        record.start(lambda _progress, _cancel: "new")
        await record.until_delivered()
        release.set()
        await asyncio.sleep(0.1)

    asyncio.run(main())
    assert (record.results, record.errors, record.fractions) == (["new"], [], [1.0])


def test_exceptions_are_handed_over() -> None:
    record = Record()

    def work(_progress: Progress, _cancel: threading.Event) -> str:
        raise RuntimeError("broken")

    async def main() -> None:
        record.start(work)
        await record.until_delivered(2)

    record.start(work)
    asyncio.run(main())
    assert [str(error) for error in record.errors] == ["broken", "broken"]


def test_progress_is_reported_a_few_times_a_second_at_most() -> None:
    record = Record()

    def work(progress: Progress, _cancel: threading.Event) -> None:
        for step in range(10_000):
            progress(step / 10_000)

    record.start(work)
    assert 1 <= len(record.fractions) < 100
