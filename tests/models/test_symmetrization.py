from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor, nn

from symgnn_explain.models.symmetrization import HaarO3, VonMisesO3, rotation_from_angles, von_mises_angle

CONCENTRATIONS = [0.01, 0.1, 1.0, 3.0, 10.0, 49.0, 120.0, 300.0]
MODULES = [HaarO3(), VonMisesO3(), VonMisesO3(20.0)]


def draw(module: nn.Module, n_samples: int, seed: int = 0) -> Tensor:
    with torch.no_grad():
        samples: Tensor = module(n_samples, torch.Generator().manual_seed(seed))
    return samples


def rotation_angles(rotations: Tensor) -> np.ndarray:
    trace = rotations.diagonal(dim1=1, dim2=2).sum(1)
    return np.arccos(np.clip((trace.numpy() - 1) / 2, -1, 1))


@pytest.mark.parametrize("module", MODULES)
class TestEverySample:
    def test_is_orthogonal(self, module: nn.Module) -> None:
        samples = draw(module, 101)
        torch.testing.assert_close(samples @ samples.mT, torch.eye(3).double().expand(101, 3, 3), atol=1e-12, rtol=0)

    def test_alternates_between_rotation_and_reflection(self, module: nn.Module) -> None:
        determinants = torch.linalg.det(draw(module, 101))
        torch.testing.assert_close(determinants[0::2], torch.ones(51).double())
        torch.testing.assert_close(determinants[1::2], -torch.ones(50).double())

    def test_depends_on_the_generator_alone(self, module: nn.Module) -> None:
        first = draw(module, 8, seed=3)
        torch.manual_seed(1)
        assert torch.equal(first, draw(module, 8, seed=3))
        assert not torch.equal(first, draw(module, 8, seed=4))

    def test_without_a_generator_depends_on_the_global_seed(self, module: nn.Module) -> None:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(7)
            first, second = module(4), module(4)
            torch.manual_seed(7)
            assert torch.equal(first, module(4))
        assert not torch.equal(first, second)


@pytest.fixture(scope="module")
def samples() -> Tensor:
    return draw(HaarO3(), 40_000)


