"""A film of the explanation turning round, or of the trajectory coloured by what is predicted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.export import NO_BROWSER, export_stem, free_stem, static_images_available
from symgnn_explain.export.film import FILM_FORMATS, NO_ENCODER, RATE, SECONDS, film_formats, write_film
from symgnn_explain.export.naming import slug, today
from symgnn_explain.plotting import neighbourhood_figure, trajectory_figures, turning_figures
from symgnn_explain.runs.markup import download, element, note
from symgnn_explain.runs.watch import Watch
from symgnn_widgets.panels.export import DEFAULT_FOLDER, LINKED_UP_TO
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.frames import Frames
from symgnn_widgets.state.jobs import Job, Reporter
from symgnn_widgets.views.controls import button, control, progress_bar

TURNING, FRAMES = "the explanation, turning round", "the frames, coloured by prediction"
_PREDICTING = 0.3  # of the whole work, where frames have to be predicted first


class FilmPanel:
    """Draws a film in the background, and shows it.

    Parameters
    ----------
    explaining
        What is shown.
    frames
        Of the trajectory; None where there is none.
    """

    def __init__(self, explaining: Explaining, frames: Frames | None) -> None:
        self._explaining, self._frames = explaining, frames
        kinds = [TURNING] if frames is None else [TURNING, FRAMES]
        self.kind = control(widgets.Dropdown, "Film of", "What the film shows", label=50, options=kinds)
        said = "How long it takes; frames of a trajectory are spread evenly over it"
        self.seconds = control(
            widgets.BoundedFloatText, "seconds", said, 130, label=60, value=SECONDS, min=0.5, max=60, step=0.5
        )
        names = [(suffix[1:].upper().replace("WEBP", "WebP"), suffix) for suffix in film_formats()]
        missing = "" if len(names) == len(FILM_FORMATS) else f". {NO_ENCODER}"
        self.format = control(
            widgets.Dropdown, "", f"GIF opens everywhere; WebP is smaller{missing}", 86, options=names
        )
        self.folder = control(widgets.Text, "to", "Folder that the film is written to", label=20, value=DEFAULT_FOLDER)
        self.write = button("Film", "film", "Draw the film; no file is replaced", self.start, 90)
        self.cancel = button("Cancel", "times", "Stop; nothing is written", self._stop, 84, disabled=True)
        self.bar = progress_bar(120)
        self.said = widgets.HTML()
        self.screen = widgets.Image(layout={"display": "none", "max_width": "100%", "object_fit": "contain"})
        self.job = Job(self._fail)
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.kind, self.seconds, self.format]),
                widgets.HBox([self.write, self.cancel, self.bar, self.folder]),
                self.said,
                self.screen,
            ]
        )
        if not static_images_available():
            self.write.disabled = True
            self.said.value = note(NO_BROWSER)
        self.job.observe(self._show_state, ["status", "progress"])

    def start(self, *, wait: bool = False) -> None:
        """Draw what is chosen, in the background unless ``wait``."""
        if self.job.running:
            return
        count, rate = round(RATE * self.seconds.value), RATE
        explanation, structure = self._explaining.explanation, self._explaining.structure
        folder, suffix = Path(self.folder.value).expanduser(), self.format.value
        frames = self._frames if self.kind.value == FRAMES else None
        if frames is None and explanation is None:
            self._say("There is nothing to film yet: explain an atom first.", wrong=True)
            return
        if frames is not None:
            numbers = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)).tolist()
            count, rate = len(numbers), len(numbers) / self.seconds.value
            stem = f"{slug(structure.glass.name)}_frames_{today()}"
        elif explanation is not None:
            k, stem = self._explaining.threshold.k, export_stem(explanation)
        path = folder / f"{free_stem(folder, f'{stem}_film')}{suffix}"

        def work(report: Reporter, cancel: threading.Event) -> Path:
            share = 0.0
            if frames is not None:
                share = _PREDICTING
                figures = _of_frames(frames, numbers, Watch(lambda done: report(share * done), cancel))
            elif explanation is not None:
                still = neighbourhood_figure(structure.glass, explanation, k=k, predictions=structure.predictions)
                figures = turning_figures(still, count)
            drawing = Watch(lambda done: report(share + (1 - share) * done), cancel)
            return write_film(figures, path, rate=rate, watch=drawing)

        self._say(f"Drawing {count} pictures …")
        self.job.start(work, self._show, wait=wait)

    def _stop(self) -> None:
        if self.job.cancel():
            self._say("Cancelled; nothing was written.")

    def _show_state(self, _change: object) -> None:
        running = self.job.running
        self.write.disabled, self.cancel.disabled = running, not running
        self.bar.value = self.job.progress if running else 0.0

    def _show(self, path: Path) -> None:
        blob = path.read_bytes()
        link = "" if len(blob) > LINKED_UP_TO else download(path.name, blob, "download")
        self.said.value = element("div", f"{path} ({len(blob) / 1e6:.1f} MB) ", link, css="symgnn-files")
        seen = path.suffix != ".mp4"
        if seen:
            self.screen.format, self.screen.value = path.suffix[1:], blob
        self.screen.layout.display = "" if seen else "none"

    def _fail(self, error: Exception) -> None:
        self.said.value = ""
        self._explaining.structure.fail("The film could not be made", error)

    def _say(self, sentence: str, *, wrong: bool = False) -> None:
        self.said.value = element("div", sentence, css="symgnn-error" if wrong else "symgnn-note")


def _of_frames(frames: Frames, numbers: Sequence[int], watch: Watch) -> list[go.Figure]:
    shown = []
    for place, number in enumerate(numbers):
        watch.advance(place / len(numbers))
        frame = frames.found(number, watch.cancel)
        shown.append((number, frame.glass, frame.values))
    if len(shown) < 2:
        raise InputError("one frame is no film: let it take longer.")
    return trajectory_figures(shown, frames.structure.target)
