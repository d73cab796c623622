"""Which frame of a trajectory is meant."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from symgnn_explain.errors import NoSuchFrameError

T = TypeVar("T")


def chosen_frame(frames: Iterable[T], frame: int, what: str) -> T:
    """Return one frame, counted from 0, or from the end where negative; no more is read than needed.

    Raises
    ------
    NoSuchFrameError
        If there is no such frame.
    """
    count = 0
    last: deque[T] = deque(maxlen=min(max(1, -frame), sys.maxsize))
    for each in frames:
        last.append(each)
        if count == frame:
            return each
        count += 1
    if 0 < -frame <= count:
        return last[0]
    raise NoSuchFrameError(f"frame {frame} does not exist: the {what} has {count} frame(s), the first is 0.")


def require_only_frame(frame: int, what: str) -> None:
    """Raise NoSuchFrameError unless the only frame of a file is meant."""
    if frame not in (0, -1):
        raise NoSuchFrameError(f"frame {frame} does not exist: a {what} has one frame, 0.")