class TestHaar:
    @pytest.mark.parametrize("part", [slice(0, None, 2), slice(1, None, 2)], ids=["rotations", "reflections"])
    def test_moments(self, samples: Tensor, part: slice) -> None:
        matrices = samples[part].reshape(-1, 9).numpy()
        error = 5 / math.sqrt(len(matrices))
        np.testing.assert_allclose(matrices.mean(0), 0, atol=error / math.sqrt(3))
        # E[T_ij T_kl] = δ_ik δ_jl / 3
        np.testing.assert_allclose(matrices.T @ matrices / len(matrices), np.eye(9) / 3, atol=error / 3)

    @pytest.mark.parametrize("part", [slice(0, None, 2), slice(1, None, 2)], ids=["rotations", "reflections"])
    def test_rotation_angles_have_the_density_one_minus_cosine(self, samples: Tensor, part: slice) -> None:
        rotations = samples[part] * torch.linalg.det(samples[part])[:, None, None]
        law = stats.kstest(rotation_angles(rotations), lambda angle: (angle - np.sin(angle)) / np.pi)
        assert law.pvalue > 0.01

    def test_is_left_and_right_invariant(self, samples: Tensor) -> None:
        turn = rotation_from_angles(torch.tensor([0.7, -1.1, 2.3]).double())
        for moved in (turn @ samples[::2], samples[::2] @ turn):
            law = stats.kstest(rotation_angles(moved), lambda angle: (angle - np.sin(angle)) / np.pi)
            assert law.pvalue > 0.01

    def test_images_of_a_vector_are_uniform_on_the_sphere(self, samples: Tensor) -> None:
        images = samples[::2] @ torch.tensor([0.6, 0.0, 0.8]).double()
        for coordinate in images.T:  # Archimedes: each coordinate is uniform
            assert stats.kstest(coordinate.numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.01


class TestRotationFromAngles:
    def test_axes(self) -> None:
        quarter = math.pi / 2
        x, y, z = torch.eye(3).double()
        about_z, about_y, about_x = rotation_from_angles(torch.eye(3).double() * quarter)
        torch.testing.assert_close(about_z @ x, y)
        torch.testing.assert_close(about_y @ z, x)
        torch.testing.assert_close(about_x @ y, z)

    def test_order(self) -> None:
        angles = torch.tensor([0.3, -0.8, 1.9]).double()
        a, b, c = (rotation_from_angles(torch.diag(angles))[k] for k in range(3))
        torch.testing.assert_close(rotation_from_angles(angles), a @ b @ c)


class TestVonMisesQuantile:
    UNIFORM = torch.tensor([1e-9, 1e-4, 0.02, 0.2, 0.5, 0.63, 0.9, 0.999, 1 - 1e-7]).double()

    @pytest.mark.parametrize("concentration", CONCENTRATIONS)
    def test_inverts_the_distribution_function(self, concentration: float) -> None:
        angles = von_mises_angle(self.UNIFORM, torch.full_like(self.UNIFORM, concentration))
        for uniform, angle in zip(self.UNIFORM.tolist(), angles.tolist(), strict=True):
            reached, _ = integrate.quad(
                stats.vonmises(concentration).pdf,
                -np.pi,
                angle,
                points=[0.0] if angle > 0 else None,
                epsabs=1e-12,
                limit=300,
            )
            assert reached == pytest.approx(uniform, abs=1e-9)

    @pytest.mark.parametrize("concentration", CONCENTRATIONS)
    def test_agrees_with_scipy(self, concentration: float) -> None:
        angles = von_mises_angle(self.UNIFORM, torch.full_like(self.UNIFORM, concentration))
        # Scipy's series and, from 50 on, its normal approximation are less exact than the integral above.
        tolerance = 1e-6 if concentration <= 10 else 1e-4
        np.testing.assert_allclose(angles, stats.vonmises(concentration).ppf(self.UNIFORM), atol=tolerance)

    def test_is_symmetric(self) -> None:
        kappa = torch.full_like(self.UNIFORM, 2.0)
        torch.testing.assert_close(von_mises_angle(self.UNIFORM, kappa), -von_mises_angle(1 - self.UNIFORM, kappa))

    @pytest.mark.parametrize("concentration", CONCENTRATIONS)
    def test_gradient_is_the_finite_difference_at_fixed_uniforms(self, concentration: float) -> None:
        kappa = torch.full_like(self.UNIFORM, concentration).requires_grad_()
        [gradient] = torch.autograd.grad(von_mises_angle(self.UNIFORM, kappa).sum(), kappa)
        step = 1e-5 * concentration
        with torch.no_grad():
            ahead, behind = (von_mises_angle(self.UNIFORM, kappa + sign * step) for sign in (1, -1))
        torch.testing.assert_close(gradient, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("concentration", CONCENTRATIONS)
    def test_gradient_of_the_mean_cosine_is_the_analytic_one(self, concentration: float) -> None:
        uniform = (torch.arange(1000).double() + 0.5) / 1000
        kappa = torch.tensor(concentration).double().requires_grad_()
        mean = von_mises_angle(uniform, kappa.expand(1000)).cos().mean()
        [gradient] = torch.autograd.grad(mean, kappa)
        ratio = special.i1e(concentration) / special.i0e(concentration)
        assert mean.item() == pytest.approx(ratio, rel=1e-3)
        assert gradient.item() == pytest.approx(1 - ratio**2 - ratio / concentration, rel=5e-3)


class TestVonMises:
    def test_angles_follow_location_and_concentration(self) -> None:
        module = VonMisesO3(50.0)
        with torch.no_grad():
            module.location[0] = torch.tensor([0.4, 0.0, 0.0])
        drawn = draw(module, 600)
        rotations, reflections = drawn[0::2].mean(0), drawn[1::2].mean(0)
        shrink = special.i1e(50) / special.i0e(50)  # E[cos] of a centred angle
        assert rotations[0, 0].item() == pytest.approx(math.cos(0.4) * shrink**2, abs=0.03)
        assert rotations[1, 0].item() == pytest.approx(math.sin(0.4) * shrink**2, abs=0.03)
        assert reflections[0, 0].item() == pytest.approx(-(shrink**2), abs=0.03)

    def test_gradients_reach_every_parameter(self) -> None:
        module = VonMisesO3()
        target = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double())[0]
        module(6, torch.Generator().manual_seed(1)).sub(target).square().sum().backward()
        for parameter in (module.location, module.log_concentration):
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
            assert (parameter.grad != 0).all()

    def test_can_be_learned(self) -> None:
        """Descent on samples alone moves the distribution to the rotation that is asked for, and sharpens it."""
        module, generator = VonMisesO3(), torch.Generator().manual_seed(0)
        wanted = torch.tensor([0.5, -0.3, 0.8])
        target = rotation_from_angles(wanted.double())
        optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            loss = (module(16, generator)[::2] - target).square().sum((1, 2)).mean()
            loss.backward()
            optimizer.step()
        torch.testing.assert_close(module.location[0].detach(), wanted, atol=0.15, rtol=0)
        assert module.log_concentration[0].min() > 1.0
