"""The smallest edits that raise or lower the prediction of one atom by a chosen amount.

Candidates are guessed, then predicted exactly. Which atoms to turn into the other species is found by turning each
alone; a swap turns two of them, and two swaps are two of the best. Which atom to shift, and where to, is what the
derivative of the prediction by its position says.

With a potential every structure is relaxed before it is predicted: near the atom while candidates are compared, and at
the end as a whole. Shifts are left out then, as they relax back. Without one, the structures are no inherent ones, and
what is predicted of a swap says little of what it will be after relaxation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError, require_positive
from symgnn_explain.explain.engine.prepared import prepare
from symgnn_explain.explain.methods.positions import explain_positions
from symgnn_explain.models.live import LivePrediction
from symgnn_explain.models.protocol import ConfiguredNetwork
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles.calculator import Calculator, within
from symgnn_explain.saddles.inherent import relax
from symgnn_explain.saddles.minimisation import at, minimise
from symgnn_explain.structure.edits import Edit, Edited, Move, Swap, Turn, apply_edits
from symgnn_explain.structure.glass import FloatArray, Glass, atomic_number

SWAPS, PAIRS_OF_SWAPS, SHIFTED = 40, 12, 10
"""How many swaps, pairs of swaps and shifted atoms are predicted exactly."""

BEST_SWAPS = 8
"""Swaps of which pairs are made."""

RELAXED_AS_A_WHOLE = 12
"""Candidates that are, where there is a potential."""

RELAXED_WITHIN, LOCAL_TOLERANCE = 10.0, 5e-3
"""While candidates are compared, atoms this far (Å) from the one asked about are relaxed, to this force (eV/Å)."""

SHIFTS = (0.05, 0.1, 0.2, 0.4)
"""Lengths (Å) at which it is looked whether a shift is enough."""

HALVINGS = 4
"""How often the length of a shift that is enough is narrowed down."""


@dataclass(frozen=True)
class CounterfactualSettings:
    """Where to look.

    Parameters
    ----------
    within
        Atoms this far (Å) from the one that is asked about are swapped; it keeps its own species.
    most
        Counterfactuals that are returned.

    Raises
    ------
    InputError
        If a number is not positive.
    """

    within: float = 6.0
    most: int = 10

    def __post_init__(self) -> None:
        require_positive(within=self.within, most=self.most)


@dataclass(frozen=True)
class Counterfactual:
    """Edits, and what they do to the prediction of one atom.

    Parameters
    ----------
    edits
        One swap, two swaps, or a shift of one atom.
    change
        Of the prediction, in its unit; after relaxation where there was a potential.
    domain
        Score of the atom then, 1 at the edge of what training covered; None where the network has none.
    glass
        The structure.
    """

    edits: tuple[Edit, ...]
    change: float
    domain: float | None
    glass: Glass = field(repr=False)

    @property
    def outside(self) -> bool:
        """Whether training did not cover the atom's surroundings after the edits."""
        return self.domain is not None and self.domain > 1

    def __str__(self) -> str:
        return "; ".join(map(str, self.edits))


@dataclass(frozen=True, repr=False)
class Counterfactuals(Brief):
    """What a search has found, the smallest edits first, and those before them that stay within the domain.

    Parameters
    ----------
    atom, by
        Whose prediction is to change, and by how much: negative to lower it.
    found
        The edits that do it; where none does, the three that come nearest.
    reached
        Whether they do.
    tried
        How many edits were predicted.
    """

    atom: int
    by: float
    found: tuple[Counterfactual, ...]
    reached: bool
    tried: int

    def to_frame(self) -> pd.DataFrame:
        """List them: edits, change, domain."""
        rows = [(str(each), each.change, np.nan if each.domain is None else each.domain) for each in self.found]
        return pd.DataFrame(rows, columns=["edits", "change", "domain"])


