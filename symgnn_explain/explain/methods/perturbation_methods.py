"""Captum's perturbation methods over the mask of one atom's prediction: they mask units wholly, and predict anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.methods.captum_methods import Counted, as_scores, contributions
from symgnn_explain.explain.scores import NoSettings, UnitScores
from symgnn_explain.runs.watch import Watch

MOST_SHAPLEY_UNITS = 4_000
"""Units above which Shapley sampling is refused: each permutation is one prediction a unit."""

MOST_KERNEL_UNITS = 3_000
"""Units above which KernelShap is refused: it solves a linear system with one unknown a unit."""

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class ShapleySamplingSettings:
    """Shapley values by sampling permutations.

    Parameters
    ----------
    permutations
        Orders in which units are put back one by one.
    seed
        Of the permutations.
    """

    permutations: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.permutations < 1:
            raise InputError(f"permutations={self.permutations} must be at least 1.")


@dataclass(frozen=True)
class KernelShapSettings:
    """Shapley values by a weighted linear regression.

    Parameters
    ----------
    samples
        Masks that are predicted; 0 stands for twice the number of units and 2 048 more.
    seed
        Of the masks.
    """

    samples: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 0:
            raise InputError(f"samples={self.samples} must not be negative; 0 chooses by the number of units.")


def feature_ablation(prediction: MaskedPrediction, _settings: NoSettings, watch: Watch) -> UnitScores:
    """Score each unit by how much the prediction falls when it alone is masked (occlusion); signed."""
    from captum.attr import FeatureAblation

    predict = Counted(prediction.batch, prediction.n_units + 1, watch)
    attribution = FeatureAblation(predict).attribute(
        prediction.full(1.0)[None], baselines=0.0, perturbations_per_eval=prediction.at_once
    )
    return contributions(prediction, as_scores(attribution))


def shapley_sampling(prediction: MaskedPrediction, settings: ShapleySamplingSettings, watch: Watch) -> UnitScores:
    """Score each unit by what it adds to the prediction, averaged over orders in which units are put back; signed.

    Castro, Gómez and Tejada, Computers & Operations Research 36, 1726 (2009); every second order is the reverse of the
    one before, which halves the variance (Mitchell et al., JMLR 23, 43 (2022)). The sum of the scores is the change
    from no messages to all messages, whatever the number of permutations; ``spread`` is over permutations.

    Raises
    ------
    InputError
        If there are more than ``MOST_SHAPLEY_UNITS`` units.
    """
    from captum.attr import ShapleyValueSampling

    n_units = _require_few(prediction, MOST_SHAPLEY_UNITS, "shapley_sampling")
    orders = _paired_orders(n_units, settings.seed)
    captum = ShapleyValueSampling(Counted(prediction.batch, settings.permutations * (n_units + 1), watch))
    # Captum would draw from the process's own random numbers, which other threads share.
    captum.permutation_generator = lambda _units, _samples: [next(orders)]
    runs = []
    for _ in range(settings.permutations):  # one a call, for their spread
        attribution = captum.attribute(
            prediction.full(1.0)[None], baselines=0.0, n_samples=1, perturbations_per_eval=prediction.at_once
        )
        runs.append(as_scores(attribution))
    spread = np.std(runs, axis=0, ddof=1) if len(runs) > 1 else None
    return contributions(prediction, np.mean(runs, axis=0), spread=spread)


def kernel_shap(prediction: MaskedPrediction, settings: KernelShapSettings, watch: Watch) -> UnitScores:
    """Estimate Shapley values by linear regression on random masks (Lundberg and Lee, NeurIPS 2017); signed.

    Masks come in pairs with their complements, which lowers the variance (Covert and Lee, AISTATS 2021); that the
    scores sum to the change from no messages to all messages is imposed exactly.

    Raises
    ------
    InputError
        If there are more than ``MOST_KERNEL_UNITS`` units, or too few samples for them.
    """
    from captum.attr import KernelShap

    n_units = _require_few(prediction, MOST_KERNEL_UNITS, "kernel_shap")
    if n_units == 1:
        watch.advance(1.0)
        return contributions(prediction, np.array([prediction.original - prediction.baseline]))
    samples = settings.samples or 2 * n_units + 2048
    if samples < 2 * n_units:
        raise InputError(
            f"samples={samples} are too few for {n_units} units: take at least {2 * n_units}, 0 to have them chosen, "
            "or a coarser unit."
        )
    predict = Counted(prediction.batch, samples + math.ceil((samples - 2) / _ROWS_AT_ONCE), watch)
    captum = KernelShap(predict)
    captum.perturb_func = partial(_masks_of_kernel, seed=settings.seed)
    captum.interpretable_model = _EfficientLeastSquares(predict.advance)
    with torch.random.fork_rng(devices=[]):  # the DataLoader in Captum draws a seed that it does not use
        attribution = captum.attribute(
            prediction.full(1.0)[None],
            baselines=0.0,
            n_samples=samples,
            perturbations_per_eval=prediction.at_once,
        )
    return contributions(prediction, as_scores(attribution))


def _paired_orders(n_units: int, seed: int) -> Iterator[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(n_units, generator=generator)
        yield order.tolist()
        yield order.flip(0).tolist()


def _masks_of_kernel(original_inp: Tensor, *, seed: int, **kwargs: Any) -> Iterator[Tensor]:
    """Yield the mask of ones, that of zeros, then masks of random sizes after the Shapley kernel, (1, n_units).

    Each of the latter is followed by its complement. What is called how is Captum's.
    """
    generator = torch.Generator().manual_seed(seed)
    size_weights = kwargs["num_select_distribution"].probs.cpu()
    n_units = kwargs["num_interp_features"]
    device = original_inp.device
    yield torch.ones(1, n_units, dtype=torch.long, device=device)
    yield torch.zeros(1, n_units, dtype=torch.long, device=device)
    while True:
        size = int(torch.multinomial(size_weights, 1, generator=generator))
        mask = torch.zeros(1, n_units, dtype=torch.long)
        mask[0, torch.randperm(n_units, generator=generator)[:size]] = 1
        yield mask.to(device)
        yield 1 - mask.to(device)


class _EfficientLeastSquares:
    """The linear model that Captum fits: its intercept is what the empty mask predicts, and its sum what the full adds.

    Minimises |Xφ - y|² under 1·φ = total, with φ = A⁻¹(b - 1 (1·A⁻¹b - total) / (1·A⁻¹1)), A = XᵀX and b = Xᵀy.
    """

    def __init__(self, advance: Callable[[], None]) -> None:
        self._advance = advance
        self._coefficients = torch.empty(0)

    def fit(self, train_data: DataLoader[tuple[Tensor, ...]], **_settings: Any) -> dict[str, Any]:
        """Fit to masks (n, n_units) and predictions (n,), the first two of which are of the full and the empty mask."""
        [(masks, predictions, _weights)] = train_data
        values = predictions.double()
        total, values = values[0] - values[1], values[2:] - values[1]
        gram = values.new_zeros(masks.shape[1], masks.shape[1])
        towards = values.new_zeros(masks.shape[1])
        for rows, row_values in zip(masks[2:].split(_ROWS_AT_ONCE), values.split(_ROWS_AT_ONCE), strict=True):
            gram.addmm_(rows.T.double(), rows.double())
            towards.addmv_(rows.T.double(), row_values)
            self._advance()
        factor, failed = torch.linalg.cholesky_ex(gram)
        if failed:
            raise InputError("the sampled masks do not determine a score a unit: take more samples, or another seed.")
        both = torch.cholesky_solve(torch.stack([towards, torch.ones_like(towards)], 1), factor)
        free, along = both.unbind(1)
        self._coefficients = free - along * (free.sum() - total) / along.sum()
        return {}

    def representation(self) -> Tensor:
        """Return the scores, shape (n_units,)."""
        return self._coefficients


def _require_few(prediction: MaskedPrediction, most: int, method: str) -> int:
    if prediction.n_units > most:
        raise InputError(
            f"{method} takes at most {most} units, not {prediction.n_units} of kind {prediction.units.kind!r}: choose "
            "a coarser unit such as 'atom', or feature_ablation or integrated_gradients."
        )
    return prediction.n_units
