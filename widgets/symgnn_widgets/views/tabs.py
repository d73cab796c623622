"""Tabs whose panels know whether they are in sight, so that what nobody sees is not computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.errors import InputError

TAB_HELP = {
    "What matters?": "Which atoms and edges the prediction rests on",
    "Can I trust it?": "Whether the explanation holds, and how good predictions are",
    "Order or topology?": "Is it order, is it topology? What the important atoms have in common",
    "Does physics agree?": "What an interatomic potential says of the same atom",
    "What if?": "Edit the structure, and see what is predicted then, and what a potential says of it",
    "Compare": "Explanations beside each other: of two atoms, of many, of earlier ones",
    "Export": "Figures, data, 3D view and report; other structures and sessions",
    "Neighbourhood": "The important atoms and edges around the explained atom, in 3D and as a table",
    "Together": "Which neighbours, shells, species or polyhedra act together",
    "Arrows": "Which displacement of which atom would raise the prediction",
    "Side by side": "Two explanations side by side: how alike they are",
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
    "Barrier": "Compute the selected atom's barrier from an interatomic potential",
    "Mechanism": "Whether the atoms that matter are the atoms that move at saddle points",
    "Atoms": "The most important atoms and their surroundings",
    "History": "Earlier explanations",
    "Frames": "The frames of the trajectory: a slider, and values of selected atoms against time",
    "Two frames": "Who changed from one frame to another, and which displacements did it",
    "Figures and data": "Figures, data, 3D view, report",
    "Film": "A film of the explanation turning round, or of the trajectory: GIF, WebP or MP4",
    "Open and save": "Open your own structure; save and open sessions",
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


class Together:
    """Two panels, one below the other, in one tab."""

    def __init__(self, *panels: Panel) -> None:
        self.ui = widgets.VBox([panel.ui for panel in panels])


class Tabs(Seen):
    """Shows one panel at a time.

    Parameters
    ----------
    panels
        By the title of their tab, which may hold tabs of its own; titles differ from each other at every depth. Panels
        that are :class:`Seen` are told when they come and go.
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

    @property
    def every(self) -> dict[str, Panel]:
        """All panels by title, those of tabs inside of these too."""
        found: dict[str, Panel] = {}
        for title, panel in self.panels.items():
            found |= {title: panel, **(panel.every if isinstance(panel, Tabs) else {})}
        return found

    @property
    def in_front(self) -> str:
        """Title of the panel that is seen."""
        title = list(self.panels)[self.ui.selected_index]
        panel = self.panels[title]
        return panel.in_front if isinstance(panel, Tabs) else title

    def open(self, title: str) -> None:
        """Bring a tab to the front, and those around it.

        Raises
        ------
        InputError
            If there is none of this title.
        """
        for place, (own, panel) in enumerate(self.panels.items()):
            if isinstance(panel, Tabs) and title in panel.every:
                panel.open(title)  # first, so that no other is in sight for a moment
            elif own != title:
                continue
            self.ui.selected_index = place
            return
        raise InputError(f"no tab is called {title!r}: choose from {', '.join(self.every)}.")

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


def tabs_by_question(questions: Mapping[str, Mapping[str, Panel]]) -> Tabs:
    """Make the tabs of a reader's questions, each with a tab for every panel that answers it.

    A question that a single panel of the same title answers has no tabs inside; one that nothing answers has no tab.
    """
    return Tabs(
        {
            question: panels[question] if list(panels) == [question] else Tabs(panels, active=False)
            for question, panels in questions.items()
            if panels
        }
    )
