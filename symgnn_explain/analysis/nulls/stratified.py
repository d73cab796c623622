"""Random choices with the same number in each class as a given choice: fast and exact nulls."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symgnn_explain.structure.glass import FloatArray, IntArray


def classes_of(*attributes: ArrayLike) -> IntArray:
    """Give each combination of values of these attributes, each of shape (M,), a number; shape (M,)."""
    _, label = np.unique(np.column_stack(attributes), axis=0, return_inverse=True)
    return label.reshape(-1).astype(np.int64)


def length_classes(length: FloatArray, width: float) -> IntArray:
    """Sort lengths into classes that are ``width`` wide and begin at 0; shape (M,)."""
    return np.floor(length / width).astype(np.int64)


def draw_in_classes(
    label: IntArray, chosen: NDArray[np.bool_], draws: int, random: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Draw as many of each class as are chosen, without replacement, again and again.

    The chosen ones can be drawn too: under the hypothesis that nothing but the class decides, the given choice is one
    draw among the others, and p-values are exact.

    Parameters
    ----------
    label
        Class of each candidate, shape (M,).
    chosen
        Which candidates are chosen, K in all.

    Returns
    -------
    rows, expectation
        Candidates of each draw, shape (draws, K), column c in the class of the c-th chosen one; and the chance of each
        candidate to be drawn, shape (M,).
    """
    chosen_label = label[chosen]
    rows = np.empty((draws, len(chosen_label)), dtype=np.int64)
    expectation = np.zeros(len(label))
    for value in np.unique(chosen_label):
        members, columns = np.flatnonzero(label == value), np.flatnonzero(chosen_label == value)
        expectation[members] = len(columns) / len(members)
        rows[:, columns] = members[_subsets(len(members), len(columns), draws, random)]
    return rows, expectation


def _subsets(n: int, size: int, draws: int, random: np.random.Generator) -> IntArray:
    """Draw subsets of ``range(n)``, all of one size equally likely: shape (draws, size), by Floyd's algorithm."""
    taken = np.zeros((draws, n), dtype=bool)
    rows = np.empty((draws, size), dtype=np.int64)
    every = np.arange(draws)
    for column, last in enumerate(range(n - size, n)):
        drawn = random.integers(0, last, size=draws, endpoint=True)
        drawn[taken[every, drawn]] = last
        taken[every, drawn] = True
        rows[:, column] = drawn
    return rows
