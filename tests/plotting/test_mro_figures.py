"""Figures of radial distributions, enrichment, autocorrelation and structure factors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.analysis import (
    enrichment_curve,
    field_autocorrelation,
    partial_distributions,
    radial_distribution,
    shell_analysis,
    static_structure_factor,
)
from symgnn_explain.plotting import (
    autocorrelation_figure,
    enrichment_figure,
    radial_figure,
    structure_factor_figure,
)
from symgnn_explain.plotting.curves import SERIES, add_band, pair_style
from symgnn_explain.plotting.style import new_figure


@pytest.fixture(scope="module")
def crystal(random_glass):
    return random_glass(9)


def named(figure, start):
    [trace] = [trace for trace in figure.data if trace.name is not None and trace.name.startswith(start)]
    return trace


def test_radial_figure_shows_every_curve_with_its_maxima_and_the_shells(crystal):
    total, partials = radial_distribution(crystal), partial_distributions(crystal)
    figure = radial_figure(total, partials)
    for rdf in (total, *partials.values()):
        np.testing.assert_allclose(named(figure, rdf.label).y, rdf.g)
    lines = [shape for shape in figure.layout.shapes if shape.type == "line"]
    assert [line.x0 for line in lines] == pytest.approx(list(total.minima))
    [short] = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (short.x0, short.x1) == (0, total.minima[0])
    assert {annotation.text for annotation in figure.layout.annotations} == {"short range", "medium range"}
    assert "Å" in figure.layout.xaxis.title.text


def test_enrichment_figure_shows_the_ratio_and_the_nulls(glass, explanation):
    curve = enrichment_curve(shell_analysis(explanation, glass, k=20), draws=30)
    figure = enrichment_figure(curve)
    ratio = named(figure, "important atoms, by number")
    known = np.isfinite(curve.value) & (curve.value > 0.02)
    np.testing.assert_allclose(np.array(ratio.y)[known], curve.value[known])
    [important] = [trace for trace in figure.data if trace.name == "important atoms"]
    np.testing.assert_allclose(named(figure, "all atoms").y, curve.density)
    np.testing.assert_allclose(np.array(important.y)[known], curve.density_important[known])
    names = {trace.name for trace in figure.data if trace.name}
    for label in ("random atoms", "same hops", "same coordination numbers"):
        [name] = [name for name in names if name.startswith(label)]
        assert "p = " in name
    assert "nearest atoms" in names
    assert figure.layout.yaxis2.type == "log"
    assert all("Å" in figure.layout[axis].title.text for axis in ("xaxis", "xaxis2", "yaxis"))


def test_autocorrelation_figure_states_the_lengths_or_that_there_are_none(crystal):
    correlated = field_autocorrelation(crystal, crystal.positions[:, 0] % 11, "ramp", draws=199)
    noise = field_autocorrelation(crystal, crystal.barriers, "noise", draws=199)
    figure = autocorrelation_figure([correlated, noise])
    np.testing.assert_allclose(named(figure, "ramp").y, correlated.correlation)
    assert f"{correlated.integral_length.value:.1f} (" in named(figure, "ramp").name
    assert named(figure, "noise").name == "noise: no correlation length"
    truncated = replace(correlated, integral_length=replace(correlated.integral_length, truncated=True))
    assert "= > " in named(autocorrelation_figure(truncated), "ramp").name
    assert named(figure, "random permutations").fill == "toself"
    assert figure.layout.xaxis.title.text == "distance r (Å)"


def test_structure_factor_figure_marks_the_peak_and_shows_the_partials(crystal):
    result = static_structure_factor(crystal)
    figure = structure_factor_figure(result)
    np.testing.assert_allclose(named(figure, "total").y, result.total)
    for pair, partial in result.faber_ziman.items():
        np.testing.assert_allclose(named(figure, "-".join(pair)).y, partial)
    np.testing.assert_allclose(named(figure, "as X-rays").y, result.weighted({"Cu": 29, "Zr": 40}))
    mark = named(figure, "first sharp")
    assert (mark.x[0], mark.y[0]) == (result.first_peak.position, result.first_peak.height)
    without = structure_factor_figure(replace(result, first_peak=None))
    assert not [trace for trace in without.data if (trace.name or "").startswith("first sharp")]
    assert "1/Å" in figure.layout.xaxis.title.text


def test_bands_leave_gaps_and_curves_differ_in_more_than_colour():
    figure = new_figure("band")
    low = np.array([0.0, 0.1, np.nan, 0.3, 0.4])
    add_band(figure, np.arange(5.0), low, low + 1, colour="#000000")
    x = np.array(figure.data[0].x, dtype=float)
    assert np.isnan(x).sum() == 2  # one after each of the two pieces
    assert set(x[~np.isnan(x)]) == {0.0, 1.0, 3.0, 4.0}
    assert not figure.data[0].showlegend
    assert len({dash for _, dash in SERIES}) == len(SERIES) == len({colour for colour, _ in SERIES})
    styles = [pair_style(("Cu", "Cu"), 0), pair_style(("Cu", "Zr"), 0), pair_style(("Zr", "Zr"), 1)]
    assert len({colour for colour, _ in styles}) == 3


def test_figures_survive_the_way_to_a_file(glass, explanation, crystal, same_when_read_back):
    figures = [
        (radial_figure(radial_distribution(crystal)), "Å"),
        (enrichment_figure(enrichment_curve(shell_analysis(explanation, glass, k=20), draws=10)), "Å"),
        (autocorrelation_figure(field_autocorrelation(crystal, crystal.barriers, draws=10)), "Å"),
        (structure_factor_figure(static_structure_factor(crystal, q_max=3.0)), "1/Å"),
    ]
    for figure, unit in figures:
        assert f"({unit})" in same_when_read_back(figure).layout.xaxis.title.text
