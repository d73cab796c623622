"""Where the units of one atom's receptive field are in structure and graph, without a glance at a network's weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.structure.glass import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class UnitGeometry:
    """Hop, distance, length and flow of each unit.

    Parameters
    ----------
    hop
        Bonds from the explained atom to the receiving atom of a pair, an edge, a bond (the nearer end) or a polyhedron,
        and to the sending atom of an atom's or a shell's messages, shape (n_units,).
    distance
        From the explained atom, shape (n_units,), Å; see :func:`unit_distances`.
    length
        Of a pair, an edge or a bond; of other units, which have none, the distance; shape (n_units,), Å.
    flow
        How much of the messages reaches the explained atom along the unit's edges where every atom attends evenly to
        all its neighbours, summed over layers, shape (n_units,): what the graph alone says about importance. It falls
        with every hop, and rises with the number of walks from an edge to the explained atom.
    """

    hop: IntArray
    distance: FloatArray
    length: FloatArray
    flow: FloatArray

    def flow_classes(self, per_hop: int = 20) -> IntArray:
        """Sort units into classes of one hop and about the same flow, ``per_hop`` of equal size; shape (n_units,)."""
        label = np.empty_like(self.hop)
        for hop in np.unique(self.hop):
            members = np.flatnonzero(self.hop == hop)
            rank = np.argsort(np.argsort(self.flow[members], kind="stable"), kind="stable")
            label[members] = hop * per_hop + rank * per_hop // len(members)
        return label


def unit_geometry(prediction: MaskedPrediction) -> UnitGeometry:
    """Find where each unit of one atom's prediction is; its hop is the smallest among its edges."""
    field, units = prediction.forward.field, prediction.units
    sends = units.kind in ("atom", "shell")
    hop = field.node_hop[field.source] if sends else field.hop
    smallest = np.full(len(units), np.iinfo(np.int64).max)
    np.minimum.at(smallest, units.of_edge, hop.cpu().numpy())
    distance = unit_distances(prediction)
    length = distance
    if units.kind in ("pair", "edge", "bond"):
        length = units.gather(np.linalg.norm(prediction.displacement, axis=1), mean=True)
    flow = units.gather(_even_flow(field), mean=False)
    return UnitGeometry(smallest, distance, length, flow)


def unit_distances(prediction: MaskedPrediction) -> FloatArray:
    """Distance of each unit from the explained atom, shape (n_units,), Å, by the minimum image.

    An atom or a polyhedron is where its atom is, an edge or a bond as far as its two ends are on average, and a shell
    as far as its edges are on average.
    """
    glass, units = prediction.glass, prediction.units
    of_atom = np.linalg.norm(glass.displacements_from(prediction.atom), axis=1)
    if units.kind in ("atom", "polyhedron"):
        distance: FloatArray = of_atom[units.table["atom"].to_numpy()]
        return distance
    return units.gather((of_atom[prediction.source] + of_atom[prediction.target]) / 2, mean=True)


def _even_flow(field: ReceptiveField) -> FloatArray:
    """Follow even attention back from the explained atom, layer by layer, shape (E,)."""
    source, target = field.source.cpu().numpy(), field.target.cpu().numpy()
    n_nodes, n_layers = len(field.nodes), len(field.n_edges)
    n_neighbours = np.bincount(target, minlength=n_nodes)
    total = np.zeros(len(source))
    reached: FloatArray = np.zeros(n_nodes)
    reached[0] = 1.0
    for _ in range(n_layers):
        flow = reached[target] / n_neighbours[target]
        total += flow
        # Updates are residual: what an atom holds stays, and what it hears comes from its neighbours.
        reached = reached + np.bincount(source, weights=flow, minlength=n_nodes)
    return total
