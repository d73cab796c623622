from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from symgnn_explain.analysis.explained.cycle_comparison import cycle_comparison
from symgnn_explain.analysis.explained.enrichment import enrichment_curve
from symgnn_explain.analysis.explained.mro import shell_analysis
from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.units import group_edges
from symgnn_explain.plotting import (
    cycle_figure,
    distance_figure,
    enrichment_figure,
    neighbourhood_figure,
    parity_figure,
    prediction_histogram,
)
from symgnn_explain.plotting.style import LOWERS, RAISES, species_colour, species_radius


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path / "cycles")


def segments(figure):
    """Tail and head of every drawn edge, shape (n, 2, 3), with its line width and colour."""
    found = []
    for trace in figure.data:
        if trace.mode == "lines":
            ends = np.column_stack([trace.x, trace.y, trace.z]).astype(float).reshape(-1, 3, 3)
            found += [(pair[0], pair[1], trace.line.width, trace.line.color) for pair in ends]
    return found


def hovered(figure, word):
    traces = [trace for trace in figure.data if trace.hovertext is not None and word in trace.hovertext[0]]
    return [
        (text, place) for t in traces for text, place in zip(t.hovertext, zip(t.x, t.y, t.z, strict=True), strict=True)
    ]


def test_edges_have_their_length_and_direction_also_across_the_boundary(glass, explanation):
    k = 60
    figure = neighbourhood_figure(glass, explanation, k=k)
    top = explanation.top_edges(k)
    bonds = top["edge"][~top["self_loop"]].to_numpy()
    drawn = segments(figure)
    vectors = np.array([tail - head for tail, head, _, _ in drawn])
    assert len(drawn) == len(bonds)
    key = lambda rows: rows[np.lexsort(rows.round(4).T)]  # noqa: E731
    np.testing.assert_allclose(key(vectors), key(explanation.displacement[bonds]), atol=1e-6)
    # The atom stands in a corner: without periodic images some edge would be as long as the cell.
    naive = glass.positions[explanation.source[bonds]] - glass.positions[explanation.target[bonds]]
    assert np.linalg.norm(naive, axis=1).max() > 8
    assert np.linalg.norm(vectors, axis=1).max() <= 4.0


def test_every_edge_ends_in_drawn_atoms_and_every_atom_is_an_image_of_its_own(glass, explanation):
    figure = neighbourhood_figure(glass, explanation, k=60)
    atoms = hovered(figure, "atom")
    places = np.array([place for _, place in atoms], dtype=float)
    for tail, head, _, _ in segments(figure):
        for end in (tail, head):
            assert np.linalg.norm(places - end, axis=1).min() < 1e-6
    for text, place in atoms:
        atom = int(text.split()[1].rstrip(","))
        shift = np.linalg.solve(glass.cell.T, place - (glass.positions[atom] - glass.positions[0]))
        np.testing.assert_allclose(shift, np.rint(shift), atol=1e-6)
        assert glass.symbols[atom] in text


def test_more_important_edges_are_thicker(glass, explanation):
    figure = neighbourhood_figure(glass, explanation, k=300)
    width = {tuple((tail - head).round(4)): width for tail, head, width, _ in segments(figure)}
    top = explanation.top_edges(300)
    bonds = top["edge"][~top["self_loop"]].to_numpy()
    widths = [width[tuple(explanation.displacement[edge].round(4))] for edge in bonds]
    assert all(later <= earlier for earlier, later in pairwise(widths))
    assert len(set(widths)) == 4


def test_colour_tells_the_sign(glass, signed_explanation):
    figure = neighbourhood_figure(glass, signed_explanation, k=60)
    colour = {tuple((tail - head).round(4)): colour for tail, head, _, colour in segments(figure)}
    for edge in signed_explanation.top_edges(60).query("not self_loop")["edge"]:
        expected = RAISES if signed_explanation.score[edge] > 0 else LOWERS
        assert colour[tuple(signed_explanation.displacement[edge].round(4))] == expected
    assert "eV" in figure.layout.coloraxis.colorbar.title.text


