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
from torch.nn.functional import logsigmoid

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

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From logits, mask (n_units,) and the change of each prediction in units of the training labels' spread (A,)."""


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

    def loss(logits: Tensor, mask: Tensor, change: Tensor) -> Tensor:
        # The entropy is written in logits, where it never overflows.
        entropy = -(mask * logsigmoid(logits) + (1 - mask) * logsigmoid(-logits)).mean()
        return change.square() + settings.size * mask.sum() + settings.entropy * entropy

    for epoch, _ in enumerate(_descend(joint, logits, settings.learning_rate, loss, settings.epochs)):
        watch.advance((epoch + 1) / settings.epochs)
        watch.offer(lambda: _mask_of(logits))
    return _scores(prediction, logits.detach().sigmoid(), {"epochs": float(settings.epochs)})


def _constrained(
    joint: JointPrediction, settings: GNNExplainerSettings, run: int, watch: Watch
) -> tuple[Tensor, Tensor]:
    """Return the mask (n_units,), and the epoch at which that of each atom was done (A,)."""
    logits = joint.full(0.0) if settings.repetitions == 1 else _random_logits(joint, settings.seed + run)
    multiplier = torch.zeros_like(joint.original)

    def loss(_: Tensor, mask: Tensor, change: Tensor) -> Tensor:
        size = joint.sums(mask) / joint.sizes
        return (size + multiplier * change + settings.penalty / 2 * change.square()).sum()

    final, ended = torch.empty_like(logits), torch.full_like(multiplier, settings.epochs)
    going = torch.ones_like(multiplier, dtype=torch.bool)
    settled = _Settled(joint)
    for epoch, change in enumerate(_descend(joint, logits, settings.learning_rate, loss, settings.epochs), start=1):
        if epoch % EPOCHS_BETWEEN_UPDATES == 0:
            multiplier += settings.penalty / 2 * change
        if settings.stop_early and epoch % EPOCHS_BETWEEN_CHECKS == 0:
            done = going & settled.after(logits, change)
            final = torch.where(done[joint.owner], logits.detach(), final)
            ended = torch.where(done, epoch, ended)
            going &= ~done
        finished = not going.any()
        watch.advance((run + (1.0 if finished else epoch / settings.epochs)) / settings.repetitions)
        watch.offer(lambda: _mask_of(logits))
        if finished:
            break
    return torch.where(going[joint.owner], logits.detach(), final).sigmoid(), ended


def _descend(joint: JointPrediction, logits: Tensor, learning_rate: float, loss: Loss, epochs: int) -> Iterator[Tensor]:
    """Minimise the loss with Adam; yield the changes of the predictions (A,) that each epoch started from."""
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=learning_rate, fused=True)
    for _ in range(epochs):
        mask = logits.sigmoid()
        change = (joint(mask) - joint.original) / joint.label_scale
        optimizer.zero_grad()
        loss(logits, mask, change).sum().backward()
        optimizer.step()
        yield change.detach()


class _Settled:
    """Tells which atoms' most important units no longer change."""

    def __init__(self, joint: JointPrediction) -> None:
        self.joint = joint
        self.tops: list[list[set[int]]] = []

    def after(self, logits: Tensor, change: Tensor) -> Tensor:
        """Look at the logits as they are now; return which atoms are done, shape (A,)."""
        pieces = self.joint.split(logits.detach())
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
    return logits.detach().sigmoid().cpu().double().numpy()


def _random_logits(joint: JointPrediction, seed: int) -> Tensor:
    # Every atom starts as it would alone, whichever others are beside it.
    drawn = [torch.randn(one.n_units, generator=torch.Generator().manual_seed(seed)) for one in joint.predictions]
    return (torch.cat(drawn) * INITIAL_SPREAD).to(joint.original)
