"""Is an explanation about the network at all? Checks that any method can be put to, by its name in ``METHODS``.

- Parameter randomisation (Adebayo et al., NeurIPS 2018): other weights, other explanation.
- Planted ground truth: where it is known which edges matter, they are found.
- Stability: over seeds, and over rotations and reflections of the glass.

:func:`~.battery.sanity_battery` makes them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import require_method
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.unit_geometry import unit_geometry
from symgnn_explain.explain.engine.units import Unit
from symgnn_explain.explain.fidelity.measure import importance_order
from symgnn_explain.explain.fidelity.rank_agreement import rank_correlation, roc_auc, top_overlap
from symgnn_explain.explain.sanity.planted import PlantedPredictor
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch

TOP = 10
"""Overlaps are those of this many most important units."""


class Request:
    """What is asked of a method; equal for all networks, seeds and rotations that are compared.

    Parameters
    ----------
    method
        A name in ``METHODS``.
    semantics
        What masking a message means; the method's own default where None.
    unit
        What one mask value is for.
    **settings
        Of the method.

    Raises
    ------
    InputError
        If there is no such method, or it cannot use a setting.
    """

    def __init__(
        self, method: str, *, semantics: MaskSemantics | None = None, unit: Unit = "edge", **settings: Any
    ) -> None:
        self.method = require_method(method)
        self.semantics: MaskSemantics = semantics or self.method.semantics
        self.unit, self.settings = unit, settings
        self.configured = self.method.configure(**settings)

    @property
    def takes_seed(self) -> bool:
        """Whether the method has anything random."""
        return hasattr(self.configured, "seed")

    def with_seed(self, seed: int) -> Request:
        """Return the same request with another seed."""
        settings = {**self.settings, "seed": seed}
        return Request(self.method.name, semantics=self.semantics, unit=self.unit, **settings)

    def run(self, prepared: PreparedGlass, atom: int) -> tuple[MaskedPrediction, UnitScores]:
        """Score the units of one atom's receptive field."""
        with one_thread():
            prediction = prepared.masked_prediction(atom, semantics=self.semantics, unit=self.unit)
            return prediction, self.method.run(prediction, self.configured, Watch())


def randomisation_test(
    prepared: PreparedGlass, randomised: Mapping[str, PreparedGlass], atom: int, request: Request
) -> pd.DataFrame:
    """Compare scores of a trained network with those of networks whose weights were drawn anew.

    A method that starts from random numbers starts from the same ones each time, so a ranking that is little else than
    its start is found out.

    Parameters
    ----------
    prepared
        The glass, as the trained predictor sees it.
    randomised
        What :func:`~.randomised.cascade` made of it, by stage.
    atom, request
        What is explained.

    Returns
    -------
    DataFrame
        One row a stage; the last one has no trained weight left. ``stage``: which weights were drawn last.
        ``correlation``: Spearman's, of absolute scores with those of the trained network. ``given_graph``: the same
        among units of the same hop and the same flow (:class:`~.unit_geometry.UnitGeometry`), the mean over such
        classes. Whatever its weights, a network of this architecture gives more weight to the near than to the far, and
        to edges from which many walks lead to the explained atom. An explanation has to show that; it is no sign that
        it ignores the weights, and is left out here. ``flow_correlation``: of absolute scores with the flow alone, how
        much of ``correlation`` is the graph's. ``overlap``: share of the ten most important units in common.
    """
    prediction, trained = request.run(prepared, atom)
    geometry = unit_geometry(prediction)
    classes = geometry.flow_classes()
    rows = []
    for stage, other in randomised.items():
        score = request.run(other, atom)[1].score
        rows.append(
            {
                "stage": stage,
                "correlation": rank_correlation(trained.score, score),
                "given_graph": rank_correlation(trained.score, score, classes),
                "flow_correlation": rank_correlation(geometry.flow, score),
                "overlap": top_overlap(trained.score, score, TOP),
            }
        )
    return pd.DataFrame(rows)


class PlantedTest(NamedTuple):
    """Whether a method finds the units that a planted network's prediction hangs on.

    Parameters
    ----------
    auc
        Area under the ROC curve of the absolute scores: 1 where every true unit stands above every false one.
    precision
        Share of true ones among as many most important units as are true. Stricter: with 20 000 false units a hundred
        of them may stand above all true ones before the area falls to 0.995.
    n_true
        How many units are true.
    """

    auc: float
    precision: float
    n_true: int


