"""Structure factor, total and partial, with its first sharp diffraction peak."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from symgnn_explain.analysis.order.structure_factor import StructureFactor
from symgnn_explain.plotting.curves import add_band, pair_style
from symgnn_explain.plotting.style import BLACK, BLUE, GREY, VERMILION, template
from symgnn_explain.structure.glass import atomic_number


def structure_factor_figure(result: StructureFactor) -> go.Figure:
    """Draw the total S(q) with twice its standard error, its first peak and what X-rays see of it, and the partials."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    total = {"row": 1, "col": 1}
    error = 2 * result.error
    add_band(
        figure, result.q, result.total - error, result.total + error, colour=GREY, name="± 2 standard errors", **total
    )
    figure.add_scatter(
        x=result.q,
        y=result.total,
        mode="lines",
        line={"color": BLACK, "width": 2.2},
        name="total",
        hovertemplate="q = %{x:.2f} Å⁻¹: S = %{y:.2f}<extra></extra>",
        **total,
    )
    figure.add_scatter(
        x=result.q,
        y=result.weighted({species: atomic_number(species) for species in result.concentrations}),
        mode="lines",
        line={"color": BLUE, "width": 1.6, "dash": "dash"},
        name="as X-rays see it (amplitudes: atomic numbers)",
        hovertemplate="q = %{x:.2f} Å⁻¹: %{y:.2f}<extra></extra>",
        **total,
    )
    peak = result.first_peak
    if peak is not None:
        figure.add_scatter(
            x=[peak.position],
            y=[peak.height],
            mode="markers",
            marker={"color": VERMILION, "symbol": "triangle-down", "size": 12},
            name=f"first sharp diffraction peak: {peak.position:.2f} Å⁻¹, width {peak.width:.2f} Å⁻¹",
            hovertemplate="%{x:.2f} Å⁻¹<extra></extra>",
            **total,
        )
    mixed = 0
    for pair, curve in result.faber_ziman.items():
        colour, dash = pair_style(pair, mixed)
        mixed += pair[0] != pair[1]
        figure.add_scatter(
            x=result.q,
            y=curve,
            mode="lines",
            line={"color": colour, "width": 2.2, "dash": dash},
            name="-".join(pair),
            legend="legend2",
            hovertemplate=f"{'-'.join(pair)}, q = %{{x:.2f}} Å⁻¹: %{{y:.2f}}<extra></extra>",
            row=1,
            col=2,
        )
    figure.add_hline(y=1.0, line={"color": GREY, "width": 1.2, "dash": "dash"}, **total)
    figure.update_xaxes(title_text="wave vector q (1/Å)", range=[0, result.q[-1]])
    figure.update_yaxes(title_text="S(q)", rangemode="tozero", **total)
    figure.update_yaxes(title_text="Faber-Ziman partials S<sub>ab</sub>(q)", row=1, col=2)
    legend = {"y": -0.2, "yanchor": "top", "xanchor": "center"}
    figure.update_layout(
        template=template(),
        width=1180,
        height=560,
        title={"text": "Structure factor"},
        legend=legend | {"x": 0.22},
        legend2=legend | {"x": 0.78, "orientation": "h"},
        margin={"b": 155},
    )
    return figure
