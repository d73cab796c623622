from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.fields.coarse_graining import BUFFER, PENALTIES, _folds, coarse_graining_length, ridge
from symgnn_explain.analysis.fields.descriptors import gaussian_average, local_descriptors
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.pairs import pairs_within

FEW = (0.0, 1.5, 2.5, 3.5, 5.0)


def planted(glass, length, noise, seed=0):
    """One descriptor averaged over ``length``, with noise of a given strength."""
    local = local_descriptors(glass, ("Cu", "Zr"))
    field = gaussian_average(local, pairs_within(glass, max(3.5 * length, 1.0)), length) @ np.sin(
        np.arange(local.shape[1])
    )
    rng = np.random.default_rng(seed)
    return (field - field.mean()) / field.std() + noise * rng.normal(size=len(glass))


@pytest.fixture(scope="module")
def large(random_glass):
    return random_glass(11)


@pytest.mark.parametrize("length", [2.0, 3.5])
def test_planted_length_is_found(large, length):
    result = coarse_graining_length(large, planted(large, length, 0.5), lengths=(0, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5))
    assert result.averaged.best_length == pytest.approx(length, abs=0.5)
    assert result.averaged.best_low - 0.3 <= length <= result.averaged.best_high + 0.3
    # The field has signal and noise in the ratio of 1 to 0.5.
    assert result.averaged.r.max() == pytest.approx(1 / np.hypot(1, 0.5), abs=0.06)
    assert result.held_out == "blocks"


def test_local_field_needs_no_averaging(large):
    result = coarse_graining_length(large, planted(large, 0.0, 0.3), lengths=FEW)
    assert result.averaged.best_length < 0.5
    assert result.averaged.r[0] > 0.9
    # With the atom's own descriptors at hand averaging can add nothing, and takes nothing away.
    np.testing.assert_allclose(result.local_and_averaged.r, result.averaged.r[0], atol=0.02)


def test_white_noise_is_not_predicted(large):
    result = coarse_graining_length(large, np.random.default_rng(0).normal(size=len(large)), lengths=FEW)
    assert np.abs(result.averaged.r).max() < 0.1
    assert np.abs(result.local_and_averaged.r).max() < 0.1
    assert abs(result.species_r) < 0.1


def test_field_of_the_species_is_known_from_the_species(large):
    values = 0.3 * (large.numbers == 40) + np.random.default_rng(0).normal(0, 0.05, len(large))
    result = coarse_graining_length(large, values, lengths=(0.0, 2.0))
    assert result.species_r == pytest.approx(np.corrcoef(values, large.numbers)[0, 1])
    assert result.averaged.r.min() > 0.9


def test_several_glasses_are_held_out_one_by_one_and_copies_together(random_glass):
    glasses = [random_glass(6, seed=seed) for seed in range(3)]
    relabelled = replace(glasses[0], barriers=glasses[0].barriers + 0.1)
    folds, held_out = _folds([*glasses, relabelled], None)
    assert held_out == "glasses"
    assert [len(fold.test) for fold in folds] == [432, 216, 216]
    folds, _ = _folds(glasses, ["one", "one", "two"])
    assert [len(fold.test) for fold in folds] == [432, 216]
    values = [planted(glass, 2.0, 0.3, seed) for seed, glass in enumerate(glasses)]
    result = coarse_graining_length(glasses, values, lengths=(0.0, 2.0))
    assert (result.held_out, result.n_folds, result.n_glasses) == ("glasses", 3, 3)
    assert result.averaged.r[1] > 0.8


def test_blocks_cover_every_atom_once_and_are_kept_apart_from_the_training_atoms(random_glass):
    glass = random_glass(9, shear=0.15)
    folds, _ = _folds([glass], None)
    tested = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(glass)))
    for fold in folds[:3]:
        train = np.setdiff1d(np.arange(len(glass)), fold.left_out)
        for atom in fold.test[::20]:
            assert np.linalg.norm(glass.displacements_from(int(atom)), axis=1)[train].min() >= BUFFER
        assert set(fold.test) <= set(fold.left_out)


def test_ridge_minimises_generalised_cross_validation_by_brute_force():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8)) * np.geomspace(0.1, 10, 8) + 3.0
    target = features @ rng.normal(size=8) * 0.1 + rng.normal(size=60) + 5.0
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    best = None
    for penalty in PENALTIES:
        hat = standard @ np.linalg.solve(standard.T @ standard + penalty * np.eye(8), standard.T)
        residual = (target - target.mean()) - hat @ (target - target.mean())
        score = (residual @ residual) / (60 - 1 - np.trace(hat)) ** 2
        best = min(best or (np.inf, None), (score, hat @ (target - target.mean()) + target.mean()), key=lambda x: x[0])
    table = np.column_stack([np.ones(60), features, target])
    level, slopes = ridge(table.T @ table)
    np.testing.assert_allclose(level + features @ slopes, best[1], atol=1e-8)


