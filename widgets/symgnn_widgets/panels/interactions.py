"""Which units act together in the prediction of the explained atom: a matrix, and lines and triangles in 3D."""

from __future__ import annotations

import threading

import ipywidgets as widgets

from symgnn_explain.explain import INTERACTION_UNITS, Interactions
from symgnn_explain.plotting.interactions import body_sentence, interaction_figure
from symgnn_explain.runs.markup import note
from symgnn_widgets.panels.figure import ComputedFigure
from symgnn_widgets.state.jobs import Reporter
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.views.controls import control, tick
from symgnn_widgets.views.tabs import Seen

_NOTE = (
    "What each two add to the prediction by acting together, whatever each does alone, from all coalitions of these. "
    "In 3D: the strongest pairs as lines, the strongest triples as triangles."
)


class InteractionsPanel(Seen):
    """Predicts all coalitions for the explained atom, once the panel is in sight."""

    def __init__(self, scene: Scene, height: int) -> None:
        self._explaining, self._scene = scene.explaining, scene
        self.units = control(
            widgets.Dropdown,
            "Of",
            "What acts together",
            180,
            label=24,
            options=INTERACTION_UNITS,
            value=INTERACTION_UNITS[0],
        )
        said = "Draw lines and triangles between neighbours, or polyhedra, in the 3D view"
        self.in_view = tick("in the 3D view too", said, {}, sets=(scene, "interactions_shown"))
        self.note = widgets.HTML(note(_NOTE))
        margin = {"l": 110, "r": 10, "t": 84, "b": 96}
        structure = self._explaining.structure
        self.figure = ComputedFigure(height, margin, structure, "The interactions could not be found")
        head = widgets.HBox([self.units, self.in_view])
        self.ui = widgets.VBox([head, self.figure.bar, self.figure.ui, self.note])
        self.units.observe(self._again, "value")
        self._explaining.observe(self._again, "explanation")

    def _again(self, _change: object = None) -> None:
        self._scene.interactions = None
        self.figure.stop()
        self.figure.clear()
        self.note.value = note(_NOTE)
        self.update()

    def update(self, _change: object = None) -> None:
        """Predict the coalitions of another explanation, if somebody looks."""
        explanation = self._explaining.explanation
        if not self.active:
            self.figure.stop()
            return
        if explanation is None or self._scene.interactions is not None:
            return
        structure, units = self._explaining.structure, self.units.value
        atom, semantics = explanation.atom, explanation.mask_semantics

        def work(report: Reporter, cancel: threading.Event) -> Interactions:
            return structure.prepared.interactions(atom, units, semantics=semantics, progress=report, cancel=cancel)

        self.figure.compute(work, self._keep)

    def _keep(self, found: Interactions) -> None:
        explanation = self._explaining.explanation
        if explanation is None or explanation.atom != found.atom:
            return
        self._scene.interactions = found
        figure = interaction_figure(found)
        figure.update_layout(title={"text": "", "subtitle": {"text": ""}})
        figure.update_traces(selector={"type": "heatmap"}, colorbar={"y": 1.1})
        self.figure.show(figure)
        sentence = body_sentence(found)
        said = f"{sentence[0].upper()}{sentence[1:]}. {' '.join(found.caveats)}"
        self.note.value = note(f"{said} {_NOTE}")
