"""The same task for each of many items: in this process, in worker processes, or on a Dask cluster.

What all tasks share is sent once to each worker. Worker processes are loky's: they do not run the calling script again,
so neither a script without ``if __name__ == "__main__"`` nor a notebook has anything to mind. They must be able to
import what the task uses; functions defined in the script or the notebook itself are sent along.

Tasks write nothing. So workers may be killed at any moment, and are, as soon as the caller stops; where the caller is
killed itself, they notice and end.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from symgnn_explain.errors import Cancelled, InputError

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[float], None]
"""Takes the fraction of a task that is done; raises Cancelled where the task should stop."""
Task = Callable[[Any, Item, Report], Result]
"""Takes what all tasks share, the item, and where to report."""

POLL = 0.05  # seconds between two looks at whether the caller wants to stop
REMOTE_POLL = 0.25  # the same on a Dask cluster, where each look is a message to the scheduler
RETRIES = 3  # how often a task of a Dask cluster runs again where something of the cluster failed
AHEAD = 4  # tasks on their way for each that runs
LEAST_ROOM = 8  # threads that a Dask cluster is taken to have, before its workers have come
WATCH = 1.0  # seconds between two looks of a worker process at whether its caller still runs

# Workers have one thread each; loky's own limit on a worker's memory would only restart it.
_WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e12",
}


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or the error that its task raised."""

    item: Item
    result: Result | None = None
    error: Exception | None = None


