"""Interactive figures in pages that need no network: their data is data, and one script of ours draws them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from symgnn_explain.plotting.style import FIGURE_CONFIG
from symgnn_explain.runs.markup import Markup, data_block, element, joined, page, script

if TYPE_CHECKING:
    import plotly.graph_objects as go

_DRAW = """
for (const block of document.querySelectorAll("script[id^='data-of-']")) {
  const { data, layout, config } = JSON.parse(block.textContent);
  Plotly.newPlot(block.id.slice("data-of-".length), data, layout, config);
}
"""


def figure_block(name: str, figure: go.Figure) -> Markup:
    """Build the place of a figure, and its data; :func:`figure_scripts` has to come after it."""
    content = {**json.loads(figure.to_json()), "config": FIGURE_CONFIG}
    return joined([element("div", id=name), data_block(f"data-of-{name}", content)])


def figure_scripts() -> Markup:
    """Build the scripts that draw all figures of a page: plotly, and ours."""
    from plotly.offline import get_plotlyjs

    return joined([script(get_plotlyjs()), script(_DRAW)])


def figure_page(figure: go.Figure, title: str) -> str:
    """Build a page of one figure."""
    return page(title, "body { margin: 8px; background: white; }", [figure_block("figure", figure), figure_scripts()])


_BECOME = """
const drawn = () => new Promise(requestAnimationFrame);
// Plotly moves a camera in the course of some frames of the page.
const arrived = (figure) => Object.values(figure._fullLayout).filter((part) => part?._scene).every(
  ({ camera, _scene }) => ["x", "y", "z"].every(
    (axis, place) => Math.abs(_scene.glplot.camera.eye[place] - camera.eye[axis]) < 1e-6));
window.become = async ({ data, layout }) => {
  const config = { displayModeBar: false, typesetMath: false, plotGlPixelRatio: window.devicePixelRatio };
  const figure = await Plotly.react("figure", data, layout, config);
  do { await drawn(); } while (!arrived(figure));
  await drawn();
  await drawn();
};
"""


def film_page() -> str:
    """Build a page in which one figure becomes the next: ``become(figure)``, for the program that draws films."""
    from plotly.offline import get_plotlyjs

    scripts = [script(get_plotlyjs()), script(_BECOME)]
    return page("film", "body { margin: 0; background: white; }", [element("div", id="figure"), *scripts])
