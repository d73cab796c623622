"""A newcomer's first minutes in a real JupyterLab: run the notebook, click atoms, see what explains them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from symgnn_explain.explain import AtomExplanation

from .conftest import ROOT, SCREENSHOT_VARIABLE
from .lab import LONG, STAGE, ExplorerPage

PICTURES = ROOT / "out" / "browser"
EPOCHS = 300

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOWN_TRACES = (
    """() => [...document.querySelectorAll('.symgnn-explorer .js-plotly-plot')].map((plot) => plot.data.length)"""
)
HEARD = """import threading
heard = set()
explorer.session.selected.observe(lambda _change: heard.add(threading.current_thread().name))"""
OPACITY = f"() => {STAGE}.compList[0].reprList[0].getParameters().opacity"
HIGHLIGHTED = f"() => {STAGE}.getComponentsByName('selection').list.length"


def set_epochs(explorer: ExplorerPage, epochs: int) -> None:
    """Choose GNNExplainer, set its epochs in its settings, and fold them away again."""
    explorer.kernel("explorer.session.method = 'gnnexplainer'")
    settings = explorer.page.locator("button:has-text('Settings')")
    settings.click()
    box = explorer.page.locator(".widget-text", has_text="Epochs").locator("input")
    box.fill(str(epochs))
    box.press("Enter")
    settings.click()
    explorer.page.wait_for_selector(".symgnn-form", state="hidden")  # it lies over the 3D view


def test_a_click_explains_the_atom_under_the_mouse(explorer_page: ExplorerPage) -> None:
    page = explorer_page.page
    assert page.evaluate(f"() => {STAGE}.getComponentsByName('glass').list[0].structure.atomCount") == 3000
    assert "Predicted barrier (eV)" in page.locator(".symgnn-colour-bar").inner_text()
    set_epochs(explorer_page, EPOCHS)
    explorer_page.kernel(HEARD)

    atom = explorer_page.click_atom()
    explorer_page.wait_explained(atom)
    assert explorer_page.kernel("print(heard)").strip() == "{'MainThread'}"
    page.wait_for_function(f"() => ({SHOWN_TRACES})().some((traces) => traces > 0)", timeout=LONG)
    assert page.evaluate(HIGHLIGHTED) == 1
    assert page.evaluate(OPACITY) < 0.5
    assert page.locator(".symgnn-table").first.locator("tbody tr").count() == 50
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
    explorer_page.picture(Path(os.environ.get(SCREENSHOT_VARIABLE, PICTURES / "explorer.png")))

    explorer_page.open_tab("Figures and data")
    for box in page.locator(".symgnn-explorer .widget-checkbox:visible").all():
        name = box.inner_text().strip()
        if name not in ("JSON", "on click", "Fade others") and box.locator("input").is_checked():
            box.locator("input").uncheck()
    page.locator(".symgnn-explorer button:visible", has_text="Export").click()
    with page.expect_download() as download:
        page.locator(".symgnn-files a", has_text="explanation.json").click()
    exported = AtomExplanation.load(download.value.path())
    assert (exported.atom, exported.settings["epochs"]) == (atom, EPOCHS)
    assert explorer_page.complaints == []


def test_thirty_clicks_end_with_the_last_atom_and_flat_messages(explorer_page: ExplorerPage) -> None:
    page = explorer_page.page
    set_epochs(explorer_page, 3)
    sizes: list[int] = []
    seen: set[int] = set()
    for _ in range(30):
        # Marked atoms are in front of the others, so what is where changes with every click.
        places = explorer_page.visible_atoms(60)
        x, y, atom = next((place for place in places if place[2] not in seen), places[-1])
        seen.add(atom)
        before = len(explorer_page.received)
        page.mouse.click(x, y)
        explorer_page.wait_explained(atom)
        page.wait_for_timeout(300)
        sizes.append(sum(explorer_page.received[before:]))
    assert len(seen) >= 20
    assert page.locator(f".symgnn-summary[data-explained='{atom}']").count() == 1
    assert page.locator(".symgnn-explorer input[type='number']").first.input_value() == str(atom)
    assert sum(sizes[-10:]) < 1.5 * sum(sizes[:10])
    assert max(sizes) < 2_000_000
    assert explorer_page.complaints == []
    explorer_page.picture(PICTURES / "thirty_clicks.png")


def test_a_run_is_cancelled(explorer_page: ExplorerPage) -> None:
    page = explorer_page.page
    set_epochs(explorer_page, 1_000_000)
    page.locator("button:has-text('Settings')").click()
    page.locator(".widget-checkbox", has_text="Stop early").locator("input").uncheck()
    page.locator("button:has-text('Settings')").click()
    page.wait_for_selector(".symgnn-form", state="hidden")
    explorer_page.click_atom()
    cancel = page.locator(".symgnn-explorer button:has-text('Cancel'):enabled").first
    # The mask is seen while it is learned.
    page.wait_for_function(f"{OPACITY[6:]} < 0.5", timeout=LONG)
    explorer_page.picture(PICTURES / "preview.png")
    cancel.click()
    page.wait_for_selector(".symgnn-explorer :text('Cancelled')")
    page.wait_for_function(f"{OPACITY[6:]} === 1", timeout=LONG)
    assert page.locator(".symgnn-summary[data-explained]").count() == 0
    assert explorer_page.complaints == []


def test_threshold_words_and_filter(explorer_page: ExplorerPage) -> None:
    page = explorer_page.page
    set_epochs(explorer_page, 20)
    explorer_page.wait_explained(explorer_page.click_atom())
    slider = page.locator(".symgnn-explorer .noUi-handle:visible").first
    slider.focus()
    for _ in range(10):
        slider.press("ArrowLeft")
    page.wait_for_function(
        "() => document.querySelectorAll('.symgnn-table')[0].querySelectorAll('tbody tr').length < 50"
    )

    words = page.locator("input[placeholder^='species Zr']")
    words.fill("within 5 of 12")
    words.press("Enter")
    page.wait_for_selector(".symgnn-chip.symgnn-looked-at")
    page.wait_for_function(f"() => {STAGE}.getComponentsByName('others').list.length === 1")
    page.wait_for_function("() => document.querySelectorAll('.symgnn-chip').length > 10")

    page.locator(".symgnn-explorer button:has(.fa-filter)").click()
    page.locator(".symgnn-explorer select:visible:has(option:text-is('slice in z'))").select_option(label="slice in z")
    handle = page.locator(".symgnn-explorer .noUi-handle-lower:visible").nth(1)
    handle.focus()
    for key in ("ArrowRight", *["PageUp"] * 12):
        handle.press(key)
    page.wait_for_function(f"() => {STAGE}.compList[0].reprList[0].repr.selection.string.startsWith('@')")
    explorer_page.picture(PICTURES / "slice.png")
    assert explorer_page.complaints == []


def test_a_reloaded_page_shows_the_highlight_again(own_page: ExplorerPage) -> None:
    page = own_page.page
    set_epochs(own_page, 20)
    atom = own_page.click_atom()
    own_page.wait_explained(atom)
    # JupyterLab brings the widgets of a notebook back from its kernel once it is saved.
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(2000)
    page.reload()
    page.wait_for_selector(".symgnn-structure[data-scene=ready]", timeout=LONG)
    page.wait_for_selector(f".symgnn-summary[data-explained='{atom}']", timeout=LONG)
    page.wait_for_function(f"() => {STAGE}.getComponentsByName('selection').list.length === 1", timeout=LONG)
    page.wait_for_function(f"{OPACITY[6:]} < 0.5", timeout=LONG)
    own_page.picture(PICTURES / "reloaded.png")


VIEW_SIZE = """() => {
  const { left, top, width, height } = document.querySelector(".symgnn-structure canvas").getBoundingClientRect();
  return [left, top, width, height];
}"""
OVER_THE_VIEW = """() => {
  const view = document.querySelector(".symgnn-structure").getBoundingClientRect();
  const said = document.querySelector(".symgnn-over .symgnn-note").getBoundingClientRect();
  return said.height > 10 && said.top > view.top && said.bottom <= view.bottom + 4;
}"""


def test_the_picture_is_reached_by_keyboard_and_shift_adds_atoms(explorer_page: ExplorerPage) -> None:
    page = explorer_page.page
    set_epochs(explorer_page, 3)
    first = explorer_page.click_atom()
    explorer_page.wait_explained(first)

    size = page.evaluate(VIEW_SIZE)
    x, y, second = next(place for place in explorer_page.visible_atoms(60) if place[2] != first)
    page.keyboard.down("Shift")
    page.mouse.click(x, y)
    page.keyboard.up("Shift")
    page.wait_for_function("() => document.querySelectorAll('.symgnn-chip').length === 2")
    assert explorer_page.kernel("print(explorer.session.selection)").strip() == str((first, second))
    # The distance of the two lies over the picture, whose atoms stay under the mouse.
    page.wait_for_selector(".symgnn-over .symgnn-note:has-text('distance')")
    assert page.evaluate(VIEW_SIZE) == size
    assert page.evaluate(OVER_THE_VIEW)
    # Atoms are looked at as often as they are clicked, whatever was clicked in between.
    seen = [second, first]
    for _ in range(8):
        places = explorer_page.visible_atoms(81)
        x, y, atom = next(
            (place for place in places if place[2] in seen[:-1]),
            next(place for place in places if place[2] != seen[-1]),
        )
        page.mouse.click(x, y)
        explorer_page.wait_explained(atom)
        seen = [*(other for other in seen if other != atom), atom]

    orientation = f"{STAGE}.viewerControls.getOrientation().elements"
    before = page.evaluate(f"() => {orientation}.slice()")
    turned = f"(before) => Math.max(...{orientation}.map((value, i) => Math.abs(value - before[i])))"
    container = page.locator(".symgnn-structure [role=application]")
    container.focus()
    active_cell = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    was_active = page.evaluate(active_cell)
    container.press("ArrowRight")
    page.wait_for_function(f"(before) => ({turned})(before) > 1", arg=before)
    container.press("ArrowLeft")
    page.wait_for_function(f"(before) => ({turned})(before) < 1e-3", arg=before)
    container.press("+")
    page.wait_for_function(f"(before) => {orientation}[0] < before", arg=before[0])
    # The notebook has not taken the keys for its own: the same cell is active.
    container.press("ArrowDown")
    page.wait_for_function(f"(before) => ({turned})(before) > 1", arg=before)
    assert page.evaluate(active_cell) == was_active
    assert explorer_page.complaints == []


EYES = """() => [...document.querySelectorAll('.symgnn-tabs .js-plotly-plot')]
  .map((plot) => plot._fullLayout?.scene?._scene).filter((scene) => scene && scene.container.clientWidth > 0)
  .map((scene) => { const { x, y, z } = scene.getCamera().eye; return [x, y, z]; })"""


def test_compared_neighbourhoods_turn_together_and_stay_so(explorer_page: ExplorerPage) -> None:
    page = explorer_page.page
    set_epochs(explorer_page, 3)
    explained: list[int] = []

    def explain_another() -> None:
        x, y, atom = next(place for place in explorer_page.visible_atoms(60) if place[2] not in explained)
        page.mouse.click(x, y)
        explorer_page.wait_explained(atom)
        explained.append(atom)

    def wait_compared() -> None:
        page.wait_for_function(
            "(atom) => [...document.querySelectorAll('.symgnn-tabs .js-plotly-plot')]"
            ".some((plot) => plot._fullLayout?.title?.text?.startsWith(`atom ${atom},`))",
            arg=explained[-1],
        )

    explain_another()
    explain_another()
    explorer_page.open_tab("Side by side")
    wait_compared()
    page.wait_for_function(f"() => ({EYES})().length === 2")
    before = page.evaluate(EYES)
    assert before[0] == pytest.approx(before[1])

    left = page.locator(".symgnn-tabs .js-plotly-plot:visible").first.bounding_box()
    assert left is not None
    x, y = left["x"] + left["width"] / 2, left["y"] + left["height"] / 2
    turned = before
    for _ in range(6):  # a plot that is still being drawn does not see the mouse
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 60, y + 30, steps=6)
        page.mouse.up()
        page.wait_for_timeout(3000)
        turned = page.evaluate(EYES)
        if abs(turned[1][0] - before[1][0]) > 0.1:
            break
    assert abs(turned[1][0] - before[1][0]) > 0.1
    page.wait_for_function(
        f"() => {{ const [a, b] = ({EYES})(); return a.every((x, i) => Math.abs(x - b[i]) < 1e-6); }}"
    )
    turned = page.evaluate(EYES)

    explain_another()
    wait_compared()
    page.wait_for_timeout(1000)  # an old camera would come back with the drawing
    for eye in page.evaluate(EYES):
        assert eye == pytest.approx(turned[0], abs=1e-6)
    assert explorer_page.complaints == []
