from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from symgnn_explain.analysis.explained.mro import shell_analysis
from symgnn_explain.analysis.nulls.candidates import Candidates, atom_candidates, edge_candidates
from symgnn_explain.analysis.nulls.null_models import (
    ATOM_NULLS,
    EDGE_NULLS,
    LENGTH_TOLERANCE,
    Matched,
    NullModel,
    two_sided_p,
)
from symgnn_explain.errors import InputError
from symgnn_explain.structure.pairs import pairs_within
from symgnn_explain.structure.radial import radial_distribution


def candidates(chosen, rng, n_hops=4, n_coordinations=6):
    """Candidates at random distances; the hop grows with the distance."""
    distance = rng.uniform(2.2, 12.0, len(chosen))
    attributes = {
        "distance": distance,
        "hop": np.minimum((distance / 12 * n_hops).astype(int) + rng.integers(0, 2, len(chosen)), n_hops - 1),
        "coordination": rng.integers(10, 10 + n_coordinations, len(chosen)),
    }
    edges, ends = edges_between(chosen, rng)
    weight = chosen * rng.random(len(chosen))
    return Candidates(np.arange(len(chosen)), chosen, attributes, weight, reserved=chosen, edges=edges, ends=ends)


def edges_between(chosen, rng, n_edges=600):
    """Edges between atoms, some of which have many; those between important atoms are the important ones."""
    ends = (len(chosen) * rng.random((n_edges, 2)) ** 2).astype(int) - 1
    important = chosen[ends].all(axis=1) & (ends >= 0).all(axis=1)
    important[0] = True
    hop = {"hop": rng.integers(0, 3, n_edges)}
    return Candidates(np.arange(n_edges), important, hop, important * 1.0, reserved=important), ends


def p_value(pool, values, model, draws, rng):
    """The test of a mean that every analysis makes of a null model."""
    drawn = model.draw(pool, draws, rng)
    expected = float(drawn.expectation @ values / pool.n_chosen)
    return two_sided_p(float(values[pool.chosen].mean()), values[drawn.rows].mean(axis=1), expected)


def random_choice(n, k, rng):
    chosen = np.zeros(n, dtype=bool)
    chosen[rng.choice(n, k, replace=False)] = True
    return chosen


@pytest.mark.parametrize(
    ("null", "matched"), [("random", []), ("hop_matched", ["hop"]), ("coordination_matched", ["coordination"])]
)
def test_permutation_nulls_draw_as_many_of_every_class_and_none_twice(null, matched):
    rng = np.random.default_rng(0)
    pool = candidates(random_choice(300, 40, rng), rng)
    rows = ATOM_NULLS[null].draw(pool, 50, rng).rows
    assert rows.shape == (50, 40)
    assert all(len(set(row)) == 40 for row in rows)
    for name in matched:
        # Even column by column: what stands for an important atom is of its class.
        np.testing.assert_array_equal(pool.attributes[name][rows], np.tile(pool.attributes[name][pool.chosen], (50, 1)))


@pytest.mark.parametrize(("null", "same_hop"), [("length_matched", False), ("hop_length_matched", True)])
def test_matched_edges_have_the_length_and_the_hop(random_glass, explain_by_hand, null, same_hop):
    pool = edge_candidates(explain_by_hand(random_glass(7), 5), 25)
    rows = EDGE_NULLS[null].draw(pool, 100, np.random.default_rng(1)).rows
    length, hop = pool.attributes["distance"], pool.attributes["hop"]
    assert np.abs(length[rows] - length[pool.chosen]).max() <= LENGTH_TOLERANCE
    assert (hop[rows] == hop[pool.chosen]).all() == same_hop
    assert len(np.unique(rows)) > 50


def test_distance_matched_atoms_are_as_far_away():
    rng = np.random.default_rng(3)
    pool = candidates(random_choice(400, 30, rng), rng)
    rows = ATOM_NULLS["distance_matched"].draw(pool, 200, rng).rows
    distance = pool.attributes["distance"]
    assert np.abs(distance[rows] - distance[pool.chosen]).max() <= LENGTH_TOLERANCE
    assert all(len(set(row)) == 30 for row in rows)


