"""HTML whose marked parts can be clicked: atoms in tables and lists."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from symgnn_explain.runs.markup import Markup, element


class Clickable(anywidget.AnyWidget):
    """Shows HTML; a click (or Enter) on an element made by :func:`marked` is told to those who asked.

    Parameters
    ----------
    on_click
        Called with the action and the number that the element was marked with.
    """

    _esm = (files("symgnn_widgets") / "static" / "clickable.js").read_text(encoding="utf-8")

    value = traitlets.Unicode().tag(sync=True)

    def __init__(self, on_click: Callable[[str, int], None], **options: Any) -> None:
        super().__init__(**options)
        self._on_click = on_click
        self.on_msg(self._handle)

    def click(self, action: str, number: int) -> None:
        """Do what a click on an element marked so does."""
        self._on_click(action, number)

    def _handle(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        self.click(str(message["action"]), int(message["number"]))


def marked(content: object, action: str, number: int, tooltip: str) -> Markup:
    """Make a part that can be clicked, or reached with the keyboard."""
    return element(
        "a",
        content,
        css="symgnn-link",
        role="button",
        tabindex=0,
        title=tooltip,
        data_action=action,
        data_number=number,
    )
