from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from symgnn_explain.analysis.explained.enrichment import enrichment_curve
from symgnn_explain.analysis.explained.mro import shell_analysis
from symgnn_explain.analysis.nulls.candidates import Candidates
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.placement import place_atoms


def radial_score(explanation, around):
    """Score of each edge by how near its sender is to ``around`` Å from the explained atom."""
    placement = place_atoms(explanation)
    distance = np.full(placement.atoms.max() + 1, np.inf)
    distance[placement.atoms] = placement.distance
    return np.exp(-(((distance[explanation.source] - around) / 0.5) ** 2)) * (explanation.source == explanation.target)


def test_everything_important_is_one_at_every_distance(random_glass, explain_by_hand):
    glass = random_glass(9)
    explanation = explain_by_hand(glass, 3)
    curve = enrichment_curve(shell_analysis(explanation, glass, k=len(explanation)), draws=50)
    known = np.isfinite(curve.value)
    np.testing.assert_allclose(curve.value[known], 1.0)
    for name in ("random", "hop_matched", "coordination_matched"):
        null = curve.nulls[name]
        np.testing.assert_allclose(null.low[known], 1.0)
        np.testing.assert_allclose(null.high[known], 1.0)
        assert null.p_value == 1.0


def test_planted_distance_is_found_and_stands_out_of_every_null(random_glass, explain_by_hand):
    glass = random_glass(12)
    # Three hops: the atoms that have a self-loop, of which the score is made, lie within 10 Å.
    explanation = explain_by_hand(glass, 3, layers=3, score=lambda e: radial_score(e, 6.0))
    curve = enrichment_curve(shell_analysis(explanation, glass, k=25), draws=200)
    best = np.nanargmax(curve.value)
    assert curve.r[best] == pytest.approx(6.0, abs=0.5)
    for name in ("random", "hop_matched", "coordination_matched"):
        null = curve.nulls[name]
        assert curve.value[best] > null.high[best]
        assert null.p_value < 0.02
    assert np.abs(curve.distance_peaks - 6.0).min() < 0.4
    assert curve.low[best] > 1


def test_curve_is_the_ratio_of_two_kernel_density_estimates(random_glass, explain_by_hand):
    glass = random_glass(9)
    analyses = [shell_analysis(explain_by_hand(glass, atom, seed=atom), glass, k=30) for atom in (3, 50, 200)]
    width = 0.3
    curve = enrichment_curve(analyses, kernel_width=width, draws=20)

    def density(distance):
        kde = gaussian_kde(distance)
        kde.set_bandwidth(width / np.sqrt(kde.covariance[0, 0]) * kde.factor)
        return kde(curve.r)

    everything = np.mean([density(each.all_distance) for each in analyses], axis=0)
    important = np.mean([density(each.distance) for each in analyses], axis=0)
    known = np.isfinite(curve.value)
    np.testing.assert_allclose(curve.density[known], everything[known])
    np.testing.assert_allclose(curve.density_important[known], important[known])


def with_random_importances(analysis, rng):
    pool = analysis.candidates
    chosen = np.zeros(len(pool), dtype=bool)
    chosen[rng.choice(len(pool), 25, replace=False)] = True
    return replace(
        analysis, candidates=Candidates(pool.ids, chosen, pool.attributes, chosen * rng.random(len(pool)), chosen)
    )


def test_random_importances_are_rarely_significant(random_glass, explain_by_hand):
    glass = random_glass(9)
    analysis = shell_analysis(explain_by_hand(glass, 3), glass, draws=10)
    p_values = []
    for seed in range(60):
        curve = enrichment_curve(with_random_importances(analysis, np.random.default_rng(seed)), draws=99, seed=seed)
        p_values += [null.p_value for null in curve.nulls.values() if null.p_value is not None]
    assert np.mean(np.array(p_values) <= 0.05) < 0.12
    assert 0.4 < np.mean(p_values) < 0.6


def test_more_explained_atoms_narrow_the_band(random_glass, explain_by_hand):
    glass = random_glass(9)
    analysis = shell_analysis(explain_by_hand(glass, 3), glass, draws=10)
    analyses = [with_random_importances(analysis, np.random.default_rng(seed)) for seed in range(72)]
    few, many = enrichment_curve(analyses[:8], draws=200), enrichment_curve(analyses, draws=200)
    middle = (few.r > 5) & (few.r < 8)
    widths = [np.mean((curve.high - curve.low)[middle]) for curve in (few, many)]
    assert widths[0] / widths[1] == pytest.approx(3.0, rel=0.35)  # square root of 72 / 8


def test_result_is_a_table_and_repeatable(random_glass, explain_by_hand):
    glass = random_glass(9)
    analysis = shell_analysis(explain_by_hand(glass, 3), glass)
    one, two = (enrichment_curve(analysis, draws=30, seed=4) for _ in range(2))
    assert one.to_frame().equals(two.to_frame())
    assert {"r", "density", "enrichment_low", "hop_matched_high"} <= set(one.to_frame().columns)


def test_wrong_arguments_are_refused(random_glass, explain_by_hand):
    glass = random_glass(6)
    analysis = shell_analysis(explain_by_hand(glass, 3), glass)
    with pytest.raises(InputError, match="at least one"):
        enrichment_curve([])
    for arguments in ({"kernel_width": 0.0}, {"r_max": np.nan}, {"kernel_width": 5.0, "r_max": 4.0}):
        with pytest.raises(InputError, match="kernel_width"):
            enrichment_curve(analysis, **arguments)
