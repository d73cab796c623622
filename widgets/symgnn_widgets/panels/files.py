"""Other glasses and saved sessions: opening them in the explorer, and saving what it shows."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from symgnn_explain.errors import InputError, SpeciesNeededError
from symgnn_explain.export.naming import free_stem, slug, today
from symgnn_explain.export.session_file import SUFFIX, SavedSession, write_session
from symgnn_explain.models.predictor import SHIPPED, Predictor
from symgnn_explain.runs.markup import download, element
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles import EamCalculator, find_potential
from symgnn_explain.structure.io import Trajectory, notes
from symgnn_widgets.panels.export import DEFAULT_FOLDER, LINKED_UP_TO
from symgnn_widgets.state.jobs import Job, Progress, event_loop
from symgnn_widgets.state.saved import open_session, restore, session_of, snapshot
from symgnn_widgets.state.session import Session
from symgnn_widgets.state.structure import as_sentence
from symgnn_widgets.views.controls import HIDDEN, button, control

Opened = tuple[Session, SavedSession | None, list[str]]
"""A session, the state that it was saved in, and what of that could not be brought back."""

_LABEL = 60
"""Pixels."""


class Files:
    """Opens a structure or a session file in place of what is shown; every mistake is a sentence in the panel.

    It outlives the session that it replaces.

    Parameters
    ----------
    session
        Returns what is shown now.
    replace
        Called with the session that takes its place.
    """

    def __init__(self, session: Callable[[], Session], replace: Callable[[Session], None]) -> None:
        self.session = session
        self.replace = replace
        self.path = control(
            widgets.Text,
            "File",
            "Path of a structure or trajectory (LAMMPS dump, extended XYZ, XDATCAR, .traj, …), or of a saved session",
            label=_LABEL,
            placeholder="glass.extxyz, md.lammpstrj, XDATCAR, md.traj, POSCAR, session.symgnn …",
        )
        said = "Open a file of your own computer, up to about 7 MB; larger ones by their path"
        self.upload = control(widgets.FileUpload, "Upload", said, 110)
        said = (
            "Show the file in place of the present glass, or this glass by another network where only that is named; "
            "save the session first if you want to keep it"
        )
        self.open = button("Open", "folder-open", said, self.start, 90)
        said = "Frame of a trajectory that is explained first; -1 is the last. Compare, Frames has a slider"
        self.frame = control(widgets.IntText, "Frame", said, 130, label=_LABEL, value=-1)
        self.format = control(
            widgets.Combobox,
            "Format",
            "Name of the format (ASE's) where the file's own name does not tell",
            220,
            label=_LABEL,
            options=("extxyz", "lammps-dump-text", "lammps-data", "vasp", "cif", "pickle"),
            placeholder="as the file says",
        )
        self.weights = control(
            widgets.Combobox,
            "Network",
            "One that ships, or trained weights (.safetensors) with their card beside them",
            label=_LABEL,
            options=tuple(SHIPPED),
            placeholder="the present one",
        )
        self.types: dict[int, Any] = {}
        self.species = widgets.HBox(layout={"flex_flow": "row wrap", **HIDDEN})
        said = "Keep glass, selection, explanations and settings in one file; no file is replaced"
        self.save = button("Save session", "save", said, self.keep, 120)
        self.folder = control(widgets.Text, "to", "Folder of the session file", label=_LABEL, value=DEFAULT_FOLDER)
        said = "Replace the glass by the nearest minimum of its energy: predictions are for inherent structures"
        self.relax = button("Relax", "compress", said, self.start_relaxation, 90)
        self.potential = control(
            widgets.Text,
            "with",
            "LAMMPS eam.fs or eam.alloy file of the potential",
            label=_LABEL,
            placeholder="potential; empty: that of Mendelev, Kramer and Ott (2009), if installed",
        )
        self.relaxation = widgets.HBox([self.relax, self.potential], layout=HIDDEN)
        self.said = widgets.HTML()
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.path, self.upload]),
                widgets.HBox([self.weights, self.format, self.frame]),
                self.species,
                self.open,
                self.relaxation,
                widgets.HBox([self.save, self.folder]),
                self.said,
            ]
        )
        self._uploaded: tuple[str, bytes] | None = None
        self._job, self._saving = Job(self._fail), Job(self._not_saved)
        self.upload.observe(self._on_upload, "value")
        self.path.observe(self._on_path, "value")

    def start(self, *, wait: bool = False) -> None:
        """Open what was uploaded, or else the path, in the background unless ``wait``.

        Where there is neither, the present glass is shown by the network that is named.
        """
        if self._uploaded is None and not self.path.value.strip():
            self._start_network(wait=wait)
            return
        uploaded, path = self._uploaded, Path(self.path.value.strip()).expanduser()
        options: dict[str, Any] = {
            "weights": self.weights.value.strip() or None,
            "frame": self.frame.value,
            "format_name": self.format.value.strip() or None,
            "species": {kind: box.value.strip() for kind, box in self.types.items()} or None,
            "later": event_loop() is not None and not wait,
        }
        predictor = self.session().structure.predictor
        self.open.disabled = True
        self._say(f"Opening {uploaded[0] if uploaded else path} …")

        def work(_progress: Progress, _cancel: threading.Event) -> Opened:
            if uploaded is None:
                return open_any(path, predictor, **options)
            folder = Path(tempfile.mkdtemp(prefix="symgnn-explain-"))
            copy = folder / (Path(uploaded[0]).name or "upload")
            try:
                copy.write_bytes(uploaded[1])
                opened = open_any(copy, predictor, lasting=False, **options)
            except Exception as error:
                shutil.rmtree(folder, ignore_errors=True)
                if isinstance(error, SpeciesNeededError):
                    raise SpeciesNeededError(str(error).replace(str(copy), copy.name), error.types) from error
                if isinstance(error, InputError):
                    raise InputError(str(error).replace(str(copy), copy.name)) from error
                raise
            weakref.finalize(opened[0], shutil.rmtree, folder, ignore_errors=True)  # frames are read from it
            return opened

        self._job.start(work, self._show, wait=wait)

    def _start_network(self, *, wait: bool) -> None:
        weights, shown = self.weights.value.strip(), self.session()
        if not weights:
            self._say("Name a file, upload one, or choose a network for the present glass.", wrong=True)
            return
        later = event_loop() is not None and not wait
        self.open.disabled = True
        self._say(f"Opening the network {weights} …")

        def work(_progress: Progress, _cancel: threading.Event) -> Opened:
            return shown.by_network(Predictor.load(Path(weights).expanduser()), later=later), None, []

        def show(opened: Opened) -> None:
            self._show(opened)
            explaining = opened[0].explaining
            if explaining.explain_on_click and opened[0].selected.selected_atom is not None:
                explaining.explain(wait=wait)

        self._job.start(work, show, wait=wait)

    def offer_relaxation(self) -> None:
        """Show what relaxes the glass where much of it lies outside of what training covered, else hide it."""
        self.relaxation.layout.display = "flex" if self.session().structure.domain_warning else "none"

    def start_relaxation(self, *, wait: bool = False) -> None:
        """Relax the present glass, and show the result in its place, in the background unless ``wait``."""
        structure, frames, potential = self.session().structure, self.session().frames, self.potential.value.strip()
        network, later = structure.predictor, event_loop() is not None and not wait
        self.relax.disabled = True
        self._say(f"Relaxing {structure.glass.name} …")

        def work(progress: Progress, cancel: threading.Event) -> Opened:
            calculator = EamCalculator(find_potential(Path(potential).expanduser() if potential else None))
            if frames is None:
                relaxed = structure.glass.relaxed(calculator, watch=Watch(progress, cancel))
                return Session(relaxed, network, later=later), None, []
            # Each frame is relaxed when it is wanted.
            home = Session.of_frame(frames.trajectory, frames.home, network, calculator=calculator, later=later)
            return home, None, []

        self._job.start(work, self._show, wait=wait)

    def keep(self, *, wait: bool = False) -> None:
        """Save the session under a name that says glass and date, and that no file has.

        What it holds is taken down now; it is written in the background unless ``wait``.
        """
        session, folder = self.session(), Path(self.folder.value).expanduser()
        stem = free_stem(folder, f"{slug(session.structure.glass.name)}_session_{today()}")
        complete = snapshot(session, folder)
        self.save.disabled = True
        self._say("Saving …" if session.frames is None else f"Saving … {session.frames.trajectory.path.name} is hashed")

        def work(_progress: Progress, _cancel: threading.Event) -> Path:
            return write_session(complete(), folder / f"{stem}{SUFFIX}")

        self._saving.start(work, self._saved, wait=wait)

    def _saved(self, path: Path) -> None:
        self.save.disabled = False
        self._say(f"Saved {path}", link=path)

    def _not_saved(self, error: Exception) -> None:
        self.save.disabled = False
        self._say(as_sentence("The session could not be saved", error), wrong=True)

    def _on_upload(self, change: dict[str, Any]) -> None:
        if change["new"]:
            [chosen] = change["new"]
            self._uploaded = (chosen["name"], bytes(chosen["content"]))
            self._ask_species(())
            self.start()

    def _on_path(self, _change: object) -> None:
        self._uploaded = None
        self._ask_species(())

    def _ask_species(self, types: tuple[int, ...]) -> None:
        """Show a box for the species of each type, filled with those that the network knows, in their order."""
        known = self.session().structure.predictor.species or ()
        self.types = {
            kind: control(
                widgets.Text,
                f"type {kind} is",
                f"Chemical symbol of the atoms of type {kind}",
                130,
                label=_LABEL,
                value=known[place] if place < len(known) else "",
            )
            for place, kind in enumerate(types)
        }
        self.species.children = tuple(self.types.values())
        self.species.layout.display = "flex" if types else "none"

    def _show(self, opened: Opened) -> None:
        session, saved, problems = opened
        self.open.disabled = self.relax.disabled = False
        self._uploaded = None
        self.upload.value = ()
        self.format.value = ""
        self._ask_species(())
        self.replace(session)
        try:
            if saved is not None:
                restore(session, saved, problems)
        except InputError as error:
            self._fail(error)
            return
        glass = session.structure.glass
        frames = session.frames
        shown = [] if frames is None else [f"frame {frames.home} of 0–{len(frames) - 1}; the others: Compare, Frames"]
        self._say("; ".join([f"Opened {glass.name}: {len(glass)} atoms, {glass.formula}", *shown, *notes(glass)]))

    def _fail(self, error: Exception) -> None:
        self.open.disabled = self.relax.disabled = False
        if isinstance(error, SpeciesNeededError):
            self._ask_species(error.types)
            kinds = ", ".join(map(str, error.types))
            self._say(f"The file numbers its species: say what the types {kinds} are, then Open.", wrong=True)
            return
        self._say(as_sentence("It could not be opened", error), wrong=True)

    def _say(self, sentence: str, *, wrong: bool = False, link: Path | None = None) -> None:
        parts: list[object] = [sentence]
        if link is not None and link.stat().st_size <= LINKED_UP_TO:
            parts += [" ", download(link.name, link.read_bytes(), "download")]
        self.said.value = element("div", *parts, css="symgnn-error" if wrong else "symgnn-note")


def open_any(
    path: Path,
    predictor: Predictor,
    *,
    weights: str | None,
    species: Mapping[int, str] | None,
    frame: int,
    format_name: str | None = None,
    lasting: bool = True,
    later: bool = False,
) -> Opened:
    """Open a saved session, or a structure with the network that is at hand unless others are named.

    Of a trajectory the other frames are offered too. Beside a session that is not ``lasting`` no trajectory is looked
    for. ``later`` as of the session.

    Raises
    ------
    InputError
        If the file or the weights cannot be used, or the network does not know a species.
    """
    if path.suffix == SUFFIX:
        saved, network = open_session(path, predictor=predictor, weights=weights)
        session, problems = session_of(saved, network, path.parent if lasting else None, later=later)
        return session, saved, problems
    network = predictor if weights is None else Predictor.load(Path(weights).expanduser())
    trajectory = Trajectory(path, species=species, format=format_name)
    return Session.of_frame(trajectory, frame, network, later=later), None, []
