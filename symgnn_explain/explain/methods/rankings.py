"""Null methods: rankings that know nothing of what the network computes, to measure the others against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.unit_geometry import unit_distances
from symgnn_explain.explain.scores import NoSettings, UnitScores
from symgnn_explain.runs.watch import Watch


@dataclass(frozen=True)
class RandomSettings:
    """A ranking at random.

    Parameters
    ----------
    seed
        Of the ranking.
    """

    seed: int = 0


def distance_ranking(prediction: MaskedPrediction, _settings: NoSettings, watch: Watch) -> UnitScores:
    """Score units by their nearness to the explained atom: 1 at no distance, 0 for the farthest."""
    distance = unit_distances(prediction)
    largest = float(distance.max())
    score = 1 - distance / largest if largest > 0 else np.ones_like(distance)
    watch.advance(1.0)
    return UnitScores(score=score, signed=False, diagnostics={"largest_distance": largest})


def random_ranking(prediction: MaskedPrediction, settings: RandomSettings, watch: Watch) -> UnitScores:
    """Score units by independent uniform random numbers."""
    score = np.random.default_rng(settings.seed).random(prediction.n_units)
    watch.advance(1.0)
    return UnitScores(score=score, signed=False)
