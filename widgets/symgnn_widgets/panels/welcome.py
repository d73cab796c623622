"""What a reader meets first: an atom that is explained already, and three steps to go on from there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.runs.markup import element, joined
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.state.structure import Structure
from symgnn_widgets.views.controls import show
from symgnn_widgets.views.table import Clickable, marked

LOWEST = 0.05
"""Share of the atoms that one is chosen from to begin with."""

_STEPS = (
    "Click any atom: what its prediction rests on is drawn.",
    "Read the tabs from left to right.",
    "Keep it, or open your own glass, under Export.",
)


class Welcome:
    """Explains an atom once a page shows the structure and nothing is selected; its hint can be dismissed.

    Parameters
    ----------
    scene
        Says when a page shows the structure.
    focus
        Moves the camera to what is explained.
    """

    def __init__(self, scene: Scene, focus: Callable[[], None]) -> None:
        self._scene, self._explaining, self._focus = scene, scene.explaining, focus
        steps = joined((element("span", element("b", str(n)), " ", said) for n, said in enumerate(_STEPS, 1)), " ")
        dismiss = marked("×", "dismiss", 0, "Hide these hints")
        self.ui = Clickable(
            lambda _action, _number: self.dismiss(),
            value=element("div", steps, dismiss, css="symgnn-hint"),
        )
        scene.observe(self._begin, "shown")
        self._explaining.structure.observe(self._begin, "explainable")

    @property
    def dismissed(self) -> bool:
        """Whether the hints are hidden."""
        return bool(self.ui.layout.display == "none")

    def dismiss(self) -> None:
        """Hide the hints."""
        show(self.ui, seen=False)

    def _begin(self, _change: object) -> None:
        explaining = self._explaining
        ready = self._scene.shown and explaining.structure.explainable
        if not ready or explaining.selected.selection or not explaining.explain_on_click:
            return
        explaining.selected.select(worked_example(explaining.structure))
        explaining.observe(self._look, "explanation")
        explaining.explain()

    def _look(self, _change: object) -> None:
        self._explaining.unobserve(self._look, "explanation")
        if self._explaining.explanation is not None:
            self._focus()


def worked_example(structure: Structure) -> int:
    """Choose an atom with a low prediction near the middle, inside of what training covered if any is."""
    atoms, (values, _, domain) = structure.predicted_first
    covered = np.full(len(atoms), True) if domain is None else domain <= 1
    among = np.flatnonzero(covered | ~covered.any())
    low = atoms[among[np.argsort(values[among], kind="stable")][: max(1, int(LOWEST * len(among)))]]
    glass = structure.glass
    places = glass.fractional(wrapped_positions(glass)[low])
    return int(low[np.linalg.norm(places - 0.5, axis=1).argmin()])
