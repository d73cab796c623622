"""How many threads PyTorch uses: what one piece of work sets reaches no other."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread

import pytest
import torch

from symgnn_explain.runs.threads import at_once, giving_way, one_thread, side_by_side


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def seen_by_another_thread() -> int:
    found: list[int] = []
    thread = Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_pieces_of_work_that_overlap_leave_every_thread_as_it_was() -> None:
    """The other begins first and ends last: each thread has one inside and its own number after, later threads too."""
    inside, leave, found = Event(), Event(), []

    def other() -> None:
        with one_thread():
            inside.set()
            leave.wait()
            found.append(torch.get_num_threads())
        found.append(torch.get_num_threads())

    thread = Thread(target=other)
    thread.start()
    inside.wait()
    assert torch.get_num_threads() == 3
    with one_thread():
        assert torch.get_num_threads() == 1
        assert seen_by_another_thread() == 3
    assert torch.get_num_threads() == 3
    leave.set()
    thread.join()
    assert found == [1, 3]
    assert seen_by_another_thread() == 3


def test_work_side_by_side_uses_one_thread_each_and_the_callers_mode_of_gradients() -> None:
    def work(item: int) -> None:
        done[item] = (torch.get_num_threads(), torch.is_grad_enabled())

    done: dict[int, tuple[int, bool]] = {}
    with torch.no_grad(), side_by_side() as work_through:
        assert list(work_through(work, range(20))) == list(range(20))
        assert seen_by_another_thread() == 3
    assert done == dict.fromkeys(range(20), (1, False))
    assert torch.get_num_threads() == seen_by_another_thread() == 3


@pytest.mark.parametrize("n_threads", [1, 2])
def test_work_that_gives_way_rests_while_something_is_done_at_once(n_threads: int) -> None:
    done: list[int] = []

    def in_background() -> None:
        torch.set_num_threads(n_threads)
        with giving_way(awaited), side_by_side() as work_through:
            list(work_through(done.append, range(50)))

    for rests in (True, False):
        done.clear()
        awaited = Event()
        background = Thread(target=in_background)
        with at_once(), at_once():
            background.start()
            with side_by_side() as work_through:  # what is done at once does not wait
                assert list(work_through(lambda _item: None, range(9))) == list(range(9))
            background.join(0.2)
            assert done == []
            if not rests:  # somebody waits for it
                awaited.set()
                background.join(20)
        background.join(20)
        assert sorted(done) == list(range(50))


def test_what_fails_is_raised_and_leaves_the_number_as_it_was() -> None:
    def fail(item: int) -> None:
        if item == 2:
            raise ValueError("two")

    with pytest.raises(ValueError, match="two"), side_by_side() as work_through:
        list(work_through(fail, range(9)))
    assert torch.get_num_threads() == seen_by_another_thread() == 3


def test_threads_that_begin_while_another_sets_its_own_number_have_theirs() -> None:
    """Whatever moment they begin at: the number of one thread never stands where others look."""
    stop, found = Event(), set()

    def enter_and_leave() -> None:
        while not stop.is_set():
            with one_thread():
                pass

    others = [Thread(target=enter_and_leave) for _ in range(3)]
    for thread in others:
        thread.start()
    found = {seen_by_another_thread() for _ in range(300)}
    stop.set()
    for thread in others:
        thread.join()
    assert found == {3}
    assert torch.get_num_threads() == 3
