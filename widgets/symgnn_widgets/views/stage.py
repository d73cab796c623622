"""The 3D viewer: nglview's widget, told what to draw by short messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import nglview
import numpy as np
from numpy.typing import NDArray

from symgnn_widgets.views.theme import theme_code


def base64_floats(values: NDArray[Any]) -> str:
    """Little-endian 32-bit floats as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def base64_integers(values: NDArray[Any]) -> str:
    """Little-endian 32-bit integers as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<i4").tobytes()).decode()


def base64_bytes(values: NDArray[np.uint8]) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.uint8).tobytes()).decode()


class Stage(nglview.NGLWidget):
    """An nglview widget whose scene is kept here and sent again to every page that shows it.

    nglview keeps an archive of all calls, structure included, and sends the whole of it again with each further call;
    and it starts two threads a widget that never end. Neither is needed when the scene is held in one place: calls go
    straight to the browser, and a page that connects (or reconnects) is sent the present scene.

    Parameters
    ----------
    height
        Height of the picture, a CSS length.
    on_ready
        Called each time a page has drawn the structure.
    on_pick
        Called with the atom that was clicked, and whether a key was held that adds it to the selection.
    on_picture
        Called with the PNG that :meth:`take_picture` asked for.
    on_failure
        Called with one sentence where the browser could not draw.
    """

    def __init__(
        self,
        height: str,
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
        super().__init__(width="100%", height=height)
        # nglview shows this button while the mouse is over the picture.
        self._ibtn_fullscreen.tooltip = "Show the picture on the full screen, and back"
        self.observe(self._send_scene, "_ngl_view_id")

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
        return list(self._camera_orientation or [])

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

    def _call(self, method: str, argument: Any) -> None:
        self._execute(f"this.glassScene?.{method}({json.dumps(argument)})")

    def _execute(self, code: str) -> None:
        self._remote_call("executeCode", args=[code])

    def _send_scene(self, _change: object) -> None:
        self._execute(theme_code() + (files("symgnn_widgets") / "static" / "scene.js").read_text(encoding="utf-8"))
        for method, arguments in self.calls():
            self._call(method, arguments)

    def _remote_call(
        self,
        method_name: str,
        target: str = "Widget",
        args: list[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        **other: Any,
    ) -> None:
        self.send(self._get_remote_call_msg(method_name, target=target, args=args, kwargs=kwargs, **other))

    def _initialize_threads(self) -> None:
        self.on_msg(self._handle_nglview_custom_msg)

    def _handle_nglview_custom_msg(self, widget: Any, message: dict[str, Any], buffers: Any) -> None:
        match message.get("type"):
            case "scene_ready":
                self._on_ready()
            case "scene_pick":
                self._on_pick(int(message["data"]["atom"]), bool(message["data"]["add"]))
            case "scene_picture":
                self._on_picture(base64.b64decode(message["data"]))
            case "scene_error":
                self._on_failure(f"The 3D view could not be drawn ({message['data']}).")
            case "request_repr_dict":
                pass  # it would be sent back to the browser, a copy of what that has just said
            case _:
                super()._handle_nglview_custom_msg(widget, message, buffers)
