"""Fidelity against rankings that know nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.unit_geometry import UnitGeometry, unit_geometry
from symgnn_explain.explain.fidelity.intervals import quantiles
from symgnn_explain.explain.fidelity.measure import Fidelity, fidelity, log_counts
from symgnn_explain.models.target import Target
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import IntArray

NullOrder = Literal["random", "nearest", "even_attention", "hop_matched", "hop_length_matched"]
"""Rankings that an explanation is compared with:

- ``random``: any order;
- ``nearest``: by the distance from the explained atom;
- ``even_attention``: by what would reach the explained atom if every atom attended evenly to all its neighbours, that
  is, by the graph alone;
- ``hop_matched``: at each rank a random unit of the same hop as the explanation's;
- ``hop_length_matched``: at each rank a random unit of the same hop and of the same length, in bins of 0.3 Å (of the
  same distance, for units that have no length).

The matched ones permute the units of each class, so at every k they hold as many of each class as the explanation. In
a class of few units they share units with the explanation, which makes the comparison conservative.
"""

NULL_ORDERS: tuple[NullOrder, ...] = get_args(NullOrder)

_FIXED_ORDERS = ("nearest", "even_attention")

LENGTH_BIN = 0.3
"""Lengths and distances in one bin of this width (Å) are the same."""

DRAWS = 20


def null_order(
    null: NullOrder,
    order: IntArray,
    geometry: UnitGeometry,
    random: np.random.Generator,
    *,
    bin_width: float = LENGTH_BIN,
) -> IntArray:
    """Draw a ranking (n_units,) to compare ``order`` (n_units,) with.

    Raises
    ------
    InputError
        If there is no such null.
    """
    if null not in NULL_ORDERS:
        raise InputError(f"{null=} is unknown: choose from {', '.join(NULL_ORDERS)}.")
    if null == "random":
        return random.permutation(len(order))
    if null == "nearest":
        return np.argsort(geometry.distance, kind="stable")
    if null == "even_attention":
        return np.argsort(-geometry.flow, kind="stable")
    label = geometry.hop
    if null == "hop_length_matched":
        bins = np.floor(geometry.length / bin_width).astype(np.int64)
        label = geometry.hop * (bins.max() + 1) + bins
    return _permuted_within(label, order, random)


def _permuted_within(label: IntArray, order: IntArray, random: np.random.Generator) -> IntArray:
    """Put, at each rank of ``order``, a random unit with the same label; each unit once."""
    shuffled = random.permutation(len(order))
    drawn = np.empty_like(order)
    drawn[np.argsort(label[order], kind="stable")] = shuffled[np.argsort(label[shuffled], kind="stable")]
    return drawn


@dataclass(frozen=True, eq=False, repr=False)
class FidelityAgainstNulls(Brief):
    """Fidelity of one ranking, and of rankings that know nothing of the network.

    Parameters
    ----------
    observed
        Of the ranking.
    nulls
        Of each draw of each null, by the name of the null.
    seed
        Of the draws.
    """

    observed: Fidelity
    nulls: Mapping[str, tuple[Fidelity, ...]]
    seed: int

    @property
    def quantity(self) -> Target:
        """What is predicted."""
        return self.observed.quantity

    def to_frame(self) -> pd.DataFrame:
        """One row a ranking and count: ranking, count, and of sufficiency and necessity the mean, low, high and p.

        ``low`` and ``high`` hold 95 % of a null's draws. ``p`` is the share of draws, the observation counted among
        them, that are at least as good; it is missing for the observation itself and for a null of one draw.
        """
        observed = self.observed
        frames = [
            pd.DataFrame(
                {
                    "ranking": "explanation",
                    "count": observed.count,
                    "sufficiency": observed.sufficiency,
                    "necessity": observed.necessity,
                }
            )
        ]
        for null, draws in self.nulls.items():
            columns: dict[str, object] = {"ranking": null, "count": observed.count}
            for name, better in (("sufficiency", -1), ("necessity", 1)):
                values = np.stack([getattr(draw, name) for draw in draws])
                low, high = quantiles(values)
                columns |= {name: values.mean(axis=0), f"{name}_low": low, f"{name}_high": high}
                if len(draws) > 1:
                    as_good = better * values >= better * getattr(observed, name)
                    columns[f"{name}_p"] = (1 + as_good.sum(axis=0)) / (1 + len(draws))
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)


def fidelity_against_nulls(
    prediction: MaskedPrediction,
    order: IntArray,
    counts: Sequence[int] | IntArray | None = None,
    *,
    nulls: Sequence[NullOrder] = NULL_ORDERS,
    draws: int = DRAWS,
    seed: int = 0,
    watch: Watch | None = None,
) -> FidelityAgainstNulls:
    """Check a ranking of units, and rankings that know nothing of the network, at the same counts.

    Parameters
    ----------
    prediction
        The prediction as a function of a mask.
    order
        All units from the most to the least important, shape (n_units,).
    counts
        Numbers of units; the grid of :func:`~.measure.log_counts` where None.
    nulls
        What to compare with.
    draws, seed
        Of each null that is random.
    watch
        Progress and cancellation.

    Raises
    ------
    InputError
        If ``order`` does not name every unit once, a null does not exist, or there is no draw.
    """
    if draws < 1:
        raise InputError(f"{draws=} must be at least 1.")
    watch = Watch() if watch is None else watch
    counts = log_counts(prediction.n_units) if counts is None else counts
    random, geometry = np.random.default_rng(seed), unit_geometry(prediction)
    planned = {null: 1 if null in _FIXED_ORDERS else draws for null in nulls}
    done, total = 0, 1 + sum(planned.values())

    def check(ranking: IntArray) -> Fidelity:
        nonlocal done
        checked = fidelity(prediction, ranking, counts)
        done += 1
        watch.advance(done / total)
        return checked

    with one_thread():
        observed = check(order)
        found: dict[str, tuple[Fidelity, ...]] = {
            null: tuple(check(null_order(null, order, geometry, random)) for _ in range(count))
            for null, count in planned.items()
        }
    return FidelityAgainstNulls(observed, MappingProxyType(found), seed)
