"""Which displacement of which atom would raise the prediction: arrows."""

from __future__ import annotations

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.explain import PositionAttribution, explain_positions
from symgnn_explain.plotting.positions import position_figure
from symgnn_explain.runs.markup import note
from symgnn_widgets.panels.figure import IN_SPACE, ComputedFigure, shrink_scene
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.views.controls import tick
from symgnn_widgets.views.highlight import ARROWS
from symgnn_widgets.views.tabs import Seen

_NOTE = (
    "Moving an atom along its arrow raises the {word} that the network predicts for the selected atom; lengths are "
    "derivatives ({unit}). They hold for displacements of some hundredths of an ångström."
)


class Arrows(Seen):
    """Differentiates the prediction for the selected atom by all positions, once the panel is in sight."""

    def __init__(self, scene: Scene, height: int) -> None:
        self._selected, self._scene = scene.explaining.selected, scene
        structure = self._structure = scene.explaining.structure
        self.in_view = tick(
            "in the 3D view too", "Draw the arrows in the 3D view as well", {}, sets=(scene, "arrows_shown")
        )
        target = structure.target
        self.note = widgets.HTML(note(_NOTE.format(word=target.word, unit=target.derivative_unit)))
        self.figure = ComputedFigure(height, IN_SPACE, structure, "The derivatives could not be computed")
        self.ui = widgets.VBox([self.figure.bar, self.figure.ui, self.in_view, self.note])
        self._selected.observe(self.update, "selected_atom")

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the arrows of the selected atom, where they are known."""
        attribution = self._scene.attribution
        return {} if attribution is None else {"arrows": self._figure(attribution)}

    def update(self, _change: object = None) -> None:
        """Differentiate the prediction for another atom, if somebody looks."""
        structure, scene, atom = self._structure, self._scene, self._selected.selected_atom
        if scene.attribution is not None and scene.attribution.atom != atom:
            scene.attribution = None
            self.figure.clear()
        if self.active and atom is not None and scene.attribution is None:
            self.figure.compute(lambda _report, _cancel: explain_positions(structure.prepared, atom), self._keep)

    def _figure(self, attribution: PositionAttribution) -> go.Figure:
        return position_figure(self._structure.glass, attribution, k=ARROWS)

    def _keep(self, attribution: PositionAttribution) -> None:
        if attribution.atom != self._selected.selected_atom:
            return
        self._scene.attribution = attribution
        figure = self._figure(attribution)
        figure.update_layout(
            title={"text": f"Arrows that raise the {attribution.quantity.word} of atom {attribution.atom}"},
            showlegend=False,
            uirevision=attribution.atom,
        )
        self.figure.show(shrink_scene(figure))
