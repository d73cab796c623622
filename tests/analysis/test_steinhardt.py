from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_legendre
from sympy.physics.wigner import wigner_3j as sympys_wigner_3j

from symgnn_explain.analysis.order.steinhardt import bond_order, wigner_3j
from symgnn_explain.errors import InputError
from symgnn_explain.structure.neighbours import Neighbours, neighbours_within

# Cut-off in lattice constants, q4, q6, w4, w6; of BCC with both of its nearest shells.
KNOWN = {
    "sc": (1.2, 0.763763, 0.353553, 0.159317, 0.013161),
    "bcc": (1.2, 0.036370, 0.510688, 0.159317, 0.013161),
    "fcc": (0.85, 0.190941, 0.574524, -0.159317, -0.013161),
    "hcp": (1.2, 0.097222, 0.484762, 0.134097, -0.012442),
}


@pytest.mark.parametrize("name", KNOWN)
def test_crystals_have_their_known_order(crystal, name):
    glass = crystal(name, repeat=2)
    cutoff, q4, q6, w4, w6 = KNOWN[name]
    order = bond_order(neighbours_within(glass, cutoff * 4.0), len(glass))
    for values, expected in ((order.q[4], q4), (order.q[6], q6), (order.w[4], w4), (order.w[6], w6)):
        assert values == pytest.approx(expected, abs=2e-6)


def test_icosahedron_has_no_order_of_degree_four(icosahedron):
    corners = icosahedron()[1:]
    centre, neighbour = np.zeros(12, dtype=np.int64), np.arange(1, 13)
    order = bond_order(Neighbours(centre, neighbour, corners), 13)
    assert order.q[4][0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(order.w[4][0])
    assert order.q[6][0] == pytest.approx(0.663325, abs=1e-6)
    assert order.w[6][0] == pytest.approx(-0.169754, abs=1e-6)
    assert np.isnan(order.q[6][1:]).all()  # the corners were given no neighbours


def test_order_obeys_the_addition_theorem(random_glass):
    neighbours = neighbours_within(random_glass(5), 3.6)
    order = bond_order(neighbours, 125, degrees=(2, 4, 6, 7))
    for atom in range(0, 125, 20):
        mine = neighbours.centre == atom
        unit = neighbours.displacement[mine] / neighbours.distance[mine, None]
        for degree, q in order.q.items():
            assert q[atom] ** 2 == pytest.approx(eval_legendre(degree, unit @ unit.T).mean())


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_does_not_depend_on_how_the_glass_is_written_down(random_glass, rewritten, seed):
    glass = random_glass(5, seed=seed, shear=0.15)
    other, place = rewritten(glass, seed)
    one, two = (bond_order(neighbours_within(each, 3.9), len(each)) for each in (glass, other))
    for degree in (4, 6):
        np.testing.assert_allclose(one.q[degree], two.q[degree][place])
        np.testing.assert_allclose(one.w[degree], two.w[degree][place], atol=1e-9)


@pytest.mark.parametrize("degree", [1, 2, 4, 6])
def test_wigner_symbols_are_those_of_sympy(degree):
    for first in range(-degree, degree + 1):
        for second in range(max(-degree, -degree - first), min(degree, degree - first) + 1):
            expected = sympys_wigner_3j(degree, degree, degree, first, second, -first - second)
            assert wigner_3j(degree, first, second) == pytest.approx(float(expected), abs=1e-14)


def test_bad_input_is_said(random_glass):
    with pytest.raises(InputError, match="positive length"):
        neighbours_within(random_glass(3), -1.0)


def test_results_are_tables_and_json(random_glass):
    glass = random_glass(5)
    order = bond_order(neighbours_within(glass, 3.9), len(glass))
    np.testing.assert_array_equal(order.to_frame()["q6"], order.q[6])