def run_each(
    task: Task[Item, Result],
    shared: Any,
    items: Iterable[Item],
    *,
    workers: int = 1,
    client: Client | None = None,
    report: Report | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[Outcome[Item, Result]]:
    """Yield the outcome of ``task(shared, item, report)`` for every item, in the order in which the tasks end.

    Close the iterator, or exhaust it: that is what ends the workers.

    ``task``: what is done. An error that it raises is the outcome of that item alone. ``shared``: first argument of
    every task. ``items``: second argument, one a task; taken as workers become free. ``workers``: processes; with one,
    the tasks run in this process. ``client``: of a Dask cluster, on which the tasks then run. ``report``: called with
    the fraction of the current task that is done, where tasks run in this process; they also do where no worker process
    can be started, with a warning that says why. ``cancelled``: whether to stop; asked some twenty times a second, or
    where a task reports. Raises Cancelled if ``cancelled`` said so; InputError if there are less than one worker, or
    both workers and a client, or a worker process died.
    """
    if workers < 1:
        raise InputError(f"{workers=} must be at least 1.")
    if client is not None and workers != 1:
        raise InputError(f"both {workers=} and a Dask client were given: leave one of them out.")
    if client is not None:
        return _on_dask(task, shared, items, client, cancelled)
    if workers == 1:
        return _here(task, shared, items, report, cancelled)
    return _in_processes(task, shared, iter(items), workers, report=report, cancelled=cancelled)


def _here(
    task: Task[Item, Result],
    shared: Any,
    items: Iterable[Item],
    report: Report | None,
    cancelled: Callable[[], bool],
) -> Generator[Outcome[Item, Result]]:
    def checked_report(fraction: float) -> None:
        _stop_if(cancelled())
        if report is not None:
            report(fraction)

    for item in items:
        _stop_if(cancelled())
        yield _attempt(task, shared, item, checked_report)


def _attempt(task: Task[Item, Result], shared: Any, item: Item, report: Report) -> Outcome[Item, Result]:
    try:
        return Outcome(item, result=task(shared, item, report))
    except Cancelled:
        raise
    except Exception as error:
        return Outcome(item, error=error)


def _stop_if(cancelled: bool) -> None:
    if cancelled:
        raise Cancelled("the work was cancelled.")


def _in_processes(
    task: Task[Item, Result],
    shared: Any,
    items: Iterator[Item],
    workers: int,
    *,
    report: Report | None,
    cancelled: Callable[[], bool],
) -> Generator[Outcome[Item, Result]]:
    import concurrent.futures

    import cloudpickle
    from loky.process_executor import ProcessPoolExecutor

    _stop_if(cancelled())
    first = list(islice(items, workers * AHEAD))
    if not first:
        return
    initial = cloudpickle.dumps((task, shared)), os.getpid()
    executor, finished = None, False
    try:
        try:
            with _interrupts_held():  # which workers inherit
                executor = ProcessPoolExecutor(
                    min(workers, len(first)), initializer=_start_worker, initargs=initial, env=_WORKER_ENVIRONMENT
                )
                pending = {executor.submit(_in_worker, item): item for item in first}
        except (OSError, ImportError) as error:  # no semaphores (/dev/shm), no more processes
            warnings.warn(
                f"Worker processes cannot be started on this machine ({error}): one process does all the work.",
                stacklevel=3,
            )
            yield from _here(task, shared, chain(first, items), report, cancelled)
            return
        while pending:
            _stop_if(cancelled())
            done, _ = concurrent.futures.wait(pending, timeout=POLL, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                item = pending.pop(future)
                yield _outcome_of(future.result, item)
            pending |= {executor.submit(_in_worker, item): item for item in islice(items, len(done))}
        finished = True
    finally:
        # Also when all is done: left to themselves, workers take seconds to end.
        if executor is not None:
            executor.shutdown(wait=finished, kill_workers=True)


def _outcome_of(result: Callable[[], Outcome[Item, Result]], item: Item) -> Outcome[Item, Result]:
    from concurrent.futures.process import BrokenProcessPool

    try:
        return result()
    except BrokenProcessPool as error:
        raise InputError(
            f"a worker process ended unexpectedly ({type(error).__name__}), perhaps for want of memory: try fewer "
            "workers; records that were written to a folder are kept."
        ) from error
    except Exception as error:  # a result that could not be sent
        return Outcome(item, error=error)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back for a moment, and for good in processes that are started meanwhile: their caller ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_in_this_worker: tuple[Task[Any, Any], Any] | None = None


def _start_worker(blob: bytes, caller: int) -> None:
    from symgnn_explain.runs.memory import reuse_large_allocations

    global _in_this_worker  # noqa: PLW0603 - what the process was started for
    threading.Thread(target=_end_with, args=(caller,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the caller ends these
    reuse_large_allocations()
    _in_this_worker = pickle.loads(blob)


def _end_with(caller: int) -> None:
    """End this process once the one that started it is gone, which can no longer do so."""
    while os.getppid() == caller:
        time.sleep(WATCH)
    os._exit(1)


def _in_worker(item: Any) -> Outcome[Any, Any]:
    if _in_this_worker is None:
        raise RuntimeError("the worker was not started as it should be.")
    return _portable(_attempt(*_in_this_worker, item, lambda _: None))


def _portable(outcome: Outcome[Any, Any]) -> Outcome[Any, Any]:
    """Make the error of an outcome survive the way to another process, with its traceback as a note."""
    error = outcome.error
    if error is None:
        return outcome
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an error's own constructor raises
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return Outcome(outcome.item, error=error)


def _on_dask(
    task: Task[Item, Result], shared: Any, items: Iterable[Item], client: Client, cancelled: Callable[[], bool]
) -> Generator[Outcome[Item, Result]]:
    import cloudpickle
    import dask
    from distributed import Event, as_completed

    # A task, not scattered data: what a killed worker held is then computed again from what the scheduler knows.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        blob = client.submit(bytes, cloudpickle.dumps((task, shared)), pure=False)
    stop = Event(client=client)
    futures: dict[Any, Item] = {}
    ending, left = as_completed(), iter(items)

    def submit(count: int) -> None:
        for item in islice(left, max(0, count)):
            future = client.submit(_on_dask_worker, blob, item, stop.name, pure=False, retries=RETRIES)
            futures[future] = item
            ending.add(future)

    try:
        submit(_room(client))
        while futures:
            _stop_if(cancelled())
            if not ending.has_ready():
                time.sleep(POLL)
                continue
            for future in ending.next_batch(block=False):
                yield _outcome_of(future.result, futures.pop(future))
            submit(_room(client) - len(futures))
    finally:
        if futures:
            stop.set()
            client.cancel(list(futures))


def _room(client: Client) -> int:
    """Return how many tasks may be on their way to the workers that are there now."""
    return AHEAD * max(LEAST_ROOM, sum(client.nthreads().values()))


def _on_dask_worker(blob: bytes, item: Any, stop: str) -> Outcome[Any, Any]:
    from distributed import Event, worker_client

    task, shared = _unpacked(blob)
    asked = time.monotonic()

    def report(_: float) -> None:
        nonlocal asked
        if time.monotonic() - asked > REMOTE_POLL:
            with worker_client(separate_thread=False) as client:
                _stop_if(Event(stop, client=client).is_set())
            asked = time.monotonic()

    return _portable(_attempt(task, shared, item, report))


@lru_cache(maxsize=1)
def _unpacked(blob: bytes) -> tuple[Task[Any, Any], Any]:
    unpacked: tuple[Task[Any, Any], Any] = pickle.loads(blob)
    return unpacked
