"""What was observed as points with intervals, over the bands in which a null model falls."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from symgnn_explain.plotting.curves import draw, error_bars
from symgnn_explain.plotting.style import BLUE, GREY, LIGHT_GREY

BAND_WIDTH = 0.62


def add_null_bands(
    figure: go.Figure,
    place: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    expected: ArrayLike,
    *,
    name: str,
    **panel: Any,
) -> None:
    """Add a bar from ``low`` to ``high`` at each place on the x axis, with a line where the null expects the value.

    Parameters
    ----------
    name
        Of the null model, in the legend.
    panel
        Row, column and legend, as plotly takes them.
    """
    place, low, high, expected = (np.asarray(values, dtype=np.float64) for values in (place, low, high, expected))
    figure.add_bar(
        x=place,
        base=low,
        y=high - low,
        width=BAND_WIDTH,
        marker={"color": LIGHT_GREY, "line": {"color": GREY, "width": 1}},
        name=f"{name}, 95 %",
        customdata=np.column_stack([low, high, expected]),
        hovertemplate="%{customdata[2]:.3g} expected (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra></extra>",
        **panel,
    )
    x = np.column_stack([place - BAND_WIDTH / 2, place + BAND_WIDTH / 2, place * np.nan]).ravel()
    y = np.column_stack([expected, expected, expected * np.nan]).ravel()
    draw(figure, x, y, line={"color": GREY, "width": 2}, name=f"{name}, expected", **panel)


def add_observed(
    figure: go.Figure,
    place: ArrayLike,
    value: ArrayLike,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    *,
    name: str,
    hover: ArrayLike | None = None,
    **panel: Any,
) -> None:
    """Add a point at each place on the x axis, with a bar from ``low`` to ``high`` where they are given.

    Parameters
    ----------
    name
        In the legend.
    hover
        Text of each point; its value where None.
    panel
        Row, column and legend, as plotly takes them.
    """
    value = np.asarray(value, dtype=np.float64)
    bounds: dict[str, Any] = {}
    if low is not None and high is not None:
        bounds["error_y"] = error_bars(value, low, high)
    marker = {"color": BLUE, "size": 10, "line": {"color": "white", "width": 1}}
    text = "%{y:.3g}" if hover is None else "%{hovertext}"
    draw(figure, np.asarray(place), value, marker=marker, name=name, hover=text, hovertext=hover, **bounds, **panel)
