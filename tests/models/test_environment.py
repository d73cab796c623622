"""Descriptors of surroundings: against brute force, exactly invariant, and whitened among atoms of one species."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_legendre

from symgnn_explain.errors import InputError
from symgnn_explain.models import environment
from symgnn_explain.models.ensemble import describe_graph, predict_graph, with_description
from symgnn_explain.models.environment import AtomicEnvironment, far_pairs
from symgnn_explain.models.invariance import transformed
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph

CUTOFF = 5.0
CONFIG = SymGNNConfig(
    dim=6, heads=(2, 1), distribution="none", radial_basis=4, environment_radial=5, environment_degree=3
)


FAR_CONFIG = replace(CONFIG, environment_far=4, environment_reach=7.0)


def double_graph(glass: Glass, reach: float = 0.0):
    graph = build_graph(glass, cutoff=CUTOFF, species=("Cu", "Zr"), reach=reach)
    graph.x, graph.edge_attr = graph.x.double(), graph.edge_attr.double()
    if "pair_attr" in graph:
        graph.pair_attr = graph.pair_attr.double()
    return graph


@pytest.mark.parametrize("n_side", [2, 4])
def test_against_sums_over_neighbours_and_pairs_of_them(random_glass, n_side: int) -> None:
    """With 8 atoms the cell is smaller than twice the cut-off, and neighbours appear as several images."""
    graph = double_graph(random_glass(n_side, shear=0.1))
    n_radial, degree = 6, 4
    described = AtomicEnvironment(2, CUTOFF, n_radial, degree).double().raw(graph.x, graph.edge_index, graph.edge_attr)
    centres = np.linspace(environment.NEAREST, CUTOFF, n_radial)
    kinds = graph.x.argmax(1).numpy()
    for atom in (0, 3, 7):
        into = (graph.edge_index[1] == atom).numpy()
        vectors = graph.edge_attr.numpy()[into]
        distances = np.linalg.norm(vectors, axis=1)
        real = distances > 0
        vectors, distances = vectors[real], distances[real]
        senders = kinds[graph.edge_index[0].numpy()[into][real]]
        radial = [
            np.exp(-0.5 * ((distances[senders == kind] - centre) / (centres[1] - centres[0])) ** 2).sum()
            for kind in (0, 1)
            for centre in centres
        ]
        fade = np.clip((environment.ANGULAR_RANGE - distances) / environment.ANGULAR_TAPER, 0, 1)
        fade = np.where(distances < environment.ANGULAR_RANGE, fade**2 * (3 - 2 * fade), 0)
        channels = [
            np.where(senders == kind, fade * np.exp(-0.5 * ((distances - c) / environment.ANGULAR_WIDTH) ** 2), 0)
            for kind in (0, 1)
            for c in environment.ANGULAR_CENTRES
        ]
        cosine = np.clip((vectors / distances[:, None]) @ (vectors / distances[:, None]).T, -1, 1)
        spectrum = [
            channels[a] @ eval_legendre(order, cosine) @ channels[b]
            for order in range(1, degree + 1)
            for a in range(len(channels))
            for b in range(a, len(channels))
        ]
        np.testing.assert_allclose(described[atom].numpy(), [*radial, *spectrum], rtol=1e-8, atol=1e-10)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_network_is_exactly_invariant(seed: int) -> None:
    from tests.conftest import make_random_glass

    glass = make_random_glass(4, seed=seed)
    graph = double_graph(glass)
    torch.manual_seed(seed)
    model = SymGNN(CONFIG).double()
    model.fit_inputs([graph])
    model.eval()
    predicted = model(graph.x, graph.edge_index, graph.edge_attr)
    for matrix in HaarO3()(4, torch.Generator().manual_seed(seed)):
        turned = model(graph.x, graph.edge_index, graph.edge_attr @ matrix.T)
        torch.testing.assert_close(turned, predicted, rtol=1e-9, atol=1e-9)
    order = np.random.default_rng(seed).permutation(len(glass))
    shuffled = double_graph(
        Glass(glass.positions[order] + [3.0, -40.0, 11.0], glass.numbers[order], glass.cell, glass.pbc)
    )
    again = model(shuffled.x, shuffled.edge_index, shuffled.edge_attr)
    torch.testing.assert_close(again, predicted[torch.from_numpy(order)], rtol=1e-5, atol=1e-5)


def test_features_are_white_within_a_species(random_glass) -> None:
    graphs = [double_graph(random_glass(7, seed=seed)) for seed in range(3)]
    described = AtomicEnvironment(2, CUTOFF, 4, 1).double()
    described.fit(graphs)
    features = torch.cat([described(graph.x, graph.edge_index, graph.edge_attr) for graph in graphs])
    kinds = torch.cat([graph.x for graph in graphs]).argmax(1)
    per_species = features.unflatten(1, (2, -1))
    for kind in (0, 1):
        own = per_species[kinds == kind, kind]
        assert (per_species[kinds != kind, kind] == 0).all()
        assert (own[:, -1] == 1).all()
        covariance = torch.cov(own[:, :-1].T).numpy()
        np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-8)
        # Directions that hardly vary at all are not blown up to 1: the floor sees to that.
        assert (np.diag(covariance) < 1 + 1e-2).all()
        assert np.median(np.diag(covariance)) > 0.9


def test_gradient_is_that_of_finite_differences(random_glass) -> None:
    torch.manual_seed(0)
    graph = double_graph(random_glass(3))
    model = SymGNN(CONFIG).double()
    model.fit_inputs([graph])
    model.eval()
    displacement = graph.edge_attr.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(graph.x, graph.edge_index, displacement).sum(), displacement)
    assert gradient.isfinite().all()
    direction = torch.randn_like(graph.edge_attr) * (graph.edge_attr.norm(dim=1, keepdim=True) > 0)
    step = 1e-8  # LeakyReLU has kinks, which a longer step would cross
    with torch.no_grad():
        ahead, behind = (
            model(graph.x, graph.edge_index, graph.edge_attr + sign * step * direction).sum() for sign in (1, -1)
        )
    assert float((ahead - behind) / (2 * step)) == pytest.approx(float((gradient * direction).sum()), rel=1e-4)


def test_an_isolated_atom_has_no_surroundings() -> None:
    glass = Glass(np.zeros((1, 3)), np.array([29]), np.eye(3) * 30)
    graph = double_graph(glass)
    raw = AtomicEnvironment(2, CUTOFF, 5, 3).double().raw(graph.x, graph.edge_index, graph.edge_attr)
    assert (raw == 0).all()


def test_a_neighbour_that_leaves_the_angular_range_leaves_gradually() -> None:
    def spectrum(distance: float) -> torch.Tensor:
        glass = Glass(np.array([[0, 0, 0], [2.6, 0, 0], [0, distance, 0]]), np.array([29, 29, 40]), np.eye(3) * 40)
        graph = double_graph(glass)
        return AtomicEnvironment(2, CUTOFF, 2, 4).double().raw(graph.x, graph.edge_index, graph.edge_attr)[0, 4:]

    edge = environment.ANGULAR_RANGE
    torch.testing.assert_close(spectrum(edge - 1e-4), spectrum(edge + 1e-4), rtol=0, atol=1e-6)
    assert (spectrum(3.5) - spectrum(edge)).abs().max() > 1e-2


def test_nothing_beyond_its_hops_matters() -> None:
    """A chain of atoms 4 Å apart: the descriptors add one hop to the layers."""
    model = SymGNN(CONFIG).double().eval()
    chain = np.column_stack([4.0 * np.arange(12), np.zeros(12), np.zeros(12)])

    def prediction(moved: int) -> float:
        positions = chain.copy()
        positions[moved, 1] += 0.5
        graph = double_graph(Glass(positions, np.full(12, 29), np.eye(3) * 100))
        return float(model(graph.x, graph.edge_index, graph.edge_attr)[0].detach())

    assert model.hops == 3
    assert prediction(4) == prediction(5)
    assert prediction(3) != prediction(4)


def test_a_graph_that_carries_its_description_predicts_the_same(random_glass) -> None:
    graph = double_graph(random_glass(3))
    model = SymGNN(CONFIG).double().eval()
    described = with_description(model, graph)
    assert "environment" not in graph
    predicted = model(described.x, described.edge_index, described.edge_attr, described.environment)
    torch.testing.assert_close(predicted, model(graph.x, graph.edge_index, graph.edge_attr))


@pytest.mark.parametrize("n_side", [2, 4])
def test_densities_beyond_the_cutoff_against_sums_over_images(random_glass, n_side: int) -> None:
    """Every image within reach, also of a cell smaller than that, found here without a neighbour list."""
    glass, reach, n_far = random_glass(n_side, shear=0.1), 7.0, 4
    graph = double_graph(glass, reach)
    layer = AtomicEnvironment(2, CUTOFF, 5, 2, n_far=n_far, reach=reach).double()
    described = layer.raw(graph.x, graph.edge_index, graph.edge_attr, *far_pairs(graph))
    plain = AtomicEnvironment(2, CUTOFF, 5, 2).double().raw(graph.x, graph.edge_index, graph.edge_attr)
    torch.testing.assert_close(described[:, : plain.shape[1]], plain)
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3) @ glass.cell
    centres = np.linspace(CUTOFF - environment.FAR_OVERLAP, reach, n_far)
    kinds = graph.x.argmax(1).numpy()
    for atom in (0, 5):
        vectors = glass.positions[:, None] + images - glass.positions[atom]
        distance = np.linalg.norm(vectors, axis=2)
        counted = (distance > 0) & (distance < reach)
        gaussians = np.exp(-0.5 * ((distance[..., None] - centres) / (centres[1] - centres[0])) ** 2)
        weighted = gaussians * (counted * (0.5 + 0.5 * np.cos(np.pi * distance / reach)))[..., None]
        expected = [weighted[kinds == kind].sum((0, 1)) for kind in (0, 1)]
        # What the layer leaves out is more than four widths away from every Gaussian.
        np.testing.assert_allclose(described[atom, plain.shape[1] :], np.concatenate(expected), atol=0.02)


def test_a_network_that_sees_far_refuses_edges_alone(random_glass) -> None:
    graph = double_graph(random_glass(3), FAR_CONFIG.reach)
    model = SymGNN(FAR_CONFIG).double().eval()
    with pytest.raises(InputError, match=r"up to 7 Å, beyond its edges of 5 Å"):
        model(graph.x, graph.edge_index, graph.edge_attr)
    predicted = model(graph.x, graph.edge_index, graph.edge_attr, describe_graph(model, graph))
    torch.testing.assert_close(predicted, predict_graph(model, graph))


def test_what_is_seen_far_is_exactly_invariant_and_fades_out() -> None:
    model = SymGNN(FAR_CONFIG).double().eval()

    def graph_of(distance: float):
        glass = Glass(np.array([[0, 0, 0], [3.0, 0, 0], [0, distance, 0]]), np.array([29, 29, 40]), np.eye(3) * 60)
        return double_graph(glass, FAR_CONFIG.reach)

    with torch.no_grad():
        predicted = predict_graph(model, graph_of(6.0))
        for matrix in HaarO3()(4, torch.Generator().manual_seed(0)).double():
            torch.testing.assert_close(predict_graph(model, transformed(graph_of(6.0), matrix)), predicted)
        inside, outside = (predict_graph(model, graph_of(7.0 + by))[0] for by in (-1e-4, 1e-4))
        assert abs(float(inside - outside)) < 1e-6
        assert abs(float(predict_graph(model, graph_of(6.0))[0] - outside)) > 1e-5


@pytest.mark.parametrize(
    "wrong",
    [
        {"environment_far": 1},
        {"environment_far": 4, "environment_reach": 5.0},
        {"environment_far": 4, "environment_radial": 0, "environment_degree": 0},
        {"environment_radial": 1},
        {"environment_radial": -1},
        {"environment_radial": 0, "environment_degree": 2},
        {"environment_width": 0},
        {"radial_basis": 0},
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        SymGNNConfig(**{**CONFIG.to_dict(), **wrong})
