"""How far a computation over many atoms is, and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self


class PopulationProgress(float):
    """How far a population is: the fraction done, in [0, 1], that knows more.

    ``done``, ``total``: atoms (or ``what`` else) that are done, and all. ``seconds_left``: estimate from the atoms of
    this run; None before there is anything to tell it by.
    """

    done: float
    total: float
    seconds_left: float | None
    what: str

    def __new__(
        cls, done: float, total: float, *, part: float = 0.0, seconds_left: float | None = None, what: str = "atoms"
    ) -> Self:
        """Count ``part`` of one more atom as done."""
        progress = super().__new__(cls, (done + part) / total)
        progress.done, progress.total, progress.seconds_left, progress.what = done, total, seconds_left, what
        return progress

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", about {_duration(self.seconds_left)} left"
        return f"{round(self.done, 1):.12g} of {self.total} {self.what}{left}"


class Tracker:
    """Turns the ends of tasks into reports of progress.

    Workers that warm up say nothing about their pace until the first of them is done.
    """

    def __init__(
        self,
        total: float,
        to_do: float,
        progress: Callable[[PopulationProgress], None] | None,
        *,
        warms_up: bool,
        what: str = "atoms",
    ) -> None:
        self._total, self._to_do, self._progress, self._warms_up = total, to_do, progress, warms_up
        self._done, self._what = 0.0, what
        self._clocked_at, self._clocked_from = time.perf_counter(), 0.0
        self.part(0.0)

    def found(self, atoms: float) -> None:
        """Count atoms as done before."""
        self._to_do -= atoms
        self.part(0.0)

    def finished(self, atoms: float) -> None:
        """Count atoms as done."""
        if self._warms_up and self._done == 0:
            self._clocked_at, self._clocked_from = time.perf_counter(), atoms
        self._done += atoms
        self.part(0.0)

    def part(self, atoms: float) -> None:
        """Report, with a part of the next atoms done."""
        if self._progress is None:
            return
        done = self._done + atoms
        clocked = done - self._clocked_from
        left = None
        if clocked > 0:
            left = (time.perf_counter() - self._clocked_at) / clocked * max(self._to_do - done, 0.0)
        before = self._total - self._to_do
        self._progress(
            PopulationProgress(before + self._done, self._total, part=atoms, seconds_left=left, what=self._what)
        )


def _duration(seconds: float) -> str:
    minutes, hours = round(seconds / 60), round(seconds / 3600, 1)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{hours} h"