def test_counterparts_are_alike_and_lie_along_no_important_bond(random_glass, explain_by_hand):
    explanation = explain_by_hand(random_glass(7), 5)
    pool = edge_candidates(explanation, 25)
    model = Matched("like", "edges of the same hop and length", by=("hop", ("distance", 0.3)))
    rows = model.draw(pool, 100, np.random.default_rng(1))
    length, hop = pool.attributes["distance"], pool.attributes["hop"]
    important = np.flatnonzero(pool.chosen)[[like.size > 0 for like in model.counterparts(pool)]]
    assert np.abs(length[rows.rows] - length[important]).max() <= 0.3
    np.testing.assert_array_equal(hop[rows.rows], np.tile(hop[important], (100, 1)))

    def bond(edge):
        ends = sorted((int(explanation.source[edge]), int(explanation.target[edge])))
        return (*ends, round(float(explanation.distance[edge]), 4))

    assert not {bond(edge) for edge in pool.ids[pool.chosen]} & {bond(edge) for edge in pool.ids[np.unique(rows.rows)]}
    assert not model.exchangeable


def test_distance_ordered_atoms_are_the_nearest():
    rng = np.random.default_rng(3)
    pool = candidates(random_choice(400, 30, rng), rng)
    rows = ATOM_NULLS["distance_ordered"].draw(pool, 3, rng).rows
    distance = pool.attributes["distance"]
    assert distance[rows].max() < np.delete(distance, rows[0]).min()
    assert not ATOM_NULLS["distance_ordered"].exchangeable
    assert distance[rows].mean(axis=1) == pytest.approx(np.sort(distance)[:30].mean())


@pytest.mark.parametrize("null", ATOM_NULLS)
def test_expectation_is_the_mean_of_many_draws(null):
    rng = np.random.default_rng(5)
    pool = candidates(random_choice(120, 25, rng), rng)
    drawn = ATOM_NULLS[null].draw(pool, 4000, rng)
    assert drawn.expectation.sum() == pytest.approx((drawn.rows >= 0).sum(axis=1).mean())
    frequency = np.bincount(drawn.rows[drawn.rows >= 0], minlength=120) / 4000
    np.testing.assert_allclose(frequency, drawn.expectation, atol=0.06)
    np.testing.assert_array_equal(drawn.taken().sum(axis=1), (drawn.rows >= 0).sum(axis=1))
    values = rng.normal(size=(120, 2))
    first = drawn.rows[0][drawn.rows[0] >= 0]
    np.testing.assert_allclose(drawn.means(values)[0], values[first].mean(axis=0))
    np.testing.assert_allclose(drawn.means(values[:, 1]), drawn.means(values)[:, 1])
    np.testing.assert_allclose(drawn.expected(values), drawn.means(values).mean(axis=0), atol=0.02)


@pytest.mark.parametrize("null", ["random", "hop_matched", "coordination_matched", "distance_matched"])
def test_p_values_of_random_selections_are_uniform(null):
    rng = np.random.default_rng(11)
    p_values = []
    for _ in range(300):
        pool = candidates(random_choice(300, 20, rng), rng)
        values = np.sin(pool.attributes["distance"]) + rng.normal(size=300)
        p_values.append(p_value(pool, values, ATOM_NULLS[null], 199, rng))
    # 300 uniform numbers: three standard errors around 0.05 and 0.5.
    assert 0.012 < np.mean(np.array(p_values) < 0.05) < 0.09
    assert 0.45 < np.mean(p_values) < 0.55


def test_p_values_stay_uniform_where_most_of_the_like_are_important():
    # Eight of the twelve nearest atoms are important, as is common: only the permutation null stays calibrated.
    rng = np.random.default_rng(4)
    p_values = []
    for _ in range(300):
        chosen = np.concatenate([random_choice(12, 8, rng), random_choice(200, 5, rng)])
        distance = np.concatenate([rng.uniform(2.4, 2.69, 12), rng.uniform(4.0, 12.0, 200)])
        pool = Candidates(np.arange(212), chosen, {"distance": distance}, chosen.astype(float), reserved=chosen)
        values = rng.normal(size=212)
        p_values.append(p_value(pool, values, ATOM_NULLS["distance_matched"], 199, rng))
    assert np.mean(np.array(p_values) < 0.05) < 0.09
    assert 0.45 < np.mean(p_values) < 0.6


