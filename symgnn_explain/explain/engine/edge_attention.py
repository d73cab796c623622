"""Attention over the edges into each atom, under a mask: the one costly step of a masked layer, with its gradient.

With K heads of width D, for edge ``e`` from atom ``j`` into atom ``i``::

    f_e = LeakyReLU(s_j + t_i + c_e)        a_e = softmax over the edges into i of (v · f_e)
    aggregated_i = Σ_e a_e m_e V_j

and with ``renormalise``, where the softmax is over what the mask leaves: a_e = exp(v · f_e) / Σ_e m_e exp(v · f_e).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from symgnn_explain.models.egat import NEGATIVE_SLOPE


class EdgeInputs(NamedTuple):
    """What the messages into T atoms are made of.

    Parameters
    ----------
    from_source, value
        ``s`` and ``V`` of the S atoms that send, shape (S, K, D).
    from_target
        ``t`` of the atoms that receive, shape (T, K, D).
    from_edge
        ``c``, shape (E, K, D).
    vector
        ``v``, shape (K, D).
    mask
        ``m``, shape (E,).
    source, target
        Ends of the edges, shape (E,); sorted by target.
    """

    from_source: Tensor
    from_target: Tensor
    from_edge: Tensor
    value: Tensor
    vector: Tensor
    mask: Tensor
    source: Tensor
    target: Tensor


def edge_attention(inputs: EdgeInputs, *, n_hidden: int = 0, renormalise: bool = False) -> tuple[Tensor, Tensor]:
    """Aggregate the masked messages into each atom; compiled on a CPU, PyTorch's own operations elsewhere.

    Parameters
    ----------
    inputs
        Of the messages; gradients reach all but ``vector``.
    n_hidden
        How many of the first edges' ``f`` are returned.
    renormalise
        Whether the softmax is over what the mask leaves; where it leaves nothing, nothing arrives.

    Returns
    -------
    aggregated, hidden
        Shapes (T, K, D) and (n_hidden, K, D).
    """
    if inputs.mask.device.type != "cpu":
        return edge_attention_in_torch(inputs, n_hidden=n_hidden, renormalise=renormalise)
    aggregated, hidden = _Compiled.apply(n_hidden, renormalise, *inputs)
    return aggregated, hidden


def edge_attention_in_torch(inputs: EdgeInputs, *, n_hidden: int, renormalise: bool) -> tuple[Tensor, Tensor]:
    """Do what :func:`edge_attention` does, on any device."""
    source, target = inputs.source, inputs.target
    hidden = functional.leaky_relu(
        inputs.from_source.index_select(0, source) + inputs.from_target.index_select(0, target) + inputs.from_edge,
        NEGATIVE_SLOPE,
    )
    logit = (hidden * inputs.vector).sum(-1)
    largest = logit.new_zeros(inputs.from_target.shape[:2])
    largest.scatter_reduce_(0, target[:, None].expand_as(logit), logit.detach(), "amax", include_self=False)
    weight = (logit - largest.index_select(0, target)).exp()
    masked = weight * inputs.mask[:, None]
    total = torch.zeros_like(largest).index_add(0, target, masked if renormalise else weight)
    share = masked / torch.where(total > 0, total, torch.ones_like(total)).index_select(0, target)
    message = inputs.value.index_select(0, source) * share[..., None]
    return torch.zeros_like(inputs.from_target).index_add(0, target, message), hidden[:n_hidden]


def weighted_sums(weight: Tensor, mask: Tensor, slot: Tensor, n_slots: int) -> Tensor:
    """Sum ``weight`` (E, K) times ``mask`` (E,) by ``slot`` (E,), shape (n_slots, K); only ``mask`` gets gradients."""
    if mask.device.type != "cpu":
        return weight.new_zeros(n_slots, weight.shape[1]).index_add(0, slot, weight * mask[:, None])
    sums: Tensor = _CompiledSums.apply(weight, mask, slot, n_slots)
    return sums


class KnownMessages(NamedTuple):
    """Messages whose attention is known.

    Parameters
    ----------
    attention
        Shape (E, K).
    value
        Of the S atoms that send, shape (S, K, D).
    source, target
        Ends of the edges, shape (E,).
    """

    attention: Tensor
    value: Tensor
    source: Tensor
    target: Tensor


def attended_sums(messages: KnownMessages, mask: Tensor, n_targets: int) -> Tensor:
    """Sum ``attention · mask · value`` by target, shape (n_targets, K, D); only ``mask`` (E,) gets gradients."""
    if mask.device.type != "cpu":
        attention, value, source, target = messages
        message = value.index_select(0, source) * (attention * mask[:, None])[..., None]
        return value.new_zeros(n_targets, *value.shape[1:]).index_add(0, target, message)
    sums: Tensor = _CompiledMessages.apply(n_targets, mask, *messages)
    return sums


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, n_hidden: int, renormalise: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        from symgnn_explain.explain.engine.kernels import attend

        inputs = EdgeInputs(*tensors)
        n_targets, *heads = inputs.from_target.shape
        first_edge = torch.searchsorted(inputs.target, torch.arange(n_targets + 1))
        given = [tensor.contiguous() for tensor in (*inputs[:-1], first_edge)]
        attention = inputs.mask.new_empty(len(inputs.mask), heads[0])
        aggregated = inputs.mask.new_zeros(n_targets, *heads)
        hidden = inputs.mask.new_empty(n_hidden, *heads)
        attend(_arrays(given), NEGATIVE_SLOPE, renormalise, _arrays([attention, aggregated, hidden]))
        ctx.save_for_backward(*given, attention)
        ctx.renormalise = renormalise
        return aggregated, hidden

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        from symgnn_explain.explain.engine.kernels import attend_backward

        *given, attention = ctx.saved_tensors
        from_source, from_target, from_edge, value, _, mask, *_ = given
        reaches_edges = ctx.needs_input_grad[4]
        towards = [torch.zeros_like(tensor) for tensor in (from_source, from_target, value, mask)]
        towards.insert(2, torch.empty_like(from_edge if reaches_edges else from_edge[:0]))
        known = [attention, *(gradient.contiguous() for gradient in upstream)]
        attend_backward(_arrays(given), NEGATIVE_SLOPE, ctx.renormalise, _arrays(known), _arrays(towards))
        to_source, to_target, to_edge, to_value, to_mask = towards
        return None, None, to_source, to_target, to_edge if reaches_edges else None, to_value, None, to_mask, None, None


class _CompiledSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, mask: Tensor, slot: Tensor, n_slots: int) -> Tensor:
        from symgnn_explain.explain.engine.kernels import add_weighted

        sums = weight.new_zeros(n_slots, weight.shape[1])
        add_weighted(*_arrays([weight.contiguous(), mask.contiguous(), slot.contiguous(), sums]))
        ctx.save_for_backward(weight.contiguous(), slot.contiguous())
        return sums

    @staticmethod
    def backward(ctx: Any, towards_sums: Tensor) -> tuple[Tensor | None, ...]:
        from symgnn_explain.explain.engine.kernels import add_weighted_backward

        weight, slot = ctx.saved_tensors
        towards_mask = weight.new_empty(len(weight))
        add_weighted_backward(*_arrays([weight, slot, towards_sums.contiguous(), towards_mask]))
        return None, towards_mask, None, None


class _CompiledMessages(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, n_targets: int, mask: Tensor, *tensors: Tensor) -> Tensor:
        from symgnn_explain.explain.engine.kernels import add_messages

        given = KnownMessages(*(tensor.contiguous() for tensor in tensors))
        sums = given.value.new_zeros(n_targets, *given.value.shape[1:])
        add_messages(_arrays(list(given)), *_arrays([mask.contiguous(), sums]))
        ctx.save_for_backward(*given)
        return sums

    @staticmethod
    def backward(ctx: Any, towards_sums: Tensor) -> tuple[Tensor | None, ...]:
        from symgnn_explain.explain.engine.kernels import add_messages_backward

        given = list(ctx.saved_tensors)
        towards_mask = towards_sums.new_empty(len(given[0]))
        add_messages_backward(_arrays(given), *_arrays([towards_sums.contiguous(), towards_mask]))
        return None, towards_mask, None, None, None, None


def _arrays(tensors: list[Tensor]) -> tuple[Any, ...]:
    return tuple(tensor.detach().numpy() for tensor in tensors)
