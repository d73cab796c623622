"""Captum's gradient methods over the mask of one atom's prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.described_path import DescribedPath
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.pair_forward import PairForward
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
        Points of the Gauss-Legendre quadrature along the path. With ten contributions to a smooth network's prediction
        are within a thousandth of the largest one.
    complete
        Whether twice as many points are taken, up to eight times, as long as the contributions do not sum to the change
        of the prediction.
    """

    steps: int = 10
    complete: bool = True

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise InputError(f"steps={self.steps} must be at least 2.")


def saliency(prediction: MaskedPrediction, _settings: NoSettings, watch: Watch) -> UnitScores:
    """Score units by |∂prediction/∂mask| where nothing is masked (Simonyan et al., 2013), relative to the largest.

    The largest gradient is among the diagnostics.
    """
    from captum.attr import Saliency

    attribution = Saliency(Counted(prediction.batch, 1, watch)).attribute(prediction.full(1.0)[None].requires_grad_())
    gradient = as_scores(attribution)
    largest = float(gradient.max())
    score = gradient / largest if largest > 0 else gradient
    return UnitScores(score=score, signed=False, diagnostics={"largest_gradient": largest})


def input_gradient(prediction: MaskedPrediction, _settings: NoSettings, watch: Watch) -> UnitScores:
    """Score units by mask · ∂prediction/∂mask where nothing is masked, that is, by the gradient itself; signed."""
    from captum.attr import InputXGradient

    attribution = InputXGradient(Counted(prediction.batch, 1, watch)).attribute(
        prediction.full(1.0)[None].requires_grad_()
    )
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
    summed, forward = _of_all, prediction.forward
    if isinstance(forward, PairForward):
        summed = partial(_of_members, DescribedPath(forward))
    for doubled in range(MOST_DOUBLINGS + 1 if settings.complete else 1):
        each = summed(prediction, settings.steps * 2**doubled, watch)
        found = contributions(prediction, each.mean(axis=0))
        if abs(found.diagnostics["completeness_error"]) <= INCOMPLETE * prediction.label_scale:
            break
    return replace(found, member_spread=each.std(axis=0, ddof=1)) if len(each) > 1 else found


def _of_all(prediction: MaskedPrediction, steps: int, watch: Watch) -> FloatArray:
    """Integrate over the mask, shape (1, n_units)."""
    from captum.attr import IntegratedGradients

    # One mask a call on a CPU: a batch would hold the intermediate results of all steps at once.
    attribution = IntegratedGradients(Counted(prediction.batch, steps, watch), multiply_by_inputs=True).attribute(
        prediction.full(1.0)[None],
        baselines=prediction.full(0.0)[None],
        n_steps=steps,
        internal_batch_size=prediction.at_once,
    )
    return as_scores(attribution)[None]


def _of_members(path: DescribedPath, prediction: MaskedPrediction, steps: int, watch: Watch) -> FloatArray:
    """Integrate over descriptors and messages, and find what each member says of the units, shape (M, n_units)."""
    from captum.attr import IntegratedGradients

    gradients = IntegratedGradients(Counted(path, steps, watch), multiply_by_inputs=False).attribute(
        path.end, baselines=path.start, n_steps=steps, internal_batch_size=1
    )
    pairs = path.to_pairs(*gradients).double().cpu().numpy()
    return np.stack([prediction.units.gather(of_pair, mean=False) for of_pair in pairs])


class Counted:
    """Predictions that Captum asks for, B at a time, and that report how many of them are done.

    Parameters
    ----------
    predict
        What predicts.
    expected
        How many steps there will be: one a mask, and whatever else calls :meth:`advance`.
    watch
        What is told of progress.
    """

    def __init__(self, predict: Callable[..., Tensor], expected: int, watch: Watch) -> None:
        self._predict, self._expected, self._watch = predict, expected, watch
        self._done = 0

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Predict under each mask, shape (B,)."""
        predictions = self._predict(*inputs)
        self.advance(len(predictions))
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
