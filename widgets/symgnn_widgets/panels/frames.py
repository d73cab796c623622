"""The frames of a trajectory: a slider, values of the selected atoms against time, and what lies between them."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go

from symgnn_explain.plotting.frames import frames_figure
from symgnn_explain.runs.markup import note
from symgnn_explain.structure.measure import Measurement, measure
from symgnn_explain.structure.moments import moment_of, moments_of
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.state.frames import Frame, Frames
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.views.controls import HIDDEN, button, control, progress_bar, show
from symgnn_widgets.views.tabs import Seen

MOST_CURVES = 5
MOST_REDRAWN = 20
"""Frames that are drawn as they arrive; then the figure follows each so many."""

DEFAULT_WITHIN = 3.8
"""Distance (Å) up to which atoms are counted as neighbours, where the network names no cut-off."""

INTERVAL = 200
"""Milliseconds between two frames of a film."""


class FramesPanel(Seen):
    """Shows the frame of the slider in 3D, coloured by its predictions; explanations stay those of the frame opened.

    Parameters
    ----------
    frames
        The trajectory.
    selected
        The atoms whose curves are drawn.
    height
        Of the figure, pixels.
    open_frame
        Called to explain the frame that is looked at.
    """

    def __init__(self, frames: Frames, selected: Selection, height: int, open_frame: Callable[[], object]) -> None:
        self._frames, self._selected = frames, selected
        self._within = float(frames.structure.predictor.cutoff or DEFAULT_WITHIN)
        self._known_for: tuple[int, ...] = ()
        self._measurements: dict[int, Measurement | None] = {}
        last = len(frames) - 1
        said = "Frame that is shown in 3D, coloured by its predictions"
        sets = (frames, "number")
        self.slider = control(widgets.IntSlider, "Frame", said, label=45, min=0, max=last, sets=sets)
        self.play = widgets.Play(min=0, max=last, value=frames.number, interval=INTERVAL, layout={"width": "150px"})
        widgets.link((self.play, "value"), (self.slider, "value"))
        self.open = button(
            "Explain this frame", "crosshairs", "Open the frame: explain and analyse it", open_frame, 168
        )
        self.bar = progress_bar({"width": "auto", **HIDDEN})
        self.note = widgets.HTML()
        margin = {"l": 60, "r": 60, "t": 30, "b": 50}
        empty = "Select up to five atoms: their predictions are drawn against time."
        self.figure = FigurePanel(height, margin, empty=empty, on_click=self._look_at)
        self.ui = widgets.VBox([widgets.HBox([self.play, self.slider, self.open]), self.bar, self.note, self.figure.ui])
        frames.observe(self.update, "number")
        frames.observe(self._take_in, "arrivals")
        frames.job.observe(self._show_progress, ["status", "progress"])
        selected.observe(self.update, ["selection", "selected_atom"])
        self._say()

    def activate(self, *, active: bool) -> None:
        """Predict the frames once somebody looks."""
        super().activate(active=active)
        if active and not self._frames.job.running:
            self._frames.predict_ahead()

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the curves, where there are any."""
        return {"frames": self._figure()} if self.figure.figure.data else {}

    def update(self, _change: object = None) -> None:
        """Draw the curves of what is known, if somebody looks."""
        self._say()
        if not self.active:
            return
        if self._selected.selection:
            self.figure.show(self._figure().update_layout(title={"text": ""}))
        else:
            self.figure.clear()

    def _figure(self) -> go.Figure:
        frames, known, atoms = self._frames, self._frames.known, self._selected.selection
        symbols, target = frames.structure.glass.symbols, frames.structure.target
        values = {
            f"{symbols[atom]} {atom}": np.array([each.values[atom] for each in known]) for atom in atoms[:MOST_CURVES]
        }
        found = [self._measured(each) for each in known]
        measured = {}
        if found[0] is not None:
            name = f"{found[0].name} ({found[0].unit})".removesuffix(" ()")
            measured = {name: np.array([each.value for each in found if each is not None])}
        label = target.axis(f"Predicted {target.word}")
        numbers, moments = [each.number for each in known], moments_of([each.glass for each in known])
        return frames_figure(numbers, values, label, shown=frames.number, measured=measured, moments=moments)

    def _measured(self, frame: Frame) -> Measurement | None:
        """Measure the selected atoms in a frame, once."""
        atoms = self._selected.selection
        if self._known_for != atoms:
            self._known_for, self._measurements = atoms, {}
        if frame.number not in self._measurements:
            self._measurements[frame.number] = measure(frame.glass, atoms, within=self._within)
        return self._measurements[frame.number]

    def _say(self) -> None:
        frames = self._frames
        shown = frames.present
        self.open.disabled = frames.number == frames.home or shown is None
        parts = [f"{len(frames.known)} of {len(frames)} frames predicted"]
        moment = None if shown is None else moment_of(shown.glass)
        if moment is not None:
            parts.append(f"frame {frames.number} is {moment}")
        if shown is None:
            parts.append(f"frame {frames.number} is being predicted")
        elif frames.number != frames.home:
            parts.append(f"explanations are of frame {frames.home}")
        measured = None if shown is None else self._measured(shown)
        if measured is not None:
            parts.append(str(measured))
        self.note.value = note("; ".join(parts) + ".")

    def _take_in(self, _change: object) -> None:
        """Draw on with what has arrived, not each time."""
        if self._frames.arrivals < MOST_REDRAWN or self._frames.arrivals % MOST_REDRAWN == 0:
            self.update()

    def _look_at(self, frame: int) -> None:
        self._frames.number = frame

    def _show_progress(self, _change: object) -> None:
        self.bar.value = self._frames.job.progress
        show(self.bar, seen=self._frames.job.running)
        if not self._frames.job.running:
            self.update()
