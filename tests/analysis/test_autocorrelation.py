from __future__ import annotations

import threading

import numpy as np
import pytest
from ase.geometry import find_mic
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.fields.autocorrelation import BLOCK, field_autocorrelation
from symgnn_explain.analysis.fields.blocks import spatial_blocks
from symgnn_explain.analysis.fields.correlation_length import exponential_length, integral_length
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.plotting.autocorrelation import autocorrelation_figure
from symgnn_explain.structure.glass import Glass


def exponential_field(glass, length, rng, n_waves=1500):
    """A Gaussian random field that fits the cell, with covariance exp(-r / length), as a sum of plane waves."""
    largest = np.ceil(3.0 * np.linalg.norm(glass.cell, axis=1) / (2 * np.pi)).astype(int)
    index = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in largest], indexing="ij"), axis=-1).reshape(-1, 3)
    q = np.linalg.norm(index @ (2 * np.pi * np.linalg.inv(glass.cell).T), axis=1)
    spectrum = np.where((q > 0) & (q < 3.0), (1 + (q * length) ** 2) ** -2.0, 0.0)
    waves = index[rng.choice(len(index), n_waves, p=spectrum / spectrum.sum())]
    phase = 2 * np.pi * (glass.positions @ np.linalg.inv(glass.cell) @ waves.T + rng.random(n_waves))
    return np.cos(phase) @ np.sqrt(rng.exponential(size=n_waves)) / np.sqrt(n_waves / 2)


@pytest.mark.parametrize("length", [1.5, 2.5])
def test_planted_correlation_length_comes_back_whatever_the_noise(random_glass, length):
    glass = random_glass(15)
    integral, exponential = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        values = exponential_field(glass, length, rng) + rng.normal(0, 0.4, len(glass))
        result = field_autocorrelation(glass, values, draws=100, seed=seed)
        integral.append(result.integral_length.value)
        exponential.append(result.exponential_length.value)
        assert result.p_value < 0.01
    assert np.mean(integral) == pytest.approx(length, rel=0.15)
    assert np.mean(exponential) == pytest.approx(length, rel=0.15)


def test_white_noise_has_no_correlation_length_and_stays_in_the_null_band(random_glass):
    glass = random_glass(11)
    with_length, inside = 0, []
    for seed in range(16):
        result = field_autocorrelation(glass, np.random.default_rng(seed).normal(size=len(glass)), draws=199, seed=seed)
        with_length += result.integral_length is not None or result.exponential_length is not None
        inside.append(np.mean((result.correlation >= result.null_low) & (result.correlation <= result.null_high)))
    assert with_length <= 2  # at a level of one in a hundred
    assert 0.9 < np.mean(inside) < 0.99


