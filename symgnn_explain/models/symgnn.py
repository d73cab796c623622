"""SymGNN: a number for every atom, such as its energy barrier, from the structure alone (Li et al., ICML 2024)."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.models.egat import EGATLayer, SmoothPReLU
from symgnn_explain.models.encoders import SurroundingsEncoder, two_layers
from symgnn_explain.models.environment import AtomicEnvironment, fading, far_pairs
from symgnn_explain.models.label_scale import LabelScaled
from symgnn_explain.models.protocol import ConfiguredNetwork
from symgnn_explain.models.saturation import saturate
from symgnn_explain.models.symmetrization import DISTRIBUTIONS
from symgnn_explain.structure.glass import atomic_number

INFERENCE_SEED = 0

MESSAGE_FADING = 0.5
"""Messages along smooth edges fade out over so far before the cut-off, Å."""

LEAST_WEIGHT = 1e-30
"""Of a message, so that its logarithm is finite."""

Distribution = Literal["haar", "von_mises", "angular_gaussian", "octahedral", "icosahedral", "identity", "none"]


@dataclass(frozen=True)
class SymGNNConfig:
    """Hyperparameters of a SymGNN.

    Parameters
    ----------
    species
        Chemical symbols, in the order of the input channels.
    cutoff
        Edges join atoms up to this distance, Å.
    dim
        Width of node and edge features, and of each attention head.
    heads
        Attention heads of each layer; their number is the depth, and the radius of the receptive field in hops.
    distribution
        What transformations are drawn from: the Haar measure on O(3), learned von Mises angles (as published), a
        learned angular central Gaussian distribution of quaternions, which is the Haar measure at first, or a finite
        group (``octahedral`` has 48 elements, ``icosahedral`` 120; as many samples give exact invariance under the
        group). ``identity`` is no symmetrization at all; with ``none`` edges are told by their lengths alone, and the
        network is exactly invariant.
    training_samples, inference_samples
        Transformations drawn a training step, and kept fixed for inference.
    radial_basis
        Number of Gaussians of the distance, an exactly invariant edge feature beside the symmetrized vectors: 0 for
        none, else at least 2.
    environment_radial, environment_degree
        Whether nodes start from descriptors of their surroundings beside the species: the number of Gaussians in the
        radial densities (0 for no descriptors, else at least 2), and the highest degree of the angular power spectrum
        (0 for none); see :class:`~.environment.AtomicEnvironment`.
    environment_far, environment_reach
        Number of Gaussians in the radial densities beyond the cut-off (0 for none, else at least 2), and how far those
        look, Å.
    environment_limit
        Descriptors, whose variance is 1 on the training glasses, go into the network as they are up to this size, and
        saturate at a third more; 0 for no limit.
    environment_watches
        Whether descriptors of surroundings only say what training covered (see :mod:`~.domain`), and nodes start from
        the species alone.
    environment_width, environment_dropout
        Hidden width of what encodes the descriptors, and the probability with which a hidden feature is dropped there.
    decoder_layers
        Hidden layers of the prediction head.
    dropout
        Probability with which a feature is dropped in training.
    smooth
        Whether predictions have two derivatives in the positions: neighbours fade out towards the cut-off in
        descriptors and messages, and activations have no corners.
    attention_sink
        Whether the softmax of attention is also over a logit of 0 that sends nothing, so that an atom knows how many
        neighbours it attends to, and not only how these share its attention.
    bounded
        Whether predictions stay within the range of the training labels, widened by half of it on each side. Inside of
        that range they are what they would be without.

    Raises
    ------
    InputError
        If a value cannot be used.
    """

    species: tuple[str, ...] = ("Cu", "Zr")
    cutoff: float = 5.0
    dim: int = 32
    heads: tuple[int, ...] = (8, 4, 2, 1)
    distribution: Distribution = "von_mises"
    training_samples: int = 2
    inference_samples: int = 16
    radial_basis: int = 0
    environment_radial: int = 0
    environment_degree: int = 0
    environment_far: int = 0
    environment_reach: float = 7.6
    environment_limit: float = 0.0
    environment_watches: bool = False
    environment_width: int = 64
    environment_dropout: float = 0.0
    decoder_layers: int = 4
    dropout: float = 0.25
    smooth: bool = False
    bounded: bool = False
    attention_sink: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", tuple(self.species))
        object.__setattr__(self, "heads", tuple(self.heads))
        for symbol in self.species:
            atomic_number(symbol)
        if not self.species or len(set(self.species)) < len(self.species):
            raise InputError(f"species={self.species} must name at least one chemical element, and each once.")
        if not self.heads or min(self.heads) < 1 or self.dim < 1:
            raise InputError(f"heads={self.heads} and dim={self.dim} must be positive, one number of heads a layer.")
        if not (math.isfinite(self.cutoff) and self.cutoff > 0):
            raise InputError(f"cutoff={self.cutoff} must be a positive length in Å.")
        if self.distribution not in get_args(Distribution):
            known = ", ".join(get_args(Distribution))
            raise InputError(f"distribution={self.distribution!r} is unknown: choose from {known}.")
        if self.distribution == "none" and not self.radial_basis:
            raise InputError(
                "distribution='none' leaves edges without features: give radial_basis at least 2 Gaussians."
            )
        if self.training_samples < 1 or self.inference_samples < 1:
            raise InputError("at least one transformation is needed in training and in inference.")
        if self.radial_basis < 0 or self.radial_basis == 1:
            raise InputError(f"radial_basis={self.radial_basis} must be 0 (no distances) or at least 2 Gaussians.")
        self._validate_environment()
        if self.decoder_layers < 0 or not 0 <= self.dropout < 1:
            raise InputError(
                f"decoder_layers={self.decoder_layers} must not be negative, and dropout={self.dropout} lie in [0, 1)."
            )

    def _validate_environment(self) -> None:
        if self.environment_radial < 0 or self.environment_radial == 1 or self.environment_width < 1:
            raise InputError(
                f"environment_radial={self.environment_radial} must be 0 (no descriptors) or at least 2 Gaussians, and "
                f"environment_width={self.environment_width} positive."
            )
        far = self.environment_far
        if far and (far < 2 or not self.environment_radial or not self.cutoff < self.environment_reach < math.inf):
            raise InputError(
                f"environment_far={far} must be 0 (nothing beyond the cut-off) or at least 2 Gaussians, which need "
                f"environment_radial and environment_reach={self.environment_reach} beyond cutoff={self.cutoff} Å."
            )
        if not 0 <= self.environment_limit < math.inf:
            raise InputError(f"environment_limit={self.environment_limit} must be 0 (none) or positive.")
        if self.environment_watches and not self.environment_radial:
            raise InputError(
                "environment_watches=True needs descriptors: give environment_radial at least 2 Gaussians."
            )
        if not 0 <= self.environment_dropout < 1:
            raise InputError(f"environment_dropout={self.environment_dropout} must lie in [0, 1).")
        if self.environment_degree < 0 or (self.environment_degree and not self.environment_radial):
            raise InputError(
                f"environment_degree={self.environment_degree} must not be negative, and needs environment_radial."
            )

    @property
    def describes(self) -> bool:
        """Whether nodes start from descriptors of their surroundings."""
        return bool(self.environment_radial) and not self.environment_watches

    @property
    def reach(self) -> float:
        """How far an atom sees before any message, Å: the cut-off, or what descriptors look at beyond it."""
        return self.environment_reach if self.environment_far else self.cutoff

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; what networks of earlier versions lack is left out where it is off."""
        return {name: value for name, value in asdict(self).items() if value or name not in _LATER}


