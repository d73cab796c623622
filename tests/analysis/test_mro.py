from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis import partial_distributions, radial_distribution, shell_analysis
from symgnn_explain.analysis.explained.mro import _interval_of_mean
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.structure import radial
from symgnn_explain.structure.glass import Glass

CRYSTALS = {
    # Neighbours at the shortest distance, and the shells' squared distances in units of the lattice constant squared.
    "fcc": ([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 12, [0.5, 1.0, 1.5]),
    "bcc": ([[0, 0, 0], [0.5, 0.5, 0.5]], 8, [0.75, 1.0, 2.0]),
    "sc": ([[0, 0, 0]], 6, [1.0, 2.0, 3.0]),
}


def crystal(name: str, lattice: float = 4.0, repeat: int = 1) -> Glass:
    basis, _, _ = CRYSTALS[name]
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (cells[:, None] + np.array(basis)[None]).reshape(-1, 3) * lattice
    return Glass(positions, np.full(len(positions), 29), np.eye(3) * lattice * repeat, name=name)


@pytest.mark.parametrize("name", CRYSTALS)
def test_crystal_has_its_shells_and_coordination(name):
    _, coordination, squares = CRYSTALS[name]
    rdf = radial_distribution(crystal(name, lattice=5.0, repeat=3), r_max=9.0, bin_width=0.05)
    shells = 5.0 * np.sqrt(squares)
    assert rdf.maxima[: len(shells)] == pytest.approx(shells, abs=0.05)
    assert rdf.coordination_number == coordination
    assert (rdf.minima[: len(shells) - 1] > shells[:-1]).all()
    assert (rdf.minima[: len(shells) - 1] < shells[1:]).all()


@pytest.mark.parametrize("name", CRYSTALS)
def test_supercell_has_the_same_distribution(name):
    one, many = (radial_distribution(crystal(name, repeat=repeat), r_max=8.03) for repeat in (1, 3))
    np.testing.assert_allclose(one.g, many.g, atol=1e-9)


def test_sheared_description_of_one_lattice_has_the_same_distribution():
    upright = crystal("fcc")
    sheared = Glass(
        upright.positions, upright.numbers, upright.cell + 4.0 * np.array([[0, 0, 0], [2, 0, 0], [-1, 1, 0]])
    )
    np.testing.assert_allclose(radial_distribution(upright, 8.03).g, radial_distribution(sheared, 8.03).g, atol=1e-9)


def test_ideal_gas_is_one_everywhere_and_has_no_extrema():
    rng = np.random.default_rng(3)
    cell = np.array([[30.0, 0, 0], [9.0, 28.0, 0], [-5.0, 4.0, 31.0]])
    gas = Glass(rng.random((2000, 3)) @ cell, rng.choice([29, 40], 2000), cell)
    for pair in (None, ("Cu", "Zr"), ("Cu", "Cu")):
        rdf = radial_distribution(gas, r_max=12.0, bin_width=0.5, pair=pair)
        far = rdf.r > 4
        assert rdf.g[far].mean() == pytest.approx(1.0, abs=0.01)
        assert np.abs(rdf.g[far] - 1).max() < 0.06
        assert rdf.maxima.size == rdf.minima.size == 0
        assert rdf.coordination_number is None
    dense = 2000 / gas.volume * 4 / 3 * np.pi * 12.0**3
    assert radial_distribution(gas, 12.0, 0.5).running_coordination[-1] == pytest.approx(dense, rel=0.01)


def test_partial_distributions_add_up_and_mirror(random_glass):
    glass = random_glass(6)
    share = {symbol: np.mean(np.array(glass.symbols) == symbol) for symbol in ("Cu", "Zr")}
    partial = {(a, b): radial_distribution(glass, pair=(a, b)) for a in share for b in share}
    total = sum(share[a] * share[b] * rdf.g for (a, b), rdf in partial.items())
    np.testing.assert_allclose(total, radial_distribution(glass).g, atol=1e-12)
    np.testing.assert_allclose(partial["Cu", "Zr"].g, partial["Zr", "Cu"].g, atol=1e-12)
    ratio = partial["Cu", "Zr"].running_coordination[-1] / partial["Zr", "Cu"].running_coordination[-1]
    assert ratio == pytest.approx(share["Zr"] / share["Cu"])


def test_large_glass_is_counted_around_some_atoms(random_glass, monkeypatch):
    glass = random_glass(6)
    whole, parts = radial_distribution(glass), partial_distributions(glass)
    monkeypatch.setattr(radial, "COUNTED_WHOLE", 10)
    np.testing.assert_allclose(radial_distribution(glass).g, whole.g, atol=1e-9)  # while that is all of them
    for pair, partial in partial_distributions(glass).items():
        np.testing.assert_allclose(partial.g, parts[pair].g, atol=1e-9)
    monkeypatch.setattr(radial, "CENTRES", len(glass) // 2)
    some = radial_distribution(glass)
    # An ordered pair is missed with a chance of one half: at most the variance of independent pairs, twice.
    pairs = (
        4 / 3 * np.pi * ((whole.r + 0.05) ** 3 - (whole.r - 0.05) ** 3) * whole.g * len(glass) * glass.number_density
    )
    deviation = (some.g - whole.g)[pairs > 20] / (whole.g * np.sqrt(2 / pairs.clip(1)))[pairs > 20]
    assert 0.2 < deviation.std() < 1.3
    assert some.label == f"all atoms, around {len(glass) // 2} at random"
    assert some.summary()["counted_around_atoms"] == len(glass) // 2
    assert whole.label == "all atoms"


def test_published_glass_has_the_known_extrema(published):
    rdf = radial_distribution(published("train2"))
    assert rdf.maxima == pytest.approx([2.65, 4.85, 6.95, 9.45])
    assert rdf.minima == pytest.approx([3.85, 6.15, 8.55])
    assert 13.0 < rdf.coordination_number < 14.2
    finer = radial_distribution(published("train2"), bin_width=0.05)
    assert finer.minima == pytest.approx(rdf.minima, abs=0.15)


@pytest.mark.parametrize(
    "arguments", [{"r_max": 0.0}, {"r_max": np.nan}, {"bin_width": -0.1}, {"r_max": 1.0, "bin_width": 2.0}]
)
def test_lengths_are_checked(glass, arguments):
    with pytest.raises(InputError, match="bin_width"):
        radial_distribution(glass, **arguments)


def test_missing_species_is_named(glass):
    with pytest.raises(InputError, match="has no Al"):
        radial_distribution(glass, pair=("Cu", "Al"))


def test_atoms_are_placed_at_their_minimum_images_in_a_wide_cell(random_glass, explain_by_hand):
    glass = random_glass(9, shear=0.15)  # 22 Å across, a receptive field of 10 Å
    placement = place_atoms(explain_by_hand(glass, 40))
    np.testing.assert_allclose(placement.position, glass.displacements_from(40)[placement.atoms], atol=1e-6)
    assert not placement.ambiguous.any()


def test_every_place_in_a_narrow_cell_is_an_image_of_its_atom(random_glass, explain_by_hand):
    glass = random_glass(3)
    placement = place_atoms(explain_by_hand(glass, 4, layers=3))
    shift = np.linalg.solve(
        glass.cell.T, (placement.position - (glass.positions[placement.atoms] - glass.positions[4])).T
    )
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-6)
    assert placement.hop.max() <= 3


def test_atom_between_two_images_is_ambiguous():
    edge = 8.0
    explanation = AtomExplanation(
        atom=0,
        method="gnnexplainer",
        source=[1, 1],
        target=[0, 0],
        displacement=[[3.9, 0, 0], [3.9 - edge, 0, 0]],
        hop=[0, 0],
        score=[1.0, 0.5],
        signed=False,
        prediction=1.0,
        prediction_range=(0.0, 2.0),
    )
    placement = place_atoms(explanation)
    np.testing.assert_allclose(placement.position, [[0, 0, 0], [3.9, 0, 0]])
    assert placement.ambiguous.tolist() == [False, True]


def test_unconnected_edge_is_refused(glass, explain_by_hand):
    explanation = explain_by_hand(glass, 0)
    plain = explanation.to_dict() | {"atom": int(np.setdiff1d(np.arange(216), explanation.target)[0])}
    with pytest.raises(InputError, match="do not lead to"):
        place_atoms(AtomExplanation.from_dict(plain))


def test_all_atoms_important_means_no_enrichment(random_glass, explain_by_hand):
    glass = random_glass(9)
    explanation = explain_by_hand(glass, 3)
    analysis = shell_analysis(explanation, glass, k=len(explanation))
    assert len(analysis.important) == len(analysis.all_distance)
    for shell in analysis.shells.itertuples():
        assert shell.enrichment == pytest.approx(1.0)
        assert shell.null_low == pytest.approx(1.0) == shell.null_high
        assert shell.hop_expected == pytest.approx(1.0)
    assert sum(shell.n_all for shell in analysis.shells.itertuples()) == len(analysis.all_distance)


def test_edges_into_the_atom_are_enriched_where_its_neighbours_are(random_glass, explain_by_hand):
    glass = random_glass(9)
    explanation = explain_by_hand(glass, 3, score=lambda e: (e.hop == 0) * np.exp(-e.distance))
    n_first = int(((explanation.hop == 0) & ~explanation.is_self_loop).sum())
    analysis = shell_analysis(explanation, glass, k=n_first + 1)
    assert set(analysis.important) == set(explanation.source[explanation.hop == 0]) - {3}
    first = analysis.shells.iloc[0]
    assert first.enrichment > first.null_high
    # All of them are one hop away, so hops alone explain the enrichment exactly.
    assert first.hop_null_low == pytest.approx(first.enrichment) == pytest.approx(first.hop_null_high)
    assert analysis.shells.iloc[-1].n_important == 0
    assert first.weighted_enrichment > first.enrichment  # the score falls with the distance


def test_random_atoms_stay_inside_the_hop_matched_null(random_glass, explain_by_hand):
    glass = random_glass(9)
    inside = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        explanation = explain_by_hand(glass, 3, score=lambda e, rng=rng: e.is_self_loop * rng.random(len(e)))
        analysis = shell_analysis(explanation, glass, k=20)
        inside += [
            shell.hop_null_low <= shell.enrichment <= shell.hop_null_high for shell in analysis.shells.itertuples()
        ]
    assert np.mean(inside) > 0.9


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_shells_do_not_depend_on_how_the_glass_is_written_down(random_glass, explain_by_hand, seed):
    glass = random_glass(7)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    moved = (glass.positions + rng.normal(size=3) * 20 + rng.integers(-2, 3, (len(glass), 3)) @ glass.cell) @ rotation
    other = Glass(moved[order], glass.numbers[order], glass.cell @ rotation)
    new_name = np.argsort(order)
    score = lambda e: np.exp(-((e.distance - 3.1) ** 2)) / (1 + e.hop)  # noqa: E731
    one = shell_analysis(explain_by_hand(glass, 5, score=score), glass, k=31)
    two = shell_analysis(explain_by_hand(other, int(new_name[5]), score=score), other, k=31)
    assert set(new_name[one.important]) == set(two.important)
    assert np.sort(one.distance) == pytest.approx(np.sort(two.distance))
    assert [shell.n_all for shell in one.shells.itertuples()] == [shell.n_all for shell in two.shells.itertuples()]
    assert [shell.enrichment for shell in one.shells.itertuples()] == pytest.approx(
        [shell.enrichment for shell in two.shells.itertuples()]
    )


def test_results_are_tables_and_json(random_glass, explain_by_hand):
    glass = random_glass(9)
    explanation = explain_by_hand(glass, 3)
    analysis = shell_analysis(explanation, glass)
    assert analysis.summary() == json.loads(json.dumps(analysis.summary(), allow_nan=False))
    assert list(analysis.to_frame()["n_all"]) == [shell.n_all for shell in analysis.shells.itertuples()]
    assert analysis.atoms_frame()["shell"].value_counts().sum() == len(analysis.important)
    counted = analysis.atoms_frame()["shell"].value_counts()
    assert all(counted.get(shell.name, 0) == shell.n_important for shell in analysis.shells.itertuples())
    assert shell_analysis(explanation, glass).to_frame().equals(analysis.to_frame())
    assert json.dumps(analysis.radial_distribution.summary(), allow_nan=False)


def test_another_glass_is_refused(random_glass, explain_by_hand):
    with pytest.raises(InputError, match="another glass"):
        shell_analysis(explain_by_hand(random_glass(6), 3), random_glass(6, seed=1))


def test_no_important_atom_is_said(glass, explain_by_hand):
    explanation = explain_by_hand(glass, 3, score=lambda e: (e.is_self_loop & (e.target == 3)).astype(float))
    with pytest.raises(InputError, match="larger k"):
        shell_analysis(explanation, glass, k=1)


def test_an_atom_that_hears_itself_alone_is_said(glass, explain_by_hand):
    explanation = explain_by_hand(glass, 3)
    loop = explanation.is_self_loop & (explanation.target == 3)
    arrays = ("source", "target", "displacement", "hop", "score")
    alone = replace(explanation, **{name: getattr(explanation, name)[loop] for name in arrays})
    with pytest.raises(InputError, match="no other atom is within reach of atom 3"):
        shell_analysis(alone, glass, k=1)


def test_all_partials_are_those_asked_for_one_by_one(random_glass):
    glass = random_glass(6)
    partials = partial_distributions(glass, r_max=8.0)
    assert list(partials) == [("Cu", "Cu"), ("Cu", "Zr"), ("Zr", "Zr")]
    for pair, rdf in partials.items():
        one = radial_distribution(glass, r_max=8.0, pair=pair)
        np.testing.assert_allclose(rdf.g, one.g)
        np.testing.assert_array_equal(rdf.minima, one.minima)
        assert rdf.label == "-".join(pair)


def test_range_that_is_no_multiple_of_the_bins_ends_in_a_full_bin():
    gas = Glass(np.random.default_rng(0).random((4000, 3)) * 30.0, np.full(4000, 29), np.eye(3) * 30.0)
    rdf = radial_distribution(gas, r_max=9.1, bin_width=0.5)
    assert rdf.g[-1] == pytest.approx(1.0, abs=0.03)


def test_short_and_medium_range_share_the_important_atoms(random_glass, explain_by_hand):
    glass = random_glass(9)
    analysis = shell_analysis(explain_by_hand(glass, 3), glass)
    short, medium = analysis.fraction("short"), analysis.fraction("medium")
    assert short[0] + medium[0] == pytest.approx(1.0)
    assert short[0] == pytest.approx(np.mean(analysis.distance < analysis.short_range))
    assert short[0] == sum(s.n_important for s in analysis.shells.itertuples() if s.order == "short") / len(
        analysis.important
    )
    assert short[1] < short[0] < short[2]
    assert [shell.order for shell in analysis.shells.itertuples()] == ["short"] + ["medium"] * (
        len(analysis.shells) - 1
    )


def test_mean_distances_are_those_of_the_atoms_and_of_their_importances(random_glass, explain_by_hand):
    glass = random_glass(9)
    near_first = explain_by_hand(glass, 3, score=lambda e: np.exp(-e.distance) * np.exp(-3.0 * e.hop))
    analysis = shell_analysis(near_first, glass, k=80)
    plain, weighted = analysis.mean_distance(), analysis.mean_distance(weighted=True)
    assert plain[0] == pytest.approx(analysis.distance.mean())
    assert weighted[0] == pytest.approx(np.average(analysis.distance, weights=analysis.importance))
    assert weighted[0] < plain[0]
    for value, low, high in (plain, weighted):
        assert low < value < high
    standard_error = analysis.distance.std() / np.sqrt(len(analysis.distance))
    assert (plain[2] - plain[1]) / (2 * 1.96) == pytest.approx(standard_error, rel=0.1)


def test_a_single_important_atom_says_nothing_of_how_others_would_scatter(random_glass, explain_by_hand):
    glass = random_glass(9)
    analysis = shell_analysis(explain_by_hand(glass, 3, score=lambda e: np.exp(-e.distance)), glass, k=1)
    assert len(analysis.important) == 1
    for weighted in (False, True):
        mean, low, high = analysis.mean_distance(weighted=weighted)
        assert mean == pytest.approx(analysis.distance[0])
        assert np.isnan([low, high]).all()
    assert analysis.shells[["weighted_low", "weighted_high"]].isna().all(axis=None)
    said = analysis.summary()
    assert said["mean_distance_important_angstrom"] == {"value": mean, "low": None, "high": None}
    assert json.loads(json.dumps(said, allow_nan=False))["shells"][0]["weighted_low"] is None


@pytest.mark.filterwarnings("error")
def test_resamples_without_weight_are_left_out():
    values, weights = np.array([1.0, 3.0, 9.0]), np.array([1.0, 0, 0])
    resampled = np.array([[1, 2, 2], [0, 1, 2], [2, 0, 0]])
    assert _interval_of_mean(values, weights, resampled) == (1.0, 1.0)


def test_glass_without_minima_has_no_short_range(explain_by_hand):
    rng = np.random.default_rng(1)
    places = np.stack(np.meshgrid(*[np.arange(7)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 3.0
    # So dilute a gas that g(r) has no structure that the counts could tell.
    places = places[rng.permutation(len(places))[:70]] + rng.uniform(0, 2.4, (70, 3))
    gas = Glass(places, [29] * 70, np.eye(3) * 21.0)
    rdf = radial_distribution(gas, r_max=6.0, bin_width=2.0)
    assert rdf.minima.size == 0
    analysis = shell_analysis(explain_by_hand(gas, 3, cutoff=6.0), gas, rdf=rdf)
    assert analysis.fraction("short") is None
    assert [shell.order for shell in analysis.shells.itertuples()] == ["any"]
    assert "coordination_matched" not in set(analysis.nulls["null"])
    assert json.dumps(analysis.summary(), allow_nan=False)
