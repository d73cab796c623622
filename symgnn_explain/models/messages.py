"""Messages between atoms with nothing masked: for some atoms at a time, all members of an ensemble side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symgnn_explain.models.egat import NEGATIVE_SLOPE, EGATLayer, leaky
from symgnn_explain.models.ensemble import SymGNNLike, members_of
from symgnn_explain.models.folded import FoldedDecoder, FoldedEdgeEncoder, FoldedLayer
from symgnn_explain.models.symgnn import SymGNN
from symgnn_explain.structure.bins import Edges
from symgnn_explain.structure.glass import FloatArray, IntArray

BATCH_ATOMS = 150
"""Atoms that one thread works on at once: what their edges know stays in the cache of one core."""

BATCH_ON_DEVICE = 8_000
"""The same on a GPU."""

LEAST_ATTENTION = 1e-12
"""What attention is divided by at least."""

WorkThrough = Callable[[Callable[[slice], None], Sequence[slice]], Iterator[slice]]
"""Calls a function for each batch of atoms, perhaps several at once, and yields them as they are done."""


def batches_of(count: int, device: torch.device) -> list[slice]:
    """Cut atoms 0 … ``count`` - 1 into batches."""
    atoms = BATCH_ATOMS if device.type == "cpu" else BATCH_ON_DEVICE
    return [slice(start, min(start + atoms, count)) for start in range(0, count, atoms)]


@dataclass(frozen=True)
class Field:
    """Some atoms and all that their predictions depend on, numbered anew: those first, then what is a hop away, ….

    Parameters
    ----------
    atoms
        Their numbers in the structure, shape (n,); None for the whole of it.
    edges
        Into all of them but the outermost.
    n_nodes
        ``n_nodes[h]`` atoms are at most h hops away.
    """

    atoms: IntArray | None
    edges: Edges
    n_nodes: Sequence[int]

    @classmethod
    def of(cls, edges: Edges, core: slice | IntArray, depth: int) -> Field:
        """Follow the edges of a structure backwards from the atoms ``core`` for ``depth`` hops."""
        n_atoms = len(edges.first) - 1
        atoms = np.arange(core.start, core.stop) if isinstance(core, slice) else core
        if len(atoms) == n_atoms and (np.diff(atoms) == 1).all():
            return cls(None, edges, [n_atoms] * (depth + 1))
        number = np.full(n_atoms, -1, dtype=np.int32)
        shells, n_nodes = [atoms], [len(atoms)]
        number[atoms] = np.arange(n_nodes[0])
        for _ in range(depth):
            reached = np.zeros(n_atoms, dtype=bool)
            reached[edges.source[rows_into(edges.first, shells[-1])]] = True
            new = np.flatnonzero(reached & (number < 0))
            number[new] = n_nodes[-1] + np.arange(len(new))
            shells.append(new)
            n_nodes.append(n_nodes[-1] + len(new))
        targets = np.concatenate(shells[:-1])
        rows = rows_into(edges.first, targets)
        first = np.concatenate([[0], np.cumsum(np.diff(edges.first)[targets])])
        own = Edges(first, number[edges.source[rows]], edges.displacement[rows])
        return cls(np.concatenate(shells), own, n_nodes)


@dataclass(frozen=True)
class Layers:
    """The rounds of message passing of all members.

    Parameters
    ----------
    members
        The networks.
    folded
        Their layers, first one first.
    encode_edges
        From displacements (E, 3) to initial edge features (M, E, dim).
    decoder
        From final node features to predictions.
    """

    members: Sequence[SymGNN]
    folded: Sequence[FoldedLayer]
    encode_edges: Callable[[Tensor], Tensor]
    decoder: FoldedDecoder

    @classmethod
    def of(cls, model: SymGNNLike) -> Layers:
        """Put the members of an ensemble, or the one network, side by side."""
        members = members_of(model)
        folded = [FoldedLayer.of(same) for same in zip(*(member.attention_layers for member in members), strict=True)]
        decoder = FoldedDecoder.of(members)
        if members[0].config.distribution == "none":
            return cls(members, folded, FoldedEdgeEncoder.of(members), decoder)
        each = lambda along: torch.stack([member.encode_edges(along) for member in members])  # noqa: E731
        return cls(members, folded, each, decoder)

    def nothing_received(self) -> list[Tensor]:
        """Return what :meth:`predict` adds to, for each layer, shape (M, heads, dim + 1)."""
        return [
            layer.vector.new_zeros(*layer.vector.shape[:2], layer.dim + 1, dtype=torch.float64) for layer in self.folded
        ]

    def predict(self, node: Tensor, around: Field, received: Sequence[Tensor], work_through: WorkThrough) -> FloatArray:
        """Predict the first atoms of a field, (n, M), from initial node features (M, N, dim) of the structure.

        The node features that reach them in each layer, and how much of their attention goes to neighbours, summed over
        these atoms, are added to ``received``.
        """
        displacement = torch.from_numpy(around.edges.displacement).to(node)
        if around.atoms is not None:
            node = node[:, around.atoms]
        values = np.empty((around.n_nodes[0], len(self.members)))

        def decode(batch: slice, changed: Tensor) -> None:
            values[batch] = self.decoder.each(changed).T.double().cpu().numpy()

        fading = self.members[0].edge_fading(displacement)
        if fading is None:
            fading = displacement.new_zeros(len(displacement))
        edges: Callable[[slice], Tensor] = lambda rows: self.encode_edges(displacement[rows])  # noqa: E731
        for number, layer in enumerate(self.folded):
            reach = len(self.folded) - 1 - number
            n_targets = around.n_nodes[reach]
            n_next = int(around.edges.first[around.n_nodes[reach - 1]]) if reach else 0
            one = _Round(
                layer=layer,
                around=around,
                node=node,
                from_source=layer.by_head(layer.sources(node)),
                edge=edges,
                fading=fading,
                next_node=torch.empty_like(node[:, :n_targets]),
                next_edge=node.new_empty(len(node), n_next, node.shape[2]),
                finish=None if reach else decode,
            )
            batches = work_through(one.pass_on, batches_of(n_targets, node.device))
            received[number].add_(torch.stack([one.received[batch.start] for batch in batches]).sum(0))
            node, edges = one.next_node, one.edges_after
        return values

    def messages(self, received: Sequence[Tensor]) -> list[list[Tensor]]:
        """Return the mean messages (heads, dim) of each layer of each member.

        Parameters
        ----------
        received
            Mean over atoms of what :meth:`predict` found in each layer, (M, heads, dim + 1).
        """
        return [
            [
                mean_message(layer, mean[place, :, :-1], mean[place, :, -1])
                for layer, mean in zip(member.attention_layers, received, strict=True)
            ]
            for place, member in enumerate(self.members)
        ]


def mean_message(layer: EGATLayer, features: Tensor, attended: Tensor) -> Tensor:
    """Return the mean message of a layer, shape (heads, dim), from what reaches atoms on average.

    With a sink it is the mean by attention, so that an atom whose neighbours all send it receives what atoms receive on
    average, whatever its attention.

    Parameters
    ----------
    features, attended
        Node features aggregated by head (heads, dim), and attention that goes to neighbours (heads,).
    """
    weight = layer.value.weight.unflatten(0, (layer.heads, -1))
    received = torch.einsum("hdi,hi->hd", weight, features) + attended[:, None] * layer.heads_of(layer.value.bias)
    return received / attended[:, None].clamp_min(LEAST_ATTENTION) if layer.has_sink else received


@dataclass(frozen=True)
class _Round:
    """One layer: what it starts from, and what it leaves for the next one."""

    layer: FoldedLayer
    around: Field
    node: Tensor
    from_source: Tensor
    edge: Callable[[slice], Tensor]
    fading: Tensor
    next_node: Tensor
    next_edge: Tensor
    finish: Callable[[slice, Tensor], None] | None
    received: dict[int, Tensor] = field(default_factory=dict)

    def pass_on(self, batch: slice) -> None:
        """Let the atoms of a batch receive messages, and update their edges as far as a next layer needs them."""
        first, layer = self.around.edges.first, self.layer
        begin, end = int(first[batch.start]), int(first[batch.stop])
        own = self.edge(slice(begin, end))
        hidden = layer.by_head(layer.edges(own))
        from_target = layer.by_head(layer.targets(self.node[:, batch]))
        senders = Senders(self.node, self.from_source, self.around.edges.source[begin:end])
        aggregated, attended = attend(
            senders,
            from_target,
            layer.vector,
            first[batch.start : batch.stop + 1] - begin,
            hidden,
            fading=self.fading[begin:end],
            numbers=(layer.rounding, layer.nothing),
        )
        shift = torch.baddbmm(layer.messages.bias, attended, layer.constant)
        changed = layer.messages.add_to(self.node[:, batch] + shift, aggregated.flatten(2))
        self.next_node[:, batch] = changed
        n_core = max(self.around.n_nodes[0] - batch.start, 0)
        found = torch.cat([aggregated[:, :n_core], attended[:, :n_core, :, None]], dim=3)
        self.received[batch.start] = found.double().sum(1)
        kept = min(end, self.next_edge.shape[1])
        if kept > begin and layer.edges_out is not None:
            update = layer.edges_out(hidden[:, : kept - begin].flatten(2))
            self.next_edge[:, begin:kept] = own[:, : kept - begin] + update
        if self.finish is not None:
            self.finish(batch, changed)

    def edges_after(self, rows: slice) -> Tensor:
        """Return the features of some edges, as they are for the next layer."""
        return self.next_edge[:, rows]


class Senders(NamedTuple):
    """What atoms send along edges.

    Parameters
    ----------
    node, from_source
        Features of S atoms, (M, S, F), and what these give to hidden edge features, (M, S, K, D).
    source
        Which of them sends along each edge, (E,).
    """

    node: Tensor
    from_source: Tensor
    source: NDArray[np.integer[Any]]


def attend(
    senders: Senders,
    from_target: Tensor,
    vector: Tensor,
    first: IntArray,
    hidden: Tensor,
    *,
    fading: Tensor,
    numbers: tuple[float, float] = (0.0, -math.inf),
) -> tuple[Tensor, Tensor]:
    """Let n atoms attend to their neighbours; compiled on a CPU, without gradients.

    Parameters
    ----------
    senders
        At the other ends of the edges.
    from_target
        What the atoms that receive give to hidden edge features, (M, n, K, D).
    vector
        Turns hidden edge features into logits, (M, K, D).
    first
        Edges ``first[i]`` to ``first[i + 1]`` lead into atom i, (n + 1,).
    hidden
        What the edges give to hidden edge features, (M, E, K, D); these stand there afterwards.
    fading
        Logarithm of the weights of the edges, (E,).
    numbers
        Rounding of LeakyReLU, as for :func:`~symgnn_explain.models.egat.leaky`, and the logit of what sends nothing.

    Returns
    -------
    aggregated, attended
        What each head aggregates, (M, n, K, F), and how much of its attention goes to neighbours, (M, n, K): all of it
        where there are any and nothing else.
    """
    if from_target.device.type != "cpu":
        return attend_in_torch(senders, from_target, vector, first, hidden, fading=fading, numbers=numbers)
    from symgnn_explain.models.message_kernels import aggregate

    aggregated = from_target.new_zeros(*from_target.shape[:3], senders.node.shape[2])
    node, from_source, towards, turned = (
        each.contiguous().numpy() for each in (*senders[:2], from_target, vector.detach())
    )
    attended = from_target.new_empty(from_target.shape[:3])
    precision, (rounding, nothing) = node.dtype.type, numbers
    given = node, from_source, towards, turned, fading.numpy(), senders.source, first
    found = aggregated.numpy(), attended.numpy()
    constants = precision(NEGATIVE_SLOPE), precision(nothing)
    aggregate(given, constants, precision(rounding) if rounding else None, hidden.numpy(), found)
    return aggregated, attended


def attend_in_torch(
    senders: Senders,
    from_target: Tensor,
    vector: Tensor,
    first: IntArray,
    hidden: Tensor,
    *,
    fading: Tensor,
    numbers: tuple[float, float] = (0.0, -math.inf),
) -> tuple[Tensor, Tensor]:
    """Do what :func:`attend` does, on any device."""
    node, from_source, source = senders[0], senders[1], torch.from_numpy(senders.source).to(from_target.device).long()
    ends = torch.from_numpy(first).to(source.device)
    target = torch.repeat_interleave(torch.arange(len(first) - 1, device=source.device), ends.diff())
    hidden += from_source.index_select(1, source) + from_target.index_select(1, target)
    hidden.copy_(leaky(hidden, NEGATIVE_SLOPE, numbers[0]))
    logit = (hidden * vector[:, None]).sum(-1) + fading[:, None]
    zeros = logit.new_zeros(from_target.shape[:3])
    along = target[None, :, None].expand_as(logit)
    largest = torch.full_like(zeros, numbers[1]).scatter_reduce(1, along, logit, "amax").nan_to_num(neginf=0.0)
    weight = (logit - largest.index_select(1, target)).exp()
    total = (numbers[1] - largest).exp().index_add(1, target, weight)
    share = weight / total.index_select(1, target)
    message = node.index_select(1, source)[:, :, None] * share[..., None]
    aggregated = message.new_zeros(*zeros.shape, node.shape[2]).index_add(1, target, message)
    return aggregated, zeros.index_add(1, target, share)


def rows_into(first: IntArray, atoms: IntArray) -> IntArray:
    """Return the rows of the edges into some atoms, one atom after another."""
    counts = first[atoms + 1] - first[atoms]
    ends = np.cumsum(counts)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(first[atoms] - ends + counts, counts))
