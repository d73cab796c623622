"""Exported pages open with the network off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.export import Findings, write_figures, write_report
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets import GlassExplorer

PICTURES = Path(__file__).resolve().parents[2] / "out" / "browser"
TIMEOUT = 90_000  # ms


@pytest.fixture
def offline(browser: Any) -> Any:
    """A page without network that notes what goes wrong and what it asks for."""
    context = browser.new_context(viewport={"width": 1100, "height": 800}, offline=True)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.complaints, page.asked = [], []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    PICTURES.mkdir(parents=True, exist_ok=True)
    yield page
    asked = [url for url in page.asked if not url.startswith(("file:", "blob:", "data:"))]
    context.close()
    assert page.complaints == []
    assert asked == []


@pytest.mark.browser
@pytest.mark.slow
def test_the_3d_view_turns_without_a_network(
    offline: Any, glass: Glass, tiny_predictor: Predictor, tmp_path: Path
) -> None:
    explorer = GlassExplorer(glass, tiny_predictor)
    explorer.session.method = "gnnexplainer"
    explorer.session.settings = {**explorer.session.settings, "epochs": 4}
    explorer.select(7)
    assert explorer.explain(wait=True) is not None
    path = tmp_path / "view.html"
    path.write_text(explorer.structure_page("A view"), encoding="utf-8")
    offline.goto(path.as_uri())
    offline.wait_for_selector("#view[data-scene=ready]")
    offline.wait_for_function("() => view.glassScene.stage.getComponentsByName('selection').list.length === 1")
    assert (
        offline.evaluate("() => view.glassScene.stage.getComponentsByName('glass').list[0].structure.atomCount") == 216
    )
    canvas = offline.locator("#view canvas").first.bounding_box()
    before = offline.evaluate("() => view.glassScene.stage.viewerControls.getOrientation().elements")
    x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2
    offline.mouse.move(x, y)
    offline.mouse.down()
    offline.mouse.move(x + 120, y + 60, steps=5)
    offline.mouse.up()
    offline.wait_for_timeout(500)
    assert offline.evaluate("() => view.glassScene.stage.viewerControls.getOrientation().elements") != before
    offline.screenshot(path=str(PICTURES / "view_page.png"))


@pytest.mark.browser
@pytest.mark.slow
def test_atoms_of_another_frame_are_drawn_at_their_places(
    offline: Any, glass: Glass, tiny_predictor: Predictor, tmp_path: Path
) -> None:
    moved = replace(glass, positions=glass.positions + np.array([0.5, 0.0, 0.0]))
    explorer = GlassExplorer(Trajectory(write_extended_xyz([moved, glass], tmp_path / "md.extxyz")), tiny_predictor)
    explorer.session.selected.select_many([3, 8])
    assert explorer.session.frames is not None
    explorer.session.frames.predict_ahead(wait=True)
    explorer.session.frames.number = 0
    path = tmp_path / "frame.html"
    path.write_text(explorer.structure_page("A frame"), encoding="utf-8")
    offline.goto(path.as_uri())
    offline.wait_for_selector("#view[data-scene=ready]")
    offline.wait_for_function("() => view.glassScene.stage.getComponentsByName('measured').list.length === 1")
    places = (
        "() => { const found = [];"
        "view.glassScene.stage.getComponentsByName('glass').list[0].structure.eachAtom("
        "(atom) => found.push([atom.x, atom.y, atom.z])); return found; }"
    )
    # The frame is the last that the page is told.
    home = explorer.view.positions[0, 0]
    offline.wait_for_function(f"(before) => Math.abs(({places})()[0][0] - before) > 0.1", arg=float(home))
    drawn = offline.evaluate(places)
    apart = (np.array(drawn) - moved.positions) @ np.linalg.inv(glass.cell)
    np.testing.assert_allclose(apart, np.round(apart), atol=1e-5)
    offline.screenshot(path=str(PICTURES / "frame_page.png"))


@pytest.mark.browser
@pytest.mark.slow
def test_reports_and_figures_are_drawn_without_a_network(
    offline: Any, glass: Glass, tiny_predictor: Predictor, tmp_path: Path
) -> None:
    prepared = prepare(tiny_predictor, glass)
    explanation = explain_atom(tiny_predictor, glass, 7, "gnnexplainer", prepared=prepared, epochs=4)
    findings = Findings(glass, prepared.predictions, explanation)
    report = write_report(findings, tmp_path / "report.html")
    offline.goto(report.as_uri())
    offline.wait_for_selector("#figure-predictions .main-svg")
    assert offline.locator(".js-plotly-plot").count() == 3
    assert offline.evaluate("() => [...document.querySelectorAll('.js-plotly-plot')].every((plot) => plot.data.length)")
    offline.screenshot(path=str(PICTURES / "report.png"), full_page=True)
    for path in write_figures({tmp_path / f"{name}.html": figure for name, figure in findings.figures().items()}):
        offline.goto(path.as_uri())
        offline.wait_for_selector(".js-plotly-plot .main-svg")
