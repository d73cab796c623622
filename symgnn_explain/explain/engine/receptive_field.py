"""The part of a graph that one atom's prediction depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ReceptiveField:
    """Atoms and edges that reach one atom within as many hops as the network has layers.

    Atoms are numbered locally by hop, and edges are ordered by the local number of the atom that they lead into. So
    what layer ``l`` of ``L`` needs is always a *prefix*: the first ``n_edges[L - 1 - l]`` edges, into the first
    ``n_nodes[L - 1 - l]`` atoms. That holds for the fields of several atoms side by side too (:meth:`beside`), of which
    the explained atoms then come first.

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
    owner
        Which of several explained atoms each edge belongs to, shape (e,); 0 where there is one.
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
    owner: Tensor
    n_nodes: tuple[int, ...]
    n_edges: tuple[int, ...]

    @classmethod
    def of(cls, atom: int, edge_index: Tensor, n_atoms: int, n_layers: int) -> ReceptiveField:
        """Find the receptive field of ``atom`` under ``n_layers`` rounds of message passing along ``edge_index``."""
        return cls._within(_hops(atom, edge_index, n_atoms, n_layers), edge_index, n_layers)

    @classmethod
    def with_surroundings(
        cls, atom: int, edge_index: Tensor, pair_index: Tensor, n_atoms: int, n_layers: int
    ) -> ReceptiveField:
        """Take all pairs into the atoms that reach ``atom`` by ``n_layers`` messages; its edges are pairs then.

        Atoms of which only descriptors know are one hop farther than all others.
        """
        hops = _hops(atom, edge_index, n_atoms, n_layers)
        senders = pair_index[0, hops[pair_index[1]] >= 0]
        hops[senders[hops[senders] < 0]] = n_layers + 1
        return cls._within(hops, pair_index, n_layers + 1)

    @classmethod
    def everything(cls, atom: int, edge_index: Tensor, n_atoms: int) -> ReceptiveField:
        """Take the whole graph as a field; what cannot reach ``atom`` is one hop farther than all that can."""
        source, target = edge_index
        hops = torch.full((n_atoms,), -1, dtype=torch.long, device=edge_index.device)
        hops[atom] = depth = 0
        while len(senders := source[hops[target] == depth]) and bool((hops[senders] < 0).any()):
            depth += 1
            hops[senders[hops[senders] < 0]] = depth
        hops[hops < 0] = depth + 1
        return cls._within(hops, edge_index, depth + 2)

    @classmethod
    def _within(cls, hops: Tensor, edge_index: Tensor, n_layers: int) -> ReceptiveField:
        """Order atoms and edges by the hops of each atom (N,), -1 where it is none of the field."""
        source, target = edge_index
        nodes = torch.nonzero(hops >= 0).squeeze(1)
        nodes = nodes[torch.argsort(hops[nodes], stable=True)]
        local = torch.full_like(hops, -1)
        local[nodes] = torch.arange(len(nodes), device=nodes.device)
        edge_hops = hops[target]
        edges = torch.nonzero((edge_hops >= 0) & (edge_hops < n_layers)).squeeze(1)
        edges = edges[torch.argsort(local[target[edges]], stable=True)]
        hop = edge_hops[edges]
        return cls(
            nodes=nodes,
            edges=edges,
            source=local[source[edges]],
            target=local[target[edges]],
            hop=hop,
            owner=torch.zeros_like(edges),
            n_nodes=_prefixes(hops[nodes], n_layers + 1),
            n_edges=_prefixes(hop, n_layers),
        )

    @staticmethod
    def beside(fields: Sequence[ReceptiveField]) -> ReceptiveField:
        """Put the fields of several atoms, or one several times, side by side; none sees another."""
        if len(fields) == 1:
            return fields[0]
        node_hop = torch.cat([field.node_hop for field in fields])
        order = torch.argsort(node_hop, stable=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        offsets = torch.tensor([0, *(len(field.nodes) for field in fields[:-1])]).cumsum(0).tolist()
        numbered = list(zip(fields, offsets, strict=True))
        target = place[torch.cat([field.target + offset for field, offset in numbered])]
        sorting = torch.argsort(target, stable=True)
        n_layers = len(fields[0].n_edges)
        hop = torch.cat([field.hop for field in fields])[sorting]
        return ReceptiveField(
            nodes=torch.cat([field.nodes for field in fields])[order],
            edges=torch.cat([field.edges for field in fields])[sorting],
            source=place[torch.cat([field.source + offset for field, offset in numbered])][sorting],
            target=target[sorting],
            hop=hop,
            owner=torch.cat([torch.full_like(field.edges, owner) for owner, field in enumerate(fields)])[sorting],
            n_nodes=_prefixes(node_hop[order], n_layers + 1),
            n_edges=_prefixes(hop, n_layers),
        )

    @property
    def n_atoms(self) -> int:
        """Number of explained atoms."""
        return self.n_nodes[0]

    @property
    def node_hop(self) -> Tensor:
        """Hops from each atom to the explained one, shape (n,)."""
        counts = torch.tensor([0, *self.n_nodes], device=self.nodes.device).diff()
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)


def _hops(atom: int, edge_index: Tensor, n_atoms: int, n_layers: int) -> Tensor:
    """Hops from each atom to one, shape (N,); -1 where there are more than ``n_layers``."""
    source, target = edge_index
    hops = torch.full((n_atoms,), -1, dtype=torch.long, device=edge_index.device)
    hops[atom] = 0
    for depth in range(n_layers):
        senders = source[hops[target] == depth]
        hops[senders[hops[senders] < 0]] = depth + 1
    return hops


def _prefixes(sorted_hops: Tensor, count: int) -> tuple[int, ...]:
    ends = torch.searchsorted(sorted_hops, torch.arange(count, device=sorted_hops.device), right=True)
    return tuple(ends.tolist())
