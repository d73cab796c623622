"""The room that the explorer takes in its page."""

from __future__ import annotations

from importlib.resources import files

import anywidget
import traitlets


class Window(anywidget.AnyWidget):
    """Shows nothing itself: the explorer that it is put into becomes as high as what is seen of the page."""

    _esm = (files("symgnn_widgets") / "static" / "window.js").read_text(encoding="utf-8")

    full = traitlets.Bool(False, help="whether the explorer covers the whole window").tag(sync=True)
    seen = traitlets.Bool(False, help="whether a page has brought it into sight").tag(sync=True)
