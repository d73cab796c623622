"""Enrichment of important atoms over distance, beside the distances themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.explained.enrichment import EnrichmentCurve
from symgnn_explain.plotting.curves import add_band, draw
from symgnn_explain.plotting.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, legend_below, two_panels
from symgnn_explain.structure.glass import FloatArray

LABELS = {
    "random": ("random atoms", GREY),
    "hop_matched": ("same hops", PURPLE),
    "coordination_matched": ("same coordination numbers", GREEN),
    "edges_of_hops": ("ends of edges of the same hops", VERMILION),
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
    atoms = "one explained atom" if curve.n_targets == 1 else f"{curve.n_targets} explained atoms"
    title = f"Where the {curve.n_important} important atoms of {atoms} sit"
    legends: dict[str, Any] = {
        "legend": legend_below(0.2, tracegroupgap=0),
        "legend2": legend_below(0.76, tracegroupgap=0),
    }
    figure = two_panels(title, height=600, widths=(0.45, 0.55), margin={"b": 190}, **legends)
    left: dict[str, Any] = {"row": 1, "col": 1}
    add_densities(figure, curve, "important atoms", "all atoms of the receptive field", **left)
    tallest = float(np.nanmax(curve.density_important))
    add_peaks(figure, curve, curve.r[-1], tallest, name="peaks (Å)", hover="peak at %{x:.1f} Å", **left)
    figure.update_yaxes(title_text="density of distances (1/Å)", range=[0, 1.2 * tallest], **left)
    highest = curve.high if np.isfinite(curve.high).any() else curve.value
    ceiling = 2 * float(np.nanmax([np.nanmax(highest), *(np.nanmax(null.high) for null in curve.nulls.values())]))
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
            legend: dict[str, Any] = {"legendgroup": name, "showlegend": name not in BANDS and number == 0}
            line, hover = {"color": colour, "width": 1.6, "dash": "dot"}, f"{label}, %{{x:.1f}} Å: %{{y:.2f}}"
            draw(figure, curve.r, clipped(values), line=line, name=text, hover=hover, **legend, **panel)
    add_band(figure, curve.r, clipped(curve.low), clipped(curve.high), colour=BLUE, opacity=0.3, **panel)
    line, name = {"color": BLUE, "width": 2.6}, "important atoms, by number, bootstrap 95 %"
    draw(figure, curve.r, clipped(curve.value), line=line, name=name, hover="%{x:.1f} Å: %{y:.2f}", **panel)
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
    return figure


def add_densities(figure: go.Figure, curve: EnrichmentCurve, important: str, everything: str, **panel: Any) -> None:
    """Draw the densities of the distances of important atoms and of all atoms, under these names."""
    for values, colour, dash, name in (
        (curve.density_important, BLUE, "solid", important),
        (curve.density, BLACK, "dash", everything),
    ):
        line = {"color": colour, "width": 2.4, "dash": dash}
        draw(figure, curve.r, values, line=line, name=name, hover="%{x:.1f} Å: %{y:.3f} per Å", **panel)


def add_peaks(
    figure: go.Figure, curve: EnrichmentCurve, r_max: float, tallest: float, *, unit: str = "", **look: Any
) -> None:
    """Mark the peaks of the important atoms' distances up to ``r_max`` (Å), a little above the curve."""
    peaks = curve.distance_peaks[curve.distance_peaks <= r_max]
    heights = np.interp(peaks, curve.r, np.nan_to_num(curve.density_important)) + 0.03 * tallest
    marker = {"color": VERMILION, "symbol": "triangle-down", "size": 10}
    text: dict[str, Any] = {"text": [f"{peak:.1f}{unit}" for peak in peaks], "textposition": "top center"}
    draw(figure, peaks, heights, marker=marker, mode="markers+text", **text, **look)
