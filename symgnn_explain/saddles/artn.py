"""Activation and relaxation: from a minimum over the nearest pass in a random direction.

After Barkema and Mousseau, Phys. Rev. Lett. 77, 4358 (1996), and Malek and Mousseau, Phys. Rev. E 62, 7723 (2000): some
atoms are pushed at random until the energy curves down along some mode; then the surface is climbed along its softest
mode and relaxed across it. Near the saddle both are done at once, in quasi-Newton steps with the force along the mode
turned round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from symgnn_explain.saddles.calculator import EnergySurface
from symgnn_explain.saddles.lanczos import Mode, softest_mode
from symgnn_explain.saddles.minimisation import Point, QuasiNewton, across, at, largest, turned
from symgnn_explain.saddles.settings import SearchSettings
from symgnn_explain.structure.glass import FloatArray

FIRST_MODE_CALLS, PUSH_MODE_CALLS, CLIMB_MODE_CALLS = 14, 8, 10
"""Forces that a mode may cost: the first of a search, while pushing, and while climbing."""

RELAXATIONS = (4, 8, 12, 16, 24)  # relaxation steps across the mode at most, by round; the last for all later ones
LEAST_CURVATURE = 0.1  # eV/Å²; a softer mode does not make steps along it longer
NEAR = 0.3  # largest force (eV/Å) below which a saddle is near enough for quasi-Newton steps towards it
NEAR_CURVATURE = -0.2  # lowest curvature (eV/Å²) above which the way is still too flat for them
LONGEST_STEP_NEAR = 0.08  # Å
STEPS_NEAR = 5  # quasi-Newton steps between two updates of the mode
LONGEST_RELAXATION = 0.1  # Å, of a relaxation step between pushes
FIRST_LOOK = 3  # from this push on the mode is looked at: before, no basin of a solid ends
MOST_CONVEX = 3  # rounds on end in which the surface may curve up along every mode before climbing is given up
MOST_RETURNS = 8  # how often a search may go back from climbing to pushing


class SearchFailure(Exception):  # noqa: N818 - what most searches in glasses end in is no error
    """A search that reached no saddle point; the message says why in a few words."""


class NoEscape(SearchFailure):
    """Pushing led to high energies, but not to where the energy curves down."""


@dataclass(frozen=True)
class Summit:
    """A saddle point, and the mode along which the energy curves down."""

    point: Point
    mode: Mode


def search(surface: EnergySurface, start: Point, directions: Iterator[FloatArray], settings: SearchSettings) -> Summit:
    """Push from a minimum along the first direction (n, 3) that leads out of it, and climb to a saddle point.

    Raises SearchFailure if there is none, or none below ``settings.highest_energy``.
    """
    for direction in islice(directions, settings.most_directions):
        try:
            return _search_along(surface, start, direction / np.linalg.norm(direction), settings)
        except NoEscape:
            continue
    raise NoEscape("no way out of the basin")


def _search_along(surface: EnergySurface, start: Point, direction: FloatArray, settings: SearchSettings) -> Summit:
    """Push, climb, and push again whenever climbing leads back into the basin."""
    point, mode, pushes = _push(surface, start, start, direction, None, 0, settings)
    rounds = 0
    for _ in range(MOST_RETURNS):
        if ((point.positions - start.positions) * mode.direction).sum() < 0:
            mode = Mode(-mode.direction, mode.curvature)
        climbed = climb(surface, start.energy, Summit(point, mode), settings, most_rounds=settings.most_rounds - rounds)
        if climbed.converged:
            return climbed.summit
        rounds += climbed.rounds
        back = climbed.summit
        point, mode, pushes = _push(surface, start, back.point, direction, back.mode, pushes, settings)
    raise SearchFailure("fell back into the basin")


def _push(  # noqa: PLR0917
    surface: EnergySurface,
    start: Point,
    point: Point,
    direction: FloatArray,
    mode: Mode | None,
    pushes: int,
    settings: SearchSettings,
) -> tuple[Point, Mode, int]:
    """Push until the energy curves down along some mode."""
    step = settings.push_step / largest(direction) * direction
    while pushes < settings.most_pushes:
        pushes += 1
        point = at(surface, point.positions + step)
        newton = QuasiNewton(LONGEST_RELAXATION)
        for _ in range(settings.push_relaxation):
            point = newton.moved(surface, point, partial(across, mode=direction))
        if point.energy - start.energy > settings.highest_energy:
            raise NoEscape("energy too high")
        if pushes < FIRST_LOOK:
            continue
        guess, calls = (direction, FIRST_MODE_CALLS) if mode is None else (mode.direction, PUSH_MODE_CALLS)
        mode = softest_mode(surface, point, guess, most_calls=calls)
        if mode.curvature < settings.escape_curvature:
            return point, mode, pushes
    raise NoEscape("no negative curvature")


@dataclass(frozen=True)
class Climbed:
    """Where climbing ended, after how many rounds, and whether that is a saddle point."""

    summit: Summit
    rounds: int
    converged: bool


def climb(
    surface: EnergySurface,
    base: float,
    summit: Summit,
    settings: SearchSettings,
    *,
    most_rounds: int,
    steps: int = STEPS_NEAR,
    mode_calls: int = CLIMB_MODE_CALLS,
) -> Climbed:
    """Climb along the softest mode, and relax across it, until forces vanish.

    ``base``: energy of the minimum, eV. ``summit``: where to begin, with the mode there. ``most_rounds``, ``steps``,
    ``mode_calls``: updates of the mode at most, quasi-Newton steps between them, and forces that each may cost. Raises
    SearchFailure if the energy leaves the range in which saddles are looked for, or rounds run out.
    """
    point, mode = summit.point, summit.mode
    newton = QuasiNewton(LONGEST_STEP_NEAR)
    convex = 0
    for done in range(most_rounds):
        convex = 0 if mode.curvature < 0 else convex + 1
        if convex > MOST_CONVEX:
            return Climbed(Summit(point, mode), done, converged=False)
        if mode.curvature < NEAR_CURVATURE and point.largest_force < NEAR:
            point = _both_at_once(surface, point, mode, newton, steps, settings.force_tolerance)
        else:
            newton.forget()
            point = _along_then_across(surface, point, mode, done, settings.climb_step)
        if not -1.0 < point.energy - base < settings.highest_energy:
            raise SearchFailure("energy out of range")
        softest = softest_mode(surface, point, mode.direction, most_calls=mode_calls)
        same_way = (softest.direction * mode.direction).sum() > 0
        mode = softest if same_way else Mode(-softest.direction, softest.curvature)
        if mode.curvature < 0 and point.largest_force < settings.force_tolerance:
            return Climbed(Summit(point, mode), done + 1, converged=True)
    raise SearchFailure("not converged")


def _along_then_across(surface: EnergySurface, point: Point, mode: Mode, rounds: int, climb_step: float) -> Point:
    """Step towards the saddle along the mode, or away from the start where it is not soft; then relax across it."""
    along = float((point.forces * mode.direction).sum())
    longest = climb_step / largest(mode.direction)
    length = longest
    if mode.curvature < 0:
        length = -np.sign(along) * min(longest, abs(along) / max(abs(mode.curvature), LEAST_CURVATURE))
    point = at(surface, point.positions + length * mode.direction)
    newton = QuasiNewton(LONGEST_RELAXATION)
    project = partial(across, mode=mode.direction)
    for step in range(RELAXATIONS[min(rounds, len(RELAXATIONS) - 1)]):
        left = largest(project(point.forces))
        if step >= 2 and left < max(0.003, 0.4 * largest(point.forces - project(point.forces))):
            break
        point = newton.moved(surface, point, project)
    return point


def _both_at_once(  # noqa: PLR0917
    surface: EnergySurface, point: Point, mode: Mode, newton: QuasiNewton, steps: int, tolerance: float
) -> Point:
    """Take quasi-Newton steps with the force along the mode turned round."""
    for _ in range(steps):
        point = newton.moved(surface, point, partial(turned, mode=mode.direction))
        if point.largest_force < tolerance:
            break
    return point
