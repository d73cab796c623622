"""What widgets say is handled by the thread that runs cells, whatever thread of the kernel hears it."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from symgnn_widgets import messages

KINDS = ("comm_open", "comm_msg", "comm_close")


class Kernel:
    """What of a kernel hears widgets: handlers by kind of message, and the main loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.io_loop = SimpleNamespace(asyncio_loop=loop)
        self.heard: list[tuple[Any, threading.Thread]] = []
        self.shell_handlers = dict.fromkeys((*KINDS, "execute_request"), self.hear)

    def hear(self, _stream: object, _idents: object, message: Any) -> None:
        self.heard.append((message, threading.current_thread()))
        if message == "wrong":
            raise ValueError(message)


def hear_elsewhere(kernel: Kernel, kind: str, said: list[str]) -> None:
    """Let another thread, with a loop of its own, hear messages one after the other."""

    async def hear() -> None:
        for number, message in enumerate(said):
            kernel.shell_handlers[kind](None, [], message)  # nothing else is heard while it waits
            assert len(kernel.heard) == number + 1  # a subshell is idle once its message is handled, not before

    asyncio.run(hear())


@pytest.mark.parametrize("kind", KINDS)
def test_the_main_loop_handles_in_order_what_another_thread_hears(monkeypatch, kind) -> None:
    async def main() -> Kernel:
        kernel = Kernel(asyncio.get_running_loop())
        monkeypatch.setattr(messages, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
        messages.hear_on_main_thread()
        messages.hear_on_main_thread()  # a second explorer changes nothing
        assert kernel.shell_handlers["execute_request"] == kernel.hear
        await asyncio.to_thread(hear_elsewhere, kernel, kind, ["a", "b", "c"])
        kernel.shell_handlers[kind](None, [], "d")  # without subshells: the main loop hears it itself
        with pytest.raises(ValueError, match="wrong"):  # the kernel reports it
            await asyncio.to_thread(hear_elsewhere, kernel, kind, ["wrong"])
        return kernel

    kernel = asyncio.run(main())
    assert [message for message, _ in kernel.heard] == ["a", "b", "c", "d", "wrong"]
    assert {thread for _, thread in kernel.heard} == {threading.main_thread()}


def test_outside_of_a_kernel_nothing_happens(monkeypatch) -> None:
    monkeypatch.setattr(messages, "get_ipython", lambda: None)
    messages.hear_on_main_thread()
