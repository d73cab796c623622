"""What was observed as points with intervals, over the bands in which a null model falls."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from symgnn_explain.plotting.curves import error_bars
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
    colour: str = LIGHT_GREY,
    width: float = BAND_WIDTH,
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
        width=width,
        marker={"color": colour, "line": {"color": GREY, "width": 1}},
        name=f"{name}, 95 %",
        customdata=np.column_stack([low, high, expected]),
        hovertemplate="%{customdata[2]:.3g} expected (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra></extra>",
        **panel,
    )
    figure.add_scatter(
        x=np.column_stack([place - width / 2, place + width / 2, place * np.nan]).ravel(),
        y=np.column_stack([expected, expected, expected * np.nan]).ravel(),
        mode="lines",
        line={"color": GREY, "width": 2},
        name=f"{name}, expected",
        hoverinfo="skip",
        **panel,
    )


def add_observed(
    figure: go.Figure,
    place: ArrayLike,
    value: ArrayLike,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    *,
    name: str,
    colour: str = BLUE,
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
    figure.add_scatter(
        x=np.asarray(place),
        y=value,
        mode="markers",
        marker={"color": colour, "size": 10, "line": {"color": "white", "width": 1}},
        name=name,
        hovertext=hover,
        hovertemplate="%{y:.3g}<extra></extra>" if hover is None else "%{hovertext}<extra></extra>",
        **bounds,
        **panel,
    )


def null_legend(x: float, y: float = -0.24) -> dict[str, Any]:
    """Place a legend below a panel whose middle is at ``x``."""
    return {"x": x, "y": y, "xanchor": "center", "yanchor": "top"}
