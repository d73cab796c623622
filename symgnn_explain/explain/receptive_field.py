"""The part of a graph that one atom's prediction depends on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ReceptiveField:
    """Atoms and edges that reach one atom within as many hops as the network has layers.

    Atoms are numbered locally by hop, and edges are ordered by the hop of the atom that they lead into. So what layer
    ``l`` of ``L`` needs is always a *prefix*: the first ``n_edges[L - 1 - l]`` edges, into the first
    ``n_nodes[L - 1 - l]`` atoms.

    Parameters
    ----------
    nodes
        Atoms of the whole graph, by local number, shape (n,); the explained atom comes first.
    edges
        Edges of the whole graph, by local number, shape (e,).
    source, target
        Local numbers of the atoms that send and receive along each edge, shape (e,).
    hop
        Hop of the receiving atom of each edge, shape (e,).
    n_nodes
        ``n_nodes[h]`` atoms are at most ``h`` hops away, h = 0 … L.
    n_edges
        ``n_edges[h]`` edges lead into atoms at most ``h`` hops away, h = 0 … L - 1.
    """

    nodes: Tensor
    edges: Tensor
    source: Tensor
    target: Tensor
    hop: Tensor
    n_nodes: tuple[int, ...]
    n_edges: tuple[int, ...]

    @classmethod
    def of(cls, atom: int, edge_index: Tensor, n_atoms: int, n_layers: int) -> ReceptiveField:
        """Find the receptive field of ``atom`` under ``n_layers`` rounds of message passing along ``edge_index``."""
        source, target = edge_index
        hops = torch.full((n_atoms,), -1, dtype=torch.long, device=edge_index.device)
        hops[atom] = 0
        for depth in range(n_layers):
            senders = source[hops[target] == depth]
            hops[senders[hops[senders] < 0]] = depth + 1
        nodes = _by_hop(hops, torch.nonzero(hops >= 0).squeeze(1))
        edge_hops = hops[target]
        edges = _by_hop(edge_hops, torch.nonzero((edge_hops >= 0) & (edge_hops < n_layers)).squeeze(1))
        local = torch.full_like(hops, -1)
        local[nodes] = torch.arange(len(nodes), device=nodes.device)
        hop = edge_hops[edges]
        return cls(
            nodes=nodes,
            edges=edges,
            source=local[source[edges]],
            target=local[target[edges]],
            hop=hop,
            n_nodes=_prefixes(hops[nodes], n_layers + 1),
            n_edges=_prefixes(hop, n_layers),
        )


def _by_hop(hops: Tensor, members: Tensor) -> Tensor:
    return members[torch.argsort(hops[members], stable=True)]


def _prefixes(sorted_hops: Tensor, count: int) -> tuple[int, ...]:
    ends = torch.searchsorted(sorted_hops, torch.arange(count, device=sorted_hops.device), right=True)
    return tuple(ends.tolist())
