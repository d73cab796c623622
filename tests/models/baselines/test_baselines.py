"""Laws that every baseline keeps, and comparisons with independent implementations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn.models import SchNet as PyGSchNet

from symgnn_explain.analysis.order.steinhardt import bond_order as steinhardt_order
from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.base import Baseline, BaselineConfig
from symgnn_explain.models.baselines.descriptors import bond_order, neighbour_average, radial_densities
from symgnn_explain.models.baselines.dimenet import DimeNetConfig, consecutive_edges
from symgnn_explain.models.baselines.egat import EGATConfig
from symgnn_explain.models.baselines.egnn import EGNNConfig
from symgnn_explain.models.baselines.faenet import FAENet, FAENetConfig
from symgnn_explain.models.baselines.gcn import GCNConfig
from symgnn_explain.models.baselines.mgcn import MGCNConfig
from symgnn_explain.models.baselines.mlp import MLPConfig
from symgnn_explain.models.baselines.ridge import Ridge, RidgeConfig
from symgnn_explain.models.baselines.schnet import SchNet, SchNetConfig
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.registry import build_network, read_config
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph, neighbour_edges
from symgnn_explain.structure.neighbours import Neighbours

CONFIGS: list[BaselineConfig] = [
    MLPConfig(dim=6),
    GCNConfig(dim=6, layers=2, radial_basis=5),
    EGNNConfig(dim=6, layers=3),
    EGATConfig(dim=4, heads=(2, 1)),
    SchNetConfig(dim=6, filters=5, layers=2, radial_basis=7),
    MGCNConfig(dim=6, layers=2, radial_basis=7),
    FAENetConfig(dim=6, filters=5, layers=2, radial_basis=6),
    DimeNetConfig(dim=8, layers=1, angular_dim=4, basis_dim=4, output_dim=6, spherical=3, radial=4),
    RidgeConfig(cutoff=6.0, averages=2),
]
NEURAL = CONFIGS[:-1]


def name_of(config: BaselineConfig) -> str:
    return type(config).__name__.removesuffix("Config")


def graph_of(glass: Glass, config: BaselineConfig) -> Data:
    graph = build_graph(glass, cutoff=config.cutoff, species=config.species)
    graph.x, graph.edge_attr = graph.x.double(), graph.edge_attr.double()
    return graph


def made(config: BaselineConfig, graph: Data) -> Baseline:
    """A network in double precision whose normalisation has seen a glass, or a regression fitted to noise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_network(config).double()
        if isinstance(model, Ridge):
            model.fit([graph])
            torch.nn.init.normal_(model.coefficient)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.momentum = None  # statistics are those of all that was seen
        for _ in range(3):
            model.train()(graph.x, graph.edge_index, graph.edge_attr)
    model.label_mean.fill_(1.6)
    model.label_scale.fill_(0.3)
    return model.eval()


def predict(model: Baseline, graph: Data, **changes: Tensor) -> Tensor:
    given = {"x": graph.x, "edge_index": graph.edge_index, "edge_attr": graph.edge_attr, **changes}
    with torch.no_grad():
        predicted: Tensor = model(given["x"], given["edge_index"], given["edge_attr"])
    return predicted


@pytest.fixture(scope="module")
def slab(random_glass: Callable[..., Glass]) -> Glass:
    """A triclinic glass whose atoms all have other surroundings."""
    return random_glass(4, shear=0.2, seed=3)


@pytest.fixture(scope="module", params=CONFIGS, ids=name_of)
def case(request: pytest.FixtureRequest, slab: Glass) -> tuple[Baseline, Data]:
    graph = graph_of(slab, request.param)
    return made(request.param, graph), graph


