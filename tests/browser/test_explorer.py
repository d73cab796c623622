"""A newcomer's first minute: run the notebook, click an atom, see what explains it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from symgnn_explain.explain import AtomExplanation

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "01_explore.ipynb"
SCREENSHOT_VARIABLE = "SYMGNN_EXPLAIN_SCREENSHOT"
EPOCHS = 300
VIEWPORT = {"width": 1500, "height": 1000}
LONG, SHORT = 180_000, 60_000  # ms: software WebGL on a busy machine

KERNEL_IS_IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
STAGE = "document.querySelector('.symgnn-structure').glassScene.stage"
FAILURE = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"
# Where on the page an atom is seen, near the middle of the picture, and which.
VISIBLE_ATOM = f"""() => {{
  const stage = {STAGE}, canvas = stage.viewer.renderer.domElement.getBoundingClientRect();
  for (const x of [0.5, 0.47, 0.53, 0.44, 0.56]) for (const y of [0.5, 0.46, 0.54]) {{
    const hit = stage.pickingControls.pick(x * stage.viewer.width, y * stage.viewer.height);
    if (hit?.atom) return [canvas.x + x * canvas.width, canvas.y + (1 - y) * canvas.height, hit.atom.index];
  }}
  return null;
}}"""
SHOWN_TRACES = (
    """() => [...document.querySelectorAll('.symgnn-explorer .js-plotly-plot')].map((plot) => plot.data.length)"""
)


@pytest.fixture
def page(browser: Any, lab: Any) -> Any:
    """The notebook, opened from a copy, with its kernel ready."""
    shutil.copy(NOTEBOOK, lab.root / NOTEBOOK.name)
    context = browser.new_context(viewport=VIEWPORT, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(SHORT)
    page.goto(lab.address(NOTEBOOK.name))
    page.wait_for_function(KERNEL_IS_IDLE, timeout=LONG)
    yield page
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    context.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_click_explains_the_atom_under_the_mouse(page: Any, lab: Any) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    page.wait_for_selector(f".symgnn-structure[data-scene=ready], {FAILURE}", timeout=LONG)
    assert page.locator(FAILURE).all_inner_texts() == []
    page.wait_for_function(f"() => ({SHOWN_TRACES})().length === 2", timeout=LONG)
    assert page.evaluate(f"() => {STAGE}.getComponentsByName('glass').list[0].structure.atomCount") == 3000
    assert "Predicted barrier (eV)" in page.locator(".symgnn-colour-bar").inner_text()
    box = page.locator(".widget-text", has_text="Epochs").locator("input")
    box.fill(str(EPOCHS))
    box.press("Enter")

    page.locator(".symgnn-explorer").evaluate("(explorer) => explorer.scrollIntoView({block: 'start'})")
    page.wait_for_function(f"{VISIBLE_ATOM}")
    x, y, atom = page.evaluate(VISIBLE_ATOM)
    page.mouse.click(x, y)

    page.wait_for_selector(f".symgnn-summary h3:has-text('Atom {atom} ')")
    page.wait_for_selector(".symgnn-table", timeout=LONG)
    page.wait_for_function(f"() => ({SHOWN_TRACES})().every((traces) => traces > 0)", timeout=LONG)
    assert page.evaluate(f"() => {STAGE}.getComponentsByName('selection').list.length") == 1
    assert page.evaluate(f"() => {STAGE}.compList[0].reprList[0].getParameters().opacity") < 0.5
    assert page.locator(".symgnn-table tbody tr").count() == 50
    assert page.locator(".symgnn-summary", has_text="GNNExplainer").count() == 1
    assert page.locator(".symgnn-error").count() == 0

    # Nothing is wider than its place.
    assert (
        page.evaluate(
            "() => { const e = document.querySelector('.symgnn-explorer'); return e.scrollWidth - e.clientWidth; }"
        )
        <= 0
    )
    page.wait_for_timeout(1500)

    picture = Path(os.environ.get(SCREENSHOT_VARIABLE, ROOT / "out" / "browser" / "explorer.png"))
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(picture))

    for name in ("HTML", "PNG", "CSV", "3D view"):
        page.locator(".symgnn-explorer .widget-checkbox", has_text=name).locator("input").uncheck()
    page.locator(".symgnn-explorer button", has_text="Export").click()
    with page.expect_download() as download:
        page.locator(".symgnn-files a", has_text="explanation.json").click()
    exported = AtomExplanation.load(download.value.path())
    assert (exported.atom, exported.settings["epochs"]) == (atom, EPOCHS)
    assert [path.name for path in (lab.root / "out" / "explorer").iterdir()] == [download.value.suggested_filename]
    assert complaints == []
