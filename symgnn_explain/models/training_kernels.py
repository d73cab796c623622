"""Attention with its gradient towards all that is learned, compiled: what a training step spends its time in.

See :mod:`symgnn_explain.models.training_step`. What leads into a few atoms stays in the cache of a core, so that many
short loops, which compile to vector instructions, cost less than few that do more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgnn_explain.runs.compiled import compiled


@compiled
def attend_forward(  # noqa: PLR0912, PLR0917 - compiled
    given: Any, from_edge: Any, edges: Any, numbers: Any, rounding: Any, filled: Any, begin: int, end: int
) -> None:
    """Fill ``hidden`` (E, K, D), ``attention`` (E, K) and ``aggregated`` (N, K, D) of what leads into some atoms.

    ``from_edge`` (e, K, D) is of the edges into these atoms alone, which follow each other. ``numbers`` are the slope
    of LeakyReLU and the logit of what sends nothing.
    """
    from_source, from_target, value, vector, fading = given
    source, first = edges
    slope, nothing = numbers
    hidden, attention, aggregated = filled
    n_heads, width = vector.shape
    largest, total = np.empty(n_heads, dtype=vector.dtype), np.empty(n_heads, dtype=vector.dtype)
    for i in range(begin, end):
        for e in range(first[i], first[i + 1]):
            j, own = source[e], e - first[begin]
            for k in range(n_heads):
                for d in range(width):
                    h = from_source[j, k, d] + from_target[i, k, d] + from_edge[own, k, d]
                    if rounding is None:
                        hidden[e, k, d] = max(h, slope * h)
                    else:
                        hidden[e, k, d] = (h + slope * h + (1 - slope) * np.sqrt(h * h + rounding)) / 2
        for e in range(first[i], first[i + 1]):
            for k in range(n_heads):
                logit = fading[e]
                for d in range(width):
                    logit += vector[k, d] * hidden[e, k, d]
                attention[e, k] = logit
        largest[:] = nothing
        for e in range(first[i], first[i + 1]):
            for k in range(n_heads):
                largest[k] = max(largest[k], attention[e, k])
        total[:] = np.exp(nothing - largest)
        for e in range(first[i], first[i + 1]):
            for k in range(n_heads):
                weight = np.exp(attention[e, k] - largest[k])
                attention[e, k] = weight
                total[k] += weight
        aggregated[i] = 0
        for e in range(first[i], first[i + 1]):
            j = source[e]
            for k in range(n_heads):
                share = attention[e, k] / total[k]
                attention[e, k] = share
                for d in range(width):
                    aggregated[i, k, d] += share * value[j, k, d]


@compiled
def attend_backward(  # noqa: PLR0912, PLR0917 - compiled
    given: Any, from_edge: Any, edges: Any, slope: Any, rounding: Any, known: Any, found: Any, begin: int, end: int
) -> None:
    """Turn the gradients of what leads into some atoms into those of what it is made of.

    ``towards_edge`` (e, K, D) holds the gradient towards the hidden features of the edges into these atoms, and that
    towards what the edges give afterwards. To the other gradients is added.
    """
    from_source, from_target, value, vector, _ = given
    source, first = edges
    hidden, attention, towards_aggregated = known
    towards_edge, towards_source, towards_target, towards_value, towards_vector = found
    n_heads, width = vector.shape
    most = 0
    for i in range(begin, end):
        most = max(most, first[i + 1] - first[i])
    product = np.empty((most, n_heads), dtype=vector.dtype)
    mean = np.empty(n_heads, dtype=vector.dtype)
    for i in range(begin, end):
        start, stop, own = first[i], first[i + 1], first[i] - first[begin]
        for p in range(stop - start):
            j = source[start + p]
            for k in range(n_heads):
                dot = slope * 0
                for d in range(width):
                    dot += towards_aggregated[i, k, d] * value[j, k, d]
                product[p, k] = dot
        mean[:] = 0
        for p in range(stop - start):
            for k in range(n_heads):
                mean[k] += attention[start + p, k] * product[p, k]
        for p in range(stop - start):
            for k in range(n_heads):
                product[p, k] = attention[start + p, k] * (product[p, k] - mean[k])
        for p in range(stop - start):
            for k in range(n_heads):
                for d in range(width):
                    towards_vector[k, d] += product[p, k] * hidden[start + p, k, d]
        for p in range(stop - start):
            e, j = start + p, source[start + p]
            for k in range(n_heads):
                for d in range(width):
                    towards = product[p, k] * vector[k, d] + towards_edge[own + p, k, d]
                    if rounding is None:
                        towards_edge[own + p, k, d] = towards if hidden[e, k, d] > 0 else slope * towards
                    else:
                        h = from_source[j, k, d] + from_target[i, k, d] + from_edge[own + p, k, d]
                        rise = 1 + slope + (1 - slope) * h / np.sqrt(h * h + rounding)
                        towards_edge[own + p, k, d] = towards * rise / 2
        for p in range(stop - start):
            for k in range(n_heads):
                for d in range(width):
                    towards_target[i, k, d] += towards_edge[own + p, k, d]
        for p in range(stop - start):
            j = source[start + p]
            for k in range(n_heads):
                for d in range(width):
                    towards_source[j, k, d] += towards_edge[own + p, k, d]
        for p in range(stop - start):
            j = source[start + p]
            for k in range(n_heads):
                share = attention[start + p, k]
                for d in range(width):
                    towards_value[j, k, d] += share * towards_aggregated[i, k, d]


@compiled
def add_affine(values: Any, constant: Any, factor: Any, of: Any) -> None:
    """Add ``constant + factor * of`` to values, row by row, (n, C)."""
    for row in range(len(values)):
        for c in range(len(constant)):
            values[row, c] += constant[c] + factor[c] * of[row, c]


@compiled
def moments(values: Any, mean: Any, squares: Any) -> None:
    """Set the mean of each column (C,) of ``values`` (n, C), n > 0, and the sum of its squared deviations."""
    mean[:] = 0
    for row in range(len(values)):
        for c in range(len(mean)):
            mean[c] += values[row, c]
    for c in range(len(mean)):
        mean[c] /= len(values)
    squares[:] = 0
    for row in range(len(values)):
        for c in range(len(mean)):
            squares[c] += (values[row, c] - mean[c]) ** 2
