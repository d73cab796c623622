"""Plotly figures in the page, that are replaced as a whole.

Plotly's own FigureWidget sends its changes as messages, and loses those that come before its code has been loaded; it
brings five megabytes of code with each figure. Here the figure is the widget's state, and the code comes once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import anywidget
import plotly.graph_objects as go
import traitlets
from plotly.offline import get_plotlyjs

from symgnn_widgets.views.theme import theme_code

_STATIC = files("symgnn_widgets") / "static"


class PlotlyLibrary(anywidget.AnyWidget):
    """Brings plotly's code into the page; shows nothing.

    The code is data of the widget, and read once all widgets are there: anywidget gives up on those that take two
    seconds to start, and reading five megabytes holds the others up on a slow machine.
    """

    _esm = (_STATIC / "plotly_library.js").read_text(encoding="utf-8")

    code = traitlets.Unicode(
        get_plotlyjs() + "\n(globalThis.symgnnPlotly ??= Promise.withResolvers()).resolve(globalThis.Plotly);"
    ).tag(sync=True)


class FigureView(anywidget.AnyWidget):
    """Shows a figure at the full size of its place; needs a :class:`PlotlyLibrary` in the same page.

    Parameters
    ----------
    note
        Shown where there is no figure.
    on_click
        Called with the ``customdata`` (a whole number) of a point that was clicked.
    on_select
        Called with those of the points that were selected with the box or the lasso.
    camera_group
        Figures with one name turn together; empty for one that turns alone.
    """

    _esm = theme_code() + (_STATIC / "figure.js").read_text(encoding="utf-8")

    figure: Any = traitlets.Dict().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    camera_group = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        *,
        on_click: Callable[[int], None] | None = None,
        on_select: Callable[[list[int]], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._on_click, self._on_select = on_click, on_select
        self.on_msg(self._handle)

    def click(self, number: int) -> None:
        """Do what a click on a point with this ``customdata`` does."""
        if self._on_click is not None:
            self._on_click(number)

    def select(self, numbers: list[int]) -> None:
        """Do what selecting points with these ``customdata`` does."""
        if self._on_select is not None:
            self._on_select(numbers)

    def _handle(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        numbers = [int(number) for number in message["numbers"]]
        if message["action"] == "click":
            self.click(numbers[0])
        else:
            self.select(numbers)

    def show(self, figure: go.Figure) -> None:
        """Show ``figure`` in place of the present one."""
        self.figure = json.loads(figure.to_json())

    def clear(self) -> None:
        """Show no figure, but the note."""
        self.figure = {}
