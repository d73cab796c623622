"""Plotly figures in the page, that are replaced as a whole.

Plotly's own FigureWidget sends its changes as messages, and loses those that come before its code has been loaded; it
brings five megabytes of code with each figure. Here the figure is the widget's state, and the code comes once.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import anywidget
import plotly.graph_objects as go
import traitlets
from plotly.offline import get_plotlyjs

_STATIC = files("symgnn_widgets") / "static"


class PlotlyLibrary(anywidget.AnyWidget):
    """Brings plotly's code into the page; shows nothing."""

    _esm = (
        get_plotlyjs()
        + "\n(globalThis.symgnnPlotly ??= Promise.withResolvers()).resolve(globalThis.Plotly);"
        + "\nexport default { render() {} };"
    )


class FigureView(anywidget.AnyWidget):
    """Shows a figure at the full width of its place; needs a :class:`PlotlyLibrary` in the same page."""

    _esm = (_STATIC / "figure.js").read_text(encoding="utf-8")

    figure: Any = traitlets.Dict({"data": [], "layout": {}}).tag(sync=True)

    def show(self, figure: go.Figure) -> None:
        """Show ``figure`` in place of the present one."""
        self.figure = json.loads(figure.to_json())
