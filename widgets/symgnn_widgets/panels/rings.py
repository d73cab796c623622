"""The persistence diagram of the structure, in which a click on a ring shows it in 3D."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis import StructureTopology
from symgnn_explain.plotting.persistence import persistence_figure
from symgnn_explain.runs.markup import note
from symgnn_explain.structure.glass import IntArray
from symgnn_widgets.panels.figure import ComputedFigure
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.views.controls import button
from symgnn_widgets.views.tabs import Seen

_NOTE = (
    "Rings of the periodic structure; orange ones pass through an important edge. Click a point to see its ring in 3D. "
    "The first time takes some seconds."
)


class Rings(Seen):
    """Draws the persistence diagram once it is in sight, and sets the scene's ``ring``."""

    def __init__(self, scene: Scene, height: int) -> None:
        self._explaining, self._scene = scene.explaining, scene
        self.topology: StructureTopology | None = None
        self.note = widgets.HTML(note(_NOTE))
        self.shown = widgets.HTML()
        said = "Take the ring out of the 3D view"
        self.clear = button("Hide ring", "eye-slash", said, lambda: scene.set_trait("ring", None), {}, disabled=True)
        margin = {"l": 56, "r": 10, "t": 40, "b": 50}
        failed = "The persistent homology could not be computed"
        self.figure = ComputedFigure(height, margin, scene.explaining.structure, failed, on_click=self.show_ring)
        below = widgets.HBox([self.clear, self.shown])
        self.ui = widgets.VBox([self.note, self.figure.bar, self.figure.ui, below])
        scene.explaining.on_shown(self._draw)
        scene.observe(self._describe, "ring")

    def show_ring(self, row: int) -> None:
        """Show the optimal cycle of one H1 pair in 3D."""
        if self.topology is not None:
            self._scene.ring = self.topology.cycles.path(self._explaining.structure.glass, row)

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the persistence diagram, where it is known."""
        return {} if self.topology is None else {"persistence": self._figure(self.topology)}

    def update(self, _change: object = None) -> None:
        """Compute the diagram when somebody looks for the first time."""
        if not self.active:
            self.figure.stop()
        elif self.topology is None:
            self.figure.compute(self._explaining.structure.topology, self._keep)
        else:
            self._draw()

    def _keep(self, topology: StructureTopology) -> None:
        self.topology = topology
        self._draw()

    def _draw(self, _change: object = None) -> None:
        if self.active and self.topology is not None:
            figure = self._figure(self.topology)
            figure.update_layout(title={"text": "", "subtitle": {"text": ""}})
            self.figure.show(figure)

    def _figure(self, topology: StructureTopology) -> go.Figure:
        highlighted: IntArray = np.zeros(0, dtype=np.int64)
        explanation = self._explaining.explanation
        if explanation is not None:
            top = explanation.rank()[: self._explaining.threshold.k]
            edges = explanation.source[top], explanation.target[top], explanation.displacement[top]
            highlighted = topology.cycles.through_edges(self._explaining.structure.glass, *edges)
        return persistence_figure(topology.persistence, highlighted=highlighted)

    def _describe(self, _change: object = None) -> None:
        ring = self._scene.ring
        self.clear.disabled = ring is None
        self.shown.value = (
            ""
            if ring is None
            else note(f"Ring of {len(ring)} bonds, born at {ring.birth:.3f} Å, filled at {ring.death:.3f} Å.")
        )
