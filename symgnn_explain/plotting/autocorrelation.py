"""Spatial autocorrelation of fields, with correlation lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.fields.autocorrelation import Autocorrelation
from symgnn_explain.analysis.fields.correlation_length import CorrelationLength
from symgnn_explain.plotting.curves import SERIES, add_band, draw
from symgnn_explain.plotting.style import BLACK, GREY, legend_below, new_figure
from symgnn_explain.runs.markup import figure_text


def autocorrelation_figure(results: Autocorrelation | Sequence[Autocorrelation]) -> go.Figure:
    """Draw C(r) of one or several fields with bootstrap bands, the null band, and the fitted exponentials (thin).

    The legend gives the correlation lengths; a field that is not correlated has none.
    """
    shown = [results] if isinstance(results, Autocorrelation) else list(results)
    figure = new_figure("Spatial autocorrelation", width=900, height=600)
    widest = max(shown, key=lambda result: float(np.max(result.null_high - result.null_low)))
    add_band(figure, widest.r, widest.null_low, widest.null_high, colour=GREY, name="random permutations, 95 %")
    for number, result in enumerate(shown):
        colour, dash = SERIES[number % len(SERIES)]
        add_band(figure, result.r, result.low, result.high, colour=colour)
        line = {"color": colour, "width": 2.4, "dash": dash}
        hover = f"{figure_text(result.field)}, %{{x:.2f}} Å: C = %{{y:.3f}}"
        draw(figure, result.r, result.correlation, line=line, marker={"size": 6}, name=_label(result), hover=hover)
        fit = result.exponential_length
        if fit is not None:
            r = np.linspace(fit.r_min, fit.r_zero, 60)
            draw(figure, r, fit.amplitude * np.exp(-r / fit.value), line={"color": colour, "width": 1.0})
    figure.add_hline(y=0.0, line={"color": BLACK, "width": 1})
    figure.update_xaxes(title_text="distance r (Å)", range=[0, max(result.r[-1] for result in shown) + 0.3])
    figure.update_yaxes(title_text="autocorrelation C(r)")
    figure.update_layout(legend=legend_below(0.5, -0.18), margin={"b": 110 + 25 * len(shown)})
    return figure


def _label(result: Autocorrelation) -> str:
    lengths = [
        f"{symbol} = {_stated(length)}"
        for symbol, length in (
            ("ξ<sub>int</sub>", result.integral_length),
            ("ξ<sub>exp</sub>", result.exponential_length),
        )
        if length is not None
    ]
    return f"{figure_text(result.field)}: {', '.join(lengths) or 'no correlation length'}"


def _stated(length: CorrelationLength) -> str:
    sign = "> " if length.truncated else ""
    between = f" ({length.low:.1f}–{length.high:.1f})" if np.isfinite(length.low) else ""
    return f"{sign}{length.value:.1f}{between} Å"