_LATER = ("environment_limit", "environment_watches", "smooth", "bounded", "attention_sink")
"""Hyperparameters that came later: the identity of a network without them has not changed."""

_ACCURATE = SymGNNConfig(
    dim=16,
    heads=(2, 1),
    distribution="none",
    radial_basis=12,
    environment_radial=14,
    environment_degree=3,
    environment_far=8,
    environment_width=128,
    environment_dropout=0.4,
    environment_limit=3.0,
    smooth=True,
    bounded=True,
    decoder_layers=1,
    dropout=0.0,
)

PRESETS = {
    "accurate": _ACCURATE,
    "symgnn": SymGNNConfig(
        dim=12,
        heads=(16, 4, 2),
        distribution="angular_gaussian",
        attention_sink=True,
        bounded=True,
        environment_radial=14,
        environment_degree=3,
        environment_watches=True,
        decoder_layers=2,
        dropout=0.0,
    ),
    "paper": SymGNNConfig(),
}
"""``accurate``: what the shipped weights are; nodes start from their surroundings, predictions are smooth, bounded, and
trained not to hang on the last hundredths of an ångström. ``symgnn``: displacement vectors alone, the published idea at
a size that one core trains in a quarter of an hour; descriptors say where it is valid, and nothing else. ``paper``: the
published hyperparameters."""


