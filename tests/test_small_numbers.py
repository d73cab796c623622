"""Quantities in small units keep their digits: a diffusivity of 1e-9 m²/s is no zero, in no table or figure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from symgnn_explain.cli.output import table_text
from symgnn_explain.cli.predicting import _Summary
from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.export import Findings, report_html, write_table
from symgnn_explain.export.predictions import Prediction, write_predictions
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import Target
from symgnn_explain.plotting import contribution_figure
from symgnn_explain.runs.tables import decimal_text
from symgnn_explain.structure.glass import Glass

SMALL = 2.0**-30
"""By so much numbers are smaller in the other unit; scaling by it is exact."""

DIFFUSIVITY = Target("diffusivity", unit="m²/s", tolerance=0.05 * SMALL)


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_table_keeps_small_numbers(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"atom": [1, 2, 3], "name": ["a", "b", "Å"], "score": [1e-13 / 3, -2e-30, np.nan]})
    path = write_table(table, tmp_path / f"t{suffix}")
    read = pd.read_csv(path) if suffix == ".csv" else pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    pd.testing.assert_frame_equal(read, table, rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("scale", [SMALL, 1.0, 1e9])
def test_predictions_come_back_from_a_table_in_any_unit(tmp_path: Path, glass: Glass, scale: float) -> None:
    values = np.random.default_rng(0).normal(1.5, 0.2, len(glass)) * scale
    given = Prediction(glass, values, 0.1 * values, DIFFUSIVITY, intervals={"68": 0.1 * values})
    table = pd.read_csv(write_predictions({"glass": given}, tmp_path / "predictions.csv"))
    np.testing.assert_allclose(table["diffusivity_m²/s"], values, rtol=1e-8)
    np.testing.assert_allclose(table["interval_68_m²/s"], 0.1 * values, rtol=1e-8)
    np.testing.assert_allclose(table[["x_angstrom", "y_angstrom", "z_angstrom"]], glass.positions, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, -1e7])
def test_the_spread_over_atoms_is_that_of_all_frames_wherever_zero_is(
    glass: Glass, offset: float, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [np.random.default_rng(seed).normal(offset + seed, 0.1, len(glass)) for seed in range(3)]
    summary = _Summary("md", len(frames))
    for number, values in enumerate(frames):
        summary.add(number, Prediction(glass, values, target=Target("energy", unit="eV", tolerance=0.001)))
    summary.print()
    every = np.concatenate(frames)
    assert f"predicted energy {every.mean():.4f} ± {every.std():.4f} eV over atoms" in capsys.readouterr().out


def test_tables_show_digits_of_any_number() -> None:
    for value in 1.2345 * 10.0 ** np.arange(-20, 8):
        for decimals in (3, 4):
            assert float(decimal_text(-value, decimals)) == pytest.approx(-value, rel=0.05)
    assert [decimal_text(value) for value in (0.0, np.nan, 0.25)] == ["0.000", "nan", "0.250"]
    assert table_text({"all": {"mae": 1.93e-10, "pearson": 0.7785}}).split()[-2:] == ["1.93e-10", "0.7785"]


def test_a_report_and_its_figures_show_small_contributions(
    random_glass: Callable[..., Glass], tiny_predictor: Predictor
) -> None:
    glass = random_glass(5)
    prepared = prepare(tiny_predictor, glass)
    plain = explain_atom(tiny_predictor, glass, 7, "integrated_gradients", prepared=prepared)
    small = replace(
        plain,
        score=plain.score * SMALL,
        prediction=plain.prediction * SMALL,
        prediction_range=(plain.prediction_range[0] * SMALL, plain.prediction_range[1] * SMALL),
        member_spread=None,
        diagnostics={},
        fidelity=None,
        quantity=DIFFUSIVITY,
    )
    page = report_html(Findings(glass, prepared.predictions * SMALL, small, 30))
    rows = re.search(r"most important [a-z]+</h3>.*?<tbody>(.*?)</tbody>", page, re.DOTALL) or pytest.fail("no table")
    cells = re.findall(r"<td[^>]*>(.*?)</td>", rows[1])
    assert len(cells) > 30
    assert "0.000" not in cells
    assert "-0.000" not in cells
    ranges = [
        np.diff(contribution_figure(replace(one, diagnostics={})).layout.yaxis2.range)[0] for one in (plain, small)
    ]
    assert ranges[1] == pytest.approx(SMALL * ranges[0], rel=1e-6)
    for one in contribution_figure(small).data:
        if one.type == "bar":
            assert small.quantity.spec in one.hovertemplate
