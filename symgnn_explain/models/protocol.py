"""What a network has to offer to be explained here: one number an atom, from a graph that it builds of a glass."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.models.target import Target
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph

FORCES = "environment.balance.forces"
"""Pair forces by which training structures are at rest: they say where a network is valid, and not what it predicts."""

_OF_PRECISION = ("dtype", "scalar type", "not implemented for")  # in what PyTorch says of precisions that differ


@runtime_checkable
class NodeModel(Protocol):
    """Any network that gives one number an atom.

    The networks of this package are such models. Another network needs an adapter with these four members;
    :class:`NodeAdapter` has all but :meth:`graph`. Nothing else is asked: how far the network sees is measured.
    """

    @property
    def species(self) -> tuple[str, ...] | None:
        """Chemical symbols that the network knows; None where it takes any."""

    @property
    def identity(self) -> str:
        """Hash of weights and configuration: records, caches and sessions are known by it."""

    def graph(self, glass: Glass) -> Data:
        """Build the network's input.

        ``edge_index`` (2, E) has the sender of each message first and the receiver second. ``displacement`` or
        ``edge_attr`` (E, 3) may hold ``r_sender - r_receiver`` (Å); without it the minimum image is taken.
        """

    def predict(self, graph: Data) -> Tensor:
        """Predict every atom, shape (N,)."""


class NodeAdapter:
    """Makes a :class:`NodeModel` of a network; a subclass adds what :meth:`graph` builds.

    ::

        class MyModel(NodeAdapter):
            def graph(self, glass):
                source, target, displacement = neighbour_edges(glass, cutoff=4.0)
                return Data(x=…, edge_index=…, edge_weight=…, displacement=…)

        predictor = Predictor(MyModel(network, species=("Cu", "Zr")))

    Parameters
    ----------
    network
        The network; its messages are those of PyG's ``MessagePassing`` layers.
    species
        Chemical symbols that it knows; None where it takes any.
    target
        What it predicts; the energy barrier where None.
    """

    def __init__(
        self, network: nn.Module, *, species: tuple[str, ...] | None = None, target: Target | None = None
    ) -> None:
        self.network = network
        self.species = species
        self.target = target

    @property
    def identity(self) -> str:
        """Hash of class, weights, species and plain attributes such as a cut-off."""
        return digest(self)

    def graph(self, glass: Glass) -> Data:
        """Build the network's input; see :meth:`NodeModel.graph`."""
        raise NotImplementedError(f"{type(self).__name__} does not say what graph its network takes of a glass.")

    def predict(self, graph: Data) -> Tensor:
        """Call ``network(x, edge_index, **others)`` with all else that the graph holds, but ``displacement``."""
        apart = ("x", "edge_index", "displacement", "num_nodes")
        others = {name: value for name, value in graph.to_dict().items() if name not in apart}
        output: Tensor = self.network(graph.x, graph.edge_index, **others)
        return output


class ConfiguredNetwork(nn.Module):
    """A network of this package: its ``config`` names species, cut-off and reach."""

    config: Any
    differentiable = True
    """Whether the gradient towards edge displacements is the whole derivative by positions."""

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols that the network knows."""
        species: tuple[str, ...] = self.config.species
        return species

    @property
    def identity(self) -> str:
        """Hash of class, weights and configuration."""
        return digest(self)

    def graph(self, glass: Glass) -> Data:
        """Build the network's input; raise InputError where the glass holds a species that it does not know."""
        return build_graph(glass, cutoff=self.config.cutoff, species=self.species, reach=self.config.reach)

    def with_description(self, graph: Data) -> Data:
        """Return the graph with all that is found once for the whole of it, whatever part of it is evaluated later."""
        return graph

    def predict(self, graph: Data) -> Tensor:
        """Predict every atom, shape (N,)."""
        predicted: Tensor = self(graph.x, graph.edge_index, graph.edge_attr)
        return predicted


def modules_of(model: object) -> list[nn.Module]:
    """Return the networks that a model consists of: itself, or what an adapter holds."""
    if isinstance(model, nn.Module):
        return [model]
    return [value for value in vars(model).values() if isinstance(value, nn.Module)]


def evaluated_copy(model: NodeModel) -> NodeModel:
    """Return a copy of a model in evaluation mode, whose weights ask for no gradients."""
    copied = copy.deepcopy(model)
    for module in modules_of(copied):
        module.eval().requires_grad_(requires_grad=False)
    return copied


