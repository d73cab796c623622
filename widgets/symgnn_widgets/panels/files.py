"""Other glasses and saved sessions: opening them in the explorer, and saving what it shows."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from symgnn_explain.errors import InputError, SpeciesNeededError
from symgnn_explain.export.naming import free_stem, slug, today
from symgnn_explain.export.session_file import SUFFIX, SavedSession
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.markup import download, element
from symgnn_explain.structure.io import notes, read_glass
from symgnn_widgets.panels.export import DEFAULT_FOLDER, LINKED_UP_TO
from symgnn_widgets.state.jobs import Progress, Worker
from symgnn_widgets.state.saved import open_session, restore, save_session
from symgnn_widgets.state.session import Session, as_sentence

Opened = tuple[Session, SavedSession | None]
"""A session, and the state that it was saved in."""

_WIDE = {"width": "auto", "flex": "1 1 0", "min_width": "0"}
_LABEL = {"description_width": "60px"}


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
        self.path = widgets.Text(
            description="File",
            placeholder="glass.extxyz, quench.lammpstrj, POSCAR, session.symgnn …",
            tooltip="Path of a structure that ASE reads, or of a saved session",
            continuous_update=False,
            style=_LABEL,
            layout=_WIDE,
        )
        self.upload = widgets.FileUpload(
            description="Upload",
            tooltip="Open a file of your own computer, up to about 7 MB; larger ones by their path",
            layout={"width": "110px", "flex": "0 0 auto"},
        )
        self.open = widgets.Button(
            description="Open",
            icon="folder-open",
            tooltip="Show the file in place of the present glass; save the session first if you want to keep it",
            layout={"width": "90px", "flex": "0 0 auto"},
        )
        self.frame = widgets.IntText(
            value=-1,
            description="Frame",
            tooltip="Frame of a trajectory; -1 is the last",
            style=_LABEL,
            layout={"width": "130px", "flex": "0 0 auto"},
        )
        self.format = widgets.Combobox(
            description="Format",
            options=("extxyz", "lammps-dump-text", "lammps-data", "vasp", "cif", "pickle"),
            placeholder="as the file says",
            tooltip="Name of the format (ASE's) where the file's own name does not tell",
            style=_LABEL,
            layout={"width": "220px", "flex": "0 0 auto"},
        )
        self.weights = widgets.Text(
            description="Network",
            placeholder="the present one, or a .safetensors file",
            tooltip="Trained weights, with their card beside them",
            continuous_update=False,
            style=_LABEL,
            layout=_WIDE,
        )
        self.types: dict[int, Any] = {}
        self.species = widgets.HBox(layout={"flex_flow": "row wrap", "display": "none"})
        self.save = widgets.Button(
            description="Save session",
            icon="save",
            tooltip="Keep glass, selection, explanations and settings in one file; no file is replaced",
            layout={"width": "120px", "flex": "0 0 auto"},
        )
        self.folder = widgets.Text(
            value=DEFAULT_FOLDER, description="to", tooltip="Folder of the session file", style=_LABEL, layout=_WIDE
        )
        self.said = widgets.HTML()
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.path, self.upload]),
                widgets.HBox([self.weights, self.format, self.frame]),
                self.species,
                self.open,
                widgets.HBox([self.save, self.folder]),
                self.said,
            ]
        )
        self._uploaded: tuple[str, bytes] | None = None
        self._worker: Worker[Opened] = Worker(lambda _fraction: None, self._show, self._fail)
        self.open.on_click(lambda _button: self.start())
        self.save.on_click(lambda _button: self.keep())
        self.upload.observe(self._on_upload, "value")
        self.path.observe(self._on_path, "value")

    def start(self, *, wait: bool = False) -> None:
        """Open what was uploaded, or else the path, in the background unless ``wait``."""
        if self._uploaded is None and not self.path.value.strip():
            self._say("Name a file, or upload one.", wrong=True)
            return
        uploaded, path = self._uploaded, Path(self.path.value.strip()).expanduser()
        options: dict[str, Any] = {
            "weights": self.weights.value.strip() or None,
            "frame": self.frame.value,
            "format_name": self.format.value.strip() or None,
            "species": {kind: box.value.strip() for kind, box in self.types.items()} or None,
        }
        predictor = self.session().predictor
        self.open.disabled = True
        self._say(f"Opening {uploaded[0] if uploaded else path} …")

        def work(_progress: Progress, _cancel: threading.Event) -> Opened:
            if uploaded is None:
                return open_any(path, predictor, **options)
            with tempfile.TemporaryDirectory(prefix="symgnn-explain-") as folder:
                copy = Path(folder) / (Path(uploaded[0]).name or "upload")
                copy.write_bytes(uploaded[1])
                try:
                    return open_any(copy, predictor, **options)
                except SpeciesNeededError as error:
                    raise SpeciesNeededError(str(error).replace(str(copy), copy.name), error.types) from error
                except InputError as error:
                    raise InputError(str(error).replace(str(copy), copy.name)) from error

        self._worker.start(work, wait=wait)

    def keep(self) -> Path | None:
        """Save the session under a name that says glass and date, and that no file has."""
        session, folder = self.session(), Path(self.folder.value).expanduser()
        stem = free_stem(folder, f"{slug(session.glass.name)}_session_{today()}")
        try:
            path = save_session(session, folder / f"{stem}{SUFFIX}")
        except (InputError, OSError) as error:
            self._say(as_sentence("The session could not be saved", error), wrong=True)
            return None
        self._say(f"Saved {path}", link=path)
        return path

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
        known = self.session().predictor.species or ()
        self.types = {
            kind: widgets.Text(
                value=known[place] if place < len(known) else "",
                description=f"type {kind} is",
                tooltip=f"Chemical symbol of the atoms of type {kind}",
                layout={"width": "130px"},
                style=_LABEL,
            )
            for place, kind in enumerate(types)
        }
        self.species.children = tuple(self.types.values())
        self.species.layout.display = "flex" if types else "none"

    def _show(self, opened: Opened) -> None:
        session, saved = opened
        self.open.disabled = False
        self._uploaded = None
        self.upload.value = ()
        self.format.value = ""
        self._ask_species(())
        self.replace(session)
        try:
            if saved is not None:
                restore(session, saved)
        except InputError as error:
            self._fail(error)
            return
        glass = session.glass
        self._say("; ".join([f"Opened {glass.name}: {len(glass)} atoms, {glass.formula}", *notes(glass)]))

    def _fail(self, error: Exception) -> None:
        self.open.disabled = False
        if isinstance(error, SpeciesNeededError):
            self._ask_species(error.types)
            kinds = ", ".join(map(str, error.types))
            self._say(f"The file numbers its species: say what the types {kinds} are, then Open.", wrong=True)
            return
        self._say(as_sentence("The file could not be opened", error), wrong=True)

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
) -> Opened:
    """Open a saved session, or a structure with the network that is at hand unless others are named.

    Raises
    ------
    InputError
        If the file or the weights cannot be used, or the network does not know a species.
    """
    if path.suffix == SUFFIX:
        saved, network = open_session(path, predictor=predictor, weights=weights)
        return Session(saved.glass, network), saved
    glass = read_glass(path, species=species, frame=frame, format=format_name)
    return Session(glass, predictor if weights is None else Predictor.load(Path(weights).expanduser())), None