def find_counterfactuals(
    live: LivePrediction,
    atom: int,
    by: float,
    calculator: Calculator | None = None,
    settings: CounterfactualSettings | None = None,
    *,
    watch: Watch | None = None,
) -> Counterfactuals:
    """Search for the smallest edits that change the prediction of an atom by at least ``by``.

    Parameters
    ----------
    live
        Predictions of the structure.
    atom
        Whose prediction is to change.
    by
        By how much, in the unit of the prediction; negative to lower it.
    calculator
        The potential; where None, nothing is relaxed.
    settings, watch
        Where to look, and who is told how far the search is.

    Raises
    ------
    InputError
        If there is no such atom, ``by`` is 0 or no number, or the potential cannot be used for the glass.
    Cancelled
        If the watch was cancelled.
    """
    settings, watch = settings or CounterfactualSettings(), watch or Watch()
    atom = live.glass.require_atom(atom)
    if not (np.isfinite(by) and by != 0):
        raise InputError(
            f"a prediction cannot be changed by {by!r}: give a number that is not 0, negative to lower it."
        )
    search = _Search(live, atom, by, calculator)
    first, second, third, fourth = watch.parts(4)
    turned = search.turned(settings.within, first)
    swaps = search.predict(_likeliest_swaps(live.glass, turned, by), second)
    best = sorted(swaps, key=search.short_of)[:BEST_SWAPS]
    tried = [*swaps, *search.predict(_likeliest_pairs(best), third)]
    if calculator is None:
        tried += search.shifts(fourth)
    else:
        hopeful = sorted(tried, key=lambda each: (each.outside, len(each.edits), search.short_of(each)))
        hopeful.sort(key=lambda each: search.short_of(each) > abs(by) / 2)
        tried = search.relaxed(hopeful[:RELAXED_AS_A_WHOLE], calculator, fourth)
    reaching = [each for each in tried if search.short_of(each) <= 0]
    reaching.sort(key=lambda each: (each.outside, len(each.edits), abs(each.change)))
    found = tuple(reaching[: settings.most] or sorted(tried, key=search.short_of)[:3])
    return Counterfactuals(atom, by, found, bool(reaching), search.tried)


class _Search:
    """Predicts edits around one atom."""

    def __init__(self, live: LivePrediction, atom: int, by: float, calculator: Calculator | None) -> None:
        self.live, self.atom, self.by, self.calculator = live, atom, by, calculator
        self.before = float(live.predictions[0][atom])
        self.tried = 0

    def short_of(self, found: Counterfactual) -> float:
        """By how much a change falls short of what is wanted; not positive where it does not."""
        return abs(self.by) - float(np.sign(self.by)) * found.change

    def of(self, edits: Sequence[Edit]) -> Counterfactual | None:
        """Predict the atom after edits; None where they bring atoms on top of each other, or never settle."""
        try:
            edited = apply_edits(self.live.glass, edits)
        except InputError:
            return None
        self.tried += 1
        if self.calculator is not None:
            try:
                edited = edited._replace(glass=_settled(edited.glass, self.calculator, self.atom))
            except FloatingPointError:
                return None
        return self._predicted(edits, edited)

    def _predicted(self, edits: Sequence[Edit], edited: Edited) -> Counterfactual:
        values, _, domain = self.live.of_atoms(edited, np.array([self.atom]))
        score = None if domain is None else float(domain[0])
        return Counterfactual(tuple(edits), float(values[0]) - self.before, score, edited.glass)

    def relaxed(self, found: Sequence[Counterfactual], calculator: Calculator, watch: Watch) -> list[Counterfactual]:
        """Relax structures as a whole, and predict them again; those that reach no minimum are left out."""
        whole = []
        for each, part in zip(found, watch.parts(len(found)), strict=True):
            try:
                glass = relax(each.glass, calculator, watch=part)
            except InputError:
                continue
            whole.append(self._predicted(each.edits, Edited(glass, np.arange(len(glass)))))
        return whole

    def predict(self, candidates: Sequence[Sequence[Edit]], watch: Watch) -> list[Counterfactual]:
        """Predict the atom after each of several edits."""
        found = []
        for place, edits in enumerate(candidates):
            watch.advance(place / len(candidates))
            found.append(self.of(edits))
        return [each for each in found if each is not None]

    def turned(self, within: float, watch: Watch) -> dict[Turn, float]:
        """Turn each atom around into each other species of the structure, alone: the change that this makes."""
        glass = self.live.glass
        distance = np.linalg.norm(glass.displacements_from(self.atom), axis=1)
        near = np.flatnonzero((distance < within) & (np.arange(len(glass)) != self.atom))
        turns = [
            Turn((int(other),), species)
            for other in near
            for species in glass.species
            if glass.symbols[other] != species
        ]
        found = self.predict([[turn] for turn in turns], watch)
        return {turn: each.change for each in found for turn in each.edits if isinstance(turn, Turn)}

    def shifts(self, watch: Watch) -> Iterator[Counterfactual]:
        """Yield the shortest shifts along the derivative that are enough, of one atom each; else the longest ones."""
        model = self.live.predictor.model
        if not (isinstance(model, ConfiguredNetwork) and model.differentiable):
            return
        slopes = explain_positions(prepare(self.live.predictor, self.live.glass), self.atom)
        rows = slopes.rank()[:SHIFTED]
        for place, row in enumerate(rows):
            watch.advance(place / len(rows))
            length = slopes.magnitude[row]
            if length == 0:
                return
            shift = _Shift(self, int(slopes.atoms[row]), np.sign(self.by) * slopes.gradient[row] / length)
            best = shift.shortest()
            if best is not None:
                yield best


