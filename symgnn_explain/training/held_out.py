"""What the networks of a cross-validation say together of the glasses that none of them was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgnn_explain.models.calibration import Calibration, coverage
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.training.metrics import regression_metrics


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A held-out glass: its K known values, the mean of the predictions, and their standard deviation, (K,)."""

    fold: int
    name: str
    known: FloatArray
    mean: FloatArray
    disagreement: FloatArray

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
        each = np.stack([predictor.predict(glass) for predictor in predictors])
        disagreement = each.std(axis=0, ddof=1) if len(each) > 1 else np.zeros(len(glass))
        values = (labels, each.mean(axis=0), disagreement)
        held_out.append(HeldOut(fold, glass.name, *(value[known] for value in values)))
    return held_out


def summarise(held_out: Sequence[HeldOut]) -> dict[str, Any]:
    """Return r and errors of the joint predictions by glass, the calibration on all folds, and how well it covers.

    The coverage of each fold is that of a calibration on the other folds: no atom judges what it was fitted to. A
    single fold has no others, and its coverage is empty.
    """
    folds = sorted({glass.fold for glass in held_out})
    covered: dict[int, dict[str, float]] = {fold: {} for fold in folds}
    for fold in folds if len(folds) > 1 else ():
        own, others = ([glass for glass in held_out if (glass.fold == fold) is mine] for mine in (True, False))
        spread = _calibrated(others).spread(np.concatenate([glass.disagreement for glass in own]))
        covered[fold] = coverage(np.concatenate([glass.residual for glass in own]), spread)
    return {
        "metrics": {glass.name: regression_metrics(glass.mean, glass.known) for glass in held_out},
        "pearson": float(np.mean([_mean_pearson(held_out, fold) for fold in folds])),
        "calibration": _calibrated(held_out).to_dict(),
        "coverage": {level: float(np.mean([covered[fold][level] for fold in folds])) for level in covered[folds[0]]},
        "coverage_by_fold": [covered[fold] for fold in folds],
    }


def _calibrated(glasses: Sequence[HeldOut]) -> Calibration:
    parts: Mapping[str, list[FloatArray]] = {
        "residual": [glass.residual for glass in glasses],
        "disagreement": [glass.disagreement for glass in glasses],
    }
    return Calibration.fit(*(np.concatenate(part) for part in parts.values()))


def _mean_pearson(held_out: Sequence[HeldOut], fold: int) -> float:
    own = [glass for glass in held_out if glass.fold == fold]
    return float(np.mean([regression_metrics(glass.mean, glass.known)["pearson"] for glass in own]))
