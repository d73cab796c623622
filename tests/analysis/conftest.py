from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.glass import Glass
from symgnn_explain.graph import neighbour_edges


def receptive_field(
    glass: Glass,
    atom: int = 0,
    *,
    cutoff: float = 5.0,
    layers: int = 2,
    score: Callable[[AtomExplanation], np.ndarray] | None = None,
    signed: bool = False,
    seed: int = 0,
) -> AtomExplanation:
    """An explanation of an atom with random scores, or with scores that are a function of it."""
    source, target, displacement = neighbour_edges(glass, cutoff)
    hop = np.full(len(glass), layers)
    hop[atom] = 0
    for level in range(layers - 1):
        reached = source[(hop[target] == level) & (hop[source] == layers)]
        hop[reached] = level + 1
    kept = hop[target] < layers
    rng = np.random.default_rng(seed)
    content = {
        "atom": atom,
        "method": "integrated_gradients" if signed else "gnnexplainer",
        "source": source[kept],
        "target": target[kept],
        "displacement": displacement[kept],
        "hop": hop[target][kept],
        "signed": signed,
        "prediction": 1.4,
        "prediction_range": (1.0, 1.9),
        "masked_prediction": None if signed else 1.38,
        "glass_name": glass.name,
        "glass_sha256": glass.content_hash,
    }
    random = rng.uniform(-0.1 if signed else 0.0, 1.0, int(kept.sum()))
    explanation = AtomExplanation(score=random, **content)
    return explanation if score is None else AtomExplanation(score=score(explanation), **content)


@pytest.fixture(scope="session")
def explain_by_hand() -> Callable[..., AtomExplanation]:
    """Builder of explanations with known scores, see :func:`receptive_field`."""
    return receptive_field
