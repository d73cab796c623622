"""A layer's attention and edge update as one differentiable operation, for training on a CPU.

PyTorch's own operations write some twenty numbers an edge, head and feature to memory and read them again, and a step
waits for that. Here the edges into a few atoms pass through the cache at a time, one number each is kept, the hidden
feature, and normalisation is folded into the map behind it, as soon as its mean and variance are known. The same
arithmetic in :class:`~symgnn_explain.models.egat.EGATLayer` is the oracle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from symgnn_explain.models.training_kernels import add_affine, attend_backward, attend_forward, moments
from symgnn_explain.runs.threads import side_by_side

BLOCK_BYTES = 1_000_000
"""What the hidden features of the edges into a block of atoms may take: it stays in the cache of one core."""

SHARES = 4
"""Into how many parts a backward pass is cut, each with gradients of its own towards what sources give.

So many threads can share it, and results do not depend on how many do.
"""


class Weights(NamedTuple):
    """What a layer has learned about edges.

    Parameters
    ----------
    edge, edge_bias
        From edge features to what they give to hidden features, shapes (K · D, F) and (K · D,).
    vector
        Of attention, shape (K, D).
    scale, shift
        Of the normalisation of hidden features, shape (K · D,); None in a layer that leaves edges alone.
    out, out_bias
        From normalised hidden features to what is added to edge features, shapes (F, K · D) and (F,), or None.
    """

    edge: Tensor
    edge_bias: Tensor
    vector: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None
    out: Tensor | None = None
    out_bias: Tensor | None = None


class Kind(NamedTuple):
    """Constants of a layer.

    Parameters
    ----------
    slope, rounding
        Of LeakyReLU.
    nothing
        Logit of what sends nothing; minus infinity where there is no such thing.
    epsilon
        What normalisation adds to a variance.
    """

    slope: float
    rounding: float
    nothing: float
    epsilon: float


class Edges(NamedTuple):
    """Which atoms edges join, shape (2, E), sorted by target, and what is added to their logits, (E,), if anything.

    No gradient flows to the latter.
    """

    joined: Tensor
    fading: Tensor | None = None


class Step(NamedTuple):
    """What comes out.

    Parameters
    ----------
    aggregated
        Of each atom, shape (N, K, D).
    update
        What is added to edge features, shape (E, F); empty in a layer that leaves edges alone.
    mean, variance
        Of hidden features over all edges, shape (K · D,); without a gradient, and empty in such a layer.
    """

    aggregated: Tensor
    update: Tensor
    mean: Tensor
    variance: Tensor

    @torch.no_grad()
    def follow(self, norm: nn.BatchNorm1d, n_edges: int) -> None:
        """Let running statistics follow, as they do in PyTorch."""
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1
        # PyTorch means by no momentum that all steps count alike.
        share = 1 / int(norm.num_batches_tracked or 1) if norm.momentum is None else norm.momentum
        for running, found in (
            (norm.running_mean, self.mean),
            (norm.running_var, self.variance * n_edges / max(1, n_edges - 1)),
        ):
            if running is not None:
                running.lerp_(found, share)


def is_sorted(target: Tensor) -> bool:
    """Whether edges come target by target, as :func:`step` needs them and graphs of glasses have them."""
    return len(target) > 0 and bool((target.diff() >= 0).all())


def step(nodes: tuple[Tensor, Tensor, Tensor], edge: Tensor, weights: Weights, edges: Edges, kind: Kind) -> Step:
    """Attend, aggregate and update edges.

    Parameters
    ----------
    nodes
        What atoms give to hidden features as sources and as targets, and the values that they send, each (N, K · D).
    edge
        Edge features, shape (E, F).
    weights, kind
        Of the layer.
    edges
        Of the graph.
    """
    return Step(*_Layer.apply(*nodes, edge, *weights, edges, kind))


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, from_source: Tensor, from_target: Tensor, value: Tensor, edge: Tensor, *others: Any
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        *learned, edges, kind = others
        weights, width = Weights(*learned), from_source.shape[1]
        fading = edge.new_zeros(len(edge)) if edges.fading is None else edges.fading
        blocks = _Blocks.of(edges.joined, len(from_source), width * edge.element_size())
        shape = tuple(weights.vector.shape)
        hidden, attention = edge.new_empty(len(edge), *shape), edge.new_empty(len(edge), shape[0])
        aggregated = edge.new_empty(len(from_source), *shape)
        given = _given(weights.vector, fading, from_source, from_target, value)
        filled = tuple(map(_array, (hidden, attention, aggregated)))
        slope, rounding, nothing = _numbers(kind, edge)
        numbers = slope, nothing
        rows, means, squares = hidden.flatten(1), *edge.new_zeros(2, len(blocks.ranges), width)

        def forward_block(number: int) -> None:
            begin, end = blocks.ranges[number]
            own = blocks.edges_into(begin, end)
            from_edge = torch.addmm(weights.edge_bias, edge[own], weights.edge.T)
            attend_forward(
                given, _array(from_edge.view(-1, *shape)), blocks.edges, numbers, rounding, filled, begin, end
            )
            if weights.out is not None and own.stop > own.start:
                moments(*map(_array, (rows[own], means[number], squares[number])))

        _each(forward_block, len(blocks.ranges))
        update = mean = variance = edge.new_empty(0)
        if weights.out is not None and weights.scale is not None:
            mean, variance = blocks.joined(means, squares)
            slopes = weights.scale * (variance + kind.epsilon).rsqrt()
            constant = weights.out_bias + weights.out @ (weights.shift - mean * slopes)
            update = torch.addmm(constant, rows, (weights.out * slopes).T)
        ctx.save_for_backward(
            from_source, from_target, value, edge, *learned, fading, hidden, attention, mean, variance
        )
        ctx.blocks, ctx.kind = blocks, kind
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(mean, variance)
        return aggregated, update, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, towards_aggregated: Tensor, towards_update: Tensor | None, *_: Any) -> tuple[Any, ...]:
        *nodes, edge, w1, w2, w3, w4, w5, w6, w7, fading, hidden, attention, mean, variance = ctx.saved_tensors
        weights, blocks, width = Weights(w1, w2, w3, w4, w5, w6, w7), ctx.blocks, nodes[0].shape[1]
        shape, rows = tuple(weights.vector.shape), hidden.flatten(1)
        inverse = (variance + ctx.kind.epsilon).rsqrt()
        from_update = _FromUpdate.of(weights, mean, inverse, rows, towards_update)
        given, numbers = _given(weights.vector, fading, *nodes), _numbers(ctx.kind, edge)[:2]
        known = tuple(map(_array, (hidden, attention, towards_aggregated)))
        towards_target, towards_edge = torch.zeros_like(nodes[1]), torch.empty_like(edge)
        shares = np.array_split(np.arange(len(blocks.ranges)), min(SHARES, len(blocks.ranges)))
        partial = [
            edge.new_zeros(len(shares), *size)
            for size in (nodes[0].shape, nodes[2].shape, shape, weights.edge.shape, (width,))
        ]

        def backward_share(share: int) -> None:
            to_source, to_value, to_vector, to_weight, to_bias = (each[share] for each in partial)
            to_nodes = tuple(_array(each.view(-1, *shape)) for each in (to_source, towards_target, to_value))
            for number in shares[share]:
                begin, end = blocks.ranges[number]
                own = blocks.edges_into(begin, end)
                towards = from_update.towards_hidden(own)
                # What edges gave is needed again only where the activation has no corner.
                again = torch.addmm(weights.edge_bias, edge[own], weights.edge.T) if ctx.kind.rounding else towards
                from_edge, to_edge = (_array(each.view(-1, *shape)) for each in (again, towards))
                found = to_edge, *to_nodes, _array(to_vector)
                attend_backward(given, from_edge, blocks.edges, *numbers, known, found, begin, end)
                torch.mm(towards, weights.edge, out=towards_edge[own])
                to_weight.addmm_(towards.T, edge[own])
                to_bias.add_(towards.sum(0))

        _each(backward_share, len(shares))
        to_source, to_value, to_vector, to_weight, to_bias = (each.sum(0) for each in partial)
        learned = to_weight, to_bias, to_vector
        found = to_source, towards_target, to_value, towards_edge, *learned
        return (*found, *from_update.towards_weights, None, None)


class _Blocks(NamedTuple):
    """Edges by blocks of receiving atoms.

    Parameters
    ----------
    edges
        Who sends (E,), and where the edges into each atom start (N + 1,).
    ranges
        First atom of each block, and the one after its last.
    """

    edges: tuple[NDArray[np.int64], NDArray[np.int64]]
    ranges: list[tuple[int, int]]

    @classmethod
    def of(cls, edge_index: Tensor, n_atoms: int, bytes_an_edge: int) -> _Blocks:
        source, target = edge_index.contiguous().numpy()
        first = np.searchsorted(target, np.arange(n_atoms + 1))
        ends, most = [0], max(1, BLOCK_BYTES // bytes_an_edge)
        while ends[-1] < n_atoms:
            fits = int(np.searchsorted(first, first[ends[-1]] + most, side="right")) - 1
            ends.append(min(max(fits, ends[-1] + 1), n_atoms))
        return cls((source, first), list(pairwise(ends)))

    def edges_into(self, begin: int, end: int) -> slice:
        """Return which edges lead into some atoms."""
        return slice(int(self.edges[1][begin]), int(self.edges[1][end]))

    def joined(self, means: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance over all edges of what has these moments in each block."""
        first = self.edges[1]
        weight = means.new_tensor([float(first[end] - first[begin]) for begin, end in self.ranges], dtype=torch.double)
        weight = (weight / weight.sum())[:, None]
        mean = (weight * means).sum(0)
        variance = squares.double().sum(0) / len(self.edges[0]) + (weight * (means - mean).square()).sum(0)
        return mean.to(means), variance.to(means)


