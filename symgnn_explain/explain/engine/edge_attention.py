"""Attention over the edges into each atom, under a mask: the one costly step of a masked layer, with its gradient.

With K heads of width D, for edge ``e`` from atom ``j`` into atom ``i``::

    f_e = LeakyReLU(s_j + t_i + c_e)        a_e = softmax over the edges into i of (v · f_e + log w_e)
    aggregated_i = Σ_e a_e m_e h_j          kept_i = Σ_e a_e m_e

and with ``renormalise``, where the softmax is over what the mask leaves,
a_e = w_e exp(v · f_e) / Σ_e m_e w_e exp(v · f_e). Where attention can go to nothing, there is 1 more in both sums.
Edges of weight w fade out towards the cut-off, and the corner of LeakyReLU is rounded where a network is smooth.
Messages are affine in the features h of the atoms that send them, so the features themselves are aggregated, which are
K times fewer, and whoever asks applies the map to the sums.

M networks of one shape, the members of an ensemble, are computed side by side, each under a mask of its own.

Each step returns its *pullback* beside its result: a function from the gradients of the results to those of the inputs.
Written by hand, the chain of a network's few large steps costs a fraction of what recording its many small ones does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from symgnn_explain.models.egat import NEGATIVE_SLOPE, leaky


class EdgeInputs(NamedTuple):
    """What the messages into T atoms are made of.

    Parameters
    ----------
    node, from_source
        ``h`` and ``s`` of the S atoms that send, shapes (M, S, F) and (M, S, K, D).
    from_target
        ``t`` of the atoms that receive, shape (M, T, K, D).
    from_edge
        ``c``, shape (M, E, K, D).
    mask
        ``m``, shape (M, E).
    """

    node: Tensor
    from_source: Tensor
    from_target: Tensor
    from_edge: Tensor
    mask: Tensor


@dataclass(frozen=True)
class EdgeConstants:
    """What no mask changes.

    Parameters
    ----------
    vector
        ``v``, shape (M, K, D).
    fading
        ``log w``, shape (E,).
    source
        Which atom sends along each edge, shape (E,).
    first_edge
        Edges ``first_edge[i]`` to ``first_edge[i + 1]`` lead into atom ``i``, shape (T + 1,).
    """

    vector: Tensor
    fading: Tensor
    source: Tensor
    first_edge: Tensor

    @cached_property
    def arrays(self) -> tuple[Any, ...]:
        """The same as arrays, on a CPU."""
        return _arrays(self.vector, self.fading, self.source, self.first_edge)


class Asked(NamedTuple):
    """What attention is, and what of it is wanted.

    Parameters
    ----------
    rounding
        Of LeakyReLU, as for :func:`~symgnn_explain.models.egat.leaky`.
    nothing
        Logit of what sends nothing.
    n_hidden
        How many of the first edges' ``f`` are returned.
    renormalise
        Whether the softmax is over what the mask leaves; where it leaves nothing, nothing arrives.
    counts
        Whether Σ_e a_e is returned; not with ``renormalise``.
    towards_edges
        Whether the pullback finds the gradient of ``from_edge`` too.
    """

    rounding: float = 0.0
    nothing: float = -math.inf
    n_hidden: int = 0
    renormalise: bool = False
    counts: bool = False
    towards_edges: bool = True


class EdgeGradients(NamedTuple):
    """Gradients towards the inputs of that name; towards ``from_edge`` None where nobody asked."""

    node: Tensor
    from_source: Tensor
    from_target: Tensor
    from_edge: Tensor | None
    mask: Tensor


class Attended(NamedTuple):
    """What arrives.

    Parameters
    ----------
    kept, aggregated
        Of each atom that receives, shapes (M, T, K) and (M, T, K, F).
    attended
        Σ_e a_e of each atom, shape (M, T, K), where that is asked for; else (M, 0, K).
    hidden
        ``f`` of the first H edges, shape (M, H, K, D).
    """

    kept: Tensor
    attended: Tensor
    aggregated: Tensor
    hidden: Tensor


MOST_LOGIT = 50.0
"""By how much the logit of a removed edge may exceed those that are left: the gradient of what it would be worth, were
it there, is cut off at exp of that instead of overflowing."""

AttentionPullback = Callable[[Attended], EdgeGradients]
"""From the gradients of what arrives to those of the inputs."""

MaskPullback = Callable[[Tensor], Tensor]
"""From the gradient of a result to that of the mask (E,)."""


def edge_attention(inputs: EdgeInputs, constants: EdgeConstants, asked: Asked) -> tuple[Attended, AttentionPullback]:
    """Aggregate the masked messages into each atom; compiled on a CPU, PyTorch's own operations elsewhere."""
    if inputs.mask.device.type != "cpu":
        return edge_attention_in_torch(inputs, constants, asked)
    from symgnn_explain.explain.engine.kernels import attend, attend_backward

    members, n_targets, *heads = inputs.from_target.shape
    given = *_arrays(*inputs), *constants.arrays
    precision, renormalise = given[0].dtype.type, asked.renormalise
    slope, most, nothing = map(precision, (NEGATIVE_SLOPE, MOST_LOGIT, asked.nothing))
    rounded = precision(asked.rounding) if asked.rounding else None
    attention = np.empty((*given[4].shape, heads[0]), precision)
    found = Attended(
        kept=inputs.mask.new_zeros(members, n_targets, heads[0]),
        attended=inputs.mask.new_zeros(members, n_targets if asked.counts else 0, heads[0]),
        aggregated=inputs.mask.new_zeros(members, n_targets, heads[0], inputs.node.shape[2]),
        hidden=inputs.mask.new_empty(members, asked.n_hidden, *heads),
    )
    filled = _, _, attended, *_ = attention, *_arrays(*found)
    attend(given, (slope, nothing), rounded, most, renormalise, filled)

    def pullback(towards: Attended) -> EdgeGradients:
        node, from_source, from_target = map(torch.zeros_like, inputs[:3])
        from_edge = torch.empty_like(inputs.from_edge) if asked.towards_edges else None
        mask = inputs.mask.new_zeros(inputs.mask.shape)
        gradients = _arrays(node, from_source, from_target, mask)
        known = attention, attended, *_arrays(*towards)
        attend_backward(given, slope, rounded, renormalise, known, gradients, *_arrays(from_edge))
        return EdgeGradients(node, from_source, from_target, from_edge, mask)

    return found, pullback


