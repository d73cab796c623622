"""The explorer says where training did not cover the structure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain import datasets
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer


@pytest.fixture(scope="module")
def snapshot() -> Glass:
    glass = datasets.sample()
    shift = np.random.default_rng(0).normal(0, 0.1, glass.positions.shape)
    return replace(glass, positions=glass.positions + shift)


def test_a_snapshot_is_flagged_before_and_after_an_explanation(snapshot: Glass) -> None:
    explorer = GlassExplorer(snapshot, Predictor.load(device="cpu"))
    session = explorer.session
    assert "no inherent structure" in explorer.summary.text.value
    session.colour_by = "domain"
    np.testing.assert_array_equal(session.colouring().values, session.domain)
    session.select_words("domain > 2")
    assert set(session.selection) == set(np.flatnonzero(session.domain > 2))
    session.method = "input_gradient"
    session.explain_on_click = False
    session.pick(1501)
    session.explain(wait=True)
    text = explorer.summary.text.value
    assert "outside of what training covered" in text
    assert text.count("symgnn-warning") >= 2
    assert f"{session.domain[1501]:.2f}" in text


def test_a_network_without_a_domain_offers_none(explorer: GlassExplorer) -> None:
    assert explorer.session.domain is None
    assert "domain" not in explorer.session.colour_choices
    assert "symgnn-warning" not in explorer.summary.text.value
