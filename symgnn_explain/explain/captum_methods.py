"""Captum's attribution methods over the edge mask of one atom's prediction."""

from __future__ import annotations

from dataclasses import dataclass

from captum.attr import IntegratedGradients
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.masked_prediction import MaskedPrediction
from symgnn_explain.explain.scores import UnitScores, Watch


@dataclass(frozen=True)
class IntegratedGradientsSettings:
    """Integrated Gradients from the mask that is 0 everywhere to the one that is 1 everywhere.

    Parameters
    ----------
    steps
        Points of the Gauss-Legendre quadrature along the path.
    """

    steps: int = 50

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise InputError(f"steps={self.steps} must be at least 2.")


def integrated_gradients(
    prediction: MaskedPrediction, settings: IntegratedGradientsSettings, watch: Watch
) -> UnitScores:
    """Split the prediction's change from no messages to all messages among the edges (Sundararajan et al., ICML 2017).

    Scores are signed, in eV; their sum equals the change up to the ``completeness_error`` among the diagnostics.
    """
    done = 0

    def predict(masks: Tensor) -> Tensor:
        nonlocal done
        predictions = prediction.batch(masks)
        done += len(masks)
        watch.advance(min(done / settings.steps, 1.0))
        return predictions

    whole, nothing = prediction.full(1.0)[None], prediction.full(0.0)[None]
    # One mask a call: a batch would hold the intermediate results of all steps at once.
    attribution = IntegratedGradients(predict, multiply_by_inputs=True).attribute(
        whole, baselines=nothing, n_steps=settings.steps, internal_batch_size=1
    )
    score = attribution.squeeze(0).detach().double().cpu().numpy()
    change = prediction.original - prediction.baseline
    return UnitScores(
        score=score,
        signed=True,
        diagnostics={"baseline_prediction": prediction.baseline, "completeness_error": float(score.sum()) - change},
    )