def test_correlation_is_the_mean_product_of_pairs_by_brute_force(random_glass):
    glass = random_glass(6, shear=0.15)
    values = np.random.default_rng(0).normal(size=len(glass)) + 0.1 * glass.numbers
    result = field_autocorrelation(glass, values, bin_width=0.7, draws=20)
    delta = (values - values.mean()) / values.std()
    first, second = np.triu_indices(len(glass), 1)
    _, distance = find_mic(glass.positions[second] - glass.positions[first], glass.cell, glass.pbc)
    for r, n_pairs, correlation in zip(result.r, result.n_pairs, result.correlation, strict=True):
        here = (distance >= 0.7 * (r // 0.7)) & (distance < 0.7 * (r // 0.7 + 1))
        assert n_pairs == here.sum()
        assert r == pytest.approx(distance[here].mean())
        assert correlation == pytest.approx((delta[first] * delta[second])[here].mean())


def test_null_band_has_the_variance_of_morans_index_under_randomisation(random_glass):
    # Cliff and Ord, Spatial Processes (1981), for binary symmetric weights.
    glass = random_glass(6)
    n = len(glass)
    values = np.random.default_rng(3).exponential(size=n)
    result = field_autocorrelation(glass, values, draws=4000)
    z = values - values.mean()
    kurtosis = n * (z**4).sum() / (z**2).sum() ** 2
    first, second = np.triu_indices(n, 1)
    _, distance = find_mic(glass.positions[second] - glass.positions[first], glass.cell, glass.pbc)
    for row, r in enumerate(result.r):
        here = (distance >= 0.5 * (r // 0.5)) & (distance < 0.5 * (r // 0.5 + 1))
        degree = np.bincount(np.concatenate([first[here], second[here]]), minlength=n)
        s0, s1, s2 = 2.0 * here.sum(), 4.0 * here.sum(), 4.0 * (degree**2).sum()
        square = (
            n * ((n**2 - 3 * n + 3) * s1 - n * s2 + 3 * s0**2) - kurtosis * ((n**2 - n) * s1 - 2 * n * s2 + 6 * s0**2)
        ) / ((n - 1) * (n - 2) * (n - 3) * s0**2)
        deviation = np.sqrt(square - 1 / (n - 1) ** 2)
        assert (result.null_high[row] - result.null_low[row]) / (2 * 1.96) == pytest.approx(deviation, rel=0.12)
        assert (result.null_high[row] + result.null_low[row]) / 2 == pytest.approx(-1 / (n - 1), abs=0.35 * deviation)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.01, 100), offset=st.floats(-50, 50))
def test_result_does_not_depend_on_how_the_glass_is_written_down(random_glass, seed, factor, offset):
    glass = random_glass(7, shear=0.15)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    moved = (glass.positions + rng.normal(size=3) * 20 + rng.integers(-2, 3, (len(glass), 3)) @ glass.cell) @ rotation
    other = Glass(moved[order], glass.numbers[order], glass.cell @ rotation)
    values = exponential_field(glass, 2.0, np.random.default_rng(1), 200)
    one = field_autocorrelation(glass, values, draws=5)
    two = field_autocorrelation(other, factor * values[order] + offset, draws=5)
    np.testing.assert_allclose(one.correlation, two.correlation, atol=1e-9)
    np.testing.assert_array_equal(one.n_pairs, two.n_pairs)


def test_species_alone_make_no_correlation_within_species():
    # Rock salt: neighbours differ in species, and nothing else.
    places = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    numbers = np.where(places.sum(axis=1) % 2, 29, 40)
    glass = Glass(2.6 * places, numbers, np.eye(3) * 8 * 2.6)
    values = 0.1 * numbers + np.random.default_rng(0).normal(0, 0.1, len(glass))
    assert field_autocorrelation(glass, values, draws=50).correlation[0] < -0.9
    within = field_autocorrelation(glass, values, within="species", draws=199)
    assert within.null_low[0] < within.correlation[0] < within.null_high[0]


@settings(max_examples=50, deadline=None)
@given(length=st.floats(0.8, 4.0), amplitude=st.floats(0.1, 1.0), start=st.floats(1.0, 3.0))
def test_exact_exponential_has_its_length_by_both_definitions(length, amplitude, start):
    r = np.arange(start, 14 * length, 0.05)
    curve = amplitude * np.exp(-r / length)
    curve[-3:] = -1e-9
    fit = exponential_length(r, curve, np.tile(curve, (5, 1)), 20)
    integral = integral_length(r, curve, np.tile(curve, (5, 1)), 20)
    assert fit.value == pytest.approx(length, rel=0.01)
    assert fit.amplitude == pytest.approx(amplitude, rel=0.05)
    assert fit.misfit < 0.01 * amplitude
    assert integral.value == pytest.approx(length, rel=0.01)
    assert integral.amplitude == curve[0]
    assert not fit.truncated


def test_straight_decay_has_the_length_of_its_triangle():
    r = np.arange(2.0, 12.0, 0.5)
    curve = 0.6 * (1 - r / 8.0)
    length = integral_length(r, curve, np.tile(curve, (3, 1)), 20)
    assert length.value == pytest.approx((8.0 - 2.0) / 2)
    assert length.r_zero == pytest.approx(8.0)
    assert integral_length(r[:6], curve[:6], np.tile(curve[:6], (3, 1)), 20).truncated
    assert integral_length(r, -curve, np.tile(curve, (3, 1)), 20) is None
    assert exponential_length(r, curve - 0.4, np.tile(curve, (3, 1)), 20) is None  # two points above zero
    flat = np.full(len(r), 0.3)
    assert exponential_length(r, flat, np.tile(flat, (3, 1)), 20) is None


def test_blocks_are_equal_pieces_of_the_cell(random_glass):
    glass = random_glass(9, shear=0.15)
    blocks = spatial_blocks(glass, 8.0)
    assert (
        len(np.unique(blocks))
        == blocks.max() + 1
        == np.prod(np.rint(1 / np.linalg.norm(np.linalg.inv(glass.cell), axis=0) / 8.0))
    )
    assert np.bincount(blocks).max() < 3 * np.bincount(blocks).min()
    moved = Glass(glass.positions + 3 * glass.cell[0] - glass.cell[2], glass.numbers, glass.cell)
    np.testing.assert_array_equal(spatial_blocks(moved, 8.0), blocks)
    cluster = random_glass(9, pbc=False)
    assert spatial_blocks(cluster, 1000.0).max() == 0
    with pytest.raises(InputError, match="positive"):
        spatial_blocks(glass, 0.0)


def test_a_cell_of_a_single_block_has_no_interval(random_glass):
    """That one drawn again and again is the same: it would be an interval without width."""
    glass = random_glass(4)
    assert spatial_blocks(glass, BLOCK).max() == 0
    wave = np.cos(2 * np.pi * glass.fractional()[:, 0])
    result = field_autocorrelation(glass, wave, "wave", draws=200)
    assert np.isfinite(result.correlation).all()
    assert np.isfinite(result.null_low).all()
    assert np.isnan([result.low, result.high]).all()
    for length in (result.integral_length, result.exponential_length):
        assert length.value > 0
        assert np.isnan([length.low, length.high]).all()
    legend = [trace.name for trace in autocorrelation_figure(result).data if trace.name and "wave" in trace.name]
    assert legend
    assert "nan" not in legend[0]


def test_progress_cancelling_and_results(random_glass):
    glass = random_glass(7)
    seen = []
    result = field_autocorrelation(glass, glass.barriers, "barrier", draws=100, progress=seen.append)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert seen == sorted(seen)
    assert len(result.to_frame()) == len(result.r)
    assert result.to_frame().equals(field_autocorrelation(glass, glass.barriers, draws=100).to_frame())
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        field_autocorrelation(glass, glass.barriers, cancel=stop)


def test_wrong_fields_are_refused(random_glass):
    glass = random_glass(6)
    with pytest.raises(InputError, match="one an atom"):
        field_autocorrelation(glass, [1.0, 2.0])
    with pytest.raises(InputError, match="finite"):
        field_autocorrelation(glass, np.full(len(glass), np.nan))
    with pytest.raises(InputError, match="equal"):
        field_autocorrelation(glass, np.full(len(glass), 1.1))
    with pytest.raises(InputError, match="equal"):
        field_autocorrelation(glass, 1.1 * glass.numbers, within="species")
    with pytest.raises(InputError, match="within='kind' is unknown: choose from all, species"):
        field_autocorrelation(glass, glass.barriers, within="kind")
    with pytest.raises(InputError, match="half the cell"):
        field_autocorrelation(glass, glass.barriers, r_max=30.0)
    with pytest.raises(InputError, match="bin_width"):
        field_autocorrelation(glass, glass.barriers, bin_width=0.0)
    with pytest.raises(InputError, match="more atoms"):
        field_autocorrelation(random_glass(3), random_glass(3).barriers, bin_width=0.02)
