"""What to explain and how; progress, Cancel, and what went wrong."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from symgnn_explain.explain import METHODS
from symgnn_explain.explain.mask_words import MASK_MEANING, MASKED_AS_ONE
from symgnn_explain.runs.markup import element, joined, note
from symgnn_widgets.panels.settings_form import setting_box, settings_of
from symgnn_widgets.panels.threshold import Threshold
from symgnn_widgets.state.session import Session
from symgnn_widgets.views.view_controls import bind

_MASK_HELP = (
    "What masking a message means: what atoms of this glass receive on average instead, nothing (as published), or the "
    "edge taken out of the graph"
)
_UNIT_HELP = "What is masked as one: single edges, bonds, all that an atom sends, all that it receives, or shells"


class Controls:
    """Method with its settings, number of edges shown, atom, Explain and Cancel."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.method = widgets.Dropdown(
            options=[(method.label, method.name) for method in METHODS.values()],
            value=session.method,
            description="Method",
            tooltip="How the prediction is explained",
            layout={"width": "auto", "flex": "1 1 220px", "min_width": "220px", "max_width": "320px"},
            style={"description_width": "52px"},
        )
        self.description = widgets.HTML()
        self.semantics = _dropdown("Mask means", MASK_MEANING, session.semantics, _MASK_HELP)
        self.unit = _dropdown("Masked", MASKED_AS_ONE, session.unit, _UNIT_HELP)
        self.settings: dict[str, Any] = {}
        self._settings_of = ""
        self.problem = widgets.HTML()
        self.boxes = widgets.HBox(layout={"flex_flow": "row wrap"})
        self.help = widgets.HTML()
        self.form = widgets.VBox([self.description, self.boxes, self.help, self.problem], layout={"display": "none"})
        self.form.add_class("symgnn-form")
        self.more = widgets.ToggleButton(
            description="Settings",
            icon="sliders",
            tooltip="Settings of the method, with a sentence on each",
            layout={"width": "96px", "flex": "0 0 auto"},
        )
        self.atom = widgets.IntText(
            value=0,
            description="Atom",
            tooltip="Index of the atom, from 0",
            layout={"width": "112px", "flex": "0 0 auto"},
            style={"description_width": "40px"},
        )
        self.threshold = Threshold(session)
        self.k = self.threshold.number
        self.explain_on_click = widgets.Checkbox(
            value=session.explain_on_click,
            description="on click",
            indent=False,
            tooltip="Explain an atom as soon as it is clicked",
            layout={"width": "78px", "flex": "0 0 auto"},
        )
        self.explain = widgets.Button(
            description="Explain",
            button_style="primary",
            icon="search",
            tooltip="Find what the prediction for the selected atom rests on",
            layout={"width": "92px", "flex": "0 0 auto"},
        )
        self.cancel = widgets.Button(
            description="Cancel",
            icon="times",
            disabled=True,
            tooltip="Stop the explanation that is running",
            layout={"width": "84px", "flex": "0 0 auto"},
        )
        self.bar = widgets.FloatProgress(
            min=0.0, max=1.0, layout={"flex": "1 1 60px", "width": "auto", "min_width": "60px"}
        )
        self.state = widgets.Label(layout={"width": "146px", "flex": "0 0 auto"})
        self.error = widgets.HTML()
        first = widgets.HBox(
            [
                *(self.atom, self.method, self.more, self.explain, self.explain_on_click, self.cancel),
                *(self.bar, self.state),
            ],
            layout={"flex_flow": "row wrap"},
        )
        self.ui = widgets.VBox([first, self.form, self.error])
        self._show_method()
        self._show_state()
        self._connect()

    def _connect(self) -> None:
        session = self.session
        self.more.observe(self._unfold, "value")
        for name in ("method", "semantics", "unit", "explain_on_click"):
            bind(session, name, getattr(self, name))
        self.atom.observe(self._on_atom, "value")
        self.explain.on_click(self._on_explain)
        self.cancel.on_click(lambda _button: session.cancel())
        session.observe(self._show_method, ["method", "settings"])
        session.observe(self._show_problem, "settings_problem")
        session.observe(self._show_atom, "selected_atom")
        session.observe(self._show_state, ["status", "progress", "seconds_left", "explanation"])
        session.observe(self._show_error, "error")

    def _unfold(self, change: dict[str, Any]) -> None:
        self.form.layout.display = "" if change["new"] else "none"

    def _on_atom(self, change: dict[str, Any]) -> None:
        if change["new"] != self.session.selected_atom:
            self.session.pick(change["new"])
            self._show_atom()  # where there is no such atom, or it was only added

    def _on_explain(self, _button: object) -> None:
        if self.session.selected_atom is not None or self.session.select_or_say(self.atom.value):
            self.session.explain()

    def _show_atom(self, _change: object = None) -> None:
        if self.session.selected_atom is not None:
            self.atom.value = self.session.selected_atom

    def _show_method(self, _change: object = None) -> None:
        """Show the boxes of the method's settings; the same ones where only their values have changed."""
        session = self.session
        if self._settings_of != session.method:
            self._settings_of = session.method
            method = METHODS[session.method]
            self.description.value = note(method.description)
            settings = settings_of(method, session.target)
            self.settings = {
                setting.name: setting_box(setting, session.settings[setting.name], self._setter(setting.name))
                for setting in settings
            }
            self.boxes.children = (self.semantics, self.unit, *self.settings.values())
            sentences = [
                joined([element("b", setting.label), f" ({setting.default}): {setting.help}"]) for setting in settings
            ]
            self.help.value = note(*(part for sentence in sentences for part in (sentence, element("br"))))
        for name, value in session.settings.items():
            self.settings[name].value = value

    def _setter(self, name: str) -> Any:
        def store(value: Any) -> None:
            if self.session.settings.get(name) != value:
                self.session.configure(**{name: value})

        return store

    def _show_problem(self, _change: object = None) -> None:
        self.problem.value = _box(self.session.settings_problem)
        self.explain.disabled = bool(self.session.settings_problem)

    def _show_state(self, _change: object = None) -> None:
        session = self.session
        running = session.status == "running"
        self.cancel.disabled = not running
        self.bar.value = session.progress
        self.bar.bar_style = {"failed": "danger", "cancelled": "warning", "done": "success"}.get(session.status, "info")
        self.state.value = _state_in_words(session)

    def _show_error(self, _change: object = None) -> None:
        self.error.value = _box(self.session.error)


def _box(sentence: str) -> str:
    return element("div", sentence, css="symgnn-error") if sentence else ""


def _dropdown(description: str, words: dict[str, str], value: str, tooltip: str) -> Any:
    return widgets.Dropdown(
        options=[(said, name) for name, said in words.items()],
        value=value,
        description=description,
        tooltip=tooltip,
        layout={"width": "270px"},
        style={"description_width": "90px"},
    )


def _state_in_words(session: Session) -> str:
    match session.status:
        case "running":
            doing = "Training " if session.needs_training else ""
            left = "" if session.seconds_left is None else f", {session.seconds_left:.0f} s left"
            return f"{doing}{session.progress:.0%}{left}"
        case "cancelled":
            return "Cancelled"
        case "failed":
            return "Failed"
        case "done":
            return "Explained"
        case _:
            return "Ready"
