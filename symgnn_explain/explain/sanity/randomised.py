"""Networks whose weights were drawn anew, layer by layer from the output, to see whether explanations notice."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.models.egat import EGATLayer
from symgnn_explain.models.ensemble import SymGNNLike, members_of, predict_graph
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.protocol import name_of


def cascade(prepared: PreparedGlass, *, seed: int = 0) -> Iterator[tuple[str, PreparedGlass]]:
    """Draw weights anew from the head to the encoders, and prepare the glass with each network on the way.

    At each stage the weights of all stages before it are random too (Adebayo et al., NeurIPS 2018, section 3). The
    normalisations get the statistics of the glass in the new network, so that its features stay in their working
    range, and the last linear map is scaled to the mean and the spread of the original predictions, so that tolerances
    mean the same. The predictor's own network is never touched.

    Yields
    ------
    stage, prepared
        ``head``, ``layer 4`` … ``layer 1``, ``encoders``; the last one has no trained weight left.

    Raises
    ------
    InputError
        If the network is no SymGNN: it is not known what its layers are then.
    """
    if not isinstance(prepared.predictor.model, SymGNNLike):
        raise InputError(
            f"weights are drawn anew layer by layer for SymGNN alone, not for {name_of(prepared.predictor.model)}: "
            "leave this check out."
        )
    model = copy.deepcopy(prepared.predictor.model).eval()
    for number, (stage, modules) in enumerate(_stages(model).items()):
        _draw(modules, seed=seed * 1000 + number)
        _renormalise(model, prepared.graph)
        _match_predictions(model, prepared)
        predictor = Predictor(copy.deepcopy(model), {"randomised": stage}, device=prepared.predictor.device.type)
        yield stage, prepare(predictor, prepared.glass)


def _stages(model: SymGNNLike) -> dict[str, list[nn.Module]]:
    members = members_of(model)
    stages: dict[str, list[nn.Module]] = {"head": [member.decoder for member in members]}
    for number in reversed(range(len(model.layers))):
        stages[f"layer {number + 1}"] = [member.layers[number] for member in members]
    names = ("species_embedding", "node_encoder", "edge_encoder", "radial_encoder")
    stages["encoders"] = [getattr(member, name) for member in members for name in names if hasattr(member, name)]
    return stages


@torch.no_grad()
def _draw(modules: list[nn.Module], *, seed: int) -> None:
    """Initialise modules as a new network's are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in (inner for outer in modules for inner in outer.modules()):
            if isinstance(module, nn.Linear | nn.BatchNorm1d | nn.PReLU):
                # On the CPU and copied, so that a GPU gives the same weights.
                fresh = copy.deepcopy(module).cpu()
                fresh.reset_parameters()
                module.load_state_dict(fresh.state_dict())
            elif isinstance(module, EGATLayer):
                module.attention_vector.copy_(torch.randn(module.heads, module.dim) / module.dim**0.5)


@torch.no_grad()
def _renormalise(model: SymGNNLike, graph: Data) -> None:
    """Give every normalisation the statistics of one glass."""
    normalisations = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [module.momentum for module in normalisations]
    for module in normalisations:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over calls: the edge encoder is called once a transformation
        module.train()
    predict_graph(model, graph)
    for module, momentum in zip(normalisations, momenta, strict=True):
        module.momentum = momentum
        module.eval()


@torch.no_grad()
def _match_predictions(model: SymGNNLike, prepared: PreparedGlass) -> None:
    """Scale the last linear maps so that predictions have the mean and the spread of the original ones."""
    graph, wanted = prepared.graph, prepared.predictions
    bounded = [member.label_range for member in members_of(model) if member.config.bounded]
    ranges = [label_range.clone() for label_range in bounded]
    for label_range in bounded:  # predictions that saturate cannot be scaled
        label_range.copy_(torch.tensor([-torch.inf, torch.inf]))
    predictions = predict_graph(model, graph)
    spread, own = float(wanted.std()), float(predictions.double().std(correction=0))
    factor = spread / (max(own, 1e-12 * spread) or 1.0)
    for member in members_of(model):
        last = member.decoder[-1]
        if not isinstance(last, nn.Linear):
            raise TypeError("the decoder must end in a linear map")
        mean = float((predictions.mean() - member.label_mean) / member.label_scale)
        level = (float(wanted.mean()) - member.label_mean) / member.label_scale
        last.weight.mul_(factor)
        last.bias.copy_((last.bias - mean) * factor + level)
    for label_range, before in zip(bounded, ranges, strict=True):
        label_range.copy_(before)
