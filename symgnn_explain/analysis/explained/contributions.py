"""Where the contributions to many predictions sit: by shell and species, in the unit of the prediction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.models.target import Target
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.radial import radial_distribution

PUBLISHED_PEAKS = (2.6, 5.2, 7.0)
"""Distances (Å) at which important atoms peak in the paper."""
CLASS_WIDTH = 0.3
"""Atoms whose distances are in one class so wide (Å) are at equal distance."""
PEAK, FLANK = 0.3, 0.8
"""A peak reaches so far (Å) on either side of its distance, and its flanks from there so far."""
ALL = "all"


@dataclass(frozen=True, eq=False, repr=False)
class PopulationContributions(Brief):
    """What atoms contribute to the predictions of many others.

    Parameters
    ----------
    shells
        One row a shell of g(r) and species (``all``: of every species): ``inner``, ``outer`` (Å), ``species``;
        ``atoms`` there; ``contribution``, the sum of what they contribute, and ``size``, the sum of its absolute
        values, means over the explained atoms; ``share`` of all sizes; ``expected``, the size if atoms at equal
        distance contributed alike whatever their species, and ``ratio`` of the size to it. ``…_low`` and ``…_high``:
        95 % intervals of the mean over explained atoms, NaN for a single one.
    peaks
        One row a published distance: ``distance`` (Å); ``contrast``, what an atom at that distance contributes in
        absolute value over what an atom on the flanks does: 1 where the distance is nothing special; its interval.
    quantity, n_explained, method
        What was predicted, of how many atoms, and how it was explained.
    """

    shells: pd.DataFrame
    peaks: pd.DataFrame
    quantity: Target
    n_explained: int
    method: str


def population_contributions(
    explanations: Iterable[AtomExplanation], glass: Glass, *, distances: Sequence[float] = PUBLISHED_PEAKS
) -> PopulationContributions:
    """Sum the contributions of atoms by their distance from the explained one, over many explanations.

    Parameters
    ----------
    explanations
        Of atoms of ``glass``, by one method with signed contributions.
    distances
        Where peaks are looked for, Å.

    Raises
    ------
    InputError
        If there is no explanation, one is of another glass or has no signed contributions, or g(r) has no minimum.

    Examples
    --------
    ::

        found = population_contributions(explain_many(predictor, glass, "central:50", "integrated_gradients"), glass)
        found.shells
    """
    minima = radial_distribution(glass).minima
    if not minima.size:
        raise InputError(f"g(r) of {glass.name!r} has no minimum that ends a shell: give a larger structure.")
    edges = [0.0, *minima.tolist(), np.inf]
    symbols, first = np.array(glass.symbols), None
    rows: list[dict[tuple[float, float, str], FloatArray]] = []
    contrasts: list[list[float]] = []
    for explanation in explanations:
        first = first or explanation
        explanation.require_glass(glass)
        contribution = explanation.atom_contributions().drop(explanation.atom, errors="ignore")
        atoms, value = contribution.index.to_numpy(), contribution.to_numpy()
        distance = np.linalg.norm(glass.displacements_from(explanation.atom)[atoms], axis=1)
        size = np.abs(value)
        kind = (distance // CLASS_WIDTH).astype(np.int64)
        alike = (np.bincount(kind, weights=size) / np.maximum(np.bincount(kind), 1))[kind]
        found = {}
        for inner, outer in pairwise(edges):
            for species in (ALL, *glass.species):
                here = (distance >= inner) & (distance < outer) & ((species == ALL) | (symbols[atoms] == species))
                share = size[here].sum() / size.sum() if size.any() else np.nan
                sums = [here.sum(), value[here].sum(), size[here].sum(), share]
                found[inner, outer, species] = np.array([*sums, alike[here].sum()])
        rows.append(found)
        contrasts.append([_contrast(distance, size, place) for place in distances])
    if first is None:
        raise InputError("there are no explanations to look at: explain atoms first.")
    return PopulationContributions(
        shells=pd.DataFrame([_row(place, np.array([found[place] for found in rows])) for place in rows[0]]),
        peaks=pd.DataFrame(
            [
                {"distance": place, **_bounded("contrast", np.array(of_place))}
                for place, of_place in zip(distances, zip(*contrasts, strict=True), strict=True)
            ]
        ),
        quantity=first.quantity,
        n_explained=len(rows),
        method=first.method,
    )


def _contrast(distance: FloatArray, size: FloatArray, place: float) -> float:
    away = np.abs(distance - place)
    peak, flank = size[away < PEAK], size[(away >= PEAK) & (away < FLANK)]
    return float(peak.mean() / flank.mean()) if len(peak) and len(flank) and flank.sum() > 0 else np.nan


def _row(place: tuple[float, float, str], found: FloatArray) -> dict[str, float | str]:
    """One row of the table of shells, from (explained atoms, 5) numbers."""
    atoms, value, size, share, expected = found.T
    row: dict[str, float | str] = dict(zip(("inner", "outer", "species"), place, strict=True))
    row["atoms"] = float(atoms.mean())
    for name, column in (("contribution", value), ("size", size), ("share", share)):
        row |= _bounded(name, column)
    row["expected"] = float(expected.mean())
    there = expected > 0
    return row | _bounded("ratio", size[there] / expected[there])


def _bounded(name: str, values: FloatArray) -> dict[str, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    found = mean_interval(known)
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
