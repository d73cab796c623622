from __future__ import annotations

import json

import numpy as np
import pytest

from symgnn_explain.analysis.explained.substructure_comparison import compare_substructures
from symgnn_explain.analysis.topology.diagrams import persistence_image
from symgnn_explain.analysis.topology.homology import compute_topology
from symgnn_explain.errors import InputError
from symgnn_explain.plotting import persistence_figure, persistence_image_figure, substructure_figure
from symgnn_explain.structure.glass import Glass


@pytest.fixture(scope="module")
def topology(random_glass):
    return compute_topology(random_glass(6), "shortest", 4.5)


def trace_named(figure, word):
    [trace] = [trace for trace in figure.data if trace.name is not None and word in trace.name]
    return trace


@pytest.mark.parametrize("dimension", [0, 1, 2])
def test_diagram_holds_every_pair_in_its_density(topology, dimension):
    persistence = topology.persistence
    figure = persistence_figure(persistence, dimension, most_points=50)
    diagram = persistence.diagram(dimension)
    [density] = [trace for trace in figure.data if trace.type == "heatmap"]
    assert density.customdata.sum() == len(diagram)
    shown = np.isfinite(density.z)
    np.testing.assert_allclose(10 ** density.z[shown], density.customdata[shown])
    points = trace_named(figure, "longest-lived")
    life = np.diff(diagram, axis=1)[:, 0]
    np.testing.assert_array_equal(np.column_stack([points.x, points.y]), diagram[points.customdata])
    assert life[points.customdata].min() >= np.sort(life)[-50]
    never = trace_named(figure, "never die")
    assert sorted(never.x) == persistence.essential(dimension).tolist()
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        assert "radius (Å)" in axis.title.text
        assert axis.range[0] <= diagram.min()
        assert axis.range[1] >= diagram.max()


def test_highlighted_pairs_can_be_told_by_their_rows(topology, random_glass):
    rows = topology.cycles.through_atoms(np.array([5]))
    figure = persistence_figure(topology.persistence, 1, highlighted=rows, highlighted_name="rings of atom 5")
    trace = trace_named(figure, "rings of atom 5")
    np.testing.assert_array_equal(trace.customdata, rows)
    np.testing.assert_array_equal(np.column_stack([trace.x, trace.y]), topology.persistence.diagram(1)[rows])
    # What a click tells is enough to show the ring.
    path = topology.cycles.path(random_glass(6), int(trace.customdata[0]))
    assert (path.birth, path.death) == (trace.x[0], trace.y[0])
    with pytest.raises(InputError, match="highlighted rows"):
        persistence_figure(topology.persistence, 1, highlighted=np.array([10**6]))


def test_open_classes_are_called_what_they_are():
    far_apart = Glass([[0, 0, 0], [10, 10, 10]], [29, 29], np.eye(3) * 20)
    persistence = compute_topology(far_apart, "shortest", 4.5).persistence
    figure = persistence_figure(persistence, 0)
    assert len(trace_named(figure, "outlive 4.5 Å").x) == 2
    assert json.loads(persistence_figure(persistence, 2).to_json())["layout"]["width"] > 0


def test_image_is_drawn_as_a_density(topology):
    bounds = {"birth_range": (1.0, 2.5), "life_range": (-0.2, 1.0), "resolution": 30}
    one, two = (persistence_image(topology.persistence.diagram(dimension), **bounds) for dimension in (1, 2))
    [drawn] = persistence_image_figure(one).data
    area = (1.5 / 30) * (1.2 / 30)
    assert drawn.z.sum() * area == pytest.approx(one.pixels.sum())
    [drawn] = persistence_image_figure(one, minus=two, title="rings minus voids").data
    assert drawn.z.sum() * area == pytest.approx(one.pixels.sum() - two.pixels.sum())
    assert drawn.zmin == -drawn.zmax
    other = persistence_image(topology.persistence.diagram(1), **{**bounds, "resolution": 31})
    with pytest.raises(InputError, match="bounds or pixels"):
        persistence_image_figure(one, minus=other)


def test_substructure_figure_places_the_important_one_against_each_null(glass, explanation):
    comparison = compare_substructures(explanation, glass, 12, draws=30, compared=5)
    figure = substructure_figure(comparison)
    observed = [trace for trace in figure.data if trace.customdata is not None]
    assert len(observed) == 3
    for trace, null in zip(observed, comparison.drawn, strict=True):
        for x, (value, expected, low, high, p_value, _unit) in zip(trace.x, trace.customdata, strict=True):
            assert x == pytest.approx((value - expected) / ((high - low) / 4))
            assert any(
                test.null == null and test.observed == value and test.p_value == p_value for test in comparison.tests
            )
    assert json.loads(figure.to_json())["layout"]["width"] > 0
