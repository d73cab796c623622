"""The 3D view as one page that needs no network: NGL, the structure and everything drawn on it are inside."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from jupyter_core.paths import jupyter_path

from symgnn_explain.errors import InputError
from symgnn_explain.runs.markup import Markup, data_block, element, page, script
from symgnn_widgets.views.stage import Stage

_STATIC = files("symgnn_widgets") / "static"
_HINT = "Drag to turn, scroll to zoom, click an atom to name it."
_NGL_MARK = "ColormakerRegistry:"
"""Stands among the names that NGL exports, and nowhere else in nglview's bundle."""


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
    ngl, chunks = ngl_bundle()

    def code(name: str) -> str:
        return (_STATIC / name).read_text(encoding="utf-8")

    body = [
        element("header", element("h1", title), element("span", _HINT, id="hit")),
        element("div", id="view"),
        element("footer", legend),
        data_block("scene", {"orientation": stage.orientation, "calls": stage.calls()}),
        script(f"const CHUNKS = {json.dumps(chunks)};\n{code('structure_page_loader.js')}"),
        script(ngl),
        script(f"const NGL = loadNgl();\nfunction drawScene() {{\n{code('scene.js')}\n}}\n{code('structure_page.js')}"),
    ]
    return page(title, code("structure_page.css") + code("explorer.css"), body, connects="blob: data:")


def ngl_bundle() -> tuple[str, str]:
    """Find the part of nglview's JupyterLab extension that holds NGL: its code, and the list that it adds itself to.

    Raises
    ------
    InputError
        If it is not there.
    """
    for folder in jupyter_path("labextensions", "nglview-js-widgets", "static"):
        for path in sorted(Path(folder).glob("*.js")):
            code = path.read_text(encoding="utf-8")
            added_to = re.search(r"\(self\.(\w+)=self\.\1\|\|\[\]\)\.push", code[:1000])
            if added_to and _NGL_MARK in code:
                return code, added_to[1]
    raise InputError(
        "the 3D view cannot be written as a page: the JupyterLab extension of nglview was not found, or holds no NGL; "
        "run `pip install --force-reinstall nglview==4.0`."
    )
