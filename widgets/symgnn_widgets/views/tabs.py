"""Tabs whose panels know whether they are in sight, so that what nobody sees is not computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import ipywidgets as widgets
import plotly.graph_objects as go

TAB_HELP = {
    "Neighbourhood": "The important atoms and edges around the explained atom, in 3D",
    "Arrows": "Which displacement of which atom would raise the prediction",
    "Compare": "Two explanations side by side: how alike they are",
    "Distances": "How far important atoms are, against random atoms: short or medium range?",
    "Contributions": "How much of the prediction comes from which distance, and that nothing is missing",
    "Enrichment": "At which distances important atoms are more frequent than chance",
    "Cycles": "On how many rings of atoms the important edges lie, against random edges",
    "Rings": "Persistence diagram of the structure's rings; a click shows one in 3D",
    "Motifs": "Voronoi indices and icosahedra among important atoms, against the like of them",
    "Network": "The network of important bonds, against random and rewired ones",
    "Fidelity": "Does the explanation beat rankings that know nothing of the network?",
    "Population": "Explain all selected atoms, and see what they have in common",
    "Glass": "The whole structure: values of all atoms, radial distribution, structure factor, correlation length",
    "Values": "Any two values of all atoms against each other; select with the lasso",
    "g(r)": "Radial distribution, total and partial, with the shells between its minima",
    "S(q)": "Structure factor, total and partial, with the first sharp diffraction peak",
    "Correlation": "Over what distance predictions are alike: their spatial autocorrelation and its length",
    "Barrier": "Compute the selected atom's barrier from first principles",
    "Edges": "The most important edges",
    "Atoms": "The most important atoms and their surroundings",
    "History": "Earlier explanations",
    "Export": "Figures, data, 3D view, report",
    "Files": "Open your own structure; save and open sessions",
}
"""What each tab is for."""


class Panel(Protocol):
    """Something with a widget."""

    ui: Any


@runtime_checkable
class DrawsForPages(Protocol):
    """A panel with figures that are no part of an explanation's own."""

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw what it has to show now, at the size of a page, by name."""
        ...


class Seen:
    """A panel that knows whether it is in sight."""

    active = False

    def activate(self, *, active: bool) -> None:
        """Say whether the panel is in sight."""
        self.active = active
        self.update()

    def update(self, _change: object = None) -> None:
        """Show what there is, or stop where nobody looks."""
        raise NotImplementedError


class Tabs(Seen):
    """Shows one panel at a time.

    Parameters
    ----------
    panels
        By the title of their tab; those that are :class:`Seen` are told when they come and go.
    active
        Whether the tabs are in sight themselves, which tabs inside of tabs are not at first.
    """

    def __init__(self, panels: Mapping[str, Panel], *, active: bool = True) -> None:
        self.active = active
        self.panels = dict(panels)
        self.ui = widgets.Tab(children=[panel.ui for panel in panels.values()], titles=list(panels), selected_index=0)
        self.ui.add_class("symgnn-tabs")
        self.ui.observe(self.update, "selected_index")
        self.update()

    def open(self, title: str) -> None:
        """Bring a tab to the front."""
        self.ui.selected_index = list(self.panels).index(title)

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw what all panels have to show beside the figures of every explanation."""
        figures: dict[str, go.Figure] = {}
        for panel in self.panels.values():
            if isinstance(panel, DrawsForPages):
                figures |= panel.page_figures()
        return figures

    def close(self) -> None:
        """Tell every panel that it is out of sight, so that it stops what it computes."""
        self.activate(active=False)

    def update(self, _change: object = None) -> None:
        """Tell every panel whether it is in sight."""
        for place, panel in enumerate(self.panels.values()):
            if isinstance(panel, Seen):
                panel.activate(active=self.active and place == self.ui.selected_index)
