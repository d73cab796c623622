"""The descriptors of atoms' surroundings as a function of a mask over pairs: what is left when some are masked.

A pair ``i ← j`` brings its share of what describes atom i: Gaussians of its length in the densities of j's species, and
a share of the power spectrum. A mask value m means:

- ``zero`` and ``removal``: atom j counts m times in the density of neighbours around i. At 0 it is not there, and all
  angles that it makes with others are gone too.
- ``reference``: m times the pair's share, and 1 - m times what stands there on average. The mean descriptors of the
  species of i are parted among its pairs in proportion to how much each adds to a Gaussian, whatever its species. So an
  atom at 2.6 Å is replaced by the average occupant at 2.6 Å. Of the power spectrum, which is a sum over pairs of
  neighbours, each has half of all that it is part of. Descriptors stay sums of real ones and mean ones, no holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch_geometric.utils import to_dense_batch

from symgnn_explain.explain.engine.edge_attention import weighted_sums
from symgnn_explain.models.environment import ANGULAR_RANGE, AtomicEnvironment

ALONE = 1e-3
"""Added to what each pair adds to a Gaussian before the mean is parted, so that it is parted where no pair is near."""


@dataclass(frozen=True)
class NeighbourPairs:
    """The pairs into T atoms.

    Parameters
    ----------
    kind
        One-hot species of the atoms that send and receive, shape (n, S).
    source, target
        Their numbers, shape (P,); the T atoms come first.
    vector
        ``r_source - r_target``, shape (P, 3), Å.
    joined
        Which pairs are edges of the graph, shape (P,); self-loops are not among them.
    looped
        Which are self-loops, shape (P,): they describe nothing.
    n_targets
        T.
    """

    kind: Tensor
    source: Tensor
    target: Tensor
    vector: Tensor
    joined: Tensor
    looped: Tensor
    n_targets: int


class MaskedSurroundings:
    """Raw descriptors (T, n_raw) of T atoms as a function of a mask (P,) over the pairs into them; differentiable.

    Parameters
    ----------
    environment
        What describes; its mean is what masked pairs are replaced by.
    pairs
        The pairs.
    replaced
        Whether what is masked is replaced by the mean (``reference``), or taken out.
    """

    def __init__(self, environment: AtomicEnvironment, pairs: NeighbourPairs, *, replaced: bool) -> None:
        self._environment, self._pairs, self._replaced = environment, pairs, replaced
        distance = pairs.vector.norm(dim=1)
        own = pairs.kind[: pairs.n_targets]
        mean = own @ environment.mean.to(own)
        n_near = environment.n_species * environment.n_radial
        n_far = environment.n_species * environment.n_far
        n_angular = environment.n_raw - n_near - n_far
        near = torch.nonzero(pairs.joined).squeeze(1)
        mean_near, mean_angular, mean_far = mean.split([n_near, n_angular, n_far], dim=1)
        counted = near
        if environment.near_reach > environment.cutoff:
            counted = torch.nonzero((distance < environment.near_reach) & ~pairs.looped).squeeze(1)
        self._near = self._density(counted, environment.near(distance[counted]), mean_near)
        self._far = None
        if environment.n_far:
            far = torch.nonzero((distance > environment.far_from) & ~pairs.looped).squeeze(1)
            self._far = self._density(far, environment.far(distance[far]), mean_far)
        self._bent: _Replaced | _Angles | None = None
        if environment.degree:
            bent = near[distance[near] < ANGULAR_RANGE]
            angles = _Angles.of(environment, pairs, bent, distance[bent])
            self._bent = angles
            if replaced:
                weight = environment.angular(distance[bent]).sum(1, keepdim=True)
                sums = _Sums(bent, angles.shares(), pairs.target[bent], pairs.n_targets)
                self._bent = _Replaced(sums, self._parted(bent, weight), mean_angular[:, None], 1)

    def __call__(self, mask: Tensor) -> Tensor:
        """Describe under a mask (P,)."""
        blocks = (self._near, self._bent, self._far)
        return torch.cat([block(mask) for block in blocks if block is not None], dim=1)

    def _density(self, which: Tensor, gaussians: Tensor, mean: Tensor) -> _Sums | _Replaced:
        n_species, pairs = self._environment.n_species, self._pairs
        slot = pairs.target[which] * n_species + pairs.kind.argmax(1)[pairs.source[which]]
        sums = _Sums(which, gaussians, slot, pairs.n_targets, n_species)
        if not self._replaced:
            return sums
        return _Replaced(sums, self._parted(which, gaussians), mean.unflatten(1, (n_species, -1)), n_species)

    def _parted(self, which: Tensor, weight: Tensor) -> _Sums:
        """Part 1 among the pairs into each atom, column by column."""
        target, n_targets = self._pairs.target[which], self._pairs.n_targets
        weight = weight + ALONE
        total = weight.new_zeros(n_targets, weight.shape[1]).index_add(0, target, weight)
        return _Sums(which, weight / total[target], target, n_targets)


class _Sums:
    """Sums of constant rows (K, C) times the mask values of some pairs, by atom (and species): (T, [S ·] C)."""

    def __init__(self, which: Tensor, weight: Tensor, slot: Tensor, n_targets: int, n_kinds: int = 1) -> None:
        self._which, self._weight, self._slot = which, weight.contiguous(), slot
        self._n_targets, self._n_slots = n_targets, n_targets * n_kinds

    def __call__(self, mask: Tensor) -> Tensor:
        chosen = mask.index_select(0, self._which)
        if not len(chosen):
            return self._weight.new_zeros(self._n_slots, self._weight.shape[1]).view(self._n_targets, -1)
        sums: Tensor = _WeightedSums.apply(chosen, self._weight, self._slot, self._n_slots)
        return sums.view(self._n_targets, -1)


class _Replaced:
    """Sums over what is there, and the mean (T, S, C) in the place of what is masked."""

    def __init__(self, sums: _Sums, parted: _Sums, mean: Tensor, n_kinds: int) -> None:
        self._sums, self._parted, self._mean, self._n_kinds = sums, parted, mean, n_kinds
        # Where an atom has no such pair there is nothing to be replaced.
        self._whole = parted(mean.new_ones(int(sums._which.max()) + 1 if len(sums._which) else 1))  # noqa: SLF001

    def __call__(self, mask: Tensor) -> Tensor:
        gone = (self._whole - self._parted(mask))[:, None]
        return self._sums(mask) + (self._mean * gone).flatten(1)


class _Angles:
    """The power spectrum of what a mask leaves around each atom."""

    def __init__(self, which: Tensor, place: Tensor, channel: Tensor, legendre: list[Tensor]) -> None:
        self._which, self._place, self._channel, self._legendre = which, place, channel, legendre
        self._upper = torch.triu_indices(channel.shape[2], channel.shape[2], device=channel.device)

    @classmethod
    def of(cls, environment: AtomicEnvironment, pairs: NeighbourPairs, which: Tensor, distance: Tensor) -> _Angles:
        target = pairs.target[which]
        order = torch.argsort(target, stable=True)
        which, target = which[order], target[order]
        kind = pairs.kind[pairs.source[which]]
        channel = (kind[:, :, None] * environment.angular(distance[order])[:, None, :]).flatten(1)
        rows = torch.cat([channel, pairs.vector[which] / distance[order, None]], dim=1)
        dense, there = to_dense_batch(rows, target, batch_size=pairs.n_targets)
        place = torch.nonzero(there.flatten()).squeeze(1)
        # Places in the order of ``which`` as it was given.
        back = torch.argsort(order)
        return cls(which[back], place[back], dense[..., :-3], list(environment.angles(dense[..., -3:])))

    def __call__(self, mask: Tensor) -> Tensor:
        shape = self._channel.shape[:2]
        weights = mask.new_zeros(shape[0] * shape[1]).index_copy(0, self._place, mask.index_select(0, self._which))
        channel = self._channel * weights.view(shape)[..., None]
        products = [channel.transpose(1, 2) @ legendre @ channel for legendre in self._legendre]
        return torch.cat([product[:, self._upper[0], self._upper[1]] for product in products], dim=1)

    def shares(self) -> Tensor:
        """Return the share that each pair has in the spectrum of its atom, half of each angle, shape (K, columns)."""
        first, second = self._upper
        columns = []
        for legendre in self._legendre:
            towards = legendre @ self._channel
            both = self._channel[..., first] * towards[..., second] + self._channel[..., second] * towards[..., first]
            columns.append(both.flatten(0, 1)[self._place] / 2)
        return torch.cat(columns, dim=1)


class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mask: Tensor, weight: Tensor, slot: Tensor, n_slots: int) -> Tensor:
        sums, ctx.pullback = weighted_sums(weight, mask.detach().contiguous(), slot, n_slots)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.pullback(towards.contiguous()), None, None, None
