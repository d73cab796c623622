"""Is an explanation about the network at all? Checks that any method can be put to, by its name in ``METHODS``.

- Parameter randomisation (Adebayo et al., NeurIPS 2018): other weights, other explanation.
- Planted ground truth: where it is known which edges matter, they are found.
- Completeness: signed contributions add up to the change of the prediction.
- Stability: over seeds, and over rotations and reflections of the glass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import METHODS, require_method
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.unit_geometry import unit_geometry
from symgnn_explain.explain.engine.units import Unit
from symgnn_explain.explain.fidelity.rank_agreement import rank_correlation, roc_auc, top_overlap
from symgnn_explain.explain.sanity.planted import PlantedPredictor
from symgnn_explain.explain.sanity.randomised import cascade
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.models.symmetrization import HaarO3
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import FloatArray

TOP = 10
"""Overlaps are those of this many most important units."""


@dataclass(frozen=True)
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
    settings
        Of the method.
    """

    method: str
    semantics: MaskSemantics | None = None
    unit: Unit = "edge"
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(
        cls, method: str, *, semantics: MaskSemantics | None = None, unit: Unit = "edge", **settings: Any
    ) -> Request:
        """Write a request as one writes a call of ``explain``; raises InputError where the method does not exist."""
        require_method(method).configure(**settings)
        return cls(method, semantics, unit, tuple(settings.items()))

    @property
    def takes_seed(self) -> bool:
        """Whether the method has anything random."""
        return hasattr(METHODS[self.method].configure(**dict(self.settings)), "seed")

    def with_seed(self, seed: int) -> Request:
        """Return the same request with another seed."""
        return replace(self, settings=tuple({**dict(self.settings), "seed": seed}.items()))

    def run(
        self, prepared: PreparedGlass, atom: int, watch: Watch | None = None
    ) -> tuple[MaskedPrediction, UnitScores]:
        """Score the units of one atom's receptive field."""
        method = METHODS[self.method]
        with one_thread():
            prediction = prepared.masked_prediction(atom, semantics=self.semantics or method.semantics, unit=self.unit)
            scores = method.run(prediction, method.configure(**dict(self.settings)), watch or Watch())
        return prediction, scores


@dataclass(frozen=True, eq=False)
class RandomisationTest:
    """How alike scores are before and after weights were drawn anew, from the head down to the encoders.

    Parameters
    ----------
    request, atom
        What was explained.
    stage
        Which weights were drawn last; those of the stages before are random too. The last stage is a full
        randomisation.
    correlation
        Spearman's correlation of absolute scores with those of the trained network, shape (n_stages,).
    given_graph
        The same among units of the same hop and the same flow (:class:`~.engine.unit_geometry.UnitGeometry`), the mean
        over such classes. Whatever its weights, a network of this architecture gives more weight to the near than to
        the far, and to edges from which many walks lead to the explained atom. An explanation has to show that; it is
        no sign that it ignores the weights, and is left out here.
    flow_correlation
        Spearman's correlation of absolute scores with the flow alone, shape (n_stages,): how much of ``correlation``
        is the graph's.
    overlap
        Share of the ten most important units in common, shape (n_stages,).
    """

    request: Request
    atom: int
    stage: tuple[str, ...]
    correlation: FloatArray
    given_graph: FloatArray
    flow_correlation: FloatArray
    overlap: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """One row a stage: stage, correlation, given_graph, flow_correlation, overlap."""
        names = ("stage", "correlation", "given_graph", "flow_correlation", "overlap")
        return pd.DataFrame({name: getattr(self, name) for name in names})


def randomised_networks(prepared: PreparedGlass, *, seed: int = 0) -> dict[str, PreparedGlass]:
    """Draw the networks of :func:`randomisation_test` once for any number of atoms and methods, by stage."""
    return dict(cascade(prepared, seed=seed))


def randomisation_test(
    prepared: PreparedGlass, randomised: dict[str, PreparedGlass], atom: int, request: Request
) -> RandomisationTest:
    """Compare scores of a trained network with those of networks whose weights were drawn anew.

    A method that starts from random numbers starts from the same ones each time, so a ranking that is little else than
    its start is found out.

    Parameters
    ----------
    prepared
        The glass, as the trained predictor sees it.
    randomised
        What :func:`randomised_networks` made of it.
    atom, request
        What is explained.
    """
    prediction, trained = request.run(prepared, atom)
    geometry = unit_geometry(prediction)
    classes = geometry.flow_classes()
    found = [request.run(other, atom)[1].score for other in randomised.values()]
    return RandomisationTest(
        request=request,
        atom=atom,
        stage=tuple(randomised),
        correlation=np.array([rank_correlation(trained.score, score) for score in found]),
        given_graph=np.array([rank_correlation(trained.score, score, classes) for score in found]),
        flow_correlation=np.array([rank_correlation(geometry.flow, score) for score in found]),
        overlap=np.array([top_overlap(trained.score, score, TOP) for score in found]),
    )


