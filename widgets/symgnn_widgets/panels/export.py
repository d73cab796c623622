"""Figures, data and the 3D view to files."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.export import (
    NO_BROWSER,
    PIXEL_RATIO,
    SEPARATOR,
    Findings,
    PictureError,
    export_stem,
    free_stem,
    static_images_available,
    write_explained_glass,
    write_explanation,
    write_figures,
    write_graph,
    write_report,
    write_table,
)
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.markup import Markup, download, element, joined, note
from symgnn_explain.saddles import AtomBarrier
from symgnn_widgets.state.cycles import CycleCount
from symgnn_widgets.state.jobs import Job, Progress, Work
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.state.structure import NOT_YET
from symgnn_widgets.views.controls import button, control, tick

DEFAULT_FOLDER = "out/explorer"
NOTHING_YET = note("What is exported is an explanation: click an atom, or press Explain.")
LINKED_UP_TO = 3_000_000
"""Files up to this size (bytes) get a link that downloads them through the browser."""

PICTURES = ("png", "svg", "pdf")
_FORMATS = {
    "html": ("HTML", True, "Every figure as a page that needs no network"),
    "png": ("PNG", True, "Every figure as a picture, at the chosen resolution"),
    "svg": ("SVG", False, "Every figure as a drawing that scales"),
    "pdf": ("PDF", False, "Every figure as a drawing that scales, for LaTeX"),
    "json": ("JSON", True, "The whole explanation, which AtomExplanation.load reads, and a summary"),
    "csv": ("CSV", True, "Tables: edges, atoms, shells, predictions, fidelity"),
    "extxyz": ("extXYZ", False, "The glass with prediction, importance and hop of every atom, for OVITO and ASE"),
    "graphml": ("GraphML", False, "The most important edges as a graph, for networkx, Gephi and yEd"),
}
_VIEW = {
    "png": ("3D view PNG", True, "What the 3D view shows now, at twice its size"),
    "html": ("3D view HTML", False, "The 3D view as a page that turns and needs no network"),
}
_RATIOS = [(f"{ratio} × pixels", float(ratio)) for ratio in (1, 2, 3, 4)]


class Export:
    """Writes what is shown to a folder, under names that say glass, atom, method and date; never over another file.

    Parameters
    ----------
    counting
        What is shown.
    scene
        Asked for a picture.
    structure_page
        Makes a page of the 3D view, given its title.
    figures
        Draws what the panels show beside the figures of the explanation, at the size of a page, by name.
    barrier
        What was computed for an atom: the report sets what moves at its saddle points beside what matters.
    """

    def __init__(
        self,
        counting: CycleCount,
        scene: Scene,
        structure_page: Callable[[str], str],
        figures: Callable[[], Mapping[str, go.Figure]] = dict,
        barrier: Callable[[int], AtomBarrier | None] = lambda _atom: None,
    ) -> None:
        self._counting, self._scene = counting, scene
        self._explaining = explaining = counting.explaining
        self._structure = explaining.structure
        self.structure_page = structure_page
        self.figures, self.barrier = figures, barrier
        self.formats, self.view = (
            {
                name: tick(said, tooltip, {"width": "auto", "margin": "0 8px 0 0"}, value=ticked)
                for name, (said, ticked, tooltip) in described.items()
            }
            for described in (_FORMATS, _VIEW)
        )
        said = "Resolution of PNG figures"
        self.ratio = control(widgets.Dropdown, "", said, 100, options=_RATIOS, value=PIXEL_RATIO)
        said = "Folder that the files are written to; made where it is missing"
        self.folder = control(widgets.Text, "to", said, label=20, value=DEFAULT_FOLDER)
        said = "Write everything that is ticked; no file is replaced"
        self.write = button("Export", "download", said, self.start, 90, disabled=True)
        said = "One page with sentence, warnings, figures, tables and settings, that needs no network"
        self.report = button("Report", "file-text-o", said, self.start_report, 90, disabled=True)
        target = self._structure.target
        columns = f"{target.predicted_array}, {target.spread_array}, domain, importance, hop, is_target"
        said = (
            f"Open in OVITO: write the glass as extended XYZ, with {columns} (and contribution, where scores are "
            "signed) of every atom as columns, and show the command that opens it: colour by any of them"
        )
        self.ovito = button("OVITO", "cube", said, self.start_ovito, 90, disabled=True)
        self.result = widgets.HTML(NOTHING_YET)
        ticks = [*self.formats.values(), *self.view.values(), self.ratio]
        self.ui = widgets.VBox(
            [
                widgets.HBox(ticks, layout={"flex_flow": "row wrap"}),
                widgets.HBox([self.write, self.report, self.ovito, self.folder]),
                self.result,
            ]
        )
        self.files: list[Path] = []
        self._job = Job(self._fail)
        self._view_path: Path | None = None
        self._missing = ""
        if not static_images_available():
            for name in PICTURES:
                self.formats[name].value, self.formats[name].disabled = False, True
                self.formats[name].tooltip = NO_BROWSER
        self._job.observe(self._advance, "progress")
        explaining.observe(self._enable, "explanation")
        scene.observe(self._keep_view, "picture")

    def start(self, *, wait: bool = False) -> list[Path]:
        """Write everything that is ticked, in the background unless ``wait``; returns the files written so far."""
        suffixes = [name for name, box in self.formats.items() if box.value]
        problem = ""
        if self._explaining.explanation is None:
            problem = "There is nothing to export yet: explain an atom first."
        elif not self._structure.predicted and not wait:
            problem = NOT_YET
        elif not suffixes and not any(box.value for box in self.view.values()):
            problem = "Nothing is ticked: choose at least one format to export."
        elif not suffixes and not self.view["html"].value and not self._scene.shown:
            problem = "No page shows the 3D view, so there is no picture of it: tick another format."
        self._structure.error = problem
        if problem:
            return []
        findings, stem = self._findings()
        try:
            further = self.figures() if any(name in suffixes for name in ("html", *PICTURES)) else {}
            page = self.structure_page(_title(findings)) if self.view["html"].value else None
        except InputError as error:
            self._fail(error)
            return []
        view_path = _named(stem, "view", "png") if self.view["png"].value and self._scene.shown else None
        ratio = self.ratio.value
        pictures = [suffix for suffix in suffixes if suffix in PICTURES]
        others = [suffix for suffix in suffixes if suffix not in PICTURES]

        def work(progress: Progress, _cancel: threading.Event) -> list[Path]:
            written = write_findings(findings, stem, others, further, pixel_ratio=ratio, progress=progress)
            if page is not None:
                written.append(write_atomically(_named(stem, "view", "html"), page.encode()))
            try:
                written += write_findings(findings, stem, pictures, further, pixel_ratio=ratio, progress=progress)
            except PictureError as error:  # all else is written by then, and stays
                self._missing = f"Pictures are missing. {error.__cause__ or error}"
            return written

        return self._run(work, view_path, wait=wait)

    def start_report(self, *, wait: bool = False) -> list[Path]:
        """Write the report of what is shown, in the background unless ``wait``; returns the files written so far."""
        problem = ""
        if self._explaining.explanation is None:
            problem = "There is nothing to report yet: explain an atom first."
        elif not self._structure.predicted and not wait:
            problem = NOT_YET
        self._structure.error = problem
        if problem:
            return []
        findings, stem = self._findings()
        findings = replace(findings, barrier=self.barrier(findings.explanation.atom))
        weights = self._structure.predictor.weights_sha256

        def work(_progress: Progress, _cancel: threading.Event) -> list[Path]:
            return [write_report(findings, _named(stem, "report", "html"), weights_sha256=weights)]

        return self._run(work, None, wait=wait)

    def start_ovito(self, *, wait: bool = False) -> list[Path]:
        """Write the explained glass for OVITO, in the background unless ``wait``; returns the files written so far."""
        if self._explaining.explanation is None:
            self._structure.error = "There is nothing for OVITO yet: explain an atom first."
            return []
        self._structure.error = ""
        findings, stem = self._findings()

        def work(progress: Progress, _cancel: threading.Event) -> list[Path]:
            return write_findings(findings, stem, ["extxyz"], {}, pixel_ratio=PIXEL_RATIO, progress=progress)

        return self._run(work, None, wait=wait)

    def _run(self, work: Work[list[Path]], view_path: Path | None, *, wait: bool) -> list[Path]:
        self.write.disabled = self.report.disabled = self.ovito.disabled = True
        self.files, self._view_path, self._missing = [], view_path, ""
        self._job.start(work, self._finish, wait=wait)
        return self.files

    def _findings(self) -> tuple[Findings, Path]:
        """Return what is shown, and how the names of its files begin."""
        structure, explanation = self._structure, self._explaining.explanation
        if explanation is None:
            raise LookupError("nothing is explained")
        findings = Findings(
            structure.glass,
            structure.predictions,
            explanation,
            self._explaining.threshold.k,
            self._counting.cycles,
            structure.spread,
            structure.domain,
            self._scene.interactions,
        )
        folder = Path(self.folder.value).expanduser()
        return findings, folder / free_stem(folder, export_stem(explanation))

    def _enable(self, _change: object = None) -> None:
        for each in (self.write, self.report, self.ovito):
            each.disabled = self._explaining.explanation is None
        if self.result.value in {"", NOTHING_YET}:
            self.result.value = NOTHING_YET if self.write.disabled else ""

    def _advance(self, _change: object) -> None:
        if self._job.running:
            self.result.value = note(f"Writing … {self._job.progress:.0%}")

    def _finish(self, written: list[Path]) -> None:
        self._enable()
        self.files = written
        self._list_files()
        self._structure.error = self._missing
        if self._view_path is not None:
            self._scene.picture_wanted = True

    def _keep_view(self, _change: object) -> None:
        if self._view_path is not None and self._scene.picture:
            self.files = [*self.files, write_atomically(self._view_path, self._scene.picture)]
            self._view_path = None
            self._list_files()

    def _list_files(self) -> None:
        if not self.files:
            self.result.value = ""
            return
        stem = self.files[0].parent / self.files[0].name.split(SEPARATOR)[0]
        links = joined(map(file_link, self.files), " · ")
        commands = [f"ovito {shlex.quote(str(path.absolute()))}" for path in self.files if path.suffix == ".extxyz"]
        opening = [element("div", "In OVITO: ", element("code", command)) for command in commands]
        self.result.value = element("div", f"{stem}{SEPARATOR}… ", links, *opening, css="symgnn-files")

    def _fail(self, error: Exception) -> None:
        self._enable()
        self.result.value = ""
        self._structure.fail("The export failed", error)


def write_findings(
    findings: Findings,
    stem: Path,
    suffixes: Sequence[str],
    further: Mapping[str, go.Figure],
    *,
    pixel_ratio: float,
    progress: Progress,
) -> list[Path]:
    """Write data and figures under names that begin with ``stem``.

    Parameters
    ----------
    suffixes
        Formats, of ``html``, ``png``, ``svg``, ``pdf`` (figures), ``json``, ``csv``, ``extxyz`` and ``graphml`` (data).
    further
        Figures beside those of the findings, by name.
    pixel_ratio
        Pixels of a PNG for each of a figure's.

    Raises
    ------
    InputError
        If a picture is asked for and there is no browser to draw it, no atom but the explained one is important, or a
        file exists.
    """
    explanation, glass, predictions = findings.explanation, findings.glass, findings.predictions
    written = []
    if "json" in suffixes:
        written.append(write_explanation(explanation, _named(stem, "explanation", "json")))
        summary = json.dumps(findings.summary(), indent=1, ensure_ascii=False, allow_nan=False)
        written.append(write_atomically(_named(stem, "summary", "json"), f"{summary}\n".encode()))
    if "csv" in suffixes:
        written += [write_table(table, _named(stem, name, "csv")) for name, table in findings.tables().items()]
    if "extxyz" in suffixes:
        written.append(
            write_explained_glass(
                explanation,
                glass,
                predictions,
                _named(stem, "glass", "extxyz"),
                spread=findings.spread,
                domain=findings.domain,
            )
        )
    if "graphml" in suffixes:
        path = _named(stem, "edges", "graphml")
        written.append(write_graph(explanation, glass, predictions, path, k=findings.k))
    progress(0.3)
    drawn = [suffix for suffix in ("html", *PICTURES) if suffix in suffixes]
    figures = {**further, **findings.figures()} if drawn else {}
    return written + write_figures(
        {_named(stem, name, suffix): figure for name, figure in figures.items() for suffix in drawn},
        pixel_ratio=pixel_ratio,
    )


def _named(stem: Path, what: str, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}{SEPARATOR}{what}.{suffix}")


def _title(findings: Findings) -> str:
    explanation = findings.explanation
    symbol = findings.glass.symbols[explanation.atom]
    quantity = explanation.quantity
    predicted = f"predicted {quantity.word} {quantity.text(explanation.prediction)}"
    return f"{findings.glass.name}: atom {explanation.atom} ({symbol}), {predicted}"


def file_link(path: Path) -> str | Markup:
    """Link a file that was written, where it is small enough to go through the page; else name it."""
    name = path.name.split(SEPARATOR, 1)[1]
    return name if path.stat().st_size > LINKED_UP_TO else download(path.name, path.read_bytes(), name)
