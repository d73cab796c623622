from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture
def explanation(glass: Glass) -> AtomExplanation:
    """Atom 0, in a corner of the cell, with its first-layer edges and those of its neighbours; random scores."""
    return one_atom(glass)


@pytest.fixture
def signed_explanation(glass: Glass) -> AtomExplanation:
    """The same with contributions of both signs."""
    return one_atom(glass, signed=True)


def one_atom(glass: Glass, *, signed: bool = False) -> AtomExplanation:
    source, target, displacement = neighbour_edges(glass, 4.0)
    hop = np.full(len(glass), 2)
    hop[source[target == 0]] = 1
    hop[0] = 0
    kept = hop[target] < 2
    rng = np.random.default_rng(0)
    return AtomExplanation(
        atom=0,
        method="integrated_gradients" if signed else "gnnexplainer",
        source=source[kept],
        target=target[kept],
        displacement=displacement[kept],
        hop=hop[target][kept],
        score=rng.normal(0, 0.05, kept.sum()) if signed else rng.random(kept.sum()),
        signed=signed,
        prediction=1.234,
        prediction_range=(1.0, 2.0),
        masked_prediction=None if signed else 2.5,
        settings={"seed": 0},
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
    )