def test_gaussian_average_by_brute_force(random_glass):
    glass = random_glass(8)
    values = np.random.default_rng(0).normal(size=(len(glass), 2))
    averaged = gaussian_average(values, pairs_within(glass, 7.0), 2.0)
    for atom in (0, 100):
        distance = np.linalg.norm(glass.displacements_from(atom), axis=1)
        weight = np.exp(-(distance**2) / 8.0) * (distance < 7.0)
        np.testing.assert_allclose(averaged[atom], weight @ values / weight.sum())
    np.testing.assert_allclose(gaussian_average(np.ones((len(glass), 1)), pairs_within(glass, 7.0), 2.0), 1.0)
    np.testing.assert_array_equal(gaussian_average(values, pairs_within(glass, 7.0), 0.0), values)


def test_descriptors_count_neighbours_by_species_and_distance():
    glass = Glass([[0, 0, 0], [3.0, 0, 0], [0, 4.0, 0]], [29, 40, 29], np.eye(3) * 30)
    local = local_descriptors(glass, ("Cu", "Zr")).reshape(3, 2, 27)
    np.testing.assert_array_equal(local[:, :, 0], [[1, 0], [0, 1], [1, 0]])
    copper, zirconium = local[0, 0, 1:].reshape(2, 13)
    distances = np.arange(2.0, 5.01, 0.25)
    np.testing.assert_allclose(zirconium, np.exp(-((distances - 3.0) ** 2) / (2 * 0.25**2)))
    np.testing.assert_allclose(copper, np.exp(-((distances - 4.0) ** 2) / (2 * 0.25**2)))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_descriptors_do_not_depend_on_how_the_glass_is_written_down(random_glass, seed):
    glass = random_glass(5, shear=0.15)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    moved = (glass.positions + rng.normal(size=3) * 20 + rng.integers(-2, 3, (len(glass), 3)) @ glass.cell) @ rotation
    other = Glass(moved[order], glass.numbers[order], glass.cell @ rotation)
    one, two = (local_descriptors(each, ("Cu", "Zr")) for each in (glass, other))
    np.testing.assert_allclose(one[order], two, atol=1e-9)
    one, two = (gaussian_average(d, pairs_within(g, 7.0), 2.0) for d, g in ((one, glass), (two, other)))
    np.testing.assert_allclose(one[order], two, atol=1e-9)


def test_known_barriers_are_predicted_by_default_and_results_are_json(random_glass):
    glass = random_glass(9)
    result, again = (coarse_graining_length(glass, lengths=(0.0, 2.0), draws=50, seed=1) for _ in range(2))
    assert result.field == "barrier"
    assert result.to_frame().equals(again.to_frame())
    assert result.summary() == json.loads(json.dumps(result.summary(), allow_nan=False))
    assert (result.averaged.low <= result.averaged.high).all()


def test_progress_and_cancelling(random_glass):
    glass = random_glass(9)
    seen = []
    coarse_graining_length(glass, lengths=(0.0, 2.0), draws=5, progress=seen.append)
    assert seen[-1] == 1.0
    assert seen == sorted(seen)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        coarse_graining_length(glass, cancel=stop)


def test_unfit_input_is_refused(random_glass):
    glass = random_glass(9)
    with pytest.raises(InputError, match="no glass"):
        coarse_graining_length([])
    with pytest.raises(InputError, match="no known barriers"):
        coarse_graining_length(random_glass(3, barriers=False))
    with pytest.raises(InputError, match="all finite"):
        coarse_graining_length(glass, [1.0, 2.0])
    with pytest.raises(InputError, match="are equal"):
        coarse_graining_length(glass, np.ones(len(glass)))
    with pytest.raises(InputError, match="one array a glass"):
        coarse_graining_length([glass, glass], [glass.barriers])
    with pytest.raises(InputError, match="one label a glass"):
        coarse_graining_length([glass, glass], groups=["a"])
    with pytest.raises(InputError, match="not negative"):
        coarse_graining_length(glass, lengths=(-1.0, 2.0))
    with pytest.raises(InputError, match="too small"):
        coarse_graining_length(random_glass(5))
