"""All sanity checks of several methods over several atoms, in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.explain.sanity.checks import (
    Request,
    planted_test,
    randomisation_test,
    rotated_glasses,
    rotation_stability,
    seed_stability,
)
from symgnn_explain.explain.sanity.planted import PLANTS, Plant, plant_in
from symgnn_explain.explain.sanity.randomised import cascade
from symgnn_explain.runs.watch import Watch

LEAST_AUC = 0.99
_AT_MOST = {
    "correlation with random weights": 0.3,
    "the same, given the graph": 0.3,
    "completeness error in spreads": 0.05,
}
_AT_LEAST = {"overlap over rotations": 0.9, "overlap over seeds": 0.9}


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
) -> pd.DataFrame:
    """Put methods to all sanity checks that apply to them.

    ::

        requests = [Request("gnnexplainer"), Request("integrated_gradients", unit="atom")]
        sanity_battery(prepared, requests, atoms=[0, 500, 1000])

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

    Returns
    -------
    DataFrame
        One row a method and check: ``method``, ``check``, the mean ``value`` over atoms with its 95 % interval ``low``
        to ``high``, the ``goal``, whether it should be ``at_least`` that (else at most), whether that is ``met``, and
        ``n_atoms``, of how many values it is the mean.

    Raises
    ------
    InputError
        If there is no atom or no request, or a method does not support its semantics or unit.
    """
    if not atoms or not requests:
        raise InputError("the sanity battery needs at least one atom and one method.")
    watch = Watch() if watch is None else watch
    randomised = dict(cascade(prepared, seed=seed))
    rotated = rotated_glasses(prepared, n_rotations, seed=seed)
    planted = [plant_in(prepared.glass, plant) for plant in plants]
    planted_glasses = [prepare(one.predictor, prepared.glass) for one in planted]

    def check(request: Request, atom: int) -> dict[str, float]:
        last = randomisation_test(prepared, randomised, atom, request).iloc[-1]
        found = {
            "correlation with random weights": abs(last["correlation"]),
            "the same, given the graph": abs(last["given_graph"]),
        }
        for one, glass in zip(planted, planted_glasses, strict=True):
            truth = planted_test(one, glass, atom, request)
            found[f"planted AUC, {one.plant.name}"] = truth.auc
            found[f"planted precision, {one.plant.name}"] = truth.precision
        turned = rotation_stability(prepared, rotated, atom, request)
        found["overlap over rotations"] = turned["overlap"].mean()
        if request.takes_seed:
            found["overlap over seeds"] = seed_stability(prepared, atom, request, seeds)["overlap"].mean()
        _, scores = request.run(prepared, atom)
        if scores.signed:
            error = abs(scores.diagnostics["completeness_error"])
            found["completeness error in spreads"] = error / prepared.predictions.std()
        return found

    rows = []
    for number, request in enumerate(requests):
        found = []
        for place, atom in enumerate(atoms):
            found.append(check(request, atom))
            watch.advance((number + (place + 1) / len(atoms)) / len(requests))
        for name in found[0]:
            mean = mean_interval([one[name] for one in found])
            goal, at_least = _AT_MOST.get(name, _AT_LEAST.get(name, LEAST_AUC)), name not in _AT_MOST
            rows.append(
                {"method": request.method.name, "check": name, **asdict(mean), "goal": goal, "at_least": at_least}
                | {"met": mean.value >= goal if at_least else mean.value <= goal, "n_atoms": len(found)}
            )
    return pd.DataFrame(rows)
