"""Figures of populations show the numbers of their analysis."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.analysis import population_analysis
from symgnn_explain.analysis.explained.population import CYCLE_GROUPS
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting import population_cycle_figure, population_distance_figure, soft_hard_figure
from symgnn_explain.plotting.population import PUBLISHED_CYCLES, PUBLISHED_PEAKS
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture(scope="module")
def analyses(random_glass):
    """Analyses of thirteen atoms and of one."""
    glass = random_glass(6)
    source, target, displacement = neighbour_edges(glass, 4.0)
    explanations = []
    for atom in range(0, 216, 17):
        hop = np.full(len(glass), 2)
        hop[source[target == atom]] = 1
        hop[atom] = 0
        kept = hop[target] < 2
        explanations.append(
            AtomExplanation(
                atom=atom,
                method="gnnexplainer",
                source=source[kept],
                target=target[kept],
                displacement=displacement[kept],
                hop=hop[target][kept],
                score=np.random.default_rng(atom).random(kept.sum()),
                signed=False,
                prediction=1 + atom / 100,
                prediction_range=(1.0, 4.0),
                glass_name=glass.name,
                glass_sha256=glass.content_hash,
            )
        )
    several = population_analysis(explanations, glass, k=6, draws=30)
    return several, population_analysis(explanations[:1], glass, k=6, draws=30)


def named(figure, start):
    [trace] = [trace for trace in figure.data if trace.name is not None and trace.name.startswith(start)]
    return trace


def test_distances_show_density_null_and_published_peaks(analyses):
    several, _ = analyses
    figure = population_distance_figure(several)
    np.testing.assert_allclose(named(figure, "important atoms").y, several.curve.density_important)
    np.testing.assert_allclose(named(figure, "all atoms").y, several.curve.density)
    np.testing.assert_allclose(named(figure, "g(r)").y, several.radial_distribution.g)
    assert set(named(figure, "published peaks").x) == set(PUBLISHED_PEAKS)
    assert "of the same hops" in named(figure, "ends of random edges").name
    assert "Å" in figure.layout.xaxis2.title.text


def test_cycles_show_every_group_with_its_interval(analyses):
    several, _ = analyses
    figure = population_cycle_figure(several)
    bars = named(figure, "mean over atoms")
    for place, group in enumerate(CYCLE_GROUPS):
        found = several.mean(f"cycles_{group}")
        assert bars.y[place] == pytest.approx(found.value)
        assert bars.y[place] + bars.error_y.array[place] == pytest.approx(found.high)
        assert bars.y[place] - bars.error_y.arrayminus[place] == pytest.approx(found.low)
    assert list(named(figure, "published").y) == list(PUBLISHED_CYCLES.values())
    assert len(named(figure, "single atoms").y) == len(CYCLE_GROUPS) * len(several)
    of_pairs = population_cycle_figure(replace(several, unit="pair"))
    assert not any(str(trace.name).startswith("published") for trace in of_pairs.data)
    assert of_pairs.layout.yaxis.title.text == "optimal cycles per pair"


def test_soft_against_hard_fills_what_is_significant(analyses):
    several, _ = analyses
    table = several.statistics.copy()
    chosen = table["compared_with"] == "hard atoms"
    table.loc[chosen, "q_value"] = 0.5
    first = table.index[chosen][table.loc[chosen, "effect"].abs().to_numpy().argmax()]
    table.loc[first, "q_value"] = 0.001
    [trace] = soft_hard_figure(replace(several, statistics=table)).data
    filled = [name for name, colour in zip(trace.y, trace.marker.color, strict=True) if colour != "white"]
    assert filled == [table.loc[first, "name"]]
    assert trace.x[-1] == pytest.approx(table.loc[first, "effect"])


def test_one_atom_can_be_drawn(analyses):
    _, one = analyses
    for draw in (population_distance_figure, population_cycle_figure, soft_hard_figure):
        json.loads(draw(one).to_json())
    assert "one atom" in population_cycle_figure(one).layout.title.text
