"""A graph as a network sees it, with what explaining any of its nodes needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.generic import GenericEngine, generic_forward
from symgnn_explain.explain.engine.masked_forward import MaskedForward
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.network_features import NetworkFeatures, network_features
from symgnn_explain.explain.engine.pair_forward import PairForward, PairList
from symgnn_explain.explain.engine.protocol import Covers, ForwardUnderMask, MaskSemantics
from symgnn_explain.explain.engine.units import OF_MESSAGES, SHELL_WIDTH, Unit, group_edges
from symgnn_explain.explain.mask_words import require_semantics
from symgnn_explain.models.ensemble import SymGNNLike, members_of, with_description
from symgnn_explain.models.predictor import evaluation_mode
from symgnn_explain.models.protocol import NodeAdapter, NodeModel, evaluated_copy, name_of
from symgnn_explain.models.sweep import sweep_graph
from symgnn_explain.models.target import Target
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray


class SlowEngineWarning(UserWarning):
    """A network is not a SymGNN, and so is explained without the fast engine."""


@dataclass(frozen=True, eq=False, repr=False)
class PreparedGraph:
    """A graph and a network; make one with :meth:`of`, or with :func:`~.prepared.prepare` for a glass.

    Parameters
    ----------
    model
        The network.
    graph
        Its input.
    predictions
        Predictions, shape (N,).
    reference
        What atoms receive on average in each layer of each member of an ensemble (or of the one network), shape
        (heads, dim); None where the network is no SymGNN.
    reference_graph
        Where other networks take their mean messages from; the graph itself where None.
    """

    model: NodeModel
    graph: Data
    predictions: FloatArray
    reference: Sequence[Sequence[Tensor]] | None
    reference_graph: Data | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({name_of(self.model)}, {len(self.predictions)} nodes)"

    @property
    def target(self) -> Target:
        """What is predicted; of a bare network only that it is a number."""
        return Target("prediction").resolved(self.predictions)

    @classmethod
    def of(cls, model: nn.Module, graph: Data) -> PreparedGraph:
        """Predict once, and keep what explanations need.

        Parameters
        ----------
        model
            The network, called as ``model(x, edge_index, **attributes)``.
        graph
            Its input.

        Warns
        -----
        SlowEngineWarning
            If the network is not a SymGNN: it is then evaluated as it is.

        Raises
        ------
        InputError
            If the network does not give one number a node, or its messages cannot be masked.
        """
        if isinstance(model, SymGNNLike):
            graph = with_description(model, graph)
            with evaluation_mode(model):
                found = sweep_graph(model, graph)
            return cls(model, graph, found.members.mean(axis=1), found.received)
        warnings.warn(
            f"{type(model).__name__} is not a SymGNN, so the fast engine does not know its layers: each step evaluates "
            "it as it is, as exact but many times slower.",
            SlowEngineWarning,
            stacklevel=3,
        )
        adapted = evaluated_copy(NodeAdapter(model))
        engine = GenericEngine(adapted, graph)
        prepared = cls(adapted, graph, engine.predictions.double().cpu().numpy(), None)
        prepared.__dict__["engine"] = engine
        return prepared

    @property
    def compared(self) -> FloatArray:
        """The predictions that those under a mask are compared with: of all atoms, or of enough of them."""
        return self.predictions

    @property
    def structure(self) -> Glass | None:
        """The glass that the graph was built from, where it is known."""
        return None

    @cached_property
    def features(self) -> NetworkFeatures:
        """What a SymGNN computes on the way to its predictions; one more pass, made when it is first asked for."""
        if not isinstance(self.model, SymGNNLike):
            raise InputError(f"features of atoms and edges are only known for SymGNN, not for {name_of(self.model)}.")
        return network_features(self.model, self.graph)

    @cached_property
    def attention(self) -> Sequence[Tensor]:
        """Attention of each layer, first layer first, shape (E, heads) each; raises InputError where there is none."""
        if isinstance(self.model, SymGNNLike):
            return self.features.attention
        found = self.engine.network.attention(self.graph)
        if not found:
            raise InputError(f"the layers of {name_of(self.model)} do not attend: choose another method.")
        return found

    @cached_property
    def engine(self) -> GenericEngine:
        """Masked predictions by a network that is no SymGNN; raises InputError where it has no messages to mask."""
        return GenericEngine(self.model, self.graph, self.reference_graph)

    @cached_property
    def pairs(self) -> PairList:
        """Every pair of atoms that the network sees."""
        return PairList.of(self.graph)

    @property
    def describes(self) -> bool:
        """Whether atoms know of others by descriptors too, and not by messages alone."""
        return isinstance(self.model, SymGNNLike) and self.model.describes

    @property
    def n_members(self) -> int:
        """Number of networks whose predictions are averaged."""
        return len(members_of(self.model)) if isinstance(self.model, SymGNNLike) else 1

    def covers(self, unit: Unit) -> Covers:
        """Say what masks over units of a kind act on."""
        if not isinstance(self.model, SymGNNLike):
            return "known messages"
        return "messages" if self.describes and unit in OF_MESSAGES else "everything"

    def node_of(self, atom: int) -> int:
        """Return the node of the graph that an atom is; raises InputError where there is none."""
        if not 0 <= atom < self.graph.num_nodes:
            raise InputError(f"atom {atom} does not exist: the graph has {self.graph.num_nodes}, numbered from 0.")
        return atom

    def atoms_of(self, nodes: IntArray) -> IntArray:
        """Return the atoms that nodes of the graph are."""
        return nodes

    def masked_forward(
        self, atoms: int | list[int], semantics: MaskSemantics, *, over_pairs: bool = False, member: int | None = None
    ) -> ForwardUnderMask:
        """Build the prediction of one atom, or several, as a function of a mask over their receptive fields' edges.

        With ``over_pairs`` the mask is over the pairs that they depend on, where the network sees more of them than
        messages. ``member`` chooses one network of an ensemble.
        """
        require_semantics(semantics)
        nodes = self.node_of(atoms) if isinstance(atoms, int) else [self.node_of(atom) for atom in atoms]
        if not isinstance(self.model, SymGNNLike):
            return generic_forward(self.engine, nodes, semantics)
        members, reference = members_of(self.model), self.reference
        if member is not None:
            members, reference = [members[member]], None if reference is None else [reference[member]]
        if over_pairs and self.describes:
            return PairForward(
                self.model.environment, members, self.graph, self.pairs, nodes, semantics=semantics, reference=reference
            )
        model = self.model if member is None else members[0]
        return MaskedForward(model, self.graph, nodes, semantics=semantics, reference=reference)

    def displacements(self, edges: Tensor) -> FloatArray | None:  # noqa: ARG002 - of a glass
        """Return ``r_source - r_target`` of some edges, shape (E, 3), Å; None where only a graph is known."""
        return None

    def masked_prediction(
        self,
        atom: int,
        *,
        semantics: MaskSemantics,
        unit: Unit,
        shell_width: float = SHELL_WIDTH,
        member: int | None = None,
    ) -> MaskedPrediction:
        """Build the prediction of one atom, or of one member of an ensemble, as a function of a mask over units.

        Raises
        ------
        InputError
            If the atom, the semantics or the unit does not exist.
        """
        over_pairs = self.describes and unit not in OF_MESSAGES
        with one_thread():
            forward = self.masked_forward(atom, semantics, over_pairs=over_pairs, member=member)
            edges = forward.field.edges.cpu()
            index = self.pairs.index if over_pairs else self.graph.edge_index
            source, target = self.atoms_of(index.cpu()[:, edges].numpy())
            displacement = self.pairs.vector.cpu()[edges].double().numpy() if over_pairs else self.displacements(edges)
        units = group_edges(
            unit, source, target, glass=self.structure, atom=atom, displacement=displacement, shell_width=shell_width
        )
        return MaskedPrediction(
            forward, units, source=source, target=target, displacement=displacement, prepared=self, atom=atom
        )
