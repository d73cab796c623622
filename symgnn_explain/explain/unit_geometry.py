"""Where the units of one atom's receptive field are: hops, distances and lengths, without a glance at the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from symgnn_explain.explain.masked_prediction import MaskedPrediction
from symgnn_explain.explain.rankings import unit_distances
from symgnn_explain.glass import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class UnitGeometry:
    """Hop, distance and length of each unit.

    Parameters
    ----------
    hop
        Bonds from the explained atom to the receiving atom of an edge, a bond (the nearer end) or a polyhedron, and to
        the sending atom of an atom's or a shell's messages, shape (n_units,).
    distance
        From the explained atom, shape (n_units,), Å; see :func:`~.rankings.unit_distances`.
    length
        Of an edge or a bond; of other units, which have none, the distance; shape (n_units,), Å.
    """

    hop: IntArray
    distance: FloatArray
    length: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """One row a unit: hop, distance, length (Å)."""
        return pd.DataFrame({"hop": self.hop, "distance": self.distance, "length": self.length})


def unit_geometry(prediction: MaskedPrediction) -> UnitGeometry:
    """Find hop, distance and length of each unit of one atom's prediction; the smallest hop among a unit's edges."""
    field, units = prediction.forward.field, prediction.units
    sends = units.kind in ("atom", "shell")
    hop = field.node_hop[field.source] if sends else field.hop
    smallest = np.full(len(units), np.iinfo(np.int64).max)
    np.minimum.at(smallest, units.of_edge, hop.cpu().numpy())
    distance = unit_distances(prediction)
    length = distance
    if units.kind in ("edge", "bond"):
        length = units.gather(np.linalg.norm(prediction.displacement, axis=1), mean=True)
    return UnitGeometry(smallest, distance, length)
