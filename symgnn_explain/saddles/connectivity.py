"""Whether a saddle point joins the minimum that a search began in to another one."""

from __future__ import annotations

from dataclasses import dataclass

from symgnn_explain.saddles.artn import Summit
from symgnn_explain.saddles.calculator import EnergySurface
from symgnn_explain.saddles.relax import Point, at, descend, largest
from symgnn_explain.saddles.settings import SearchSettings
from symgnn_explain.structure.glass import FloatArray

FALL_TOLERANCE = 0.02
"""Largest force (eV/Å) at which a fall is taken to have reached the bottom."""

MOST_STEPS = 600
LONGEST_STEP = 0.1
"""Å; a longer one might leave the valley."""


@dataclass(frozen=True)
class Connection:
    """Where the two sides of a saddle point fall to.

    Parameters
    ----------
    connected
        Whether just one of them is the start.
    beyond
        The minimum on the side that is not; None unless connected.
    """

    connected: bool
    beyond: Point | None = None


def connection(surface: EnergySurface, start: Point, summit: Summit, settings: SearchSettings) -> Connection:
    """Fall to both sides of a saddle point, first to the one where the start should be."""
    forwards = ((summit.point.positions - start.positions) * summit.mode.direction).sum() > 0
    lean = settings.lean / largest(summit.mode.direction) * summit.mode.direction * (1 if forwards else -1)
    if not _returns(_fall(surface, start, summit.point.positions - lean, settings), start, settings):
        # The other side can still be the start, where the mode is nearly across the way that led up.
        lean = -lean
        if not _returns(_fall(surface, start, summit.point.positions - lean, settings), start, settings):
            return Connection(connected=False)
    beyond = _fall(surface, start, summit.point.positions + lean, settings)
    if _returns(beyond, start, settings):
        return Connection(connected=False)
    return Connection(connected=True, beyond=beyond)


def _fall(surface: EnergySurface, start: Point, positions: FloatArray, settings: SearchSettings) -> Point:
    """Relax to a minimum, or until it is clear that it is the start."""
    point = at(surface, positions)
    for lower in descend(surface, point, tolerance=FALL_TOLERANCE, most_steps=MOST_STEPS, longest_step=LONGEST_STEP):
        point = lower
        if _returns(point, start, settings):
            break
    return point


def _returns(point: Point, start: Point, settings: SearchSettings) -> bool:
    near = largest(point.positions - start.positions) < settings.same_minimum
    return near and abs(point.energy - start.energy) < settings.same_energy
