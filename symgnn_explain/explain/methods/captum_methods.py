"""Captum's gradient methods over the mask of one atom's prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.scores import NoSettings, UnitScores
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import FloatArray

INCOMPLETE = 3e-3
"""Largest difference between the sum of contributions and the change that they add up to, in units of the spread of the
training labels: 0.9 meV for energy barriers."""

MOST_DOUBLINGS = 3


@dataclass(frozen=True)
class IntegratedGradientsSettings:
    """Integrated Gradients from the mask that is 0 everywhere to the one that is 1 everywhere.

    Parameters
    ----------
    steps
        Points of the Gauss-Legendre quadrature along the path.
    complete
        Whether twice as many points are taken, up to eight times, as long as the contributions do not sum to the change
        of the prediction.
    """

    steps: int = 20
    complete: bool = True

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise InputError(f"steps={self.steps} must be at least 2.")


def saliency(prediction: MaskedPrediction, _settings: NoSettings, watch: Watch) -> UnitScores:
    """Score units by |∂prediction/∂mask| where nothing is masked (Simonyan et al., 2013), relative to the largest.

    The largest gradient is among the diagnostics.
    """
    attribution = Saliency(Counted(prediction, 1, watch)).attribute(prediction.full(1.0)[None].requires_grad_())
    gradient = as_scores(attribution)
    largest = float(gradient.max())
    score = gradient / largest if largest > 0 else gradient
    return UnitScores(score=score, signed=False, diagnostics={"largest_gradient": largest})


def input_gradient(prediction: MaskedPrediction, _settings: NoSettings, watch: Watch) -> UnitScores:
    """Score units by mask · ∂prediction/∂mask where nothing is masked, that is, by the gradient itself; signed."""
    attribution = InputXGradient(Counted(prediction, 1, watch)).attribute(prediction.full(1.0)[None].requires_grad_())
    return contributions(prediction, as_scores(attribution))


def integrated_gradients(
    prediction: MaskedPrediction, settings: IntegratedGradientsSettings, watch: Watch
) -> UnitScores:
    """Split the prediction's change from no messages to all messages among the units (Sundararajan et al., ICML 2017).

    Scores are signed; their sum equals the change up to the ``completeness_error`` among the diagnostics.

    Raises
    ------
    InputError
        Under the semantics ``removal``.
    """
    if prediction.semantics == "removal":
        raise InputError(
            "integrated_gradients means nothing under the semantics 'removal', where attention is shared among what is "
            "left, so that every point of the path but its start predicts the same: choose 'reference' or 'zero', or "
            "feature_ablation or shapley_sampling, which mask units wholly."
        )
    for doubled in range(MOST_DOUBLINGS + 1 if settings.complete else 1):
        steps = settings.steps * 2**doubled
        # One mask a call on a CPU: a batch would hold the intermediate results of all steps at once.
        attribution = IntegratedGradients(Counted(prediction, steps, watch), multiply_by_inputs=True).attribute(
            prediction.full(1.0)[None],
            baselines=prediction.full(0.0)[None],
            n_steps=steps,
            internal_batch_size=prediction.at_once,
        )
        found = contributions(prediction, as_scores(attribution))
        if abs(found.diagnostics["completeness_error"]) <= INCOMPLETE * prediction.label_scale:
            break
    return found


class Counted:
    """A prediction that Captum calls with masks (B, n_units), and that reports how many of them are done.

    Parameters
    ----------
    prediction
        What predicts.
    expected
        How many steps there will be: one a mask, and whatever else calls :meth:`advance`.
    watch
        What is told of progress.
    """

    def __init__(self, prediction: MaskedPrediction, expected: int, watch: Watch) -> None:
        self._prediction, self._expected, self._watch = prediction, expected, watch
        self._done = 0

    def __call__(self, masks: Tensor) -> Tensor:
        """Predict under each mask, shape (B,)."""
        predictions = self._prediction.batch(masks)
        self.advance(len(masks))
        return predictions

    def advance(self, steps: int = 1) -> None:
        """Count further steps; raises Cancelled if the user asked to stop."""
        self._done += steps
        self._watch.advance(min(self._done / self._expected, 1.0))


def as_scores(attribution: Tensor) -> FloatArray:
    """Turn what Captum returned for one mask (1, n_units) into scores (n_units,)."""
    scores: FloatArray = attribution.squeeze(0).detach().double().cpu().numpy()
    return scores


def contributions(prediction: MaskedPrediction, score: FloatArray, *, spread: FloatArray | None = None) -> UnitScores:
    """Return signed scores with how far their sum is from the change between no messages and all messages."""
    change = prediction.original - prediction.baseline
    return UnitScores(
        score=score,
        signed=True,
        spread=spread,
        diagnostics={
            "baseline_prediction": prediction.baseline,
            "completeness_error": float(np.sum(score)) - change,
        },
    )
