"""The way from everything masked to nothing masked, for what Integrated Gradients sum along it.

On the straight way every pair has the same mask value m, and descriptors are polynomials of it: of first degree where
masked pairs are replaced by mean ones, of second where angles lose both of their pairs. So what one pair adds to them
changes along the way from what it adds to nothing to what it adds to all others, in proportion to m. What is summed
is the gradient towards descriptors and messages, of every member of an ensemble at once, and the sums alone are taken
back to the pairs: surroundings are described three times in all, not twice a step and member.
"""

from __future__ import annotations

import torch
from torch import Tensor

from symgnn_explain.explain.engine.pair_forward import PairForward


class DescribedPath:
    """The sum of the members' predictions of one atom on the straight way, as a function of steps away from it.

    Parameters
    ----------
    forward
        The prediction as a function of a mask over pairs, under the semantics ``reference`` or ``zero``.
    """

    def __init__(self, forward: PairForward) -> None:
        self._forward = forward
        ones = forward.label_scale.new_ones(forward.n_edges)
        self._masks = [(ones * value).requires_grad_() for value in (0.0, 1.0)]
        with torch.enable_grad():
            self._ends = [forward.described(mask) for mask in self._masks]
        nothing, everything = (end.detach() for end in self._ends)
        with torch.no_grad():
            halfway = forward.described(ones / 2)
        bend = 2 * (nothing + everything - 2 * halfway)
        self._powers = (nothing, everything - nothing - bend, bend)
        self.start, self.end = self._inputs(0.0), self._inputs(1.0)

    def _inputs(self, mask: float) -> tuple[Tensor, Tensor, Tensor]:
        forward, described = self._forward, self._powers[0]
        still = forward.label_scale.new_zeros(1, forward.n_members, *described.shape)
        return still, still.clone(), forward.label_scale.new_full((1, forward.n_members, len(forward.messages)), mask)

    def __call__(self, from_nothing: Tensor, from_all: Tensor, of_messages: Tensor) -> Tensor:
        """Sum the predictions of the members, shape (1,), each with its own inputs.

        Parameters
        ----------
        from_nothing, from_all
            What is added to descriptors 1 - m and m times, shape (1, M, T, F): nothing on the straight way, so that
            gradients are weighted as pairs are at its two ends.
        of_messages
            Mask of messages, shape (1, M, E); m is its mean.
        """
        forward, m = self._forward, of_messages.detach().double().mean()
        constant, slope, bend = self._powers
        way = (constant + m * (slope + m * bend)).to(from_all)
        described = way + (1 - m) * from_nothing[0] + m * from_all[0]
        return forward.passed(forward.encoded(described), of_messages[0])[None] * forward.n_members

    def to_pairs(self, from_nothing: Tensor, from_all: Tensor, of_messages: Tensor) -> Tensor:
        """From gradients towards the inputs to those of each pair, shape (M, pairs)."""
        if not self._ends[1].requires_grad:  # an atom without neighbours, which nothing but itself describes
            return (
                torch.zeros(self._forward.n_members, self._forward.n_edges)
                .to(of_messages)
                .index_add(1, self._forward.messages, of_messages[0])
            )
        ends, masks, towards = self._ends, self._masks, [from_nothing[0], from_all[0]]
        if self._forward.semantics == "reference":  # a pair adds the same at both ends
            ends, masks, towards = ends[1:], masks[1:], [from_nothing[0] + from_all[0]]
        gradients = [
            torch.stack(torch.autograd.grad(ends, masks, [its.to(ends[0]) for its in both], retain_graph=True)).sum(0)
            for both in zip(*towards, strict=True)
        ]
        of_descriptors = torch.stack(gradients)
        return of_descriptors.index_add(1, self._forward.messages, of_messages[0])
