"""Boxes for the settings of a method, made from its settings class: types, defaults and a sentence on each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import ipywidgets as widgets

from symgnn_explain.explain.api import Method
from symgnn_explain.models.target import Target, with_tolerance
from symgnn_widgets.views.controls import control


@dataclass(frozen=True)
class Setting:
    """One setting of a method."""

    name: str
    kind: type
    choices: tuple[Any, ...]
    default: Any
    help: str

    @property
    def label(self) -> str:
        """Name for a box."""
        return self.name.replace("_", " ").capitalize()


def settings_of(method: Method, target: Target) -> tuple[Setting, ...]:
    """List the settings of a method for what is predicted, in the order of its settings class."""
    hints = get_type_hints(method.settings)
    defaults = with_tolerance(method.configure(), target)
    described = _described(inspect.getdoc(method.settings) or "")
    found = []
    for field in fields(method.settings):
        hint = hints[field.name]
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        kind = type(choices[0]) if choices else next((one for one in (get_args(hint) or (hint,)) if one in _BOXES), str)
        found.append(Setting(field.name, kind, choices, getattr(defaults, field.name), described.get(field.name, "")))
    return tuple(found)


def setting_box(setting: Setting, value: Any, on_change: Callable[[Any], None]) -> Any:
    """Make the box of one setting; what is typed is told as it is, and checked by the method."""
    kind, options = (widgets.Dropdown, {"options": list(setting.choices)}) if setting.choices else _BOXES[setting.kind]
    said = f"{setting.help} Default: {setting.default}."
    box = control(kind, setting.label, said, {"width": "168px"}, label=90, value=value, **options)
    box.observe(lambda change: on_change(change["new"]), "value")
    return box


_BOXES: dict[type, tuple[Any, dict[str, Any]]] = {
    bool: (widgets.Checkbox, {"indent": False}),
    int: (widgets.IntText, {}),
    float: (widgets.FloatText, {}),
    str: (widgets.Text, {}),
}


def _described(docstring: str) -> dict[str, str]:
    """Read the sentences of a numpy docstring's section on parameters; one entry may be for several names."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    described: dict[str, str] = {}
    names: list[str] = []
    for line in section.group(1).splitlines() if section else []:
        if line and not line[0].isspace():
            names = [name.strip() for name in line.split(":")[0].split(",")]
        for name in names if line[:1].isspace() else ():
            described[name] = f"{described.get(name, '')} {line.strip()}".strip()
    return described
