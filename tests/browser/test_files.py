"""What leaves the explorer and comes back: every export opens, own files are asked about, a session lives on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import networkx as nx
import pandas as pd
import pytest
from ase.io import read, write
from PIL import Image

from symgnn_explain.explain import AtomExplanation
from symgnn_explain.structure.glass import Glass

from .conftest import COARSE, ROOT
from .lab import KERNEL_IS_IDLE, LONG, ExplorerPage, Lab

PICTURES = ROOT / "out" / "browser"
SMALLEST_PICTURE = (400, 300)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STATE = """import json
session = explorer.session
print(json.dumps({
    **{name: getattr(session, name) for name in ("selection", "selected_atom", "method", "settings", "k", "colour_by")},
    "history": len(session.history), "score": session.explanation.score.tolist(),
}))"""


def test_every_export_opens(explorer_page: ExplorerPage, lab: Lab, browser: Any) -> None:
    page = explorer_page.page
    explorer_page.kernel("explorer.session.method = 'gnnexplainer'; explorer.session.configure(epochs=10)")
    atom = explorer_page.click_atom()
    explorer_page.wait_explained(atom)
    explorer_page.open_tab("Figures and data")
    explorer_page.tick_only(
        *("HTML", "PNG", "SVG", "PDF", "JSON", "CSV", "extXYZ", "GraphML", "3D view PNG", "3D view HTML"),
    )
    page.locator(".symgnn-explorer button:visible", has_text="Export").click()
    page.wait_for_selector(".symgnn-files:has-text('view.png')", timeout=LONG)
    page.locator(".symgnn-explorer button:visible", has_text="Report").click()
    page.wait_for_selector(".symgnn-files:has-text('report.html')", timeout=LONG)
    assert page.locator(".symgnn-error").count() == 0
    assert explorer_page.complaints == []

    files = sorted((lab.root / "out" / "explorer").iterdir())
    by_suffix: dict[str, list[Path]] = {}
    for path in files:
        assert f"atom{atom}" in path.name
        by_suffix.setdefault(path.suffix, []).append(path)
    assert set(by_suffix) == {".html", ".png", ".svg", ".pdf", ".json", ".csv", ".extxyz", ".graphml"}
    for path in by_suffix[".png"]:
        with Image.open(path) as picture:
            assert picture.size > SMALLEST_PICTURE, path.name
            assert len(picture.convert("RGB").resize((64, 64)).getcolors(64 * 64)) > 8, f"{path.name} is empty"
    for path in by_suffix[".svg"]:
        assert len(list(ET.parse(path).iter())) > 50, path.name  # noqa: S314 - our own file
    for path in by_suffix[".pdf"]:
        content = path.read_bytes()
        assert content.startswith(b"%PDF-"), path.name
        assert content.rstrip().endswith(b"%%EOF"), path.name
        assert b"/Page" in content
    assert all(len(pd.read_csv(path)) > 0 for path in by_suffix[".csv"])
    [glass] = by_suffix[".extxyz"]
    assert {"predicted_barrier", "importance", "hop"} <= set(read(glass).arrays)
    [graph] = by_suffix[".graphml"]
    assert nx.read_graphml(graph).number_of_edges() == 50
    [record] = [path for path in by_suffix[".json"] if "explanation" in path.name]
    assert AtomExplanation.load(record).atom == atom

    offline = browser.new_context(**COARSE, offline=True).new_page()
    complaints: list[str] = []
    offline.on("pageerror", lambda error: complaints.append(str(error)))
    offline.on("requestfailed", lambda request: complaints.append(request.url))
    for path in by_suffix[".html"]:
        offline.goto(path.as_uri())
        offline.wait_for_selector(
            "#view[data-scene=ready]" if "view" in path.name else ".js-plotly-plot .main-svg", timeout=LONG
        )
    offline.context.close()
    assert complaints == []


def test_own_files_are_asked_about_and_a_session_lives_on(
    own_page: ExplorerPage, lab: Lab, random_glass: Callable[..., Glass]
) -> None:
    page = own_page.page
    strange = random_glass(4).to_ase()
    strange.numbers[0] = 28
    write(lab.root / "strange.extxyz", strange)

    def open_file(name: str) -> None:
        own_page.open_tab("Open and save")
        box = page.locator("input[placeholder^='glass.extxyz']")
        box.fill(name)
        box.press("Tab")
        page.locator(".symgnn-explorer button:visible", has_text="Open").click()

    open_file("strange.extxyz")
    page.wait_for_selector(".symgnn-error:has-text('Ni')", timeout=LONG)
    said = page.locator(".symgnn-error").inner_text()
    assert "Traceback" not in said
    own_page.picture(PICTURES / "unknown_species.png")

    own_page.kernel("explorer.session.method = 'gnnexplainer'; explorer.session.configure(epochs=10)")
    atom = own_page.click_atom()
    own_page.wait_explained(atom)
    page.locator(".symgnn-explorer select:has(option:text-is('importance'))").select_option(label="importance")
    own_page.kernel("explorer.session.k = 23")
    page.locator("button", has_text="Save session").click()
    page.wait_for_selector(".symgnn-note:has-text('Saved')")
    saved = json.loads(own_page.kernel(STATE))
    assert (saved["selected_atom"], saved["k"], saved["colour_by"]) == (atom, 23, "importance")

    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_function(KERNEL_IS_IDLE, timeout=LONG)
    own_page.run_all()
    own_page.wait_example()
    [session] = (lab.root / "out" / "explorer").glob("*.symgnn")
    open_file(str(session.relative_to(lab.root)))
    own_page.wait_explained(atom)
    assert json.loads(own_page.kernel(STATE)) == saved
    assert page.locator(".symgnn-table").first.locator("tbody tr").count() == 23
    assert "Importance" in page.locator(".symgnn-colour-bar").inner_text()
    own_page.picture(PICTURES / "session_reopened.png")
