"""A figure of the toolkit in the little room of a panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go

from symgnn_widgets.state.jobs import Job, Result, Work
from symgnn_widgets.state.structure import Structure
from symgnn_widgets.views.controls import HIDDEN, progress_bar, show
from symgnn_widgets.views.figure import FigureView

SMALL_LABELS = {"title": {"font": {"size": 11}}, "tickfont": {"size": 9}}
"""Of the axes of a small figure in space."""

SMALL_AXIS = {"title": {"font": {"size": 12}, "standoff": 4}, "tickfont": {"size": 11}}
"""Of an axis of a small figure in the plane."""

BOX_SHRINKAGE = 0.88
"""Of the box of a small figure in space: its tick labels, which stand around it, do not shrink."""

IN_SPACE = {"l": 0, "r": 0, "t": 34, "b": 0}
"""Margin of a figure in space."""

LEAST_HEIGHT = 240
"""Of a figure, pixels: where there is less room, its tab scrolls."""

_NOTHING = go.Figure()

EMPTY_NOTE = "Explain an atom to see this."
BEING_COMPUTED = "Being computed …"


def small_axes(figure: go.Figure) -> dict[str, Any]:
    """Lay out the axes of a figure in space whose aspect ratio is given, so that their labels have room."""
    sides = {side: BOX_SHRINKAGE * figure.layout.scene.aspectratio[side] for side in "xyz"}
    return {"xaxis": SMALL_LABELS, "yaxis": SMALL_LABELS, "zaxis": SMALL_LABELS, "aspectratio": sides}


def shrink_scene(figure: go.Figure) -> go.Figure:
    """Make room for the labels of a figure in space whose aspect ratio is given."""
    return figure.update_layout(scene=small_axes(figure))


class FigurePanel:
    """Shows one figure at a time.

    Parameters
    ----------
    height
        That the figure was designed for, pixels; it takes the room that there is.
    margin
        Around the plot, pixels by side (``l``, ``r``, ``t``, ``b``).
    empty
        What is said where there is no figure.
    options
        Of :class:`~symgnn_widgets.views.figure.FigureView`: what clicks do, and what turns with it.
    """

    def __init__(self, height: int, margin: dict[str, int], *, empty: str = EMPTY_NOTE, **options: Any) -> None:
        self.height = height
        self.margin = margin
        layout = {"width": "100%", "flex": f"1 1 {height}px", "min_height": f"{min(height, LEAST_HEIGHT)}px"}
        self.ui = FigureView(note=empty, layout=layout, **options)
        self.figure = _NOTHING

    def clear(self) -> None:
        """Show that there is nothing to show yet."""
        self.figure = _NOTHING
        self.ui.clear()

    def compact(self, figure: go.Figure) -> go.Figure:
        """Fit a figure that was drawn for a page of its own in here, and return it; may be called in a thread."""
        legends = {name: {"font": {"size": 10}} for name in figure.layout if name.startswith("legend")}
        figure.update_layout(
            {"font": {"size": 11}, "title": {"font": {"size": 13}}, "margin": self.margin, **legends},
            modebar={"orientation": "v"},  # beside titles and legends, not over them
            width=None,
            height=self.height,
        )
        figure.update_xaxes(SMALL_AXIS)
        figure.update_yaxes(SMALL_AXIS)
        for note in figure.layout.annotations:
            note.font.size = min(note.font.size or 12, 12)
        return figure

    def put(self, compact: go.Figure) -> None:
        """Show what :meth:`compact` returned."""
        self.figure = compact
        self.ui.show(compact)

    def show(self, figure: go.Figure) -> None:
        """Show ``figure``, which was drawn for a page of its own, and is fitted into the panel."""
        self.put(self.compact(figure))


class ComputedFigure(FigurePanel):
    """A figure that is computed in the background, with a bar for work that says how far it is.

    Parameters
    ----------
    height, margin, options
        Of :class:`FigurePanel`.
    structure
        Told what goes wrong.
    failed
        What is said then: "The … could not be …".
    """

    def __init__(self, height: int, margin: dict[str, int], structure: Structure, failed: str, **options: Any) -> None:
        super().__init__(height, margin, **options)
        self._empty = self.ui.note
        self.bar = progress_bar({"width": "auto", **HIDDEN})
        self._structure, self._failed = structure, failed
        self._job = Job(self._fail)
        self._job.observe(self._show_progress, ["status", "progress"])

    def compute(self, work: Work[Result], then: Callable[[Result], None], *, wait: bool = False) -> None:
        """Start the work in place of what is running, here and now where ``wait``; call ``then`` with its result."""
        self._job.start(work, then, wait=wait)

    def on_running(self, handler: Callable[[bool], None]) -> None:
        """Call ``handler`` with whether the work is under way, when that changes."""
        self._job.observe(lambda _change: handler(self._job.running), "status")

    def stop(self) -> None:
        """Stop the work, and drop what it would still deliver."""
        self._job.cancel()

    def _show_progress(self, _change: object) -> None:
        # Work that is over in a moment says nothing of itself.
        self.ui.note = BEING_COMPUTED if self._job.running else self._empty
        self.bar.value = self._job.progress
        show(self.bar, seen=self._job.running and self._job.progress > 0)

    def _fail(self, error: Exception) -> None:
        self.clear()
        self._structure.fail(self._failed, error)
