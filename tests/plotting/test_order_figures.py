from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain import datasets
from symgnn_explain.analysis import bond_network, local_order_analysis, motif_analysis, network_analysis
from symgnn_explain.analysis.explained.motifs import MotifAnalysis
from symgnn_explain.analysis.networks.network_analysis import NetworkAnalysis
from symgnn_explain.analysis.networks.structure_network import BondNetwork
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting import connection_figure, network_figure, voronoi_figure
from symgnn_explain.plotting.networks import WIDEST
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture(scope="module")
def sample() -> Glass:
    return datasets.sample()


@pytest.fixture(scope="module")
def explained(sample) -> AtomExplanation:
    """Two layers around one atom, with random scores."""
    source, target, displacement = neighbour_edges(sample, 5.0)
    near = np.isin(target, source[target == 500])
    rng = np.random.default_rng(0)
    return AtomExplanation(
        atom=500,
        method="gnnexplainer",
        source=source[near],
        target=target[near],
        displacement=displacement[near],
        hop=np.where(target[near] == 500, 0, 1),
        score=rng.random(int(near.sum())),
        signed=False,
        prediction=1.2,
        prediction_range=(1.0, 2.0),
        glass_name=sample.name,
        glass_sha256=sample.content_hash,
    )


@pytest.fixture(scope="module")
def motifs(sample, explained) -> MotifAnalysis:
    return motif_analysis(explained, sample, local_order_analysis(sample), k=60, draws=300)


@pytest.fixture(scope="module")
def network(sample) -> BondNetwork:
    return bond_network(sample, largest_ring=4)


@pytest.fixture(scope="module")
def analysis(sample, explained, network) -> NetworkAnalysis:
    return network_analysis(explained, sample, network, k=60, draws=60)


def traces(figure, kind, axis="x"):
    return [trace for trace in figure.data if trace.type == kind and (trace.xaxis or "x") == axis]


def points(figure, axis="x"):
    [found] = [trace for trace in traces(figure, "scatter", axis) if trace.mode == "markers"]
    return found


@pytest.mark.parametrize("null", ["random", "distance", "distance_and_species"])
def test_voronoi_figure_shows_shares_over_the_null(motifs, null):
    figure = voronoi_figure(motifs, null=null)
    table = motifs.of_null(null).query("group == 'index'").set_index("name").loc[list(figure.layout.xaxis.ticktext)]
    observed, [bands] = points(figure), traces(figure, "bar")
    assert np.array(observed.y) == pytest.approx(100 * table["observed"])
    assert np.array(observed.y) + observed.error_y.array == pytest.approx(100 * table["observed_high"])
    assert np.array(observed.y) - observed.error_y.arrayminus == pytest.approx(100 * table["observed_low"])
    assert np.array(bands.base) == pytest.approx(100 * table["null_low"])
    assert np.array(bands.base) + bands.y == pytest.approx(100 * table["null_high"])
    assert list(table["expected"]) == sorted(table["expected"], reverse=True)
    assert "%" in figure.layout.yaxis.title.text
    assert f"p = {table['p_value'].iloc[0]:.2g}" in observed.hovertext[0]


def test_connection_figure_shows_enrichment_and_joined_pairs(motifs):
    figure = connection_figure(motifs, null="random")
    table = motifs.of_null("random")
    atoms = table[table["group"].isin(["icosahedron", "connection"])]
    pairs = table[table["group"] == "joined pairs"].set_index("name").loc[list(figure.layout.xaxis2.ticktext)]
    assert len(atoms) >= 4
    assert np.array(points(figure).y) == pytest.approx(atoms["enrichment"])
    [bands] = traces(figure, "bar")
    assert np.array(bands.base) == pytest.approx(atoms["null_low"] / atoms["expected"])
    assert len(pairs) >= 1
    assert np.array(points(figure, "x2").y) == pytest.approx(pairs["observed"])


def test_connection_figure_says_where_there_are_no_connections(motifs):
    without = replace(motifs, tests=motifs.tests[motifs.tests["group"] != "joined pairs"])
    figure = connection_figure(without)
    assert "no connection" in figure.layout.annotations[0].text


def test_network_figure_shows_every_effect(analysis):
    figure = network_figure(analysis)
    table = analysis.to_frame()
    drawn = {trace.name: trace for trace in figure.data if not trace.showlegend and trace.name in set(table["null"])}
    shown = table[np.isfinite(table["effect"])]
    for null, trace in drawn.items():
        rows = shown[shown["null"] == null]
        np.testing.assert_allclose(trace.customdata, rows["effect"])
        np.testing.assert_allclose(trace.x, rows["effect"].clip(-WIDEST, WIDEST))
        is_open = ["open" in symbol for symbol in trace.marker.symbol]
        assert is_open == (rows["q_value"] >= 0.05).tolist()
        beyond = ["triangle" in symbol for symbol in trace.marker.symbol]
        assert beyond == (rows["effect"].abs() > WIDEST).tolist()
        labels = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
        named = [labels[round(place)] for place in trace.y]
        assert all(label.startswith(name) for label, name in zip(named, rows["name"], strict=True))
    assert len(drawn) == 3


def test_unknown_nulls_are_refused_and_figures_are_plain_json(motifs, analysis):
    with pytest.raises(InputError, match="choose from"):
        voronoi_figure(motifs, null="matched")
    for figure in (voronoi_figure(motifs), connection_figure(motifs), network_figure(analysis)):
        assert json.loads(figure.to_json())["layout"]["width"] > 0
