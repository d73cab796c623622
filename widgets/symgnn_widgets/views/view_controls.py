"""What is seen in the 3D view: colouring, range, slice, cell, camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from symgnn_explain.structure.glass import FloatArray
from symgnn_widgets.state.colour import AXES, OUTSIDE, REGIONS, Colours
from symgnn_widgets.views.controls import button, control, tick, unfolding

_STEPS = 200
_GROWS = {"width": "auto", "flex": "1 1 100px", "min_width": "0", "max_width": "220px"}


class ViewControls:
    """The row above the 3D view, and what unfolds below it."""

    def __init__(
        self,
        colours: Colours,
        positions: FloatArray,
        *,
        focus: Callable[[], None],
        reset: Callable[[], None],
    ) -> None:
        self._colours, target = colours, colours.explaining.structure.target
        self._positions = positions

        def choice(trait: str, said: str, width: Any, options: Sequence[Any], name: str = "", **label: Any) -> Any:
            return control(widgets.Dropdown, name, said, width, options=options, sets=(colours, trait), **label)

        self.colour_by = choice("colour_by", "What the colours of the atoms mean", _GROWS, colours.colour_choices)
        said = "Move the camera to the selected atom and what explains it"
        self.zoom = button("", "crosshairs", said, focus, 36, disabled=True)
        self.overview = button("", "home", "Show the whole glass from where it was seen at first", reset, 36)
        self.dim = tick("Fade others", "Fade what does not belong to the explanation", 98, value=True)
        said = "Where others are not faded: cut away those between you and the selected atom"
        self.cut = tick("Cut away", said, 88, value=True)
        self.range = control(
            widgets.FloatRangeSlider, "Show", "Atoms whose value lies in this range", label=46, readout_format=".3g"
        )
        said = "What happens to atoms outside the range"
        self.outside = choice("outside", said, 116, OUTSIDE, name="others", label=44)
        axes = [("whole glass", ""), *((f"slice in {axis}", axis) for axis in AXES)]
        self.slab_axis = choice("slab_axis", "Show a slice of the glass", 124, axes)
        self.slab = control(
            widgets.FloatRangeSlider, "", "Coordinates of the slice (Å)", disabled=True, readout_format=".1f"
        )
        self.cell = tick("Cell", "Draw the edges of the cell", 54, sets=(colours, "cell_shown"))
        names = ("no regions", f"{target.low} regions", f"{target.high} regions", "both regions")
        said = f"Skins around regions where the predicted {target.word}, averaged over 2 Å, is lowest and highest"
        self.regions = choice("regions", said, 132, list(zip(names, REGIONS, strict=True)))
        self.region_share = control(
            widgets.FloatSlider,
            "",
            "Share of the volume that each of these regions takes",
            sets=(colours, "region_share"),
            min=0.01,
            max=0.5,
            step=0.01,
            readout_format=".0%",
            disabled=True,
        )
        self.filters = widgets.VBox(
            [
                widgets.HBox([self.range, self.outside]),
                widgets.HBox([self.slab_axis, self.slab, self.cell]),
                widgets.HBox([self.regions, self.region_share]),
            ]
        )
        said = f"Show a range of values, a slice, the cell, {target.low} and {target.high} regions"
        self.more = unfolding("", "filter", said, 44, self.filters)
        self.bar = widgets.HBox(
            [self.colour_by, self.zoom, self.overview, self.more, self.dim, self.cut], layout={"flex_flow": "row wrap"}
        )
        self._following = False
        self._show_extent()
        self.range.observe(self._on_range, "value")
        self.slab.observe(self._on_slab, "value")
        colours.observe(self._show_extent, ["colour_by", "shown_range", "revision"])
        colours.explaining.observe(self._show_extent, "explanation")
        colours.observe(self._show_slab, "slab_axis")
        colours.observe(lambda change: self.region_share.set_trait("disabled", not change["new"]), "regions")

    def _show_extent(self, _change: object = None) -> None:
        low, high = self._colours.colouring().extent
        self._set(self.range, low, high, self._colours.shown_range or (low, high))

    def _show_slab(self, _change: object = None) -> None:
        axis = self._colours.slab_axis
        self.slab.disabled = not axis
        if axis:
            along = self._positions[:, AXES.index(axis)]
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
        self._colours.shown_range = None if everything else (low, high)

    def _on_slab(self, change: dict[str, Any]) -> None:
        if not self._following:
            self._colours.slab = tuple(change["new"])
