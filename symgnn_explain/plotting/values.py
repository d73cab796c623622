"""One value of every atom against another, each point an atom that can be picked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from symgnn_explain.errors import InputError
from symgnn_explain.plotting.curves import draw
from symgnn_explain.plotting.style import BLACK, PURPLE, new_figure, species_colour, translucent
from symgnn_explain.runs.markup import figure_text
from symgnn_explain.structure.glass import Glass


def values_figure(
    glass: Glass,
    horizontal: ArrayLike,
    vertical: ArrayLike,
    *,
    names: tuple[str, str],
    highlighted: Sequence[int] = (),
) -> go.Figure:
    """Draw one value of every atom against another, coloured by species.

    The ``customdata`` of a point is the number of its atom.

    Parameters
    ----------
    horizontal, vertical
        Values, shapes (N,). Atoms with a value that is not a number are left out.
    names
        Titles of the axes, with units.
    highlighted
        Atoms that are marked.

    Raises
    ------
    InputError
        If there is not one value an atom.
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (horizontal, vertical))
    for name, values in zip(names, (x, y), strict=True):
        if values.shape != (len(glass),):
            raise InputError(f"{name!r} has shape {values.shape}, expected ({len(glass)},): one value an atom.")
    across, up = map(figure_text, names)
    figure = new_figure(f"{up} against {across}", width=720, height=560)
    hover = f"<br>{across} %{{x:.4g}}<br>{up} %{{y:.4g}}"
    symbols = np.array(glass.symbols)
    known = np.isfinite(x) & np.isfinite(y)
    groups = [(symbol, known & (symbols == symbol)) for symbol in glass.species]
    for symbol, members in groups:
        atoms = np.flatnonzero(members)
        marker = {"size": 4, "color": translucent(species_colour(symbol), 0.6)}
        named: dict[str, Any] = {"customdata": atoms, "name": f"{symbol} ({len(atoms)})"}
        draw(figure, x[atoms], y[atoms], marker=marker, hover=f"{symbol} %{{customdata}}{hover}", **named)
    marked = np.array([atom for atom in highlighted if known[atom]], dtype=np.int64)
    if len(marked):
        marker = {"size": 10, "color": PURPLE, "line": {"width": 1.2, "color": BLACK}}
        named = {"customdata": marked, "name": "selected"}
        draw(figure, x[marked], y[marked], marker=marker, hover=f"selected atom %{{customdata}}{hover}", **named)
    figure.update_layout(xaxis={"title": {"text": across}}, yaxis={"title": {"text": up}})
    return figure
