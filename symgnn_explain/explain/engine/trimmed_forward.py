"""The masked prediction of any PyG network: on the subgraph that the explained atom depends on, otherwise as it is.

What :class:`~.masked_forward.MaskedForward` does for SymGNN needs to know its layers. Any other network of PyG message
passing layers is evaluated as PyG's own explainers do it, with the mask on the messages (semantics ``zero``), but on
the receptive field instead of the whole graph, and on a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain.algorithm.utils import set_masks
from torch_geometric.nn import MessagePassing

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_forward import MaskSemantics
from symgnn_explain.explain.engine.receptive_field import ReceptiveField


class TrimmedForward:
    """``prediction(mask)`` of a network with one output an atom, called as ``model(x, edge_index, **attributes)``.

    Parameters
    ----------
    model
        The network; it is copied, never touched.
    graph
        ``x``, ``edge_index``, and further arguments of the network by name, those an edge or an atom as tensors.
    atoms
        The explained atom, or several; one may be named several times.
    semantics
        Only ``zero`` is possible.
    label_scale
        Spread of the predicted quantity, by which changes are measured.

    Raises
    ------
    InputError
        For other semantics, a network without message passing, or one with several outputs an atom.
    """

    semantics: MaskSemantics = "zero"

    def __init__(
        self,
        model: nn.Module,
        graph: Data,
        atoms: int | Sequence[int],
        *,
        semantics: MaskSemantics = "zero",
        label_scale: float = 1.0,
    ) -> None:
        if semantics != "zero":
            raise InputError(
                f"{semantics=} is only known for SymGNN: a {type(model).__name__} can be masked with 'zero' alone."
            )
        self._model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        n_layers = sum(isinstance(module, MessagePassing) for module in self._model.modules())
        if n_layers == 0:
            raise InputError(f"{type(model).__name__} has no PyG message passing layer, so there is nothing to mask.")
        self._one = isinstance(atoms, int)
        several = [atoms] if isinstance(atoms, int) else atoms
        self.field = ReceptiveField.beside(
            [ReceptiveField.of(atom, graph.edge_index, graph.num_nodes, n_layers) for atom in several]
        )
        self.dtype = graph.x.dtype
        self._x = graph.x[self.field.nodes]
        self._edge_index = torch.stack([self.field.source, self.field.target])
        self._attributes = {
            name: self._part(value, graph) for name, value in graph.to_dict().items() if name not in ("x", "edge_index")
        }
        self.label_scale = torch.tensor(label_scale, dtype=self.dtype)

    @property
    def n_edges(self) -> int:
        """Length of the mask: the edges of the receptive field."""
        return len(self.field.edges)

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict, a scalar or one an atom, with message ``field.edges[e]`` multiplied by ``mask[e]``."""
        set_masks(self._model, mask, self._edge_index, apply_sigmoid=False)
        output = self._model(self._x, self._edge_index, **self._attributes).view(len(self._x))
        return output[0] if self._one else output[: self.field.n_atoms]

    @torch.no_grad()
    def original(self) -> Tensor:
        """Return the network's own prediction: nothing masked."""
        return self(self._x.new_ones(self.n_edges))

    @torch.no_grad()
    def baseline(self) -> Tensor:
        """Return the prediction with everything masked."""
        return self(self._x.new_zeros(self.n_edges))

    def _part(self, value: Any, graph: Data) -> Any:
        """Cut an argument of the network to the receptive field; the cut arguments belong to edges before atoms."""
        if isinstance(value, Tensor) and value.dim() > 0 and len(value) == graph.num_edges:
            return value[self.field.edges]
        if isinstance(value, Tensor) and value.dim() > 0 and len(value) == graph.num_nodes:
            return value[self.field.nodes]
        return value


@torch.no_grad()
def one_output_a_node(model: nn.Module, graph: Data) -> Tensor:
    """Predict the whole graph, shape (N,); raise InputError where the network does not give one number a node."""
    model = copy.deepcopy(model).eval()
    attributes = {name: value for name, value in graph.to_dict().items() if name not in ("x", "edge_index")}
    output: Tensor = model(graph.x, graph.edge_index, **attributes)
    if output.numel() != graph.num_nodes:
        raise InputError(
            f"{type(model).__name__} gives outputs of shape {tuple(output.shape)} for {graph.num_nodes} atoms: "
            "expected one number an atom."
        )
    return output.view(-1)
