from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symgnn_explain.errors import InputError
from symgnn_explain.training.metrics import regression_metrics

known = np.random.default_rng(0).normal(1.6, 0.3, 500)


@given(slope=st.floats(0.01, 10), offset=st.floats(-5, 5))
def test_correlations_do_not_see_a_linear_map_but_errors_do(slope: float, offset: float) -> None:
    metrics = regression_metrics(slope * known + offset, known)
    assert metrics["pearson"] == pytest.approx(1)
    assert metrics["spearman"] == pytest.approx(1)
    error = np.abs(slope * known + offset - known)
    assert metrics["mae"] == pytest.approx(error.mean())
    assert metrics["rmse"] == pytest.approx(math.sqrt((error**2).mean()))


def test_a_constant_offset_is_both_errors() -> None:
    metrics = regression_metrics(known + 0.2, known)
    assert (metrics["mae"], metrics["rmse"]) == (pytest.approx(0.2), pytest.approx(0.2))


def test_spearman_sees_ranks_and_pearson_values() -> None:
    metrics = regression_metrics(np.exp(10 * known), known)
    assert metrics["spearman"] == pytest.approx(1)
    assert metrics["pearson"] < 0.9


def test_noise_of_known_size() -> None:
    """Signal and noise of equal variance correlate with the signal as the square root of one half."""
    rng = np.random.default_rng(1)
    signal, noise = rng.normal(size=(2, 100_000))
    assert regression_metrics(signal + noise, signal)["pearson"] == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert regression_metrics(signal + noise, signal)["rmse"] == pytest.approx(1, abs=0.01)
    assert stats.pearsonr(signal + noise, signal).statistic == pytest.approx(
        regression_metrics(signal + noise, signal)["pearson"]
    )


def test_a_constant_has_no_correlation() -> None:
    metrics = regression_metrics(np.full(500, 1.6), known)
    assert math.isnan(metrics["pearson"])
    assert math.isnan(metrics["spearman"])
    assert metrics["rmse"] == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize(
    ("predicted", "actual"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), (np.ones((2, 2)), np.ones((2, 2)))]
)
def test_shapes(predicted: object, actual: object) -> None:
    with pytest.raises(InputError, match="two vectors of one length"):
        regression_metrics(predicted, actual)  # type: ignore[arg-type]
