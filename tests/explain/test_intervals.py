"""Intervals hold the true value as often as they say, for few values too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.intervals import mean_interval, median_interval, resampled_quantiles


@pytest.mark.parametrize("n", [2, 3, 6, 20])
def test_intervals_of_means_hold_95_percent(n: int) -> None:
    samples = np.random.default_rng(n).normal(3.0, 2.0, size=(2000, n))
    found = [mean_interval(sample) for sample in samples]
    held = np.mean([one.low <= 3.0 <= one.high for one in found])
    assert held == pytest.approx(0.95, abs=0.02)
    expected = ttest_1samp(samples[0], 0.0).confidence_interval(0.95)
    assert (found[0].low, found[0].high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("n", "least"), [(6, 0.89), (20, 0.93), (100, 0.93)])
def test_resampled_intervals_of_few_values_are_not_too_narrow(n: int, least: float) -> None:
    random = np.random.default_rng(n)
    samples = random.normal(size=(1000, n))
    drawn = random.integers(n, size=(1000, n))
    bounds = [resampled_quantiles(sample[drawn].mean(axis=1), n) for sample in samples]
    assert least <= np.mean([low <= 0 <= high for low, high in bounds]) <= 0.97


def test_medians_have_intervals_too() -> None:
    found = median_interval([1.0, 2.0, 3.0, 4.0, 50.0] * 4)
    assert 1.0 <= found.low <= found.value == 3.0 <= found.high < 50.0


def test_one_value_has_no_interval() -> None:
    for found in (mean_interval([2.0]), median_interval([2.0])):
        assert found.value == 2.0
        assert np.isnan([found.low, found.high]).all()
    low, high = resampled_quantiles(np.zeros((100, 4)), 1)
    assert low.shape == high.shape == (4,)
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("sample", [[], [np.nan, 1.0], [[1.0]]])
def test_what_is_no_sample_has_no_interval(sample: list[float]) -> None:
    with pytest.raises(InputError, match="has no interval"):
        mean_interval(sample)
