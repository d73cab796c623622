"""Files of someone who means harm, opened in JupyterLab: every tab visited, every export opened, and no script runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.views.tabs import TAB_HELP
from tests.hostile import NAMES, hostile_glass

from .conftest import COARSE
from .lab import LONG, ExplorerPage, Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COLUMNS = ("<img/src=x/onerror=window.__hostile=1>", "<svg/onload=window.__hostile=1>", "</script><b>bold</b>")

COMPUTED = """import threading
for job in threading.enumerate():
    if job.name == "symgnn-job":
        job.join()"""
"""Waits until what the tab in front computes is there, so that its figures are exported, too."""


def hostile_xyz(glass: Glass) -> str:
    """Write a structure whose columns, and the values of one, are elements."""
    properties = "species:S:1:pos:R:3:" + ":".join(f"{name}:R:1" for name in COLUMNS) + ":label:S:1"
    lattice = " ".join(f"{value:.6f}" for value in glass.cell.ravel())
    lines = [str(len(glass)), f'Lattice="{lattice}" Properties={properties} pbc="T T T" made=\'{COLUMNS[0]}\'']
    for atom, (symbol, place) in enumerate(zip(glass.symbols, glass.positions, strict=True)):
        words = [symbol, *(f"{value:.8f}" for value in place), *["0.5"] * len(COLUMNS), COLUMNS[atom % len(COLUMNS)]]
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def test_a_hostile_structure_runs_nothing(
    explorer_page: ExplorerPage, lab: Lab, random_glass: Callable[..., Glass]
) -> None:
    (lab.root / "hostile.extxyz").write_text(hostile_xyz(random_glass(6)), encoding="utf-8")
    open_and_visit(explorer_page, "hostile.extxyz", COLUMNS[0], "Opened hostile:")
    require_no_complaints(explorer_page)


def test_a_hostile_session_and_what_is_exported_of_it_run_nothing(
    explorer_page: ExplorerPage, lab: Lab, browser: Any, random_glass: Callable[..., Glass]
) -> None:
    author = GlassExplorer(hostile_glass(random_glass(6)), Predictor.load())
    author.session.method = "gnnexplainer"
    author.session.configure(epochs=4)
    author.select(7)
    assert author.explain(wait=True) is not None
    author.session.colour_by = NAMES[0]
    author.save(lab.root / "hostile.symgnn")
    open_and_visit(explorer_page, "hostile.symgnn", NAMES[0], "<script>window")
    page = explorer_page.page
    assert NAMES[1] in page.locator(".symgnn-summary h3").inner_text()

    explorer_page.open_tab("Figures and data")
    # Not as extended XYZ, which has no such names of columns: that is refused in a sentence.
    explorer_page.tick_only("HTML", "SVG", "JSON", "CSV", "GraphML", "3D view HTML")
    page.locator(".symgnn-explorer button:visible", has_text="Export").click()
    page.wait_for_selector(".symgnn-files:has-text('view.html')", timeout=LONG)
    page.locator(".symgnn-explorer button:visible", has_text="Report").click()
    page.wait_for_selector(".symgnn-files:has-text('report.html')", timeout=LONG)
    require_no_complaints(explorer_page)
    require_harmless_pages(browser, sorted((lab.root / "out" / "explorer").glob("*.[hs][tv][mg]*")))


def open_and_visit(explorer_page: ExplorerPage, name: str, column: str, said: str) -> None:
    """Open a file by its box, explain an atom coloured by a column, and visit every tab: no script of the file runs."""
    page = explorer_page.page
    explorer_page.open_tab("Open and save")
    box = page.locator("input[placeholder^='glass.extxyz']")
    box.fill(name)
    box.press("Tab")
    page.locator(".symgnn-explorer button:visible", has_text="Open").click()
    page.wait_for_selector(f".symgnn-note:has-text('{said}')", timeout=LONG)
    explorer_page.kernel(
        "explorer.session.method = 'gnnexplainer'; explorer.session.configure(epochs=4); "
        f"explorer.session.colour_by = {column!r}"
    )
    explorer_page.kernel("explorer.select(7); explorer.explain(wait=True); None")
    explorer_page.wait_explained(7)
    assert page.locator(".symgnn-colour-bar b").text_content().lower() == column.lower().replace("_", " ")
    for title in TAB_HELP:
        explorer_page.open_tab(title)
        explorer_page.kernel(COMPUTED)
    page.wait_for_timeout(400)
    assert page.locator(".symgnn-explorer :is(img:not(.widget-image), iframe, script, svg[onload])").count() == 0


def require_no_complaints(explorer_page: ExplorerPage) -> None:
    """Nothing of a file ran in the page, and nothing there failed."""
    assert explorer_page.page.evaluate("() => window.__hostile") is None
    # JupyterLab says this of a session that was replaced while its widgets were still being built in the page.
    assert [said for said in explorer_page.complaints if "widget model not found" not in said] == []


def require_harmless_pages(browser: Any, paths: list[Path]) -> None:
    """Open exported pages and drawings; none runs a script of others, complains, or hides a name."""
    assert {path.suffix for path in paths} == {".html", ".svg"}
    offline = browser.new_context(**COARSE, offline=True).new_page()
    complaints: list[str] = []
    offline.on("pageerror", lambda error: complaints.append(str(error)))
    offline.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    offline.on("requestfailed", lambda request: complaints.append(request.url))
    for path in paths:
        offline.goto(path.as_uri())
        if path.suffix == ".html":
            offline.wait_for_selector(
                "#view[data-scene=ready]" if "view" in path.name else ".js-plotly-plot .main-svg", timeout=LONG
            )
        if "view" in path.name or "report" in path.name:
            assert NAMES[1] in offline.locator("h1").inner_text()
        assert offline.evaluate("() => window.__hostile") is None, path.name
    assert complaints == []
    # The policy holds where an escape would not: a script that gets into the page does not run.
    offline.goto(next(path for path in paths if "report" in path.name).as_uri())
    offline.evaluate("() => { document.body.innerHTML += '<img src=x onerror=window.__hostile=1>'; }")
    offline.wait_for_timeout(300)
    assert offline.evaluate("() => window.__hostile") is None
    assert any("Content Security Policy" in said for said in complaints)
    offline.context.close()
