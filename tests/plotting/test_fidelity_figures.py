"""Figures of fidelity show the numbers of the results that they are drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.explain import prepare
from symgnn_explain.explain.fidelity.measure import Fidelity, fidelity, log_counts
from symgnn_explain.explain.fidelity.nulls import NULL_ORDERS, fidelity_against_nulls
from symgnn_explain.plotting import fidelity_figure, sufficiency_figure


@pytest.fixture(scope="module")
def prepared(tiny_predictor, random_glass):
    return prepare(tiny_predictor, random_glass(5))


@pytest.fixture(scope="module")
def report(prepared):
    prediction = prepared.masked_prediction(3, semantics="reference", unit="atom")
    order = np.random.default_rng(3).permutation(prediction.n_units)
    return fidelity_against_nulls(prediction, order, draws=3)


def lines(figure):
    return [trace for trace in figure.data if trace.mode == "lines" and trace.fill is None]


def test_curves_and_bands_of_one_atom(report):
    figure = fidelity_figure(report)
    drawn = lines(figure)
    assert len(drawn) == 2 * (1 + len(NULL_ORDERS))
    np.testing.assert_allclose(drawn[0].y, report.observed.sufficiency)
    np.testing.assert_allclose(drawn[1 + len(NULL_ORDERS)].y, report.observed.necessity)
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert len(bands) == 2 * 3  # the two fixed orders and the explanation itself have none
    n_counts = len(report.observed.count)
    for band in bands:
        assert (np.array(band.y[:n_counts]) >= np.array(band.y[n_counts:][::-1])).all()
    assert figure.layout.xaxis.ticktext[0] == "0"
    assert "eV" in figure.layout.yaxis.title.text
    assert figure.layout.shapes[0].y0 == 0.05


def test_the_sufficient_count_is_marked(report):
    curve = Fidelity(np.array([0, 1, 10, 100]), np.array([1.5, 1.3, 1.02, 1.0]), np.ones(4), 1.0, 1.5)
    figure = sufficiency_figure({"one": curve, "two": report.observed})
    [diamond] = [trace for trace in figure.data if trace.name == "10 units suffice"]
    assert (diamond.x[0], diamond.y[0]) == (10, pytest.approx(0.02))
    with pytest.raises(InputError, match="no explanation"):
        sufficiency_figure({})


def test_curves_checked_at_few_counts_can_be_drawn(prepared):
    prediction = prepared.masked_prediction(0, semantics="zero", unit="shell")
    curve = fidelity(prediction, np.arange(prediction.n_units), log_counts(prediction.n_units))
    assert len(sufficiency_figure({"shells": curve}).data) == 2