def planted_test(planted: PlantedPredictor, prepared: PreparedGlass, atom: int, request: Request) -> PlantedTest:
    """Explain an atom with a planted network and compare with what is true.

    Parameters
    ----------
    planted
        The network; see :func:`~.planted.plant_in`.
    prepared
        What ``prepare(planted.predictor, glass)`` returned.
    atom, request
        What is explained.

    Raises
    ------
    InputError
        If ``prepared`` is of another predictor, or the truth holds all units or none.
    """
    if prepared.predictor is not planted.predictor:
        raise InputError("what was prepared is for another predictor than the planted one: prepare the glass with it.")
    prediction, scores = request.run(prepared, atom)
    truth = planted.truth(prediction)
    n_true = int(truth.sum())
    top = importance_order(scores.score)[:n_true]
    return PlantedTest(roc_auc(truth, scores.score), float(truth[top].mean()), n_true)


def seed_stability(
    prepared: PreparedGlass, atom: int, request: Request, seeds: Sequence[int] = (0, 1, 2)
) -> pd.DataFrame:
    """Explain one atom with several seeds and compare each pair.

    Returns
    -------
    DataFrame
        One row a pair: ``overlap``, the share of the ten most important units in common, and ``correlation``,
        Spearman's, of absolute scores.

    Raises
    ------
    InputError
        If the method has no seed, or fewer than two are given.
    """
    if not request.takes_seed:
        raise InputError(f"{request.method.name} takes no seed: it gives the same scores each time.")
    if len(seeds) < 2:
        raise InputError(f"seeds={list(seeds)} are too few: two at least can be compared.")
    scores = [request.with_seed(seed).run(prepared, atom)[1] for seed in seeds]
    return pd.DataFrame([_likeness(*pair) for pair in combinations(scores, 2)])


def rotated_glasses(prepared: PreparedGlass, n_rotations: int = 4, *, seed: int = 0) -> list[PreparedGlass]:
    """Rotate or reflect a glass at random (in equal parts, Haar measure), and prepare it each time."""
    matrices = HaarO3()(n_rotations, torch.Generator().manual_seed(seed)).numpy()
    glass = prepared.glass
    turned = [
        replace(glass, positions=glass.positions @ matrix.T, cell=glass.cell @ matrix.T, name=f"{glass.name}, rotated")
        for matrix in matrices
    ]
    return [prepare(prepared.predictor, other) for other in turned]


def rotation_stability(
    prepared: PreparedGlass, rotated: Sequence[PreparedGlass], atom: int, request: Request
) -> pd.DataFrame:
    """Explain one atom in a glass and in its rotations, and compare each with the glass itself.

    Parameters
    ----------
    prepared, rotated
        The glass, and what :func:`rotated_glasses` made of it. Units are matched by their number, so no two atoms may
        be joined by several periodic images: their order depends on the rotation.
    atom, request
        What is explained.

    Returns
    -------
    DataFrame
        One row a rotation: ``overlap`` and ``correlation`` as in :func:`seed_stability`, and ``prediction_change``: the
        network is invariant up to its symmetrization error, and an explanation cannot be more stable than what it
        explains.

    Raises
    ------
    InputError
        If nothing is rotated, or two atoms are joined by several periodic images.
    """
    if not rotated:
        raise InputError("no rotated glass was given.")
    prediction, original = request.run(prepared, atom)
    pairs = np.column_stack([prediction.source, prediction.target])
    if len(np.unique(pairs, axis=0)) < len(pairs):
        raise InputError(
            f"some atoms of {prepared.glass.name!r} are joined by several periodic images: in a cell smaller than "
            "twice the cut-off, rotations cannot be compared unit by unit."
        )
    turned = [request.run(other, atom) for other in rotated]
    return pd.DataFrame(
        [
            {**_likeness(original, scores), "prediction_change": other.original - prediction.original}
            for other, scores in turned
        ]
    )


def _likeness(first: UnitScores, second: UnitScores) -> dict[str, float]:
    return {
        "overlap": top_overlap(first.score, second.score, TOP),
        "correlation": rank_correlation(first.score, second.score),
    }
