from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import PRESETS, SymGNN, SymGNNConfig
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.graph import build_graph

SMALL = SymGNNConfig(dim=4, heads=(3, 2, 1), inference_samples=3, decoder_layers=2, radial_basis=5)
OCTAHEDRAL = np.array(
    [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in itertools.permutations(range(3))
        for signs in itertools.product([1.0, -1.0], repeat=3)
    ]
)
"""The 48 orthogonal matrices that map a cube to itself."""

fixtures_are_constant = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def graph_of(glass: Glass, model: SymGNN) -> tuple[Tensor, Tensor, Tensor]:
    graph = build_graph(glass, cutoff=model.config.cutoff, species=model.config.species)
    return graph.x.double(), graph.edge_index, graph.edge_attr.double()


def predict(model: SymGNN, glass: Glass) -> FloatArray:
    with torch.no_grad():
        barriers: FloatArray = model(*graph_of(glass, model)).numpy()
    return barriers


def transformed(glass: Glass, matrix: FloatArray) -> Glass:
    return replace(glass, positions=glass.positions @ matrix.T, cell=glass.cell @ matrix.T)


class TestEquations:
    @pytest.mark.parametrize(
        "config",
        [SMALL, replace(SMALL, radial_basis=0), replace(SMALL, distribution="haar"), replace(SMALL, heads=(1,))],
        ids=["von_mises", "no_distances", "haar", "one_layer"],
    )
    def test_agree_with_an_independent_implementation(
        self, config: SymGNNConfig, reference: Any, scramble: Any, random_glass: Callable[..., Glass]
    ) -> None:
        model = scramble(SymGNN(config))
        glass = random_glass(2, shear=0.1)
        x, edge_index, displacement = graph_of(glass, model)
        expected = reference(model)(x.numpy(), edge_index.T.numpy(), displacement.numpy())
        assert np.ptp(expected) > 1e-3
        np.testing.assert_allclose(predict(model, glass), expected, rtol=1e-9, atol=1e-10)

    def test_order_of_the_edges_does_not_matter(self, scramble: Any, random_glass: Callable[..., Glass]) -> None:
        model = scramble(SymGNN(SMALL))
        x, edge_index, displacement = graph_of(random_glass(3), model)
        order = torch.randperm(edge_index.shape[1], generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected, shuffled = model(x, edge_index, displacement), model(x, edge_index[:, order], displacement[order])
        torch.testing.assert_close(shuffled, expected, rtol=1e-10, atol=1e-12)

    def test_receptive_field_is_as_many_hops_as_layers(self, scramble: Any) -> None:
        model = scramble(SymGNN(SMALL))
        chain = Glass(
            positions=[[4.0 * k, 0, 0] for k in range(8)],
            numbers=[29] * 8,
            cell=np.diag([40.0, 20, 20]),
            pbc=False,
        )
        other = replace(chain, numbers=[40] + [29] * 7)
        changed = np.abs(predict(model, other) - predict(model, chain)) > 1e-12
        assert changed.tolist() == [True] * (len(SMALL.heads) + 1) + [False] * (7 - len(SMALL.heads))

    def test_the_published_preset_has_the_published_size(self) -> None:
        model = SymGNN(PRESETS["paper"])
        assert 98_000 < sum(parameter.numel() for parameter in model.parameters()) < 108_000
        assert [layer.heads for layer in model.layers] == [8, 4, 2, 1]

    def test_the_preset_for_two_cores_is_smaller(self) -> None:
        small, paper = (sum(p.numel() for p in SymGNN(PRESETS[name]).parameters()) for name in ("symgnn", "paper"))
        assert small < 0.6 * paper

    def test_normalisation_scales_and_shifts(self, scramble: Any, glass: Glass) -> None:
        model = scramble(SymGNN(SMALL))
        model.label_mean.fill_(0.0)
        model.label_scale.fill_(1.0)
        plain = predict(model, glass)
        model.label_mean.fill_(1.6)
        model.label_scale.fill_(0.3)
        np.testing.assert_allclose(predict(model, glass), 1.6 + 0.3 * plain)

    def test_gradients_reach_the_learned_distribution(self, random_glass: Callable[..., Glass]) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = SymGNN(replace(SMALL, dropout=0.0)).double().train()
            model(*graph_of(random_glass(3), model)).square().mean().backward()
        for parameter in model.symmetrization.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
            assert (parameter.grad != 0).all()

    def test_every_parameter_is_used(self, random_glass: Callable[..., Glass]) -> None:
        model = SymGNN(SMALL).double().train()
        model(*graph_of(random_glass(3), model)).square().mean().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


class TestInvariance:
    @fixtures_are_constant
    @given(seed=st.integers(0, 1000), shift=st.tuples(*[st.floats(-50, 50)] * 3))
    def test_permutation_translation_and_wrapping(
        self, tiny_predictor: Predictor, glass: Glass, seed: int, shift: tuple[float, float, float]
    ) -> None:
        rng = np.random.default_rng(seed)
        expected = tiny_predictor.predict(glass)
        order = rng.permutation(len(glass))
        permuted = replace(glass, positions=glass.positions[order], numbers=glass.numbers[order], barriers=None)
        moved = replace(glass, positions=glass.positions + shift)
        unwrapped = replace(glass, positions=glass.positions + rng.integers(-4, 5, (len(glass), 3)) @ glass.cell)
        np.testing.assert_allclose(tiny_predictor.predict(permuted), expected[order], atol=2e-5)
        np.testing.assert_allclose(tiny_predictor.predict(moved), expected, atol=2e-5)
        np.testing.assert_allclose(tiny_predictor.predict(unwrapped), expected, atol=2e-5)

    def test_a_repeated_cell_repeats_the_prediction(self, tiny_predictor: Predictor, glass: Glass) -> None:
        twice = Glass.from_ase(glass.to_ase().repeat((2, 1, 1)))
        expected = tiny_predictor.predict(glass)
        np.testing.assert_allclose(tiny_predictor.predict(twice), np.tile(expected, 2), atol=2e-5)

    @pytest.mark.parametrize("config", [SMALL, replace(SMALL, radial_basis=0)], ids=["distances", "no_distances"])
    def test_is_exact_when_the_transformations_are_a_group(
        self, config: SymGNNConfig, scramble: Any, random_glass: Callable[..., Glass]
    ) -> None:
        model = scramble(SymGNN(replace(config, inference_samples=48)))
        model.inference_transformations.copy_(torch.from_numpy(OCTAHEDRAL))
        glass = random_glass(3, shear=0.1)
        expected = predict(model, glass)
        for matrix in OCTAHEDRAL[::5]:
            np.testing.assert_allclose(predict(model, transformed(glass, matrix)), expected, rtol=1e-9, atol=1e-9)
        other = HaarO3()(1, torch.Generator().manual_seed(0))[0].numpy()
        assert np.abs(predict(model, transformed(glass, other)) - expected).max() > 1e-4

    def test_is_exact_when_only_distances_are_seen(self, scramble: Any, random_glass: Callable[..., Glass]) -> None:
        model = scramble(SymGNN(SMALL))
        torch.nn.init.zeros_(model.edge_encoder[0].weight)
        glass = random_glass(3)
        for matrix in HaarO3()(4, torch.Generator().manual_seed(0)).numpy():
            # Displacements are stored in single precision.
            np.testing.assert_allclose(predict(model, transformed(glass, matrix)), predict(model, glass), rtol=1e-4)

    def test_error_falls_with_the_square_root_of_the_number_of_transformations(
        self, scramble: Any, random_glass: Callable[..., Glass]
    ) -> None:
        """The mean over K samples of the Haar measure is as far from its invariant limit as any mean of K samples."""
        turn = HaarO3()(1, torch.Generator().manual_seed(9))[0]
        error = {}
        for n_samples in (4, 64):
            model = scramble(SymGNN(replace(SMALL, distribution="haar", radial_basis=0, inference_samples=n_samples)))
            displacement = graph_of(random_glass(3), model)[2]
            differences = []
            for seed in range(40):
                model.fix_transformations(seed)
                with torch.no_grad():
                    difference = model.encode_edges(displacement @ turn.T) - model.encode_edges(displacement)
                differences.append(difference.square().mean())
            error[n_samples] = torch.stack(differences).mean().sqrt().item()
        assert error[4] / error[64] == pytest.approx(4.0, rel=0.2)

    def test_prediction_error_vanishes_in_the_limit(self, scramble: Any, random_glass: Callable[..., Glass]) -> None:
        glass = random_glass(3)
        turned = transformed(glass, HaarO3()(1, torch.Generator().manual_seed(9))[0].numpy())

        def error(n_samples: int) -> float:
            model = scramble(SymGNN(replace(SMALL, distribution="haar", inference_samples=n_samples)))
            difference = predict(model, glass) - predict(model, turned)
            return float(np.sqrt(np.square(difference).mean()) / predict(model, glass).std())

        assert error(1024) < 0.35 * error(16)


class TestModes:
    def test_training_draws_and_evaluation_does_not(self, random_glass: Callable[..., Glass]) -> None:
        model = SymGNN(replace(SMALL, dropout=0.0)).double()
        inputs = graph_of(random_glass(3), model)
        with torch.no_grad():
            model.eval()
            assert torch.equal(model(*inputs), model(*inputs))
            model.train()
            assert not torch.equal(model(*inputs), model(*inputs))

    def test_fixed_transformations_depend_on_their_seed(self) -> None:
        model, other = SymGNN(SMALL), SymGNN(SMALL)
        assert torch.equal(model.inference_transformations, other.inference_transformations)
        model.fix_transformations(1)
        assert not torch.equal(model.inference_transformations, other.inference_transformations)
        assert not model.inference_transformations.requires_grad


class TestConfig:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"species": ()}, "species"),
            ({"species": ("Cu", "Cu")}, "each once"),
            ({"species": ("Cu", "Qq")}, "unknown species 'Qq'"),
            ({"heads": ()}, "heads"),
            ({"heads": (2, 0)}, "heads"),
            ({"dim": 0}, "dim"),
            ({"cutoff": 0.0}, "cutoff"),
            ({"cutoff": float("nan")}, "cutoff"),
            ({"distribution": "gauss"}, "choose from haar, von_mises"),
            ({"training_samples": 0}, "at least one transformation"),
            ({"inference_samples": 0}, "at least one transformation"),
            ({"radial_basis": 1}, "radial_basis=1"),
            ({"radial_basis": -1}, "radial_basis=-1"),
            ({"decoder_layers": -1}, "decoder_layers=-1"),
            ({"dropout": 1.0}, r"dropout=1\.0"),
        ],
    )
    def test_refuses_what_cannot_be_built(self, change: dict[str, Any], said: str) -> None:
        with pytest.raises(InputError, match=said) as error:
            replace(SMALL, **change)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", PRESETS)
    def test_survives_json(self, name: str) -> None:
        import json

        assert SymGNNConfig(**json.loads(json.dumps(PRESETS[name].to_dict()))) == PRESETS[name]