def test_planted_difference_is_found_and_a_confounded_one_is_not():
    rng = np.random.default_rng(2)
    distance = rng.uniform(2.2, 12.0, 400)
    # Importance is more likely, and the property larger, the nearer an atom is; nothing else joins them.
    chosen = rng.random(400) < 0.5 * np.exp(-(distance - 2.2) / 2.5)
    attributes = {"distance": distance, "hop": (distance / 3).astype(int), "coordination": rng.integers(10, 16, 400)}
    pool = Candidates(np.arange(400), chosen, attributes, chosen.astype(float), reserved=chosen)
    confounded = 10 - distance + rng.normal(0, 0.5, 400)
    assert p_value(pool, confounded, ATOM_NULLS["random"], 2000, rng) < 0.01
    assert p_value(pool, confounded, ATOM_NULLS["distance_matched"], 2000, rng) > 0.01
    planted = confounded + 1.0 * chosen
    assert p_value(pool, planted, ATOM_NULLS["distance_matched"], 2000, rng) < 0.01


def test_random_null_is_the_hypergeometric_distribution(random_glass, explain_by_hand):
    glass = random_glass(9)
    analysis = shell_analysis(explain_by_hand(glass, 3), glass, k=40, draws=4000)
    n_all, n_important = len(analysis.all_distance), len(analysis.important)
    for shell in analysis.shells.itertuples():
        unit = n_important * shell.n_all / n_all
        exact = hypergeom(n_all, shell.n_all, n_important).ppf([0.025, 0.975])
        assert shell.null_low * unit == pytest.approx(exact[0], abs=1.01)
        assert shell.null_high * unit == pytest.approx(exact[1], abs=1.01)
    table = analysis.nulls.set_index(["shell", "null"])
    assert table.xs("random", level="null")["expected"].to_numpy() == pytest.approx(1.0)
    assert table.xs("distance_ordered", level="null")["p_value"].isna().all()


def test_selecting_everything_is_what_every_permutation_does():
    rng = np.random.default_rng(0)
    pool = candidates(np.ones(50, dtype=bool), rng)
    for null in ("random", "hop_matched", "coordination_matched"):
        drawn = ATOM_NULLS[null].draw(pool, 50, rng)
        np.testing.assert_array_equal(np.sort(drawn.rows, axis=1), np.tile(np.arange(50), (50, 1)))
        np.testing.assert_allclose(drawn.expectation, 1.0)
        assert p_value(pool, pool.attributes["distance"], ATOM_NULLS[null], 50, rng) == 1.0


def test_important_ones_without_a_counterpart_are_left_out():
    rng = np.random.default_rng(0)
    pool = candidates(random_choice(60, 5, rng), rng)
    pool.attributes["distance"][np.flatnonzero(pool.chosen)[:2]] = 50.0
    like = Matched("like", "atoms as far away", by=(("distance", 0.3),))
    drawn = like.draw(pool, 20, rng)
    assert [rows.size > 0 for rows in like.counterparts(pool)] == [False, False, True, True, True]
    assert drawn.rows.shape == (20, 3)
    assert pool.attributes["distance"][drawn.rows].max() < 13
    nothing = Matched("none", "nothing", by=(("distance", -1.0),)).draw(pool, 20, rng)
    assert not nothing.expectation.any()
    assert nothing.rows.shape == (20, 0)


def test_coordination_is_counted_inside_the_first_minimum(random_glass, explain_by_hand):
    glass = random_glass(8)
    rdf = radial_distribution(glass)
    pool = atom_candidates(explain_by_hand(glass, 3), glass, rdf=rdf)
    assert pool.attributes["coordination"].mean() == pytest.approx(rdf.coordination_number, rel=0.1)
    atom = int(pool.ids[7])
    distance = np.linalg.norm(glass.displacements_from(atom), axis=1)
    assert pool.attributes["coordination"][7] == ((distance > 0) & (distance < rdf.minima[0])).sum()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), null=st.sampled_from(sorted(EDGE_NULLS)))
