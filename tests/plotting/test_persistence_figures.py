from __future__ import annotations

import json

import numpy as np
import pytest

from symgnn_explain.analysis.topology.of_glass import compute_topology
from symgnn_explain.errors import InputError
from symgnn_explain.plotting import persistence as persistence_module
from symgnn_explain.plotting import persistence_figure
from symgnn_explain.structure.glass import Glass


@pytest.fixture(scope="module")
def topology(random_glass):
    return compute_topology(random_glass(6), 4.5)


def trace_named(figure, word):
    [trace] = [trace for trace in figure.data if trace.name is not None and word in trace.name]
    return trace


@pytest.mark.parametrize("dimension", [0, 1, 2])
def test_diagram_holds_every_pair_in_its_density(topology, dimension, monkeypatch):
    monkeypatch.setattr(persistence_module, "MOST_POINTS", 50)
    persistence = topology.persistence
    figure = persistence_figure(persistence, dimension)
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
    rows = np.array([2, 30, 31])
    figure = persistence_figure(topology.persistence, 1, highlighted=rows)
    trace = trace_named(figure, "important edges")
    np.testing.assert_array_equal(trace.customdata, rows)
    np.testing.assert_array_equal(np.column_stack([trace.x, trace.y]), topology.persistence.diagram(1)[rows])
    # What a click tells is enough to show the ring.
    path = topology.cycles.path(random_glass(6), int(trace.customdata[0]))
    assert (path.birth, path.death) == (trace.x[0], trace.y[0])
    with pytest.raises(InputError, match="highlighted rows"):
        persistence_figure(topology.persistence, 1, highlighted=np.array([10**6]))


def test_open_classes_are_called_what_they_are():
    far_apart = Glass([[0, 0, 0], [10, 10, 10]], [29, 29], np.eye(3) * 20)
    persistence = compute_topology(far_apart, 4.5).persistence
    figure = persistence_figure(persistence, 0)
    assert len(trace_named(figure, "outlive 4.5 Å").x) == 2
    assert json.loads(persistence_figure(persistence, 2).to_json())["layout"]["width"] > 0
