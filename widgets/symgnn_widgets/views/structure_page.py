"""The 3D view as one page that needs no network: NGL, the structure and everything drawn on it are inside."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from pathlib import Path

from jupyter_core.paths import jupyter_path

from symgnn_explain.errors import InputError
from symgnn_widgets.views.stage import Stage

_STATIC = files("symgnn_widgets") / "static"
_NGL_MARK = "ColormakerRegistry:"
"""Stands among the names that NGL exports, and nowhere else in nglview's bundle."""


def structure_page(stage: Stage, title: str, legend: str) -> str:
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
    parts = {
        "title": html.escape(title),
        "legend": legend,
        "css": (_STATIC / "explorer.css").read_text(encoding="utf-8"),
        "chunks": chunks,
        "ngl": ngl.replace("</script", "<\\/script"),
        "scene": (_STATIC / "scene.js").read_text(encoding="utf-8"),
        "orientation": json.dumps(stage.orientation),
        "calls": json.dumps(stage.calls()).replace("</", "<\\/"),
    }
    template = (_STATIC / "structure_page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda token: parts[token[1]], template)


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
