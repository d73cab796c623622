"""Controls of the panels: what one is called, what it is for and what it sets, in one place."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import ipywidgets as widgets
from traitlets import HasTraits

GROWS = {"width": "auto", "flex": "1 1 0", "min_width": "0"}
"""Layout of what takes the rest of a row."""

HIDDEN = {"display": "none"}


def control(
    kind: Any,
    name: str,
    tooltip: str,
    width: int | Mapping[str, str] | None = None,
    *,
    label: int | None = None,
    sets: tuple[HasTraits, str] | None = None,
    **options: Any,
) -> Any:
    """Make a control.

    Parameters
    ----------
    kind
        Class of ipywidgets.
    name, tooltip
        What it is called, or empty, and what it is for.
    width
        Pixels; or a layout; what is left of the row if None.
    label
        Width of its name, pixels.
    sets
        A model and the trait of it that the control follows and sets.
    options
        Of the class.
    """
    if "continuous_update" in kind.class_trait_names():
        options.setdefault("continuous_update", False)  # told once it is chosen, not on the way
    if label is not None:
        options["style"] = {"description_width": f"{label}px"}
    if sets is not None:
        options["value"] = getattr(*sets)
    box = kind(description=name, tooltip=tooltip, layout=_layout(width), **options)
    if sets is not None:
        bind(*sets, box)
    return box


def tick(name: str, tooltip: str, width: int | Mapping[str, str], **options: Any) -> Any:
    """Make a box to tick."""
    return control(widgets.Checkbox, name, tooltip, width, indent=False, **options)


def button(
    name: str,
    icon: str,
    tooltip: str,
    on_click: Callable[[], object],
    width: int | Mapping[str, str] = 34,
    **options: Any,
) -> Any:
    """Make a button."""
    made = widgets.Button(description=name, icon=icon, tooltip=tooltip, layout=_layout(width), **options)
    made.on_click(lambda _button: on_click())
    return made


def unfolding(name: str, icon: str, tooltip: str, width: int, folded: Any) -> Any:
    """Make a button that shows a part and hides it again."""
    made = control(widgets.ToggleButton, name, tooltip, width, icon=icon)
    made.observe(lambda change: show(folded, seen=change["new"]), "value")
    show(folded, seen=False)
    return made


def show(part: Any, *, seen: bool) -> None:
    """Show a part, or hide it."""
    part.layout.display = "" if seen else "none"


def close_tree(widget: widgets.Widget, kept: Container[widgets.Widget] = ()) -> None:
    """Close a widget and all that is inside of it but what is kept; ipywidgets holds every open one for good."""
    if widget in kept:
        return
    inside = [value for name in widget.keys if isinstance(value := getattr(widget, name), widgets.Widget)]
    for part in (*getattr(widget, "children", ()), *inside):
        close_tree(part, kept)
    widget.close()


def progress_bar(width: int | Mapping[str, str] | None = None) -> Any:
    """Make a bar that runs from 0 to 1."""
    return widgets.FloatProgress(min=0.0, max=1.0, layout=_layout(width))


def bind(model: HasTraits, name: str, box: Any) -> None:
    """Let a box and a trait follow each other."""
    box.observe(lambda change: model.set_trait(name, change["new"]), "value")
    model.observe(lambda change: box.set_trait("value", change["new"]), name)


def _layout(width: int | Mapping[str, str] | None) -> dict[str, str]:
    if isinstance(width, int):
        return {"width": f"{width}px", "flex": "0 0 auto"}
    return dict(GROWS if width is None else width)
