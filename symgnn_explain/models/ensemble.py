"""Several SymGNNs of one kind, trained from different seeds: the mean of their predictions is one prediction.

Deep ensembles (Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017) predict better than their members, and how far
these disagree says where training left the prediction open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.models.protocol import ConfiguredNetwork, NodeModel
from symgnn_explain.models.symgnn import INFERENCE_SEED, DescribedNetwork, SymGNN, SymGNNConfig


@dataclass(frozen=True)
class EnsembleConfig:
    """Hyperparameters of an ensemble.

    Parameters
    ----------
    member
        Hyperparameters of each member.
    n_members
        Their number, at least 2.
    """

    member: SymGNNConfig
    n_members: int

    def __post_init__(self) -> None:
        if isinstance(self.member, Mapping):
            object.__setattr__(self, "member", SymGNNConfig(**self.member))
        if self.n_members < 2:
            raise InputError(f"n_members={self.n_members} must be at least 2.")

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols that the members know."""
        return self.member.species

    @property
    def cutoff(self) -> float:
        """Range (Å) of the members' edges."""
        return self.member.cutoff

    @property
    def reach(self) -> float:
        """How far (Å) the members' atoms see before any message."""
        return self.member.reach

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"member": self.member.to_dict(), "n_members": self.n_members}


class SymGNNEnsemble(DescribedNetwork):
    """The mean of several SymGNNs, called as one of them is; surroundings are described once for all."""

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        self.config = config
        members = [SymGNN(config.member) for _ in range(config.n_members)]
        if config.member.environment_radial:
            self.environment = members[0].environment
            for member in members:
                del member.environment
        self.members = nn.ModuleList(members)

    @classmethod
    def of(cls, members: Sequence[SymGNN]) -> SymGNNEnsemble:
        """Combine copies of trained networks.

        Raises
        ------
        InputError
            If there are fewer than two, or they differ in hyperparameters or in how they describe surroundings.
        """
        configs = [member.config for member in members]
        if any(config != configs[0] for config in configs):
            raise InputError("the members of an ensemble must have the same hyperparameters.")
        ensemble = cls(EnsembleConfig(configs[0], len(members)))
        states = [member.state_dict() for member in members]
        if configs[0].environment_radial:
            shared = [_part(state, "environment.") for state in states]
            for other in shared[1:]:
                if any(not torch.equal(tensor, shared[0][name]) for name, tensor in other.items()):
                    raise InputError("the members of an ensemble must have been trained on the same glasses.")
            ensemble.environment.load_state_dict(shared[0])
        for mine, state in zip(ensemble.members, states, strict=True):
            mine.load_state_dict({name: value for name, value in state.items() if not name.startswith("environment.")})
        return ensemble.eval()

    @property
    def symgnns(self) -> list[SymGNN]:
        """The members."""
        return [member for member in self.members if isinstance(member, SymGNN)]

    @property
    def layers(self) -> nn.ModuleList:
        """The rounds of message passing of one member: all are as deep."""
        return self.symgnns[0].layers

    @property
    def describes(self) -> bool:
        """Whether nodes start from their surroundings."""
        return self.config.member.describes

    @property
    def observes(self) -> bool:
        """Whether surroundings are described, for nodes to start from or to say what training covered."""
        return bool(self.config.member.environment_radial)

    @property
    def hops(self) -> int:
        """How many edges away an atom can be and still matter to a prediction."""
        return self.symgnns[0].hops

    @property
    def label_scale(self) -> Tensor:
        """Standard deviation of the labels that the members were trained on."""
        return self.symgnns[0].label_scale

    def fix_transformations(self, seed: int = INFERENCE_SEED) -> None:
        """Draw other transformations for every member: their mean is over all of them."""
        for number, member in enumerate(self.symgnns):
            member.fix_transformations(seed + number)

    def describe(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, *pairs: Tensor) -> Tensor:
        """Return what nodes are encoded from, shape (N, F); see :meth:`SymGNN.describe`."""
        if not self.describes:
            return x
        described: Tensor = self.environment(x, edge_index, edge_attr, *pairs)
        return described

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, environment: Tensor | None = None) -> Tensor:
        """Predict, shape (N,); arguments as of :meth:`SymGNN.forward`."""
        return self.each(x, edge_index, edge_attr, environment).mean(0)

    def each(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, environment: Tensor | None = None) -> Tensor:
        """Return the prediction of every member, shape (M, N)."""
        described = self.describe(x, edge_index, edge_attr) if environment is None else environment
        return torch.stack([member(x, edge_index, edge_attr, described) for member in self.symgnns])


SymGNNLike = SymGNN | SymGNNEnsemble
"""What the fast engine knows."""


def members_of(model: SymGNNLike) -> list[SymGNN]:
    """Return the networks whose predictions are averaged: the members of an ensemble, or the network itself."""
    return model.symgnns if isinstance(model, SymGNNEnsemble) else [model]


def describe_graph(model: SymGNNLike, graph: Data) -> Tensor:
    """Return what the nodes of a whole graph are encoded from, shape (N, F): as the graph carries it, or found anew."""
    return model.described(graph)


def predict_graph(model: NodeModel, graph: Data) -> Tensor:
    """Predict every atom of a whole graph with any network, shape (N,)."""
    return model.predict(graph)


def predict_members(model: Any, graph: Data) -> Tensor:
    """Return what each member of an ensemble predicts for a whole graph, shape (M, N); M is 1 for one network."""
    if not isinstance(model, SymGNNEnsemble):
        return predict_graph(model, graph)[None]
    return model.each(graph.x, graph.edge_index, graph.edge_attr, describe_graph(model, graph))


def with_description(model: NodeModel, graph: Data) -> Data:
    """Return the graph with what its nodes are encoded from, so that nothing has to find it again."""
    return model.with_description(graph) if isinstance(model, ConfiguredNetwork) else graph


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
