"""Which units act together in one atom's prediction: a result with Shapley values and interactions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.protocol import Covers, MaskSemantics
from symgnn_explain.explain.set_functions import by_order, interactions, variance_by_order
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

ORDERS = (1, 2, 3)
"""Sizes of sets whose interactions are told."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """An atom's prediction for every coalition of a few units, and what follows from it.

    Shapley values and interactions are those of :func:`~symgnn_explain.explain.set_functions.interactions`, exact by
    enumeration. The n-body share of the prediction is the sum of Harsanyi's dividends of all sets of n units: what n
    units bring together beyond all that fewer of them bring, starting from everything masked. These shares sum to
    the prediction minus the one with everything masked. They are to units and masks what the n-body relevances of
    Bonneau et al. (Nat. Commun. 16, 9898, 2025) are to walks through the layers of a network.

    Parameters
    ----------
    atom
        The explained atom.
    kind
        What the units are: ``neighbours``, ``shells``, ``species``, ``polyhedra`` or ``atoms`` that were named.
    names
        Of the units, n.
    atoms
        Atoms of each unit; none of the unit that holds all others.
    coalitions
        Predictions, shape (2^n,): unit ``u`` is as it is where bit ``u`` of the index is set, else masked.
    prediction, baseline
        Of the explained atom with nothing and with everything masked, as the engine gives them for single masks.
    covers, mask_semantics, quantity, glass_name, glass_sha256, wall_time
        As of an :class:`~symgnn_explain.explain.result.explanation.AtomExplanation`.
    caveats
        Plain sentences on why this should be read with care.

    Examples
    --------
    ::

        together = prepared.interactions(1501)
        together.to_frame(2)                     # Shapley values, and how much each two act together, eV
        together.body_shares()                   # one-, two- and three-body share of the prediction
        together.plot().show()
    """

    atom: int
    kind: str
    names: tuple[str, ...]
    atoms: tuple[IntArray, ...]
    coalitions: FloatArray
    prediction: float
    baseline: float
    covers: Covers = "everything"
    mask_semantics: MaskSemantics = "reference"
    quantity: Target = BARRIER
    glass_name: str = "glass"
    glass_sha256: str = ""
    wall_time: float = 0.0
    caveats: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Interactions(atom {self.atom} of {self.glass_name!r}, {len(self)} {self.kind})"

    @cached_property
    def values(self) -> FloatArray:
        """Shapley value of each unit, shape (n,): they sum to the prediction minus the baseline."""
        return self.of_order(1)["score"].to_numpy()

    @property
    def completeness_error(self) -> float:
        """Sum of the Shapley values minus what they add up to, prediction minus baseline."""
        return float(self.values.sum()) - (self.prediction - self.baseline)

    @cached_property
    def matrix(self) -> FloatArray:
        """Shapley interaction value of each pair, shape (n, n), symmetric; Shapley values on the diagonal."""
        matrix = np.diag(self.values)
        for (first, second), score in zip(combinations(range(len(self)), 2), self.of_order(2)["score"], strict=True):
            matrix[first, second] = matrix[second, first] = score
        return matrix

    def of_order(self, order: int) -> pd.DataFrame:
        """List all sets of so many units: ``units`` (their numbers), ``names``, ``score`` (unit of the prediction).

        Raises
        ------
        InputError
            If the order is not 1, 2 or 3.
        """
        if order not in ORDERS:
            raise InputError(f"{order=} must be 1 (values), 2 (pairs) or 3 (triples).")
        sets = list(combinations(range(len(self)), order))
        names = [" · ".join(self.names[unit] for unit in chosen) for chosen in sets]
        return pd.DataFrame({"units": sets, "names": names, "score": interactions(self.coalitions, sets)})

    def to_frame(self, order: int = 2) -> pd.DataFrame:
        """List Shapley values, and interactions up to an order, the largest of each order first.

        Columns: ``order``, ``names``, ``score``. Raises InputError if the order is not 1, 2 or 3.
        """
        if order not in ORDERS:
            raise InputError(f"{order=} must be 1 (values), 2 (pairs) or 3 (triples).")
        parts = []
        for size in range(1, order + 1):
            table = self.of_order(size)
            table = table.iloc[np.argsort(-np.abs(table["score"].to_numpy()), kind="stable")].drop(columns="units")
            table.insert(0, "order", size)
            parts.append(table)
        return pd.concat(parts, ignore_index=True)

    def body_shares(self) -> pd.DataFrame:
        """Split the prediction minus the baseline by how many units act together.

        Returns
        -------
        DataFrame
            One row for one, two and three bodies and for more: ``bodies``; ``sum``, of the dividends, in the unit of
            the prediction (these sum to prediction minus baseline); ``variance``, share of the variance over all
            coalitions, from 0 to 1 (these sum to 1). Dividends start from everything masked and may cancel;
            the variance looks at all coalitions alike.
        """
        share, variance = by_order(self.coalitions), variance_by_order(self.coalitions)
        variance = variance / (variance.sum() or 1.0)
        known = [number for number in ORDERS if number < len(share)]
        rows = [(str(number), share[number], variance[number]) for number in known]
        if len(share) > len(known) + 1:
            rows.append(("more", share[len(known) + 1 :].sum(), variance[len(known) + 1 :].sum()))
        return pd.DataFrame(rows, columns=["bodies", "sum", "variance"])

    @property
    def in_space(self) -> bool:
        """Whether lines between units can be drawn in space: two of them at least are one atom, and none is more."""
        counts = [len(atoms) for atoms in self.atoms]
        return max(counts) == 1 and counts.count(1) > 1

    def plot(self) -> go.Figure:
        """Draw values and pairs as a matrix; see :func:`symgnn_explain.plotting.interactions.interaction_figure`."""
        from symgnn_explain.plotting.interactions import interaction_figure

        return interaction_figure(self)

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless this is about an atom of ``glass``."""
        if self.glass_sha256 and self.glass_sha256 != glass.content_hash:
            raise InputError(
                f"the interactions belong to another glass ({self.glass_name!r}) than the one given ({glass.name!r})."
            )

    def summary(self) -> dict[str, Any]:
        """Return what stands for the whole, ready for JSON."""
        quantity = self.quantity
        return {
            "units": self.kind,
            "names": list(self.names),
            "mask_semantics": self.mask_semantics,
            "masks_cover": self.covers,
            quantity.key("baseline"): self.baseline,
            quantity.key("completeness_error"): self.completeness_error,
            "body_shares": self.body_shares().rename(columns={"sum": quantity.key("sum")}).to_dict(orient="records"),
            "caveats": list(self.caveats),
            "wall_time_s": self.wall_time,
        }
