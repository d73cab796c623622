"""The 3D view as one page that needs no network: NGL, the structure and everything drawn on it are inside."""

from __future__ import annotations

import base64
import gzip
from importlib.resources import files

from symgnn_explain.runs.markup import Markup, data_block, element, page, script
from symgnn_widgets.views.stage import Stage, nglview_bundle

_STATIC = files("symgnn_widgets") / "static"
_HINT = "Drag to turn, scroll to zoom, click an atom to name it."


def structure_page(stage: Stage, title: str, legend: Markup) -> str:
    """Build the page: the scene of ``stage`` as it is now, seen as it was last turned to.

    Parameters
    ----------
    stage
        The viewer.
    title
        Text above the picture.
    legend
        HTML below it: the colour bar.

    Raises
    ------
    InputError
        If the installed nglview does not hold NGL where it is expected.
    """
    ngl = nglview_bundle()

    def code(name: str) -> str:
        return (_STATIC / name).read_text(encoding="utf-8")

    body = [
        element("header", element("h1", title), element("span", _HINT, id="hit")),
        element("div", id="view"),
        element("footer", legend),
        data_block("scene", {"orientation": stage.orientation, "calls": stage.calls()}),
        data_block("nglview", base64.b64encode(gzip.compress(ngl.encode(), mtime=0)).decode()),
        script(f"function drawScene(NGL) {{\n{code('scene.js')}\n}}\n{code('structure_page.js')}"),
    ]
    css = code("structure_page.css") + code("explorer.css")
    return page(title, css, body, connects="blob: data:", unpacks=(ngl,))
