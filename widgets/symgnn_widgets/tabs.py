"""Tabs whose panels know whether they are in sight, so that what nobody sees is not computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import ipywidgets as widgets
import plotly.graph_objects as go


class Panel(Protocol):
    """Something with a widget."""

    ui: Any


@runtime_checkable
class DrawsForPages(Protocol):
    """A panel with figures that are no part of an explanation's own."""

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw what it has to show now, at the size of a page, by name."""
        ...


class Tabs:
    """Shows one panel at a time.

    Parameters
    ----------
    panels
        By the title of their tab; those with a method ``activate(active=…)`` are told when they come and go.
    """

    def __init__(self, panels: Mapping[str, Panel]) -> None:
        self.panels = dict(panels)
        self.ui = widgets.Tab(children=[panel.ui for panel in panels.values()], titles=list(panels), selected_index=0)
        self.ui.add_class("symgnn-tabs")
        self.ui.observe(self._switch, "selected_index")
        self._switch()

    def open(self, title: str) -> None:
        """Bring a tab to the front."""
        self.ui.selected_index = list(self.panels).index(title)

    def close(self) -> None:
        """Tell every panel that it is out of sight, so that it stops what it computes."""
        self._tell(None)

    def _switch(self, _change: object = None) -> None:
        self._tell(self.ui.selected_index)

    def _tell(self, in_sight: int | None) -> None:
        for place, panel in enumerate(self.panels.values()):
            activate = getattr(panel, "activate", None)
            if activate is not None:
                activate(active=place == in_sight)
