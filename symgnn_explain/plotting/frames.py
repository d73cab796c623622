"""Values of atoms against the frames of a trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
) -> go.Figure:
    """Draw values of atoms, and what was measured between them, against the number of the frame.

    Parameters
    ----------
    frames
        Numbers of the frames, shape (F,).
    values
        Curves of shape (F,), by what they are called in the legend.
    label
        Of their axis, with the unit.
    shown
        The frame that a line marks.
    measured
        At most one further curve, on an axis of its own; it is called as the axis is.
    """
    figure = new_figure("Against time")
    look: dict[str, object] = {"size": 4}
    for place, (name, curve) in enumerate(values.items()):
        colour, dash = SERIES[place % len(SERIES)]
        line = {"color": colour, "dash": dash}
        draw(
            figure,
            frames,
            curve,
            line=line,
            marker=look | {"color": colour},
            name=name,
            hover="frame %{x}: %{y:.4g}",
            customdata=frames,
        )
    for name, curve in (measured or {}).items():
        thin: dict[str, object] = {"color": GREY, "width": 1}
        draw(figure, frames, curve, line=thin, name=name, hover="frame %{x}: %{y:.4g}", yaxis="y2", customdata=frames)
        # Ticks of its own: at those of the other axis, counts would be broken numbers.
        beside = {"overlaying": "y", "side": "right", "showgrid": False, "tickmode": "auto"}
        figure.update_layout(yaxis2={"title": {"text": name}, **beside})
    if shown is not None:
        figure.add_vline(shown, line={"color": GREY, "dash": "dot"})
    legend = {"orientation": "h", "x": 0.5, "y": 1.0, "xanchor": "center", "yanchor": "bottom"}
    return figure.update_layout(xaxis_title="frame", yaxis_title=label, showlegend=bool(values), legend=legend)
