"""Progress of a long computation, a look at what it has come to so far, and a way to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import Cancelled

PREVIEW_INTERVAL = 0.7  # shortest time (s) between two previews: each is drawn anew by whoever watches


class CancelSignal(Protocol):
    """Anything that can say that it was set, such as ``threading.Event``."""

    def is_set(self) -> bool:
        """Whether the computation should stop."""
        ...


class Preview:
    """Shows what a computation has come to so far, at most once in ``PREVIEW_INTERVAL``.

    ``show``: takes the score of each unit, shape (n_units,), as it is now.
    """

    def __init__(self, show: Callable[[NDArray[np.float64]], None]) -> None:
        self._show = show
        self._last = time.monotonic()

    def offer(self, scores: Callable[[], NDArray[np.float64]]) -> None:
        """Show the scores if it is time to; only then are they asked for."""
        if time.monotonic() - self._last >= PREVIEW_INTERVAL:
            self._show(scores())
            self._last = time.monotonic()


@dataclass(frozen=True)
class Watch:
    """Reports progress, and stops a computation that was cancelled."""

    progress: Callable[[float], None] | None = None
    cancel: CancelSignal | None = None
    preview: Preview | None = None

    def advance(self, fraction: float) -> None:
        """Report a fraction in [0, 1]; raise Cancelled if the user asked to stop."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled(f"the computation was cancelled at {fraction:.0%}.")
        if self.progress is not None:
            self.progress(fraction)

    def offer(self, scores: Callable[[], NDArray[np.float64]]) -> None:
        """Let the scores of the units be seen as they are now, where somebody wants to."""
        if self.preview is not None:
            self.preview.offer(scores)

    def parts(self, count: int) -> list[Watch]:
        """Watch ``count`` equal parts, one after the other."""

        def shifted(place: int) -> Callable[[float], None] | None:
            progress = self.progress
            return None if progress is None else lambda fraction: progress((place + fraction) / count)

        return [Watch(shifted(place), self.cancel, self.preview) for place in range(count)]
