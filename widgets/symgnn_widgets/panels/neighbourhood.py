"""The explained atom and what is important around it, in 3D."""

from __future__ import annotations

import threading

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting.neighbourhood import neighbourhood_figure
from symgnn_explain.plotting.style import GREEN, LOWERS, PURPLE, RAISES, species_colour
from symgnn_explain.runs.markup import Markup, element, joined
from symgnn_widgets.panels.figure import ComputedFigure, small_axes
from symgnn_widgets.state.colours import Colouring
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.jobs import Reporter

HEIGHT = 384


class Neighbourhood:
    """Draws the neighbourhood of the explanation."""

    def __init__(self, explaining: Explaining) -> None:
        self._explaining = explaining
        margin = {"l": 14, "r": 44, "t": 34, "b": 0}
        self.figure = ComputedFigure(
            HEIGHT, margin, explaining.structure, "The neighbourhood could not be drawn", on_click=explaining.pick
        )
        self.caption = widgets.HTML()
        self.ui = widgets.VBox([self.figure.bar, self.figure.ui, self.caption])
        explaining.on_shown(self._draw)
        explaining.structure.observe(self._draw, "predicted")

    def _draw(self, _change: object = None) -> None:
        explanation, k = self._explaining.explanation, self._explaining.threshold.k
        structure = self._explaining.structure
        glass, predictions = structure.glass, structure.predictions if structure.predicted else None
        self.figure.stop()
        if explanation is None:
            self.figure.clear()
            self.caption.value = ""
            return

        def work(_report: Reporter, _cancel: threading.Event) -> go.Figure:
            figure = neighbourhood_figure(glass, explanation, k=k, predictions=predictions, height=HEIGHT)
            compact_neighbourhood(figure)
            low, high = (None, None) if predictions is None else Colouring.of_values("", predictions).domain
            title = f"Neighbourhood of atom {explanation.atom} ({glass.symbols[explanation.atom]})"
            # The camera stays where it was turned to while the same atom is shown.
            figure.update_layout(
                title={"text": title}, uirevision=explanation.atom, coloraxis={"cmin": low, "cmax": high}
            )
            return self.figure.compact(figure)

        self.figure.compute(work, self.figure.put)
        self.caption.value = self._caption(explanation, k)

    def _caption(self, explanation: AtomExplanation, k: int) -> Markup:
        """Say in one line what the legend says that there is no room for."""
        dots: list[str] = [_dot("explained atom", PURPLE)]
        dots += [_dot(f"{symbol} (rim)", species_colour(symbol)) for symbol in self._explaining.structure.glass.species]
        if explanation.is_self_loop[explanation.rank()[:k]].any():
            dots.append(_dot("self-loop among the edges", GREEN))
        if explanation.signed:
            dots += [_dot(f"raises the {explanation.quantity.word}", RAISES), _dot("lowers it", LOWERS)]
        else:
            dots.append("line width: importance")
        return element("div", joined(dots, " "), css="symgnn-caption-line")


def compact_neighbourhood(figure: go.Figure) -> go.Figure:
    """Leave out the legend, and make room for the labels of axes and colours."""
    bar = {"title": {"font": {"size": 11}}, "tickfont": {"size": 10}, "thickness": 10, "len": 0.6}
    sides = small_axes(figure) | {"domain": {"x": [0.0, 1.0]}}
    return figure.update_layout(scene=sides, coloraxis={"colorbar": bar}, showlegend=False)


def _dot(text: str, colour: str) -> Markup:
    return element("span", element("i", style=f"background:{colour}"), text)
