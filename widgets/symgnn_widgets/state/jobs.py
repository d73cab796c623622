"""Long work away from the main thread, so that Cancel and every other control stay alive."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from traitlets import Enum, Float, HasTraits

Result = TypeVar("Result")
Progress = Callable[[float], None]

REPORT_INTERVAL = 0.25
"""Shortest time (s) between two reports of progress: after each the browser composes the page anew, 3D view and all."""


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


class Job(HasTraits):
    """One piece of work at a time; starting another, or cancelling, drops what the earlier one still delivers.

    With a running event loop (a notebook) the work runs in a thread and its callbacks on the loop. Without one (a
    script) the work runs in place and is finished when :meth:`start` returns.

    Parameters
    ----------
    on_error
        Called with what the work raised.
    on_preview
        Called with what the work has come to so far, where the work says so.
    """

    status = Enum(("idle", "running", "done", "cancelled", "failed"), default_value="idle")
    progress = Float(0.0)
    seconds_left = Float(None, allow_none=True)

    def __init__(
        self, on_error: Callable[[Exception], None], on_preview: Callable[[Any], None] = lambda _preview: None
    ) -> None:
        super().__init__()
        self._on_error = on_error
        self._on_preview = on_preview
        self._generation = 0
        self._cancel = threading.Event()
        self._started = 0.0

    @property
    def running(self) -> bool:
        """Whether the work is under way."""
        return bool(self.status == "running")

    def start(self, work: Work[Result], then: Callable[[Result], None], *, wait: bool = False) -> None:
        """Start ``work(reporter, cancel_event)`` in place of what is running, here and now where ``wait``.

        Parameters
        ----------
        then
            Called with what the work returned.
        """
        self._drop()
        cancel = self._cancel = threading.Event()
        self.progress, self.seconds_left, self.status = 0.0, None, "running"
        self._started = time.monotonic()
        generation = self._generation

        def deliver(callback: Callable[[Any], None], value: Any) -> None:
            if generation == self._generation:
                callback(value)

        loop = None if wait else event_loop()

        def send(callback: Callable[[Any], None], value: Any) -> None:
            if loop is None:
                deliver(callback, value)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(deliver, callback, value)

        def finish(result: Result) -> None:
            self._succeed()
            then(result)

        def run() -> None:
            report = _throttled(lambda fraction: send(self._advance, fraction))
            try:
                result = work(Reporter(report, lambda preview: send(self._on_preview, preview)), cancel)
            except Exception as error:
                send(self._fail, error)
            else:
                send(finish, result)

        if loop is None:
            run()
            return
        # A thread of its own: jobs that wait for what one of them computes take no place in a pool from the others.
        threading.Thread(target=run, name="symgnn-job").start()

    def cancel(self) -> bool:
        """Ask the work to stop, and drop its result however it ends; returns whether it was running."""
        self._drop()
        running = self.running
        if running:
            self.status, self.seconds_left = "cancelled", None
        return running

    def supersede(self) -> None:
        """Count as done: what was asked for is known."""
        self._drop()
        self._succeed()

    def rest(self) -> None:
        """Claim nothing of work that is over; what is under way goes on."""
        if not self.running:
            self.status, self.progress = "idle", 0.0

    def _drop(self) -> None:
        self._cancel.set()
        self._generation += 1

    def _advance(self, fraction: float) -> None:
        elapsed = time.monotonic() - self._started
        self.progress = min(max(fraction, 0.0), 1.0)
        self.seconds_left = elapsed * (1 - self.progress) / self.progress if self.progress > 0.02 else None

    def _succeed(self) -> None:
        self.progress, self.seconds_left, self.status = 1.0, None, "done"

    def _fail(self, error: Exception) -> None:
        self.status, self.seconds_left = "failed", None
        self._on_error(error)


def event_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that serves a notebook's page; None in a script."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _throttled(report: Progress) -> Progress:
    last = -REPORT_INTERVAL

    def throttled(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_INTERVAL:
            last = now
            report(fraction)

    return throttled
