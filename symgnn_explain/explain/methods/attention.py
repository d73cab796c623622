"""Attention weights as an explanation: the naive reference, which looks at what the network does without masking it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.runs.watch import Watch

Aggregation = Literal["rollout", "mean"]
"""How the attention of several layers becomes one score an edge; heads are averaged in both.

- ``rollout``: the share of attention that reaches the explained atom through the edge, along all paths, where half of
  what an atom has is its own residual (Abnar and Zuidema, ACL 2020, equation 1), averaged over layers. The scores of
  all edges sum to one half, and those of a group of edges to the share that passes through the group.
- ``mean``: the mean over layers, wherever the edge is in the network (PyG's ``AttentionExplainer``); a layer in which
  the explained atom does not depend on the edge counts as zero. A group of edges has the mean of its edges.
"""

RESIDUAL = 0.5
"""Share of an atom's features that a layer leaves in place, as in the published rollout."""


@dataclass(frozen=True)
class AttentionSettings:
    """Attention weights, aggregated over heads and layers.

    Parameters
    ----------
    aggregation
        ``rollout`` along the paths to the explained atom, or the ``mean`` over layers.
    """

    aggregation: Aggregation = "rollout"

    def __post_init__(self) -> None:
        if self.aggregation not in get_args(Aggregation):
            raise InputError(f"aggregation={self.aggregation!r} is unknown: choose rollout or mean.")


def attention_weights(prediction: MaskedPrediction, settings: AttentionSettings, watch: Watch) -> UnitScores:
    """Score units by the attention that their edges get."""
    layers = _attention_in_field(prediction)
    rollout = settings.aggregation == "rollout"
    per_edge = _flow(prediction, layers) if rollout else layers
    score = per_edge.mean(0).double().cpu().numpy()
    watch.advance(1.0)
    return UnitScores(score=prediction.units.gather(score, mean=not rollout), signed=False)


def _attention_in_field(prediction: MaskedPrediction) -> Tensor:
    """Attention averaged over heads, shape (layers, E); zero where a layer's edge does not reach the explained atom.

    Pairs that pass no message get none.
    """
    field = prediction.forward.field
    edge = prediction.edge_number
    passes = (edge >= 0).double()
    attention = [layer[edge].double().mean(1) * passes for layer in prediction.prepared.attention]
    left = torch.arange(len(attention), 0, -1, device=field.edges.device)
    return torch.stack(attention) * (field.hop < left[:, None])


def _flow(prediction: MaskedPrediction, attention: Tensor) -> Tensor:
    """Attention that flows into the explained atom through each edge in each layer, shape (layers, E)."""
    field = prediction.forward.field
    at_atom = attention.new_zeros(len(field.nodes))
    at_atom[0] = 1.0
    flow = torch.empty_like(attention)
    for layer in reversed(range(len(attention))):
        flow[layer] = (1 - RESIDUAL) * at_atom[field.target] * attention[layer]
        at_atom = (RESIDUAL * at_atom).index_add(0, field.source, flow[layer])
    return flow
