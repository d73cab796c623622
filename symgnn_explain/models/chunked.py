"""Parts of a structure that know all that predictions of some of its atoms depend on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data


def receptive_field(graph: Data, core: Tensor, depth: int) -> tuple[Data, Tensor]:
    """Return the part of a graph that ``depth`` rounds of message passing towards the atoms ``core`` read.

    It keeps the edges and pairs into atoms fewer than ``depth`` hops away.

    Returns
    -------
    part, atoms
        The part, and which atoms of the graph are in it, shape (n,), in the order that they had.
    """
    source, target = graph.edge_index
    inner = torch.zeros(graph.num_nodes, dtype=torch.bool, device=source.device)
    inner[core] = True
    for _ in range(depth - 1):
        inner[source[inner[target]]] = True
    lists = [name.removesuffix("_index") for name in ("edge_index", "pair_index") if name in graph]
    kept = {name: inner[graph[f"{name}_index"][1]] for name in lists}
    reached = inner.clone()
    for name in lists:
        reached[graph[f"{name}_index"][0, kept[name]]] = True
    number = reached.cumsum(0) - 1
    part = Data(x=graph.x[reached])
    for name in lists:
        part[f"{name}_index"] = number[graph[f"{name}_index"][:, kept[name]]]
        part[f"{name}_attr"] = graph[f"{name}_attr"][kept[name]]
    return part, torch.nonzero(reached).squeeze(1)