class TestEveryBaseline:
    def test_predicts_one_barrier_an_atom(self, case: tuple[Baseline, Data]) -> None:
        model, graph = case
        predicted = predict(model, graph)
        assert predicted.shape == (len(graph.x),)
        assert predicted.std() > 1e-3
        assert torch.equal(predicted, predict(model, graph))

    def test_is_in_ev(self, case: tuple[Baseline, Data]) -> None:
        model, graph = case
        with torch.no_grad():
            standardised = model.standardised(graph.x, graph.edge_index, graph.edge_attr)
        torch.testing.assert_close(predict(model, graph), 1.6 + 0.3 * standardised)

    @settings(max_examples=5, deadline=None)
    @given(seed=st.integers(0, 2**31 - 1))
    def test_rotation_and_reflection_change_nothing(self, case: tuple[Baseline, Data], seed: int) -> None:
        model, graph = case
        for matrix in HaarO3()(2, torch.Generator().manual_seed(seed)):
            turned = predict(model, graph, edge_attr=graph.edge_attr @ matrix.T)
            torch.testing.assert_close(turned, predict(model, graph), atol=1e-7, rtol=1e-6)

    @settings(max_examples=5, deadline=None)
    @given(seed=st.integers(0, 2**31 - 1))
    def test_numbering_of_atoms_and_edges_does_not_matter(self, case: tuple[Baseline, Data], seed: int) -> None:
        model, graph = case
        generator = torch.Generator().manual_seed(seed)
        atoms = torch.randperm(len(graph.x), generator=generator)
        edges = torch.randperm(graph.edge_index.shape[1], generator=generator)
        new = torch.empty_like(atoms)
        new[atoms] = torch.arange(len(atoms))
        again = predict(
            model,
            graph,
            x=graph.x[atoms],
            edge_index=new[graph.edge_index][:, edges],
            edge_attr=graph.edge_attr[edges],
        )
        torch.testing.assert_close(again, predict(model, graph)[atoms], atol=1e-9, rtol=1e-9)

    def test_wrapping_and_translation_change_nothing(self, case: tuple[Baseline, Data], slab: Glass) -> None:
        model, graph = case
        images = np.random.default_rng(0).integers(-2, 3, (len(slab), 3))
        moved = replace(slab, positions=slab.positions + images @ slab.cell + [0.3, -8.0, 100.0])
        # Graphs are made in single precision, and edges whose length is the cut-off's to rounding come or go.
        torch.testing.assert_close(
            predict(model, graph_of(moved, model.config)), predict(model, graph), atol=1e-4, rtol=0
        )

    def test_gradients_are_finite(self, case: tuple[Baseline, Data]) -> None:
        model, graph = case
        displacement = graph.edge_attr.clone().requires_grad_()
        model.zero_grad()
        model(graph.x, graph.edge_index, displacement).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        if name_of(model.config) != "MLP":
            assert displacement.grad is not None
            assert displacement.grad.isfinite().all()
            assert displacement.grad.abs().max() > 0

    def test_gradients_are_the_differences(self, case: tuple[Baseline, Data]) -> None:
        model, graph = case
        if name_of(model.config) in ("MLP", "FAENet"):
            pytest.skip("no displacement enters an MLP, and FAENet's frames pass no gradient")
        step = torch.randn(graph.edge_attr.shape, generator=torch.Generator().manual_seed(1)).double()
        step[(graph.edge_attr == 0).all(dim=1)] = 0  # a self-loop stays one
        displacement = graph.edge_attr.clone().requires_grad_()
        [gradient] = torch.autograd.grad(model(graph.x, graph.edge_index, displacement).sum(), displacement)
        size = 1e-7
        ahead, behind = (predict(model, graph, edge_attr=graph.edge_attr + s * size * step).sum() for s in (1, -1))
        # A few edges can cross a kink within the step.
        torch.testing.assert_close((gradient * step).sum(), (ahead - behind) / (2 * size), rtol=1e-3, atol=1e-4)

    def test_an_atom_alone_is_predicted(self, case: tuple[Baseline, Data]) -> None:
        model, graph = case
        loop = torch.zeros(2, 1, dtype=torch.long)
        alone = predict(model, graph, x=graph.x[:1], edge_index=loop, edge_attr=torch.zeros(1, 3).double())
        assert alone.isfinite().all()

    def test_survives_storage(self, case: tuple[Baseline, Data], slab: Glass, tmp_path: Path) -> None:
        with torch.random.fork_rng():
            model = build_network(case[0].config)
        model.load_state_dict(case[0].state_dict())
        predictor = Predictor(model, device="cpu")
        loaded = Predictor.load(predictor.save(tmp_path / "p.safetensors"), device="cpu")
        assert type(loaded.model) is type(model)
        assert loaded.model.config == model.config
        np.testing.assert_array_equal(loaded.predict(slab), predictor.predict(slab))


class TestSettings:
    @pytest.mark.parametrize("config", CONFIGS, ids=name_of)
    def test_round_trip(self, config: BaselineConfig) -> None:
        stored = json.loads(json.dumps(config.to_dict()))
        assert read_config(name_of(config), stored) == config

    @pytest.mark.parametrize("config", CONFIGS, ids=name_of)
    @pytest.mark.parametrize(
        "change", [{"cutoff": 0.0}, {"cutoff": float("nan")}, {"species": ()}, {"species": ("Xx",)}]
    )
    def test_impossible_values(self, config: BaselineConfig, change: dict[str, Any]) -> None:
        with pytest.raises(InputError):
            replace(config, **change)

    @pytest.mark.parametrize(
        ("config", "change"),
        [
            (GCNConfig(), {"dim": 0}),
            (SchNetConfig(), {"layers": 0}),
            (EGATConfig(), {"heads": ()}),
            (EGATConfig(), {"heads": (2, 0)}),
            (EGATConfig(), {"dropout": 1.0}),
        ],
    )
    def test_impossible_sizes(self, config: BaselineConfig, change: dict[str, Any]) -> None:
        with pytest.raises(InputError):
            replace(config, **change)

    def test_an_unknown_network(self) -> None:
        with pytest.raises(InputError, match="'ResNet' is not the name of a network"):
            read_config("ResNet", {})


