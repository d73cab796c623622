"""Which displacements changed the prediction of one atom from one structure to another.

Integrated Gradients (Sundararajan et al., ICML 2017) along the straight way between two structures of the same atoms:
two frames of a trajectory, or a structure before and after it was relaxed. A single structure has no natural origin to
start from; there :func:`~.positions.explain_positions` is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from symgnn_explain.errors import first_rows
from symgnn_explain.explain.engine.prepared import graph_around
from symgnn_explain.explain.methods.positions import differentiate
from symgnn_explain.models.blocks import surroundings
from symgnn_explain.models.predictor import AtomPredictions, Predictor
from symgnn_explain.models.target import Target
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.matching import cell_at, displacements_between, matched

INCOMPLETE = 0.1
"""What contributions may leave of a change, in tolerances of the target: 8 meV for energy barriers."""

FIRST_PARTS = 4
"""Parts of the way that are looked at at least."""

MOST_POINTS = 129
"""Points of the way up to which the least complete part is halved again."""

NARROWEST = 1e-3
"""Length of a part that is not halved: what is missing over it is a jump of the prediction."""

MIDWAY = (0.25, 0.5, 0.75)
"""Where on the way the domain score is asked for."""


@dataclass(frozen=True, eq=False)
class PathContributions:
    """How much each atom's displacement, from one structure to another, changed one atom's prediction.

    Parameters
    ----------
    atom
        The explained atom.
    start, end
        The structures; the atoms of the second in the order of the first.
    displacement
        Of every atom, as :func:`~symgnn_explain.structure.matching.displacements_between` says, shape (N, 3), Å.
    contribution
        Of every atom to the change of the prediction, in its unit, shape (N,).
    of_cell
        What the change of the cell contributed.
    before, after
        Predictions of the atom.
    domain
        Its scores at the start, at the end, and the largest on the way; None where the predictor has none.
    points
        At how many points of the way the prediction was differentiated.
    quantity
        What is predicted.
    """

    atom: int
    start: Glass
    end: Glass
    displacement: FloatArray
    contribution: FloatArray
    of_cell: float
    before: float
    after: float
    domain: tuple[float, float, float] | None
    points: int
    quantity: Target

    def __repr__(self) -> str:
        return f"PathContributions(atom {self.atom}, {self.start.name!r} to {self.end.name!r}: {self})"

    def __str__(self) -> str:
        def change(value: float) -> str:
            return self.quantity.text(value, sign=True)

        parts = [f"{change(float(self.contribution.sum()))} from displacements"]
        parts += [f"{change(self.of_cell)} from the cell"] if self.of_cell else []
        parts += [f"{change(self.missing)} not accounted for"]
        both = f"{self.quantity.text(self.before)} to {self.quantity.text(self.after)}"
        return f"{both}, {change(self.after - self.before)}: {', '.join(parts)}"

    @property
    def moved(self) -> FloatArray:
        """How far each atom moved, shape (N,), Å."""
        return np.linalg.norm(self.displacement, axis=1)

    @property
    def missing(self) -> float:
        """What the contributions leave of the change: edges that came and went, and the error of the quadrature."""
        return self.after - self.before - self.of_cell - float(self.contribution.sum())

    @property
    def complete(self) -> bool:
        """Whether the contributions account for the change."""
        return abs(self.missing) <= INCOMPLETE * self.quantity.required_tolerance

    @property
    def warning(self) -> str:
        """One sentence on why the contributions are in doubt; empty where they are not."""
        said = []
        if self.domain is not None and max(self.domain) > 1:
            where = ("at the start", "at the end", "on the way")[int(np.argmax(self.domain))]
            said.append(f"{where} the atom lies outside of what training covered (domain score {max(self.domain):.2f})")
        if not self.complete:
            said.append(f"{self.quantity.with_unit(f'{self.missing:+.3f}')} of the change are not accounted for")
        return f"Read with care: {'; '.join(said)}." if said else ""

    def to_frame(self, k: int | None = None) -> pd.DataFrame:
        """List the ``k`` displacements that contributed most (all where None), the largest first.

        Columns: rank, atom, species, distance (from the explained atom at the start, Å), dx, dy, dz, moved (Å),
        contribution (in the unit of the prediction).
        """
        rows = np.argsort(-np.abs(self.contribution), kind="stable")[first_rows(k)]
        columns = {
            "rank": np.arange(1, len(rows) + 1),
            "atom": rows,
            "species": [self.start.symbols[row] for row in rows],
            "distance": np.linalg.norm(self.start.displacements_from(self.atom)[rows], axis=1),
            **dict(zip(("dx", "dy", "dz"), self.displacement[rows].T, strict=True)),
            "moved": self.moved[rows],
            "contribution": self.contribution[rows],
        }
        return pd.DataFrame(columns)


def path_contributions(
    predictor: Predictor,
    start: Glass,
    end: Glass,
    atom: int,
    *,
    known: tuple[AtomPredictions, AtomPredictions] | None = None,
    watch: Watch | None = None,
) -> PathContributions:
    """Split the change of one atom's prediction between two structures among the displacements of the atoms.

    The derivative by positions is integrated along the straight way, by Simpson's rule in parts; the part whose
    contributions are farthest from the change of the prediction over it is halved, until they sum to the whole change.
    Edges are found anew at every point. What they contribute by appearing and vanishing, in a network without a smooth
    cut-off, cannot be split and is :attr:`~PathContributions.missing`.

    Parameters
    ----------
    predictor
        What predicts.
    start, end
        Two structures of the same atoms; which is which, ids say where both have them. Cells may differ.
    atom
        The explained atom, as it is numbered in ``start``.
    known
        What the predictor says of both, so that it is not asked again.
    watch
        Told of progress, and asked whether to stop.

    Raises
    ------
    InputError
        If the structures are not of the same atoms, there is no such atom, atoms overlap on the way, or the network's
        derivative by positions is not known.
    Cancelled
        If the watch was cancelled.

    Examples
    --------
    >>> frames = Trajectory("relaxed.extxyz")  # doctest: +SKIP
    >>> found = path_contributions(predictor, frames[0], frames[-1], 765)  # doctest: +SKIP
    >>> found.to_frame(10), found.missing, found.domain  # doctest: +SKIP
    """
    atom, watch, end = start.require_atom(atom), watch or Watch(), matched(end, start)
    watch.advance(0.0)
    said = known or (predictor.predict_atoms(start), predictor.predict_atoms(end))
    way = _Way(predictor, start, end, atom, watch)
    allowed = INCOMPLETE * predictor.target.required_tolerance
    edges = np.linspace(0.0, 1.0, FIRST_PARTS + 1)
    parts = [_Part(way, low, high) for low, high in pairwise(edges)]
    while sum(abs(part.missing) for part in parts) > allowed and len(way.points) < MOST_POINTS:
        worst = max(parts, key=lambda part: abs(part.missing) if part.high - part.low > NARROWEST else 0.0)
        if worst.high - worst.low <= NARROWEST:
            break  # what is missing are jumps
        parts.remove(worst)
        middle = (worst.low + worst.high) / 2
        parts += [_Part(way, worst.low, middle), _Part(way, middle, worst.high)]
    summed = np.zeros(len(start) + 1)
    for part in parts:
        for place, weight in part.weights.items():
            point = way.points[place]
            summed[point.rows] += weight * point.rates
    domain = None
    (before, _, domain_before), (after, _, domain_after) = said
    if domain_before is not None and domain_after is not None:
        domain = (float(domain_before[atom]), float(domain_after[atom]), max(map(way.domain, MIDWAY)))
    watch.advance(1.0)
    return PathContributions(
        atom=atom,
        start=start,
        end=end,
        displacement=way.displacement,
        contribution=summed[:-1],
        of_cell=float(summed[-1]),
        before=float(before[atom]),
        after=float(after[atom]),
        domain=domain,
        points=len(way.points),
        quantity=predictor.target,
    )


class _Point(NamedTuple):
    """The prediction at a point of the way, and by how much each displacement, and the cell at last, change it."""

    prediction: float
    rows: IntArray
    rates: FloatArray


class _Way:
    """The straight way between two structures, and what was found at its points."""

    def __init__(self, predictor: Predictor, start: Glass, end: Glass, atom: int, watch: Watch) -> None:
        self._predictor, self._start, self._end, self._atom, self._watch = predictor, start, end, atom, watch
        self.displacement = displacements_between(start, end)
        self._fractional, self._along = start.fractional(), start.fractional(self.displacement)
        self._strain = cell_at(start, end, 1.0) - start.cell
        self.points: dict[float, _Point] = {}

    def glass(self, fraction: float) -> Glass:
        """Return the structure at a point."""
        cell = cell_at(self._start, self._end, fraction)
        scaled = self._fractional + fraction * self._along
        return Glass(scaled @ cell, self._start.numbers, cell, self._start.pbc, name=self._start.name)

    def at(self, fraction: float) -> _Point:
        """Return what is found at a point, once."""
        if fraction not in self.points:
            self._watch.advance(len(self.points) / (MOST_POINTS + 2))  # the last two points are found at once
            glass = self.glass(fraction)
            with one_thread():
                graph, atoms = graph_around(self._predictor, glass, self._atom)
                found = differentiate(self._predictor.model, graph, int(np.searchsorted(atoms, self._atom)))
            seen = atoms[found.nodes]
            of_atoms = (found.by_position * (self._along[seen] @ glass.cell)).sum(axis=1)
            of_cell = (found.by_strain * np.linalg.solve(glass.cell, self._strain)).sum()
            self.points[fraction] = _Point(found.prediction, np.append(seen, len(glass)), np.append(of_atoms, of_cell))
        return self.points[fraction]

    def domain(self, fraction: float) -> float:
        """Return the domain score of the atom at a point."""
        around = surroundings(self._predictor.model, self.glass(fraction), np.array([self._atom]))
        score = self._predictor.predict_first(around).domain
        if score is None:
            raise ValueError("the predictor has no domain")
        return float(score[0])


class _Part:
    """A part of the way, by Simpson's rule."""

    def __init__(self, way: _Way, low: float, high: float) -> None:
        self.low, self.high, sixth = low, high, (high - low) / 6
        self.weights = {low: sixth, (low + high) / 2: 4 * sixth, high: sixth}
        points = [way.at(place) for place in self.weights]
        summed = sum(weight * point.rates.sum() for weight, point in zip(self.weights.values(), points, strict=True))
        self.missing = points[-1].prediction - points[0].prediction - float(summed)
