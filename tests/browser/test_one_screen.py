"""On a screen of 1440 by 900 pixels everything is seen beside the 3D view, in every tab, without scrolling the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from symgnn_widgets.views.tabs import TAB_HELP

from .conftest import NOTEBOOK, ROOT
from .lab import LONG, ExplorerPage, Lab

PICTURES = ROOT / "out" / "browser" / "one_screen"
SCREEN = {"width": 1440, "height": 900}

PLACES = """() => Object.fromEntries(Object.entries({
  explorer: '.symgnn-explorer', structure: '.symgnn-structure canvas', summary: '.symgnn-summary',
  controls: '.symgnn-explorer .jupyter-button', tabs: '.symgnn-right > .symgnn-tabs',
  content: '.symgnn-tabs > .widget-tab-contents > :not(.lm-mod-hidden):not(.symgnn-tabs)',
}).map(([name, selector]) => {
  const part = [...document.querySelectorAll(selector)].find((part) => part.checkVisibility());
  const { left, top, right, bottom } = part.getBoundingClientRect();
  return [name, { left, top, right, bottom }];
}))"""
SCROLLED = "() => [...document.querySelectorAll('.jp-WindowedPanel-outer')].map((panel) => panel.scrollTop)"
FIGURES = """() => [...document.querySelectorAll('.symgnn-tabs .symgnn-figure')]
  .filter((figure) => figure.checkVisibility())
  .map((figure) => { const { width, height } = figure.getBoundingClientRect(); return [width, height]; })"""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def require_on_screen(places: dict[str, Any]) -> None:
    for name, place in places.items():
        assert place["left"] >= 0, name
        assert place["top"] >= 0, name
        assert place["right"] <= SCREEN["width"], name
        assert place["bottom"] <= SCREEN["height"], name
        assert place["right"] - place["left"] > 30, name
        assert place["bottom"] - place["top"] > 15, name


@pytest.fixture
def as_opened(browser: Any, lab: Lab) -> Iterator[ExplorerPage]:
    """The notebook on this screen, with all of its cells run and nothing else done: no scrolling, no click."""
    shutil.copy(NOTEBOOK, lab.root / "screen.ipynb")
    opened = ExplorerPage(browser.new_context(viewport=SCREEN).new_page())
    opened.open(lab.address("screen.ipynb"))
    opened.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    opened.page.wait_for_selector(".symgnn-structure[data-explained]:not([data-explained=''])", timeout=LONG)
    opened.page.wait_for_timeout(1500)
    yield opened
    opened.close()


def test_every_tab_is_on_one_screen_with_the_structure(as_opened: ExplorerPage) -> None:
    page = as_opened.page
    assert page.locator(".symgnn-summary[data-explained]").count() == 1
    structure, scrolled = page.evaluate(PLACES)["structure"], page.evaluate(SCROLLED)
    as_opened.picture(PICTURES / "start.png")
    for title in TAB_HELP:
        as_opened.open_tab(title)
        page.wait_for_timeout(200)
        places = page.evaluate(PLACES)
        require_on_screen(places)
        assert places["structure"] == structure, title  # nothing moves it, whatever is said beside it
        assert places["content"]["left"] >= places["structure"]["right"], title
        assert places["summary"]["top"] >= places["structure"]["bottom"], title
        for width, height in page.evaluate(FIGURES):
            assert (width > 200, height > 150) == (True, True), title
    for colours, named in {"species": ".symgnn-swatch", "predicted barrier": ".symgnn-scale"}.items():
        page.locator(".symgnn-explorer select:has(option:text-is('importance'))").select_option(label=colours)
        page.wait_for_selector(f".symgnn-colour-bar > {named}")
        assert page.evaluate(PLACES)["structure"] == structure, colours
    assert page.evaluate(SCROLLED) == scrolled
    page.locator(".symgnn-explorer button:has(.fa-expand)").click()
    page.wait_for_function("() => document.querySelector('.symgnn-explorer').clientHeight === innerHeight")
    require_on_screen(page.evaluate(PLACES))
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelector('.symgnn-explorer').clientHeight < innerHeight")
    assert as_opened.complaints == []