class DescribedNetwork(ConfiguredNetwork):
    """A network whose nodes are encoded from what :meth:`describe` says of them."""

    @abstractmethod
    def describe(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, *pairs: Tensor) -> Tensor:
        """Return what nodes are encoded from, shape (N, F)."""

    def described(self, graph: Data) -> Tensor:
        """Return what the nodes of a whole graph are encoded from: as the graph carries it, or found anew."""
        if "environment" in graph:
            environment: Tensor = graph.environment
            return environment
        return self.describe(graph.x, graph.edge_index, graph.edge_attr, *far_pairs(graph))

    environment: AtomicEnvironment
    """What describes surroundings; only where the network :attr:`observes`."""

    @property
    @abstractmethod
    def describes(self) -> bool:
        """Whether nodes start from their surroundings."""

    @property
    @abstractmethod
    def observes(self) -> bool:
        """Whether surroundings are described, for nodes to start from or to say what training covered."""

    def observed(self, graph: Data) -> Tensor:
        """Return the descriptors of a whole graph by which the domain is judged, shape (N, F)."""
        if self.describes:
            return self.described(graph)
        found: Tensor = self.environment(graph.x, graph.edge_index, graph.edge_attr, *far_pairs(graph))
        return found

    def with_description(self, graph: Data) -> Data:
        """Return the graph with what its nodes are encoded from, so that nothing has to find it again."""
        if not self.describes:
            return graph
        described = copy.copy(graph)
        described.environment = self.described(graph)
        return described

    def predict(self, graph: Data) -> Tensor:
        """Predict every atom of a whole graph, shape (N,)."""
        predicted: Tensor = self(graph.x, graph.edge_index, graph.edge_attr, self.described(graph))
        return predicted


