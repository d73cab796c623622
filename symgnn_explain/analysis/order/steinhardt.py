"""Steinhardt's bond-orientational order: how the neighbours of an atom are arranged, whatever their orientation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial, sqrt
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray
from symgnn_explain.structure.neighbours import Neighbours

DEGREES = (4, 6)

VANISHING = 1e-9
"""Below this sum of |q_lm|² an atom has no order of that degree, and w_l is undefined."""


@dataclass(frozen=True, eq=False, repr=False)
class BondOrder(Brief):
    """Steinhardt's invariants of every atom.

    Parameters
    ----------
    q, w
        By degree l, shapes (N,): 0 ≤ q_l ≤ 1, and the normalised third-order invariant w_l. NaN for an atom without
        neighbours; w_l also where q_l is zero.
    """

    q: Mapping[int, FloatArray]
    w: Mapping[int, FloatArray]

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", MappingProxyType(dict(self.q)))
        object.__setattr__(self, "w", MappingProxyType(dict(self.w)))

    def to_frame(self) -> pd.DataFrame:
        """One row an atom: atom, q4, q6, w4, w6."""
        columns: dict[str, Any] = {f"q{degree}": values for degree, values in self.q.items()}
        columns |= {f"w{degree}": values for degree, values in self.w.items()}
        table = pd.DataFrame(columns)
        table.insert(0, "atom", np.arange(len(table)))
        return table


def bond_order(neighbours: Neighbours, n_atoms: int, *, degrees: Sequence[int] = DEGREES) -> BondOrder:
    """Steinhardt's q_l and w_l of every atom (Steinhardt, Nelson, Ronchetti, Phys. Rev. B 28, 784, 1983).

    q_l = sqrt(4π/(2l+1) Σ_m |q_lm|²) with q_lm the mean of the spherical harmonics Y_lm over an atom's neighbours, and
    w_l = Σ (l l l; m1 m2 m3) q_lm1 q_lm2 q_lm3 / (Σ_m |q_lm|²)^(3/2). Both depend on who counts as a neighbour:
    neighbours within the first minimum of g(r) are usual.

    Parameters
    ----------
    neighbours
        Of every atom, from :func:`~.neighbours.neighbours_within` or of Voronoi cells.
    degrees
        Degrees l, from 1.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> from symgnn_explain.structure.neighbours import neighbours_within
    >>> glass = datasets.sample()
    >>> float(bond_order(neighbours_within(glass, 3.8), len(glass)).q[6].mean().round(2))
    0.39
    """
    total = np.bincount(neighbours.centre, minlength=n_atoms)
    share = np.where(total > 0, 1 / np.where(total > 0, total, 1), np.nan)
    q, w = {}, {}
    for degree in degrees:
        moments = np.stack(
            [
                np.bincount(neighbours.centre, part.real, minlength=n_atoms)
                + 1j * np.bincount(neighbours.centre, part.imag, minlength=n_atoms)
                for part in _spherical_harmonics(degree, neighbours.displacement)
            ]
        )
        moments = moments * share
        power = (np.abs(moments) ** 2).sum(axis=0)
        q[degree] = np.sqrt(4 * np.pi / (2 * degree + 1) * power)
        w[degree] = _third_order(degree, moments, power)
    return BondOrder(q, w)


def _spherical_harmonics(degree: int, vectors: FloatArray) -> list[Any]:
    """Y_lm of the direction of each vector, for m from -l to l."""
    from scipy.special import lpmv

    cosine = vectors[:, 2] / np.linalg.norm(vectors, axis=1)
    azimuth = np.arctan2(vectors[:, 1], vectors[:, 0])
    positive = [
        sqrt((2 * degree + 1) / (4 * np.pi) * factorial(degree - order) / factorial(degree + order))
        * lpmv(order, degree, cosine)
        * np.exp(1j * order * azimuth)
        for order in range(degree + 1)
    ]
    negative = [(-1) ** order * np.conj(positive[order]) for order in range(degree, 0, -1)]
    return [*negative, *positive]


def _third_order(degree: int, moments: Any, power: FloatArray) -> FloatArray:
    total = np.zeros(moments.shape[1])
    for first, second, third, symbol in _wigner_symbols(degree):
        total += symbol * (moments[first + degree] * moments[second + degree] * moments[third + degree]).real
    defined = power > VANISHING
    return np.where(defined, total / np.where(defined, power, 1.0) ** 1.5, np.nan)


@cache
def _wigner_symbols(degree: int) -> tuple[tuple[int, int, int, float], ...]:
    orders = range(-degree, degree + 1)
    return tuple(
        (first, second, -first - second, wigner_3j(degree, first, second))
        for first in orders
        for second in orders
        if abs(first + second) <= degree
    )


def wigner_3j(degree: int, first: int, second: int) -> float:
    """Wigner's symbol (l l l; m1 m2 -m1-m2), by Racah's formula."""
    third = -first - second
    orders = (first, second, third)
    sign = -1 if third % 2 else 1
    triangle = factorial(degree) ** 3 / factorial(3 * degree + 1)
    scale = sqrt(triangle) * sqrt(
        float(np.prod([float(factorial(degree + order)) * float(factorial(degree - order)) for order in orders]))
    )
    lowest, highest = max(0, -first, second), min(degree, degree - first, degree + second)
    terms = (
        (-1) ** step
        / (
            factorial(step)
            * factorial(degree - step)
            * factorial(degree - first - step)
            * factorial(degree + second - step)
            * factorial(first + step)
            * factorial(step - second)
        )
        for step in range(lowest, highest + 1)
    )
    return sign * scale * sum(terms)
