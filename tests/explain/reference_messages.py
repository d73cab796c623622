"""Reference messages by the plain network: what the block-wise sweep, which prepares them, is compared with."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.models.egat import EGATLayer
from symgnn_explain.models.ensemble import SymGNNLike, describe_graph, members_of, with_description
from symgnn_explain.models.messages import LEAST_ATTENTION
from symgnn_explain.models.symgnn import SymGNN


@torch.no_grad()
def predict_with_reference(model: SymGNN, graph: Data) -> tuple[Tensor, list[Tensor]]:
    """Predict a glass, and keep what its atoms receive in each layer on average.

    Attention sums to one over the edges into an atom, or they are divided by what it sums to on average. So where every
    edge carries the reference message instead of its own, an atom receives what atoms of this glass receive on average.

    Returns
    -------
    predictions, reference
        Predictions (N,), and the mean message of each layer, shape (heads, dim).
    """
    model = copy.deepcopy(model).eval()  # hooks go on a copy: the caller's network is never touched
    received: list[Tensor] = []
    for layer in model.attention_layers:
        layer.register_propagate_forward_hook(partial(_keep_mean, received))
    return model(graph.x, graph.edge_index, graph.edge_attr, describe_graph(model, graph)), received


@torch.no_grad()
def predict_with_references(model: SymGNNLike, graph: Data) -> tuple[Tensor, list[list[Tensor]]]:
    """Predict with a network or an ensemble, and keep the reference messages of each member."""
    graph = with_description(model, graph)
    each = [predict_with_reference(member, graph) for member in members_of(model)]
    return torch.stack([predictions for predictions, _ in each]).mean(0), [received for _, received in each]


def _keep_mean(kept: list[Tensor], layer: EGATLayer, inputs: Any, aggregated: Tensor) -> None:
    received = aggregated.mean(0)
    if layer.has_sink:
        attended = inputs[2]["attention"].sum(0)[:, None] / len(aggregated)
        received = received / attended.clamp_min(LEAST_ATTENTION)
    kept.append(received)
