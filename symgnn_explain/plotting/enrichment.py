"""Enrichment of important atoms over distance, beside the distances themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from symgnn_explain.analysis.explained.enrichment import EnrichmentCurve
from symgnn_explain.plotting.curves import add_band
from symgnn_explain.plotting.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, template
from symgnn_explain.structure.glass import FloatArray

LABELS = {
    "random": ("random atoms", GREY),
    "hop_matched": ("same hops", PURPLE),
    "coordination_matched": ("same coordination numbers", GREEN),
    "distance_ordered": ("nearest atoms", ORANGE),
}
"""Name in the legend and colour of each null model."""

BANDS = ("random", "hop_matched")
"""Null models that are drawn as bands with a dotted line where they expect the curve; others are lines."""

FLOOR = 0.02
"""Smallest enrichment on the logarithmic axis; less is drawn here."""


def enrichment_figure(curve: EnrichmentCurve) -> go.Figure:
    """Draw where important atoms are, against where all atoms are.

    Left: densities of the distances of important atoms and of all atoms of the receptive fields, and the peaks of the
    former. Right: their ratio with its bootstrap band, over the 95 % bands of the null models; the axis is logarithmic
    and ends at 0.02. 1 is what random atoms have.
    """
    figure = make_subplots(rows=1, cols=2, column_widths=[0.45, 0.55], horizontal_spacing=0.1)
    _add_densities(figure, curve)
    ceiling = 2 * float(np.nanmax([np.nanmax(curve.high), *(np.nanmax(null.high) for null in curve.nulls.values())]))
    panel: dict[str, Any] = {"row": 1, "col": 2, "legend": "legend2"}

    def clipped(values: FloatArray) -> FloatArray:
        return np.clip(values, FLOOR, ceiling)

    for name, null in curve.nulls.items():
        label, colour = LABELS[name]
        text = label if null.p_value is None else f"{label}, 95 % (p = {null.p_value:.2g})"
        if name in BANDS:
            add_band(figure, curve.r, clipped(null.low), clipped(null.high), colour=colour, name=text, **panel)
        # A null model that always draws the same has one line; bands over bands could not be told apart.
        lines = [null.expected] if name in BANDS or null.p_value is None else [null.low, null.high]
        for number, values in enumerate(lines):
            figure.add_scatter(
                x=curve.r,
                y=clipped(values),
                mode="lines",
                line={"color": colour, "width": 1.6, "dash": "dot"},
                name=text,
                legendgroup=name,
                showlegend=name not in BANDS and number == 0,
                hovertemplate=f"{label}, %{{x:.1f}} Å: %{{y:.2f}}<extra></extra>",
                **panel,
            )
    add_band(figure, curve.r, clipped(curve.low), clipped(curve.high), colour=BLUE, opacity=0.3, **panel)
    figure.add_scatter(
        x=curve.r,
        y=clipped(curve.value),
        mode="lines",
        line={"color": BLUE, "width": 2.6},
        name="important atoms, by number, bootstrap 95 %",
        hovertemplate="%{x:.1f} Å: %{y:.2f}<extra></extra>",
        **panel,
    )
    figure.add_hline(y=1.0, line={"color": BLACK, "width": 1.2, "dash": "dash"}, row=1, col=2)
    figure.update_xaxes(title_text="distance from the explained atom (Å)", range=[1.5, curve.r[-1]])
    figure.update_yaxes(
        title_text="enrichment g<sub>important</sub>(r) / g(r)",
        type="log",
        range=[np.log10(FLOOR), np.log10(ceiling)],
        dtick=1,
        row=1,
        col=2,
    )
    legend = {"y": -0.2, "yanchor": "top", "xanchor": "center", "tracegroupgap": 0}
    atoms = "one explained atom" if curve.n_targets == 1 else f"{curve.n_targets} explained atoms"
    figure.update_layout(
        template=template(),
        width=1180,
        height=600,
        title={"text": f"Where the {curve.n_important} important atoms of {atoms} sit"},
        legend=legend | {"x": 0.2},
        legend2=legend | {"x": 0.76},
        margin={"b": 190},
    )
    return figure


def _add_densities(figure: go.Figure, curve: EnrichmentCurve) -> None:
    important = curve.density_important
    panel = {"row": 1, "col": 1}
    for values, colour, dash, name in (
        (important, BLUE, "solid", "important atoms"),
        (curve.density, BLACK, "dash", "all atoms of the receptive field"),
    ):
        figure.add_scatter(
            x=curve.r,
            y=values,
            mode="lines",
            line={"color": colour, "width": 2.4, "dash": dash},
            name=name,
            hovertemplate="%{x:.1f} Å: %{y:.3f} per Å<extra></extra>",
            **panel,
        )
    peaks = curve.distance_peaks
    figure.add_scatter(
        x=peaks,
        y=important[np.searchsorted(curve.r, peaks - 1e-9)] + 0.03 * np.nanmax(important),
        mode="markers+text",
        marker={"color": VERMILION, "symbol": "triangle-down", "size": 10},
        text=[f"{peak:.1f}" for peak in peaks],
        textposition="top center",
        name="peaks (Å)",
        hovertemplate="peak at %{x:.1f} Å<extra></extra>",
        **panel,
    )
    figure.update_yaxes(title_text="density of distances (1/Å)", range=[0, 1.2 * float(np.nanmax(important))], **panel)
