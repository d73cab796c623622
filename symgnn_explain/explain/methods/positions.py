"""Which displacement of which atom would raise the prediction of one atom.

The network sees positions through the displacements of its edges alone, so its derivative by the position of an atom is
a sum over the atom's edges; it is exact, and the plain network's own. Moving all atoms together changes nothing: the
derivatives sum to zero.

A derivative says what happens at first, and predictions are curved. Those of the shipped weights are smooth; networks
without ``smooth`` jump where an edge appears or vanishes at the cut-off. ``benchmarks/single_atom_changes.py`` compares
derivatives with shifts of 0.05 Å.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import Data

from symgnn_explain.errors import InputError, first_rows
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.models.chunked import receptive_field
from symgnn_explain.models.ensemble import SymGNNLike, predict_graph
from symgnn_explain.models.protocol import ConfiguredNetwork, NodeModel, name_of
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray


@dataclass(frozen=True, eq=False)
class PositionAttribution:
    """How fast one atom's prediction rises with the position of every atom that it depends on.

    Parameters
    ----------
    atom
        The explained atom.
    atoms
        Atoms of its receptive field, shape (M,), the explained one first.
    gradient
        Derivative of the prediction by their positions, shape (M, 3), in its unit/Å: along it a displacement raises it.
    position
        Where they sit relative to the explained atom, by the minimum image, shape (M, 3), Å.
    prediction
        Of the explained atom.
    glass_name, glass_sha256
        Which glass was explained.
    quantity
        What is predicted.
    """

    atom: int
    atoms: IntArray
    gradient: FloatArray
    position: FloatArray
    prediction: float
    glass_name: str
    glass_sha256: str
    quantity: Target = BARRIER

    def __repr__(self) -> str:
        what = f"atom {self.atom} of {self.glass_name!r}, {len(self.atoms)} atoms"
        return f"PositionAttribution({what}, {self.quantity.text(self.prediction)})"

    @property
    def magnitude(self) -> FloatArray:
        """Length of each derivative, shape (M,)."""
        return np.linalg.norm(self.gradient, axis=1)

    @property
    def distance(self) -> FloatArray:
        """Distance of each atom from the explained one, shape (M,), Å."""
        return np.linalg.norm(self.position, axis=1)

    @property
    def outward(self) -> FloatArray:
        """Derivative by moving straight away from the explained atom, shape (M,); 0 for that atom itself."""
        distance = self.distance
        return (self.gradient * self.position).sum(1) / np.where(distance > 0, distance, 1.0)

    def rank(self) -> IntArray:
        """Rows from the largest derivative to the smallest; ties in the order of the rows."""
        return np.argsort(-self.magnitude, kind="stable")

    def to_frame(self, k: int | None = None) -> pd.DataFrame:
        """List the ``k`` atoms with the largest derivatives (all where None).

        Columns: rank, atom, distance (Å), gx, gy, gz, magnitude, outward (in the unit of the prediction/Å).
        """
        rows = self.rank()[first_rows(k)]
        columns = {
            "atom": self.atoms,
            "distance": self.distance,
            **dict(zip(("gx", "gy", "gz"), self.gradient.T, strict=True)),
        }
        table = pd.DataFrame({**columns, "magnitude": self.magnitude, "outward": self.outward}).iloc[rows]
        table.insert(0, "rank", np.arange(1, len(table) + 1))
        return table.reset_index(drop=True)

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless this explains an atom of ``glass``."""
        if self.glass_sha256 != glass.content_hash:
            raise InputError(
                f"the derivatives belong to another glass ({self.glass_name!r}) than the one given ({glass.name!r})."
            )


def explain_positions(prepared: PreparedGlass, atom: int) -> PositionAttribution:
    """Differentiate the prediction of ``atom`` by the positions of all atoms that it depends on.

    Parameters
    ----------
    prepared
        What ``prepare(predictor, glass)`` returned.
    atom
        Index of the explained atom, from 0.

    Raises
    ------
    InputError
        If there is no such atom, or the network's derivative by positions is not known.

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets, prepare
    >>> prepared = prepare(Predictor.load(device="cpu"), datasets.sample("cu50zr50"))
    >>> explain_positions(prepared, 12).to_frame(2)[["atom", "magnitude"]].round(2).to_numpy().tolist()  # eV/Å
    [[685.0, 0.98], [515.0, 0.67]]
    """
    glass = prepared.glass
    atom = glass.require_atom(atom)
    with one_thread():
        around = prepared.around(atom)
        found = differentiate(prepared.predictor.model, around.graph, around.node_of(atom))
        atoms = around.atoms_of(found.nodes)
    return PositionAttribution(
        atom=atom,
        atoms=atoms,
        gradient=found.by_position,
        position=glass.displacements_from(atom)[atoms],
        prediction=found.prediction,
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
        quantity=prepared.predictor.target,
    )


class Derivatives(NamedTuple):
    """Derivatives of one prediction.

    Parameters
    ----------
    nodes
        Those that it depends on, shape (M,), the predicted one first.
    prediction
        Its value.
    by_position
        By their positions, shape (M, 3).
    by_strain
        By a strain of all displacements: [a, b] by that which adds the a-th component of each to its b-th.
    """

    nodes: IntArray
    prediction: float
    by_position: FloatArray
    by_strain: FloatArray


def differentiate(model: NodeModel, graph: Data, atom: int) -> Derivatives:
    """Differentiate the prediction of one node by displacements.

    Raises InputError where the network's derivative by positions is not known.
    """
    if not isinstance(model, ConfiguredNetwork) or not model.differentiable:
        raise InputError(
            f"the predictions of {name_of(model)} cannot be differentiated by positions: this is known for networks of "
            "this package that read them through the displacements of their edges alone."
        )
    model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    if isinstance(model, SymGNNLike):
        field, atoms = receptive_field(graph, torch.tensor([atom], device=graph.x.device), model.hops)
    else:  # how far another network sees is not asked: the whole graph is always right
        field, atoms = copy.copy(graph), torch.arange(graph.num_nodes, device=graph.x.device)
        field.edge_attr = graph.edge_attr.clone()
    place = int((atoms == atom).nonzero())
    lists = [name for name in ("edge", "pair") if f"{name}_attr" in field]
    for name in lists:
        field[f"{name}_attr"].requires_grad_()
    prediction = predict_graph(model, field)[place]
    vectors = [field[f"{name}_attr"] for name in lists]
    if prediction.requires_grad:
        by_vector = torch.autograd.grad(prediction, vectors, allow_unused=True, materialize_grads=True)
    else:  # a network of the species alone
        by_vector = tuple(map(torch.zeros_like, vectors))
    gradient = torch.zeros(len(atoms), 3, dtype=torch.float64, device=atoms.device)
    strain = torch.zeros(3, 3, dtype=torch.float64, device=atoms.device)
    for name, vector, derivative in zip(lists, vectors, by_vector, strict=True):
        source, target = field[f"{name}_index"]
        gradient.index_add_(0, source, derivative.double()).index_add_(0, target, derivative.double(), alpha=-1)
        strain += vector.detach().double().T @ derivative.double()
    order = torch.argsort((atoms != atom).int(), stable=True)
    by_position, by_strain = gradient[order].cpu().numpy(), strain.cpu().numpy()
    return Derivatives(atoms[order].cpu().numpy(), float(prediction.detach()), by_position, by_strain)
