"""The persistence diagram of the structure, in which a click on a ring shows it in 3D."""

from __future__ import annotations

import threading

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis import StructureTopology
from symgnn_explain.plotting.persistence import persistence_figure
from symgnn_explain.runs.markup import note
from symgnn_explain.structure.glass import IntArray
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.state.jobs import Reporter, Worker
from symgnn_widgets.state.session import Session, as_sentence

_NOTE = (
    "Rings of the periodic structure; orange ones pass through an important edge. Click a point to see its ring in 3D. "
    "The first time takes some seconds."
)


class Rings:
    """Draws the persistence diagram once it is in sight, and sets the session's ``ring``.

    Parameters
    ----------
    session
        What is explained.
    height
        Of the figure, pixels.
    """

    def __init__(self, session: Session, height: int) -> None:
        self.session = session
        self.active = False
        self.topology: StructureTopology | None = None
        self.bar = widgets.FloatProgress(min=0.0, max=1.0, layout={"width": "auto", "display": "none"})
        self.note = widgets.HTML(note(_NOTE))
        self.shown = widgets.HTML()
        self.clear = widgets.Button(
            description="Hide ring", icon="eye-slash", tooltip="Take the ring out of the 3D view", disabled=True
        )
        self.figure = FigurePanel(height, margin={"l": 56, "r": 10, "t": 40, "b": 50}, on_click=self.show_ring)
        self.ui = widgets.VBox([self.note, self.bar, self.figure.ui, widgets.HBox([self.clear, self.shown])])
        self._worker: Worker[StructureTopology] = Worker(self._advance, self._keep, self._fail)
        self.clear.on_click(lambda _button: session.set_trait("ring", None))
        session.observe(self._draw, ["explanation", "k"])
        session.observe(self._describe, "ring")

    def activate(self, *, active: bool) -> None:
        """Say whether the panel is in sight."""
        self.active = active
        if not active:
            self._worker.cancel()
        elif self.topology is None:
            self._compute()
        else:
            self._draw()

    def show_ring(self, row: int) -> None:
        """Show the optimal cycle of one H1 pair in 3D."""
        if self.topology is not None:
            self.session.ring = self.topology.cycles.path(self.session.glass, row)

    def _compute(self) -> None:
        structure = self.session.structure
        self.bar.value, self.bar.layout.display = 0.0, ""

        def work(report: Reporter, cancel: threading.Event) -> StructureTopology:
            return structure.topology(report, cancel)

        self._worker.start(work)

    def _advance(self, fraction: float) -> None:
        self.bar.value = fraction

    def _keep(self, topology: StructureTopology) -> None:
        self.topology = topology
        self.bar.layout.display = "none"
        self._draw()

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the persistence diagram, where it is known."""
        return {} if self.topology is None else {"persistence": self._figure(self.topology)}

    def _draw(self, _change: object = None) -> None:
        if self.active and self.topology is not None:
            figure = self._figure(self.topology)
            figure.update_layout(title={"text": "", "subtitle": {"text": ""}})
            self.figure.show(figure)

    def _figure(self, topology: StructureTopology) -> go.Figure:
        session = self.session
        highlighted: IntArray = np.zeros(0, dtype=np.int64)
        explanation = session.explanation
        if explanation is not None:
            top = explanation.rank()[: session.k]
            edges = explanation.source[top], explanation.target[top], explanation.displacement[top]
            highlighted = topology.cycles.through_edges(session.glass, *edges)
        return persistence_figure(topology.persistence, highlighted=highlighted)

    def _describe(self, _change: object = None) -> None:
        ring = self.session.ring
        self.clear.disabled = ring is None
        self.shown.value = (
            ""
            if ring is None
            else note(f"Ring of {len(ring)} bonds, born at {ring.birth:.3f} Å, filled at {ring.death:.3f} Å.")
        )

    def _fail(self, error: Exception) -> None:
        self.bar.layout.display = "none"
        self.session.error = as_sentence("The persistent homology could not be computed", error)
