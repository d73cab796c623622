"""Structure factor, total and partial, with its first sharp diffraction peak."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from symgnn_explain.analysis.order.structure_factor import StructureFactor
from symgnn_explain.plotting.curves import add_band, draw, pair_style
from symgnn_explain.plotting.style import BLACK, BLUE, GREY, VERMILION, legend_below, two_panels
from symgnn_explain.structure.glass import atomic_number


def structure_factor_figure(result: StructureFactor) -> go.Figure:
    """Draw the total S(q) with twice its standard error, its first peak and what X-rays see of it, and the partials."""
    legends: dict[str, Any] = {"legend": legend_below(0.22), "legend2": legend_below(0.78, orientation="h")}
    figure = two_panels("Structure factor", height=560, margin={"b": 155}, **legends)
    total: dict[str, Any] = {"row": 1, "col": 1}
    error = 2 * result.error
    band = (result.total - error, result.total + error)
    add_band(figure, result.q, *band, colour=GREY, name="± 2 standard errors", **total)
    line, hover = {"color": BLACK, "width": 2.2}, "q = %{x:.2f} Å⁻¹: S = %{y:.2f}"
    draw(figure, result.q, result.total, line=line, name="total", hover=hover, **total)
    seen = result.weighted({species: atomic_number(species) for species in result.concentrations})
    line, hover = {"color": BLUE, "width": 1.6, "dash": "dash"}, "q = %{x:.2f} Å⁻¹: %{y:.2f}"
    name = "as X-rays see it (amplitudes: atomic numbers)"
    draw(figure, result.q, seen, line=line, name=name, hover=hover, **total)
    peak = result.first_peak
    if peak is not None:
        marker = {"color": VERMILION, "symbol": "triangle-down", "size": 12}
        name = f"first sharp diffraction peak: {peak.position:.2f} Å⁻¹, width {peak.width:.2f} Å⁻¹"
        draw(figure, [peak.position], [peak.height], marker=marker, name=name, hover="%{x:.2f} Å⁻¹", **total)
    mixed = 0
    for pair, curve in result.faber_ziman.items():
        colour, dash = pair_style(pair, mixed)
        mixed += pair[0] != pair[1]
        name = "-".join(pair)
        partial: dict[str, Any] = {"row": 1, "col": 2, "legend": "legend2"}
        line, hover = {"color": colour, "width": 2.2, "dash": dash}, f"{name}, q = %{{x:.2f}} Å⁻¹: %{{y:.2f}}"
        draw(figure, result.q, curve, line=line, name=name, hover=hover, **partial)
    figure.add_hline(y=1.0, line={"color": GREY, "width": 1.2, "dash": "dash"}, **total)
    figure.update_xaxes(title_text="wave vector q (1/Å)", range=[0, result.q[-1]])
    figure.update_yaxes(title_text="S(q)", rangemode="tozero", **total)
    figure.update_yaxes(title_text="Faber-Ziman partials S<sub>ab</sub>(q)", row=1, col=2)
    return figure
