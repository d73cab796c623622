from __future__ import annotations

from itertools import permutations

import gudhi
import gudhi.hera
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.topology.diagrams import (
    bottleneck_distance,
    diagram_distances,
    persistence_entropy,
    persistence_image,
    wasserstein_distance,
)
from symgnn_explain.errors import InputError

EMPTY = np.empty((0, 2))


def random_diagram(seed, n_pairs):
    rng = np.random.default_rng(seed)
    birth = rng.uniform(1.0, 2.0, n_pairs)
    return np.column_stack([birth, birth + rng.exponential(0.3, n_pairs)])


def by_trying_all(one, two, order):
    """Every matching of both diagrams, each padded with the other's projections to the diagonal."""
    project = lambda pairs: np.repeat(pairs.mean(axis=1, keepdims=True), 2, axis=1)  # noqa: E731
    left, right = np.concatenate([one, project(two)]), np.concatenate([two, project(one)])
    cost = np.abs(left[:, None] - right[None]).max(axis=2)
    cost[len(one) :, len(two) :] = 0.0  # two pairs of no life cost nothing
    every = [cost[np.arange(len(left)), list(order_)] for order_ in permutations(range(len(right)))]
    return min(costs.max(initial=0.0) if np.isinf(order) else (costs**order).sum() ** (1 / order) for costs in every)


diagrams = st.builds(random_diagram, st.integers(0, 10_000), st.integers(0, 3))


@settings(max_examples=25, deadline=None)
@given(one=diagrams, two=diagrams, order=st.sampled_from([1.0, 2.0, 3.5]))
def test_distances_are_the_cheapest_of_all_matchings(one, two, order):
    assert wasserstein_distance(one, two, order=order) == pytest.approx(by_trying_all(one, two, order), abs=1e-9)
    assert bottleneck_distance(one, two) == pytest.approx(by_trying_all(one, two, np.inf), abs=1e-9)


large = st.builds(random_diagram, st.integers(0, 10_000), st.integers(0, 150))


@settings(max_examples=20, deadline=None)
@given(one=large, two=large, order=st.sampled_from([1.0, 2.0]))
def test_distances_agree_with_gudhi(one, two, order):
    by_auction = gudhi.hera.wasserstein_distance(one, two, order=order, internal_p=np.inf, delta=1e-4)
    assert wasserstein_distance(one, two, order=order) == pytest.approx(by_auction, rel=2e-4, abs=1e-9)
    assert wasserstein_distance(one, two, order=order, relative_error=0.01) == pytest.approx(by_auction, rel=0.011)
    assert bottleneck_distance(one, two) == pytest.approx(gudhi.bottleneck_distance(one, two), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(one=large, two=large, three=large, order=st.sampled_from([1.0, 2.0, np.inf]))
def test_distances_are_a_metric(one, two, three, order):
    distance = diagram_distances([one, two, three], order=order)
    np.testing.assert_array_equal(distance, distance.T)
    assert (np.diag(distance) == 0).all()
    assert distance[0, 2] <= distance[0, 1] + distance[1, 2] + 1e-9
    shuffled = np.random.default_rng(0).permutation(one)
    assert diagram_distances([one, shuffled], order=order)[0, 1] == pytest.approx(0.0, abs=1e-6)


def test_distance_to_the_empty_diagram_is_that_to_the_diagonal():
    pairs = random_diagram(0, 40)
    life = np.diff(pairs, axis=1)[:, 0]
    assert wasserstein_distance(pairs, EMPTY, order=2) == pytest.approx(np.sqrt(((life / 2) ** 2).sum()))
    assert bottleneck_distance(EMPTY, pairs) == pytest.approx(life.max() / 2)
    assert wasserstein_distance(EMPTY, EMPTY) == bottleneck_distance(EMPTY, EMPTY) == 0.0


def test_image_holds_each_pair_with_its_life_as_its_weight():
    pairs = random_diagram(1, 30)
    image = persistence_image(pairs, birth_range=(0, 4), life_range=(-2, 6), resolution=160, bandwidth=0.05)
    assert image.pixels.sum() == pytest.approx(np.diff(pairs, axis=1).sum())
    [one] = random_diagram(3, 1)
    image = persistence_image([one], birth_range=(0, 3), life_range=(0, 3), resolution=300, bandwidth=0.05)
    row, column = np.unravel_index(image.pixels.argmax(), image.pixels.shape)
    assert image.birth[column] <= one[0] <= image.birth[column + 1]
    assert image.life[row] <= one[1] - one[0] <= image.life[row + 1]
    density = image.pixels[row, column] / (0.01**2)  # a Gaussian's maximum
    assert density == pytest.approx((one[1] - one[0]) / (2 * np.pi * 0.05**2), rel=0.01)
    table = image.to_frame()
    assert table.loc[table["weight"].idxmax(), "birth"] == pytest.approx(one[0], abs=0.01)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_images_add_up_whatever_the_order_of_pairs(seed):
    pairs = random_diagram(seed, 20)
    bounds = {"birth_range": (0.5, 2.5), "life_range": (0.0, 2.0)}
    whole = persistence_image(pairs, **bounds).pixels
    parts = [persistence_image(part, **bounds).pixels for part in (pairs[13:], pairs[:13], EMPTY)]
    np.testing.assert_allclose(whole, sum(parts), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(n_pairs=st.integers(1, 200), scale=st.floats(0.1, 10.0))
def test_entropy_is_the_logarithm_of_equally_long_lives(n_pairs, scale):
    birth = np.linspace(0, 5, n_pairs)
    assert persistence_entropy(np.column_stack([birth, birth + scale])) == pytest.approx(np.log(n_pairs), abs=1e-9)
    pairs = random_diagram(n_pairs, n_pairs)
    entropy = persistence_entropy(pairs)
    assert -1e-12 <= entropy <= np.log(n_pairs) + 1e-9
    assert persistence_entropy(pairs * scale) == pytest.approx(entropy)


def test_entropy_of_one_lasting_pair_vanishes():
    assert persistence_entropy([[0, 1e6], [0, 1e-6]]) == pytest.approx(0.0, abs=1e-9)
    assert persistence_entropy(EMPTY) == persistence_entropy([[1.0, 1.0]]) == 0.0


@pytest.mark.parametrize(
    "diagram", [[[1.0, 2.0, 3.0]], [[2.0, 1.0]], [[1.0, np.inf]], [[np.nan, 1.0]], [1.0, 2.0]], ids=str
)
def test_what_is_no_diagram_is_refused(diagram):
    for use in (persistence_entropy, persistence_image, lambda pairs: wasserstein_distance(pairs, EMPTY)):
        with pytest.raises(InputError, match="diagram"):
            use(diagram)


def test_settings_that_make_no_sense_are_refused():
    pairs = random_diagram(0, 5)
    for wrong in ({"order": 0.5}, {"relative_error": -0.1}):
        with pytest.raises(InputError, match="must be"):
            wasserstein_distance(pairs, pairs, **wrong)
    for wrong in ({"bandwidth": 0.0}, {"resolution": 0}):
        with pytest.raises(InputError, match="must be"):
            persistence_image(pairs, **wrong)
    with pytest.raises(InputError, match="empty diagram"):
        persistence_image(EMPTY)
    with pytest.raises(InputError, match="relative_error"):
        wasserstein_distance(random_diagram(0, 2500), random_diagram(1, 2500))
