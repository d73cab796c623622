"""How well coarse-grained local structure predicts a field, by coarse-graining length."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from symgnn_explain.analysis.fields.coarse_graining import CoarseGraining
from symgnn_explain.plotting.curves import SERIES, add_band
from symgnn_explain.plotting.style import BLACK, new_figure


def coarse_graining_figure(results: CoarseGraining | Sequence[CoarseGraining]) -> go.Figure:
    """Draw r over the coarse-graining length for one or several fields.

    Lines with filled markers: averaged descriptors alone, with 95 % bands; thin lines with open markers: together with
    the atom's own. Stars mark the best length, with its interval.
    """
    shown = [results] if isinstance(results, CoarseGraining) else list(results)
    figure = new_figure("Prediction from coarse-grained local structure", width=900, height=580)
    for number, result in enumerate(shown):
        colour, dash = SERIES[number % len(SERIES)]
        curve, combined = result.averaged, result.local_and_averaged
        add_band(figure, result.lengths, curve.low, curve.high, colour=colour)
        figure.add_scatter(
            x=result.lengths,
            y=curve.r,
            mode="lines+markers",
            line={"color": colour, "width": 2.4, "dash": dash},
            marker={"size": 7},
            name=f"{result.field}: best at {curve.best_length:.1f} ({curve.best_low:.1f}–{curve.best_high:.1f}) Å",
            hovertemplate=f"{result.field}, L = %{{x:.1f}} Å: r = %{{y:.3f}}<extra></extra>",
        )
        figure.add_scatter(
            x=result.lengths,
            y=combined.r,
            mode="lines+markers",
            line={"color": colour, "width": 1.2},
            marker={"size": 6, "symbol": "circle-open"},
            name=f"{result.field}, with the atom's own descriptors",
            hovertemplate=f"{result.field}, L = %{{x:.1f}} Å: r = %{{y:.3f}}<extra></extra>",
        )
        figure.add_scatter(
            x=[curve.best_length],
            y=[float(curve.r.max())],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [curve.best_high - curve.best_length],
                "arrayminus": [curve.best_length - curve.best_low],
                "thickness": 2,
            },
            mode="markers",
            marker={"color": colour, "size": 12, "symbol": "star", "line": {"color": BLACK, "width": 1}},
            showlegend=False,
            hovertemplate="best length %{x:.2f} Å<extra></extra>",
        )
    held_out = sorted({result.held_out for result in shown})
    figure.update_layout(
        title={"subtitle": {"text": f"ridge regression, held-out {' or '.join(held_out)}, bootstrap 95 %"}},
        legend={"y": -0.2, "yanchor": "top", "x": 0.5, "xanchor": "center"},
        margin={"t": 80, "b": 60 + 55 * len(shown)},
    )
    figure.update_xaxes(title_text="coarse-graining length L (Å)", rangemode="tozero")
    figure.update_yaxes(title_text="Pearson r of held-out predictions")
    return figure
