from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from symgnn_explain import datasets
from symgnn_explain.analysis.explained.motifs import NULLS, motif_analysis
from symgnn_explain.analysis.order.local_entropy import pair_entropy
from symgnn_explain.analysis.order.local_order import LocalOrder, local_order_analysis
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.radial import radial_distribution


@pytest.fixture(scope="module")
def large() -> Glass:
    return datasets.sample()


@pytest.fixture(scope="module")
def order(large) -> LocalOrder:
    return local_order_analysis(large)


@pytest.fixture(scope="module")
def whole(large, explain_by_hand) -> AtomExplanation:
    """Receptive field of three layers around one atom."""
    return explain_by_hand(large, 500, layers=3)


def choosing(explanation, value, rng):
    """Make the atoms with the largest values the important ones: each by its self-loop."""
    score = explanation.is_self_loop * (1 + value[explanation.source] + 1e-6 * rng.random(len(explanation)))
    return replace(explanation, score=score)


def test_a_single_important_atom_says_nothing_of_how_others_would_scatter(large, order, whole):
    explanation = choosing(whole, np.arange(len(large)) != whole.atom, np.random.default_rng(0))
    analysis = motif_analysis(explanation, large, order, k=1)
    assert analysis.n_important == 1
    table = analysis.of_null("random").set_index("group")
    assert table.loc["property", ["observed_low", "observed_high"]].isna().all(axis=None)
    assert table.loc["species", ["observed_low", "observed_high"]].notna().all(axis=None)  # Clopper and Pearson's


def test_planted_index_is_found_by_every_null(large, order, whole):
    rng = np.random.default_rng(0)
    labels = order.cells.labels
    frequent = order.cells.frequencies()["index"][0]
    wanted = rng.random(len(large)) + 2.0 * (labels == frequent)
    explanation = choosing(whole, wanted, rng)
    analysis = motif_analysis(explanation, large, order, k=12)
    for null in NULLS:
        table = analysis.of_null(null).set_index("name")
        row = table.loc[frequent]
        assert row["observed"] > row["null_high"]
        assert row["enrichment"] > 2
        assert row["enrichment_low"] > 1
        assert row["p_value"] < 0.01
        assert row["q_value"] >= row["p_value"]
        assert row["effect"] > 3


def test_planted_species_is_found_until_the_null_matches_it(large, order, whole):
    rng = np.random.default_rng(1)
    explanation = choosing(whole, (large.numbers == 40) * 1.0, rng)
    analysis = motif_analysis(explanation, large, order, k=25)
    zirconium = analysis.to_frame().query("name == 'Zr'").set_index("null")
    assert (zirconium.loc[["random", "distance"], "p_value"] < 0.001).all()
    assert (zirconium["observed"] == 1).all()
    assert zirconium.loc["random", "enrichment"] == pytest.approx(1 / zirconium.loc["random", "expected"])
    assert "distance_and_species" not in zirconium.index  # it leaves no choice of species


def test_planted_pairs_of_joined_icosahedra_are_found(order, large, whole):
    rng = np.random.default_rng(2)
    linked = order.connections.per_atom("volume") > 0
    explanation = choosing(whole, linked * 1.0, rng)
    table = motif_analysis(explanation, large, order, k=25).of_null("distance")
    row = table[(table["group"] == "joined pairs") & (table["name"] == "volume")].iloc[0]
    assert row["observed"] > row["null_high"]
    assert row["p_value"] < 0.01
    pairs = order.connections
    important = explanation.important_atoms(25)["atom"]
    both = np.isin(pairs.first, important) & np.isin(pairs.second, important)
    assert row["observed"] == (both & (pairs.kind == "volume")).sum()
    centres = table[(table["group"] == "connection") & (table["name"] == "volume: centre")].iloc[0]
    assert centres["observed"] == linked[important].mean() > centres["null_high"]


def test_random_choices_have_uniform_p_values(large, order, whole):
    rdf = radial_distribution(large)
    p_values: dict[str, list[float]] = {null: [] for null in NULLS}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        explanation = choosing(whole, rng.random(len(large)), rng)
        table = motif_analysis(explanation, large, order, k=30, rdf=rdf, draws=200, seed=seed).to_frame()
        for row in table.query("group == 'property' and name == 'volume'").itertuples():
            p_values[str(row.null)].append(float(row.p_value))
    for values in p_values.values():
        assert len(values) == 30
        assert kstest(values, "uniform").pvalue > 0.01


def test_where_all_are_important_nothing_is_left_to_test(large, order, whole):
    analysis = motif_analysis(whole, large, order, k=len(whole))
    assert analysis.n_important == analysis.n_candidates
    assert analysis.to_frame().empty  # no null model has a choice left


def test_atoms_with_open_cells_are_left_out(random_glass, explain_by_hand):
    glass = random_glass(8, seed=5, pbc=(True, True, False))
    order = local_order_analysis(glass)
    atom = int(np.argsort(glass.positions[:, 2])[len(glass) // 3])
    explanation = explain_by_hand(glass, atom)
    analysis = motif_analysis(explanation, glass, order, k=400)
    assert analysis.n_open > 0
    assert analysis.n_important + analysis.n_open == len(explanation.important_atoms(400))


def test_analysis_is_reproducible(large, order, whole):
    one, two = (motif_analysis(whole, large, order, k=20, draws=100, seed=3) for _ in range(2))
    assert one.to_frame().equals(two.to_frame())
    shares = one.to_frame().query("group == 'index' or group == 'species'")
    for row in shares.itertuples():
        bounds = binomtest(round(row.observed * one.n_important), one.n_important).proportion_ci()
        assert (row.observed_low, row.observed_high) == pytest.approx((bounds.low, bounds.high))
    assert (one.to_frame()["q_value"] >= one.to_frame()["p_value"]).all()


def test_other_glasses_are_refused(large, order, whole, random_glass, explain_by_hand):
    other = random_glass(8)
    with pytest.raises(InputError, match="another structure"):
        motif_analysis(explain_by_hand(other, 3), other, order)
    with pytest.raises(InputError, match="another glass"):
        motif_analysis(explain_by_hand(other, 3), large, order)
    with pytest.raises(InputError, match="choose from random"):
        motif_analysis(whole, large, order, draws=50).of_null("nonsense")


def test_local_order_gathers_its_parts(large, order):
    table = order.to_frame()
    assert len(table) == len(order) == len(large)
    np.testing.assert_array_equal(table["q6"], order.bond_order.q[6])
    np.testing.assert_array_equal(table["s2"], order.pair_entropy.s2)
    assert table["full_icosahedron"].sum() == len(order.connections.centres)
    given = local_order_analysis(large, cutoff=3.5)
    assert given.cutoff == given.chemical_order.to_frame()["outer"][0] == 3.5
    np.testing.assert_array_equal(given.pair_entropy.averaged, pair_entropy(large, 3.5).averaged)
