"""Figures and data to files."""

from __future__ import annotations

import base64
import html
import itertools
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import ipywidgets as widgets
import pandas as pd

from symgnn_explain.analysis import CycleComparison, shell_analysis
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.export import NO_BROWSER, static_images_available, write_figures, write_table
from symgnn_explain.files import write_atomically
from symgnn_explain.glass import FloatArray, Glass
from symgnn_explain.plotting.cycles import cycle_figure
from symgnn_explain.plotting.distances import distance_figure
from symgnn_explain.plotting.neighbourhood import neighbourhood_figure
from symgnn_widgets.jobs import Progress, Worker
from symgnn_widgets.session import Session, as_sentence

DEFAULT_FOLDER = "out/explorer"
LINKED_UP_TO = 2_000_000
"""Files up to this size (bytes) get a link that downloads them through the browser."""

SEPARATOR = "."
"""Between the name of an export and what a file of it holds."""

_FORMATS = {"html": True, "png": True, "svg": False, "json": True, "csv": True}
PICTURES = ("png", "svg")


@dataclass(frozen=True, eq=False)
class Shown:
    """What the explorer showed when its export was asked for."""

    glass: Glass
    barriers: FloatArray
    explanation: AtomExplanation
    cycles: CycleComparison | None
    k: int

    @property
    def stem(self) -> str:
        """Name of the export: glass, atom, method and date."""
        day = datetime.now().astimezone().date().isoformat()
        return f"{_slug(self.glass.name)}_atom{self.explanation.atom}_{self.explanation.method}_{day}"


class Export:
    """Writes what is shown to a folder, under names that say glass, atom, method and date; never over another file."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.formats = {
            name: widgets.Checkbox(value=wanted, description=name.upper(), indent=False, layout={"width": "64px"})
            for name, wanted in _FORMATS.items()
        }
        self.view = widgets.Checkbox(value=True, description="3D view", indent=False, layout={"width": "86px"})
        self.folder = widgets.Text(
            value=DEFAULT_FOLDER,
            description="to",
            layout={"width": "auto", "min_width": "0", "flex": "1 1 0"},
            style={"description_width": "20px"},
        )
        self.write = widgets.Button(
            description="Export", icon="download", disabled=True, layout={"width": "90px", "flex": "0 0 auto"}
        )
        self.result = widgets.HTML()
        ticks = widgets.HBox([*self.formats.values(), self.view], layout={"flex_flow": "row wrap"})
        self.ui = widgets.VBox([ticks, widgets.HBox([self.write, self.folder]), self.result])
        self.files: list[Path] = []
        self._worker: Worker[list[Path]] = Worker(self._advance, self._finish, self._fail)
        self._view_path: Path | None = None
        if not static_images_available():
            for name in PICTURES:
                self.formats[name].value, self.formats[name].disabled = False, True
                self.formats[name].tooltip = NO_BROWSER
        self.write.on_click(lambda _button: self.start())
        session.observe(self._enable, "explanation")
        session.observe(self._keep_view, "picture")

    def start(self, *, wait: bool = False) -> list[Path]:
        """Write everything that is ticked, in the background unless ``wait``; returns the files written so far."""
        session = self.session
        if session.explanation is None:
            session.error = "There is nothing to export yet: explain an atom first."
            return []
        suffixes = [name for name, box in self.formats.items() if box.value]
        if not suffixes:
            session.error = "Nothing is ticked: choose at least one format to export."
            return []
        shown = Shown(session.glass, session.barriers, session.explanation, session.cycles, session.k)
        folder = Path(self.folder.value).expanduser()
        session.error = ""
        self.write.disabled = True
        self.files = []

        def work(progress: Progress, _cancel: threading.Event) -> list[Path]:
            return write_shown(shown, folder, suffixes, progress)

        self._worker.start(work, wait=wait)
        return self.files

    def _enable(self, _change: object = None) -> None:
        self.write.disabled = self.session.explanation is None

    def _advance(self, fraction: float) -> None:
        self.result.value = f'<div class="symgnn-note">Writing … {fraction:.0%}</div>'

    def _finish(self, written: list[Path]) -> None:
        self._enable()
        self.files = written
        self._list_files()
        if self.view.value and self.session.shown and written:
            stem = written[0].name.split(SEPARATOR)[0]
            self._view_path = written[0].with_name(f"{stem}{SEPARATOR}view.png")
            self.session.picture_wanted = True

    def _keep_view(self, _change: object) -> None:
        if self._view_path is not None and self.session.picture:
            self.files = [*self.files, write_atomically(self._view_path, self.session.picture)]
            self._view_path = None
            self._list_files()

    def _list_files(self) -> None:
        stem = self.files[0].parent / self.files[0].name.split(SEPARATOR)[0]
        links = " · ".join(map(_link, self.files))
        self.result.value = f'<div class="symgnn-files">{html.escape(str(stem))}{SEPARATOR}… {links}</div>'

    def _fail(self, error: Exception) -> None:
        self._enable()
        self.result.value = ""
        self.session.error = as_sentence("The export failed", error)


def write_shown(shown: Shown, folder: Path, suffixes: Sequence[str], progress: Progress) -> list[Path]:
    """Write data (``json``, ``csv``) and figures (``html``, ``png``, ``svg``) under a name that no file there has.

    Raises
    ------
    InputError
        If a picture is asked for and there is no browser to draw it, or no atom but the explained one is important.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = free_stem(folder, shown.stem)
    explanation, glass, barriers, k = shown.explanation, shown.glass, shown.barriers, shown.k

    def named(what: str, suffix: str) -> Path:
        return folder / f"{stem}{SEPARATOR}{what}.{suffix}"

    shells = shell_analysis(explanation, glass, k)
    tables = {
        "edges": explanation.top_edges(len(explanation)),
        "atoms": shells.atoms_frame(),
        "shells": shells.to_frame(),
        "barriers": pd.DataFrame(
            {"atom": range(len(glass)), "species": glass.symbols, "predicted_barrier_eV": barriers}
        ),
    }
    figures = {
        "neighbourhood": neighbourhood_figure(glass, explanation, k=k, barriers=barriers),
        "distances": distance_figure(shells),
    }
    if shown.cycles is not None:
        tables["cycles"] = shown.cycles.to_frame()
        figures["cycles"] = cycle_figure(shown.cycles)
    written = []
    if "json" in suffixes:
        written.append(explanation.save(named("explanation", "json")))
    if "csv" in suffixes:
        written += [write_table(table, named(name, "csv")) for name, table in tables.items()]
    progress(0.3)
    drawn = [suffix for suffix in ("html", *PICTURES) if suffix in suffixes]
    return written + write_figures(
        {named(name, suffix): figure for name, figure in figures.items() for suffix in drawn}
    )


def free_stem(folder: Path, stem: str) -> str:
    """``stem``, or ``stem_2`` and so on where the folder already holds an export of that name."""
    taken = {path.name.split(SEPARATOR)[0] for path in folder.iterdir()} if folder.is_dir() else set()
    candidates = (stem if number == 1 else f"{stem}_{number}" for number in itertools.count(1))
    return next(candidate for candidate in candidates if candidate not in taken)


def _slug(name: str) -> str:
    return re.sub(r"[^\w]+", "-", name).strip("-") or "glass"


def _link(path: Path) -> str:
    name = html.escape(path.name.split(SEPARATOR, 1)[1])
    if path.stat().st_size > LINKED_UP_TO:
        return name
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<a download="{html.escape(path.name)}" href="data:application/octet-stream;base64,{content}">{name}</a>'
