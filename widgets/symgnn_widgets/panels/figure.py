"""A figure of the toolkit in the little room of a panel."""

from __future__ import annotations

import plotly.graph_objects as go

from symgnn_explain.plotting.style import GREY, template
from symgnn_widgets.figure_view import FigureView

EMPTY_NOTE = "Click an atom in the 3D view."


class FigurePanel:
    """Shows one figure at a time.

    Parameters
    ----------
    height
        Of the figure, pixels.
    margin
        Around the plot, pixels by side (``l``, ``r``, ``t``, ``b``).
    """

    def __init__(self, height: int, margin: dict[str, int]) -> None:
        self.height = height
        self.margin = margin
        self.ui = FigureView(layout={"width": "100%", "height": f"{height}px"})
        self.figure = go.Figure()
        self.clear()

    def clear(self) -> None:
        """Show that there is nothing to show yet."""
        empty = go.Figure(layout={"template": template(), "xaxis": {"visible": False}, "yaxis": {"visible": False}})
        empty.add_annotation(
            text=EMPTY_NOTE, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"color": GREY}
        )
        self._show(empty)

    def show(self, figure: go.Figure) -> None:
        """Show ``figure``, which was drawn for a page of its own."""
        compact = go.Figure(figure)
        legends = {name: {"font": {"size": 10}} for name in figure.layout if name.startswith("legend")}
        compact.update_layout({"font": {"size": 11}, "title": {"font": {"size": 13}}, "margin": self.margin, **legends})
        compact.update_xaxes(title={"font": {"size": 12}, "standoff": 4}, tickfont_size=11)
        compact.update_yaxes(title={"font": {"size": 12}, "standoff": 4}, tickfont_size=11)
        self._show(compact)

    def _show(self, figure: go.Figure) -> None:
        figure.update_layout(width=None, height=self.height)
        self.figure = figure
        self.ui.show(figure)
