"""One look for all figures: palette, fonts, axes, and how each species is drawn."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from ase.data import covalent_radii, missing
from ase.data.colors import jmol_colors
from plotly.subplots import make_subplots

from symgnn_explain.models.target import Target
from symgnn_explain.structure.glass import FloatArray, atomic_number

BLACK = "#1A1A1A"
GREY = "#8C8C8C"
LIGHT_GREY = "#D9D9D9"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
"""The palette of Okabe and Ito, told apart by colour-blind readers."""

RAISES, LOWERS = VERMILION, BLUE
"""Edges that raise and that lower the prediction."""

PALE = 0.35
"""Opacity of what members of an ensemble disagree about."""
PALE_SAID = "pale: members of the ensemble differ by more than the score"

VALUE_SCALE = "Cividis"
"""Sequential colours of predictions and importances: even steps for colour-blind readers and in grey."""

ROUNDING = 1e-5
"""Values that differ by less, relatively, are equal: those of a crystal's equivalent atoms, in single precision."""

_COLOURS = {"Cu": ORANGE, "Zr": SKY_BLUE}
_RADII = {"Cu": 1.28, "Zr": 1.60}
_UNKNOWN_RADIUS = 1.5
_FONT = "Open Sans, Arial, sans-serif"


def species_colour(symbol: str) -> str:
    """Colour of a species: the palette's for Cu and Zr, Jmol's for the others, grey for those that Jmol has not."""
    if symbol in _COLOURS:
        return _COLOURS[symbol]
    number = atomic_number(symbol)
    if number >= len(jmol_colors):
        return GREY
    red, green, blue = (round(255 * float(part)) for part in jmol_colors[number])
    return f"#{red:02X}{green:02X}{blue:02X}"


def species_radius(symbol: str) -> float:
    """Radius of a species, Å: metallic for Cu and Zr, covalent for the others where it is known."""
    if symbol in _RADII:
        return _RADII[symbol]
    radius = float(covalent_radii[atomic_number(symbol)])
    return radius if radius > missing else _UNKNOWN_RADIUS


def shown_range(values: FloatArray) -> tuple[float, float]:
    """Return the values at the ends of a colour scale: the smallest and largest, or around them where all are equal.

    Values that are not known (NaN) do not count.

    >>> shown_range(np.array([1.0, np.nan, 3.0])), shown_range(np.array([1.0, 1.0])), shown_range(np.array([np.nan]))
    ((1.0, 3.0), (0.5, 1.5), (-0.5, 0.5))
    """
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    if not np.isclose(low, high, rtol=ROUNDING, atol=0.0):
        return low, high
    middle = (low + high) / 2
    return middle - 0.5, middle + 0.5


def translucent(colour: str, opacity: float) -> str:
    """Return a ``#RRGGBB`` colour with an opacity between 0 and 1."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{np.clip(opacity, 0, 1):.3f})"


@cache
def template() -> go.layout.Template:
    """Return the plotly template of all figures: white, framed axes with outer ticks, readable fonts."""
    axis = {
        "showline": True,
        "linecolor": BLACK,
        "linewidth": 1.2,
        "mirror": True,
        "ticks": "outside",
        "tickcolor": BLACK,
        "ticklen": 5,
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "title": {"font": {"size": 16}, "standoff": 10},
        "tickfont": {"size": 14},
    }
    space = {
        "backgroundcolor": "white",
        "gridcolor": LIGHT_GREY,
        "linecolor": GREY,
        "zeroline": False,
        "showspikes": False,
        "title": {"font": {"size": 14}},
        "tickfont": {"size": 12},
    }
    legend = {"font": {"size": 13}, "bgcolor": "rgba(255,255,255,0.85)", "bordercolor": LIGHT_GREY, "borderwidth": 1}
    layout = go.Layout(
        font={"family": _FONT, "size": 14, "color": BLACK},
        title={"font": {"size": 17}, "x": 0.5, "xanchor": "center"},
        paper_bgcolor="white",
        plot_bgcolor="white",
        colorway=[BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, GREY],
        xaxis=axis,
        yaxis=axis,
        scene={"xaxis": space, "yaxis": space, "zaxis": space},
        legend=legend,
        legend2=legend,
        hoverlabel={"font": {"family": _FONT, "size": 13}},
        margin={"l": 70, "r": 30, "t": 60, "b": 65},
    )
    return go.layout.Template(layout=layout)


FIGURE_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"], "typesetMath": False}
"""Of plotly's figures in pages: nothing offers to upload them, and a dollar in a name is a dollar."""


def new_figure(title: str, *traces: Any, width: int = 820, height: int = 520, **layout: Any) -> go.Figure:
    """Return a figure in the common style, empty where no traces are given; size in pixels.

    What is known from the start costs little here; a change of a figure costs some milliseconds each time.
    """
    size = {"width": width, "height": height}
    return go.Figure(traces, layout={"template": template(), "title": {"text": title}, **size, **layout})


def two_panels(
    title: str,
    *,
    height: int,
    widths: tuple[float, float] = (0.5, 0.5),
    spacing: float = 0.1,
    titles: tuple[str, str] | None = None,
    **layout: Any,
) -> go.Figure:
    """Return an empty figure of two panels side by side in the common style."""
    figure = make_subplots(1, 2, column_widths=list(widths), horizontal_spacing=spacing, subplot_titles=titles)
    return figure.update_layout(template=template(), title={"text": title}, width=1180, height=height, **layout)


def legend_below(x: float, y: float = -0.2, **more: Any) -> dict[str, Any]:
    """Place a legend below a panel whose middle is at ``x``."""
    return {"x": x, "y": y, "xanchor": "center", "yanchor": "top", **more}


def naming(figure: go.Figure, quantity: Target) -> go.Figure:
    """Return the figure with a title that says what was predicted, where it did not."""
    title = figure.layout.title.text or ""
    if f"predicted {quantity.word}" not in title:
        figure.update_layout(title_text=f"{title} · {quantity.axis(f'predicted {quantity.word}')}".removeprefix(" · "))
    return figure
