"""DimeNet++ (Gasteiger et al., 2020) of PyG's blocks, on the periodic edges of the graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.models import DimeNetPlusPlus
from torch_geometric.nn.models.dimenet import InteractionPPBlock, OutputPPBlock

from symgnn_explain.models.baselines.base import Baseline, BaselineConfig, bonds


@dataclass(frozen=True)
class DimeNetConfig(BaselineConfig):
    """Hyperparameters of DimeNet++.

    Pairs of edges (triplets of atoms) grow with the square of the number of neighbours: within 5 Å a glass of 8 000
    atoms has 8 million, which a small machine cannot train on. So the cut-off is the end of the first shell, where
    there are 1.4 million, and the widths are smaller than the published ones.

    Parameters
    ----------
    dim, layers
        Width of the features, and number of interactions.
    angular_dim, basis_dim, output_dim
        Widths of the interaction with angles, of its basis, and of the output blocks.
    spherical, radial
        Numbers of spherical and radial basis functions; of spherical ones at least 2.
    """

    cutoff: float = 3.9
    dim: int = 64
    layers: int = 3
    angular_dim: int = 16
    basis_dim: int = 8
    output_dim: int = 64
    spherical: int = 5
    radial: int = 6


class DimeNet(Baseline):
    """Directional messages: edges, not atoms, exchange them, and the angles between edges count."""

    def __init__(self, config: DimeNetConfig) -> None:
        super().__init__(config)
        self.network = DimeNetPlusPlus(
            hidden_channels=config.dim,
            out_channels=1,
            num_blocks=config.layers,
            int_emb_size=config.angular_dim,
            basis_emb_size=config.basis_dim,
            out_emb_channels=config.output_dim,
            num_spherical=config.spherical,
            num_radial=config.radial,
            cutoff=config.cutoff,
            output_initializer="glorot_orthogonal",
        )
        self.sent = _Sent()

    def standardised(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Predict in standardised units, shape (N,)."""
        joined, displacement = bonds(edge_index, edge_attr)
        source, target = joined
        first, second = consecutive_edges(joined, displacement, len(x))
        distance = displacement.norm(dim=1)
        along, before = displacement[second], displacement[first]
        sine = torch.linalg.cross(along, before).norm(dim=1)
        angle = torch.atan2(sine, (along * before).sum(dim=1))
        radial = self.network.rbf(distance)
        spherical = self.network.sbf(distance, angle, first)
        message = self.network.emb(x.argmax(dim=1), radial, target, source)
        predicted = self._output(self.network.output_blocks[0], message, radial, joined, len(x))
        for block, output in zip(self.network.interaction_blocks, self.network.output_blocks[1:], strict=True):
            message = self._interaction(block, message, (radial, spherical), joined, (first, second))
            predicted = predicted + self._output(output, message, radial, joined, len(x))
        return predicted.squeeze(-1)

    def _output(
        self, block: OutputPPBlock, message: Tensor, radial: Tensor, edge_index: Tensor, n_atoms: int
    ) -> Tensor:
        """Do what PyG's block does, with messages that pass through a ``MessagePassing`` layer."""
        arriving = self.sent(edge_index, block.lin_rbf(radial) * message)
        node = block.lin_up(arriving.new_zeros(n_atoms, arriving.shape[1]).index_add(0, edge_index[1], arriving))
        for linear in block.lins:
            node = block.act(linear(node))
        values: Tensor = block.lin(node)
        return values

    def _interaction(
        self,
        block: InteractionPPBlock,
        message: Tensor,
        bases: tuple[Tensor, Tensor],
        edge_index: Tensor,
        triplets: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Do what PyG's block does; what edge ``k → j`` tells the edges ``j → i`` is a message of ``k → j``."""
        (radial, spherical), (first, second) = bases, triplets
        weighted = block.act(block.lin_kj(message)) * block.lin_rbf2(block.lin_rbf1(radial))
        sent = self.sent(edge_index, block.act(block.lin_down(weighted)))
        along = sent[first] * block.lin_sbf2(block.lin_sbf1(spherical))
        heard = along.new_zeros(len(message), along.shape[1]).index_add(0, second, along)
        hidden = block.act(block.lin_ji(message)) + block.act(block.lin_up(heard))
        for layer in block.layers_before_skip:
            hidden = layer(hidden)
        hidden = block.act(block.lin(hidden)) + message
        for layer in block.layers_after_skip:
            hidden = layer(hidden)
        return hidden


class _Sent(MessagePassing):
    """Passes messages on edge by edge and sums none, so that explainers find and mask them."""

    def forward(self, edge_index: Tensor, message: Tensor) -> Tensor:
        messages: Tensor = self.propagate(edge_index, message=message)
        return messages

    def message(self, message: Tensor) -> Tensor:
        return message

    def aggregate(self, inputs: Tensor) -> Tensor:
        return inputs


def consecutive_edges(edge_index: Tensor, displacement: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """All pairs of edges ``k → j``, ``j → i`` but those that go to and fro between the same two images.

    Returns
    -------
    first, second
        Numbers of the edges ``k → j`` and ``j → i``, shape (T,) each.
    """
    source, target = edge_index
    order = torch.argsort(target, stable=True)
    incoming = torch.bincount(target, minlength=n_atoms)
    start = incoming.cumsum(0) - incoming
    times = incoming[source]
    second = torch.repeat_interleave(torch.arange(len(source), device=source.device), times)
    offset = torch.arange(len(second), device=source.device) - torch.repeat_interleave(times.cumsum(0) - times, times)
    first = order[start[source[second]] + offset]
    back = (source[first] == target[second]) & (displacement[first] + displacement[second]).abs().lt(1e-3).all(dim=1)
    return first[~back], second[~back]
