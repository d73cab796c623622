"""The way from everything masked to nothing masked, for what Integrated Gradients sum along it.

On the straight way every pair has the same mask value. Where masked pairs are replaced by mean ones, descriptors are
linear in the mask, so on that way they go straight from the mean ones to those that are there. So what is summed along
it is the gradient towards descriptors and messages, of every member of an ensemble at once, and the sum alone is taken
back to the pairs: surroundings are described twice in all, not twice a step and member.
"""

from __future__ import annotations

import torch
from torch import Tensor

from symgnn_explain.explain.engine.pair_forward import PairForward


class DescribedPath:
    """The sum of the members' predictions of one atom as a function of descriptors and of masks on messages.

    Parameters
    ----------
    forward
        The prediction as a function of a mask over pairs, under the semantics ``reference``.
    """

    def __init__(self, forward: PairForward) -> None:
        self._forward = forward
        self._mask = forward.label_scale.new_ones(forward.n_edges).requires_grad_()
        with torch.enable_grad():
            self._described = forward.described(self._mask)
        with torch.no_grad():
            nothing = forward.described(torch.zeros_like(self._mask))
        self.end = self._inputs(self._described.detach(), 1.0)
        self.start = self._inputs(nothing, 0.0)

    def _inputs(self, described: Tensor, mask: float) -> tuple[Tensor, Tensor]:
        forward = self._forward
        each = described.to(forward.label_scale).expand(1, forward.n_members, -1, -1)
        return each.contiguous(), forward.label_scale.new_full((1, forward.n_members, len(forward.messages)), mask)

    def __call__(self, described: Tensor, of_messages: Tensor) -> Tensor:
        """Sum the predictions of the members, shape (1,), each with descriptors (1, M, T, F) and a mask (1, M, E)."""
        forward = self._forward
        return forward.passed(forward.encoded(described[0]), of_messages[0])[None] * forward.n_members

    def to_pairs(self, described: Tensor, of_messages: Tensor) -> Tensor:
        """From gradients towards descriptors (1, M, T, F) and messages (1, M, E) to those of each pair, (M, pairs)."""
        gradients = [
            torch.autograd.grad(self._described, self._mask, its.to(self._described), retain_graph=True)[0]
            for its in described[0]
        ]
        return torch.stack(gradients).index_add(1, self._forward.messages, of_messages[0])
