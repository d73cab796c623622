"""A ranking of which every beginning explains: GNNExplainer (Ying et al., NeurIPS 2019) for all budgets at once.

GNNExplainer looks for one mask under which the prediction stays. A soft mask that keeps the prediction says little
about its most important units alone: where only these are kept, the prediction is another. So here scores are learnt
such that for *every* k the k units with the largest scores, kept alone, give back the prediction. Each step takes a k,
keeps the k best units and nothing else, and moves the scores by the gradient of the squared change of the prediction,
taken through a sigmoid around the threshold (straight-through: Bengio, Léonard and Courville, arXiv:1308.3432).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symgnn_explain.errors import require_counts, require_positive
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.fidelity.measure import fidelity, log_counts
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.runs.watch import Watch

GOLDEN_RATIO = (np.sqrt(5) - 1) / 2
"""Multiples of it, without their whole parts, fill the unit interval evenly: budgets are taken so, without a seed."""

BINS = 64
"""Of log k, in which it is noted how much the prediction changed."""

SMALLEST_START = 1e-3
"""Units are ranked at the start by log(|contribution| + this · the largest): far smaller ones are all the same."""

TIE_BREAK = 1e-9


@dataclass(frozen=True)
class NestedMasksSettings:
    """A ranking whose first k units, kept alone, keep the prediction, for every k.

    Parameters
    ----------
    epochs
        Steps of Adam, with one budget each.
    learning_rate
        Of Adam, on scores whose standard deviation is 1 at the start.
    temperature
        Width of the sigmoid around the threshold, on the same scale.
    start_steps
        Points of the integrated gradient that the ranking starts from.
    tolerance
        Change of the prediction up to which it counts as kept; that of the target where None.
    """

    epochs: int = 500
    learning_rate: float = 0.05
    temperature: float = 0.3
    start_steps: int = 20
    tolerance: float | None = None

    def __post_init__(self) -> None:
        require_counts(epochs=self.epochs, start_steps=self.start_steps)
        require_positive(learning_rate=self.learning_rate, temperature=self.temperature)
        if self.tolerance is not None:
            require_positive(tolerance=self.tolerance)


def nested_masks(prediction: MaskedPrediction, settings: NestedMasksSettings, watch: Watch) -> UnitScores:
    """Rank units so that the first k, kept alone, give back the prediction, for every k.

    Scores lie in [0, 1]. Those above 1/2 are the smallest set that suffices: kept alone it changes the prediction by at
    most the tolerance, and so does every larger set of the ranking that was checked. The masked prediction is that
    of this set.
    """
    n_steps = settings.start_steps + settings.epochs
    contribution = torch.zeros_like(prediction.full(0.0))
    for step in range(settings.start_steps):
        mask = prediction.full((step + 0.5) / settings.start_steps).requires_grad_()
        contribution += torch.autograd.grad(prediction(mask), mask)[0] / settings.start_steps
        watch.advance((step + 1) / n_steps)
    scores = _standardised(contribution.abs()).requires_grad_()
    optimizer = torch.optim.Adam([scores], lr=settings.learning_rate)
    budgets = _Budgets(prediction.n_units)
    for epoch in range(settings.epochs):
        budget = budgets.next()
        soft = ((scores - _threshold(scores, budget)) / settings.temperature).sigmoid()
        kept = (soft.detach() > 0.5).to(soft) + soft - soft.detach()
        change = (prediction(kept) - prediction.original) / prediction.label_scale
        optimizer.zero_grad()
        change.square().backward()
        optimizer.step()
        budgets.note(abs(float(change.detach())))
        watch.advance((settings.start_steps + epoch + 1) / n_steps)
    return _sufficient(prediction, scores.detach().double(), settings.tolerance)


class _Budgets:
    """Evenly spread over log k, and every other one where the prediction changed most when such a k was last tried."""

    def __init__(self, n_units: int) -> None:
        self.n_units = n_units
        self.last_change = np.zeros(BINS)
        self.step = self.bin = 0

    def next(self) -> int:
        """Return the number of units to keep."""
        evenly = self.step // 2 * GOLDEN_RATIO % 1.0
        if self.step % 2:
            self.bin = int(self.last_change.argmax())
            place = (self.bin + evenly) / BINS
        else:
            self.bin, place = int(evenly * BINS), evenly
        self.step += 1
        return round(self.n_units**place)

    def note(self, change: float) -> None:
        """Remember how much the prediction changed under the budget that was returned last."""
        self.last_change[self.bin] = change


def _standardised(contribution: Tensor) -> Tensor:
    largest = contribution.max()
    share = contribution / largest if largest > 0 else torch.ones_like(contribution)
    logarithm = (share + SMALLEST_START).log()
    return (logarithm - logarithm.mean()) / logarithm.std(correction=0).clamp(min=1e-6)


def _threshold(scores: Tensor, budget: int) -> Tensor:
    """Lie between the ``budget`` largest scores and the others."""
    if budget >= len(scores):
        return scores.detach().min() - 1
    if budget == 0:
        return scores.detach().max() + 1
    return scores.detach().topk(budget + 1).values[-2:].mean()


def _sufficient(prediction: MaskedPrediction, scores: Tensor, tolerance: float | None) -> UnitScores:
    order = np.argsort(-scores.cpu().numpy(), kind="stable")
    # Units without influence keep equal scores; the order that was checked is the one that is told.
    scores[torch.from_numpy(order)] -= TIE_BREAK * torch.arange(len(order), device=scores.device)
    checked = fidelity(prediction, order, log_counts(prediction.n_units))
    needed = checked.sufficient_count(tolerance)
    # All units are the prediction itself, whatever rounding says to a tiny tolerance.
    needed = prediction.n_units if needed is None else needed
    return UnitScores(
        score=(scores - _threshold(scores, needed)).sigmoid().cpu().numpy(),
        signed=False,
        masked_prediction=float(checked.kept[checked.count == needed][0]),
        diagnostics={"sufficient_units": float(needed)},
    )
