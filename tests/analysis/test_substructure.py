"""Cycles of the atoms of an explanation alone, without periodicity, as the paper counts them."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.analysis.explained.cycle_comparison import cycle_comparison, cycles_through_edges
from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.placement import place_atoms


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path / "cycles")
    monkeypatch.setattr(topology, "_memory", {})


def both(explanation, glass):
    return [cycles_through_edges(explanation, glass, boundary=boundary) for boundary in ("open", "periodic")]


def test_whole_cluster_is_its_own_sub_structure(random_glass, explain_by_hand):
    cluster = random_glass(5, pbc=False)
    alone, whole = both(explain_by_hand(cluster, 0, cutoff=5.0, layers=9), cluster)
    np.testing.assert_array_equal(alone, whole)
    assert whole.max() > 0


def test_cut_changes_few_cycles_deep_inside(random_glass, explain_by_hand):
    glass = random_glass(10, seed=1)
    explanation = explain_by_hand(glass, 0, cutoff=5.0, layers=2)
    alone, whole = both(explanation, glass)
    inside = (explanation.hop == 0) & (explanation.distance < 3.2) & ~explanation.is_self_loop
    assert inside.sum() > 5
    assert np.abs(alone - whole)[inside].max() <= 2 < whole[inside].max()
    assert 0.7 < np.mean(alone == whole) < 1


def test_edges_across_the_cut_have_no_cycles(random_glass, explain_by_hand):
    glass = random_glass(4)  # 10 Å across: many images of each atom within reach
    explanation = explain_by_hand(glass, 0, cutoff=4.0, layers=2)
    count = cycles_through_edges(explanation, glass, boundary="open")
    placement = place_atoms(explanation)
    source, target = (placement.position[placement.rows_of(ends)] for ends in (explanation.source, explanation.target))
    across = np.linalg.norm(source - target - explanation.displacement, axis=1) > 0.1
    assert across.any()
    assert (count[across] == 0).all()
    assert count.max() > 0


def test_comparison_counts_where_it_is_told_to(random_glass, explain_by_hand):
    glass = random_glass(8)
    explanation = explain_by_hand(glass, 5, cutoff=4.0)
    top = explanation.rank()[~explanation.is_self_loop[explanation.rank()]][:10]
    for boundary, cycles in zip(("open", "periodic"), both(explanation, glass), strict=True):
        groups = cycle_comparison(explanation, glass, k=10, boundary=boundary).to_frame().set_index("group")
        assert groups.loc["top", "mean"] == pytest.approx(cycles[top].mean())
    with pytest.raises(InputError, match="boundary='closed'"):
        cycle_comparison(explanation, glass, boundary="closed")
    with pytest.raises(InputError, match="another glass"):
        cycles_through_edges(explanation, random_glass(5, seed=1), boundary="open")
