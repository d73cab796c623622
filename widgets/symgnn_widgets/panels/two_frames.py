"""Two frames of a trajectory: who changed, and which displacements changed the selected atom."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from traitlets import Bool, HasTraits, Instance

from symgnn_explain.analysis.what_if import changes_between
from symgnn_explain.errors import InputError
from symgnn_explain.explain import PathContributions, path_contributions
from symgnn_explain.export import SEPARATOR, free_stem, write_table
from symgnn_explain.export.headings import with_units
from symgnn_explain.export.naming import slug, today
from symgnn_explain.plotting import displacement_figure
from symgnn_explain.plotting.arrows import drawn_arrows
from symgnn_explain.plotting.style import LOWERS, RAISES
from symgnn_explain.runs.markup import Markup, element, joined, note
from symgnn_explain.runs.tables import decimal_text
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import FloatArray
from symgnn_widgets.panels.edges import atom_link, html_table
from symgnn_widgets.panels.export import DEFAULT_FOLDER, file_link
from symgnn_widgets.panels.figure import IN_SPACE, ComputedFigure, shrink_scene
from symgnn_widgets.state.colours import channels_of
from symgnn_widgets.state.frames import Frames
from symgnn_widgets.state.jobs import Reporter
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.views.controls import button, control, tick
from symgnn_widgets.views.highlight import ARROW_RADIUS, ARROWS, Cylinders
from symgnn_widgets.views.table import Clickable
from symgnn_widgets.views.tabs import Seen

LISTED = 40
"""Atoms in each table."""

_PREDICTED = ("prediction_before", "prediction", "change")
_EMPTY = "Select an atom that changed, then ask which displacements did it."


class TwoFrames(Seen, HasTraits):
    """Compares the frame of the slider with another one; atoms are coloured by what changed while somebody looks.

    Parameters
    ----------
    frames
        The trajectory.
    selected
        Whose selected atom's change is split among displacements.
    height
        Of the figure, pixels.
    """

    found = Instance(PathContributions, allow_none=True, help="what displacements contributed, of the selected atom")
    in_view = Bool(False, help="whether they are drawn in the 3D view")

    def __init__(self, frames: Frames, selected: Selection, height: int) -> None:
        super().__init__()
        self._frames, self._selected = frames, selected
        self.changes: pd.DataFrame | None = None
        """Of all atoms, those first that changed most; None while a frame is not predicted."""
        last = len(frames) - 1
        sliders = (
            ("From", "Frame that is compared with", "since"),
            ("to", "Frame that is shown in 3D, coloured by what changed", "number"),
        )
        self.since, self.number = (
            control(widgets.IntSlider, name, said, label=36, min=0, max=last, sets=(frames, trait))
            for name, said, trait in sliders
        )
        said = "Split the change of the selected atom's prediction among the displacements between the two frames"
        self.split = button("Which displacements?", "arrows", said, self.start, 190)
        self.cancel = button("Cancel", "times", "Stop splitting the change", self._stop, 84, disabled=True)
        said = "Draw the displacements in the 3D view as well: orange raised the prediction, blue lowered it"
        self.in_view_box = tick("in the 3D view too", said, {}, sets=(self, "in_view"))
        said = f"Write both tables, of all atoms, as CSV files in {DEFAULT_FOLDER}"
        self.save_button = button("Save tables", "download", said, self.save, 126)
        self.said, self.saved = widgets.HTML(), widgets.HTML()
        scrolling = {"overflow": "auto", "min_width": "0", "max_height": "160px"}
        self.table, self.displacements = (
            Clickable(lambda _action, atom: selected.look_at(atom), layout={"flex": f"{share} 1 0", **scrolling})
            for share in (1.4, 1.0)
        )
        structure = frames.structure
        self.figure = ComputedFigure(
            height,
            IN_SPACE | {"t": 0, "b": 16},
            structure,
            "The change could not be split",
            empty=_EMPTY,
            on_click=selected.look_at,
        )
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.since, self.number]),
                widgets.HBox([self.split, self.cancel, self.save_button, self.in_view_box]),
                self.said,
                self.saved,
                widgets.HBox([self.table, self.displacements]),
                self.figure.bar,
                self.figure.ui,
            ]
        )
        frames.observe(self._compare, ["number", "since", "arrivals"])
        selected.observe(self._forget, "selected_atom")
        self.figure.on_running(lambda running: self._show_state(running=running))

    def activate(self, *, active: bool) -> None:
        """Colour by what changed, and predict both frames, while somebody looks."""
        self._frames.comparing = active
        super().activate(active=active)

    def update(self, _change: object = None) -> None:
        """List what changed, if somebody looks."""
        if not self.active:
            self._stop()
            return
        if self._frames.compared is None and not self._frames.job.running:
            self._frames.predict_ahead()
        self._compare()

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the displacements, where they are known."""
        return {} if self.found is None else {"displacements": displacement_figure(self.found)}

    def save(self) -> list[Path]:
        """Write what is listed, of all atoms, as CSV files under names that no file has."""
        frames, found, folder = self._frames, self.found, Path(DEFAULT_FOLDER)
        target = frames.structure.predictor.target
        tables = {} if self.changes is None else {"changes": with_units(self.changes, target, _PREDICTED)}
        if found is not None:
            tables[f"displacements-of-atom{found.atom}"] = with_units(found.to_frame(), target, ["contribution"])
        name = f"{slug(frames.structure.glass.name)}_frames{frames.since}to{frames.number}_{today()}"
        stem = free_stem(folder, name)
        try:
            files = [write_table(table, folder / f"{stem}{SEPARATOR}{what}.csv") for what, table in tables.items()]
        except (InputError, OSError) as error:
            frames.structure.fail("The tables could not be saved", error)
            return []
        links = joined(map(file_link, files), " · ")
        self.saved.value = element("div", f"{folder / stem}{SEPARATOR}… ", links, css="symgnn-files")
        return files

    def start(self, *, wait: bool = False) -> None:
        """Split the change of the selected atom's prediction, in the background unless ``wait``."""
        atom, pair, predictor = self._selected.selected_atom, self._frames.compared, self._frames.structure.predictor
        if atom is None or pair is None:
            self._frames.structure.error = "Choose two frames that are predicted, and select an atom."
            return
        self.found = None
        first, second = pair

        def work(report: Reporter, cancel: threading.Event) -> PathContributions:
            known, watch = (first.said, second.said), Watch(report, cancel)
            return path_contributions(predictor, first.glass, second.glass, atom, known=known, watch=watch)

        self.figure.compute(work, self._keep, wait=wait)

    def arrows(self, place: Callable[[int], FloatArray]) -> Cylinders | None:
        """Start, end, colour and radius of the displacements, where they are wanted in the 3D view.

        Parameters
        ----------
        place
            Tells where an atom is drawn, shape (3,), Å.
        """
        found = self.found
        if found is None or not self.in_view:
            return None
        table = found.to_frame(ARROWS)
        rows = table["atom"].to_numpy()
        start = place(found.atom) - found.displacement[found.atom] + found.start.displacements_from(found.atom)[rows]
        raised = (table["contribution"] > 0).to_numpy()[:, None]
        colour = np.where(raised, channels_of(RAISES), channels_of(LOWERS)) / 255.0
        return start, start + drawn_arrows(found.displacement[rows]), colour, np.full(len(rows), ARROW_RADIUS)

    def _stop(self) -> None:
        self.figure.stop()

    def _compare(self, _change: object = None) -> None:
        """List who changed, and forget what was split of other frames."""
        frames, pair = self._frames, self._frames.compared
        found = self.found
        if found is not None and (pair is None or (found.start, found.end) != (pair[0].glass, pair[1].glass)):
            self._forget()
        if not self.active:
            return
        if pair is None:
            self.changes, self.table.value = None, note("The frames are being predicted …")
            return
        first, second = pair
        try:
            self.changes = changes_between(
                frames.structure.predictor, first.glass, second.glass, known=(first.said, second.said)
            )
        except InputError as error:
            self.changes, self.table.value = None, element("div", str(error), css="symgnn-error")
            return
        self.table.value = self._changed(self.changes)

    def _changed(self, changes: pd.DataFrame) -> Markup:
        frames = self._frames
        symbols, target = frames.structure.glass.symbols, frames.structure.target
        rows = [
            (
                place + 1,
                atom_link(int(row["atom"]), symbols),
                target.number(row["prediction_before"]),
                target.number(row["prediction"]),
                target.number(row["change"], sign=True),
                f"{row['moved']:.2f}",
                "–" if np.isnan(row["domain"]) else f"{max(row['domain_before'], row['domain']):.2f}",
            )
            for place, row in enumerate(changes.head(LISTED).to_dict("records"))
        ]
        before, after = f"frame {frames.since}", f"frame {frames.number}"
        said = "the larger score of the two; above 1 lies outside of what training covered"
        outside = element("span", "Domain", title=said)
        head = target.axis("Predictions that change most")
        table = html_table(("#", "Atom", before, after, "change", "moved (Å)"), outside, rows)
        return joined([note(head), table])

    def _keep(self, found: PathContributions) -> None:
        if found.atom != self._selected.selected_atom:
            return
        self.found = found
        warning = element("div", found.warning, css="symgnn-warning") if found.warning else ""
        said = f"Atom {found.atom}, frame {self._frames.since} to {self._frames.number}: {found}."
        self.said.value = joined([element("div", said), warning])
        symbols = found.start.symbols
        rows = [
            (
                row["rank"],
                atom_link(row["atom"], symbols),
                f"{row['distance']:.2f}",
                f"{row['moved']:.2f}",
                decimal_text(row["contribution"], 4, sign=True),
            )
            for row in found.to_frame(LISTED).to_dict("records")
        ]
        unit = found.quantity.unit or found.quantity.word
        table = html_table(("#", "Atom", "away (Å)", "moved (Å)"), unit, rows)
        self.displacements.value = joined(
            [note("Displacements that contributed most: orange raised it, blue lowered it"), table]
        )
        figure = displacement_figure(found).update_layout(title={"text": ""}, showlegend=False, uirevision=found.atom)
        self.figure.show(shrink_scene(figure))

    def _forget(self, _change: object = None) -> None:
        self._stop()
        self.found, self.said.value, self.displacements.value = None, "", ""
        self.figure.clear()

    def _show_state(self, *, running: bool) -> None:
        self.split.disabled, self.cancel.disabled = running, not running
