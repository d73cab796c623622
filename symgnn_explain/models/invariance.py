"""How far a predictor is from exact invariance under rotations and reflections."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.models.ensemble import predict_graph
from symgnn_explain.models.predictor import Predictor, evaluation_mode
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.structure.glass import Glass


def transformed(graph: Data, matrix: Tensor) -> Data:
    """Return a predictor's graph as it would be of a rotated or reflected glass; ``matrix`` is orthogonal, (3, 3)."""
    graph = copy.copy(graph)
    for name in ("edge_attr", "pair_attr"):
        if name in graph:
            graph[name] = graph[name] @ matrix.T
    return graph


@torch.no_grad()
def symmetrization_error(predictor: Predictor, glass: Glass, *, n_transformations: int = 8, seed: int = 1) -> float:
    """Root-mean-square change of the predictions when the glass is rotated or reflected at random.

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
        original = predict_graph(predictor.model, graph)
        changes = [predict_graph(predictor.model, transformed(graph, matrix)) - original for matrix in matrices]
    return float(torch.stack(changes).double().square().mean().sqrt())