class SymGNN(DescribedNetwork, LabelScaled):
    """Symmetrized graph neural network: graph in, one number an atom out.

    The signature ``model(x, edge_index, edge_attr)`` is that of any PyG model, so PyG's own ``Explainer`` drives it.
    In training, transformations are drawn afresh each time; in evaluation a fixed set is used, so that a prediction is
    deterministic.
    """

    inference_transformations: Tensor
    label_range: Tensor
    radial_centres: Tensor

    def __init__(self, config: SymGNNConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        if config.distribution != "none":
            self.symmetrization = DISTRIBUTIONS[config.distribution]()
        if config.environment_radial:
            self.environment = AtomicEnvironment(
                len(config.species),
                config.cutoff,
                config.environment_radial,
                config.environment_degree,
                n_far=config.environment_far,
                reach=config.environment_reach,
                smooth=config.smooth,
            )
        if config.describes:
            self.node_encoder: nn.Module = SurroundingsEncoder(self.environment.width, config)
        else:
            self.species_embedding = nn.Linear(len(config.species), dim, bias=False)
            self.node_encoder = nn.Sequential(
                nn.BatchNorm1d(dim), nn.ReLU(), nn.Linear(dim, dim), nn.BatchNorm1d(dim), nn.ReLU()
            )
        if config.distribution != "none":
            self.edge_encoder = two_layers(3, config)
        if config.radial_basis:
            self.radial_encoder = two_layers(config.radial_basis, config)
        last = len(config.heads) - 1
        self.layers = nn.ModuleList(
            EGATLayer(
                dim,
                heads,
                last=layer == last,
                dropout=config.dropout,
                smooth=config.smooth,
                sink=config.attention_sink,
            )
            for layer, heads in enumerate(config.heads)
        )
        decoder: list[nn.Module] = []
        for _ in range(config.decoder_layers):
            decoder += [nn.Linear(dim, dim), nn.BatchNorm1d(dim), SmoothPReLU() if config.smooth else nn.PReLU()]
        self.decoder = nn.Sequential(*decoder, nn.Linear(dim, 1))
        if config.bounded:
            self.register_buffer("label_range", torch.tensor([-torch.inf, torch.inf]))
        self.register_buffer("radial_centres", torch.linspace(0.0, config.cutoff, max(config.radial_basis, 2)))
        self.register_buffer("inference_transformations", torch.zeros(config.inference_samples, 3, 3))
        self.fix_transformations()

    @property
    def attention_layers(self) -> list[EGATLayer]:
        """The rounds of message passing, in order."""
        return [layer for layer in self.layers if isinstance(layer, EGATLayer)]

    @property
    def describes(self) -> bool:
        """Whether nodes start from their surroundings."""
        return self.config.describes

    @property
    def observes(self) -> bool:
        """Whether surroundings are described, for nodes to start from or to say what training covered."""
        return bool(self.config.environment_radial)

    @property
    def hops(self) -> int:
        """How many edges away an atom can be and still matter to a prediction."""
        return len(self.layers) + self.describes

    def fit_inputs(self, graphs: Sequence[Data]) -> None:
        """Standardise descriptors of surroundings, if there are any, on training graphs; it comes before training."""
        if self.config.environment_radial:
            self.environment.fit(graphs)

    def fit_labels(self, labels: Tensor) -> None:
        """Take mean, standard deviation and, where predictions are bounded, range of the known training labels."""
        super().fit_labels(labels)
        if self.config.bounded:
            self.label_range.copy_(torch.stack([labels.min(), labels.max()]))

    @torch.no_grad()
    def fix_transformations(self, seed: int = INFERENCE_SEED) -> None:
        """Draw the set used in evaluation from the distribution as it is now; call it when training has changed it."""
        if self.config.distribution == "none":
            return
        generator = torch.Generator().manual_seed(seed)
        samples = self.symmetrization(self.config.inference_samples, generator)
        self.inference_transformations.copy_(samples)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, environment: Tensor | None = None) -> Tensor:
        """Predict.

        Parameters
        ----------
        x
            One-hot species, shape (N, S).
        edge_index
            Source and target of each directed edge, shape (2, E).
        edge_attr
            Displacements ``r_source - r_target``, shape (E, 3), Å.
        environment
            What :meth:`describe` returns, where it is known already.

        Returns
        -------
        Tensor
            One number an atom, shape (N,), in the unit of the labels.
        """
        return self.predict_and_look(x, edge_index, edge_attr, environment)[0]

    def predict_and_look(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, environment: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return predictions (N,), and the first features (N, dim) that know what surrounds an atom.

        These are the initial ones where nodes start from descriptors, else those after the first layer: what further
        arrays, such as energies, are learned from.
        """
        described = self.describe(x, edge_index, edge_attr) if environment is None else environment
        node, edge, fade = self.encode_nodes(described), self.encode_edges(edge_attr), self.edge_fading(edge_attr)
        features = [node]
        for layer in self.layers:
            node, edge = layer(node, edge_index, edge, fade)
            features.append(node)
        return self.decode(node), features[0 if self.describes else 1]

    def describe(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, *pairs: Tensor) -> Tensor:
        """Return what nodes are encoded from, shape (N, F): the species, or descriptors of their surroundings.

        It holds no trained weight, and no message passes an explainer's mask. Where descriptors look beyond the edges,
        ``pairs`` are the graph's ``pair_index`` and ``pair_attr``.
        """
        if not self.describes:
            return x
        described: Tensor = self.environment(x, edge_index, edge_attr, *pairs)
        return described

    def encode_nodes(self, described: Tensor) -> Tensor:
        """Return initial node features (N, dim), each from its own row of what :meth:`describe` returns."""
        if not self.describes:
            described = self.species_embedding(described)
        features: Tensor = self.node_encoder(described)
        return features

    def encode_edges(self, displacement: Tensor) -> Tensor:
        """Return initial edge features (E, dim): the mean encoding over transformations, plus that of the distance."""
        features = displacement.new_zeros(len(displacement), self.config.dim)
        if self.config.radial_basis:
            features = features + self.radial_encoder(self.expand_distance(displacement.norm(dim=1)))
        if self.config.distribution == "none":
            return features
        if self.training:
            transformations = self.symmetrization(self.config.training_samples)
        else:
            transformations = self.inference_transformations
        transformations = transformations.to(displacement)
        for transformation in transformations:
            features = features + self.edge_encoder(displacement @ transformation.T) / len(transformations)
        return features

    def edge_fading(self, displacement: Tensor) -> Tensor | None:
        """Return the logarithm of the weight of each edge's message, shape (E,); None where none fades out."""
        if not self.config.smooth:
            return None
        weight = fading(displacement.norm(dim=1), self.config.cutoff, MESSAGE_FADING)
        return weight.clamp_min(LEAST_WEIGHT).log()

    def expand_distance(self, distance: Tensor) -> Tensor:
        """Return Gaussians of the distance on a grid up to the cut-off, shape (E, radial_basis)."""
        spacing = self.radial_centres[1] - self.radial_centres[0]
        return torch.exp(-0.5 * ((distance[:, None] - self.radial_centres) / spacing) ** 2)

    def decode(self, node: Tensor) -> Tensor:
        """Return predictions, shape (N,), from final node features (N, dim)."""
        return self.bound(self.decoder(node).squeeze(-1) * self.label_scale + self.label_mean)

    def bound(self, predictions: Tensor) -> Tensor:
        """Keep predictions near the range of the training labels, where that was asked for."""
        return saturate(predictions, *self.label_range) if self.config.bounded else predictions
