"""Which thread of the kernel hears what a page's widgets say: the one that runs cells.

A newer kernel (ipykernel 7) offers *subshells*, threads beside the one that runs cells, and a newer JupyterLab (4.4)
sends what widgets say to one of them. Neither traitlets nor ipywidgets know of threads: a click that is heard while a
cell shows something else in the same explorer changes the same objects at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import wait
from functools import wraps
from typing import Any
from weakref import WeakSet

from IPython.core.getipython import get_ipython

_OF_WIDGETS = ("comm_open", "comm_msg", "comm_close")
_LOOK_AGAIN = 0.5
"""Seconds after which a thread that waits for the main loop looks whether that has ended."""
_served: WeakSet[Any] = WeakSet()


def hear_on_main_thread() -> None:
    """Let the kernel's main loop handle what widgets say, between cells; elsewhere than in a kernel do nothing.

    That holds for all widgets of the kernel, as it did before there were subshells. Messages keep their order: the
    subshell waits until the main loop is through with one.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    loop = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
    handlers = getattr(kernel, "shell_handlers", {})  # other kernels than ipykernel have neither, and no subshells
    if loop is None or not handlers or kernel in _served:
        return
    _served.add(kernel)
    handlers.update({kind: _on(loop, handlers[kind]) for kind in _OF_WIDGETS})


def _on(loop: asyncio.AbstractEventLoop, handler: Callable[..., None]) -> Callable[..., None]:
    @wraps(handler)
    def heard(*message: Any) -> None:
        if asyncio.get_running_loop() is loop:
            handler(*message)
            return

        async def handle() -> None:
            handler(*message)

        # Waited for by the thread, not by its loop: a kernel that gets another message meanwhile (ipykernel 7.4) would
        # not say when that one is done, and its widget would wait for that for good.
        done = asyncio.run_coroutine_threadsafe(handle(), loop)
        while loop.is_running():
            if wait([done], timeout=_LOOK_AGAIN).done:
                done.result()
                return

    return heard
