"""Many explained atoms: what is planted is found, what is random is not, and the atom is the unit."""

from __future__ import annotations

import json
from dataclasses import replace
from threading import Event

import numpy as np
import pandas as pd
import pytest

from symgnn_explain.analysis import local_order_analysis, optimal_cycles, population_analysis
from symgnn_explain.analysis.explained.pooled import NullPool, corrected, effects_between, estimate, ratio_estimate
from symgnn_explain.analysis.explained.population import CYCLE_GROUPS
from symgnn_explain.analysis.nulls.candidates import Candidates
from symgnn_explain.analysis.nulls.null_models import ATOM_NULLS
from symgnn_explain.errors import Cancelled, InputError

KEYS = {
    "n_atoms",
    "mean_cycles_top",
    "mean_cycles_mid",
    "mean_cycles_low",
    "mean_cycles_random",
    "mean_cycles_matched",
    "important_distance_peaks_angstrom",
    "rdf_peaks_angstrom",
    "fraction_short_range",
    "fraction_medium_range",
    "enrichment_by_shell",
}
ATOMS = tuple(range(0, 216, 18))
DRAWS = 60


@pytest.fixture(scope="module")
def structure(random_glass):
    return random_glass(6)


@pytest.fixture(scope="module")
def order(structure):
    return local_order_analysis(structure)


@pytest.fixture(scope="module")
def many(structure, explain_by_hand):
    """Explanations of twelve atoms whose scores are a function of the explanation, or random where None."""

    def build(score=None, atoms=ATOMS, **content):
        return [
            replace(explain_by_hand(structure, atom, score=score, seed=atom), prediction=1 + atom / 1000, **content)
            for atom in atoms
        ]

    return build


@pytest.fixture(scope="module")
def analyse(structure, order):
    def run(explanations, **settings):
        settings = {"k": 8, "draws": DRAWS, "order": order} | settings
        return population_analysis(explanations, structure, **settings)

    return run


@pytest.fixture(scope="module")
def random_analysis(many, analyse):
    return analyse(many())


@pytest.fixture(scope="module")
def planted_analysis(many, analyse, structure):
    """The most important edges are those with the most cycles."""

    def cycles(explanation):
        counts = optimal_cycles(structure).of_edges(
            structure, explanation.source, explanation.target, explanation.displacement
        )
        return counts + np.random.default_rng(0).uniform(0, 0.5, len(explanation))

    return analyse(many(cycles))


def short(explanation):
    """The shorter an edge, the more important, without self-loops."""
    return np.exp(-explanation.distance) * (explanation.distance > 0)


def value(analysis, name):
    return analysis.summary()[name]["value"]


def test_summary_has_every_key_with_an_interval(random_analysis):
    summary = random_analysis.summary()
    assert summary.keys() >= KEYS
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["n_atoms"] == len(ATOMS)
    for name in KEYS - {"n_atoms", "important_distance_peaks_angstrom", "rdf_peaks_angstrom", "enrichment_by_shell"}:
        found = summary[name]
        assert found["low"] <= found["value"] <= found["high"], name
    for shell in summary["enrichment_by_shell"].values():
        assert shell["low"] <= shell["value"] <= shell["high"]
    assert summary["fraction_short_range"]["value"] + summary["fraction_medium_range"]["value"] == pytest.approx(1)


def test_random_importances_are_not_significant(random_analysis):
    nulls = random_analysis.statistics_frame()
    nulls = nulls[nulls["compared_with"] != "hard atoms"]
    # Important atoms come by the edges that touch them, so only edges are exchangeable one by one.
    cycles = nulls[nulls["family"] == "cycles"]
    assert set(cycles["compared_with"]) >= {"random", "hop_matched", "length_matched", "hop_length_matched"}
    assert (cycles["q_value"] > 0.05).all()


def test_p_values_of_random_importances_are_uniform():
    rng = np.random.default_rng(1)
    values, p_values = {("a", "b"): rng.normal(size=40)}, []
    for _ in range(200):
        pool = NullPool()
        for _ in range(3):
            chosen = np.zeros(40, dtype=bool)
            chosen[rng.choice(40, 5, replace=False)] = True
            candidates = Candidates(np.arange(40), chosen, {}, chosen * 1.0, chosen)
            pool.add_means(values, candidates, [ATOM_NULLS["random"]], 99, rng)
        p_values.append(pool.comparisons()[0]["p_value"])
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.10
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)


