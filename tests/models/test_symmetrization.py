from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from symgnn_explain.models.symmetrization import (
    DISTRIBUTIONS,
    AngularGaussianO3,
    FiniteGroup,
    HaarO3,
    IcosahedralO3,
    OctahedralO3,
    TrivialGroup,
    VonMisesO3,
    rotation_from_angles,
    von_mises_angle,
)

CONCENTRATIONS = [0.01, 0.1, 1.0, 3.0, 10.0, 49.0, 120.0, 300.0]


def narrow() -> AngularGaussianO3:
    """About rotations near the identity, and reflections near the inversion times half a turn about z."""
    module = AngularGaussianO3()
    with torch.no_grad():
        module.factor[0] = torch.diag(torch.tensor([10.0, 1, 1, 1]))
        module.factor[1] = torch.diag(torch.tensor([1.0, 1, 1, 10]))
    return module


MODULES = [HaarO3(), VonMisesO3(), VonMisesO3(20.0), AngularGaussianO3(), narrow(), OctahedralO3(), IcosahedralO3()]


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


@pytest.fixture(scope="module", params=[HaarO3, AngularGaussianO3], ids=["haar", "angular_gaussian"])
def samples(request: pytest.FixtureRequest) -> Tensor:
    return draw(request.param(), 40_000)


class TestHaar:
    """Also of what is learned, before it is."""

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


@pytest.mark.parametrize(
    ("group", "order", "angles"),
    [
        # Rotation angles of each class of the proper subgroup, in degrees, with the number of its elements.
        (OctahedralO3(), 48, {0: 1, 90: 6, 120: 8, 180: 9}),
        (IcosahedralO3(), 120, {0: 1, 72: 12, 120: 20, 144: 12, 180: 15}),
    ],
)
def test_order_and_classes_of_a_finite_group(group: FiniteGroup, order: int, angles: dict[int, int]) -> None:
    assert group.order == len(group.elements) == order
    found = np.rad2deg(rotation_angles(group.elements[::2])).round().astype(int)
    assert dict(zip(*np.unique(found, return_counts=True), strict=True)) == angles


