"""Distributions over the orthogonal group O(3), whose samples transform the graph before it is encoded.

A network that averages its edge encodings over transformations ``T`` drawn from the Haar measure is E(3)-invariant in
expectation (Li et al., ICML 2024, section 4). The published distribution is a product of von Mises angles whose
location and concentration are parameters. Here gradients reach them: angles are the inverse distribution function of
uniform numbers, differentiated implicitly (Figurnov, Mohamed and Mnih, NeurIPS 2018).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_NODES, _WEIGHTS = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(256))
_BISECTIONS = 60


class HaarO3(nn.Module):
    """The uniform distribution over rotations and reflections; it has no parameters."""

    def forward(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n_samples`` matrices, shape (n_samples, 3, 3); proper and improper ones alternate."""
        gaussian = torch.randn(n_samples, 3, 3, generator=generator, dtype=torch.float64)
        q, r = torch.linalg.qr(gaussian)
        q = q * torch.diagonal(r, dim1=-2, dim2=-1).sign()[:, None, :]
        return q * (torch.linalg.det(q) * _alternating_signs(n_samples))[:, None, None]


class VonMisesO3(nn.Module):
    """Rotations ``Rz(a) Ry(b) Rx(c)`` with independent von Mises angles, and minus such rotations.

    Rotations and reflections have locations and concentrations of their own; samples alternate between the two.
    A concentration near 0 gives uniform angles (which is not the Haar measure: the poles are over-represented).
    """

    def __init__(self, concentration: float = 1.0) -> None:
        super().__init__()
        self.location = nn.Parameter(torch.zeros(2, 3))
        self.log_concentration = nn.Parameter(torch.full((2, 3), math.log(concentration)))

    def forward(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n_samples`` matrices, shape (n_samples, 3, 3), differentiable in both parameters."""
        which = torch.arange(n_samples) % 2
        concentration = self.log_concentration.clamp(-6.0, 6.0).exp().double()[which]
        uniform = torch.rand(n_samples, 3, generator=generator, dtype=torch.float64).to(concentration.device)
        angles = von_mises_angle(uniform, concentration) + self.location.double()[which]
        signs = _alternating_signs(n_samples).to(angles.device)
        return rotation_from_angles(angles) * signs[:, None, None]


def rotation_from_angles(angles: Tensor) -> Tensor:
    """Rotation matrices ``Rz(a) Ry(b) Rx(c)`` of angles (..., 3), shape (..., 3, 3)."""
    zero, one = torch.zeros_like(angles[..., 0]), torch.ones_like(angles[..., 0])
    cos, sin = angles.cos().unbind(-1), angles.sin().unbind(-1)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))

    about_z = matrix(cos[0], -sin[0], zero, sin[0], cos[0], zero, zero, zero, one)
    about_y = matrix(cos[1], zero, sin[1], zero, one, zero, -sin[1], zero, cos[1])
    about_x = matrix(one, zero, zero, zero, cos[2], -sin[2], zero, sin[2], cos[2])
    return about_z @ about_y @ about_x


def von_mises_angle(uniform: Tensor, concentration: Tensor) -> Tensor:
    """Return the angle in [-π, π] at which the von Mises distribution function about 0 reaches ``uniform``.

    Differentiable in ``concentration``: along a fixed quantile dθ/dκ = -(∂F/∂κ) / p(θ).
    """
    angle: Tensor = _VonMisesQuantile.apply(uniform, concentration)
    return angle


class _VonMisesQuantile(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, uniform: Tensor, concentration: Tensor) -> Tensor:
        low, high = torch.full_like(uniform, -math.pi), torch.full_like(uniform, math.pi)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            above = _integrate(torch.ones_like, middle, concentration) > uniform
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        angle = (low + high) / 2
        ctx.save_for_backward(angle, concentration)
        return angle

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        angle, concentration = ctx.saved_tensors
        mean_cosine = torch.special.i1e(concentration) / torch.special.i0e(concentration)
        slope = _integrate(lambda t: t.cos() - mean_cosine[..., None], angle, concentration)
        return None, -gradient * slope / _density(angle, concentration)


def _density(angle: Tensor, concentration: Tensor) -> Tensor:
    return (concentration * (angle.cos() - 1)).exp() / (2 * math.pi * torch.special.i0e(concentration))


def _integrate(function: Any, upper: Tensor, concentration: Tensor) -> Tensor:
    """Gauss-Legendre integral of ``function(t) p(t)`` from -π to ``upper``."""
    half = (upper + math.pi) / 2
    nodes, weights = _NODES.to(upper.device), _WEIGHTS.to(upper.device)
    t = half[..., None] * (nodes + 1) - math.pi
    return half * (function(t) * _density(t, concentration[..., None]) * weights).sum(-1)


def _alternating_signs(n_samples: int) -> Tensor:
    return 1.0 - 2.0 * (torch.arange(n_samples, dtype=torch.float64) % 2)
