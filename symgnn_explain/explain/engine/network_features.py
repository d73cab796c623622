"""What a network computes on the way to its predictions: attention, and features of atoms and edges."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.models.ensemble import SymGNNLike, describe_graph, members_of
from symgnn_explain.models.symgnn import SymGNN


@dataclass(frozen=True, eq=False)
class NetworkFeatures:
    """Intermediate results for a whole glass, with nothing masked.

    Parameters
    ----------
    node
        Features of the atoms from which predictions are decoded, shape (N, dim).
    edge
        Features of the edges in the last layer, shape (E, dim).
    attention
        Attention of each layer, first layer first, shape (E, heads) each; sums to one over the edges into an atom.
    """

    node: Tensor
    edge: Tensor
    attention: tuple[Tensor, ...]


@torch.no_grad()
def network_features(model: SymGNNLike, graph: Data) -> NetworkFeatures:
    """Run ``model`` over ``graph`` and keep what it computes; the model itself is never touched.

    Features and heads of an ensemble are those of its members, one after another.
    """
    described = describe_graph(model, graph)
    each = [_member_features(member, graph, described) for member in members_of(model)]
    return NetworkFeatures(
        torch.cat([member.node for member in each], dim=1),
        torch.cat([member.edge for member in each], dim=1),
        tuple(torch.cat(layer, dim=1) for layer in zip(*(member.attention for member in each), strict=True)),
    )


def _member_features(model: SymGNN, graph: Data, described: Tensor) -> NetworkFeatures:
    model = copy.deepcopy(model).eval()
    attention: list[Tensor] = []
    node, edge = model.encode_nodes(described), model.encode_edges(graph.edge_attr)
    for layer in model.attention_layers:
        layer.register_message_forward_pre_hook(partial(_keep_attention, attention))
        node, edge = layer(node, graph.edge_index, edge, model.edge_fading(graph.edge_attr))
    return NetworkFeatures(node, edge, tuple(attention))


def _keep_attention(kept: list[Tensor], _layer: Any, inputs: tuple[dict[str, Any]]) -> None:
    kept.append(inputs[0]["attention"])
