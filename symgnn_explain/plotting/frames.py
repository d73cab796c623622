"""Values of atoms against the frames of a trajectory, or against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.plotting.curves import SERIES, draw
from symgnn_explain.plotting.style import GREY, new_figure
from symgnn_explain.structure.glass import FloatArray


def frames_figure(
    frames: Sequence[int],
    values: Mapping[str, FloatArray],
    label: str,
    *,
    shown: int | None = None,
    measured: Mapping[str, FloatArray] | None = None,
    moments: tuple[str, FloatArray] | None = None,
) -> go.Figure:
    """Draw values of atoms, and what was measured between them, against the number of the frame or its moment.

    Parameters
    ----------
    frames
        Numbers of the frames, shape (F,).
    values
        Curves of shape (F,), by what they are called in the legend.
    label
        Of their axis, with the unit.
    shown
        The frame that a line marks; with ``moments``, if it is one of ``frames``.
    measured
        At most one further curve, on an axis of its own; it is called as the axis is.
    moments
        What the axis of time is called, and when the frames are, shape (F,); see
        :func:`~symgnn_explain.structure.moments.moments_of`.
    """
    figure = new_figure("Against time")
    axis, places = moments or ("frame", np.asarray(frames))
    hover = "frame %{customdata}: %{y:.4g}"
    look: dict[str, object] = {"size": 4}
    for place, (name, curve) in enumerate(values.items()):
        colour, dash = SERIES[place % len(SERIES)]
        line = {"color": colour, "dash": dash}
        draw(
            figure,
            places,
            curve,
            line=line,
            marker=look | {"color": colour},
            name=name,
            hover=hover,
            customdata=frames,
        )
    for name, curve in (measured or {}).items():
        thin: dict[str, object] = {"color": GREY, "width": 1}
        draw(figure, places, curve, line=thin, name=name, hover=hover, yaxis="y2", customdata=frames)
        # Ticks of its own: at those of the other axis, counts would be broken numbers.
        beside = {"overlaying": "y", "side": "right", "showgrid": False, "tickmode": "auto"}
        figure.update_layout(yaxis2={"title": {"text": name}, **beside})
    marked = shown if moments is None or shown is None else dict(zip(frames, places, strict=True)).get(shown)
    if marked is not None:
        figure.add_vline(float(marked), line={"color": GREY, "dash": "dot"})
    legend = {"orientation": "h", "x": 0.5, "y": 1.0, "xanchor": "center", "yanchor": "bottom"}
    return figure.update_layout(xaxis_title=axis, yaxis_title=label, showlegend=bool(values), legend=legend)
