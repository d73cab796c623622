"""Distributions over the orthogonal group O(3), whose samples transform the graph before it is encoded.

A network that averages its edge encodings over transformations ``T`` drawn from the Haar measure is E(3)-invariant in
expectation (Li et al., ICML 2024, section 4). The published distribution is a product of von Mises angles whose
location and concentration are parameters. Here gradients reach them: angles are the inverse distribution function of
uniform numbers, differentiated implicitly (Figurnov, Mohamed and Mnih, NeurIPS 2018). That family does not contain the
Haar measure; :class:`AngularGaussianO3` does, and starts from it. The mean over a whole finite group is invariant under
each of its elements exactly, and close to it under all others the larger the group is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
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


class AngularGaussianO3(nn.Module):
    """Rotations whose unit quaternions follow an angular central Gaussian distribution, and minus such rotations.

    A quaternion is a normal vector in four dimensions with a learned covariance, divided by its length (Tyler,
    *Biometrika* 74, 579, 1987): ``q`` and ``-q``, which are one rotation, are equally likely. Where the covariance is
    the identity, as at first, this is the Haar measure. Rotations and reflections have covariances of their own;
    samples alternate between the two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.eye(4).repeat(2, 1, 1))
        """Of the covariances: it is ``factor @ factor.T``, shape (2, 4, 4)."""

    def forward(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n_samples`` matrices, shape (n_samples, 3, 3), differentiable in the covariances."""
        factor = self.factor.double()[torch.arange(n_samples) % 2]
        normal = torch.randn(n_samples, 4, generator=generator, dtype=torch.float64).to(factor.device)
        signs = _alternating_signs(n_samples).to(factor.device)
        return rotation_from_quaternion(torch.einsum("nij,nj->ni", factor, normal)) * signs[:, None, None]

    def eigenvalues(self) -> Tensor:
        """Return those of both covariances, divided by their mean, shape (2, 4): all 1 is the Haar measure."""
        found = torch.linalg.svdvals(self.factor.detach().double()).square()
        return found / found.mean(dim=-1, keepdim=True)


class FiniteGroup(nn.Module):
    """The uniform distribution over a finite group of rotations and their products with the inversion.

    ``elements`` has shape (order, 3, 3); proper and improper ones alternate, and the identity comes first.
    """

    elements: Tensor

    def __init__(self, rotations: Tensor) -> None:
        super().__init__()
        both = torch.stack([rotations, -rotations], dim=1).flatten(0, 1)
        # A constant that the group's name tells: no part of the weights.
        self.register_buffer("elements", both, persistent=False)

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.elements)

    def forward(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n_samples`` matrices, shape (n_samples, 3, 3); proper and improper ones alternate.

        None is drawn twice before all have been drawn once: as many samples as the group's order are the whole group.
        """
        half = self.order // 2
        pairs = -(-n_samples // 2)

        def rotations() -> Tensor:
            rounds = [torch.randperm(half, generator=generator) for _ in range(-(-pairs // half))]
            return torch.cat(rounds)[:pairs] if rounds else torch.empty(0, dtype=torch.long)

        chosen = torch.stack([2 * rotations(), 2 * rotations() + 1], dim=1).flatten()[:n_samples]
        return self.elements[chosen.to(self.elements.device)]


class OctahedralO3(FiniteGroup):
    """The 48 symmetries of the cube: all signed permutations of the axes."""

    def __init__(self) -> None:
        permutations = np.eye(3)[list(itertools.permutations(range(3)))]
        signs = np.array(list(itertools.product([1.0, -1.0], repeat=3)))
        matrices = (signs[:, None, :, None] * permutations).reshape(-1, 3, 3)
        super().__init__(torch.from_numpy(matrices[np.linalg.det(matrices) > 0]))


class IcosahedralO3(FiniteGroup):
    """The 120 symmetries of the icosahedron that has its two-fold axes along x, y and z."""

    def __init__(self) -> None:
        from scipy.spatial.transform import Rotation

        golden = (1 + math.sqrt(5)) / 2
        # Unit quaternions of the binary icosahedral group (Conway and Smith, On Quaternions and Octonions, 2003).
        units = np.eye(4)
        halves = np.array(list(itertools.product([0.5, -0.5], repeat=4)))
        even = [order for order in itertools.permutations(range(4)) if np.linalg.det(np.eye(4)[list(order)]) > 0]
        signs = np.array(list(itertools.product([0.5, -0.5], repeat=3)))
        mixed = np.column_stack([signs * [golden, 1.0, 1 / golden], np.zeros(len(signs))])
        quaternions = np.concatenate([units, halves, *(mixed[:, list(order)] for order in even)])
        # q and -q are one rotation: of each pair the one whose first component that is not zero is positive.
        leading = quaternions[np.arange(len(quaternions)), (np.abs(quaternions) > 1e-9).argmax(axis=1)]
        quaternions = quaternions[leading > 0]
        scalar_last = np.roll(quaternions, -1, axis=1)
        super().__init__(torch.from_numpy(Rotation.from_quat(scalar_last).as_matrix()))


class TrivialGroup(nn.Module):
    """The identity alone: no symmetrization, for comparison."""

    def forward(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002 - as others
        """Return ``n_samples`` identity matrices, shape (n_samples, 3, 3)."""
        return torch.eye(3, dtype=torch.float64).repeat(n_samples, 1, 1)


DISTRIBUTIONS: dict[str, Callable[[], nn.Module]] = {
    "haar": HaarO3,
    "von_mises": VonMisesO3,
    "angular_gaussian": AngularGaussianO3,
    "octahedral": OctahedralO3,
    "icosahedral": IcosahedralO3,
    "identity": TrivialGroup,
}
"""What transformations can be drawn from, by name."""


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


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Rotation matrices of quaternions (..., 4) of any length but 0, scalar part first, shape (..., 3, 3)."""
    unit = quaternion / quaternion.norm(dim=-1, keepdim=True)
    scalar, vector = unit[..., :1, None], unit[..., 1:]
    zero = torch.zeros_like(vector[..., 0])
    x, y, z = vector.unbind(-1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3).to(unit) + 2 * (scalar * cross + cross @ cross)


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