def test_atoms_are_coloured_by_their_barriers(glass, explanation):
    figure = neighbourhood_figure(glass, explanation, k=30, predictions=glass.barriers)
    assert figure.layout.coloraxis.colorbar.title.text == "barrier (eV)"
    coloured = [trace for trace in figure.data if trace.marker.coloraxis == "coloraxis"]
    for trace in coloured:
        for text, value in zip(trace.hovertext, trace.marker.color, strict=True):
            atom = int(text.split()[1])
            assert value == glass.barriers[atom]
            assert f"barrier {value:.3f} eV" in text
    assert sum(len(trace.x) for trace in coloured) >= len(explanation.important_atoms(30))


def test_the_title_says_what_is_drawn(explanation, glass) -> None:
    pairs = replace(
        explanation,
        covers="everything",
        units=group_edges("pair", explanation.source, explanation.target, glass=None, atom=0, displacement=None),
    )
    for each, word in ((explanation, "directed edges"), (pairs, "pairs")):
        assert f"The 60 most important {word} of atom 0" in neighbourhood_figure(glass, each, k=60).layout.title.text


def test_self_loops_are_marked(glass, explanation):
    k = len(explanation)
    figure = neighbourhood_figure(glass, explanation, k=k)
    [marked] = [trace for trace in figure.data if "self-loop" in (trace.name or "")]
    assert len(marked.x) == explanation.is_self_loop.sum()


def test_an_angstrom_is_as_long_in_every_direction(glass, explanation):
    scene = neighbourhood_figure(glass, explanation).layout.scene
    ratios = [np.diff(scene[f"{axis}axis"].range)[0] / scene.aspectratio[axis] for axis in "xyz"]
    assert ratios == pytest.approx([ratios[0]] * 3)
    assert all("Å" in scene[f"{axis}axis"].title.text for axis in "xyz")


def test_foreign_glass_and_wrong_barriers_are_refused(glass, random_glass, explanation):
    with pytest.raises(InputError, match="another glass"):
        neighbourhood_figure(random_glass(6, seed=9), explanation)
    with pytest.raises(InputError, match="one value an atom"):
        neighbourhood_figure(glass, explanation, predictions=[1.0])


def test_rounding_of_equal_predictions_is_no_difference_of_colours(glass, explanation):
    values = 3.9 * (1 + 3e-7 * np.random.default_rng(0).uniform(-1, 1, len(glass)))
    axis = neighbourhood_figure(glass, explanation, predictions=values).layout.coloraxis
    assert axis.cmax - axis.cmin == pytest.approx(1.0)


def test_the_legend_stands_beside_the_atoms_and_the_colour_bar(glass, explanation):
    layout = neighbourhood_figure(glass, explanation, predictions=glass.barriers).layout
    assert (layout.legend.xanchor, layout.legend.x < layout.coloraxis.colorbar.x) == ("right", True)


def test_enrichment_that_is_that_of_random_atoms_is_inside_of_its_panel(glass, explanation):
    every = replace(explanation, score=np.ones(len(explanation)))
    analysis = shell_analysis(every, glass, k=len(explanation))
    assert analysis.to_frame()["enrichment"].max() == pytest.approx(1.0)
    assert distance_figure(analysis).layout.yaxis2.range[1] == pytest.approx(1.0)  # a decade above


def test_a_single_important_atom_is_drawn_without_bounds(glass, explanation):
    single = replace(explanation, score=explanation.is_self_loop * (explanation.source != explanation.atom) * 1.0)
    analysis = shell_analysis(single, glass, k=1)
    assert len(analysis.important) == 1
    low, high = distance_figure(analysis).layout.yaxis2.range
    assert np.isfinite([low, high]).all()
    curve = enrichment_curve(analysis, draws=20)
    assert np.isnan([curve.low, curve.high]).all()
    assert np.isfinite(enrichment_figure(curve).layout.yaxis2.range).all()


