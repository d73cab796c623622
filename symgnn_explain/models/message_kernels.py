"""Attention over the edges into each atom, compiled for one CPU core: nothing masked, no gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgnn_explain.runs.compiled import compiled


@compiled
def aggregate(  # noqa: PLR0912 - compiled
    given: Any, numbers: Any, rounding: Any, hidden: Any, found: Any
) -> None:
    """Add what each head aggregates for some atoms to ``aggregated`` (M, n, K, F), and set ``attended`` (M, n, K).

    The latter is how much of an atom's attention goes to neighbours at all. ``numbers`` are the slope of LeakyReLU and
    the logit of what sends nothing.

    ``hidden`` (M, E, K, D) holds what the edges into these atoms give to their hidden features, which then stand there.
    ``rounding`` is None where the activation has a corner and nothing fades, and the function is compiled for that.
    """
    node, from_source, from_target, vector, fading, source, first_edge = given
    slope, nothing = numbers
    aggregated, attended = found
    n_members, n_atoms, n_heads, width = aggregated.shape
    most = 0
    for i in range(n_atoms):
        most = max(most, first_edge[i + 1] - first_edge[i])
    logits = np.empty((most, n_heads), dtype=hidden.dtype)
    for m in range(n_members):
        for i in range(n_atoms):
            start, count = first_edge[i] - first_edge[0], first_edge[i + 1] - first_edge[i]
            for e in range(count):
                j = source[first_edge[i] + e]
                for k in range(n_heads):
                    logit = slope * 0
                    for d in range(hidden.shape[3]):
                        h = hidden[m, start + e, k, d] + from_source[m, j, k, d] + from_target[m, i, k, d]
                        if rounding is None:
                            h = max(h, slope * h)
                        else:
                            h = (h + slope * h + (1 - slope) * np.sqrt(h * h + rounding)) / 2
                        hidden[m, start + e, k, d] = h
                        logit += vector[m, k, d] * h
                    logits[e, k] = logit if rounding is None else logit + fading[start + e]
            for k in range(n_heads):
                largest = nothing
                for e in range(count):
                    largest = max(largest, logits[e, k])
                idle = np.exp(nothing - largest)
                total = idle
                for e in range(count):
                    logits[e, k] = np.exp(logits[e, k] - largest)
                    total += logits[e, k]
                attended[m, i, k] = 1 - idle / total if count > 0 else slope * 0
                for e in range(count):
                    j, share = source[first_edge[i] + e], logits[e, k] / total
                    for d in range(width):
                        aggregated[m, i, k, d] += share * node[m, j, d]
