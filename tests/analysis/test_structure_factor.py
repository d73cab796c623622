from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain import datasets
from symgnn_explain.analysis.order.structure_factor import _first_peak, static_structure_factor
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.radial import radial_distribution

CELL = np.array([[30.0, 0, 0], [9.0, 28.0, 0], [-5.0, 4.0, 31.0]])


def gas(n=1500, seed=0):
    rng = np.random.default_rng(seed)
    return Glass(rng.random((n, 3)) @ CELL, rng.choice([29, 40], n), CELL)


def half_space(glass, q_max):
    """Every wave vector that fits the cell and is shorter than q_max, but one of each opposite pair."""
    index = np.stack(np.meshgrid(*[np.arange(-30, 31)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    first = index[np.arange(len(index)), (index != 0).argmax(axis=1)]
    vectors = index[first > 0] @ (2 * np.pi * np.linalg.inv(glass.cell).T)
    return vectors[np.linalg.norm(vectors, axis=1) < q_max]


def test_ideal_gas_is_one_and_has_no_peak():
    result = static_structure_factor(gas())
    deviation = (result.total - 1) / result.error
    assert np.abs(np.mean(deviation)) < 0.3
    assert 0.7 < np.std(deviation) < 1.3
    assert np.average(result.total, weights=result.n_vectors) == pytest.approx(1.0, abs=0.02)
    for pair, partial in result.ashcroft_langreth.items():
        assert np.average(partial, weights=result.n_vectors) == pytest.approx(float(pair[0] == pair[1]), abs=0.02)
    for partial in result.faber_ziman.values():
        assert np.average(partial, weights=result.n_vectors) == pytest.approx(1.0, abs=0.05)
    assert result.first_peak is None


def test_total_and_partials_are_the_sums_over_all_wave_vectors_by_brute_force(random_glass):
    glass = random_glass(3, shear=0.15)
    q_max, bin_width = 4.0, 0.5
    result = static_structure_factor(glass, q_max, bin_width)
    vectors = half_space(glass, q_max)
    waves = np.exp(1j * vectors @ glass.positions.T)
    length = np.linalg.norm(vectors, axis=1)
    assert result.n_vectors.sum() == len(vectors)
    is_copper = glass.numbers == 29
    density = {"Cu": waves[:, is_copper].sum(axis=1), "Zr": waves[:, ~is_copper].sum(axis=1)}
    count = {"Cu": is_copper.sum(), "Zr": (~is_copper).sum()}
    for row, q in enumerate(result.q):
        here = (length >= bin_width * (q // bin_width)) & (length < bin_width * (q // bin_width + 1))
        assert result.n_vectors[row] == here.sum()
        assert q == pytest.approx(length[here].mean())
        assert result.total[row] == pytest.approx(np.mean(np.abs(waves[here].sum(axis=1)) ** 2) / len(glass))
        for (a, b), partial in result.ashcroft_langreth.items():
            expected = np.mean((density[a][here] * density[b][here].conj()).real) / np.sqrt(count[a] * count[b])
            assert partial[row] == pytest.approx(expected)


def test_partials_of_either_definition_add_up_to_the_total():
    result = static_structure_factor(gas(seed=4), q_max=3.0)
    share = result.concentrations
    total = sum(
        (1 if a == b else 2) * np.sqrt(share[a] * share[b]) * partial
        for (a, b), partial in result.ashcroft_langreth.items()
    )
    np.testing.assert_allclose(total, result.total)
    np.testing.assert_allclose(result.weighted({"Cu": 1.0, "Zr": 1.0}), result.total)
    np.testing.assert_allclose(result.weighted({"Cu": 3.0, "Zr": 0.0}), result.faber_ziman["Cu", "Cu"])
    with pytest.raises(InputError, match="no amplitude was given for Zr"):
        result.weighted({"Cu": 1.0})
    with pytest.raises(InputError, match="mean amplitude is zero"):
        result.weighted({"Cu": -share["Zr"], "Zr": share["Cu"]})


def test_face_centred_cubic_crystal_has_its_bragg_peaks_and_nothing_else():
    lattice, repeat = 3.6, 3
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (cells[:, None] + basis[None]).reshape(-1, 3) * lattice
    crystal = Glass(positions, [29] * len(positions), np.eye(3) * lattice * repeat)
    result = static_structure_factor(crystal, q_max=6.5, bin_width=0.02)
    # h² + k² + l² of the reflections (all even or all odd), and how many of them in half of space.
    reflections = {3: 4, 4: 3, 8: 6, 11: 12, 12: 4}
    total = result.total * result.n_vectors
    for square, multiplicity in reflections.items():
        here = np.abs(result.q - 2 * np.pi / lattice * np.sqrt(square)) < 0.02
        assert total[here].sum() == pytest.approx(len(positions) * multiplicity)
    assert total.sum() == pytest.approx(len(positions) * sum(reflections.values()))
    assert result.first_peak.position == pytest.approx(2 * np.pi / lattice * np.sqrt(3), abs=0.05)


def test_structure_factor_is_the_fourier_transform_of_g():
    glass = datasets.sample()
    result = static_structure_factor(glass, q_max=4.5, bin_width=0.1)
    rdf = radial_distribution(glass, r_max=18.0, bin_width=0.02)
    # A window (Lorch's) against the cut at 18 Å, at a cost in resolution of about 2π / 18 Å.
    window = np.sinc(rdf.r / 18.0)
    kernel = np.sin(np.outer(result.q, rdf.r)) * rdf.r * (rdf.g - 1) * window * rdf.bin_width
    transform = 1 + 4 * np.pi * glass.number_density * kernel.sum(axis=1) / result.q
    beyond = result.q > 1.0
    assert np.sqrt(np.mean((transform - result.total)[beyond] ** 2)) < 0.1
    assert np.corrcoef(transform[beyond], result.total[beyond])[0, 1] > 0.99


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_result_does_not_depend_on_how_the_glass_is_written_down(random_glass, seed):
    glass = random_glass(4, shear=0.15)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    moved = (glass.positions + rng.normal(size=3) * 20 + rng.integers(-2, 3, (len(glass), 3)) @ glass.cell) @ rotation
    # Another basis of the same lattice as well.
    basis = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ glass.cell @ rotation
    other = Glass(moved[order], glass.numbers[order], basis)
    one, two = (static_structure_factor(each, q_max=4.0, bin_width=0.5) for each in (glass, other))
    np.testing.assert_array_equal(one.n_vectors, two.n_vectors)
    np.testing.assert_allclose(one.total, two.total, atol=1e-9)
    for pair, partial in one.faber_ziman.items():
        np.testing.assert_allclose(partial, two.faber_ziman[pair], atol=1e-8)


@pytest.mark.parametrize(("position", "width"), [(1.6, 0.5), (2.8, 0.45), (2.8, 0.9)])
def test_peak_of_known_shape_has_its_position_height_and_width(position, width):
    q = np.arange(0.2, 6.0, 0.05)
    n_vectors = np.round(1 + 60 * q**2).astype(int)
    curve = 0.1 + 2.0 * np.exp(-4 * np.log(2) * ((q - position) / width) ** 2)
    peak = _first_peak(q, curve, curve / np.sqrt(n_vectors), n_vectors, 0.05)
    assert peak.position == pytest.approx(position, abs=0.02)
    assert peak.width == pytest.approx(width, rel=0.05)
    assert peak.height == pytest.approx(2.1, rel=0.03)


def test_a_bump_within_the_error_is_no_peak():
    q = np.arange(0.2, 6.0, 0.05)
    curve = 1.0 + 0.3 * np.exp(-(((q - 2.8) / 0.3) ** 2))
    assert _first_peak(q, curve, np.full(len(q), 0.4), np.full(len(q), 10), 0.05) is None
    assert _first_peak(q, curve, np.full(len(q), 0.01), np.full(len(q), 10), 0.05) is not None


def test_published_glass_has_its_main_peak(published):
    result = static_structure_factor(published("train2"), q_max=3.7)
    # Cu64Zr36 scatters most near 2.8 1/Å.
    assert result.first_peak.position == pytest.approx(2.8, abs=0.05)
    assert 2.5 < result.first_peak.height < 4.5
    assert result.first_peak.width == pytest.approx(0.43, abs=0.08)


def test_progress_cancelling_and_results(random_glass):
    glass = random_glass(5)
    seen = []
    result = static_structure_factor(glass, q_max=3.0, progress=seen.append)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert seen == sorted(seen)
    assert {"q", "total", "Cu-Zr"} <= set(result.to_frame().columns)
    np.testing.assert_allclose(result.to_frame()["Zr-Zr"], result.faber_ziman["Zr", "Zr"])
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        static_structure_factor(glass, cancel=stop)


def test_one_species_has_one_partial_that_is_the_total(random_glass):
    result = static_structure_factor(random_glass(4, species=(29,)), q_max=4.0)
    [partial] = result.faber_ziman.values()
    np.testing.assert_allclose(partial, result.total, atol=1e-12)


def test_unfit_glasses_and_ranges_are_refused(random_glass):
    with pytest.raises(InputError, match="not periodic"):
        static_structure_factor(random_glass(3, pbc=(True, True, False)))
    with pytest.raises(InputError, match="bin_width"):
        static_structure_factor(random_glass(3), q_max=0.0)
    with pytest.raises(InputError, match="shorter than"):
        static_structure_factor(random_glass(3), q_max=0.3, bin_width=0.05)
    with pytest.raises(InputError, match="choose a smaller one"):
        static_structure_factor(random_glass(3), q_max=500.0)
