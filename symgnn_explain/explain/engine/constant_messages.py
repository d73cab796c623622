"""The first layer under a mask: its attention and its messages are constants of the structure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symgnn_explain.explain.engine.edge_attention import KnownMessages, attended_sums, weighted_sums

MOST_KINDS = 8
"""Up to so many different messages are summed kind by kind instead of edge by edge."""


@dataclass(frozen=True)
class ConstantMessages:
    """Messages of which a mask changes nothing but how much of each arrives.

    Where a network tells atoms by their species alone, atoms of one species send one message, and its share is all that
    has to be summed.

    Parameters
    ----------
    messages
        Into T atoms, sorted by target; their values are those of the atoms, or of the kinds of atoms.
    n_targets
        T.
    by_kind
        Whether messages are summed kind by kind.
    """

    messages: KnownMessages
    n_targets: int
    by_kind: bool

    @classmethod
    def of(cls, messages: KnownMessages, n_targets: int) -> ConstantMessages:
        """Find out whether few enough of the values differ."""
        value = messages.value
        kinds, kind = torch.unique(value.flatten(1), dim=0, return_inverse=True)
        if len(kinds) > MOST_KINDS:
            return cls(messages, n_targets, by_kind=False)
        merged = messages._replace(value=kinds.unflatten(1, value.shape[1:]), source=kind[messages.source])
        return cls(merged, n_targets, by_kind=True)

    def aggregate(self, mask: Tensor, *, renormalise: bool) -> Tensor:
        """Sum the masked messages into each atom, shape (T, K, D).

        With ``renormalise`` attention is shared among what the mask leaves; where it leaves nothing, nothing arrives.
        """
        attention, value, source, target = self.messages
        if self.by_kind:
            sums = weighted_sums(attention, mask, target * len(value) + source, self.n_targets * len(value))
            shares = sums.view(self.n_targets, len(value), -1)
            if renormalise:
                shares = shares / _positive(shares.sum(1, keepdim=True))
            return torch.einsum("nkh,khd->nhd", shares, value)
        aggregated = attended_sums(self.messages, mask, self.n_targets)
        if not renormalise:
            return aggregated
        return aggregated / _positive(weighted_sums(attention, mask, target, self.n_targets))[..., None]


def _positive(total: Tensor) -> Tensor:
    return torch.where(total > 0, total, torch.ones_like(total))