@dataclass(frozen=True)
class _Shift:
    """One atom that moves in one direction."""

    search: _Search
    atom: int
    direction: FloatArray

    def at(self, length: float) -> Counterfactual | None:
        """Move it so far, Å."""
        x, y, z = (round(float(value), 4) for value in length * self.direction)
        return self.search.of([Move((self.atom,), (x, y, z))])

    def shortest(self) -> Counterfactual | None:
        """Return the shortest shift that is enough; where none is, the one that does most."""
        low, tried = 0.0, []
        for high in SHIFTS:
            found = self.at(high)
            if found is None:  # the atom meets another one
                break
            if self.search.short_of(found) <= 0:
                return self._narrowed(low, high, found)
            tried.append(found)
            low = high
        return min(tried, key=self.search.short_of, default=None)

    def _narrowed(self, low: float, high: float, found: Counterfactual) -> Counterfactual:
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            between = self.at(middle)
            if between is not None and self.search.short_of(between) <= 0:
                high, found = middle, between
            else:
                low = middle
        return found


def _settled(glass: Glass, calculator: Calculator, atom: int) -> Glass:
    """Relax the surroundings of an atom; those farther away stay where they are."""
    surface = calculator.surface(glass, within(glass, atom, RELAXED_WITHIN))
    bottom = minimise(surface, at(surface, surface.start), tolerance=LOCAL_TOLERANCE)
    positions = glass.positions.copy()
    positions[surface.mobile] += bottom.positions - surface.start
    return replace(glass, positions=positions)


def _likeliest_swaps(glass: Glass, turned: dict[Turn, float], by: float) -> list[list[Edit]]:
    """Choose the swaps whose two turns add up to the largest change; what is far beyond ``by`` counts as that much."""
    most = 2 * abs(by)
    guessed: list[tuple[float, Swap]] = []
    for (one, change), (other, its_change) in combinations(turned.items(), 2):
        (first,), (second,) = one.atoms, other.atoms
        exchanged = glass.numbers[first] == atomic_number(other.species)
        if exchanged and glass.numbers[second] == atomic_number(one.species) and first != second:
            sum_of_both = float(np.clip(change, -most, most) + np.clip(its_change, -most, most))
            guessed.append((np.sign(by) * sum_of_both, Swap(first, second)))
    guessed.sort(key=lambda each: -each[0])
    return [[swap] for _, swap in guessed[:SWAPS]]


def _likeliest_pairs(swaps: Sequence[Counterfactual]) -> list[list[Edit]]:
    """Choose pairs of swaps that share no atom, the largest changes first."""
    pairs: Iterable[tuple[Counterfactual, Counterfactual]] = combinations(swaps, 2)
    apart = [pair for pair in pairs if not any(_share(a, b) for a, b in product(pair[0].edits, pair[1].edits))]
    apart.sort(key=lambda pair: -abs(pair[0].change + pair[1].change))
    return [[*one.edits, *other.edits] for one, other in apart[:PAIRS_OF_SWAPS]]


def _share(one: Edit, other: Edit) -> bool:
    if not (isinstance(one, Swap) and isinstance(other, Swap)):
        return False
    return bool({one.first, one.second} & {other.first, other.second})
