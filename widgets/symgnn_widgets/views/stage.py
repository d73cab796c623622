"""The seam to nglview: the one module that knows how nglview is made.

nglview is a JupyterLab extension that draws with NGL, and a Python class beside it that is not used here:
``NGLWidget`` keeps an archive of every call, sends it again with each further one, and starts threads that never end.
:class:`Stage` is a widget of our own for the same view: ipywidgets lets anyone name a model and a view of the page.
What it rests on:

- the names of model, view and module, and the traits that the view reads (:class:`Stage`);
- two messages: ``updateIDs`` from a page that has made a view, ``executeCode`` to it, in which ``this`` is the view
  and ``NGL`` the library (:meth:`Stage.set_scene`);
- the bundle ``index.js``, which nglview installs for pages other than JupyterLab's and which exports ``NGL``
  (:func:`nglview_bundle`).

Where nglview is another one than these words say, a sentence names the tested versions; a test compares them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import ipywidgets as widgets
import numpy as np
from jupyter_core.paths import jupyter_path
from numpy.typing import NDArray
from traitlets import Instance, List, Unicode

from symgnn_explain.errors import InputError
from symgnn_widgets.views.theme import theme_code

TESTED_NGLVIEW = ("3.1.4", "4.0")
"""Versions of nglview whose front end has been tried."""

MODULE = "nglview-js-widgets"


def nglview_bundle() -> str:
    """Read the module that nglview ships for any page: JavaScript that calls ``define`` and exports ``NGL``.

    Raises
    ------
    InputError
        If it is not installed.
    """
    for folder in jupyter_path("nbextensions", MODULE):
        if (path := Path(folder) / "index.js").is_file():
            return path.read_text(encoding="utf-8")
    raise InputError(
        f"the 3D view cannot be written as a page: {_found()} has no nbextensions/{MODULE}/index.js, "
        f"as {_tested()} have; run `pip install --force-reinstall nglview=={TESTED_NGLVIEW[-1]}`."
    )


def _found() -> str:
    return f"nglview {version('nglview')}"


def _tested() -> str:
    return f"the tested versions {' and '.join(TESTED_NGLVIEW)}"


def packed(values: NDArray[Any], kind: Literal["<f4", "<i4", "u1"] = "<f4") -> str:
    """Write numbers as the page reads them: little-endian and of 32 bits, or bytes, as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()


class Stage(widgets.DOMWidget):
    """nglview's view, with a scene that is kept here and sent again to every page that shows it.

    Parameters
    ----------
    on_ready
        Called each time a page has drawn the structure.
    on_pick
        Called with the atom that was clicked, and whether a key was held that adds it to the selection.
    on_picture
        Called with the PNG that :meth:`take_picture` asked for.
    on_failure
        Called with one sentence where the browser could not draw.
    """

    _model_name = Unicode("NGLModel").tag(sync=True)
    _view_name = Unicode("NGLView").tag(sync=True)
    _model_module = Unicode(MODULE).tag(sync=True)
    _view_module = Unicode(MODULE).tag(sync=True)
    _model_module_version = Unicode("*").tag(sync=True)
    _view_module_version = Unicode("*").tag(sync=True)

    _view_width = Unicode("100%").tag(sync=True)
    _view_height = Unicode("100%").tag(sync=True)
    _camera_orientation: Any = List().tag(sync=True)
    _ngl_view_id: Any = List().tag(sync=True)
    # The view asks for the length of these; nothing is ever put in.
    _ngl_msg_archive: Any = List().tag(sync=True)
    _synced_model_ids: Any = List().tag(sync=True)
    _synced_repr_model_ids: Any = List().tag(sync=True)
    # Shown over the picture: a glass is one frame, so that there is nothing to play.
    _iplayer = Instance(widgets.Box, args=()).tag(sync=True, **widgets.widget_serialization)
    _ibtn_fullscreen = Instance(widgets.Button).tag(sync=True, **widgets.widget_serialization)

    def __init__(
        self,
        *,
        on_ready: Callable[[], None],
        on_pick: Callable[[int, bool], None],
        on_picture: Callable[[bytes], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._scene: dict[str, tuple[str, dict[str, Any]]] = {}
        self._on_ready = on_ready
        self._on_pick = on_pick
        self._on_picture = on_picture
        self._on_failure = on_failure
        tooltip = "Show the picture on the full screen, and back"
        full_screen = widgets.Button(icon="compress", tooltip=tooltip, layout={"width": "34px"})
        super().__init__(_ibtn_fullscreen=full_screen)
        self.on_msg(self.receive)

    def set_scene(self, key: str, method: str, **arguments: Any) -> None:
        """Call ``method`` of the scene (``static/scene.js``) now, and again whenever a page connects.

        Of the calls with one ``key`` only the last is kept, and one that repeats it is not sent again. They are sent to
        a new page in the order in which keys were first used.
        """
        if self._scene.get(key) != (method, arguments):
            self._scene[key] = (method, arguments)
            self._call(method, arguments)

    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the calls that draw the present scene, in their order: method and arguments."""
        return list(self._scene.values())

    @property
    def orientation(self) -> list[float]:
        """Where the view was last turned to: NGL's matrix of 16 numbers, or empty where no page has said."""
        return list(self._camera_orientation)

    @property
    def scene_keys(self) -> frozenset[str]:
        """Keys that have been set."""
        return frozenset(self._scene)

    def look_at(self, name: str) -> None:
        """Move the camera so that the component ``name`` fills the picture."""
        self._call("look", name)

    def reset_view(self) -> None:
        """Show the whole glass from where it was seen at first."""
        self._call("reset", {})

    def take_picture(self) -> None:
        """Ask the browser for a PNG of what it shows; it arrives at ``on_picture``."""
        self._call("picture", {})

    def receive(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        """Do what a message of the page asks for; nglview's own, but for ``updateIDs``, are of no use here."""
        match message.get("type"):
            case "updateIDs":
                self._ngl_view_id = message["data"]
                self._send_scene()
            case "scene_ready":
                self._on_ready()
            case "scene_pick":
                self._on_pick(int(message["data"]["atom"]), bool(message["data"]["add"]))
            case "scene_picture":
                self._on_picture(base64.b64decode(message["data"]))
            case "scene_error":
                self._on_failure(f"The 3D view could not be drawn ({message['data']}).")

    def _send_scene(self) -> None:
        code = (files("symgnn_widgets") / "static" / "scene.js").read_text(encoding="utf-8")
        untested = json.dumps(f": {_found()}, {_tested()}")
        failed = f'this.send({{ type: "scene_error", data: error + {untested} }})'
        self._execute(f"try {{ {theme_code()}{code} }} catch (error) {{ {failed}; }}")
        for method, arguments in self.calls():
            self._call(method, arguments)

    def _call(self, method: str, argument: Any) -> None:
        self._execute(f"this.glassScene?.{method}({json.dumps(argument)})")

    def _execute(self, code: str) -> None:
        self.send(
            {"type": "call_method", "target": "Widget", "methodName": "executeCode", "args": [code], "kwargs": {}}
        )
