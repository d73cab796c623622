"""What every part of the session's state rests on."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import numpy as np
from traitlets import HasTraits, Instance, Int, Unicode

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import Target
from symgnn_explain.structure.glass import FloatArray, Glass

Key = tuple[Any, ...]
"""Atom, method, semantics, unit and settings: what an explanation is known by."""

_log = logging.getLogger(__name__)


class SessionBase(HasTraits):
    """The structure, the network, the atom that is looked at and what is known about it."""

    prepared: PreparedGlass
    glass = Instance(Glass)
    predictor = Instance(Predictor)
    predictions = Instance(np.ndarray, help="prediction of each atom, shape (N,)")
    selected_atom = Int(None, allow_none=True, help="the atom that is looked at, and explained when asked")
    explanation = Instance(AtomExplanation, allow_none=True)
    domain = Instance(
        np.ndarray, allow_none=True, help="score of each atom, shape (N,): 1 at the edge of what training covered"
    )
    error = Unicode(help="one sentence about what went wrong last, or empty")

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self.predictor.target

    @cached_property
    def labels(self) -> FloatArray | None:
        """Known values of the target, shape (N,), NaN where unknown; None where all are."""
        return self.target.labels(self.glass)

    @cached_property
    def spread(self) -> FloatArray | None:
        """Standard deviation of each prediction, shape (N,); None where the network was not calibrated."""
        return self.prepared.spread

    @cached_property
    def domain_warning(self) -> str:
        """One sentence where much of the structure lies outside of what training covered; else empty."""
        covered = self.predictor.domain
        return "" if covered is None or self.domain is None else covered.sentence(self.glass, self.domain)

    def uncertainty_of(self, atom: int) -> float | None:
        """Return the standard deviation of one prediction, where it is known."""
        return None if self.spread is None else float(self.spread[atom])


def as_sentence(what: str, error: Exception) -> str:
    """Say in one sentence what went wrong; what the program did not expect goes to the log in full."""
    if isinstance(error, InputError):
        return str(error)
    _log.error("%s.", what, exc_info=error)
    reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    return f"{what} ({type(error).__name__}: {reason})."
