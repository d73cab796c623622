from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from symgnn_explain.models.ensemble import SymGNNLike
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph


@cache
def random_glass(n_atoms: int = 60, *, seed: int = 0, edge: float = 9.9) -> Glass:
    """Atoms on a jittered grid: no overlaps, about the density of a metallic glass."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n_atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:n_atoms]
    positions = (grid + rng.uniform(-0.2, 0.2, (n_atoms, 3))) * edge / side
    return Glass(positions, rng.choice([29, 40], n_atoms), np.eye(3) * edge, name=f"random{seed}")


def random_model(
    seed: int = 0,
    *,
    heads: tuple[int, ...] = (2, 2, 1),
    dim: int = 6,
    radial_basis: int = 4,
    environment: tuple[int, int, int] = (0, 0, 0),
    smooth: bool = False,
    sink: bool = False,
) -> SymGNN:
    """An untrained network whose normalisation layers are not at their neutral values; a copy, anyone's to change.

    A smooth one is bounded too: its descriptors, and its predictions, which often leave the range of the labels.
    """
    model, random_state = _made(seed, heads, dim, radial_basis, environment, smooth, sink)
    torch.set_rng_state(random_state)  # what is drawn next is the same, made or copied
    return copy.deepcopy(model)


@cache
def _made(
    seed: int,
    heads: tuple[int, ...],
    dim: int,
    radial_basis: int,
    environment: tuple[int, int, int],
    smooth: bool,
    sink: bool,
) -> tuple[SymGNN, torch.Tensor]:
    torch.manual_seed(seed)
    model = SymGNN(
        SymGNNConfig(
            cutoff=3.6,
            heads=heads,
            dim=dim,
            distribution="haar",
            inference_samples=2,
            radial_basis=radial_basis,
            environment_radial=environment[0],
            environment_degree=environment[1],
            environment_far=environment[2],
            environment_width=5,
            environment_limit=1.0 if smooth else 0.0,
            smooth=smooth,
            bounded=smooth,
            attention_sink=sink,
            decoder_layers=1,
        )
    )
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0.0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    graph = build_graph(random_glass(seed=seed), cutoff=3.6, species=("Cu", "Zr"), reach=model.config.reach)
    model.fit_inputs([graph])
    model.label_mean.fill_(1.6)
    model.label_scale.fill_(0.3)
    if smooth:
        model.label_range.copy_(torch.tensor([1.5, 1.65]))
    return model.eval(), torch.get_rng_state()


def double_graph(model: SymGNNLike, glass: Glass) -> Data:
    """The input of a network in double precision."""
    config = model.config
    graph = build_graph(glass, cutoff=config.cutoff, species=config.species, reach=config.reach)
    for name in ("x", "edge_attr", "pair_attr"):
        if name in graph:
            graph[name] = graph[name].double()
    return graph


@pytest.fixture
def glass() -> Glass:
    return random_glass()


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(random_model(), device="cpu")