def edge_attention_in_torch(
    inputs: EdgeInputs, constants: EdgeConstants, asked: Asked
) -> tuple[Attended, AttentionPullback]:
    """Do what :func:`edge_attention` does, on any device."""
    node, from_source, from_target, from_edge, mask = (
        tensor.detach().requires_grad_() for tensor in (*inputs[:4], inputs.mask)
    )
    leaf = inputs._replace(node=node, from_source=from_source, from_target=from_target, from_edge=from_edge, mask=mask)
    with torch.enable_grad():
        found = _attend(leaf, constants, asked)
    leaves = [node, from_source, from_target, mask, *([from_edge] if asked.towards_edges else [])]

    def pullback(towards: Attended) -> EdgeGradients:
        to_node, to_source, to_target, to_mask, *to_edge = torch.autograd.grad(
            found, leaves, towards, retain_graph=True
        )
        return EdgeGradients(to_node, to_source, to_target, to_edge[0] if to_edge else None, to_mask)

    return Attended(*(tensor.detach() for tensor in found)), pullback


def _attend(inputs: EdgeInputs, constants: EdgeConstants, asked: Asked) -> Attended:
    n_edges = constants.first_edge.diff()
    target = torch.repeat_interleave(torch.arange(len(n_edges), device=n_edges.device), n_edges)
    ends = inputs.from_source.index_select(1, constants.source) + inputs.from_target.index_select(1, target)
    hidden = leaky(ends + inputs.from_edge, NEGATIVE_SLOPE, asked.rounding)
    logit = (hidden * constants.vector[:, None]).sum(-1) + constants.fading[:, None]
    zeros = logit.new_zeros(inputs.from_target.shape[:3])
    along = target[None, :, None].expand_as(logit)
    left = logit.detach()
    if asked.renormalise:
        left = left.masked_fill((inputs.mask <= 0)[..., None], -torch.inf)
    largest = torch.full_like(zeros, asked.nothing).scatter_reduce(1, along, left, "amax").nan_to_num(neginf=0.0)
    weight = (logit - largest.index_select(1, target)).clamp(max=MOST_LOGIT).exp()
    masked = weight * inputs.mask[..., None]
    total = (asked.nothing - largest).exp().index_add(1, target, masked if asked.renormalise else weight)
    total = torch.where(total > 0, total, torch.ones_like(total)).index_select(1, target)
    share = masked / total
    message = inputs.node.index_select(1, constants.source)[:, :, None] * share[..., None]
    aggregated = message.new_zeros(*zeros.shape, message.shape[3]).index_add(1, target, message)
    kept = zeros.index_add(1, target, share)
    attended = zeros.index_add(1, target, weight / total) if asked.counts else kept[:, :0]
    return Attended(kept, attended, aggregated, hidden[:, : asked.n_hidden])


def weighted_sums(weight: Tensor, mask: Tensor, slot: Tensor, n_slots: int) -> tuple[Tensor, MaskPullback]:
    """Sum ``weight`` (E, C) times ``mask`` (E,) by ``slot`` (E,), shape (n_slots, C); ``weight`` is a constant."""
    if mask.device.type != "cpu":
        return weighted_sums_in_torch(weight, mask, slot, n_slots)
    from symgnn_explain.explain.engine.kernels import add_weighted, add_weighted_backward

    sums = weight.new_zeros(n_slots, weight.shape[1])
    add_weighted(*_arrays(weight, mask, slot, sums))

    def pullback(towards_sums: Tensor) -> Tensor:
        towards_mask = torch.empty_like(mask)
        add_weighted_backward(*_arrays(weight, slot, towards_sums, towards_mask))
        return towards_mask

    return sums, pullback


def weighted_sums_in_torch(weight: Tensor, mask: Tensor, slot: Tensor, n_slots: int) -> tuple[Tensor, MaskPullback]:
    """Do what :func:`weighted_sums` does, on any device."""
    sums = weight.new_zeros(n_slots, weight.shape[1]).index_add(0, slot, weight * mask[:, None])
    return sums, lambda towards_sums: (weight * towards_sums.index_select(0, slot)).sum(1)


def _arrays(*tensors: Tensor | None) -> tuple[Any, ...]:
    return tuple(None if tensor is None else tensor.contiguous().numpy() for tensor in tensors)
