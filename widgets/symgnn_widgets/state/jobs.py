"""Long work away from the main thread, so that Cancel and every other control stay alive."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")
Progress = Callable[[float], None]
Delivery = Callable[[Callable[[Any], None], Any], None]

REPORT_INTERVAL = 0.1
"""Shortest time (s) between two reports of progress: each one is a message to the browser."""


@dataclass(frozen=True)
class Reporter:
    """What work is given to say how far it is: call it with a fraction in [0, 1].

    Parameters
    ----------
    progress
        Takes the fraction.
    preview
        Takes what the work has come to so far; each is a large message, so the work makes few of them.
    """

    progress: Progress
    preview: Callable[[Any], None]

    def __call__(self, fraction: float) -> None:
        """Report a fraction."""
        self.progress(fraction)


Work = Callable[[Reporter, threading.Event], Result]


class Worker(Generic[Result]):
    """Runs one piece of work at a time; starting another, or cancelling, drops what the earlier one still delivers.

    With a running event loop (a notebook) the work runs in a thread and the callbacks on the loop. Without one (a
    script) the work runs in place and is finished when :meth:`start` returns.

    Parameters
    ----------
    on_progress
        Called with a fraction in [0, 1].
    on_result
        Called with what the work returned.
    on_error
        Called with what the work raised.
    on_preview
        Called with what the work has come to so far, where the work says so.
    """

    def __init__(
        self,
        on_progress: Progress,
        on_result: Callable[[Result], None],
        on_error: Callable[[Exception], None],
        on_preview: Callable[[Any], None] = lambda _preview: None,
    ) -> None:
        self._on_progress = on_progress
        self._on_result = on_result
        self._on_error = on_error
        self._on_preview = on_preview
        self._generation = 0
        self._cancel = threading.Event()
        # The loop itself keeps only weak references to its tasks.
        self._tasks: set[asyncio.Task[None]] = set()

    def cancel(self) -> None:
        """Ask the work to stop, and drop its result however it ends."""
        self._cancel.set()
        self._generation += 1

    def start(self, work: Work[Result], *, wait: bool = False) -> None:
        """Cancel what is running and start ``work(progress, cancel_event)``; in place where ``wait``."""
        self.cancel()
        self._cancel = threading.Event()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            wait = True
        deliver = self._deliver_to(self._generation)
        if wait:
            self._run_in_place(work, deliver, self._cancel)
            return
        task = loop.create_task(self._run_in_thread(work, deliver, self._cancel, loop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run_in_place(self, work: Work[Result], deliver: Delivery, cancel: threading.Event) -> None:
        try:
            reporter = Reporter(
                _throttled(lambda fraction: deliver(self._on_progress, fraction)),
                lambda preview: deliver(self._on_preview, preview),
            )
            result = work(reporter, cancel)
        except Exception as error:
            deliver(self._on_error, error)
        else:
            deliver(self._on_result, result)

    async def _run_in_thread(
        self, work: Work[Result], deliver: Delivery, cancel: threading.Event, loop: asyncio.AbstractEventLoop
    ) -> None:
        def later(callback: Callable[[Any], None]) -> Callable[[Any], None]:
            def send(value: Any) -> None:
                loop.call_soon_threadsafe(deliver, callback, value)

            return send

        reporter = Reporter(_throttled(later(self._on_progress)), later(self._on_preview))
        try:
            result = await asyncio.to_thread(work, reporter, cancel)
        except Exception as error:
            deliver(self._on_error, error)
        else:
            deliver(self._on_result, result)

    def _deliver_to(self, generation: int) -> Delivery:
        """Make a call that does nothing once this generation of work has been superseded."""

        def deliver(callback: Callable[[Any], None], value: Any) -> None:
            if generation == self._generation:
                callback(value)

        return deliver


def _throttled(report: Progress) -> Progress:
    last = -REPORT_INTERVAL

    def throttled(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_INTERVAL:
            last = now
            report(fraction)

    return throttled
