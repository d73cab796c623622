"""What to explain and how; progress, Cancel, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from traitlets import HasTraits

from symgnn_explain.explain import METHODS
from symgnn_explain.explain.mask_words import MASK_MEANING, MASKED_AS_ONE
from symgnn_explain.runs.markup import element, joined, note
from symgnn_widgets.panels.settings_form import setting_box, settings_of
from symgnn_widgets.panels.threshold import ThresholdControl
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.views.controls import button, close_tree, control, progress_bar, tick, unfolding
from symgnn_widgets.views.table import Clickable, marked

_MASK_HELP = (
    "What masking a message means: what atoms of this glass receive on average instead, nothing (as published), or the "
    "edge taken out of the graph"
)
_UNIT_HELP = (
    "What is masked as one: pairs, with all that one atom learns of the other; the messages of edges or bonds alone; "
    "all that is learned of an atom, all that it learns, or of atoms in a shell"
)


class Controls:
    """Method with its settings, number of edges shown, atom, Explain and Cancel."""

    def __init__(self, explaining: Explaining, cancel: Callable[[], None], window: HasTraits) -> None:
        self._explaining = explaining
        choice, selected = explaining.choice, explaining.selected
        self.method = control(
            widgets.Dropdown,
            "Method",
            "How the prediction is explained",
            {"width": "auto", "flex": "1 1 220px", "min_width": "220px", "max_width": "320px"},
            label=52,
            sets=(choice, "method"),
            options=[(method.label, method.name) for method in METHODS.values()],
        )
        self.description = widgets.HTML()
        self.semantics, self.unit = (
            control(
                widgets.Dropdown,
                name,
                said,
                270,
                label=90,
                sets=(choice, trait),
                options=[(words, value) for value, words in meanings.items()],
            )
            for name, trait, meanings, said in (
                ("Mask means", "semantics", MASK_MEANING, _MASK_HELP),
                ("Masked", "unit", MASKED_AS_ONE, _UNIT_HELP),
            )
        )
        self.settings: dict[str, Any] = {}
        self._settings_of = ""
        self.problem = widgets.HTML()
        self.boxes = widgets.HBox(layout={"flex_flow": "row wrap"})
        self.help = widgets.HTML()
        self.form = widgets.VBox([self.description, self.boxes, self.help, self.problem])
        self.form.add_class("symgnn-form")
        said = "Settings of the method, with a sentence on each"
        self.more = unfolding("Settings", "sliders", said, 96, self.form)
        self.atom = control(widgets.IntText, "Atom", "Index of the atom, from 0", 112, label=40, value=0)
        self.threshold = ThresholdControl(explaining)
        self.k = self.threshold.number
        self.explain_on_click = tick(
            "on click", "Explain an atom as soon as it is clicked", 78, sets=(explaining, "explain_on_click")
        )
        said = "Find what the prediction for the selected atom rests on"
        self.explain = button("Explain", "search", said, self._on_explain, 92, button_style="primary")
        self.cancel = button("Cancel", "times", "Stop what is being predicted or explained", cancel, 84, disabled=True)
        self.bar = progress_bar({"flex": "1 1 60px", "width": "auto", "min_width": "60px"})
        self.state = widgets.Label(layout={"width": "146px", "flex": "0 0 auto"})
        said = "Use the whole window, and back (Escape)"
        self.full = control(widgets.ToggleButton, "", said, 36, icon="expand", sets=(window, "full"))
        structure = explaining.structure
        self.error = Clickable(lambda _action, _number: structure.set_trait("error", "")).add_class("symgnn-said")
        first = [self.atom, self.method, self.more, self.explain, self.explain_on_click, self.cancel]
        first_row = widgets.HBox([*first, self.bar, self.state, self.full], layout={"flex_flow": "row wrap"})
        self.ui = widgets.VBox([first_row, self.form, self.error]).add_class("symgnn-top")
        self._show_method()
        self._show_state()
        self.atom.observe(self._on_atom, "value")
        choice.observe(self._show_method, ["method", "settings"])
        choice.observe(self._show_problem, "settings_problem")
        selected.observe(self._show_atom, "selected_atom")
        for job in (explaining.job, structure.predicting):
            job.observe(self._show_state, ["status", "progress", "seconds_left"])
        structure.observe(lambda change: self.error.set_trait("value", _dismissible(change["new"])), "error")

    def _on_atom(self, change: dict[str, Any]) -> None:
        if change["new"] != self._explaining.selected.selected_atom:
            self._explaining.pick(change["new"])
            self._show_atom()  # where there is no such atom, or it was only added

    def _on_explain(self) -> None:
        with self._explaining.structure.telling():
            if self._explaining.selected.selected_atom is None:
                self._explaining.selected.select(self.atom.value)
            self._explaining.explain()

    def _show_atom(self, _change: object = None) -> None:
        if self._explaining.selected.selected_atom is not None:
            self.atom.value = self._explaining.selected.selected_atom

    def _show_method(self, _change: object = None) -> None:
        """Show the boxes of the method's settings; the same ones where only their values have changed."""
        choice = self._explaining.choice
        if self._settings_of != choice.method:
            self._settings_of = choice.method
            method = METHODS[choice.method]
            self.description.value = note(method.description)
            settings = settings_of(method, choice.structure.target)
            self.settings = {
                setting.name: setting_box(setting, choice.settings[setting.name], self._setter(setting.name))
                for setting in settings
            }
            past, self.boxes.children = self.boxes.children, (self.semantics, self.unit, *self.settings.values())
            for box in past[2:]:
                close_tree(box)
            sentences = [
                joined([element("b", setting.label), f" ({setting.default}): {setting.help}"]) for setting in settings
            ]
            self.help.value = note(*(part for sentence in sentences for part in (sentence, element("br"))))
        for name, value in choice.settings.items():
            self.settings[name].value = value

    def _setter(self, name: str) -> Any:
        def store(value: Any) -> None:
            if self._explaining.choice.settings.get(name) != value:
                self._explaining.choice.configure(**{name: value})

        return store

    def _show_problem(self, change: dict[str, Any]) -> None:
        self.problem.value = _box(change["new"])
        self.explain.disabled = bool(change["new"])

    def _show_state(self, _change: object = None) -> None:
        predicting = self._explaining.structure.predicting
        # An explanation waits for the predictions, which are shown first; but for a very large glass.
        first = predicting.status in ("running", "cancelled", "failed") and not self._explaining.job.running
        first = first or (predicting.running and not self._explaining.structure.sampled)
        job = predicting if first else self._explaining.job
        self.cancel.disabled = not job.running
        self.bar.value = job.progress
        self.bar.bar_style = {"failed": "danger", "cancelled": "warning", "done": "success"}.get(job.status, "info")
        said = {"idle": "Ready", "done": "Explained"}.get(job.status, job.status.capitalize())
        if job.running:
            training = "Training " if self._explaining.choice.needs_training else ""
            doing = "Predicting " if first else training
            remaining = "" if doing else " left"  # there is no room for all of it
            left = "" if job.seconds_left is None else f", {job.seconds_left:.0f} s{remaining}"
            said = f"{doing}{job.progress:.0%}{left}"
        self.state.value = said


def _dismissible(sentence: str) -> str:
    hide = marked("×", "dismiss", 0, "Hide this")
    return element("div", element("span", sentence), hide, css="symgnn-error") if sentence else ""


def _box(sentence: str) -> str:
    return element("div", sentence, css="symgnn-error") if sentence else ""
