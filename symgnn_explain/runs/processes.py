"""Programs that are run beside this one: they end with the block that started them, and so does all they started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

WAIT = 0.05  # seconds between two looks at whether a program still runs
_GRACE = 5.0


class Program:
    """A program that runs; made by :func:`running`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._started: set[psutil.Process] = set()

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.returncode

    def runs(self, seconds: float = WAIT) -> bool:
        """Whether it still runs after at most this long."""
        with suppress(psutil.NoSuchProcess):  # it has ended
            self._started.update(psutil.Process(self._process.pid).children(recursive=True))
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is None

    def end(self) -> None:
        """Kill it and all that it started, and wait until they are gone."""
        with suppress(psutil.NoSuchProcess):
            self._started.update(psutil.Process(self._process.pid).children(recursive=True))
        for started in self._started:  # psutil knows a number that was given to another process since
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                started.kill()
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):  # nobody of its group is left
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        psutil.wait_procs(self._started, timeout=_GRACE)


@contextmanager
def running(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, stderr: IO[bytes] | None = None
) -> Iterator[Program]:
    """Start a program in a session of its own, without input and output; it is gone when the block ends.

    Raises OSError if it cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603 - the program that the caller named
        command,
        cwd=cwd,
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if stderr is None else stderr,
        start_new_session=True,
    )
    program = Program(process)
    try:
        yield program
    finally:
        program.end()
