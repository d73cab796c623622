"""Masked attention compiled for one CPU core: each atom's edges pass through the cache once, nothing is kept an edge.

Numbers of edges and atoms are made unsigned: no loop then asks whether they count from the end of an array.
See :mod:`symgnn_explain.explain.engine.edge_attention` for the mathematics, and for the same in plain PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgnn_explain.runs.compiled import compiled_apart


@compiled_apart
def attend(  # noqa: PLR0912, PLR0917 - compiled
    given: Any, numbers: Any, rounding: Any, most: Any, renormalise: bool, filled: Any
) -> None:
    """Fill ``attention`` (M, E, K), ``kept``, ``attended``, ``aggregated``, and the first H of ``hidden``.

    The middle three must be zero; ``attended`` is left out where it is empty. ``numbers``, the slope of LeakyReLU and
    the logit of nothing, ``rounding`` and ``most`` have the precision of the arrays, so that nothing is computed in a
    higher one.
    ``rounding`` is None where the activation has a corner and nothing fades, and the function is compiled for that.
    """
    node, from_source, from_target, from_edge, mask, vector, fading, source, first_edge = given
    attention, kept, attended, aggregated, hidden = filled
    slope, nothing = numbers
    n_members, n_targets, n_heads, width = from_target.shape
    n_hidden = np.uintp(hidden.shape[1])
    for m in range(n_members):
        for i in range(n_targets):
            start, end = np.uintp(first_edge[i]), np.uintp(first_edge[i + 1])
            for e in range(start, end):
                j = np.uintp(source[e])
                for k in range(n_heads):
                    logit = slope * 0
                    for d in range(width):
                        h = from_source[m, j, k, d] + from_target[m, i, k, d] + from_edge[m, e, k, d]
                        if rounding is None:
                            logit += vector[m, k, d] * max(h, slope * h)
                        else:
                            logit += vector[m, k, d] * (h + slope * h + (1 - slope) * np.sqrt(h * h + rounding)) / 2
                    attention[m, e, k] = logit if rounding is None else logit + fading[e]
                if e < n_hidden:
                    for k in range(n_heads):
                        for d in range(width):
                            h = from_source[m, j, k, d] + from_target[m, i, k, d] + from_edge[m, e, k, d]
                            if rounding is None:
                                hidden[m, e, k, d] = max(h, slope * h)
                            else:
                                hidden[m, e, k, d] = (h + slope * h + (1 - slope) * np.sqrt(h * h + rounding)) / 2
            for k in range(n_heads):
                largest = nothing
                for e in range(start, end):
                    if mask[m, e] > 0 or not renormalise:
                        largest = max(largest, attention[m, e, k])
                total = slope * 0
                if nothing > -np.inf:
                    total = np.exp(nothing - largest)
                for e in range(start, end):
                    weight = np.exp(min(attention[m, e, k] - largest, most))
                    attention[m, e, k] = weight
                    total += weight * mask[m, e] if renormalise else weight
                # Where every message is removed nothing arrives, whatever the weights.
                scale = 1 / total if total > 0 else slope * 0
                for e in range(start, end):
                    attention[m, e, k] *= scale
                    kept[m, i, k] += attention[m, e, k] * mask[m, e]
                if attended.shape[1] > 0:
                    for e in range(start, end):
                        attended[m, i, k] += attention[m, e, k]
            for e in range(start, end):
                j = np.uintp(source[e])
                for k in range(n_heads):
                    weight = attention[m, e, k] * mask[m, e]
                    for d in range(node.shape[2]):
                        aggregated[m, i, k, d] += weight * node[m, j, d]


@compiled_apart
def attend_backward(  # noqa: PLR0912, PLR0915, PLR0917 - compiled
    given: Any, slope: Any, rounding: Any, renormalise: bool, known: Any, towards: Any, towards_edge: Any
) -> None:
    """Add to the gradients towards the inputs, knowing the attention and the gradients of what was filled.

    Those towards ``from_edge`` are set, or left out where their array is None.
    """
    node, from_source, from_target, from_edge, mask, vector, _, source, first_edge = given
    attention, attended, towards_kept, towards_attended, towards_aggregated, towards_hidden = known
    towards_node, towards_source, towards_target, towards_mask = towards
    n_members, n_targets, n_heads, width = from_target.shape
    n_hidden = np.uintp(towards_hidden.shape[1])
    most = 0
    for i in range(n_targets):
        most = max(most, first_edge[i + 1] - first_edge[i])
    towards_weight = np.empty((most, n_heads), dtype=attention.dtype)
    mean = np.empty(n_heads, dtype=attention.dtype)
    for m in range(n_members):
        for i in range(n_targets):
            start, end = np.uintp(first_edge[i]), np.uintp(first_edge[i + 1])
            mean[:] = 0
            for e in range(start, end):
                j = np.uintp(source[e])
                for k in range(n_heads):
                    weight = attention[m, e, k] * mask[m, e]
                    product = towards_kept[m, i, k]
                    for d in range(node.shape[2]):
                        product += towards_aggregated[m, i, k, d] * node[m, j, d]
                        towards_node[m, j, d] += weight * towards_aggregated[m, i, k, d]
                    towards_weight[e - start, k] = product
                    mean[k] += weight * product
            for e in range(start, end):
                j = np.uintp(source[e])
                for k in range(n_heads):
                    if renormalise:
                        excess = towards_weight[e - start, k] - mean[k]
                        towards_mask[m, e] += attention[m, e, k] * excess
                        towards_logit = attention[m, e, k] * mask[m, e] * excess
                    else:
                        towards_mask[m, e] += attention[m, e, k] * towards_weight[e - start, k]
                        towards_logit = attention[m, e, k] * (mask[m, e] * towards_weight[e - start, k] - mean[k])
                        if attended.shape[1] > 0:
                            towards_logit += attention[m, e, k] * towards_attended[m, i, k] * (1 - attended[m, i, k])
                    # Two loops that differ in one term: asking inside takes the vector instructions from both.
                    if e < n_hidden:
                        for d in range(width):
                            h = from_source[m, j, k, d] + from_target[m, i, k, d] + from_edge[m, e, k, d]
                            g = towards_logit * vector[m, k, d] + towards_hidden[m, e, k, d]
                            if rounding is None:
                                g = g if h > 0 else slope * g
                            else:
                                g = g * (1 + slope + (1 - slope) * h / np.sqrt(h * h + rounding)) / 2
                            towards_source[m, j, k, d] += g
                            towards_target[m, i, k, d] += g
                            if towards_edge is not None:
                                towards_edge[m, e, k, d] = g
                    else:
                        for d in range(width):
                            h = from_source[m, j, k, d] + from_target[m, i, k, d] + from_edge[m, e, k, d]
                            g = towards_logit * vector[m, k, d]
                            if rounding is None:
                                g = g if h > 0 else slope * g
                            else:
                                g = g * (1 + slope + (1 - slope) * h / np.sqrt(h * h + rounding)) / 2
                            towards_source[m, j, k, d] += g
                            towards_target[m, i, k, d] += g
                            if towards_edge is not None:
                                towards_edge[m, e, k, d] = g


@compiled_apart
def add_weighted(weight: Any, mask: Any, slot: Any, sums: Any) -> None:
    """Add ``weight`` (E, C) times ``mask`` (E,) to the row of ``sums`` (S, C) that ``slot`` (E,) names."""
    for e in range(len(mask)):
        for c in range(weight.shape[1]):
            sums[slot[e], c] += weight[e, c] * mask[e]


@compiled_apart
def add_weighted_backward(weight: Any, slot: Any, towards_sums: Any, towards_mask: Any) -> None:
    """Fill the gradient (E,) towards the mask."""
    for e in range(len(towards_mask)):
        gradient = weight[0, 0] * 0
        for c in range(weight.shape[1]):
            gradient += weight[e, c] * towards_sums[slot[e], c]
        towards_mask[e] = gradient
