"""Training in several processes, by gloo on the CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from symgnn_explain.models.baselines.mlp import MLP, MLPConfig
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph
from symgnn_explain.training.settings import TrainingSettings
from symgnn_explain.training.train import LEARNING_CURVE_FILE, WEIGHTS_FILE, train

CONFIG = MLPConfig(dim=4)
SETTINGS = TrainingSettings(
    epochs=4, schedule="constant", validate_every=2, weight_decay=0.0, gradient_clip=1e6, learning_rate=1e-2, seed=3
)


def by_hand(glasses: list[Glass]) -> MLP:
    """Full-batch descent with the mean of the glasses' gradients."""
    with torch.random.fork_rng():
        torch.manual_seed(SETTINGS.seed)
        network = MLP(CONFIG)
    graphs = [build_graph(glass, cutoff=CONFIG.cutoff, species=CONFIG.species) for glass in glasses]
    barriers = torch.cat([graph.y for graph in graphs])
    network.label_mean.fill_(barriers.mean())
    network.label_scale.fill_(barriers.std())
    optimizer = torch.optim.Adam(network.parameters(), lr=SETTINGS.learning_rate, amsgrad=True)
    for _ in range(SETTINGS.epochs):
        optimizer.zero_grad()
        for graph in graphs:
            residual = (network(graph.x, graph.edge_index, graph.edge_attr) - graph.y) / network.label_scale
            (residual.square().mean() / len(graphs)).backward()
        optimizer.step()
    return network


@pytest.mark.slow
def test_two_processes_take_the_mean_of_their_gradients(tmp_path: Path, random_glass: Callable[..., Glass]) -> None:
    training = []
    for seed in range(2):
        glass = random_glass(3, seed=seed)
        training.append(replace(glass, barriers=np.where(glass.numbers == 29, 1.2, 2.0) + 0.1 * seed))
    validation = [random_glass(4, seed=9)]
    predictor = train(
        training, validation, config=CONFIG, settings=SETTINGS, out=tmp_path, device="cpu", devices=2, progress=False
    )
    expected = by_hand(training).state_dict()
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    for name, tensor in expected.items():
        torch.testing.assert_close(last["state_dict"][f"model.{name}"], tensor, rtol=1e-4, atol=1e-6)
    assert last["global_step"] == SETTINGS.epochs  # each process took one of the two glasses an epoch
    history = json.loads((tmp_path / "predictor.json").read_text())["history"]
    assert [entry["epoch"] for entry in history] == [2, 4]
    assert len(pd.read_csv(tmp_path / LEARNING_CURVE_FILE)) == 2
    loaded = Predictor.load(tmp_path / WEIGHTS_FILE, device="cpu")
    np.testing.assert_array_equal(loaded.predict(validation[0]), predictor.predict(validation[0]))
