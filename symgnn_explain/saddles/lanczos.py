"""The softest mode at a point of an energy surface, from differences of forces (Lanczos' method)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.saddles.calculator import EnergySurface
from symgnn_explain.saddles.minimisation import Point, largest
from symgnn_explain.structure.glass import FloatArray

DISPLACEMENT = 5e-3  # Å, that the atom which moves most is moved by to measure a curvature


@dataclass(frozen=True)
class Mode:
    """A direction (n, 3) of unit length, and the curvature of the energy along it, eV/Å²."""

    direction: FloatArray
    curvature: float


def softest_mode(
    surface: EnergySurface, point: Point, guess: FloatArray, *, most_calls: int, tolerance: float = 0.01
) -> Mode:
    """Return the mode of the lowest curvature.

    ``surface``, ``point``: where. ``guess``: direction to begin with, shape (n, 3); a mode that is orthogonal to it is
    not found. ``most_calls``: computations of forces at most. ``tolerance``: relative change of the curvature from one
    to the next at which it is good enough.
    """
    basis: list[FloatArray] = []
    diagonal: list[float] = []
    beside: list[float] = []
    q: FloatArray = guess.ravel() / np.linalg.norm(guess)
    weights: FloatArray = np.ones(1)
    curvature = np.inf
    for count in range(1, most_calls + 1):
        basis.append(q)
        vector = q.reshape(guess.shape)
        length = DISPLACEMENT / largest(vector)
        _, forces = surface(point.positions + length * vector)
        product = (point.forces - forces).ravel() / length
        diagonal.append(float(q @ product))
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        before, curvature, weights = curvature, float(values[0]), vectors[:, 0]
        if count > 2 and abs(curvature - before) < tolerance * max(abs(curvature), 0.1):
            break
        # Against all before it, twice: rounding would bring the first vectors back.
        known = np.array(basis)
        for _ in range(2):
            product -= (known @ product) @ known
        size = float(np.linalg.norm(product))
        if size < 1e-10 or count == point.positions.size:
            break
        beside.append(size)
        q = product / size
    direction = (weights @ np.array(basis)).reshape(guess.shape)
    return Mode(direction / np.linalg.norm(direction), curvature)