def test_the_mlp_sees_no_structure(slab: Glass) -> None:
    graph = graph_of(slab, NEURAL[0])
    predicted = predict(made(NEURAL[0], graph), graph)
    for species in range(2):
        assert predicted[graph.x[:, species] == 1].std() < 1e-12


def test_schnet_is_pygs(slab: Glass) -> None:
    """With the same weights, PyG's whole network gives the sum of our atoms."""
    config = SchNetConfig(dim=6, filters=5, layers=2, radial_basis=7)
    graph = graph_of(slab, config)
    ours = made(config, graph)
    assert isinstance(ours, SchNet)
    apart = graph.edge_attr.norm(dim=1) > 0
    edges = graph.edge_index[:, apart], graph.edge_attr[apart].norm(dim=1)
    theirs = PyGSchNet(
        hidden_channels=6,
        num_filters=5,
        num_interactions=2,
        num_gaussians=7,
        cutoff=config.cutoff,
        interaction_graph=lambda *_: edges,
    ).double()
    theirs.interactions.load_state_dict(ours.interactions.state_dict(), strict=False)  # PyG names filters twice
    theirs.lin1, theirs.lin2 = torch.nn.Linear(6, 4).double(), torch.nn.Linear(4, 1).double()
    theirs.lin1.load_state_dict(ours.decoder[0].state_dict())
    theirs.lin2.load_state_dict(ours.decoder[2].state_dict())
    numbers = torch.tensor(slab.numbers)
    with torch.no_grad():
        for column, number in enumerate((29, 40)):
            theirs.embedding.weight[number] = ours.embedding.weight[:, column]
        expected = theirs(numbers, torch.zeros(len(slab), 3).double())
        standardised = ours.standardised(graph.x, graph.edge_index, graph.edge_attr)
    torch.testing.assert_close(standardised.sum(), expected.squeeze())


