"""Chemical order: which species prefer each other as neighbours, shell by shell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.nulls.null_models import resampled_interval
from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.neighbours import Neighbours, neighbours_within
from symgnn_explain.structure.radial import radial_distribution

RESAMPLES = 1000

_ON_A_BOUND = 1e-9  # distances (Å) that only rounding keeps above a bound belong below it


@dataclass(frozen=True, eq=False, repr=False)
class ChemicalOrder(Brief):
    """Coordination numbers and Warren-Cowley parameters of every pair of species in every shell.

    Parameters
    ----------
    pairs
        One row a shell, centre and neighbour, see :meth:`to_frame`.
    like_neighbours
        Share of an atom's neighbours in the first shell that are of its own species, shape (N,); NaN without any.
    """

    pairs: pd.DataFrame
    like_neighbours: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """One row a shell, centre and neighbour.

        Columns: ``inner`` and ``outer`` bound of the shell (Å); species ``centre`` and ``neighbour``; ``coordination``,
        mean number of such neighbours of such a centre; their ``share`` of all neighbours of such centres in the shell;
        ``warren_cowley``, ``1 - share / concentration of the neighbour``, with a bootstrap 95 % interval over the
        centres (``low``, ``high``; NaN for a single one): 0 where species are mixed at random, negative where the pair
        is preferred, 1 where there is none; ``size_corrected``, ``1 - share / expected share``, where neighbours are
        expected in proportion to how many neighbours each species has in all: large atoms have more of them and stand
        around others more often, whatever their chemistry.
        """
        return self.pairs.copy()


def chemical_order(glass: Glass, shells: Sequence[float] | None = None, *, seed: int = 0) -> ChemicalOrder:
    """Coordination numbers and Warren-Cowley parameters by shell (Cowley, Phys. Rev. 77, 669, 1950).

    α = 1 - p / c, with p the share of a species among the neighbours of another in the shell and c its concentration.
    Where species differ in their coordination numbers Z, α is not the same from either side, and not 0 for random
    mixing either; 1 - Z_AB <Z> / (c_B Z_A Z_B) then is (Cargill and Spaepen, J. Non-Cryst. Solids 43, 91, 1981).

    Parameters
    ----------
    shells
        Outer bounds of the shells, ascending, Å; the minima of the total g(r) where None.
    seed
        Of the bootstrap over atoms.

    Raises
    ------
    InputError
        If the bounds are not ascending lengths, or g(r) has no minimum.

    Examples
    --------
    >>> b2 = Glass([[0, 0, 0], [1.63, 1.63, 1.63]], [29, 40], np.eye(3) * 3.26)
    >>> table = chemical_order(b2).to_frame()
    >>> float(table["warren_cowley"][1])  # Zr around Cu in the first shell: nothing else
    -1.0
    """
    bounds = np.asarray(radial_distribution(glass).minima if shells is None else shells, dtype=np.float64)
    if not (bounds.ndim == 1 and bounds.size and np.isfinite(bounds).all() and (np.diff([0, *bounds]) > 0).all()):
        raise InputError(
            f"shells end at {bounds.tolist()}: expected ascending distances in Å, and g(r) of {glass.name!r} "
            "must have a minimum where none are given."
        )
    neighbours = neighbours_within(glass, float(bounds[-1]) + 2 * _ON_A_BOUND)
    shell = np.searchsorted(bounds + _ON_A_BOUND, neighbours.distance, side="left")
    numbers, kind = np.unique(glass.numbers, return_inverse=True)
    counts = _count(neighbours, shell, kind, n_shells=len(bounds), n_kinds=len(numbers))
    random = np.random.default_rng(seed)
    concentration = np.bincount(kind) / len(glass)
    resampled = [_resampled_sums(counts[kind == centre], random) for centre in range(len(numbers))]
    pairs = []
    for place, (inner, outer) in enumerate(pairwise([0.0, *bounds.tolist()])):
        contacts = np.bincount(kind, counts[:, place].sum(axis=1)) / max(counts[:, place].sum(), 1)
        for centre, neighbour in product(range(len(numbers)), repeat=2):
            around = counts[kind == centre, place]
            share = float(_ratio(around[:, neighbour].sum(), around.sum()))
            drawn = resampled[centre][:, place]
            shares = _ratio(drawn[:, neighbour], drawn.sum(axis=1))
            low, high = np.nan, np.nan
            if np.isfinite(shares).all():
                low, high = resampled_interval(1 - shares / concentration[neighbour], len(around))
            pairs.append(
                {
                    "inner": inner,
                    "outer": outer,
                    "centre": glass.species[centre],
                    "neighbour": glass.species[neighbour],
                    "coordination": float(around[:, neighbour].mean()),
                    "share": share,
                    "warren_cowley": 1 - share / float(concentration[neighbour]),
                    "low": low,
                    "high": high,
                    "size_corrected": 1 - float(_ratio(share, contacts[neighbour])),
                }
            )
    first = counts[:, 0]
    return ChemicalOrder(pd.DataFrame(pairs), _ratio(first[np.arange(len(glass)), kind], first.sum(axis=1)))


def _count(neighbours: Neighbours, shell: IntArray, kind: IntArray, *, n_shells: int, n_kinds: int) -> IntArray:
    """Neighbours of each atom by shell and species, shape (N, shells, species); those beyond the last count nowhere."""
    cell = ((neighbours.centre * n_shells + shell) * n_kinds + kind[neighbours.neighbour])[shell < n_shells]
    size = len(kind) * n_shells * n_kinds
    return np.bincount(cell, minlength=size).reshape(len(kind), n_shells, n_kinds)


def _resampled_sums(counts: IntArray, random: np.random.Generator) -> FloatArray:
    """Sum up over atoms that are drawn again and again with replacement, shape (RESAMPLES, shells, species)."""
    n_atoms = len(counts)
    times_drawn = random.multinomial(n_atoms, np.full(n_atoms, 1 / n_atoms), size=RESAMPLES).astype(np.float64)
    sums = times_drawn @ counts.reshape(n_atoms, -1).astype(np.float64)
    return sums.reshape(RESAMPLES, *counts.shape[1:])


def _ratio(part: Any, whole: Any) -> Any:
    whole = np.asarray(whole, dtype=np.float64)
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
