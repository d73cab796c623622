"""How far a predictor is from exact invariance under rotations and reflections."""

from __future__ import annotations

import torch

from symgnn_explain.glass import Glass
from symgnn_explain.models.predictor import Predictor, evaluation_mode
from symgnn_explain.models.symmetrization import HaarO3


@torch.no_grad()
def symmetrization_error(predictor: Predictor, glass: Glass, *, n_transformations: int = 8, seed: int = 1) -> float:
    """Root-mean-square change of the predictions (eV) when the glass is rotated or reflected at random.

    An average over finitely many transformations is invariant only in expectation; this is what remains.

    Parameters
    ----------
    predictor, glass
        What predicts, and what is predicted.
    n_transformations, seed
        How many Haar-random rotations and reflections are tried, in equal parts.
    """
    graph = predictor.graph(glass)
    matrices = HaarO3()(n_transformations, torch.Generator().manual_seed(seed)).to(graph.edge_attr)
    with evaluation_mode(predictor.model):
        original = predictor.model(graph.x, graph.edge_index, graph.edge_attr)
        changes = [
            predictor.model(graph.x, graph.edge_index, graph.edge_attr @ matrix.T) - original for matrix in matrices
        ]
    return float(torch.stack(changes).double().square().mean().sqrt())