class _FromUpdate(NamedTuple):
    """What gradients come back through the update of edges: through a linear map and normalisation.

    Parameters
    ----------
    towards
        Gradient towards the update, shape (E, F); None where there is none.
    rows
        Hidden features, shape (E, K · D).
    out, constant, factor
        The gradient towards ``rows`` is ``towards @ out + constant + factor * rows``.
    towards_weights
        Gradients towards what comes last in :class:`Weights`.
    """

    towards: Tensor | None
    rows: Tensor
    out: Tensor
    constant: Tensor
    factor: Tensor
    towards_weights: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]

    @classmethod
    def of(cls, weights: Weights, mean: Tensor, inverse: Tensor, rows: Tensor, towards: Tensor | None) -> _FromUpdate:
        if towards is None or weights.out is None or weights.scale is None or weights.shift is None:
            none = rows[:0]
            return cls(None, rows, none, none, none, (None, None, None, None))
        slopes, total, product = weights.scale * inverse, towards.sum(0), towards.T @ rows
        to_shift = total @ weights.out
        to_scale = ((weights.out * product).sum(0) - mean * to_shift) * inverse
        to_out = (product - torch.outer(total, mean)) * slopes + torch.outer(total, weights.shift)
        factor = -slopes * inverse * to_scale / len(rows)
        constant = -slopes * to_shift / len(rows) - factor * mean
        return cls(towards, rows, weights.out * slopes, constant, factor, (to_scale, to_shift, to_out, total))

    def towards_hidden(self, own: slice) -> Tensor:
        """Return the gradient towards some rows."""
        if self.towards is None:
            return torch.zeros_like(self.rows[own])
        found = self.towards[own] @ self.out
        add_affine(*map(_array, (found, self.constant, self.factor, self.rows[own])))
        return found


def _each(work: Callable[[int], None], count: int) -> None:
    """Work on numbers 0 … ``count`` - 1, shared among threads."""
    with side_by_side() as work_through:
        deque(work_through(work, range(count)), maxlen=0)


def _given(vector: Tensor, fading: Tensor, *nodes: Tensor) -> tuple[Any, ...]:
    by_head = (each.contiguous().view(-1, *vector.shape) for each in nodes)
    return tuple(map(_array, (*by_head, vector, fading)))


def _numbers(kind: Kind, like: Tensor) -> tuple[Any, Any, Any]:
    """Slope, rounding (None for a corner) and logit of nothing in the precision of a tensor."""
    precision = _array(like).dtype.type
    return precision(kind.slope), precision(kind.rounding) if kind.rounding else None, precision(kind.nothing)


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array
