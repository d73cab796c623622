"""What a function of coalitions is made of: dividends, Shapley values and interactions, by exact enumeration.

A set function v of n players is given as its 2^n values, where bit ``g`` of an index says whether player ``g`` is in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, IntArray


def n_players(values: FloatArray) -> int:
    """Return n of 2^n values; raises InputError where there is another number of them."""
    n = len(values).bit_length() - 1
    if values.ndim != 1 or len(values) != 2**n:
        raise InputError(f"a set function of n players has 2^n values, not an array of shape {values.shape}.")
    return n


def dividends(values: FloatArray) -> FloatArray:
    """Return Harsanyi's dividends a(S) = Σ_{T ⊆ S} (-1)^{|S| - |T|} v(T), the Möbius transform, shape (2^n,).

    They are what each set adds beyond all of its parts: v(S) = Σ_{T ⊆ S} a(T). Harsanyi, Int. Econ. Rev. 4, 194 (1963).
    """
    found = np.array(values, dtype=np.float64)
    for player in range(n_players(values)):
        pairs = found.reshape(-1, 2, 2**player)
        pairs[:, 1] -= pairs[:, 0]
    return found


def interactions(values: FloatArray, sets: Sequence[Sequence[int]]) -> FloatArray:
    """Return Shapley interaction values of some sets of players, shape (len(sets),).

    I(S) is the mean, over the orders in which S as one and all other players come in, of the mixed difference
    Σ_{T ⊆ S} (-1)^{|S| - |T|} v(C ∪ T), where C came before: what the players of S do together and not each for
    itself. In dividends it is Σ_{T ⊇ S} a(T) / (|T| - |S| + 1). Of single players it is the Shapley value, whose sum
    is v(all) - v(none). Grabisch and Roubens, Int. J. Game Theory 28, 547 (1999).
    """
    share, size = dividends(values), sizes(n_players(values))
    coalitions = np.arange(len(values))
    found = []
    for chosen in sets:
        bits = sum(1 << player for player in set(chosen))
        above = (coalitions & bits) == bits
        found.append(float((share[above] / (size[above] - bits.bit_count() + 1)).sum()))
    return np.array(found)


def by_order(values: FloatArray) -> FloatArray:
    """Sum the dividends of all sets of k players, for k = 0 … n, shape (n + 1,): they sum to v(all)."""
    return _sums(sizes(n_players(values)), dividends(values))


def variance_by_order(values: FloatArray) -> FloatArray:
    """Split the variance of v over all coalitions by the number of players that act together, shape (n + 1,).

    The parts of the functional analysis of variance are orthogonal where each player is in or out with the same chance:
    the squares of the Walsh coefficients, summed by the size of their sets. The constant, k = 0, has no variance.
    """
    found = np.array(values, dtype=np.float64)
    for player in range(n_players(values)):
        pairs = found.reshape(-1, 2, 2**player)
        out, within = pairs[:, 0].copy(), pairs[:, 1].copy()
        pairs[:, 0], pairs[:, 1] = (out + within) / 2, (within - out) / 2
    found[0] = 0.0
    return _sums(sizes(n_players(values)), found**2)


def sizes(n: int) -> IntArray:
    """Count the players in each coalition, shape (2^n,)."""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).sum(axis=1)


def _sums(size: IntArray, values: FloatArray) -> FloatArray:
    return np.bincount(size, weights=values).astype(np.float64)
