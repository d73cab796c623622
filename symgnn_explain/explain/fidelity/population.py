"""Fidelity over many atoms: means with confidence intervals, and differences to the nulls atom by atom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import Interval, bootstrap
from symgnn_explain.explain.fidelity.measure import Fidelity
from symgnn_explain.explain.fidelity.nulls import FidelityAgainstNulls
from symgnn_explain.models.target import Target
from symgnn_explain.structure.glass import FloatArray, IntArray

Quantity = Literal["sufficiency", "necessity"]


@dataclass(frozen=True, eq=False)
class PopulationFidelity:
    """Fidelity of the explanations of several atoms, against nulls.

    Parameters
    ----------
    atoms
        One record an atom.
    """

    atoms: tuple[FidelityAgainstNulls, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "atoms", tuple(self.atoms))
        if not self.atoms:
            raise InputError("a population needs at least one atom.")
        if any(set(atom.nulls) != set(self.atoms[0].nulls) for atom in self.atoms):
            raise InputError("the atoms were compared with different nulls: check them all in the same way.")
        if not len(self.count):
            raise InputError("the atoms were checked at different counts: check them all at the same ones.")

    @property
    def rankings(self) -> tuple[str, ...]:
        """The explanation and the nulls, by name."""
        return ("explanation", *self.atoms[0].nulls)

    @property
    def count(self) -> IntArray:
        """Counts that every atom was checked at, shape (n,)."""
        return reduce(np.intersect1d, [atom.observed.count for atom in self.atoms])

    @property
    def quantity(self) -> Target:
        """What is predicted."""
        return self.atoms[0].quantity

    def values(self, ranking: str, quantity: Quantity) -> FloatArray:
        """Means over the draws for each atom at each count, shape (n_atoms, n)."""
        return np.stack(
            [
                np.mean([_at(draw, quantity, self.count) for draw in _draws(atom, ranking)], axis=0)
                for atom in self.atoms
            ]
        )

    def interval(self, ranking: str, quantity: Quantity, count: int, *, seed: int = 0) -> Interval:
        """Mean over atoms at one count, with its 95 % interval by resampling atoms."""
        return bootstrap(self.values(ranking, quantity)[:, self._place(count)], seed=seed)

    def advantage(self, null: str, quantity: Quantity, count: int, *, seed: int = 0) -> Interval:
        """Mean over atoms of explanation minus null at one count: paired, so narrower than two intervals."""
        both = [self.values(ranking, quantity)[:, self._place(count)] for ranking in ("explanation", null)]
        return bootstrap(both[0] - both[1], seed=seed)

    def sufficient_count(self, ranking: str, tolerance: float | None = None, *, seed: int = 0) -> Interval:
        """Median over atoms of the sufficient count, with its 95 % interval; of a null, of the median over its draws.

        A ranking that never suffices counts as needing one unit more than the largest count.
        """
        medians = [np.median([_needed(draw, tolerance) for draw in _draws(atom, ranking)]) for atom in self.atoms]
        return bootstrap(medians, statistic="median", seed=seed)

    def to_frame(self) -> pd.DataFrame:
        """One row a ranking and count: ranking, count, sufficiency and necessity, each with low and high."""
        rows = []
        for ranking in self.rankings:
            values = {quantity: self.values(ranking, quantity) for quantity in ("sufficiency", "necessity")}
            for place, count in enumerate(self.count):
                row: dict[str, object] = {"ranking": ranking, "count": count}
                for quantity, of_atoms in values.items():
                    found = bootstrap(of_atoms[:, place])
                    row |= {quantity: found.value, f"{quantity}_low": found.low, f"{quantity}_high": found.high}
                rows.append(row)
        return pd.DataFrame(rows)

    def summary(self, tolerance: float | None = None) -> pd.DataFrame:
        """One row a ranking: areas and sufficient_count, each with low and high; bootstrap over atoms."""
        rows = []
        for ranking in self.rankings:
            found = {
                "insertion_area": bootstrap(self._means(ranking, "insertion_area")),
                "deletion_area": bootstrap(self._means(ranking, "deletion_area")),
                "sufficient_count": self.sufficient_count(ranking, tolerance),
            }
            row: dict[str, object] = {"ranking": ranking}
            for name, interval in found.items():
                row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
            rows.append(row)
        return pd.DataFrame(rows)

    def _means(self, ranking: str, name: str) -> list[float]:
        return [float(np.mean([getattr(draw, name) for draw in _draws(atom, ranking)])) for atom in self.atoms]

    def _place(self, count: int) -> int:
        places = np.flatnonzero(self.count == count)
        if not places.size:
            raise InputError(f"{count=} was not checked for every atom: choose from {self.count.tolist()}.")
        return int(places[0])


def _draws(atom: FidelityAgainstNulls, ranking: str) -> Sequence[Fidelity]:
    if ranking == "explanation":
        return (atom.observed,)
    if ranking not in atom.nulls:
        raise InputError(f"{ranking=} is unknown: choose from explanation, {', '.join(atom.nulls)}.")
    return atom.nulls[ranking]


def _at(checked: Fidelity, quantity: Quantity, count: IntArray) -> FloatArray:
    values: FloatArray = getattr(checked, quantity)
    return values[np.searchsorted(checked.count, count)]


def _needed(checked: Fidelity, tolerance: float | None) -> int:
    needed = checked.sufficient_count(tolerance)
    return int(checked.count[-1]) + 1 if needed is None else needed
