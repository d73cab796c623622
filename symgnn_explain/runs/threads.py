"""How many threads a computation uses.

PyTorch writes the number that a thread sets into a place that all threads to come begin with. So OpenMP is asked
directly, where the number belongs to the calling thread alone: pieces of work that overlap know nothing of each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

import torch
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")

_gives_way: ContextVar[threading.Event | None] = ContextVar("gives_way", default=None)
_at_once = threading.Condition()
_waited_for = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread for what the calling thread does.

    For work made of many small steps, which gains little from threads and loses much where cores are shared: threads
    that wait for each other spin.
    """
    torch.get_num_threads()  # a thread's first look at the setting overwrites what the thread was given before
    with _openmp().limit(limits=1):
        yield


@contextmanager
def giving_way(awaited: threading.Event) -> Iterator[None]:
    """Let what the calling thread works through :func:`side_by_side` rest while something is done :func:`at_once`.

    It rests no longer once it is ``awaited``.
    """
    token = _gives_way.set(awaited)
    try:
        yield
    finally:
        _gives_way.reset(token)


@contextmanager
def at_once() -> Iterator[None]:
    """Let work that is :func:`giving_way` rest."""
    global _waited_for  # noqa: PLW0603 - of the process, as its cores are
    with _at_once:
        _waited_for += 1
    try:
        yield
    finally:
        with _at_once:
            _waited_for -= 1
            _at_once.notify_all()


def _after_others(work: Callable[[Item], None], awaited: threading.Event) -> Callable[[Item], None]:
    def later(item: Item) -> None:
        with _at_once:
            while _waited_for and not awaited.is_set():
                _at_once.wait(0.1)
        work(item)

    return later


@contextmanager
def side_by_side() -> Iterator[Callable[[Callable[[Item], None], Sequence[Item]], Iterator[Item]]]:
    """Give a function that works through items in as many threads as PyTorch may use here, none waiting for another.

    It yields each item, in their order, once it and those before it are done; exhaust it. Each item is worked on by one
    thread, so results do not depend on their number, and a core that others keep busy takes fewer items. What the work
    raises ends it, and is raised.
    """
    before, gradients, awaited = torch.get_num_threads(), torch.is_grad_enabled(), _gives_way.get()

    def in_turn(work: Callable[[Item], None]) -> Callable[[Item], None]:
        return work if awaited is None else _after_others(work, awaited)

    if before == 1:
        yield lambda work, items: _work_through_here(in_turn(work), items)
        return

    def begin() -> None:
        torch.get_num_threads()
        _openmp().limit(limits=1)  # for as long as this thread lives
        torch.set_grad_enabled(gradients)

    pool = ThreadPoolExecutor(before, initializer=begin, thread_name_prefix="symgnn")

    def work_through(work: Callable[[Item], None], items: Sequence[Item]) -> Iterator[Item]:
        for item, _ in zip(items, pool.map(in_turn(work), items), strict=True):
            yield item

    with one_thread():
        try:
            yield work_through
        finally:
            pool.shutdown(cancel_futures=True)


def _work_through_here(work: Callable[[Item], None], items: Sequence[Item]) -> Iterator[Item]:
    for item in items:
        work(item)
        yield item


@cache
def _openmp() -> Any:
    """Return the OpenMP libraries of this process: PyTorch has loaded its own."""
    return ThreadpoolController().select(user_api="openmp")
