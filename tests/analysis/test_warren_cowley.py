from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.order.warren_cowley import chemical_order
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.radial import first_shell_cutoff


def alloy(crystal, name, number_of_basis_atom, repeat=3):
    """A crystal with a species for each atom of the basis."""
    perfect = crystal(name, lattice=3.0, repeat=repeat)
    return Glass(perfect.positions, np.tile(number_of_basis_atom, repeat**3), perfect.cell)


def entry(order, centre, neighbour, number=1):
    table = order.to_frame()
    return table[(table["centre"] == centre) & (table["neighbour"] == neighbour)].iloc[number - 1]


def test_b2_alternates(crystal):
    order = chemical_order(alloy(crystal, "bcc", [29, 40]), [2.8, 3.2])
    # Eight neighbours of the other species, then six of the own.
    assert entry(order, "Cu", "Zr").coordination == 8
    assert entry(order, "Cu", "Cu", 2).coordination == 6
    for one, other in (("Cu", "Zr"), ("Zr", "Cu")):
        assert entry(order, one, other).warren_cowley == pytest.approx(-1)
        assert entry(order, one, one).warren_cowley == pytest.approx(1)
        assert entry(order, one, other, 2).warren_cowley == pytest.approx(1)
        assert entry(order, one, one, 2).warren_cowley == pytest.approx(-1)
        assert entry(order, one, other).low == entry(order, one, other).high == -1
    assert (order.like_neighbours == 0).all()


def test_neighbours_on_a_bound_are_within_it(crystal):
    """Rounding decides neither who is a neighbour nor whose neighbour it is."""
    for edge in np.linspace(2.7, 3.6, 19):
        perfect = crystal("bcc", lattice=edge, repeat=2)
        b2 = Glass(perfect.positions + 0.123, np.tile([29, 40], 8), perfect.cell)
        order = chemical_order(b2, [edge * np.sqrt(3) / 2, edge])
        assert order.to_frame()["coordination"].tolist() == [0, 8, 8, 0, 6, 0, 0, 6]


def test_a_single_centre_has_no_interval(crystal):
    perfect = crystal("fcc", repeat=2)
    order = chemical_order(Glass(perfect.positions, [40] + [29] * (len(perfect) - 1), perfect.cell), [3.0])
    assert entry(order, "Zr", "Cu").share == 1
    assert np.isnan([entry(order, "Zr", "Cu").low, entry(order, "Zr", "Cu").high]).all()
    assert entry(order, "Cu", "Zr").low < entry(order, "Cu", "Zr").high


def test_l12_has_its_known_parameter(crystal):
    order = chemical_order(alloy(crystal, "fcc", [79, 29, 29, 29]), [2.5])
    assert entry(order, "Au", "Cu").warren_cowley == pytest.approx(-1 / 3)
    assert entry(order, "Cu", "Au").warren_cowley == pytest.approx(-1 / 3)
    assert entry(order, "Au", "Cu").size_corrected == pytest.approx(-1 / 3)
    assert entry(order, "Au", "Au").warren_cowley == 1
    assert entry(order, "Cu", "Cu").coordination == 8


def test_random_alloy_has_none(crystal):
    perfect = crystal("fcc", repeat=8)
    inside = []
    for seed in range(12):
        numbers = np.random.default_rng(seed).choice([29, 40], len(perfect), p=[0.7, 0.3])
        order = chemical_order(Glass(perfect.positions, numbers, perfect.cell), [3.4])
        for pair in order.pairs.itertuples():
            assert abs(pair.warren_cowley) < 0.1
            assert pair.warren_cowley == pytest.approx(pair.size_corrected, abs=0.01)
        pair = entry(order, "Cu", "Zr")
        inside.append(pair.low <= 0 <= pair.high)
    assert np.mean(inside) > 0.6


def test_shares_add_up_and_bonds_are_counted_alike_from_both_ends(random_glass):
    glass = random_glass(7)
    order = chemical_order(glass, [3.5, 5.5])
    concentration = {symbol: np.mean(np.array(glass.symbols) == symbol) for symbol in glass.species}
    for shell in (1, 2):
        for centre in glass.species:
            assert sum(entry(order, centre, other, shell).share for other in glass.species) == pytest.approx(1)
            weighted = sum(
                concentration[other] * (1 - entry(order, centre, other, shell).warren_cowley) for other in glass.species
            )
            assert weighted == pytest.approx(1)
        there, back = entry(order, "Cu", "Zr", shell), entry(order, "Zr", "Cu", shell)
        assert concentration["Cu"] * there.coordination == pytest.approx(concentration["Zr"] * back.coordination)
        assert there.size_corrected == pytest.approx(back.size_corrected)
        assert there.low <= there.warren_cowley <= there.high


def test_shells_end_at_the_minima_of_the_radial_distribution(random_glass):
    glass = random_glass(9)
    order = chemical_order(glass)
    assert order.pairs["outer"][0] == first_shell_cutoff(glass)
    assert order.pairs["inner"][0] == 0


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_does_not_depend_on_how_the_glass_is_written_down(random_glass, rewritten, seed):
    glass = random_glass(5, seed=seed, shear=0.15)
    other, place = rewritten(glass, seed)
    one, two = (chemical_order(each, [3.3, 5.1]) for each in (glass, other))
    for mine, theirs in zip(one.pairs.itertuples(), two.pairs.itertuples(), strict=True):
        assert mine.warren_cowley == pytest.approx(theirs.warren_cowley)
        assert mine.coordination == pytest.approx(theirs.coordination)
    np.testing.assert_allclose(one.like_neighbours, two.like_neighbours[place])


def test_bad_shells_are_said(glass):
    for shells in ([], [3.0, 2.0], [-1.0], [np.nan]):
        with pytest.raises(InputError, match="ascending distances"):
            chemical_order(glass, shells)
    cell = np.eye(3) * 30
    gas = Glass(np.random.default_rng(0).random((300, 3)) @ cell, np.full(300, 29), cell)
    with pytest.raises(InputError, match="no minimum"):
        first_shell_cutoff(gas)


def test_results_are_tables(crystal):
    order = chemical_order(crystal("fcc", repeat=2), [1.0, 3.0])  # nobody within 1 Å
    assert np.isnan(order.to_frame()["warren_cowley"][0])
    assert np.isnan(order.like_neighbours).all()
    assert order.to_frame()["coordination"].tolist() == [0, 12]
