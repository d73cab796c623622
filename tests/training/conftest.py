"""Toy glasses whose barriers can be learned, and a run on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges
from symgnn_explain.training.settings import TrainingSettings
from symgnn_explain.training.train import train

CONFIG = SymGNNConfig(dim=8, heads=(2, 1), inference_samples=2, decoder_layers=1, radial_basis=8, dropout=0.1)
SETTINGS = TrainingSettings(epochs=4, validate_every=2, seed=5)


def disordered(seed: int, *, n_atoms: int = 60) -> Glass:
    """A small random glass whose barrier is a smooth function of an atom's first shell: something to learn."""
    rng = np.random.default_rng(seed)
    edge = (n_atoms / 0.063) ** (1 / 3)
    positions: list[np.ndarray] = []
    while len(positions) < n_atoms:
        candidate = rng.uniform(0, edge, 3)
        apart = [np.linalg.norm((candidate - other + edge / 2) % edge - edge / 2) for other in positions]
        if min(apart, default=9.0) > 1.6:
            positions.append(candidate)
    glass = Glass(
        positions=np.array(positions),
        numbers=rng.choice([29, 40], n_atoms, p=[0.64, 0.36]),
        cell=np.eye(3) * edge,
        name=f"toy{seed}",
    )
    source, target, displacement = neighbour_edges(glass, 4.0)
    weight = np.where(glass.numbers[source] == 40, 1.0, 0.3) * np.exp(-np.linalg.norm(displacement, axis=1) / 2)
    field = np.bincount(target, weight, len(glass))
    return replace(glass, barriers=1.6 + 0.3 * (field - field.mean()) / field.std())


TRAINING, VALIDATION = [disordered(seed) for seed in (1, 2, 3)], [disordered(4)]


def run(out: Path, **changes: Any) -> Predictor:
    given: dict[str, Any] = {"config": CONFIG, "settings": SETTINGS, "device": "cpu", "progress": False} | changes
    return train(given.pop("training", TRAINING), given.pop("validation", VALIDATION), out=out, **given)