def name_of(model: object) -> str:
    """Return the class of a network, or of the network that an adapter of one holds."""
    modules = modules_of(model)
    return type(modules[0]).__name__ if len(modules) == 1 else type(model).__name__


def require_node_model(model: object) -> object:
    """Return a network that is a :class:`NodeModel`, or raise InputError that says what it lacks."""
    lacking = [name for name in ("graph", "predict", "species", "identity") if not hasattr(type(model), name)]
    lacking = [name for name in lacking if name in ("graph", "predict") or not hasattr(model, name)]
    if lacking:
        raise InputError(
            f"{type(model).__name__} has no {', '.join(lacking)}: give a network of this package, or an "
            "adapter (a subclass of symgnn_explain.models.protocol.NodeAdapter that says which graph it takes)."
        )
    if not modules_of(model):
        raise InputError(
            f"{type(model).__name__} holds no torch.nn.Module: keep the network itself as an attribute of the adapter."
        )
    return model


def one_number_an_atom(model: NodeModel, graph: Data) -> Tensor:
    """Predict a whole graph, shape (N,), at least in single precision.

    A network in half precision computes as it is; masks and sums over its predictions need more digits.

    Raises InputError where the network does not give one number an atom, or cannot compute in the precision given.
    """
    try:
        output = model.predict(graph)
    except RuntimeError as error:
        if not any(words in str(error) for words in _OF_PRECISION):
            raise
        given = {name: value for name, value in graph.to_dict().items() if name != "displacement"}
        raise InputError(
            f"{name_of(model)} cannot compute in the precision that it is given: its weights are in "
            f"{_precisions(tensors_of(model))}, the numbers of its graph in {_precisions(given)} ({_line(error)}). "
            "Give both in one that your layers know, such as network.float() and torch.float32 in graph()."
        ) from error
    if not isinstance(output, Tensor) or output.numel() != graph.num_nodes or not output.is_floating_point():
        kind = type(output).__name__
        if isinstance(output, Tensor):
            kind = f"{str(output.dtype).removeprefix('torch.')} of shape {tuple(output.shape)}"
        raise InputError(f"{name_of(model)} gives {kind} for {graph.num_nodes} atoms: expected one float an atom.")
    return output.view(-1).to(torch.promote_types(output.dtype, torch.float32))


def _precisions(tensors: Mapping[str, Any]) -> str:
    """Name the precisions of what holds numbers with a point."""
    kinds = {value.dtype for value in tensors.values() if isinstance(value, Tensor) and value.is_floating_point()}
    return " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds)) or "none"


def _line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


def tensors_of(model: object) -> dict[str, Tensor]:
    """Return the weights of a model by name, on the CPU."""
    modules = modules_of(model)
    state = modules[0].state_dict() if len(modules) == 1 else nn.ModuleList(modules).state_dict()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def predicting(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that predictions hang on, by which a network is known."""
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(FORCES)}


def digest(model: Any) -> str:
    """Return the hash of a model's class, weights, species and configuration.

    The configuration of a network of another package is what public attributes of the adapter and of all modules say
    in plain values, such as a cut-off.
    """
    config: Any = getattr(model, "config", None)
    described = {
        "classes": [type(one).__qualname__ for one in (model, *modules_of(model))],
        "species": model.species,
        "config": config.to_dict() if hasattr(config, "to_dict") else _settings(model),
    }
    text = json.dumps(described, sort_keys=True).encode()
    return hashlib.sha256(text + hashlib.sha256(save(predicting(tensors_of(model)))).digest()).hexdigest()


def _settings(model: object) -> list[Any]:
    parts = [part for module in modules_of(model) for part in module.modules()]
    return [(type(owner).__qualname__, _plain_attributes(owner)) for owner in (model, *parts)]


def _plain_attributes(owner: object) -> dict[str, str]:
    """Return the attributes of an object and of its classes that are numbers, texts and the like, as JSON."""
    classes = [base for base in reversed(type(owner).__mro__) if base not in (object, nn.Module)]
    found = {}
    for name, value in {name: value for part in (*classes, owner) for name, value in vars(part).items()}.items():
        if not name.startswith("_") and name != "training":
            with suppress(TypeError, ValueError):
                found[name] = json.dumps(value, sort_keys=True)
    return found
