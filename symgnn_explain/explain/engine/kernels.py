"""Masked attention compiled for one CPU core: each atom's edges pass through the cache once, nothing is kept an edge.

See :mod:`symgnn_explain.explain.engine.edge_attention` for the mathematics, and for the same in plain PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})


@_compiled
def attend(given: Any, slope: float, renormalise: bool, filled: Any) -> None:  # noqa: PLR0912 - compiled
    """Fill ``attention`` (E, K), ``aggregated`` (T, K, D), which must be zero, and ``hidden`` of the first H edges."""
    from_source, from_target, from_edge, value, vector, mask, source, first_edge = given
    attention, aggregated, hidden = filled
    n_targets, n_heads, width = from_target.shape
    for i in range(n_targets):
        for e in range(first_edge[i], first_edge[i + 1]):
            j = source[e]
            for k in range(n_heads):
                logit = vector[0, 0] * 0
                for d in range(width):
                    h = from_source[j, k, d] + from_target[i, k, d] + from_edge[e, k, d]
                    h = max(h, slope * h)
                    logit += vector[k, d] * h
                attention[e, k] = logit
            if e < len(hidden):
                for k in range(n_heads):
                    for d in range(width):
                        h = from_source[j, k, d] + from_target[i, k, d] + from_edge[e, k, d]
                        hidden[e, k, d] = max(h, slope * h)
        for k in range(n_heads):
            largest = -np.inf
            for e in range(first_edge[i], first_edge[i + 1]):
                largest = max(largest, attention[e, k])
            total = 0.0
            for e in range(first_edge[i], first_edge[i + 1]):
                attention[e, k] = math.exp(attention[e, k] - largest)
                total += attention[e, k] * mask[e] if renormalise else attention[e, k]
            # Where every message is removed nothing arrives, whatever the weights.
            scale = 1 / total if total > 0 else 0.0
            for e in range(first_edge[i], first_edge[i + 1]):
                attention[e, k] *= scale
        for e in range(first_edge[i], first_edge[i + 1]):
            j = source[e]
            for k in range(n_heads):
                weight = attention[e, k] * mask[e]
                for d in range(width):
                    aggregated[i, k, d] += weight * value[j, k, d]


@_compiled
def attend_backward(given: Any, slope: float, renormalise: bool, known: Any, towards: Any) -> None:
    """Add to the gradients towards the inputs, knowing the attention and the gradients of what was filled.

    Those towards ``from_edge`` are set, or left out where their array is empty.
    """
    from_source, from_target, from_edge, value, vector, mask, source, first_edge = given
    attention, towards_aggregated, towards_hidden = known
    towards_source, towards_target, towards_edge, towards_value, towards_mask = towards
    n_targets, n_heads, width = from_target.shape
    most = 0
    for i in range(n_targets):
        most = max(most, first_edge[i + 1] - first_edge[i])
    towards_weight = np.empty((most, n_heads), dtype=attention.dtype)
    mean = np.empty(n_heads, dtype=attention.dtype)
    for i in range(n_targets):
        start, end = first_edge[i], first_edge[i + 1]
        mean[:] = 0
        for e in range(start, end):
            j = source[e]
            for k in range(n_heads):
                weight = attention[e, k] * mask[e]
                product = vector[0, 0] * 0
                for d in range(width):
                    product += towards_aggregated[i, k, d] * value[j, k, d]
                    towards_value[j, k, d] += weight * towards_aggregated[i, k, d]
                towards_weight[e - start, k] = product
                mean[k] += weight * product
        for e in range(start, end):
            j = source[e]
            keeps = e < len(towards_hidden)
            for k in range(n_heads):
                if renormalise:
                    excess = towards_weight[e - start, k] - mean[k]
                    towards_mask[e] += attention[e, k] * excess
                    towards_logit = attention[e, k] * mask[e] * excess
                else:
                    towards_mask[e] += attention[e, k] * towards_weight[e - start, k]
                    towards_logit = attention[e, k] * (mask[e] * towards_weight[e - start, k] - mean[k])
                for d in range(width):
                    h = from_source[j, k, d] + from_target[i, k, d] + from_edge[e, k, d]
                    gradient = towards_logit * vector[k, d]
                    if keeps:
                        gradient += towards_hidden[e, k, d]
                    gradient = gradient if h > 0 else slope * gradient
                    towards_source[j, k, d] += gradient
                    towards_target[i, k, d] += gradient
                    if len(towards_edge) > 0:
                        towards_edge[e, k, d] = gradient


@_compiled
def add_weighted(weight: Any, mask: Any, slot: Any, sums: Any) -> None:
    """Add ``weight`` (E, K) times ``mask`` (E,) to the row of ``sums`` (S, K) that ``slot`` (E,) names."""
    for e in range(len(mask)):
        for k in range(weight.shape[1]):
            sums[slot[e], k] += weight[e, k] * mask[e]


@_compiled
def add_weighted_backward(weight: Any, slot: Any, towards_sums: Any, towards_mask: Any) -> None:
    """Fill the gradient (E,) towards the mask."""
    for e in range(len(towards_mask)):
        gradient = weight[0, 0] * 0
        for k in range(weight.shape[1]):
            gradient += weight[e, k] * towards_sums[slot[e], k]
        towards_mask[e] = gradient


@_compiled
def add_messages(given: Any, mask: Any, sums: Any) -> None:
    """Add ``attention`` (E, K) times ``mask`` (E,) times the message (K, D) of the source to ``sums`` (T, K, D)."""
    attention, value, source, target = given
    for e in range(len(mask)):
        i, j = target[e], source[e]
        for k in range(value.shape[1]):
            weight = attention[e, k] * mask[e]
            for d in range(value.shape[2]):
                sums[i, k, d] += weight * value[j, k, d]


@_compiled
def add_messages_backward(given: Any, towards_sums: Any, towards_mask: Any) -> None:
    """Fill the gradient (E,) towards the mask."""
    attention, value, source, target = given
    for e in range(len(towards_mask)):
        i, j = target[e], source[e]
        gradient = attention[0, 0] * 0
        for k in range(value.shape[1]):
            product = attention[0, 0] * 0
            for d in range(value.shape[2]):
                product += towards_sums[i, k, d] * value[j, k, d]
            gradient += attention[e, k] * product
        towards_mask[e] = gradient
