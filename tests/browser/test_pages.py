"""Pages as users have them: two explorers in one notebook, a tab that is not in sight, a dark theme."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import COARSE, ROOT
from .lab import LONG, ExplorerPage, Lab

PICTURES = ROOT / "out" / "browser"
FIRST = """from symgnn_explain import Predictor, datasets
from symgnn_widgets import GlassExplorer
glass, predictor = datasets.sample(), Predictor.load()
one = GlassExplorer(glass, predictor)
one"""
SECOND = """two = GlassExplorer(glass, predictor)
two"""
SCENES = "() => [...document.querySelectorAll('.symgnn-structure')].map((view) => view.dataset.scene)"
EXPLAINED = "() => [...document.querySelectorAll('.symgnn-structure')].map((view) => view.dataset.explained)"
PAPER = "(view) => view.glassScene.stage.getParameters().backgroundColor"
FIGURE_PAPER = (
    "() => [...document.querySelectorAll('.symgnn-explorer .js-plotly-plot')].at(-1)._fullLayout.paper_bgcolor"
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def two_explorers(browser: Any, lab: Lab) -> Iterator[ExplorerPage]:
    """A notebook with two explorers, opened, not run."""
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"c{place}",
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for place, source in enumerate((FIRST, SECOND))
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    notebook["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    (lab.root / "two.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    opened = ExplorerPage(browser.new_context(**COARSE).new_page())
    opened.open(lab.address("two.ipynb"))
    yield opened
    opened.close()


def test_two_explorers_run_out_of_sight_and_in_the_dark(two_explorers: ExplorerPage) -> None:
    page = two_explorers.page
    # Run while another tab of JupyterLab is in front.
    page.evaluate(
        """async () => {
          const { commands, shell } = window.jupyterapp, notebook = shell.currentWidget;
          window.notebook = notebook;
          commands.execute("notebook:run-all-cells");
          await commands.execute("launcher:create");
        }"""
    )
    page.wait_for_function("() => !window.notebook.isVisible")
    page.wait_for_function(f"() => ({SCENES})().length === 2", timeout=LONG)
    page.evaluate("() => window.jupyterapp.shell.activateById(window.notebook.id)")
    page.wait_for_function(f"() => ({SCENES})().every((scene) => scene === 'ready')", timeout=LONG)
    widths = page.evaluate(
        "() => [...document.querySelectorAll('.symgnn-structure canvas')].map((canvas) => canvas.clientWidth)"
    )
    assert min(widths) > 300

    # A click in one explains nothing in the other.
    page.wait_for_function(f"() => ({EXPLAINED})().every(Boolean)", timeout=LONG)
    first, before = page.evaluate(EXPLAINED)
    two_explorers.kernel(
        "two.session.method = one.session.method = 'gnnexplainer'; "
        "two.session.configure(epochs=10); one.session.configure(epochs=10)"
    )
    second = page.locator(".symgnn-structure").nth(1)
    second.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)  # the camera moves to the example, which is explained already
    x, y, atom = next(place for place in two_explorers.visible_atoms(20, which=1) if str(place[2]) != before)
    page.mouse.click(x, y)
    page.wait_for_function(f"(atom) => ({EXPLAINED})()[1] === atom", arg=str(atom), timeout=LONG)
    assert page.evaluate(EXPLAINED)[0] == first
    assert two_explorers.kernel("print(one.session.selected_atom)").strip() == first

    # The theme of the page is that of the 3D view and of the figures, at once.
    page.wait_for_selector(".symgnn-explorer .js-plotly-plot .main-svg", timeout=LONG)
    assert second.evaluate(PAPER) == "white"
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    page.wait_for_function(f"() => ({PAPER})(document.querySelector('.symgnn-structure')) === '#111111'", timeout=LONG)
    page.wait_for_function(f"() => ({FIGURE_PAPER})() === '#111111'", timeout=LONG)
    two_explorers.picture(PICTURES / "dark.png")
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })")

    # The whole of a control says what it is for, nglview's button over the picture too.
    second.hover()
    page.wait_for_function(
        "(view) => view.querySelector('button.jupyter-button').offsetParent", arg=second.element_handle()
    )
    untold = page.evaluate(
        """() => [...document.querySelectorAll('.symgnn-explorer :is(select, input, button.jupyter-button)')]
          .filter((control) => control.offsetParent && !control.closest('[title]')?.title)
          .map((control) => control.parentElement.outerHTML)"""
    )
    assert untold == []

    # A closed explorer leaves nothing on the page, and the other as it was.
    two_explorers.kernel("one.close()")
    page.wait_for_function("() => document.querySelectorAll('.symgnn-structure').length === 1")
    assert page.evaluate(EXPLAINED) != [""]
    assert two_explorers.complaints == []
