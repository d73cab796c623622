"""A trained network on a device, with its card: what the rest of the toolkit predicts with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.models.blocks import Surrounded
from symgnn_explain.models.calibration import Calibration
from symgnn_explain.models.checkpoint import load_checkpoint, save_checkpoint, weights_sha256
from symgnn_explain.models.domain import Domain
from symgnn_explain.models.ensemble import SymGNNLike
from symgnn_explain.models.protocol import (
    ConfiguredNetwork,
    NodeModel,
    modules_of,
    name_of,
    one_number_an_atom,
    require_node_model,
)
from symgnn_explain.models.registry import Network
from symgnn_explain.models.sweep import BLOCK_ATOMS, Sweep, net_force_of, sweep, sweep_first
from symgnn_explain.models.target import Target
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.graph import require_species

SHIPPED = {"accurate": "symgnn_cu64zr36.safetensors", "symgnn": "symgnn_vectors_cu64zr36.safetensors"}
"""Files of the networks that ship, by name: the default one, and one that sees displacement vectors alone."""


class AtomPredictions(NamedTuple):
    """What a predictor says of every atom, shape (N,) each.

    Parameters
    ----------
    values
        Predictions, in the unit of the target.
    spread
        Standard deviation of a label about them; None where it was never calibrated.
    domain
        Score of the domain, 1 at the edge of what training covered; None where the network has none.
    """

    values: FloatArray
    spread: FloatArray | None
    domain: FloatArray | None


class Predicted(NamedTuple):
    """What :class:`AtomPredictions` holds, and mean messages of each layer of each member, shape (heads, dim) each.

    The latter are None where the network is no SymGNN.
    """

    said: AtomPredictions
    messages: list[list[Tensor]] | None


class Predictor:
    """Predicts one number for every atom of a glass: its :attr:`target`, such as the energy barrier.

    Deterministic: the network is in evaluation mode, with the transformations that were fixed when it was trained.

    Parameters
    ----------
    model
        The network: one of this package, or any other that is a :class:`~.protocol.NodeModel`. It is used as it is:
        moved to the device and put in evaluation mode, but never changed.
    card
        What is known about it: target, data, metrics, versions, seed.
    device
        ``auto`` (a GPU when there is one), ``cpu`` or ``cuda``.
    target
        What it predicts; where None, what an adapter (its ``target``) or else the card says, and the energy barrier
        where neither does.

    Raises
    ------
    InputError
        If the device is not there, or the target has no tolerance.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> predictor = Predictor.load(device="cpu")
    >>> predictor
    Predictor(energy barrier by SymGNNEnsemble of Cu Zr, cpu)
    >>> predictor.predict(datasets.sample("cu50zr50"))[:3].round(2)
    array([1.76, 1.31, 1.59])
    """

    def __init__(
        self,
        model: Network | NodeModel,
        card: dict[str, Any] | None = None,
        *,
        device: str = "auto",
        target: Target | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self.model: Any = require_node_model(model)
        for module in modules_of(model):
            module.to(self.device)
            if isinstance(model, nn.Module):  # what an adapter holds is the user's, and may be in training
                module.eval()
        self.card = dict(card or {})
        target = target or getattr(model, "target", None)
        if target is not None:
            self.card["target"] = target.to_dict()
        _ = self.target.required_tolerance
        self.path: Path | None = None
        """The file or name that the weights were loaded by; None for the default, and for a network not loaded."""

    def __repr__(self) -> str:
        of = f" of {' '.join(self.species)}" if self.species else ""
        return f"Predictor({self.target.name} by {name_of(self.model)}{of}, {self.device})"

    @classmethod
    def load(cls, path: str | Path | None = None, *, device: str = "auto") -> Predictor:
        """Load weights (``.safetensors`` with a ``.json`` card beside it), or a network that ships, by its name.

        Parameters
        ----------
        path
            A file, or a name in :data:`SHIPPED`; ``accurate`` where it is None.
        device
            ``auto`` (a GPU when there is one), ``cpu`` or ``cuda``.

        Raises
        ------
        InputError
            If a file is missing or damaged, or the device is not there.
        """
        file = SHIPPED.get("accurate" if path is None else str(path))
        model, card = load_checkpoint(
            Path(str(path)) if file is None else Path(str(files("symgnn_explain") / "data" / file))
        )
        predictor = cls(model, card, device=device)
        predictor.path = None if path is None or str(path) == "accurate" else Path(path)
        return predictor

    def save(self, path: str | Path) -> Path:
        """Write weights and card; see :meth:`load`."""
        path = Path(path)
        if path.suffix != ".safetensors":
            raise InputError(f"{path} must end in .safetensors: that is how predictors are stored.")
        if not isinstance(self.model, Network):
            raise InputError(
                f"{type(self.model).__name__} is no network of this package: save its weights as its own library does."
            )
        save_checkpoint(self.model, path, self.card)
        return path

    @property
    def target(self) -> Target:
        """What is predicted."""
        return Target.from_dict(self.card.get("target"))

    @property
    def species(self) -> tuple[str, ...] | None:
        """Chemical symbols that the network knows; None where it takes any."""
        species: tuple[str, ...] | None = self.model.species
        return species

    @property
    def cutoff(self) -> float | None:
        """Radius (Å) up to which a network of this package joins atoms by edges; None for another."""
        cutoff: float | None = self.model.config.cutoff if isinstance(self.model, ConfiguredNetwork) else None
        return cutoff

    @property
    def identity(self) -> str:
        """Hash of weights and configuration: records, caches and sessions are known by it."""
        return str(self.model.identity)

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights alone, as it stands on the card of the file that they are saved in."""
        return weights_sha256(self.model)

    @property
    def config(self) -> dict[str, Any]:
        """Hyperparameters of a network of this package; class and identity of another."""
        if isinstance(self.model, ConfiguredNetwork):
            config: dict[str, Any] = self.model.config.to_dict()
            return config
        return {"class": type(self.model).__qualname__, "identity": self.identity}

    def graph(self, glass: Glass) -> Data:
        """Build the network's input for ``glass``, on the predictor's device.

        Raises
        ------
        InputError
            If the glass holds a species that the network does not know.
        """
        require_species(glass, self.species)
        graph = self.model.graph(glass)
        n_atoms = graph.num_nodes if isinstance(graph, Data) else type(graph).__name__
        if n_atoms != len(glass):
            raise InputError(
                f"{type(self.model).__name__}.graph gives {n_atoms} for {len(glass)} atoms: expected the "
                "torch_geometric.data.Data of all of them, in the order of the glass."
            )
        return graph.to(self.device)

    @torch.no_grad()
    def predict_graph(self, graph: Data) -> Tensor:
        """Predict the whole graph that :meth:`graph` built, shape (N,)."""
        with evaluation_mode(*modules_of(self.model)):
            return one_number_an_atom(self.model, graph)

    @torch.no_grad()
    def predict(self, glass: Glass, *, chunk_atoms: int = BLOCK_ATOMS) -> FloatArray:
        """Predict every atom, shape (N,), in the unit of the :attr:`target`.

        Parameters
        ----------
        glass
            The structure.
        chunk_atoms
            A larger glass is predicted in pieces of so many atoms, to the same result but for rounding.

        Raises
        ------
        InputError
            If the glass holds a species that the network does not know.
        """
        return self.predict_members(glass, chunk_atoms=chunk_atoms).mean(axis=1)

    @torch.no_grad()
    def predict_members(self, glass: Glass, *, chunk_atoms: int = BLOCK_ATOMS) -> FloatArray:
        """Predict every atom by every member of an ensemble, shape (N, M); M is 1 for any other network.

        As :meth:`predict`, which returns the mean over members.
        """
        return self._swept(glass, chunk_atoms).members

    @torch.no_grad()
    def predict_atoms(
        self, glass: Glass, *, chunk_atoms: int = BLOCK_ATOMS, progress: Callable[[float], None] | None = None
    ) -> AtomPredictions:
        """Predict every atom, with how uncertain that is and whether training covered its surroundings.

        ``progress`` is called with the fraction done, by the networks that predict block by block.

        Raises
        ------
        InputError
            If the glass holds a species that the network does not know.
        """
        return self.said(self._swept(glass, chunk_atoms, progress))

    def predict_first(self, block: Surrounded, *, progress: Callable[[float], None] | None = None) -> AtomPredictions:
        """Say of the atoms of a block what :meth:`predict_atoms` says of them in the glass that it was cut out of."""
        with evaluation_mode(self.model):
            return self.said(sweep_first(self.model, *block, progress=progress))

    def predict_glass(self, glass: Glass, *, progress: Callable[[float], None] | None = None) -> Predicted:
        """Say what :meth:`predict_atoms` does, and what atoms receive."""
        found = self._swept(glass, BLOCK_ATOMS, progress)
        return Predicted(self.said(found), found.received or None)

    @property
    def describes(self) -> bool:
        """Whether atoms know of others by descriptors too, and not by messages alone."""
        return isinstance(self.model, SymGNNLike) and bool(self.model.describes)

    @property
    def domain(self) -> Domain | None:
        """What training covered, as held-out glasses say; None where none did."""
        stored = self.card.get("protocol", {}).get("domain")
        observes = isinstance(self.model, SymGNNLike) and self.model.observes
        return Domain.from_dict(stored) if stored is not None and observes else None

    def domain_sentence(self, glass: Glass, score: FloatArray | None) -> str:
        """Say how much of a glass lies outside of what training covered, and why; empty where little does.

        Parameters
        ----------
        glass, score
            A glass, and the domain score of its atoms, shape (N,); None where that is not known, and nothing is said.
        """
        domain = self.domain
        if domain is None or score is None:
            return ""
        return domain.sentence(glass, score, lambda: net_force_of(self.model, glass))

    @property
    def calibration(self) -> Calibration | None:
        """How the disagreement of members becomes a spread, as held-out glasses say; None where none did."""
        stored = self.card.get("protocol", {}).get("calibration")
        return None if stored is None else Calibration.from_dict(stored)

    @torch.no_grad()
    def predict_with_spread(self, glass: Glass) -> tuple[FloatArray, FloatArray]:
        """Predict every atom, and how uncertain that is.

        Returns
        -------
        predictions, spread
            Shape (N,) each: the prediction, and the standard deviation of a label about it. It was measured on glasses
            held out of training and holds the noise of the labels too.

        Raises
        ------
        InputError
            If the glass holds a species that the network does not know, or the predictor was never calibrated.
        """
        values, spread, _ = self.predict_atoms(glass)
        if spread is None:
            raise InputError(
                "this predictor has no calibrated spread, as its card names no glasses held out: use predict, or train "
                "one with --validate, or with --final --cross-validation."
            )
        return values, spread

    def spread(self, glass: Glass) -> FloatArray | None:
        """Return the spread of :meth:`predict_with_spread`, shape (N,); None where it was never calibrated."""
        return self.predict_atoms(glass).spread

    def neighbourhood_length(self, glass: Glass) -> FloatArray | None:
        """Return what the domain score is measured by, shape (N,); None where surroundings are not described.

        See :func:`symgnn_explain.models.domain.neighbourhood_length`.
        """
        return self._swept(glass, BLOCK_ATOMS).length

    def _swept(self, glass: Glass, chunk_atoms: int, progress: Callable[[float], None] | None = None) -> Sweep:
        if not isinstance(self.model, SymGNNLike):
            return self._all_at_once(self.graph(glass))
        with evaluation_mode(self.model):
            return sweep(self.model, glass, block_atoms=chunk_atoms, progress=progress)

    def _all_at_once(self, graph: Data) -> Sweep:
        values: FloatArray = self.predict_graph(graph)[:, None].double().cpu().numpy()
        return Sweep(values, None, [])

    def said(self, found: Sweep) -> AtomPredictions:
        """Say what a sweep says, with its spread and domain score."""
        members, domain = found.members, self.domain
        disagreement = members.std(axis=1, ddof=1) if members.shape[1] > 1 else np.zeros(len(members))
        score = None if domain is None or found.length is None else found.length / domain.edge
        spread = None if self.calibration is None else self.calibration.spread(disagreement, score)
        return AtomPredictions(members.mean(axis=1), spread, score)


@contextmanager
def evaluation_mode(*models: nn.Module) -> Iterator[None]:
    """Put networks in evaluation mode, and each of their modules back into the mode it was in afterwards."""
    were_training = [module for model in models for module in model.modules() if module.training]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for module in were_training:
            module.training = True


def resolve_device(device: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device, or raise InputError if it is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' was asked for, but PyTorch sees no GPU here: use 'auto' or 'cpu'.")
    if device not in ("cpu", "cuda"):
        raise InputError(f"device {device!r} is unknown: use 'auto', 'cpu' or 'cuda'.")
    return torch.device(device)
