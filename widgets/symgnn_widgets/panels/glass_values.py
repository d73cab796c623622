"""All atoms of the glass in a plot of two of their values, linked with the selection."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go

from symgnn_explain.models.target import Target
from symgnn_explain.plotting.values import values_figure
from symgnn_explain.runs.markup import note
from symgnn_explain.structure.columns import ARRAY_UNITS
from symgnn_explain.structure.selection import selectable_values
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.views.controls import control
from symgnn_widgets.views.tabs import Seen

_UNITS = {**dict.fromkeys("xyz", "Å"), **ARRAY_UNITS}


class GlassValues(Seen):
    """A point for every atom: a click looks at it, the box and the lasso select."""

    def __init__(self, explaining: Explaining, height: int) -> None:
        self._explaining = explaining
        structure, selected = explaining.structure, explaining.selected
        names = [name for name, values in self._values().items() if values.dtype.kind in "iufb"]
        target, arrays = structure.target, structure.glass.arrays
        known = f"known_{target.array}"
        first = known if known in names else next((n for n in names if n in arrays and n != target.array), "z")
        said = "What is drawn along this axis"
        self.horizontal, self.vertical = (
            control(widgets.Dropdown, name, said, 220, label=50, options=names, value=value)
            for name, value in (("Across", first), ("Up", target.array))
        )
        self.note = widgets.HTML(note("Click a point to look at its atom; use the box or the lasso to select."))
        margin = {"l": 60, "r": 10, "t": 12, "b": 50}
        self.figure = FigurePanel(height, margin, on_click=explaining.pick, on_select=selected.select_many)
        self.ui = widgets.VBox([widgets.HBox([self.horizontal, self.vertical]), self.note, self.figure.ui])
        for box in (self.horizontal, self.vertical):
            box.observe(self.update, "value")
        selected.observe(self.update, "selection")
        structure.observe(self.update, "predicted")

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the plot, where it has been looked at."""
        return {"values": self._figure()} if self.figure.figure.data else {}

    def update(self, _change: object = None) -> None:
        """Draw the plot, if somebody looks."""
        if self.active:
            figure = self._figure()
            seen = f"{self.horizontal.value, self.vertical.value}"
            figure.update_layout(title={"text": ""}, dragmode="lasso", uirevision=seen)
            self.figure.show(figure)

    def _values(self) -> dict[str, Any]:
        structure = self._explaining.structure
        return selectable_values(
            structure.glass,
            predictions=structure.said_so_far.values,
            label=structure.target.array,
            values=structure.named_values(self._explaining.explanation),
        )

    def _figure(self) -> go.Figure:
        structure, values = self._explaining.structure, self._values()
        names = (self.horizontal.value, self.vertical.value)
        across, up = (np.asarray(values[name], dtype=np.float64) for name in names)
        titles = (_title(names[0], structure.target), _title(names[1], structure.target))
        return values_figure(structure.glass, across, up, names=titles, highlighted=self._explaining.selected.selection)


def _title(name: str, target: Target) -> str:
    of_target = {f"known_{target.array}": f"known {target.word}", "error": "error", "uncertainty": "uncertainty"}
    of_target |= dict.fromkeys((target.array, "prediction"), f"predicted {target.word}")
    if name in of_target:
        return target.axis(of_target[name])
    named, quantity = name.replace("_", " "), name.split("[", maxsplit=1)[0]  # of one with several columns
    return f"{named} ({_UNITS[quantity]})" if quantity in _UNITS else named