@dataclass(frozen=True)
class PlantedTest:
    """Whether a method finds the units that a planted network's prediction hangs on.

    Parameters
    ----------
    request, atom, plant
        What was explained, and what is true.
    auc
        Area under the ROC curve of the absolute scores: 1 where every true unit stands above every false one.
    precision
        Share of true ones among as many most important units as are true. Stricter: with 20 000 false units a hundred
        of them may stand above all true ones before the area falls to 0.995.
    change
        Prediction minus prediction with everything masked: what there is to explain.
    n_true, n_units
        How many units are true, and how many there are.
    """

    request: Request
    atom: int
    plant: str
    auc: float
    precision: float
    change: float
    n_true: int
    n_units: int

    def to_frame(self) -> pd.DataFrame:
        """One row: method, atom, plant, auc, precision, change, n_true, n_units."""
        names = ("atom", "plant", "auc", "precision", "change", "n_true", "n_units")
        return pd.DataFrame([{"method": self.request.method} | {name: getattr(self, name) for name in names}])


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
    top = np.argsort(-np.abs(scores.score), kind="stable")[: truth.sum()]
    return PlantedTest(
        request=request,
        atom=atom,
        plant=planted.plant.name,
        auc=roc_auc(truth, scores.score),
        precision=float(truth[top].mean()),
        change=prediction.original - prediction.baseline,
        n_true=int(truth.sum()),
        n_units=prediction.n_units,
    )


@dataclass(frozen=True)
class Completeness:
    """Whether signed contributions add up (the completeness axiom of Sundararajan et al., ICML 2017).

    Parameters
    ----------
    total
        Sum of the contributions.
    change
        Prediction minus prediction with everything masked: what they should add up to.
    """

    total: float
    change: float

    @property
    def error(self) -> float:
        """What is missing or too much."""
        return self.total - self.change

    def to_frame(self) -> pd.DataFrame:
        """One row: total, change, error."""
        return pd.DataFrame([{"total": self.total, "change": self.change, "error": self.error}])


def completeness(prediction: MaskedPrediction, scores: UnitScores) -> Completeness:
    """Add up signed contributions and compare with the change of the prediction.

    Raises
    ------
    InputError
        If the scores are a mask: mask values are no contributions.
    """
    if not scores.signed:
        raise InputError("these scores are not signed contributions, which alone can be complete.")
    return Completeness(float(scores.score.sum()), prediction.original - prediction.baseline)


@dataclass(frozen=True, eq=False)
class Stability:
    """How alike explanations of one prediction are when something is changed that should not matter.

    Parameters
    ----------
    request, atom
        What was explained.
    over
        ``seeds`` or ``rotations``.
    overlap
        Share of the ten most important units in common, a pair of runs, shape (n_pairs,).
    correlation
        Spearman's correlation of absolute scores, shape (n_pairs,).
    prediction_change
        Change of the prediction itself in each pair, shape (n_pairs,): 0 over seeds; over rotations the network is
        invariant up to its symmetrization error, and an explanation cannot be more stable than what it explains.
    """

    request: Request
    atom: int
    over: str
    overlap: FloatArray
    correlation: FloatArray
    prediction_change: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """One row a pair: over, overlap, correlation, prediction_change."""
        return pd.DataFrame(
            {
                "over": self.over,
                "overlap": self.overlap,
                "correlation": self.correlation,
                "prediction_change": self.prediction_change,
            }
        )


def seed_stability(prepared: PreparedGlass, atom: int, request: Request, seeds: Sequence[int] = (0, 1, 2)) -> Stability:
    """Explain one atom with several seeds and compare each pair.

    Raises
    ------
    InputError
        If the method has no seed, or fewer than two are given.
    """
    if not request.takes_seed:
        raise InputError(f"{request.method} takes no seed: it gives the same scores each time.")
    if len(seeds) < 2:
        raise InputError(f"seeds={list(seeds)} are too few: two at least can be compared.")
    scores = [request.with_seed(seed).run(prepared, atom)[1].score for seed in seeds]
    pairs = list(combinations(scores, 2))
    return _compare(request, atom, "seeds", pairs, np.zeros(len(pairs)))


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
) -> Stability:
    """Explain one atom in a glass and in its rotations, and compare each with the glass itself.

    Parameters
    ----------
    prepared, rotated
        The glass, and what :func:`rotated_glasses` made of it. Units are matched by their number, so no two atoms may
        be joined by several periodic images: their order depends on the rotation.
    atom, request
        What is explained.

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
    change = np.array([other.original - prediction.original for other, _ in turned])
    return _compare(request, atom, "rotations", [(original.score, scores.score) for _, scores in turned], change)


def _compare(
    request: Request, atom: int, over: str, pairs: Sequence[tuple[FloatArray, FloatArray]], change: FloatArray
) -> Stability:
    return Stability(
        request=request,
        atom=atom,
        over=over,
        overlap=np.array([top_overlap(*pair, TOP) for pair in pairs]),
        correlation=np.array([rank_correlation(*pair) for pair in pairs]),
        prediction_change=change,
    )