def test_planted_cycles_are_found_against_every_null(planted_analysis, random_analysis):
    cycles = planted_analysis.statistics_frame().query("family == 'cycles'")
    assert (cycles["difference_low"] > 0).all()
    assert (cycles["q_value"] < 0.05).all()
    assert value(planted_analysis, "mean_cycles_top") > value(planted_analysis, "mean_cycles_mid")
    assert value(planted_analysis, "mean_cycles_mid") >= value(planted_analysis, "mean_cycles_low")
    assert planted_analysis.summary()["cycles_top_minus_matched"]["low"] > 0
    assert value(planted_analysis, "mean_cycles_random") == pytest.approx(value(random_analysis, "mean_cycles_random"))


def test_planted_short_range_is_found(many, analyse):
    near = analyse(many(lambda explanation: short(explanation) * (explanation.hop == 0)), k=5, draws=300)
    first = next(iter(near.summary()["enrichment_by_shell"].values()))
    assert first["low"] > 1.5
    assert first["against"]["random"]["q"] < 0.05
    assert value(near, "fraction_short_range") > 0.8


def test_enrichments_are_the_mean_shares_over_those_of_all_atoms(random_analysis):
    for _, shell in random_analysis.shells.iterrows():
        test = random_analysis.of("shell", "random").set_index("name").loc[shell["name"]]
        assert shell["enrichment"] == pytest.approx(test["observed"] / test["expected"])
        assert shell["random_low"] <= 1 <= shell["random_high"]


def test_tables_have_a_row_an_atom_whose_means_are_the_summary(random_analysis):
    atoms, summary = random_analysis.to_frame(), random_analysis.summary()
    assert atoms["atom"].tolist() == list(ATOMS)
    for group in CYCLE_GROUPS:
        assert summary[f"mean_cycles_{group}"]["value"] == pytest.approx(atoms[f"cycles_{group}"].mean())
    assert atoms["mean_distance"].mean() == pytest.approx(summary["mean_distance_angstrom"]["value"])
    motifs = random_analysis.of("motif", "random").set_index("name")
    assert motifs.loc["species: Zr", "observed"] == pytest.approx(atoms["motif: species: Zr"].mean())
    networks = random_analysis.of("network", "hop_length_matched").set_index("name")
    assert networks.loc["size: atoms", "observed"] == pytest.approx(atoms["network: size: atoms"].mean())


def test_order_of_atoms_changes_nothing_but_the_order_of_rows(many, analyse, random_analysis):
    turned = analyse(many()[::-1])
    for family in ("cycles", "shell", "motif"):
        here, there = (one.of(family, "random").set_index("name").sort_index() for one in (random_analysis, turned))
        columns = ["observed", "expected", "expected_low", "p_value"]
        pd.testing.assert_frame_equal(here[columns], there[columns])


def test_same_seed_same_result(many, analyse, random_analysis):
    again = analyse(many())
    pd.testing.assert_frame_equal(again.statistics_frame(), random_analysis.statistics_frame())
    assert again.summary() == random_analysis.summary()


def test_one_atom_has_values_but_no_intervals(many, analyse):
    analysis = analyse(many(atoms=(5,)))
    summary = analysis.summary()
    assert summary["n_atoms"] == 1
    assert summary["mean_cycles_top"]["value"] is not None
    assert summary["mean_cycles_top"]["low"] is None
    assert summary["soft_against_hard"] is None
    assert "A single atom has no intervals." in summary["caveats"]
    json.dumps(summary, allow_nan=False)


def test_soft_and_hard_atoms_are_told_apart_by_what_was_planted(many, analyse):
    """Soft atoms look at their short edges, hard ones at their long edges."""
    atoms = tuple(range(0, 216, 9))
    explanations = [
        replace(one, score=short(one) if place < len(atoms) / 2 else np.exp(one.distance - 6))
        for place, one in enumerate(many(atoms=atoms))
    ]
    analysis = analyse(explanations)
    assert (analysis.n_low, analysis.n_high) == (6, 6)
    row = analysis.of("own", "hard atoms").set_index("name").loc["mean_length"]
    assert row["effect"] == -1
    assert row["q_value"] < 0.05
    assert "mean_length" in analysis.summary()["soft_against_hard"]["significant"]


