"""How many threads a computation uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

_lock = Lock()
_inside = 0
_outside = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread, and as many as before when the last of such blocks ends.

    For work made of many small steps, which gains little from threads and loses much where cores are shared: threads
    that wait for each other spin. PyTorch's setting is the whole process's.
    """
    global _inside, _outside  # noqa: PLW0603 - the setting itself is global
    with _lock:
        if _inside == 0:
            _outside = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                torch.set_num_threads(_outside)
