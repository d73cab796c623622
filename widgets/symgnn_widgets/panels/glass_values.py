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
from symgnn_widgets.state.session import Session

_UNITS = {**dict.fromkeys("xyz", "Å"), **ARRAY_UNITS}


class GlassValues:
    """A point for every atom: a click looks at it, the box and the lasso select.

    Parameters
    ----------
    session
        What is selected.
    height
        Of the figure, pixels.
    """

    def __init__(self, session: Session, height: int) -> None:
        self.session = session
        self.active = False
        names = [name for name, values in self._values().items() if values.dtype.kind in "iufb"]
        target, arrays = session.target, session.glass.arrays
        known = f"known_{target.array}"
        first = known if known in names else next((n for n in names if n in arrays and n != target.array), "z")
        self.horizontal = _choice(names, first, "Across")
        self.vertical = _choice(names, target.array, "Up")
        self.note = widgets.HTML(note("Click a point to look at its atom; use the box or the lasso to select."))
        self.figure = FigurePanel(
            height,
            margin={"l": 60, "r": 10, "t": 12, "b": 50},
            on_click=session.pick,
            on_select=session.select_many,
        )
        self.ui = widgets.VBox([widgets.HBox([self.horizontal, self.vertical]), self.note, self.figure.ui])
        for box in (self.horizontal, self.vertical):
            box.observe(self._draw, "value")
        session.observe(self._draw, "selection")

    def activate(self, *, active: bool) -> None:
        """Say whether the panel is in sight."""
        self.active = active
        self._draw()

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the plot, where it has been looked at."""
        return {"values": self._figure()} if self.figure.figure.data else {}

    def _values(self) -> dict[str, Any]:
        session = self.session
        return selectable_values(
            session.glass, predictions=session.predictions, label=session.target.array, values=session.named_values()
        )

    def _draw(self, _change: object = None) -> None:
        if not self.active:
            return
        names = (self.horizontal.value, self.vertical.value)
        figure = self._figure()
        figure.update_layout(title={"text": ""}, dragmode="lasso", uirevision=f"{names}")
        self.figure.show(figure)

    def _figure(self) -> go.Figure:
        session, values = self.session, self._values()
        names = (self.horizontal.value, self.vertical.value)
        across, up = (np.asarray(values[name], dtype=np.float64) for name in names)
        titles = (_title(names[0], session.target), _title(names[1], session.target))
        return values_figure(session.glass, across, up, names=titles, highlighted=session.selection)


def _choice(names: list[str], value: str, description: str) -> Any:
    return widgets.Dropdown(
        options=names,
        value=value,
        description=description,
        tooltip="What is drawn along this axis",
        style={"description_width": "50px"},
        layout={"width": "220px"},
    )


def _title(name: str, target: Target) -> str:
    of_target = {f"known_{target.array}": f"known {target.word}", "error": "error", "uncertainty": "uncertainty"}
    of_target |= dict.fromkeys((target.array, "prediction"), f"predicted {target.word}")
    if name in of_target:
        return target.axis(of_target[name])
    named = name.replace("_", " ")
    return f"{named} ({_UNITS[name]})" if name in _UNITS else named
