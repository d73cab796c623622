from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from symgnn_explain.analysis.order.local_entropy import pair_entropy
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.neighbours import neighbours_within


def test_entropy_is_the_integral_of_piaggi_and_parrinello(random_glass):
    glass = random_glass(5, seed=1)
    found = pair_entropy(glass, 3.9, reach=5.0, broadening=0.2)
    around = neighbours_within(glass, 7.0)
    density = len(glass) / glass.volume

    def g(r, distances):
        return np.exp(-((r - distances) ** 2) / 0.08).sum() / np.sqrt(2 * np.pi * 0.04) / (4 * np.pi * density * r**2)

    for atom in (0, 17, 60):
        distances = around.distance[around.centre == atom]
        kernel = lambda r, d=distances: (g(r, d) * np.log(max(g(r, d), 1e-300)) - g(r, d) + 1) * r**2  # noqa: E731
        integral, _ = quad(kernel, 1e-6, 5.0, limit=400, points=np.unique(distances[distances < 5.0]))
        assert found.s2[atom] == pytest.approx(-2 * np.pi * density * integral, rel=2e-3)


def test_average_runs_over_the_atom_and_its_neighbours(random_glass):
    glass = random_glass(5)
    found = pair_entropy(glass, 3.2)
    near = neighbours_within(glass, 3.2)
    for atom in (0, 31, 99):
        members = [atom, *near.neighbour[near.centre == atom]]
        assert found.averaged[atom] == pytest.approx(found.s2[members].mean())


def test_order_lowers_entropy(crystal):
    perfect = crystal("fcc", repeat=4)
    rng = np.random.default_rng(0)
    means = []
    for amplitude in (0.0, 0.1, 0.3):
        moved = perfect.positions + rng.normal(0, amplitude, perfect.positions.shape)
        means.append(pair_entropy(Glass(moved, perfect.numbers, perfect.cell), 3.4).s2.mean())
    assert means[0] < means[1] < means[2] < 0


def test_atom_without_neighbours_has_the_entropy_of_the_empty_sphere():
    alone = Glass(np.zeros((1, 3)), [29], np.eye(3) * 20.0)
    assert pair_entropy(alone, 3.0, reach=5.0).s2 == pytest.approx(-2 * np.pi / 20**3 * 5**3 / 3, rel=1e-4)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_entropy_does_not_depend_on_how_the_glass_is_written_down(random_glass, rewritten, seed):
    glass = random_glass(5, seed=seed, shear=0.15)
    other, place = rewritten(glass, seed)
    one, two = pair_entropy(glass, 3.5), pair_entropy(other, 3.5)
    np.testing.assert_allclose(one.s2, two.s2[place])
    np.testing.assert_allclose(one.averaged, two.averaged[place])
    assert (one.s2 <= 0).all()


def test_supercell_has_the_same_entropy(crystal):
    one, many = (pair_entropy(crystal("bcc", repeat=repeat), 3.4) for repeat in (1, 3))
    assert many.s2 == pytest.approx(one.s2[0])


def test_bad_lengths_are_said(glass):
    for arguments in ({"reach": -1.0}, {"broadening": 0.0}, {"broadening": 6.0}):
        with pytest.raises(InputError, match="lengths in Å"):
            pair_entropy(glass, 3.5, **arguments)
