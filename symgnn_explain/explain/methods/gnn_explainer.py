"""GNNExplainer (Ying et al., NeurIPS 2019) for numbers: a small mask under which the prediction stays what it is.

Two objectives are offered. The *published* one (Li et al., ICML 2024) weighs the size of the mask against the change of
the prediction; with some 20 000 edges the sum over them can outweigh the prediction, and then the explanation is of
something else. The *faithful* one makes "the prediction stays" a constraint, and minimises the size of the mask under
it with an augmented Lagrangian (Nocedal and Wright, Numerical Optimization, chapter 17).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symgnn_explain.errors import require_counts, require_not_negative, require_positive
from symgnn_explain.explain.engine.joint_prediction import JointPrediction
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import FloatArray

INITIAL_SPREAD = 0.1
"""Standard deviation of the mask's logits at the start, as in the published code."""

EPOCHS_BETWEEN_UPDATES = 10
"""Of the Lagrange multiplier."""

EPOCHS_BETWEEN_CHECKS = 50
TOP_UNITS = 50
SETTLED_SHARE = 0.96
"""A mask has settled when so large a share of its top units stayed over two checks, and the constraint holds."""

_NEGLIGIBLE = 0.01
"""Change of a prediction, in units of the spread of the training labels."""

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
"""Of Adam (Kingma and Ba, ICLR 2015)."""


@dataclass(frozen=True)
class _Objective:
    """What is minimised, by its gradients: recording and reversing its small steps would take a tenth of an epoch.

    Parameters
    ----------
    towards_change
        From the change of each prediction, in units of the training labels' spread, to the gradient towards it; (A,).
    towards_mask
        Gradient towards the mask of what does not depend on the predictions: a number, or shape (n_units,).
    entropy
        Weight of the mean binary entropy of the mask m, whose gradient towards a logit l is -l m (1 - m) / n_units.
    """

    towards_change: Callable[[Tensor], Tensor]
    towards_mask: float | Tensor
    entropy: float = 0.0


@dataclass(frozen=True)
class GNNExplainerSettings:
    """The faithful objective: the smallest mask under which the prediction stays.

    Parameters
    ----------
    epochs
        Steps of Adam at most.
    learning_rate
        Of Adam, on the logits of the mask.
    penalty
        Weight of the squared change of the prediction, in units of the spread of the training labels, against the
        mean of the mask; the multiplier of the constraint grows by it too.
    stop_early
        Whether to stop once the most important units no longer change.
    repetitions
        Runs from random initial masks, whose mean is the result; a single run starts from 0.5 everywhere, and is the
        same whatever the seed.
    seed
        Of the initial masks of several runs.
    """

    epochs: int = 500
    learning_rate: float = 0.1
    penalty: float = 5.0
    stop_early: bool = True
    repetitions: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        require_counts(epochs=self.epochs, repetitions=self.repetitions)
        require_positive(learning_rate=self.learning_rate, penalty=self.penalty)


@dataclass(frozen=True)
class PublishedGNNExplainerSettings:
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
        require_counts(epochs=self.epochs)
        require_positive(learning_rate=self.learning_rate)
        require_not_negative(size=self.size, entropy=self.entropy)


def gnn_explainer(prediction: MaskedPrediction, settings: GNNExplainerSettings, watch: Watch) -> UnitScores:
    """Find the smallest mask under which the prediction stays; scores are its values in [0, 1]."""
    return gnn_explainer_many([prediction], settings, watch)[0]


def gnn_explainer_many(
    predictions: Sequence[MaskedPrediction], settings: GNNExplainerSettings, watch: Watch
) -> list[UnitScores]:
    """Do what :func:`gnn_explainer` does for several atoms at once, as pays on a GPU."""
    joint = JointPrediction(predictions)
    runs = [_constrained(joint, settings, run, watch) for run in range(settings.repetitions)]
    scores = []
    for atom, prediction in enumerate(predictions):
        masks = torch.stack([joint.split(mask)[atom] for mask, _ in runs])
        spread = masks.std(0).cpu().double().numpy() if len(runs) > 1 else None
        epochs = float(np.mean([float(ended[atom]) for _, ended in runs]))
        scores.append(_scores(prediction, masks.mean(0), {"epochs": epochs}, spread))
    return scores


def published_gnn_explainer(
    prediction: MaskedPrediction, settings: PublishedGNNExplainerSettings, watch: Watch
) -> UnitScores:
    """Minimise the published objective.

    The prediction loss is the squared difference to the network's own prediction, in units of the standard deviation of
    the training labels, as published (Li et al., ICML 2024, section 5).
    """
    joint = JointPrediction([prediction])
    logits = _random_logits(joint, settings.seed)

    objective = _Objective(lambda change: 2 * change, settings.size, settings.entropy)
    for epoch, _ in enumerate(_descend(joint, logits, settings.learning_rate, objective, settings.epochs)):
        watch.advance((epoch + 1) / settings.epochs)
        watch.offer(lambda: _mask_of(logits))
    return _scores(prediction, logits.sigmoid(), {"epochs": float(settings.epochs)})


