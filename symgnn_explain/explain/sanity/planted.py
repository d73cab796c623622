"""Planted ground truth: networks of which it is known by construction which edges a prediction hangs on.

A planted network is a SymGNN with weights set by hand, so that the engine and the methods treat it as any other. Its
last rounds of message passing attend to one class of edges each, all others get an attention of 0; the rounds before
do nothing. The first planted round reports the mean species along its class, each later round the mean of what the
senders along its class reported, and the last report is the prediction. So the edges that matter are those of the
last class into the explained atom, those of the class before into their senders, and so on: all others have no
influence at all, whatever a mask means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.models.egat import EGATLayer
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import Glass, IntArray, atomic_number

GAUSSIANS = 51
"""Radial features of a planted network: one every 0.1 Å at a cut-off of 5 Å."""

MARGIN = 2.0
"""A class begins and ends this many widths of a Gaussian from the first Gaussian that tells what lies beyond."""

STEEPNESS = 1e5
"""Logit of attention for each unit of those Gaussians' sum: classes are sharp to about 1e-3 Å."""

SPECIES_PENALTY = 40.0
"""Logit of attention that a sender of another species loses; exp(-40) is nothing beside 1."""

CLOSEST_EDGE = 1.0
"""No edge but a self-loop is shorter (Å)."""

SMALLEST_SPREAD = 1e-4
"""Of what is reported, which lies between 1 and 2, over the atoms of a glass; below is rounding."""

MEAN_PREDICTION, PREDICTION_SPREAD = 1.6, 0.25
"""Of a planted network's predictions: those of the energy barriers (eV) of a real glass."""


