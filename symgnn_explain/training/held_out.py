"""What the networks of a cross-validation say together of the glasses that none of them was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symgnn_explain.models.calibration import Calibration
from symgnn_explain.models.domain import Domain
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.training.metrics import regression_metrics


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A held-out glass: K known values, mean and standard deviation of the predictions, and domain lengths, (K,).

    ``length`` is :func:`~symgnn_explain.models.domain.neighbourhood_length`, or None where the network has none.
    """

    fold: int
    name: str
    known: FloatArray
    mean: FloatArray
    disagreement: FloatArray
    length: FloatArray | None = None

    @property
    def residual(self) -> FloatArray:
        """Known values minus predictions."""
        return self.known - self.mean


def predict_held_out(fold: int, glasses: Sequence[Glass], predictors: Sequence[Predictor]) -> list[HeldOut]:
    """Let the predictors of one fold predict its held-out glasses together; kept are the atoms with known values."""
    held_out = []
    for glass in glasses:
        labels = predictors[0].target.require_labels(glass)
        known = ~np.isnan(labels)
        each = np.hstack([predictor.predict_members(glass) for predictor in predictors])
        disagreement = each.std(axis=1, ddof=1) if each.shape[1] > 1 else np.zeros(len(glass))
        # Surroundings are standardised on the glasses of the fold, which the seeds share.
        length = predictors[0].neighbourhood_length(glass)
        values = (labels, each.mean(axis=1), disagreement, *(() if length is None else (length,)))
        held_out.append(HeldOut(fold, glass.name, *(value[known] for value in values)))
    return held_out


def summarise(held_out: Sequence[HeldOut], domain: Domain | None = None) -> dict[str, Any]:
    """Return r and errors of the joint predictions by glass, the calibration on all folds, and how well it covers.

    The coverage of each fold is that of a calibration on the other folds: no atom judges what it was fitted to. A
    single fold has no others, and its coverage is empty. Where the domain is known, spreads grow with its score.
    """
    folds = sorted({glass.fold for glass in held_out})
    edge = None if domain is None else domain.edge
    covered: dict[int, dict[str, float]] = {fold: {} for fold in folds}
    for fold in folds if len(folds) > 1 else ():
        own, others = (
            _Joined.of([glass for glass in held_out if (glass.fold == fold) is mine], edge) for mine in (True, False)
        )
        calibration = others.calibration()
        covered[fold] = calibration.coverage(own.residual, calibration.spread(own.disagreement, own.domain))
    levels = [level for level in covered[folds[0]] if all(level in covered[fold] for fold in folds)]
    return {
        "metrics": {glass.name: regression_metrics(glass.mean, glass.known) for glass in held_out},
        "pearson": float(np.mean([_mean_pearson(held_out, fold) for fold in folds])),
        "calibration": _Joined.of(held_out, edge).calibration().to_dict(),
        "coverage": {level: float(np.mean([covered[fold][level] for fold in folds])) for level in levels},
        "coverage_by_fold": [covered[fold] for fold in folds],
    }


class _Joined(NamedTuple):
    """The atoms of several glasses."""

    residual: FloatArray
    disagreement: FloatArray
    domain: FloatArray | None
    group: IntArray

    @classmethod
    def of(cls, glasses: Sequence[HeldOut], edge: float | None) -> _Joined:
        lengths = [glass.length for glass in glasses if glass.length is not None]
        domain = np.concatenate(lengths) / edge if edge is not None and len(lengths) == len(glasses) else None
        return cls(
            np.concatenate([glass.residual for glass in glasses]),
            np.concatenate([glass.disagreement for glass in glasses]),
            domain,
            np.concatenate([np.full(len(glass.known), glass.fold) for glass in glasses]),
        )

    def calibration(self) -> Calibration:
        return Calibration.fit(self.residual, self.disagreement, domain=self.domain, group=self.group)


def _mean_pearson(held_out: Sequence[HeldOut], fold: int) -> float:
    own = [glass for glass in held_out if glass.fold == fold]
    return float(np.mean([regression_metrics(glass.mean, glass.known)["pearson"] for glass in own]))
