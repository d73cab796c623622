"""What is seen in the 3D view: colouring, range, slice, cell, camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from symgnn_explain.structure.glass import FloatArray
from symgnn_widgets.state.colour import AXES
from symgnn_widgets.state.session import Session

_STEPS = 200
_WHOLE = "whole glass"
_FULL_WIDTH = {"width": "auto", "flex": "1 1 0"}


class ViewControls:
    """The row above the 3D view, and what unfolds below it.

    Parameters
    ----------
    session
        What is coloured and filtered.
    positions
        Where the atoms are drawn, shape (N, 3), Å.
    focus, reset
        Called to move the camera to the selection, and back.
    """

    def __init__(
        self, session: Session, positions: FloatArray, *, focus: Callable[[], None], reset: Callable[[], None]
    ) -> None:
        self.session = session
        self.positions = positions
        target = session.target
        self.colour_by = widgets.Dropdown(
            options=session.colour_choices,
            value=session.colour_by,
            tooltip="What the colours of the atoms mean",
            layout={"width": "190px"},
        )
        self.zoom = _button("crosshairs", "Move the camera to the selected atom and what explains it")
        self.overview = _button("home", "Show the whole glass from where it was seen at first")
        self.zoom.disabled = True
        self.dim = widgets.Checkbox(
            value=True,
            description="Fade others",
            indent=False,
            tooltip="Fade what does not belong to the explanation",
            layout={"width": "100px", "flex": "0 0 auto"},
        )
        self.more = widgets.ToggleButton(
            icon="filter",
            tooltip=f"Show a range of values, a slice, the cell, {target.low} and {target.high} regions",
            layout={"width": "44px", "flex": "0 0 auto"},
        )
        self.range = widgets.FloatRangeSlider(
            description="Show",
            tooltip="Atoms whose value lies in this range",
            continuous_update=False,
            readout_format=".3g",
            style={"description_width": "46px"},
            layout=_FULL_WIDTH,
        )
        self.outside = widgets.Dropdown(
            options=["fade", "hide"],
            value=session.outside,
            description="others",
            tooltip="What happens to atoms outside the range",
            style={"description_width": "44px"},
            layout={"width": "116px", "flex": "0 0 auto"},
        )
        self.slab_axis = widgets.Dropdown(
            options=[(_WHOLE, ""), *((f"slice in {axis}", axis) for axis in AXES)],
            value=session.slab_axis,
            tooltip="Show a slice of the glass",
            layout={"width": "124px", "flex": "0 0 auto"},
        )
        self.slab = widgets.FloatRangeSlider(
            tooltip="Coordinates of the slice (Å)",
            disabled=True,
            continuous_update=False,
            readout_format=".1f",
            layout=_FULL_WIDTH,
        )
        self.cell = widgets.Checkbox(
            value=session.cell_shown,
            description="Cell",
            indent=False,
            tooltip="Draw the edges of the cell",
            layout={"width": "54px", "flex": "0 0 auto"},
        )
        self.regions = widgets.Dropdown(
            options=[
                ("no regions", ""),
                (f"{target.low} regions", "soft"),
                (f"{target.high} regions", "hard"),
                ("both regions", "soft and hard"),
            ],
            value=session.regions,
            tooltip=f"Skins around regions where the predicted {target.word}, averaged over 2 Å, is lowest and highest",
            layout={"width": "132px", "flex": "0 0 auto"},
        )
        self.region_share = widgets.FloatSlider(
            value=session.region_share,
            min=0.01,
            max=0.5,
            step=0.01,
            readout_format=".0%",
            tooltip="Share of the volume that each of these regions takes",
            continuous_update=False,
            disabled=True,
            layout=_FULL_WIDTH,
        )
        self.filters = widgets.VBox(
            [
                widgets.HBox([self.range, self.outside]),
                widgets.HBox([self.slab_axis, self.slab, self.cell]),
                widgets.HBox([self.regions, self.region_share]),
            ],
            layout={"display": "none"},
        )
        self.bar = widgets.HBox(
            [self.colour_by, self.zoom, self.overview, self.more, self.dim], layout={"flex_flow": "row wrap"}
        )
        self._following = False
        self._show_extent()
        self.zoom.on_click(lambda _button: focus())
        self.overview.on_click(lambda _button: reset())
        self.more.observe(self._unfold, "value")
        for name, box in (
            ("colour_by", self.colour_by),
            ("outside", self.outside),
            ("slab_axis", self.slab_axis),
            ("cell_shown", self.cell),
            ("regions", self.regions),
            ("region_share", self.region_share),
        ):
            bind(session, name, box)
        self.range.observe(self._on_range, "value")
        self.slab.observe(self._on_slab, "value")
        session.observe(self._show_extent, ["colour_by", "explanation"])
        session.observe(self._show_slab, "slab_axis")
        session.observe(lambda change: self.region_share.set_trait("disabled", not change["new"]), "regions")
        session.observe(self._follow_range, "shown_range")

    def _unfold(self, change: dict[str, Any]) -> None:
        self.filters.layout.display = "" if change["new"] else "none"

    def _show_extent(self, _change: object = None) -> None:
        low, high = self.session.colouring().extent
        self._set(self.range, low, high, self.session.shown_range or (low, high))

    def _follow_range(self, change: dict[str, Any]) -> None:
        low, high = self.session.colouring().extent
        self._set(self.range, low, high, change["new"] or (low, high))

    def _show_slab(self, _change: object = None) -> None:
        axis = self.session.slab_axis
        self.slab.disabled = not axis
        if axis:
            along = self.positions[:, AXES.index(axis)]
            low, high = float(np.floor(along.min())), float(np.ceil(along.max()))
            self._set(self.slab, low, high, (low, high))

    def _set(self, slider: Any, low: float, high: float, value: tuple[float, float]) -> None:
        """Give a slider other ends and another value; the ends must never cross on the way."""
        self._following = True
        # Rounded outwards to whole steps, so that the smallest and the largest value are within reach.
        step = (high - low) / _STEPS
        slider.min, slider.max = min(slider.min, low), max(slider.max, high)
        slider.value = value
        slider.min, slider.max, slider.step = low, high, step
        slider.value = value
        self._following = False

    def _on_range(self, change: dict[str, Any]) -> None:
        if self._following:
            return
        low, high = change["new"]
        everything = low <= self.range.min and high >= self.range.max
        self.session.shown_range = None if everything else (low, high)

    def _on_slab(self, change: dict[str, Any]) -> None:
        if not self._following:
            self.session.slab = tuple(change["new"])


def bind(session: Session, name: str, box: Any) -> None:
    """Let a box and a trait of the session follow each other."""
    box.observe(lambda change: session.set_trait(name, change["new"]), "value")
    session.observe(lambda change: box.set_trait("value", change["new"]), name)


def _button(icon: str, tooltip: str) -> Any:
    return widgets.Button(icon=icon, tooltip=tooltip, layout={"width": "36px", "flex": "0 0 auto"})
