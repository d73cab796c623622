"""On a screen of 1440 by 900 pixels everything is seen beside the 3D view, in every tab, without scrolling the page."""

from __future__ import annotations

from typing import Any

import pytest

from symgnn_widgets.views.tabs import TAB_HELP

from .conftest import ROOT
from .lab import ExplorerPage

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


def test_every_tab_is_on_one_screen_with_the_structure(explorer_page: ExplorerPage) -> None:
    page = explorer_page.page
    page.set_viewport_size(SCREEN)
    explorer_page.kernel("explorer.session.method = 'gnnexplainer'; explorer.session.configure(epochs=10)")
    explorer_page.wait_explained(explorer_page.click_atom())
    scrolled = page.evaluate(SCROLLED)
    for title in TAB_HELP:
        explorer_page.open_tab(title)
        page.wait_for_timeout(200)
        places = page.evaluate(PLACES)
        require_on_screen(places)
        assert places["content"]["left"] >= places["structure"]["right"], title
        assert places["summary"]["top"] >= places["structure"]["bottom"], title
        for width, height in page.evaluate(FIGURES):
            assert (width > 200, height > 150) == (True, True), title
    assert page.evaluate(SCROLLED) == scrolled
    assert explorer_page.complaints == []
