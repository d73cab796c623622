"""What a cell of a notebook has made: it goes when the cell is run again, as what it has shown goes from the page."""

from __future__ import annotations

import weakref
from typing import Any, Protocol

from IPython import get_ipython


class Closable(Protocol):
    """Something that holds on to a page and a kernel until it is closed."""

    def close(self) -> None:
        """Let go."""
        ...


_made: dict[str, tuple[str, weakref.WeakSet[Any]]] = {}
"""By cell: its latest run, and what that made."""


def running_cell() -> tuple[str, str] | None:
    """Return the cell that runs now and its run, as the notebook names them; None outside of a notebook's cell."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    request = kernel.get_parent("shell")
    cell = request.get("metadata", {}).get("cellId")
    return None if cell is None else (str(cell), str(request["header"]["msg_id"]))


def replace_earlier(made: Closable) -> None:
    """Close what an earlier run of the running cell has made, and keep ``made`` in mind for its next run."""
    running = running_cell()
    if running is None:
        return
    cell, run = running
    before, earlier = _made.get(cell, (run, weakref.WeakSet[Any]()))
    if before != run:
        for past in list(earlier):
            past.close()
        earlier = weakref.WeakSet[Any]()
    earlier.add(made)
    _made[cell] = (run, earlier)