@dataclass(frozen=True)
class EdgeClass:
    """Edges that a planted round listens to; besides, every atom has a self-loop.

    Parameters
    ----------
    inner, outer
        Lengths, Å: from ``inner`` up to ``outer``.
    senders
        Species of the sending atom; any where empty.
    """

    inner: float = 0.0
    outer: float = np.inf
    senders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.inner < self.outer:
            raise InputError(f"{self} is empty: expected 0 ≤ inner < outer, in Å.")

    def holds(self, distance: Tensor, sender: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which edges belong to it, by length (E,) in Å and whether the sender's species does, shape (E,)."""
        length = distance.numpy()
        return (length == 0) | ((length >= self.inner) & (length < self.outer) & sender)


@dataclass(frozen=True)
class Plant:
    """What is planted: the class of edges of each round, in the order in which messages pass.

    Parameters
    ----------
    name, description
        As they stand in tables.
    rounds
        At most as many as the network has layers; the last one brings messages into the explained atom.
    """

    name: str
    description: str
    rounds: tuple[EdgeClass, ...]


PLANTS: Mapping[str, Plant] = MappingProxyType(
    {
        plant.name: plant
        for plant in (
            Plant(
                "first_shell",
                "the mean species of the atoms closer than 3.4 Å",
                (EdgeClass(outer=3.4),),
            ),
            Plant(
                "far_edges",
                "the mean species of the atoms between 4.2 and 4.7 Å, not the nearest ones",
                (EdgeClass(inner=4.2, outer=4.7),),
            ),
            Plant(
                "relay",
                "through Zr atoms closer than 3.6 Å, the mean species of their own neighbours closer than 3.2 Å",
                (EdgeClass(outer=3.2), EdgeClass(outer=3.6, senders=("Zr",))),
            ),
        )
    }
)
"""What the sanity battery plants in a glass of Cu and Zr, by name."""


@dataclass(frozen=True, eq=False)
class PlantedPredictor:
    """A predictor with a planted ground truth; make one with :func:`plant_in`."""

    plant: Plant
    predictor: Predictor

    def truth(self, prediction: MaskedPrediction) -> NDArray[np.bool_]:
        """Tell which units hold an edge that the prediction hangs on, shape (n_units,)."""
        source, target = prediction.source, prediction.target
        numbers = prediction.glass.numbers
        # Self-loops are exactly 0 long; the lengths are those that the network sees, in its precision.
        distance = torch.from_numpy(prediction.displacement).to(prediction.forward.dtype).norm(dim=1)
        matters = np.zeros(len(source), dtype=bool)
        listening = np.array([prediction.atom])
        for edges in reversed(self.plant.rounds):
            sender = np.isin(numbers[source], _numbers(edges.senders)) if edges.senders else np.ones_like(matters)
            heard = edges.holds(distance, sender) & np.isin(target, listening)
            matters |= heard
            listening = np.unique(source[heard])
        return np.bincount(prediction.units.of_edge, weights=matters, minlength=prediction.n_units) > 0


def plant_in(
    glass: Glass, plant: Plant, *, depth: int = 4, cutoff: float = 5.0, device: str = "cpu"
) -> PlantedPredictor:
    """Build a network whose predictions hang on ``plant`` alone, with the mean and spread of predictions on ``glass``.

    Parameters
    ----------
    glass
        The structure that it is for; its species are those that the network knows.
    plant
        What is planted.
    depth
        Rounds of message passing; those before the planted ones do nothing.
    cutoff
        Edges join atoms up to this distance, Å.
    device
        See :class:`~symgnn_explain.models.predictor.Predictor`.

    Raises
    ------
    InputError
        If there are more rounds than layers, a species is not in the glass, or all atoms are predicted alike.
    """
    if not 1 <= len(plant.rounds) <= depth:
        raise InputError(f"{plant.name!r} has {len(plant.rounds)} rounds: expected 1 to {depth}, the depth.")
    species = glass.species
    missing = {symbol for edges in plant.rounds for symbol in edges.senders} - set(species)
    if missing:
        raise InputError(f"{plant.name!r} listens to {', '.join(sorted(missing))}, which {glass.name!r} does not have.")
    n_rounds = len(plant.rounds)
    config = SymGNNConfig(
        species=species,
        cutoff=cutoff,
        dim=max(len(species) + n_rounds, 2 * n_rounds + 1),
        heads=(1,) * depth,
        distribution="haar",
        inference_samples=1,
        radial_basis=GAUSSIANS,
        decoder_layers=0,
        dropout=0.0,
    )
    model = SymGNN(config)
    with torch.no_grad():
        _silence(model)
        _plant_features(model, plant)
        for number, edges in enumerate(plant.rounds):
            _plant_round(model, number, depth - n_rounds + number, edges)
        _linear(model.decoder, -1).weight[0, len(species) + n_rounds - 1] = 1.0
    predictor = Predictor(model.eval(), {"planted": plant.description}, device=device)
    reported = predictor.predict(glass)
    if reported.std() < SMALLEST_SPREAD:
        raise InputError(f"{plant.name!r} tells no two atoms of {glass.name!r} apart: choose other edges.")
    scale = PREDICTION_SPREAD / reported.std()
    model.label_scale.fill_(scale)
    model.label_mean.fill_(MEAN_PREDICTION - scale * reported.mean())
    return PlantedPredictor(plant, predictor)


def _silence(model: SymGNN) -> None:
    """Make every normalisation the identity, and every other weight 0."""
    for parameter in model.parameters():
        parameter.zero_()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.get_buffer("running_mean").zero_()
            module.get_buffer("running_var").fill_(1 - module.eps)
            module.weight.fill_(1.0)


def _plant_features(model: SymGNN, plant: Plant) -> None:
    """Let node features be the one-hot species, and edge features tell self-loops and what lies outside the classes."""
    dim, n_species = model.config.dim, len(model.config.species)
    model.species_embedding.weight[:, :] = torch.eye(dim, n_species)
    _linear(model.node_encoder, 2).weight[:, :] = torch.eye(dim)
    first, second = _linear(model.radial_encoder, 0), _linear(model.radial_encoder, 3)
    centres, width = model.radial_centres, float(model.radial_centres[1])
    second.weight[:, :] = torch.eye(dim)
    first.weight[0, 0] = 1.0  # a real edge is many widths away from the Gaussian at 0
    for number, edges in enumerate(plant.rounds):
        beyond = centres > edges.outer + MARGIN * width
        before = (centres >= CLOSEST_EDGE) & (centres < edges.inner - MARGIN * width)
        for channel, told, bound in ((2 * number + 1, before, edges.inner), (2 * number + 2, beyond, edges.outer)):
            if told.any():
                first.weight[channel] = STEEPNESS * told
                first.bias[channel] = -STEEPNESS * model.expand_distance(torch.tensor([bound]))[0] @ told.float()


def _plant_round(model: SymGNN, number: int, depth: int, edges: EdgeClass) -> None:
    """Let layer ``depth`` carry the mean of what its class of edges reports into a channel of the nodes."""
    layer, species = model.layers[depth], model.config.species
    if not isinstance(layer, EGATLayer):
        raise TypeError("a planted network is made of EGAT layers")
    layer.attention_vector[0, 0] = -1.0
    layer.from_edge.weight[0, 2 * number + 1 : 2 * number + 3] = 1.0
    if edges.senders:
        unheard = torch.tensor([symbol not in edges.senders for symbol in species])
        layer.from_source.weight[0, : len(species)] = SPECIES_PENALTY * unheard
        layer.from_edge.weight[0, 0] = -SPECIES_PENALTY  # a self-loop counts, whatever its species
    report = len(species) + number
    if number == 0:
        layer.value.weight[report, : len(species)] = torch.linspace(1.0, 2.0, len(species))  # no report is 0
    else:
        layer.value.weight[report, report - 1] = 1.0
    layer.node_out.weight[report, report] = 1.0


def _linear(sequence: nn.Module, place: int) -> nn.Linear:
    layer = sequence[place] if isinstance(sequence, nn.Sequential) else sequence
    if not isinstance(layer, nn.Linear):
        raise TypeError("a planted network sets the weights of linear maps")
    return layer


def _numbers(symbols: Sequence[str]) -> IntArray:
    return np.array([atomic_number(symbol) for symbol in symbols])