def test_an_atom_whose_important_edges_are_self_loops_has_no_network(many, analyse):
    loops, other = many(lambda explanation: explanation.is_self_loop * 1.0, atoms=(0,)), many(atoms=(20, 40))
    analysis = analyse([*loops, *other])
    atoms = analysis.to_frame().set_index("atom")
    assert np.isnan(atoms.loc[0, "network: size: atoms"])
    assert atoms.loc[[20, 40], "network: size: atoms"].notna().all()
    assert set(analysis.of("network", "hop_length_matched")["n"]) <= {1, 2}


def test_overlap_of_explanations_is_counted(many, analyse):
    analysis = analyse(many())
    assert 8 <= analysis.n_distinct_bonds <= 8 * len(ATOMS)
    assert analyse(many(atoms=(0,))).n_distinct_bonds <= 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: [], "no explanation"),
        (lambda explanations: [*explanations[:2], explanations[0]], "explained twice"),
        (lambda explanations: [explanations[0], replace(explanations[1], method="saliency")], "each way on its own"),
        (lambda explanations: [replace(explanations[0], glass_sha256="other")], "another glass"),
    ],
)
def test_what_cannot_be_analysed_is_refused(many, analyse, change, said):
    with pytest.raises(InputError, match=said):
        analyse(change(many(atoms=ATOMS[:3])))


def test_too_large_and_too_small_k_are_refused(many, analyse):
    with pytest.raises(InputError, match="at least 1"):
        analyse(many(atoms=(0,)), k=0)
    with pytest.raises(InputError, match="atom 0 cannot be analysed"):
        analyse(many(atoms=(0,)), k=10**6)


def test_it_reports_progress_and_stops_when_asked(many, analyse):
    seen: list[float] = []
    analyse(many(atoms=ATOMS[:2]), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    stop = Event()
    stop.set()
    with pytest.raises(Cancelled):
        analyse(many(atoms=ATOMS[:2]), cancel=stop)


def test_open_boundary_counts_cycles_in_each_receptive_field(many, analyse):
    analysis = analyse(many(atoms=(0,)), boundary="open")
    assert analysis.summary()["boundary"] == "open"
    with pytest.raises(InputError, match="periodic or open"):
        analyse(many(atoms=(0,)), boundary="torn")


def test_estimates_are_of_the_atoms_that_have_a_value():
    assert np.isnan(estimate([2.0]).low)
    assert estimate([2.0, np.nan]).value == 2
    assert estimate([1.0, 1.0, 1.0]).high == 1
    assert ratio_estimate(np.array([1.0, 3.0]), np.array([2.0, 2.0])).value == 1
    sample = np.random.default_rng(0).normal(size=400)
    found = estimate(sample)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * sample.std() / 20, rel=0.1)


def test_cliffs_delta_is_the_chance_to_be_larger():
    soft, hard = pd.DataFrame({"x": [1.0, 2.0, 3.0]}), pd.DataFrame({"x": [2.0, 5.0, 6.0, np.nan]})
    [found] = effects_between(soft, hard, {"x": "own"}, compared_with="hard atoms")
    assert found["effect"] == pytest.approx((1 - 7) / 9)
    assert found["effect_low"] <= found["effect"] <= found["effect_high"]
    assert found["n"] == 6
    assert effects_between(soft * 0, hard * 0, {"x": "own"}, compared_with="hard atoms") == []


def test_tests_against_the_same_are_corrected_together():
    comparisons = [
        {"family": "a", "name": str(place), "compared_with": null, "p_value": p}
        for place, (null, p) in enumerate([("x", 0.01), ("x", 0.04), ("y", 0.04)])
    ]
    assert corrected(comparisons)["q_value"].tolist() == pytest.approx([0.02, 0.04, 0.04])
    assert corrected([]).empty
