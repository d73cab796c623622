"""What a network computes on the way to its predictions: attention, and features of atoms and edges."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.models.symgnn import SymGNN, describe_graph


@dataclass(frozen=True, eq=False)
class NetworkFeatures:
    """Intermediate results for a whole glass, with nothing masked.

    Parameters
    ----------
    node
        Features of the atoms from which the barriers are decoded, shape (N, dim).
    edge
        Features of the edges in the last layer, shape (E, dim).
    attention
        Attention of each layer, first layer first, shape (E, heads) each; sums to one over the edges into an atom.
    """

    node: Tensor
    edge: Tensor
    attention: tuple[Tensor, ...]


@torch.no_grad()
def network_features(model: SymGNN, graph: Data) -> NetworkFeatures:
    """Run ``model`` over ``graph`` and keep what it computes; the model itself is never touched."""
    model = copy.deepcopy(model).eval()
    attention: list[Tensor] = []
    node, edge = model.encode_nodes(describe_graph(model, graph)), model.encode_edges(graph.edge_attr)
    for layer in model.attention_layers:
        layer.register_message_forward_pre_hook(partial(_keep_attention, attention))
        node, edge = layer(node, graph.edge_index, edge)
    return NetworkFeatures(node, edge, tuple(attention))


def _keep_attention(kept: list[Tensor], _layer: Any, inputs: tuple[dict[str, Any]]) -> None:
    kept.append(inputs[0]["attention"])
