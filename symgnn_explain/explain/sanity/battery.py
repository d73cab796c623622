"""All sanity checks of several methods over several atoms, in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.fidelity.intervals import Interval, bootstrap
from symgnn_explain.explain.sanity.checks import (
    Request,
    completeness,
    planted_test,
    randomisation_test,
    randomised_networks,
    rotated_glasses,
    rotation_stability,
    seed_stability,
)
from symgnn_explain.explain.sanity.planted import PLANTS, Plant, plant_in
from symgnn_explain.runs.watch import Watch

LARGEST_RANDOMISED = 0.3
LEAST_AUC = 0.99
LEAST_OVERLAP = 0.9
LARGEST_INCOMPLETE = 0.05


@dataclass(frozen=True)
class SanityCheck:
    """One figure of one method, and what it should be.

    Parameters
    ----------
    method
        A name in ``METHODS``.
    check
        What was checked.
    value
        Mean over atoms, with its 95 % interval by resampling atoms.
    goal
        Where it should be.
    at_least
        Whether it should be there or above; else there or below.
    n_atoms
        How many values it is the mean of.
    """

    method: str
    check: str
    value: Interval
    goal: float
    at_least: bool
    n_atoms: int

    @property
    def met(self) -> bool:
        """Whether the mean is where it should be."""
        return self.value.value >= self.goal if self.at_least else self.value.value <= self.goal


@dataclass(frozen=True)
class SanityBattery:
    """Sanity checks of several methods."""

    checks: tuple[SanityCheck, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a check: method, check, value, low, high, goal, at_least, met, n_atoms."""
        rows = [
            {
                "method": check.method,
                "check": check.check,
                "value": check.value.value,
                "low": check.value.low,
                "high": check.value.high,
                "goal": check.goal,
                "at_least": check.at_least,
                "met": check.met,
                "n_atoms": check.n_atoms,
            }
            for check in self.checks
        ]
        return pd.DataFrame(rows)


def sanity_battery(
    prepared: PreparedGlass,
    requests: Sequence[Request],
    atoms: Sequence[int],
    *,
    plants: Iterable[Plant] = tuple(PLANTS.values()),
    n_rotations: int = 2,
    seeds: Sequence[int] = (0, 1),
    seed: int = 0,
    watch: Watch | None = None,
) -> SanityBattery:
    """Put methods to all sanity checks that apply to them.

    Parameters
    ----------
    prepared
        The glass, as the predictor sees it.
    requests
        The methods, with semantics, unit and settings.
    atoms
        What is explained.
    plants
        What is planted; with the networks made for it, the same atoms are explained.
    n_rotations, seeds
        Rotations, and seeds of methods that take one, over which stability is measured.
    seed
        Of the rotations and of the randomised weights.
    watch
        Progress and cancellation.

    Raises
    ------
    InputError
        If there is no atom or no request, or a method does not support its semantics or unit.
    """
    if not atoms or not requests:
        raise InputError("the sanity battery needs at least one atom and one method.")
    watch = Watch() if watch is None else watch
    randomised = randomised_networks(prepared, seed=seed)
    rotated = rotated_glasses(prepared, n_rotations, seed=seed)
    planted = [plant_in(prepared.glass, plant) for plant in plants]
    planted_glasses = [prepare(one.predictor, prepared.glass) for one in planted]
    checks: list[SanityCheck] = []
    for number, request in enumerate(requests):
        found: dict[str, list[float]] = {}
        for place, atom in enumerate(atoms):
            test = randomisation_test(prepared, randomised, atom, request)
            _add(found, "correlation with random weights", abs(test.correlation[-1]))
            _add(found, "the same, given the graph", abs(test.given_graph[-1]))
            for one, glass in zip(planted, planted_glasses, strict=True):
                truth = planted_test(one, glass, atom, request)
                _add(found, f"planted AUC, {one.plant.name}", truth.auc)
                _add(found, f"planted precision, {one.plant.name}", truth.precision)
            _add(found, "overlap over rotations", rotation_stability(prepared, rotated, atom, request).overlap.mean())
            if request.takes_seed:
                _add(found, "overlap over seeds", seed_stability(prepared, atom, request, seeds).overlap.mean())
            prediction, scores = request.run(prepared, atom)
            if scores.signed:
                error = abs(completeness(prediction, scores).error)
                _add(found, "completeness error in spreads", error / prepared.predictions.std())
            watch.advance((number + (place + 1) / len(atoms)) / len(requests))
        checks += [
            SanityCheck(request.method, check, bootstrap(values, seed=seed), *_goal(check), len(values))
            for check, values in found.items()
        ]
    return SanityBattery(tuple(checks))


_GOALS: Mapping[str, tuple[float, bool]] = {
    "correlation with random weights": (LARGEST_RANDOMISED, False),
    "the same, given the graph": (LARGEST_RANDOMISED, False),
    "completeness error in spreads": (LARGEST_INCOMPLETE, False),
    "overlap over rotations": (LEAST_OVERLAP, True),
    "overlap over seeds": (LEAST_OVERLAP, True),
}


def _goal(check: str) -> tuple[float, bool]:
    return _GOALS.get(check, (LEAST_AUC, True))


def _add(found: dict[str, list[float]], check: str, value: float | np.floating) -> None:
    found.setdefault(check, []).append(float(value))
