"""Two explanations side by side: of one atom by two methods, or of two atoms."""

from __future__ import annotations

import itertools

import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS
from symgnn_explain.explain.mask_words import MASKED_AS_ONE, mask_meaning
from symgnn_explain.explain.result.agreement import agreement
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting.neighbourhood import neighbourhood_figure
from symgnn_explain.runs.markup import Markup, element, note, table
from symgnn_explain.runs.tables import decimal_text
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.panels.neighbourhood import compact_neighbourhood
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.method import Key
from symgnn_widgets.views.controls import control
from symgnn_widgets.views.tabs import Seen

HEIGHT = 260
_NOTE = "Explain two atoms, or one atom with two methods: both can then be chosen here. Turning one turns the other."
_groups = itertools.count()


class Compare(Seen):
    """Draws two neighbourhoods that turn together, and a table of how alike they are.

    What is shown is compared with the latest other explanation, until others are chosen.
    """

    def __init__(self, explaining: Explaining) -> None:
        self._explaining = explaining
        self._offered: tuple[Key | None, ...] = (None,)
        group = f"symgnn-compare-{next(_groups)}"
        said = "Which explanation of the history"
        self.choices = [control(widgets.Dropdown, name, said, {"width": "98%"}, label=16) for name in "AB"]
        margin = {"l": 0, "r": 0, "t": 30, "b": 0}
        self.figures = [FigurePanel(HEIGHT, margin, on_click=explaining.pick, camera_group=group) for _ in self.choices]
        self.table = widgets.HTML(layout={"max_height": "170px", "overflow": "auto"})
        self.note = widgets.HTML(note(_NOTE))
        half = {"width": "50%", "min_width": "0", "overflow": "hidden"}
        sides = [
            widgets.VBox([choice, figure.ui], layout=half)
            for choice, figure in zip(self.choices, self.figures, strict=True)
        ]
        self.ui = widgets.VBox([widgets.HBox(sides, layout={"width": "100%"}), self.note, self.table])
        self._offering = False
        for choice in self.choices:
            choice.observe(self._choose, "value")
        explaining.observe(self._follow, ["history", "explanation"])
        explaining.threshold.observe(self._draw, "k")

    def update(self, _change: object = None) -> None:
        """Offer and draw what there is, if somebody looks."""
        if self.active:
            self._offer()
            self._draw()

    def choose(self, first: Key, second: Key) -> None:
        """Compare two explanations of the history."""
        for choice, key in zip(self.choices, (first, second), strict=True):
            choice.value = key

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw both neighbourhoods, where they are being compared."""
        pair = self._pair() if self.active else []
        if not any(explanation is self._explaining.explanation for explanation in pair):
            return {}  # they would go by the name of what is shown
        return {f"comparison-{side}": self._figure(explanation) for side, explanation in zip("ab", pair, strict=False)}

    def _figure(self, explanation: AtomExplanation, **size: int) -> go.Figure:
        structure, k = self._explaining.structure, self._explaining.threshold.k
        predictions = structure.predictions if structure.predicted else None
        return neighbourhood_figure(structure.glass, explanation, k=k, predictions=predictions, **size)

    def _pair(self) -> list[AtomExplanation]:
        """Return the explanations that are chosen: two, or fewer where the history does not hold them."""
        history = self._explaining.history
        return [history[choice.value] for choice in self.choices if choice.value in history]

    def _follow(self, _change: object) -> None:
        if self._offer():
            self._draw()

    def _choose(self, _change: object) -> None:
        if not self._offering:
            self._draw()

    def _offer(self) -> bool:
        """Offer the explanations of the history, if somebody looks and they or what is shown are others than before."""
        history, shown = self._explaining.history, self._explaining.shown_key
        known = self._offered[1:] == tuple(history) and shown in (None, self._offered[0])
        if not self.active or not history or known:
            return False
        self._offered = (shown, *history)
        options = [(_name(self._explaining.structure.glass, key), key) for key in reversed(history)]
        first = [] if shown is None else [shown]
        ranked = first + [key for _, key in options if key != shown]
        self._offering = True  # both are chosen before they are drawn
        for place, choice in enumerate(self.choices):
            choice.options = options
            choice.value = ranked[min(place, len(ranked) - 1)]
        self._offering = False
        return True

    def _draw(self, _change: object = None) -> None:
        if not self.active:
            return
        pair = self._pair()
        if len(pair) < len(self.choices):
            self.table.value = ""
            return
        for panel, explanation in zip(self.figures, pair, strict=True):
            figure = compact_neighbourhood(self._figure(explanation, height=HEIGHT))
            figure.update_coloraxes(showscale=False)
            title = f"atom {explanation.atom}, {explanation.quantity.text(explanation.prediction, coarse=True)}"
            figure.update_layout(title={"text": title}, uirevision="compare")
            panel.show(figure)
        self.table.value = self._written(*pair)

    def _written(self, first: AtomExplanation, second: AtomExplanation) -> Markup:
        try:
            compared = agreement(first, second)
        except InputError as error:
            return element("div", str(error), css="symgnn-error")
        rows = (
            (row["quantity"], *(_number(row[column]) for column in ("first", "second", "both")))
            for row in compared.to_dict("records")
        )
        return table(rows, ("", "A", "B", "both"), css="symgnn-table symgnn-left")


def _name(glass: Glass, key: Key) -> str:
    atom, method, semantics, unit, *_ = key
    masked = f"{MASKED_AS_ONE[unit]}, {mask_meaning(semantics, unit)}"
    return f"{glass.symbols[atom]} {atom}, {METHODS[method].label}, {masked}"


def _number(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else decimal_text(value)
