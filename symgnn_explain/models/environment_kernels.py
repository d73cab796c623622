"""Sums over neighbours, and over pairs of them, compiled for one CPU core: raw descriptors without their gradients.

See :class:`~symgnn_explain.models.environment.AtomicEnvironment` for what is summed, and for the same in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgnn_explain.runs.compiled import compiled


@compiled
def add_densities(first: Any, kind: Any, shared: Any, sums: Any) -> None:
    """Add what each neighbour gives, ``shared`` (P, G), to the row of its species in ``sums`` (n, S · G)."""
    width = shared.shape[1]
    for i in range(len(sums)):
        for e in range(first[i], first[i + 1]):
            start = kind[e] * width
            for g in range(width):
                sums[i, start + g] += shared[e, g]


@compiled
def add_power_spectrum(  # noqa: PLR0912 - compiled
    given: Any, n_species: int, degree: int, spectrum: Any
) -> None:
    """Fill ``spectrum`` (n, degree · C · (C + 1) / 2) from the radial functions and directions (P, 3) of neighbours."""
    first, kind, radial, direction = given
    n_radial = radial.shape[1]
    n_channels = n_species * n_radial
    most = 0
    for i in range(len(spectrum)):
        most = max(most, first[i + 1] - first[i])
    near = np.empty(most, dtype=np.int64)
    legendre = np.empty((degree + 1, most))
    # For one neighbour: the sum over all others of their channels times P_l of the angle between the two.
    turned, total = np.empty((degree, n_channels)), np.empty((degree, n_channels, n_channels))
    for i in range(len(spectrum)):
        n_near = 0
        for e in range(first[i], first[i + 1]):
            seen = 0.0
            for r in range(n_radial):
                seen += radial[e, r]
            if seen > 0:
                near[n_near] = e
                n_near += 1
        total[:] = 0
        for one in near[:n_near]:
            x, y, z = direction[one, 0], direction[one, 1], direction[one, 2]
            for n in range(n_near):
                e = near[n]
                legendre[0, n] = 1
                legendre[1, n] = x * direction[e, 0] + y * direction[e, 1] + z * direction[e, 2]
            for order in range(1, degree):
                for n in range(n_near):
                    product = (2 * order + 1) * legendre[1, n] * legendre[order, n]
                    legendre[order + 1, n] = (product - order * legendre[order - 1, n]) / (order + 1)
            turned[:] = 0
            for n in range(n_near):
                start = kind[near[n]] * n_radial
                for order in range(degree):
                    for r in range(n_radial):
                        turned[order, start + r] += legendre[order + 1, n] * radial[near[n], r]
            start = kind[one] * n_radial
            for order in range(degree):
                for r in range(n_radial):
                    for c in range(n_channels):
                        total[order, start + r, c] += radial[one, r] * turned[order, c]
        column = 0
        for order in range(degree):
            for a in range(n_channels):
                for b in range(a, n_channels):
                    spectrum[i, column] = total[order, a, b]
                    column += 1


@compiled
def add_squared_forces(given: Any, forces: Any, nearest: float, cutoff: float, square: Any) -> None:
    """Add the square of the net force on each atom, summed over several pair forces, to ``square`` (n,).

    ``given`` are where the edges into each atom begin (n + 1,), the species of who sends along them (E,), their
    displacements (E, 3), and the species of the atoms (n,). ``forces`` (S, S, R, K) weigh R Gaussians between
    ``nearest`` and ``cutoff``, their distance apart as wide, of which each is the one before times one number.
    """
    first, kind, displacement, own = given
    n_radial, n_forces = forces.shape[2:]
    width = (cutoff - nearest) / (n_radial - 1)
    net = np.empty((n_forces, 3))
    strength = np.empty(n_forces)
    for i in range(len(own)):
        net[:] = 0
        for e in range(first[i], first[i + 1]):
            distance = np.sqrt(displacement[e, 0] ** 2 + displacement[e, 1] ** 2 + displacement[e, 2] ** 2)
            if 0 < distance < cutoff:
                place = (distance - nearest) / width
                gaussian = np.exp(-0.5 * place**2) * (1 - (distance / cutoff) ** 2) ** 3 / distance
                step = np.exp(place - 0.5)
                strength[:] = 0
                for n in range(n_radial):
                    for k in range(n_forces):
                        strength[k] += forces[own[i], kind[e], n, k] * gaussian
                    gaussian *= step
                    step *= np.exp(-1.0)
                for k in range(n_forces):
                    for d in range(3):
                        net[k, d] += strength[k] * displacement[e, d]
        for k in range(n_forces):
            for d in range(3):
                square[i] += net[k, d] ** 2
