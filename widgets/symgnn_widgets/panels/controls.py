"""What to explain and how; progress, Cancel, and what went wrong."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets

from symgnn_explain.explain import METHODS
from symgnn_widgets.session import Session

MAIN_SETTINGS = 1
"""Settings that are always in sight: a method's first ones; the others fold away."""


_SEMANTICS = {"mean message instead": "reference", "message set to zero": "zero", "edge removed": "removal"}
_UNITS = {"edges": "edge", "bonds": "bond", "atoms": "atom", "polyhedra": "polyhedron", "shells": "shell"}


class Controls:
    """Method with its settings, number of edges shown, atom, Explain and Cancel."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.method = widgets.Dropdown(
            options=[(method.label, method.name) for method in METHODS.values()],
            value=session.method,
            description="Method",
            layout={"width": "270px"},
            style={"description_width": "52px"},
        )
        self.description = widgets.HTML(layout={"flex": "1 1 200px", "margin": "0 8px", "align_self": "center"})
        self.semantics = _dropdown("Mask means", _SEMANTICS, session.semantics)
        self.unit = _dropdown("Masked", _UNITS, session.unit)
        self.settings: dict[str, Any] = {}
        self._settings_of = ""
        self.main_settings = widgets.HBox()
        self.other_settings = widgets.HBox(layout={"flex_flow": "row wrap", "display": "none"})
        self.more = widgets.ToggleButton(description="Settings", icon="sliders", layout={"width": "100px"})
        self.atom = widgets.BoundedIntText(
            value=0,
            min=0,
            max=len(session.glass) - 1,
            description="Atom",
            layout={"width": "130px"},
            style={"description_width": "52px"},
        )
        self.k = widgets.IntSlider(
            value=session.k,
            min=5,
            max=200,
            step=5,
            description="Edges shown",
            continuous_update=False,
            layout={"width": "300px"},
            style={"description_width": "88px"},
        )
        self.explain_on_click = widgets.Checkbox(
            value=session.explain_on_click, description="Explain on click", indent=False, layout={"width": "130px"}
        )
        self.explain = widgets.Button(
            description="Explain", button_style="primary", icon="search", layout={"width": "100px"}
        )
        self.cancel = widgets.Button(description="Cancel", icon="times", disabled=True, layout={"width": "90px"})
        self.bar = widgets.FloatProgress(min=0.0, max=1.0, layout={"flex": "1 1 100px", "width": "auto"})
        self.state = widgets.Label(layout={"min_width": "110px"})
        self.error = widgets.HTML()
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.method, self.main_settings, self.more, self.description]),
                self.other_settings,
                widgets.HBox(
                    [self.atom, self.explain, self.cancel, self.explain_on_click, self.k, self.bar, self.state],
                ),
                self.error,
            ]
        )
        self._show_method()
        self._show_state()
        self._connect()

    def _connect(self) -> None:
        session = self.session
        self.more.observe(self._unfold, "value")
        self.method.observe(lambda change: session.set_trait("method", change["new"]), "value")
        for name in ("semantics", "unit"):
            self._bind(name, getattr(self, name))
        self.k.observe(lambda change: session.set_trait("k", change["new"]), "value")
        self.explain_on_click.observe(lambda change: session.set_trait("explain_on_click", change["new"]), "value")
        self.atom.observe(self._on_atom, "value")
        self.explain.on_click(self._on_explain)
        self.cancel.on_click(lambda _button: session.cancel())
        session.observe(lambda change: self.method.set_trait("value", change["new"]), "method")
        session.observe(lambda change: self.k.set_trait("value", change["new"]), "k")
        session.observe(lambda change: self.explain_on_click.set_trait("value", change["new"]), "explain_on_click")
        session.observe(self._show_method, ["method", "settings"])
        session.observe(self._show_atom, "selected_atom")
        session.observe(self._show_state, ["status", "progress", "seconds_left", "explanation"])
        session.observe(self._show_error, "error")

    def _bind(self, name: str, box: Any) -> None:
        """Let a box and a trait of the session follow each other."""
        box.observe(lambda change: self.session.set_trait(name, change["new"]), "value")
        self.session.observe(lambda change: box.set_trait("value", change["new"]), name)

    def _unfold(self, change: dict[str, Any]) -> None:
        self.other_settings.layout.display = "flex" if change["new"] else "none"

    def _on_atom(self, change: dict[str, Any]) -> None:
        if change["new"] != self.session.selected_atom:
            self.session.pick(change["new"])

    def _on_explain(self, _button: object) -> None:
        if self.session.selected_atom is None:
            self.session.select(self.atom.value)
        self.session.explain()

    def _show_atom(self, change: dict[str, Any]) -> None:
        if change["new"] is not None:
            self.atom.value = change["new"]

    def _show_method(self, _change: object = None) -> None:
        """Show the boxes of the method's settings; the same ones where only their values have changed."""
        session = self.session
        if self._settings_of != session.method:
            self._settings_of = session.method
            self.description.value = (
                f'<div class="symgnn-note">{html.escape(METHODS[session.method].description)}</div>'
            )
            self.settings = {name: self._setting(name, value) for name, value in session.settings.items()}
            boxes = tuple(self.settings.values())
            self.main_settings.children = boxes[:MAIN_SETTINGS]
            self.other_settings.children = (self.semantics, self.unit, *boxes[MAIN_SETTINGS:])
        for name, value in session.settings.items():
            self.settings[name].value = value

    def _setting(self, name: str, value: Any) -> Any:
        kinds = {bool: widgets.Checkbox, int: widgets.IntText, float: widgets.FloatText, str: widgets.Text}
        box = kinds[type(value)](
            value=value,
            description=name.replace("_", " ").capitalize(),
            layout={"width": "160px"},
            style={"description_width": "86px"},
        )
        box.observe(lambda change: self._set(name, change["new"]), "value")
        return box

    def _set(self, name: str, value: Any) -> None:
        if self.session.settings.get(name) != value:
            self.session.settings = {**self.session.settings, name: value}

    def _show_state(self, _change: object = None) -> None:
        session = self.session
        running = session.status == "running"
        self.cancel.disabled = not running
        self.bar.value = session.progress
        self.bar.bar_style = {"failed": "danger", "cancelled": "warning", "done": "success"}.get(session.status, "info")
        self.state.value = _state_in_words(session)

    def _show_error(self, _change: object = None) -> None:
        text = html.escape(self.session.error)
        self.error.value = f'<div class="symgnn-error">{text}</div>' if text else ""


def _dropdown(description: str, options: dict[str, str], value: str) -> Any:
    return widgets.Dropdown(
        options=list(options.items()),
        value=value,
        description=description,
        layout={"width": "240px"},
        style={"description_width": "76px"},
    )


def _state_in_words(session: Session) -> str:
    match session.status:
        case "running" if session.seconds_left is None:
            return f"{session.progress:.0%}"
        case "running":
            return f"{session.progress:.0%}, {session.seconds_left:.0f} s left"
        case "cancelled":
            return "Cancelled"
        case "failed":
            return "Failed"
        case "done":
            return "Explained"
        case _:
            return "Ready"