def test_equal_seeds_draw_equally(random_glass, explain_by_hand, seed, null):
    glass = random_glass(6)
    pool = edge_candidates(explain_by_hand(glass, 2), 12)
    one, two = (EDGE_NULLS[null].draw(pool, 50, np.random.default_rng(seed)).rows for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_wrong_candidates_are_refused(random_glass, explain_by_hand):
    glass = random_glass(6)
    explanation = explain_by_hand(glass, 2)
    with pytest.raises(InputError, match="does not fit"):
        edge_candidates(explanation, len(explanation))


def test_pairs_of_a_cluster_and_of_a_slab_ignore_the_box(random_glass):
    block = random_glass(4, pbc=False)
    distance = np.linalg.norm(block.positions[:, None] - block.positions[None], axis=-1)
    assert len(pairs_within(block, 6.0)) == ((distance < 6.0).sum() - len(block)) / 2
    with pytest.raises(InputError, match="too many to list"):
        pairs_within(random_glass(4), 500.0)
    with pytest.raises(InputError, match="positive"):
        pairs_within(block, -1.0)


def test_draws_have_the_classes_of_the_chosen_ones():
    rng = np.random.default_rng(0)
    attributes = {"distance": rng.random(60) * 3, "number": rng.integers(0, 2, 60)}
    chosen = rng.random(60) < 0.4
    pool = Candidates(np.arange(60), chosen, attributes, chosen * 1.0, chosen)
    rows, expectation = NullModel("like", "of each class", by=(("distance", 0.5), "number")).draw(pool, 3000, rng)
    for label in (attributes["distance"] // 0.5, attributes["number"]):
        assert (label[rows] == label[chosen]).all()
    assert all(len(set(row)) == len(row) for row in rows[:100])
    assert expectation.sum() == pytest.approx(chosen.sum())
    frequency = np.bincount(rows.ravel(), minlength=60) / 3000
    np.testing.assert_allclose(frequency, expectation, atol=0.04)


def shares_of_small_p_values(glass, explain_by_hand, nulls, repetitions=120):
    """How many p-values of shells are at most 0.05 where scores of edges are random, and their mean, by null model."""
    rng = np.random.default_rng(8)
    explained, rdf, found = explain_by_hand(glass, 3), radial_distribution(glass), {null: [] for null in nulls}
    for seed in range(repetitions):
        scored = replace(explained, score=rng.normal(size=len(explained)))
        shells = shell_analysis(scored, glass, 20, rdf=rdf, draws=199, seed=seed).nulls
        for null in nulls:
            found[null] += shells.loc[shells["null"] == null, "p_value"].tolist()
    return {null: (np.mean(np.array(values) <= 0.05), np.mean(values)) for null, values in found.items()}


def test_random_scores_of_edges_have_uniform_p_values_against_ends_of_edges(random_glass, explain_by_hand):
    found = shares_of_small_p_values(random_glass(7), explain_by_hand, ("random", "random_edges", "edges_of_hops"))
    for null in ("random_edges", "edges_of_hops"):
        small, mean = found[null]
        assert small < 0.09
        assert mean > 0.45
    assert found["random"][0] > 0.15  # atoms with many edges are important more often


def test_ends_of_edges_are_those_of_as_many_edges(random_glass, explain_by_hand):
    glass = random_glass(6)
    explanation = explain_by_hand(glass, 3)
    pool = atom_candidates(explanation, glass, 8)
    assert pool.edges.n_chosen == 8
    important = pool.ends[pool.edges.chosen]
    np.testing.assert_array_equal(np.unique(important[important >= 0]), np.flatnonzero(pool.chosen))
    for pools in (pool, pool.only(pool.attributes["hop"] > 0)):
        drawn = ATOM_NULLS["random_edges"].draw(pools, 300, np.random.default_rng(0))
        count = drawn.taken().sum(axis=1)
        assert 1 <= count.min() < count.max() <= 16
    with pytest.raises(InputError, match="by their edges"):
        ATOM_NULLS["random_edges"].draw(pool.edges, 3, np.random.default_rng(0))
