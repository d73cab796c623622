"""What a method is given besides the network, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from symgnn_explain.errors import Cancelled
from symgnn_explain.glass import FloatArray


class CancelSignal(Protocol):
    """Anything that can say that it was set, such as ``threading.Event``."""

    def is_set(self) -> bool:
        """Whether the computation should stop."""
        ...


@dataclass(frozen=True)
class Watch:
    """Reports progress, and stops a computation that was cancelled."""

    progress: Callable[[float], None] | None = None
    cancel: CancelSignal | None = None

    def advance(self, fraction: float) -> None:
        """Report a fraction in [0, 1]; raise Cancelled if the user asked to stop."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled(f"the explanation was cancelled at {fraction:.0%}; nothing was changed.")
        if self.progress is not None:
            self.progress(fraction)


@dataclass(frozen=True)
class EdgeScores:
    """Scores of the receptive field's edges, shape (E,), with what the method says about them."""

    score: FloatArray
    signed: bool
    masked_prediction: float | None = None
    diagnostics: Mapping[str, float] = field(default_factory=dict)