def test_consecutive_edges_are_all_but_those_to_and_fro(random_glass: Callable[..., Glass]) -> None:
    """Also in a cell so small that an atom sees several images of another, and its own."""
    source, target, displacement = neighbour_edges(random_glass(2, seed=1), 5.2)
    apart = np.linalg.norm(displacement, axis=1) > 0
    source, target, displacement = source[apart], target[apart], displacement[apart]
    assert (source == target).any()
    expected = {
        (a, b)
        for a in range(len(source))
        for b in range(len(source))
        if target[a] == source[b] and not (source[a] == target[b] and np.allclose(displacement[a], -displacement[b]))
    }
    order = np.random.default_rng(0).permutation(len(source))
    first, second = consecutive_edges(
        torch.from_numpy(np.stack([source, target])[:, order]), torch.from_numpy(displacement[order]), 8
    )
    pairs = list(zip(order[first.numpy()].tolist(), order[second.numpy()].tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


class TestFAENet:
    def test_training_sees_one_frame_of_eight(self, slab: Glass) -> None:
        config = FAENetConfig(dim=6, filters=5, layers=2, radial_basis=6)
        graph = graph_of(slab, config)
        model = made(config, graph)
        for module in model.modules():
            module.training = module is model  # normalisation as in evaluation, so that frames alone differ
        drawn = torch.stack([predict(model, graph) for _ in range(80)])
        distinct = torch.unique(drawn.round(decimals=9), dim=0)
        assert len(distinct) == 8
        torch.testing.assert_close(distinct.mean(0), predict(model.eval(), graph), atol=1e-8, rtol=0)


class TestDescriptors:
    def test_bond_order_is_steinhardts(self, slab: Glass) -> None:
        """The implementation by spherical harmonics."""
        source, target, displacement = neighbour_edges(slab, 4.5)
        apart = np.linalg.norm(displacement, axis=1) > 0
        source, target, displacement = source[apart], target[apart], displacement[apart]
        expected = steinhardt_order(
            Neighbours(centre=target, neighbour=source, displacement=displacement), len(slab), degrees=range(1, 7)
        )
        found = bond_order(
            torch.from_numpy(np.stack([source, target])),
            torch.from_numpy(displacement),
            torch.ones(len(source), dtype=torch.float64),
            len(slab),
            6,
        )
        for degree in range(1, 7):
            np.testing.assert_allclose(found[:, degree - 1], expected.q[degree], atol=2e-6)

    def test_radial_densities_count_every_neighbour_once_where_the_grid_reaches(self, slab: Glass) -> None:
        graph = graph_of(slab, RidgeConfig(cutoff=5.0))
        distance = graph.edge_attr.norm(dim=1)
        apart = distance > 0
        grid = torch.arange(0.5, 6.0, 0.25).double()
        found = radial_densities(graph.x, graph.edge_index[:, apart], distance[apart], grid)
        found = found.reshape(len(slab), 2, len(grid))
        source, target = graph.edge_index[:, apart].numpy()
        for atom in range(0, len(slab), 7):
            for species, number in enumerate((29, 40)):
                mine = (target == atom) & (slab.numbers[source] == number)
                assert found[atom, species].sum().item() == pytest.approx(mine.sum())
                moment = (found[atom, species] * grid).sum().item()  # linear shares keep the sum of distances
                assert moment == pytest.approx(distance[apart][torch.from_numpy(mine)].sum().item())

    def test_averages_are_weighted_means(self, slab: Glass) -> None:
        graph = graph_of(slab, RidgeConfig(cutoff=4.0))
        values = torch.randn(len(slab), 3).double()
        weight = torch.rand(graph.edge_index.shape[1]).double()
        found = neighbour_average(values, graph.edge_index, weight)
        for atom in range(0, len(slab), 5):
            mine = graph.edge_index[1] == atom
            expected = np.average(values[graph.edge_index[0, mine]], axis=0, weights=weight[mine])
            np.testing.assert_allclose(found[atom], expected)


class TestRidge:
    CONFIG = RidgeConfig(cutoff=6.0, averages=1)

    @pytest.fixture
    def graphs(self, random_glass: Callable[..., Glass]) -> list[Data]:
        return [graph_of(random_glass(6, seed=seed), self.CONFIG) for seed in range(3)]

    def test_a_linear_law_is_found(self, graphs: list[Data]) -> None:
        model = Ridge(self.CONFIG)
        law = torch.randn(len(model.coefficient), generator=torch.Generator().manual_seed(0)).double()
        fields = [model.features(graph.x, graph.edge_index, graph.edge_attr) @ law for graph in graphs]
        spread = torch.cat(fields).std()
        for graph, field in zip(graphs, fields, strict=True):
            graph.y = field / spread + 2
        model.fit(graphs[:2])
        assert torch.corrcoef(torch.stack([predict(model, graphs[2]), graphs[2].y]))[0, 1] > 0.9
        torch.testing.assert_close(predict(model, graphs[0]).mean(), graphs[0].y.mean(), atol=0.1, rtol=0)

    def test_noise_is_not_learned(self, graphs: list[Data]) -> None:
        for seed, graph in enumerate(graphs):
            graph.y = torch.randn(len(graph.x), generator=torch.Generator().manual_seed(seed)).double()
        model = Ridge(self.CONFIG)
        model.fit(graphs[:2])
        assert predict(model, graphs[2]).std() < 0.5

    def test_the_solution_satisfies_the_normal_equations(self, graphs: list[Data]) -> None:
        """With the penalty that was chosen, which is the same in each."""
        for graph in graphs:
            graph.y = graph.x[:, 0] + torch.rand(len(graph.x), generator=torch.Generator().manual_seed(1)).double()
        model = Ridge(self.CONFIG)
        model.fit(graphs)
        features = torch.cat([model.features(graph.x, graph.edge_index, graph.edge_attr) for graph in graphs])
        features = (features - model.feature_mean) / model.feature_scale
        target = torch.cat([graph.y for graph in graphs])
        residual = (target - target.mean()) / target.std() - features @ model.coefficient.detach()
        slope = features.T @ residual  # penalty times coefficient
        large = model.coefficient.abs() > 1e-3
        penalties = (slope / model.coefficient.detach())[large]
        torch.testing.assert_close(penalties, penalties.mean().expand(len(penalties)), rtol=1e-4, atol=1e-6)
        assert 1e-3 * 0.99 < penalties.mean() < 1e7 * 1.01


def test_the_weights_of_faenets_edges_are_its_linear_map_of_all_an_edge_has() -> None:
    """Against the map of vector, length and both ends beside each other, as published; it is computed in parts."""
    torch.manual_seed(0)
    layer = FAENet(FAENetConfig(species=("Cu", "Zr"), dim=5, filters=4)).layers[0].eval()
    node, vector, radial = torch.randn(6, 5), torch.randn(9, 4), torch.randn(9, 4)
    edge_index = torch.randint(6, (2, 9))
    source, target = edge_index
    weight = layer.geometry(torch.cat([vector, radial, node[target], node[source]], dim=1))
    received = torch.zeros(6, 4).index_add(0, target, layer.down(node)[source] * weight)
    found = layer(node, edge_index, vector, layer.weigh_length(radial))
    torch.testing.assert_close(found, layer.up(layer.norm(received)))