@pytest.mark.parametrize("group", [OctahedralO3(), IcosahedralO3()])
class TestFiniteGroup:
    def test_is_closed(self, group: FiniteGroup) -> None:
        flat = group.elements.flatten(1)
        assert torch.pdist(flat).min() > 1  # all are different
        products = (group.elements[:, None] @ group.elements[None]).reshape(-1, 9)
        assert torch.cdist(products, flat).min(dim=1).values.max() < 1e-6
        inverses = group.elements.mT.flatten(1)
        assert torch.cdist(inverses, flat).min(dim=1).values.max() < 1e-6

    def test_as_many_samples_as_elements_are_the_group(self, group: FiniteGroup) -> None:
        drawn = draw(group, group.order).flatten(1)
        assert (torch.cdist(drawn, group.elements.flatten(1)) < 1e-9).sum(0).eq(1).all()
        assert (torch.cdist(draw(group, 2 * group.order).flatten(1), drawn) < 1e-9).sum(0).eq(2).all()

    def test_fewer_samples_are_different_and_random(self, group: FiniteGroup) -> None:
        drawn = draw(group, group.order // 2)
        assert torch.pdist(drawn.flatten(1)).min() > 1
        assert not torch.equal(drawn, draw(group, group.order // 2, seed=1))
        many = torch.cat([draw(group, 6, seed) for seed in range(600)])
        times = (torch.cdist(many.flatten(1), group.elements.flatten(1)) < 1e-9).sum(0).numpy()
        assert stats.chisquare(times).pvalue > 0.001

    def test_the_mean_over_it_is_invariant_under_its_elements(self, group: FiniteGroup) -> None:
        generator = torch.Generator().manual_seed(0)
        weights = torch.randn(3, 16, generator=generator, dtype=torch.float64)
        vectors = torch.randn(20, 3, generator=generator, dtype=torch.float64)

        def mean(vectors: Tensor) -> Tensor:
            return torch.stack([torch.relu(vectors @ t.T @ weights - 0.3) ** 2 for t in draw(group, group.order)]).mean(
                0
            )

        for element in group.elements:
            torch.testing.assert_close(mean(vectors @ element.T), mean(vectors), rtol=0, atol=1e-14)
        turn = rotation_from_angles(torch.tensor([0.3, 0.4, 0.5]).double())
        assert (mean(vectors @ turn.T) - mean(vectors)).abs().max() > 1e-9  # not under others

    def test_low_polynomials_are_averaged_as_by_the_haar_measure(self, group: FiniteGroup) -> None:
        """The octahedral group is a design of degree 3, the icosahedral one of degree 5 (Goethals and Seidel, 1979)."""
        rng = np.random.default_rng(0)
        images = group.elements.numpy() @ rng.normal(size=3)
        length = np.linalg.norm(images[0])
        degree_four = (images[:, 2] ** 4).mean()
        assert (images[:, 2] ** 2).mean() == pytest.approx(length**2 / 3)
        assert (degree_four == pytest.approx(length**4 / 5)) == (group.order == 120)

    def test_it_is_no_part_of_the_weights(self, group: FiniteGroup) -> None:
        assert not group.state_dict()


def test_the_trivial_group_is_the_identity() -> None:
    assert torch.equal(draw(TrivialGroup(), 3), torch.eye(3).double().expand(3, 3, 3))


def test_every_distribution_has_a_name() -> None:
    for distribution in DISTRIBUTIONS.values():
        assert draw(distribution(), 5).shape == (5, 3, 3)


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


class TestAngularGaussian:
    def test_covariances_say_where_quaternions_point(self) -> None:
        drawn = draw(narrow(), 40_000)
        from_quaternions = Rotation.from_matrix(drawn.numpy() * np.where(np.arange(40_000) % 2, -1, 1)[:, None, None])
        scalar = from_quaternions.as_quat(canonical=True)[:, 3]
        about_z = np.abs(from_quaternions.as_quat()[:, 2])
        long, short = np.random.default_rng(0).standard_normal(200_000), stats.chi2(3).rvs(200_000, random_state=1)
        expected = np.mean(10 * np.abs(long) / np.sqrt(100 * long**2 + short))
        assert scalar[::2].mean() == pytest.approx(expected, abs=0.006)
        assert about_z[1::2].mean() == pytest.approx(expected, abs=0.006)
        assert scalar[1::2].mean() < 0.2

    def test_scale_of_a_covariance_means_nothing(self) -> None:
        module, larger = narrow(), narrow()
        with torch.no_grad():
            larger.factor *= 3.0
        torch.testing.assert_close(draw(module, 9), draw(larger, 9))
        torch.testing.assert_close(module.eigenvalues(), larger.eigenvalues())

    def test_eigenvalues_tell_the_haar_measure_from_others(self) -> None:
        torch.testing.assert_close(AngularGaussianO3().eigenvalues(), torch.ones(2, 4).double())
        torch.testing.assert_close(
            narrow().eigenvalues(), torch.tensor([400.0, 4, 4, 4]).double().div(103).expand(2, 4)
        )

    def test_gradient_is_that_of_finite_differences(self) -> None:
        module, weights = narrow().double(), torch.randn(8, 3, 3, generator=torch.Generator().manual_seed(0)).double()

        def value(factor: Tensor) -> Tensor:
            drawn: Tensor = torch.func.functional_call(
                module, {"factor": factor}, (8, torch.Generator().manual_seed(1))
            )
            return (drawn * weights).sum()

        assert torch.autograd.gradcheck(value, (module.factor.detach().requires_grad_(),))

    def test_can_be_learned(self) -> None:
        """Descent on samples alone moves the distribution to the rotation that is asked for, and sharpens it."""
        module, generator = AngularGaussianO3(), torch.Generator().manual_seed(0)
        target = rotation_from_angles(torch.tensor([0.5, -0.3, 0.8]).double())
        optimizer = torch.optim.Adam(module.parameters(), lr=0.05)

        def distance() -> Tensor:
            return (module(16, generator)[::2] - target).square().sum((1, 2)).mean()

        first = distance().item()
        for _ in range(100):
            optimizer.zero_grad()
            distance().backward()
            optimizer.step()
        assert distance().item() < first / 5
        assert module.eigenvalues()[0, 0] > 3.5


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
