"""GNNExplainer (Ying et al., NeurIPS 2019) for one atom's barrier, on its receptive field."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.masked_prediction import MaskedPrediction
from symgnn_explain.explain.scores import UnitScores, Watch

INITIAL_SPREAD = 0.1
"""Standard deviation of the mask's logits at the start, as in the published code."""


@dataclass(frozen=True)
class GNNExplainerSettings:
    """The published objective: prediction loss + size · Σm + entropy · mean binary entropy of m.

    Parameters
    ----------
    epochs
        Steps of Adam.
    learning_rate
        Of Adam, on the logits of the mask.
    size
        Weight of the sum of the mask.
    entropy
        Weight of its mean binary entropy.
    seed
        Of the initial mask.
    """

    epochs: int = 500
    learning_rate: float = 0.01
    size: float = 0.005
    entropy: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or not self.learning_rate > 0 or self.size < 0 or self.entropy < 0:
            raise InputError(
                f"{self} cannot be used: epochs and learning_rate must be positive, size and entropy not negative."
            )


def gnn_explainer(prediction: MaskedPrediction, settings: GNNExplainerSettings, watch: Watch) -> UnitScores:
    """Find the mask that keeps the prediction while it is small and decided.

    The prediction loss is the squared difference to the network's own prediction, in units of the standard deviation of
    the training barriers, as published (Li et al., ICML 2024, section 5).
    """
    generator = torch.Generator().manual_seed(settings.seed)
    initial = torch.randn(prediction.n_units, generator=generator) * INITIAL_SPREAD
    logits = initial.to(prediction.full(0.0)).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=settings.learning_rate)
    for epoch in range(settings.epochs):
        mask = logits.sigmoid()
        prediction_loss = ((prediction(mask) - prediction.original) / prediction.barrier_scale).square()
        loss = prediction_loss + settings.size * mask.sum() + settings.entropy * _binary_entropy(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.advance((epoch + 1) / settings.epochs)
    with torch.no_grad():
        mask = logits.sigmoid()
        masked = float(prediction(mask))
    return UnitScores(
        score=mask.cpu().double().numpy(),
        signed=False,
        masked_prediction=masked,
        diagnostics={"mask_sum": float(mask.sum()), "edges_above_half": float((mask > 0.5).sum())},
    )


def _binary_entropy(logits: Tensor) -> Tensor:
    """Mean of -m log m - (1 - m) log(1 - m), from logits so that it never overflows."""
    log_mask, log_rest = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    return -(log_mask.exp() * log_mask + log_rest.exp() * log_rest).mean()
