"""A copy of any network of PyG message passing layers, whose messages a mask over the graph's edges multiplies."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.numbered_edges import ADDED, NumberedEdges, edge_numbers, plain_edges
from symgnn_explain.models.protocol import NodeModel, evaluated_copy, modules_of, name_of, one_number_an_atom

_ATTENTION = ("attention", "alpha")
"""What layers of this package and of PyG call their attention when they form messages."""


class _Run(threading.local):
    """One evaluation, of the thread that asks for it."""

    mask: Tensor | None = None
    edges: Tensor
    reference: Sequence[Tensor] | None = None
    kept: list[Tensor] | None = None
    attention: list[Tensor] | None = None
    call: int = 0
    numbers: Tensor | None = None
    weights: Tensor | None = None


class MaskedNetwork:
    """Predicts under a mask: each message ``j → i`` of each layer is multiplied by the mask value of edge ``j → i``.

    That is what PyG's explainers do, but for edges that a layer reorders: a message is masked by the edge that it comes
    from. A self-loop that replaces the graph's own (``add_self_loops``) is masked by that one, or by the mean of
    several; one that the graph does not hold is never masked.

    The network is copied, and only the copy is changed; several threads can use it at once.

    Parameters
    ----------
    model
        The network. Layers whose ``explain`` is False are not masked, as in PyG.

    Raises
    ------
    InputError
        If it has no message passing layer of PyG, or still carries masks of an interrupted PyG explainer.
    """

    def __init__(self, model: NodeModel) -> None:
        self._original = model
        self._run = _Run()
        self._model = evaluated_copy(model)
        layers = []
        for module in modules_of(self._model):
            layers += [part for part in module.modules() if isinstance(part, MessagePassing)]
        if any(getattr(layer, "_edge_mask", None) is not None for layer in layers):
            raise InputError(
                f"{self.name} carries the masks of a PyG explainer that was interrupted, and predicts under them: "
                "clear them with torch_geometric.explain.algorithm.utils.clear_masks(model)."
            )
        masked = [layer for layer in layers if layer.explain is not False]
        if not masked:
            raise InputError(
                f"{self.name} has no message passing layer of PyG, so there are no messages between atoms to mask: it "
                "can predict, but not be explained by masks."
            )
        for layer in layers:
            _forget(layer)
        for layer in masked:
            layer.register_propagate_forward_pre_hook(self._before_messages)
            layer.register_message_forward_hook(self._after_message)

    def __reduce__(self) -> tuple[type[MaskedNetwork], tuple[NodeModel]]:
        return type(self), (self._original,)

    @property
    def name(self) -> str:
        """Class of the network."""
        return name_of(self._original)

    def predict(self, graph: Data, mask: Tensor, reference: Sequence[Tensor] | None = None) -> Tensor:
        """Predict every atom of a graph, shape (N,), under a mask over its edges (E,).

        Parameters
        ----------
        graph, mask
            The graph and the mask.
        reference
            What :meth:`mean_messages` returned: then a masked message fades into it instead of into nothing.
        """
        with self._running(graph, mask, reference) as numbered:
            return one_number_an_atom(self._model, numbered)

    @torch.no_grad()
    def mean_messages(self, graph: Data) -> list[Tensor]:
        """Return the mean message of each layer, in the order in which messages are passed, with nothing masked."""
        kept: list[Tensor] = []
        with self._running(graph, None, None) as numbered:
            self._run.kept = kept
            one_number_an_atom(self._model, numbered)
        return kept

    @torch.no_grad()
    def attention(self, graph: Data) -> list[Tensor]:
        """Return the attention of each layer that has one, shape (E, heads): 0 for edges that it leaves out."""
        found: list[Tensor] = []
        with self._running(graph, None, None) as numbered:
            self._run.attention = found
            one_number_an_atom(self._model, numbered)
        return found

    @contextmanager
    def _running(self, graph: Data, mask: Tensor | None, reference: Sequence[Tensor] | None) -> Iterator[Data]:
        numbered = copy.copy(graph)
        numbered.edge_index = NumberedEdges.of(graph.edge_index)
        run = self._run
        run.mask, run.reference, run.edges, run.call, run.kept = mask, reference, graph.edge_index, 0, None
        try:
            yield numbered
        finally:
            run.mask = run.reference = run.kept = run.attention = run.numbers = run.weights = None
            del run.edges

    def _before_messages(self, layer: MessagePassing, given: tuple[Any, Any, dict[str, Any]]) -> tuple[Any, Any, Any]:
        """Find the edge that each message comes from, and go on with plain edges."""
        edge_index, size, arguments = given
        run = self._run
        if not isinstance(edge_index, Tensor) or edge_index.layout != torch.strided:
            raise self._unknown(layer, "a sparse matrix")
        numbers = edge_numbers(edge_index)
        edge_index = plain_edges(edge_index)
        if numbers is None:
            if not torch.equal(edge_index, run.edges):
                raise self._unknown(layer, "edges of its own")
            numbers = torch.arange(edge_index.shape[1], device=edge_index.device)
        run.numbers = numbers
        run.weights = None if run.mask is None else self._weights(layer, run.mask, numbers, edge_index)
        run.call += 1
        return edge_index, size, arguments

    def _weights(self, layer: MessagePassing, mask: Tensor, numbers: Tensor, edge_index: Tensor) -> Tensor:
        """Return the mask value of each message, shape (E',)."""
        edges = self._run.edges
        if len(numbers) == len(mask) and torch.equal(numbers, torch.arange(len(mask), device=numbers.device)):
            return mask
        weights = torch.cat([mask, mask.new_ones(1)])[numbers]  # ADDED is the last one
        used = torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
        used[numbers[numbers != ADDED]] = True
        lost = torch.nonzero(~used).squeeze(1)
        pairs = lost[edges[0, lost] != edges[1, lost]]
        if len(pairs) and bool(torch.isin(_key(edges[:, pairs]), _key(edge_index)).any()):
            raise self._unknown(layer, "one message for several edges between the same atoms")
        added = torch.nonzero(numbers == ADDED).squeeze(1)
        if (edge_index[0, added] != edge_index[1, added]).any():
            raise self._unknown(layer, "messages along edges that it made itself")
        # Self-loops that were taken out and put in again: those of one atom share its new one.
        loops, atom = lost[edges[0, lost] == edges[1, lost]], edge_index[0, added]
        if not (len(loops) and len(added)):
            return weights
        n_atoms = int(max(edges.max(), edge_index.max())) + 1
        total = mask.new_zeros(n_atoms).index_add(0, edges[0, loops], mask[loops])[atom]
        count = torch.bincount(edges[0, loops], minlength=n_atoms)[atom]
        shared = torch.where(count > 0, total / count.clamp_min(1), torch.ones_like(total))
        return weights.index_copy(0, added, shared)

    def _after_message(self, layer: MessagePassing, given: tuple[dict[str, Any]], message: Any) -> Tensor:
        """Mask the messages, or keep their mean or their attention."""
        run = self._run
        numbers = run.numbers
        along = layer.node_dim
        if not isinstance(message, Tensor) or numbers is None or message.size(along) != len(numbers):
            raise self._unknown(layer, "something else than one message an edge")
        number = run.call - 1
        if run.kept is not None:
            run.kept.append(message.index_select(along, torch.nonzero(numbers != ADDED).squeeze(1)).mean(along, True))
        attention = next((given[0][name] for name in _ATTENTION if name in given[0]), None)
        if run.attention is not None and isinstance(attention, Tensor):
            known = numbers != ADDED
            of_edge = attention.new_zeros(run.edges.shape[1], attention[0].numel())
            run.attention.append(of_edge.index_copy(0, numbers[known], attention.flatten(1)[known]))
        if run.weights is None:
            return message
        shape = [1] * message.dim()
        shape[along] = -1
        weights = run.weights.view(shape).to(message.dtype)
        if run.reference is None:
            return message * weights
        if number >= len(run.reference):
            raise self._unknown(layer, "more messages than with nothing masked")
        return message * weights + (1 - weights) * run.reference[number]

    def _unknown(self, layer: MessagePassing, what: str) -> InputError:
        return InputError(
            f"{self.name} cannot be explained: its layer {type(layer).__name__} passes on {what}, so that it is not "
            "known which edge of the graph a message belongs to. Give the layers edge_index as the graph has it."
        )


def _key(edges: Tensor) -> Tensor:
    return edges[0] * (2**31) + edges[1]


def _forget(layer: MessagePassing) -> None:
    """Let a layer compute all anew, as one message an edge: caches of GCNConv and the like, chunks, PyG's explainer."""
    layer.decomposed_layers = 1
    if layer.explain:
        layer.explain = None
    if getattr(layer, "cached", False):
        layer.cached = False
    for name in [name for name in vars(layer) if name.startswith("_cached")]:
        setattr(layer, name, None)
