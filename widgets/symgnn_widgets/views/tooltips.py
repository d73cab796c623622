"""Tooltips that are shown over the whole of a control."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets


class Tooltips(anywidget.AnyWidget):
    """Shows nothing itself: it works in the explorer that it is put into."""

    _esm = (files("symgnn_widgets") / "static" / "tooltips.js").read_text(encoding="utf-8")

    named: Any = traitlets.Dict().tag(sync=True)
    tabs: Any = traitlets.Dict().tag(sync=True)

    def read(self, *parts: widgets.Widget, tabs: Mapping[str, str]) -> None:
        """Take the tooltips of all controls with a name that are inside of some widgets, and what tabs are for."""
        self.named, self.tabs = dict(_named(parts)), dict(tabs)


def _named(parts: Any) -> list[tuple[str, str]]:
    found = []
    for part in parts:
        if getattr(part, "description", "") and getattr(part, "tooltip", None):
            found.append((part.description, part.tooltip))
        found += _named(getattr(part, "children", ()))
    return found
