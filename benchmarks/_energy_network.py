"""A network of the shipped kind that learns the energy of every atom, well enough to be asked for its reasons.

Energies come from the potential, without noise. Gradient descent from random weights reaches r = 0.9995 over all atoms
soon, most of which is the difference between species. It resolves directions of little variance slowly, and these say
how energy depends on distance. So the linear part of what encodes descriptors starts from the least squares solution;
then all weights are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import PRESETS, SymGNN
from symgnn_explain.models.target import Target
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.eam_file import EamPotential
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.graph import build_graph

ENERGY = Target("potential energy", unit="eV", symbol="E_pot", array="potential_energy")
RIDGE = 1e-8
LEARNING_RATE = 3e-4


def learn(potential: EamPotential, glasses: Sequence[Glass], *, steps: int, seed: int = 0) -> Predictor:
    """Train a network on the energies of some glasses; one glass a step."""
    torch.manual_seed(seed)
    # Energies are sums over pairs that nothing limits, and sharp where pairs are close.
    free = {"environment_dropout": 0.0, "environment_limit": 0.0, "smooth": False, "bounded": False}
    model = SymGNN(replace(PRESETS["accurate"], **free))
    graphs = [build_graph(one, cutoff=model.config.cutoff, species=model.species, reach=7.6) for one in glasses]
    model.fit_inputs(graphs)
    calculator = EamCalculator(potential)
    energies = [torch.from_numpy(calculator.energies(one)) for one in glasses]
    every = torch.cat(energies)
    model.label_mean.fill_(float(every.mean()))
    model.label_scale.fill_(float(every.std()))
    graphs = [model.with_description(graph) for graph in graphs]
    labels = [((energy - every.mean()) / every.std()).float() for energy in energies]
    start(model, graphs, labels)
    model.eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        number = step % len(graphs)
        error = (model.predict(graphs[number]) - model.label_mean) / model.label_scale - labels[number]
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
        schedule.step()
    return Predictor(model.requires_grad_(requires_grad=False), device="cpu", target=ENERGY.resolved(every.numpy()))


@torch.no_grad()
def start(model: SymGNN, graphs: Sequence[Data], labels: Sequence[Tensor]) -> None:
    """Put the least squares solution into the first feature of atoms, and let it through to the prediction."""
    encoder, decoder = model.node_encoder, model.decoder
    described = torch.cat([graph.environment for graph in graphs])
    encoder.linear.weight[0] = least_squares(described, torch.cat(list(labels))).float()
    encoder.linear.bias[0] = 0.0
    parts: list[nn.Linear] = [encoder.nonlinear[-1], *(layer.node_out for layer in model.attention_layers)]
    for part in parts:
        part.weight[0] = 0.0
        part.bias[0] = 0.0
    decoder[0].weight[0] = torch.eye(model.config.dim)[0]
    decoder[2].weight.fill_(1.0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0
    model.train()
    model.predict(graphs[0])
    hidden = decoder[:-1].eval()(features(model.eval(), graphs[0]))
    solution = least_squares(torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1), labels[0])
    decoder[-1].weight[0], decoder[-1].bias[0] = solution[:-1].float(), solution[-1].float()


def features(model: SymGNN, graph: Data) -> Tensor:
    """Return the features of atoms that predictions are decoded from."""
    node, edge = model.encode_nodes(graph.environment), model.encode_edges(graph.edge_attr)
    for layer in model.layers:
        node, edge = layer(node, graph.edge_index, edge)
    return node


def least_squares(columns: Tensor, values: Tensor) -> Tensor:
    """Fit values (N,) by columns (N, F)."""
    columns, values = columns.double(), values.double()
    gram = columns.T @ columns / len(columns)
    return torch.linalg.solve(gram + RIDGE * torch.eye(len(gram)), columns.T @ values / len(columns))


def pearson_within_species(predicted: FloatArray, known: FloatArray, glass: Glass) -> dict[str, float]:
    """Return Pearson's r among atoms of each species."""
    symbols = np.array(glass.symbols)
    return {
        symbol: float(np.corrcoef(predicted[symbols == symbol], known[symbols == symbol])[0, 1])
        for symbol in glass.species
    }
