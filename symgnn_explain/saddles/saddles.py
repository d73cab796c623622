"""Saddle points around one atom of a glass: searched for near the atom first, then refined with all atoms free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.runs.parallel import Report
from symgnn_explain.saddles.artn import SearchFailure, Summit, climb, search
from symgnn_explain.saddles.atom_barrier import DUPLICATE, KEPT_DISPLACEMENT, SADDLE, AtomBarrier, Saddle
from symgnn_explain.saddles.calculator import Calculator, EnergySurface, within
from symgnn_explain.saddles.inherent import finite_forces
from symgnn_explain.saddles.lanczos import Mode
from symgnn_explain.saddles.minimisation import Point, at, descend, largest, minimise
from symgnn_explain.saddles.settings import SearchSettings
from symgnn_explain.structure.glass import FloatArray, Glass

REFINEMENT_MODE_CALLS, REFINEMENT_STEPS, REFINEMENT_ROUNDS = 4, 40, 10
"""When all atoms become free the mode is known but for the far field: few forces for it, and many steps between."""

FARTHEST_REFINEMENT = 0.6
"""Å that an atom may move when all atoms become free; what is found further away is another saddle point."""

START_TOLERANCE = 0.005  # largest force (eV/Å) on any atom of a structure that is taken for a minimum
FALL_TOLERANCE = 0.02  # largest force (eV/Å) at which a fall is taken to have reached the bottom
MOST_STEPS = 600
LONGEST_STEP = 0.1  # Å; a longer one might leave the valley


def at_minimum(glass: Glass, calculator: Calculator) -> Glass:
    """Bring a glass to the nearest minimum, all atoms free; it stays as it is if no force exceeds 0.005 eV/Å.

    Raises
    ------
    InputError
        If the potential cannot be used for the glass, or no minimum was found.
    """
    surface = calculator.surface(glass)
    with finite_forces(glass):
        bottom = minimise(surface, at(surface, surface.start), tolerance=START_TOLERANCE)
    if not bottom.largest_force < START_TOLERANCE:
        raise InputError(
            f"{glass.name!r} has not reached a minimum of the potential: the largest force is "
            f"{bottom.largest_force:.2g} eV/Å, and saddle points are searched for from {START_TOLERANCE:g}; relax it "
            "first."
        )
    if bottom.positions is surface.start:
        return glass
    moved = glass.positions.copy()
    moved[surface.mobile] += bottom.positions - surface.start
    return replace(glass, positions=moved)


def search_saddles(
    glass: Glass, calculator: Calculator, atom: int, settings: SearchSettings, report: Report = lambda _: None
) -> AtomBarrier:
    """Search for the saddle points around one atom.

    Parameters
    ----------
    glass
        At a minimum of the potential, see :func:`at_minimum`.
    calculator
        The potential.
    atom
        The atom that is pushed, with its neighbours.
    settings
        Of the searches.
    report
        Called with the fraction done, after each search.
    """
    atom = glass.require_atom(atom)
    whole = calculator.surface(glass)
    bottom = at(whole, whole.start)
    mobile = None if settings.local_radius is None else within(glass, atom, settings.local_radius)
    local = whole if mobile is None else calculator.surface(glass, mobile)
    place = _Place(local, at(local, local.start), whole, bottom, settings)
    pushed = np.linalg.norm(glass.displacements_from(atom)[local.mobile], axis=1) < settings.push_radius
    found: list[_Found] = []
    known: list[Point] = []
    outcomes: Counter[str] = Counter()
    for number in range(settings.searches):
        report(number / settings.searches)
        rng = np.random.default_rng([settings.seed, atom, number])
        try:
            saddle = _one(place, _directions(pushed, rng), known)
        except SearchFailure as failure:
            outcomes[str(failure)] += 1
            continue
        except FloatingPointError:  # a push brought atoms together so that the next step left all bounds
            outcomes["diverged"] += 1
            continue
        if any(_same(saddle.displacements, other.displacements, settings) for other in found):
            outcomes[DUPLICATE] += 1
            continue
        outcomes[SADDLE] += 1
        found.append(replace(saddle, search=number))
    calls = (local.calls, 0) if local is whole else (local.calls, whole.calls)
    return AtomBarrier(atom, tuple(saddle.kept() for saddle in found), outcomes, calls)


@dataclass(frozen=True)
class _Found:
    """A connected saddle point with the displacements of all atoms (N, 3), Å."""

    summit: Summit
    barrier: float
    energy_beyond: float
    displacements: FloatArray
    search: int = -1

    def kept(self) -> Saddle:
        atoms = np.flatnonzero((self.displacements**2).sum(axis=1) >= KEPT_DISPLACEMENT**2)
        return Saddle(
            barrier=self.barrier,
            energy_beyond=self.energy_beyond,
            curvature=self.summit.mode.curvature,
            search=self.search,
            atoms=atoms,
            displacements=self.displacements[atoms],
        )


@dataclass(frozen=True)
class _Place:
    """The surroundings of an atom: with few atoms movable, and with all."""

    local: EnergySurface
    start: Point
    whole: EnergySurface
    bottom: Point
    settings: SearchSettings


def _directions(pushed: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield random directions (n, 3) that move some atoms."""
    while True:
        direction = np.zeros((len(pushed), 3))
        direction[pushed] = rng.normal(size=(int(pushed.sum()), 3))
        yield direction