def test_distance_figure_shows_every_atom_and_the_expectation(glass, explanation):
    analysis = shell_analysis(explanation, glass, k=20)
    figure = distance_figure(analysis)
    [bars] = [trace for trace in figure.data if trace.name == "important atoms"]
    [expected] = [trace for trace in figure.data if trace.name == "mean of random atoms"]
    band = next(trace for trace in figure.data if "95 %" in trace.name)
    low, high = np.array(band.base), np.array(band.base) + np.array(band.y)
    random = np.random.default_rng(0)
    drawn = [random.choice(analysis.all_distance, len(analysis.important), replace=False) for _ in range(4000)]
    edges = np.append(np.array(expected.x) - 0.2, expected.x[-1] + 0.2)
    counts = np.array([np.histogram(one, edges)[0] for one in drawn])
    assert ((counts >= low) & (counts <= high)).mean(axis=0).min() > 0.94
    assert (low <= np.array(expected.y)).all()
    assert (np.array(expected.y) <= high).all()
    assert sum(bars.y) == len(analysis.important) == pytest.approx(sum(expected.y))
    [points] = [trace for trace in figure.data if "by number" in trace.name]
    np.testing.assert_allclose(points.customdata[:, 0], analysis.shells["enrichment"])
    positive = points.customdata[:, 0] > 0
    np.testing.assert_allclose(np.array(points.y)[positive], points.customdata[positive, 0])
    assert all("Å" in figure.layout[axis].title.text for axis in ("xaxis", "xaxis2", "yaxis"))


def test_cycle_figure_shows_both_nulls(glass, explanation):
    comparison = cycle_comparison(explanation, glass, k=10)
    figure = cycle_figure(comparison)
    heights = {row: y for trace in figure.data if trace.type == "bar" for row, y in zip(trace.x, trace.y, strict=True)}
    groups = comparison.to_frame()
    assert [heights[row] for row in range(5)] == pytest.approx(groups["mean"].tolist())
    for trace in (trace for trace in figure.data if trace.type == "bar"):
        lows = np.array(trace.y) - np.array(trace.error_y.arrayminus)
        assert lows == pytest.approx(groups["low"][list(trace.x)].tolist())
    assert sum(len(trace.x) for trace in figure.data if trace.type == "scatter") == 30
    assert f"{comparison.p_matched:.2g}" in figure.layout.title.subtitle.text


def test_histogram_holds_every_atom_and_marks_one(glass):
    figure = prediction_histogram(glass, glass.barriers, atom=7)
    assert sum(len(trace.x) for trace in figure.data) == len(glass)
    assert f"{glass.barriers[7]:.3f} eV" in figure.layout.annotations[0].text
    bins = figure.data[0].xbins
    assert bins.start <= glass.barriers.min()
    assert bins.end >= glass.barriers.max()
    with pytest.raises(InputError, match="does not exist"):
        prediction_histogram(glass, glass.barriers, atom=len(glass))


def test_equal_barriers_have_a_histogram(glass):
    assert prediction_histogram(glass, np.full(len(glass), 1.5)).data[0].xbins.size > 0


def test_parity_figure_states_the_agreement(glass, random_glass):
    figure = parity_figure(glass, glass.barriers + 0.1)
    text = figure.layout.annotations[0].text
    assert "r = 1.000" in text
    assert "0.100 eV" in text
    with pytest.raises(InputError, match="no known barriers"):
        parity_figure(random_glass(3, barriers=False), np.ones(27))
    with pytest.raises(InputError, match="finite"):
        parity_figure(glass, np.full(len(glass), np.nan))


def test_large_parity_figures_show_densities(random_glass):
    large = random_glass(12)
    assert parity_figure(large, large.barriers).data[0].type == "histogram2d"


@pytest.mark.parametrize("symbol", ["Cu", "Zr", "Al", "Og"])
def test_every_element_has_a_colour_and_a_radius(symbol):
    assert species_colour(symbol).startswith("#")
    assert len(species_colour(symbol)) == 7
    assert 0.2 < species_radius(symbol) < 3.0


def test_figures_survive_the_way_to_a_file(glass, explanation, same_when_read_back):
    same_when_read_back(neighbourhood_figure(glass, explanation))
    distances = same_when_read_back(distance_figure(shell_analysis(explanation, glass)))
    assert distances.layout.xaxis.title.text.endswith("(Å)")
