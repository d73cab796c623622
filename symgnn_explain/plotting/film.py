"""The pictures of a film: a figure that turns round, and the frames of a trajectory coloured by what is predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.errors import InputError
from symgnn_explain.models.target import Target
from symgnn_explain.plotting.arrows import cell_edges, draw3d
from symgnn_explain.plotting.style import BLACK, GREY, VALUE_SCALE, new_figure, species_radius
from symgnn_explain.runs.markup import figure_text
from symgnn_explain.structure.glass import FloatArray, Glass

SHOWN_QUANTILES = (0.005, 0.995)
"""Values beyond these have the colour of the end of the scale: a few extremes do not hide the rest."""

_FIGURE_PIXELS = 160.0
"""Marker size of an atom's radius times the extent of the figure, both in Å; markers do not scale with the axes."""


def turning_figures(figure: go.Figure, count: int) -> list[go.Figure]:
    """Return a figure in space ``count`` times, its camera going once round the vertical axis.

    Raises
    ------
    InputError
        If the figure has no camera, or ``count`` is less than 2.
    """
    eye = figure.layout.scene.camera.eye
    if eye.x is None or eye.y is None:
        raise InputError("the figure has no camera that could go round: give one in space, such as a neighbourhood.")
    if count < 2:
        raise InputError(f"{count=} pictures do not turn: give at least 2.")
    turned = []
    for angle in 2 * np.pi * np.arange(count) / count:
        cos, sin = np.cos(angle), np.sin(angle)
        each = go.Figure(figure)
        each.update_layout(scene_camera_eye={"x": cos * eye.x - sin * eye.y, "y": sin * eye.x + cos * eye.y})
        turned.append(each)
    return turned


def glass_figure(
    glass: Glass, values: ArrayLike, label: str, *, title: str = "", limits: tuple[float, float] | None = None
) -> go.Figure:
    """Draw all atoms of a glass and its cell, coloured by one value an atom.

    Parameters
    ----------
    values
        Shape (N,); atoms whose value is not a number are grey.
    label
        What the values are, with their unit.
    title
        Of the figure.
    limits
        Values at the ends of the colour scale; those that nearly all atoms lie between where None.

    Raises
    ------
    InputError
        If there is not one value an atom.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> glass = datasets.sample("cu50zr50")
    >>> len(glass_figure(glass, glass.positions[:, 2], "height (Å)").data)
    3
    """
    shown = np.asarray(values, dtype=np.float64)
    if shown.shape != (len(glass),):
        raise InputError(f"{label!r} has shape {shown.shape}, expected ({len(glass)},): one value an atom.")
    low, high = _limits([shown]) if limits is None else limits
    figure = new_figure(figure_text(title), width=900, height=720)
    edges = np.stack(cell_edges(glass), axis=1)
    places, symbols = wrapped_positions(glass), np.array(glass.symbols)
    seen = np.concatenate([edges.reshape(-1, 3), places])  # along open directions atoms may lie outside of the cell
    low_corner, high_corner = seen.min(axis=0), seen.max(axis=0)
    lines = np.full((len(edges), 3, 3), np.nan)  # what is not a number ends a line
    lines[:, :2] = edges
    draw3d(figure, lines, mode="lines", line={"width": 2, "color": GREY}, hoverinfo="skip", showlegend=False)
    scale = _FIGURE_PIXELS / (high_corner - low_corner).max()
    for symbol in glass.species:
        atoms = np.flatnonzero(symbols == symbol)
        marker = {
            "size": scale * species_radius(symbol),
            "color": shown[atoms],
            "coloraxis": "coloraxis",
            "line": {"width": 1, "color": BLACK},
        }
        draw3d(figure, places[atoms], marker=marker, name=symbol, customdata=atoms, showlegend=False)
    title_of_bar = {"text": figure_text(label), "side": "right", "font": {"size": 16}}
    axes = {
        f"{axis}axis": {"title": {"text": f"{axis} (Å)"}, "range": [low_corner[place], high_corner[place]]}
        for place, axis in enumerate("xyz")
    }
    figure.update_layout(
        scene={
            **axes,
            "aspectmode": "data",
            "camera": {"eye": {"x": 1.25, "y": 1.05, "z": 0.55}, "projection": {"type": "orthographic"}},
        },
        coloraxis={
            "colorscale": VALUE_SCALE,
            "cmin": low,
            "cmax": high,
            "colorbar": {"title": title_of_bar, "len": 0.7, "thickness": 18},
        },
        margin={"l": 0, "r": 10, "t": 55, "b": 10},
    )
    return figure


def trajectory_figures(frames: Sequence[tuple[int, Glass, FloatArray]], target: Target) -> list[go.Figure]:
    """Draw frames of a trajectory alike: their number, their structure, and what is predicted of each atom, (N,).

    Raises
    ------
    InputError
        If there are fewer than 2.
    """
    if len(frames) < 2:
        raise InputError(f"{len(frames)} frame is no film: give at least 2.")
    limits = _limits([values for _, _, values in frames])
    label = target.axis(f"Predicted {target.word}")
    return [
        glass_figure(glass, values, label, title=f"{glass.name}: frame {number}", limits=limits)
        for number, glass, values in frames
    ]


def _limits(values: Sequence[FloatArray]) -> tuple[float, float]:
    known = np.concatenate([each[np.isfinite(each)] for each in values])
    low, high = (float(limit) for limit in np.quantile(known, SHOWN_QUANTILES)) if len(known) else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)