def _one(place: _Place, directions: Iterator[FloatArray], known: list[Point]) -> _Found:
    """Search once; ``known`` takes the saddle points that are found while few atoms may move."""
    local, start, settings = place.local, place.start, place.settings
    summit = search(local, start, directions, settings)
    if any(_same(summit.point.positions, other.positions, settings) for other in known):
        raise SearchFailure(DUPLICATE)
    known.append(summit.point)
    beyond = minimum_beyond(local, start, summit, settings)
    if beyond is None:
        raise SearchFailure("not connected")
    if local is not place.whole:
        summit = _with_all_free(place, summit)
    displacements = np.zeros_like(place.bottom.positions)
    displacements[place.whole.mobile] = summit.point.positions - place.bottom.positions
    return _Found(
        summit=summit,
        barrier=summit.point.energy - place.bottom.energy,
        energy_beyond=beyond.energy - start.energy,
        displacements=displacements,
    )


def _with_all_free(place: _Place, summit: Summit) -> Summit:
    """Converge a saddle point anew with all atoms free: the frozen shell alone raises barriers by 0.2 eV."""
    positions, direction = place.bottom.positions.copy(), np.zeros_like(place.bottom.positions)
    positions[place.local.mobile] += summit.point.positions - place.start.positions
    direction[place.local.mobile] = summit.mode.direction
    released = Summit(at(place.whole, positions), Mode(direction, summit.mode.curvature))
    climbed = climb(
        place.whole,
        place.bottom.energy,
        released,
        place.settings,
        most_rounds=REFINEMENT_ROUNDS,
        steps=REFINEMENT_STEPS,
        mode_calls=REFINEMENT_MODE_CALLS,
    )
    if not climbed.converged or largest(climbed.summit.point.positions - positions) > FARTHEST_REFINEMENT:
        raise SearchFailure("lost with all atoms free")
    return climbed.summit


def _same(first: FloatArray, second: FloatArray, settings: SearchSettings) -> bool:
    return largest(first - second) < settings.same_saddle


def minimum_beyond(surface: EnergySurface, start: Point, summit: Summit, settings: SearchSettings) -> Point | None:
    """Return the minimum that a saddle point joins to the start, or None where not just one of its sides is the start.

    It falls to both sides, first to the one where the start should be.
    """
    forwards = ((summit.point.positions - start.positions) * summit.mode.direction).sum() > 0
    lean = settings.lean / largest(summit.mode.direction) * summit.mode.direction * (1 if forwards else -1)
    if not _returns(_fall(surface, start, summit.point.positions - lean, settings), start, settings):
        # The other side can still be the start, where the mode is nearly across the way that led up.
        lean = -lean
        if not _returns(_fall(surface, start, summit.point.positions - lean, settings), start, settings):
            return None
    beyond = _fall(surface, start, summit.point.positions + lean, settings)
    return None if _returns(beyond, start, settings) else beyond


def _fall(surface: EnergySurface, start: Point, positions: FloatArray, settings: SearchSettings) -> Point:
    """Relax to a minimum, or until it is clear that it is the start."""
    point = at(surface, positions)
    for lower in descend(surface, point, tolerance=FALL_TOLERANCE, most_steps=MOST_STEPS, longest_step=LONGEST_STEP):
        point = lower
        if _returns(point, start, settings):
            break
    return point


def _returns(point: Point, start: Point, settings: SearchSettings) -> bool:
    near = largest(point.positions - start.positions) < settings.same_minimum
    return near and abs(point.energy - start.energy) < settings.same_energy
