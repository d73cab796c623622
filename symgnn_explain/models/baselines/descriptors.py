"""Invariant descriptors of an atom's surroundings, computed from a graph; differentiable in the displacements."""

from __future__ import annotations

from math import comb, factorial

import torch
from torch import Tensor


def radial_densities(x: Tensor, edge_index: Tensor, distance: Tensor, grid: Tensor) -> Tensor:
    """Neighbours of each species at each distance of an even grid, shared linearly between the two nearest points.

    Parameters
    ----------
    x, edge_index, distance
        One-hot species (N, S), edges without self-loops (2, E), and their lengths (E,), Å.
    grid
        Shape (K,), Å; a neighbour beyond its ends does not count.

    Returns
    -------
    Tensor
        Shape (N, S · K).
    """
    source, target = edge_index
    spacing = grid[1] - grid[0]
    position = (distance - grid[0]) / spacing
    below = position.detach().floor().long()
    count = len(grid)
    densities = distance.new_zeros(len(x) * x.shape[1] * count)
    row = (target * x.shape[1] + x.argmax(dim=1)[source]) * count
    for point, share in ((below, 1 - (position - below)), (below + 1, position - below)):
        inside = (point >= 0) & (point < count)
        densities = densities.index_add(0, (row + point)[inside], share[inside])
    return densities.reshape(len(x), -1)


def bond_order(edge_index: Tensor, displacement: Tensor, weight: Tensor, n_atoms: int, degree_max: int) -> Tensor:
    r"""Steinhardt's q_l (Phys. Rev. B 28, 784, 1983) of every atom for l from 1 to L, shape (N, L).

    By the addition theorem q_l² is the mean of the Legendre polynomial P_l over all pairs of neighbours; the mean of
    (u·v)^p over pairs is the squared norm of the mean tensor :math:`u^{\otimes p}`: no spherical harmonics are needed.

    Parameters
    ----------
    edge_index, displacement, weight
        Edges without self-loops (2, E), their vectors (E, 3) and weights (E,).
    degree_max
        L.
    """
    target = edge_index[1]
    direction = displacement / displacement.norm(dim=1, keepdim=True)
    powers = [torch.ones_like(direction)]
    for _ in range(degree_max):
        powers.append(powers[-1] * direction)

    def total(values: Tensor) -> Tensor:
        return values.new_zeros(n_atoms).index_add(0, target, values)

    norm = total(weight).clamp_min(torch.finfo(weight.dtype).tiny)
    mean_power = []  # mean of (u·v)^p over pairs of neighbours, by p
    for p in range(degree_max + 1):
        square = torch.zeros_like(norm)
        for a in range(p + 1):
            for b in range(p + 1 - a):
                c = p - a - b
                times = factorial(p) // (factorial(a) * factorial(b) * factorial(c))
                moment = total(weight * powers[a][:, 0] * powers[b][:, 1] * powers[c][:, 2]) / norm
                square = square + times * moment.square()
        mean_power.append(square)
    legendre = torch.zeros(degree_max, degree_max + 1, dtype=weight.dtype, device=weight.device)
    for degree in range(1, degree_max + 1):
        for k in range(degree // 2 + 1):
            share = comb(degree, k) * comb(2 * degree - 2 * k, degree) / 2**degree
            legendre[degree - 1, degree - 2 * k] = (-1) ** k * share
    # The square root has no slope at 0, which an atom without neighbours reaches.
    return (torch.stack(mean_power, dim=1) @ legendre.T).clamp_min(1e-12).sqrt()


def neighbour_average(values: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over incoming edges of the values (N, F) at their sources, shape (N, F)."""
    source, target = edge_index
    kernel = torch.sparse_coo_tensor(torch.stack([target, source]), weight, (len(values),) * 2, check_invariants=False)
    total = weight.new_zeros(len(values)).index_add(0, target, weight)
    return torch.sparse.mm(kernel, values) / total[:, None]
