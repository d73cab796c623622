"""Networks that are smooth and bounded: two derivatives everywhere, and no prediction far from the labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.models.environment import far_pairs
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.saturation import saturate, saturation_slope
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph
from tests.conftest import make_random_glass

PLAIN = SymGNNConfig(
    dim=6,
    heads=(2, 2, 1),
    distribution="none",
    radial_basis=6,
    environment_radial=6,
    environment_degree=2,
    environment_far=4,
    environment_reach=7.0,
    environment_width=8,
    decoder_layers=1,
)
BOUNDED = replace(PLAIN, smooth=True, bounded=True, environment_limit=3.0)


def trained(config: SymGNNConfig, *, labels: tuple[float, ...] = (1.0, 2.0)) -> SymGNN:
    """A network of random weights that knows what the descriptors and labels of some glasses are."""
    torch.manual_seed(1)
    model = SymGNN(config)
    glasses = [make_random_glass(7, seed=seed) for seed in range(2)]
    graphs = [build_graph(each, cutoff=config.cutoff, species=config.species, reach=config.reach) for each in glasses]
    model.fit_inputs(graphs)
    model.fit_labels(torch.tensor(labels))
    return model.eval()


@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=20), st.floats(-5, 5), st.sampled_from([0.1, 3.0, float("inf")])
)
def test_the_slope_of_saturation_is_its_derivative(values, low, extent) -> None:
    at = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    bounds = [torch.tensor(number, dtype=torch.float64) for number in (low if extent < 9 else -extent, low + extent)]
    (derivative,) = torch.autograd.grad(saturate(at, *bounds).sum(), at)
    torch.testing.assert_close(saturation_slope(at.detach(), *bounds), derivative)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-5, 5), st.floats(0.1, 10), st.floats(0.1, 10)
)
def test_saturation_is_the_identity_inside_and_stays_near_outside(values, low, extent, width) -> None:
    given_values = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    bounds = [torch.tensor(number, dtype=torch.float64) for number in (low, low + extent)]
    found = saturate(given_values, *bounds, width=torch.tensor(width, dtype=torch.float64))
    inside = (given_values >= low) & (given_values <= low + extent)
    assert torch.equal(found[inside], given_values[inside])
    assert (found >= low - width - 1e-9).all()
    assert (found <= low + extent + width + 1e-9).all()
    order = torch.argsort(given_values)
    assert (found[order].diff() >= -1e-9).all()
    (gradient,) = torch.autograd.grad(found.sum(), given_values)
    assert (gradient > 0).all()


def second_differences(model: SymGNN, step: float) -> Tensor:
    """Of all predictions of a cluster, while one of its atoms crosses every distance at which something ends."""
    glass = make_random_glass(3, seed=5)
    positions = torch.from_numpy(glass.positions - glass.positions.mean(axis=0))
    direction = torch.tensor([1.0, 0.3, -0.2], dtype=torch.float64)
    predicted = []
    for place in torch.arange(0.0, 0.9, step, dtype=torch.float64):
        moved = positions.clone()
        moved[4] += place * direction
        cluster = Glass(moved.numpy(), glass.numbers, np.eye(3) * 60, pbc=False)
        graph = build_graph(cluster, cutoff=model.config.cutoff, species=("Cu", "Zr"), reach=model.config.reach)
        graph.x = graph.x.double()
        for name in ("edge", "pair"):
            source, target = graph[f"{name}_index"]
            graph[f"{name}_attr"] = moved[source] - moved[target]  # graphs hold single precision
        described = model.describe(graph.x, graph.edge_index, graph.edge_attr, *far_pairs(graph))
        predicted.append(model(graph.x, graph.edge_index, graph.edge_attr, described))
    return torch.stack(predicted).diff(n=2, dim=0) / step**2


@torch.no_grad()
@pytest.mark.parametrize("config", [PLAIN, BOUNDED], ids=["plain", "smooth"])
def test_second_derivatives_are_continuous_where_neighbours_come_and_go(config: SymGNNConfig) -> None:
    """A jump of the second derivative stays as the step shrinks, a corner grows; what is smooth shrinks with it."""
    model = trained(config, labels=(-1e3, 0.0, 1e3)).double()
    jumps = [float(second_differences(model, step).diff(dim=0).abs().max()) for step in (0.02, 0.01)]
    assert (jumps[1] < 0.65 * jumps[0]) is config.smooth


@pytest.fixture(scope="module")
def bounded() -> Predictor:
    """Its weights are ten times those of a new network, so that nothing but the bounds keeps it in range."""
    model = trained(BOUNDED)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)
    return Predictor(model, device="cpu")


@given(
    seed=st.integers(0, 10**6),
    n_atoms=st.integers(1, 40),
    density=st.floats(0.001, 0.2),
    periodic=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_predictions_of_any_structure_stay_within_the_widened_range(bounded, seed, n_atoms, density, periodic) -> None:
    rng = np.random.default_rng(seed)
    edge = (n_atoms / density) ** (1 / 3)
    positions = rng.uniform(0, edge, (n_atoms, 3))
    glass = Glass(positions, rng.choice([29, 40], n_atoms), np.eye(3) * edge, pbc=periodic)
    try:
        predicted = bounded.predict(glass)
    except InputError:  # two atoms that happen to coincide
        reject()
    assert (predicted > 0.5 - 1e-5).all()
    assert (predicted < 2.5 + 1e-5).all()


def test_bounds_change_nothing_inside_and_are_reached_outside(bounded: Predictor) -> None:
    glass = make_random_glass(5, seed=9)
    free = trained(replace(BOUNDED, bounded=False))
    free.load_state_dict({name: value for name, value in bounded.model.state_dict().items() if name != "label_range"})
    unbounded = Predictor(free, device="cpu").predict(glass)
    inside = (unbounded >= 1) & (unbounded <= 2)
    found = bounded.predict(glass)
    np.testing.assert_array_equal(found[inside], unbounded[inside])
    assert (found[~inside] != unbounded[~inside]).all()
    assert (unbounded < 0.5).any() or (unbounded > 2.5).any()


def test_descriptors_go_in_as_they_are_up_to_the_limit_and_saturate_beyond() -> None:
    model = trained(BOUNDED)
    described = torch.zeros(5, model.environment.width)
    described[:, 3] = torch.tensor([-1e9, -3.0, 2.0, 1e6, 1e12])
    plain = trained(replace(BOUNDED, environment_limit=0.0))
    clipped = described.clamp(-4, 4)
    torch.testing.assert_close(model.encode_nodes(described), plain.encode_nodes(clipped))
    assert not torch.allclose(plain.encode_nodes(described), plain.encode_nodes(clipped))


def test_networks_of_before_keep_their_configuration() -> None:
    assert not {"smooth", "bounded", "environment_limit"} & set(PLAIN.to_dict())
    assert SymGNNConfig(**PLAIN.to_dict()) == PLAIN
    assert SymGNNConfig(**BOUNDED.to_dict()) == BOUNDED
    with pytest.raises(InputError, match="environment_limit=-1"):
        replace(PLAIN, environment_limit=-1)