def _constrained(
    joint: JointPrediction, settings: GNNExplainerSettings, run: int, watch: Watch
) -> tuple[Tensor, Tensor]:
    """Return the mask (n_units,), and the epoch at which that of each atom was done (A,)."""
    logits = joint.full(0.0) if settings.repetitions == 1 else _random_logits(joint, settings.seed + run)
    multiplier = torch.zeros_like(joint.original)

    objective = _Objective(
        lambda change: multiplier + settings.penalty * change, (1 / joint.sizes.to(logits))[joint.owner]
    )
    final, ended = torch.empty_like(logits), torch.full_like(multiplier, settings.epochs)
    going = torch.ones_like(multiplier, dtype=torch.bool)
    settled = _Settled(joint)
    steps = _descend(joint, logits, settings.learning_rate, objective, settings.epochs)
    for epoch, change in enumerate(steps, start=1):
        if epoch % EPOCHS_BETWEEN_UPDATES == 0:
            multiplier += settings.penalty / 2 * change
        if settings.stop_early and epoch % EPOCHS_BETWEEN_CHECKS == 0:
            done = going & settled.after(logits, change)
            final = torch.where(done[joint.owner], logits, final)
            ended = torch.where(done, epoch, ended)
            going &= ~done
        finished = not going.any()
        watch.advance((run + (1.0 if finished else epoch / settings.epochs)) / settings.repetitions)
        watch.offer(lambda: _mask_of(logits))
        if finished:
            break
    return torch.where(going[joint.owner], logits, final).sigmoid(), ended


def _descend(
    joint: JointPrediction, logits: Tensor, learning_rate: float, objective: _Objective, epochs: int
) -> Iterator[Tensor]:
    """Change the logits in place by Adam; yield the changes of the predictions (A,) that each epoch started from."""
    mean, square = torch.zeros_like(logits), torch.zeros_like(logits)
    for epoch in range(1, epochs + 1):
        mask = logits.sigmoid()
        predictions, pullback = joint.with_pullback(mask)
        change = (predictions - joint.original) / joint.label_scale
        gradient = pullback(objective.towards_change(change) / joint.label_scale) + objective.towards_mask
        if objective.entropy:
            gradient.sub_(logits, alpha=objective.entropy / len(logits))
        gradient = torch.ops.aten.sigmoid_backward(gradient, mask)
        mean.lerp_(gradient, 1 - _BETA1)
        square.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        size = square.div(1 - _BETA2**epoch).sqrt_().add_(_EPSILON)
        logits.addcdiv_(mean, size, value=-learning_rate / (1 - _BETA1**epoch))
        yield change


class _Settled:
    """Tells which atoms' most important units no longer change."""

    def __init__(self, joint: JointPrediction) -> None:
        self.joint = joint
        self.tops: list[list[set[int]]] = []

    def after(self, logits: Tensor, change: Tensor) -> Tensor:
        """Look at the logits as they are now; return which atoms are done, shape (A,)."""
        pieces = self.joint.split(logits)
        self.tops.append([set(piece.topk(min(TOP_UNITS, len(piece))).indices.tolist()) for piece in pieces])
        if len(self.tops) < 3:
            return torch.zeros_like(change, dtype=torch.bool)
        before, between, now = self.tops[-3:]
        stayed = [
            len(one & two & three) >= SETTLED_SHARE * len(three)
            for one, two, three in zip(before, between, now, strict=True)
        ]
        return torch.tensor(stayed, device=change.device) & (change.abs() < _NEGLIGIBLE)


def _scores(
    prediction: MaskedPrediction, mask: Tensor, diagnostics: dict[str, float], spread: FloatArray | None = None
) -> UnitScores:
    with torch.no_grad():
        masked = float(prediction(mask))
    counts = {"mask_sum": float(mask.sum()), "units_above_half": float((mask > 0.5).sum())}
    return UnitScores(
        score=mask.cpu().double().numpy(),
        signed=False,
        masked_prediction=masked,
        spread=spread,
        diagnostics={**diagnostics, **counts},
    )


def _mask_of(logits: Tensor) -> FloatArray:
    return logits.sigmoid().cpu().double().numpy()


def _random_logits(joint: JointPrediction, seed: int) -> Tensor:
    # Every atom starts as it would alone, whichever others are beside it.
    drawn = [torch.randn(one.n_units, generator=torch.Generator().manual_seed(seed)) for one in joint.predictions]
    return (torch.cat(drawn) * INITIAL_SPREAD).to(joint.original)
