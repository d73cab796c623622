"""The explorer says where training did not cover the structure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from symgnn_explain import datasets
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass
from symgnn_widgets import GlassExplorer


@pytest.fixture(scope="module")
def snapshot() -> Glass:
    glass = datasets.sample()
    shift = np.random.default_rng(0).normal(0, 0.1, glass.positions.shape)
    return replace(glass, positions=glass.positions + shift)


def test_a_snapshot_is_flagged_before_and_after_an_explanation(snapshot: Glass, tmp_path: Path) -> None:
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
    assert text.index("no inherent structure") < text.index("<table")  # in sight, however long the table is
    assert f"{session.domain[1501]:.2f}" in text
    for box in explorer.export.formats.values():
        box.value = False
    explorer.export.formats["csv"].value = explorer.export.formats["extxyz"].value = True
    explorer.export.view["png"].value = explorer.export.view["html"].value = False
    explorer.export.folder.value = str(tmp_path)
    written = explorer.export.start(wait=True)
    [structure] = [path for path in written if path.suffix == ".extxyz"]
    np.testing.assert_array_equal(read_glass(structure).arrays["domain"], session.domain)
    [table] = [path for path in written if path.name.endswith("predictions.csv")]
    np.testing.assert_allclose(pd.read_csv(table)["domain"], session.domain)
    [page] = explorer.export.start_report(wait=True)
    assert "Domain score" in page.read_text(encoding="utf-8")


def test_a_network_without_a_domain_offers_none(explorer: GlassExplorer) -> None:
    assert explorer.session.domain is None
    assert "domain" not in explorer.session.colour_choices
    assert "symgnn-warning" not in explorer.summary.text.value
