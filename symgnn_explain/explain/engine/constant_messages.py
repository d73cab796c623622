"""The first layer under a mask: its attention and its messages are constants of the structure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symgnn_explain.explain.engine.edge_attention import MaskPullback, weighted_sums

MOST_KINDS = 8
"""Up to so many different messages are summed kind by kind instead of edge by edge."""


@dataclass(frozen=True)
class ConstantMessages:
    """The change of T atoms' features by messages of which a mask changes nothing but how much of each arrives.

    All that stands beside the mask is computed once, the linear map behind the aggregation included. Where a network
    tells atoms by their species alone, atoms of one species send one message, and its share is all that has to be
    summed; else what each edge brings is.

    Parameters
    ----------
    weight, slot, n_slots
        What is summed, shape (E, C), and where: the shares of M · K heads by target and kind, or by target what M · K
        heads (or M members, where nothing is shared anew) change.
    attention, target
        Shares (E, M · K) and targets (E,).
    idle
        Share that goes to nothing, (T, M · K).
    of_kind
        What the message of each kind changes, shape (M, kinds · K, dim); None where messages are summed edge by edge.
    members, dim
        M, and the width of node features.
    renormalise
        Whether attention is shared among what the mask leaves; where it leaves nothing, nothing arrives.
    """

    weight: Tensor
    slot: Tensor
    n_slots: int
    attention: Tensor
    target: Tensor
    idle: Tensor
    of_kind: Tensor | None
    members: int
    dim: int
    renormalise: bool

    @classmethod
    def of(
        cls,
        attention: Tensor,
        changes: Tensor,
        kind: Tensor,
        *,
        source: Tensor,
        target: Tensor,
        idle: Tensor,
        renormalise: bool,
    ) -> ConstantMessages:
        """Compute all that a mask does not change.

        Parameters
        ----------
        attention
            Shape (M, E, K).
        changes
            What the whole message of each of S atoms would change, head by head, shape (M, S, K, dim).
        kind
            Atoms of one kind send the same message, shape (S,); kinds are numbered from 0.
        source, target
            Ends of the edges, shape (E,); sorted by target.
        idle
            Share that goes to nothing, shape (M, T, K).
        renormalise
            As above.
        """
        members, *_, dim = changes.shape
        n_targets = idle.shape[1]
        alone = idle.transpose(0, 1).flatten(1)
        shares = attention.transpose(0, 1)
        flat = shares.flatten(1).contiguous()
        n_kinds = int(kind.max()) + 1
        if n_kinds <= MOST_KINDS:
            first = torch.stack([torch.nonzero(kind == number)[0, 0] for number in range(n_kinds)])
            of_kind = changes[:, first].flatten(1, 2)
            slot = target * n_kinds + kind[source]
            return cls(flat, slot, n_targets * n_kinds, flat, target, alone, of_kind, members, dim, renormalise)
        brought = changes.transpose(0, 1)[source] * shares[..., None]
        weight = (brought if renormalise else brought.sum(2)).flatten(1).contiguous()
        return cls(weight, target, n_targets, flat, target, alone, None, members, dim, renormalise)

    @property
    def n_targets(self) -> int:
        """T."""
        return len(self.idle)

    def change(self, mask: Tensor) -> tuple[Tensor, MaskPullback]:
        """Change of node features (M, T, dim) under a mask (E,), and its pullback."""
        sums, pull_sums = weighted_sums(self.weight, mask, self.slot, self.n_slots)
        if not self.renormalise:
            return self._joined(sums), lambda towards: pull_sums(self._parted(towards))
        left, pull_left = weighted_sums(self.attention, mask, self.target, self.n_targets)
        left = left + self.idle
        left = torch.where(left > 0, left, torch.ones_like(left))[:, None, :, None]
        # For each target: kinds, heads, and what a head changes.
        shared = sums.view(self.n_targets, -1, left.shape[2], self.weight.shape[1] // left.shape[2]) / left

        def pullback(towards: Tensor) -> Tensor:
            towards_sums = self._parted(towards).view_as(shared) / left
            towards_left = -(towards_sums * shared).sum((1, 3))
            return pull_sums(towards_sums.view_as(sums)) + pull_left(towards_left)

        return self._joined(shared.view_as(sums)), pullback

    def _joined(self, sums: Tensor) -> Tensor:
        """From sums (n_slots, C) to the change (M, T, dim)."""
        if self.of_kind is None:
            return sums.view(self.n_targets, self.members, -1, self.dim).sum(2).transpose(0, 1)
        shares = sums.view(self.n_targets, -1, self.members, self.attention.shape[1] // self.members)
        return torch.bmm(shares.permute(2, 0, 1, 3).flatten(2), self.of_kind)

    def _parted(self, towards: Tensor) -> Tensor:
        """From the gradient of the change (M, T, dim) to that of the sums (n_slots, C)."""
        if self.of_kind is None:
            heads = self.weight.shape[1] // (self.members * self.dim)
            return towards.transpose(0, 1)[:, :, None].expand(-1, -1, heads, -1).flatten(1).contiguous()
        by_kind = torch.bmm(towards, self.of_kind.mT).unflatten(2, (-1, self.attention.shape[1] // self.members))
        return by_kind.permute(1, 2, 0, 3).reshape(self.n_slots, -1)
