"""Quasi-Newton steps (L-BFGS) down to minima, and down everywhere but along one mode, which leads to saddle points.

See Nocedal and Wright, *Numerical Optimization*, algorithm 7.4. Along the mode the force is turned round (Henkelman and
Jónsson, J. Chem. Phys. 111, 7010 (1999)). Steps are kept as they were measured, and turned round with the mode of the
moment, so that what was learnt of the surface survives an update of the mode.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from symgnn_explain.saddles.calculator import EnergySurface
from symgnn_explain.structure.glass import FloatArray

MEMORY = 15
STIFFNESS = 20.0  # curvature that is assumed before any is measured, eV/Å²
SHORTEST_STEP = 1e-4  # Å; a step that is shorter may go up by what rounding does


def largest(vectors: FloatArray) -> float:
    """Return the length of the longest of vectors, shape (n, 3)."""
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max()))


def across(vectors: FloatArray, mode: FloatArray) -> FloatArray:
    """Remove what lies along a mode of unit length."""
    return vectors - (vectors * mode).sum() * mode


def turned(vectors: FloatArray, mode: FloatArray) -> FloatArray:
    """Turn round what lies along a mode of unit length."""
    return vectors - 2 * (vectors * mode).sum() * mode


@dataclass(frozen=True)
class Point:
    """A place on an energy surface: positions (n, 3), Å, energy, eV, and forces (n, 3), eV/Å."""

    positions: FloatArray
    energy: float
    forces: FloatArray

    @property
    def largest_force(self) -> float:
        """On any movable atom, eV/Å."""
        return largest(self.forces)


def at(surface: EnergySurface, positions: FloatArray) -> Point:
    """Compute energy and forces at a place."""
    return Point(positions, *surface(positions))


class QuasiNewton:
    """Remembers how forces changed along the latest steps, and proposes the next one.

    ``longest_step``: that the atom which moves most may take, Å. ``change``: what is done to forces before they are
    followed: turned round along a mode, or nothing.
    """

    def __init__(self, longest_step: float) -> None:
        self._longest_step = longest_step
        self._pairs: deque[tuple[FloatArray, FloatArray]] = deque(maxlen=MEMORY)

    def forget(self) -> None:
        """Begin anew."""
        self._pairs.clear()

    def learn(self, before: Point, after: Point) -> None:
        """Remember a step."""
        self._pairs.append((after.positions - before.positions, before.forces - after.forces))

    def moved(self, surface: EnergySurface, point: Point, change: Callable[[FloatArray], FloatArray]) -> Point:
        """Take the step that :meth:`step` proposes, and learn from it."""
        after = at(surface, point.positions + self.step(point.forces, change))
        self.learn(point, after)
        return after

    def step(self, forces: FloatArray, change: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Propose a step (n, 3), Å, where ``change`` is what is done to forces before they are followed."""
        downhill = change(forces)
        q = -downhill
        usable = []
        for s, y in reversed(self._pairs):
            z = change(y)
            product = float((s * z).sum())
            if product > 1e-10:
                usable.append((s, z, product))
        weights = []
        for s, z, product in usable:
            weight = float((s * q).sum()) / product
            q -= weight * z
            weights.append(weight)
        q *= usable[0][2] / float((usable[0][1] ** 2).sum()) if usable else 1 / STIFFNESS
        for (s, z, product), weight in zip(reversed(usable), reversed(weights), strict=True):
            q += (weight - float((z * q).sum()) / product) * s
        proposed = -change(change(q)) if usable else -q
        if float((proposed * downhill).sum()) <= 0:
            self.forget()
            proposed = downhill / STIFFNESS
        length = largest(proposed)
        return proposed if length <= self._longest_step else proposed * (self._longest_step / length)


def descend(
    surface: EnergySurface, point: Point, *, tolerance: float, most_steps: int, longest_step: float = 0.1
) -> Iterator[Point]:
    """Yield the points of a relaxation that never goes up, until no force exceeds ``tolerance`` (eV/Å)."""
    newton = QuasiNewton(longest_step)
    scale = 1.0
    for _ in range(most_steps):
        if point.largest_force < tolerance:
            return
        step = scale * newton.step(point.forces, _unchanged)
        after = at(surface, point.positions + step)
        if after.energy > point.energy + 1e-7 and largest(step) > SHORTEST_STEP:
            newton.forget()
            scale *= 0.3
            continue
        newton.learn(point, after)
        scale = min(1.0, 2 * scale)
        point = after
        yield point


def _unchanged(vectors: FloatArray) -> FloatArray:
    return vectors


def minimise(surface: EnergySurface, point: Point, *, tolerance: float, most_steps: int = 2000) -> Point:
    """Return the minimum that relaxation from a point ends in, or where it was after so many steps."""
    for lower in descend(surface, point, tolerance=tolerance, most_steps=most_steps):
        point = lower
    return point
