"""Layers of SymGNNs in evaluation mode, with their normalisation folded into the linear maps beside it.

M networks of one shape, the members of an ensemble, are held side by side: member by member on the first axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from symgnn_explain.models.egat import ROUNDING, EGATLayer, leaky, leaky_slope
from symgnn_explain.models.saturation import saturate, saturation_slope
from symgnn_explain.models.symgnn import SymGNN


@dataclass(frozen=True)
class Linear:
    """Linear maps of M members.

    Parameters
    ----------
    weight, bias
        Shapes (M, in, out) and (M, 1, out).
    biased
        Whether the bias is more than zeros.
    """

    weight: Tensor
    bias: Tensor
    biased: bool = True

    @classmethod
    def of(cls, linears: Sequence[nn.Linear]) -> Linear:
        """Put the maps of the members side by side."""
        stacked = cls.stack([(linear.weight, _bias(linear)) for linear in linears])
        return replace(stacked, biased=any(linear.bias is not None for linear in linears))

    @classmethod
    def stack(cls, maps: Sequence[tuple[Tensor, Tensor]]) -> Linear:
        """Put weights (out, in) and biases (out,) side by side."""
        weight = torch.stack([weight.T for weight, _ in maps]).contiguous()
        return cls(weight, torch.stack([bias for _, bias in maps])[:, None])

    def __call__(self, features: Tensor) -> Tensor:
        """Map features (M, n, in) to (M, n, out)."""
        return torch.baddbmm(self.bias, features, self.weight) if self.biased else torch.bmm(features, self.weight)

    def of_one(self, features: Tensor) -> Tensor:
        """Map features (n, in) that all members share to (M, n, out)."""
        members, _, out = self.weight.shape
        mapped = torch.addmm(self.bias.flatten(), features, self._together)
        return mapped.unflatten(1, (members, out)).transpose(0, 1)

    @cached_property
    def _together(self) -> Tensor:
        return self.weight.transpose(0, 1).flatten(1)

    def add_to(self, features: Tensor, change: Tensor) -> Tensor:
        """Add to features (M, n, out), in place, what ``change`` (M, n, in) is mapped to, without the bias."""
        return features.baddbmm_(change, self.weight)

    def pullback(self, towards: Tensor) -> Tensor:
        """Gradient (M, n, in) from that of the result (M, n, out)."""
        return torch.bmm(towards, self.weight.mT)

    def add_pullback_to(self, gradient: Tensor, towards: Tensor) -> Tensor:
        """Add to a gradient (M, n, in), in place, what :meth:`pullback` gives."""
        return gradient.baddbmm_(towards, self.weight.mT)


@dataclass(frozen=True)
class FoldedLayer:
    """What a masked forward needs of an :class:`EGATLayer` of each member; heads are always an axis of their own.

    Parameters
    ----------
    heads, dim
        Number of attention heads, and their width.
    sources, targets, edges
        What a sending atom, a receiving atom and the edge itself give to hidden edge features.
    vector
        Turns hidden edge features into logits, shape (M, heads, dim).
    messages
        From the node features that each head aggregated to the change of a node's features: the map to messages, and
        that behind their aggregation. Its bias is what the latter adds, whatever arrives.
    constant
        What the bias of the messages changes by head, as far as messages are kept, shape (M, heads, dim).
    behind
        The map behind the aggregation alone, shape (M, heads · dim, dim).
    edges_out
        From hidden edge features to the change of edge features; the last layer leaves them as they are.
    rounding
        Of the activation, as for :func:`~symgnn_explain.models.egat.leaky`.
    nothing
        Logit of what sends nothing: minus infinity where all attention goes to neighbours.
    """

    heads: int
    dim: int
    sources: Linear
    targets: Linear
    edges: Linear
    vector: Tensor
    messages: Linear
    constant: Tensor
    behind: Tensor
    edges_out: Linear | None
    rounding: float
    nothing: float

    @classmethod
    def of(cls, layers: Sequence[EGATLayer]) -> FoldedLayer:
        """Fold the same layer of each member."""
        heads, dim, last = layers[0].heads, layers[0].dim, layers[0].last
        after = [_scaled_after(layer.node_norm, layer.node_out) for layer in layers]
        if last:
            # The last layer averages its heads.
            after = [(weight.repeat(1, heads) / heads, bias) for weight, bias in after]
        out, value = Linear.stack(after), Linear.of([layer.value for layer in layers])
        by_head = out.weight.unflatten(1, (heads, dim))
        messages = torch.einsum("mihd,mhdo->mhio", value.weight.unflatten(2, (heads, dim)), by_head)
        return cls(
            heads=heads,
            dim=dim,
            sources=Linear.of([layer.from_source for layer in layers]),
            targets=Linear.of([layer.from_target for layer in layers]),
            edges=Linear.of([layer.from_edge for layer in layers]),
            vector=torch.stack([layer.attention_vector.detach() for layer in layers]),
            messages=Linear(messages.flatten(1, 2), out.bias),
            constant=torch.einsum("mhd,mhdo->mho", value.bias.squeeze(1).unflatten(1, (heads, dim)), by_head),
            behind=out.weight,
            edges_out=None
            if last
            else Linear.stack([_scaled_after(layer.edge_norm, layer.edge_out) for layer in layers]),
            rounding=layers[0].rounding,
            nothing=layers[0].nothing,
        )

    @property
    def has_sink(self) -> bool:
        """Whether attention can go to nothing."""
        return math.isfinite(self.nothing)

    def changed_by(self, message: Tensor) -> Tensor:
        """Return what messages (M, n, heads, dim) change by head, without the bias, shape (M, n, heads, dim)."""
        return torch.einsum("mnhd,mhdo->mnho", message, self.behind.unflatten(1, (self.heads, self.dim)))

    def by_head(self, features: Tensor) -> Tensor:
        """View (M, n, heads · dim) as (M, n, heads, dim)."""
        members, _, width = features.shape
        return features.view(members, -1, self.heads, width // self.heads)


@dataclass(frozen=True)
class FoldedNodeEncoder:
    """What turns descriptors of surroundings into initial node features, of networks whose nodes start from them.

    Parameters
    ----------
    bounded
        Keeps descriptors near the range that they have in training.
    first
        The first map of the small network and, behind its columns, the linear map beside it.
    second, third
        Further maps of the small network, with the bias of that beside it in the last.
    """

    bounded: Callable[[Tensor], Tensor]
    first: Linear
    second: Linear
    third: Linear

    @classmethod
    def of(cls, members: Sequence[SymGNN]) -> FoldedNodeEncoder:
        """Fold the encoders of the members."""
        encoders: list[Any] = [member.node_encoder for member in members]
        maps = [[each for each in encoder.nonlinear if isinstance(each, nn.Linear)] for encoder in encoders]
        beside = [encoder.linear for encoder in encoders]
        first = [
            (torch.cat([inner[0].weight, outer.weight]), torch.cat([inner[0].bias, torch.zeros_like(outer.bias)]))
            for inner, outer in zip(maps, beside, strict=True)
        ]
        third = [(inner[2].weight, inner[2].bias + outer.bias) for inner, outer in zip(maps, beside, strict=True)]
        return cls(
            encoders[0].bounded, Linear.stack(first), Linear.of([inner[1] for inner in maps]), Linear.stack(third)
        )

    def __call__(self, described: Tensor) -> Tensor:
        """Return initial node features (M, n, dim) of descriptors (n, F), or (M, n, F) for others a member."""
        bounded = self.bounded(described)
        inner = self.first(bounded) if bounded.ndim == 3 else self.first.of_one(bounded)
        hidden, beside = inner.split([self.second.weight.shape[1], self.third.weight.shape[2]], dim=2)
        hidden = silu(self.second(silu(hidden)))
        return self.third.add_to(beside + self.third.bias, hidden)


@dataclass(frozen=True)
class FoldedEdgeEncoder:
    """What turns displacements into initial edge features, of networks that tell edges by their lengths alone.

    Parameters
    ----------
    expand
        From distances (E,) to what all members encode, shape (E, G).
    first, second
        Linear maps.
    activation
        Behind each of them.
    """

    expand: Callable[[Tensor], Tensor]
    first: Linear
    second: Linear
    activation: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, members: Sequence[SymGNN]) -> FoldedEdgeEncoder:
        """Fold the encoders of the members."""
        encoders = [[*member.radial_encoder] for member in members]
        first, second = (
            Linear.stack([_scaled_before(encoder[place], encoder[place + 1]) for encoder in encoders])
            for place in (0, 3)
        )
        return cls(members[0].expand_distance, first, second, encoders[0][2])

    def __call__(self, displacement: Tensor) -> Tensor:
        """Return initial edge features (M, E, dim) of displacements (E, 3)."""
        features = self.activation(self.first.of_one(self.expand(displacement.norm(dim=1))))
        return self.activation(self.second(features))


@dataclass(frozen=True)
class FoldedDecoder:
    """The prediction heads of the members, and the mean of what they predict.

    Parameters
    ----------
    hidden
        Linear maps, each with the slope of the PReLU behind it, shape (M, 1, 1).
    out
        To predictions.
    rounding
        Of PReLU, as for :func:`~symgnn_explain.models.egat.leaky`.
    label_range
        Its lower and its upper end, shape (2, M, 1), near which predictions stay; None where they are not bounded.
    """

    hidden: tuple[tuple[Linear, Tensor], ...]
    out: Linear
    rounding: float
    label_range: Tensor | None

    @classmethod
    def of(cls, members: Sequence[SymGNN]) -> FoldedDecoder:
        """Fold the prediction heads."""
        decoders = [[*member.decoder] for member in members]
        hidden = []
        for place in range(0, len(decoders[0]) - 1, 3):
            maps = [_scaled_before(decoder[place], decoder[place + 1]) for decoder in decoders]
            slope = torch.stack([decoder[place + 2].weight.detach() for decoder in decoders])[:, None]
            hidden.append((Linear.stack(maps), slope))
        scaled = [
            (decoder[-1].weight * member.label_scale, decoder[-1].bias * member.label_scale + member.label_mean)
            for decoder, member in zip(decoders, members, strict=True)
        ]
        bounded, smooth = members[0].config.bounded, members[0].config.smooth
        label_range = torch.stack([member.label_range for member in members], dim=1)[..., None] if bounded else None
        return cls(tuple(hidden), Linear.stack(scaled), ROUNDING if smooth else 0.0, label_range)

    def each(self, node: Tensor) -> Tensor:
        """Predictions of each member, (M, n), from node features (M, n, dim)."""
        for linear, slope in self.hidden:
            node = leaky(linear(node), slope, self.rounding)
        return self._bounded(self.out(node).squeeze(2))

    def __call__(self, node: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Predictions (n,) from node features (M, n, dim), and the pullback from the one to the other."""
        factors = []
        for linear, slope in self.hidden:
            node = linear(node)
            factors.append(leaky_slope(node, slope, self.rounding))
            node = leaky(node, slope, self.rounding)
        free = self.out(node).squeeze(2)
        predictions, members = self._bounded(free), len(node)

        def pullback(towards: Tensor) -> Tensor:
            towards_each = (towards / members).expand_as(free)
            if self.label_range is not None:
                towards_each = towards_each * saturation_slope(free, *self.label_range)
            gradient = self.out.pullback(towards_each[..., None])
            for (linear, _), factor in zip(reversed(self.hidden), reversed(factors), strict=True):
                gradient = linear.pullback(gradient * factor)
            return gradient

        return predictions.detach().mean(0), pullback

    def _bounded(self, predictions: Tensor) -> Tensor:
        return predictions if self.label_range is None else saturate(predictions, *self.label_range)


def _bias(linear: nn.Linear) -> Tensor:
    return linear.weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias


def _scaled_after(norm: nn.BatchNorm1d, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Fold a normalisation into the linear map after it."""
    scale, shift = _scale_and_shift(norm)
    weight = linear.weight.double()
    bias = _bias(linear).double() + weight @ shift
    return (weight * scale).to(linear.weight), bias.to(linear.weight)


def _scaled_before(linear: nn.Linear, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Fold a normalisation into the linear map before it."""
    scale, shift = _scale_and_shift(norm)
    weight, bias = linear.weight.double() * scale[:, None], _bias(linear).double() * scale + shift
    return weight.to(linear.weight), bias.to(linear.weight)


def _scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("the normalisation keeps no running statistics")
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.double() - norm.running_mean.double() * scale
