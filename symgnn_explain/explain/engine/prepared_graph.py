"""A graph as a network sees it, with what explaining any of its nodes needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_forward import MaskedForward, MaskSemantics
from symgnn_explain.explain.engine.masked_prediction import ForwardUnderMask, MaskedPrediction
from symgnn_explain.explain.engine.network_features import NetworkFeatures, network_features
from symgnn_explain.explain.engine.reference import predict_with_references
from symgnn_explain.explain.engine.trimmed_forward import TrimmedForward, one_output_a_node
from symgnn_explain.explain.engine.units import SHELL_WIDTH, Unit, group_edges
from symgnn_explain.models.ensemble import SymGNNLike, with_description
from symgnn_explain.structure.glass import FloatArray, Glass


class SlowEngineWarning(UserWarning):
    """A network is not a SymGNN, and so is explained without the fast engine."""


@dataclass(frozen=True, eq=False)
class PreparedGraph:
    """A graph and a network; make one with :meth:`of`, or with :func:`~.prepared.prepare` for a glass.

    Parameters
    ----------
    model
        The network, called as ``model(x, edge_index, **attributes)``.
    graph
        Its input.
    predictions
        Predictions, shape (N,).
    reference
        What atoms receive on average in each layer of each member of an ensemble (or of the one network), shape
        (heads, dim); None where the network is no SymGNN.
    """

    model: nn.Module
    graph: Data
    predictions: FloatArray
    reference: Sequence[Sequence[Tensor]] | None

    @classmethod
    def of(cls, model: nn.Module, graph: Data) -> PreparedGraph:
        """Predict once, and keep what explanations need.

        Warns
        -----
        SlowEngineWarning
            If the network is not a SymGNN: it is then evaluated as it is, on the receptive field.

        Raises
        ------
        InputError
            If the network does not give one number a node.
        """
        if isinstance(model, SymGNNLike):
            graph = with_description(model, graph)
            predictions, reference = predict_with_references(model, graph)
            return cls(model, graph, predictions.double().cpu().numpy(), reference)
        warnings.warn(
            f"{type(model).__name__} is not a SymGNN, so the fast engine does not know its layers: each step evaluates "
            "it on the receptive field, as exact but many times slower.",
            SlowEngineWarning,
            stacklevel=3,
        )
        return cls(model, graph, one_output_a_node(model, graph).double().cpu().numpy(), None)

    @property
    def structure(self) -> Glass | None:
        """The glass that the graph was built from, where it is known."""
        return None

    @cached_property
    def features(self) -> NetworkFeatures:
        """What the network computes on the way to its predictions; one more pass, made when it is first asked for."""
        if not isinstance(self.model, SymGNNLike):
            raise InputError(f"attention and features are only known for SymGNN, not for {type(self.model).__name__}.")
        return network_features(self.model, self.graph)

    def masked_forward(self, atoms: int | list[int], semantics: MaskSemantics) -> ForwardUnderMask:
        """Build the prediction of one atom, or several, as a function of a mask over their receptive fields' edges."""
        if isinstance(self.model, SymGNNLike):
            return MaskedForward(self.model, self.graph, atoms, semantics=semantics, reference=self.reference)
        spread = float(self.predictions.std()) or 1.0
        return TrimmedForward(self.model, self.graph, atoms, semantics=semantics, label_scale=spread)

    def masked_prediction(
        self, atom: int, *, semantics: MaskSemantics, unit: Unit, shell_width: float = SHELL_WIDTH
    ) -> MaskedPrediction:
        """Build the prediction of one atom as a function of a mask over units.

        Raises
        ------
        InputError
            If the atom, the semantics or the unit does not exist.
        """
        if not 0 <= atom < self.graph.num_nodes:
            raise InputError(f"atom {atom} does not exist: the graph has {self.graph.num_nodes}, numbered from 0.")
        forward = self.masked_forward(atom, semantics)
        edges = forward.field.edges.cpu()
        source, target = self.graph.edge_index.cpu()[:, edges].numpy()
        displacement = None
        if self.structure is not None:
            displacement = self.graph.edge_attr.cpu()[edges].double().numpy()
        units = group_edges(
            unit, source, target, glass=self.structure, atom=atom, displacement=displacement, shell_width=shell_width
        )
        return MaskedPrediction(
            forward, units, source=source, target=target, displacement=displacement, prepared=self, atom=atom
        )
