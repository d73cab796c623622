"""How far important atoms are from the explained one, and which shells they fill."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.explained.mro import ShellAnalysis
from symgnn_explain.explain.fidelity.intervals import CONFIDENCE
from symgnn_explain.plotting.curves import draw, error_bars
from symgnn_explain.plotting.style import (
    BLACK,
    BLUE,
    GREY,
    LIGHT_GREY,
    ORANGE,
    SKY_BLUE,
    VERMILION,
    legend_below,
    translucent,
    two_panels,
)
from symgnn_explain.structure.glass import FloatArray

BIN_WIDTH = 0.4
"""Width of the distance bins, Å."""


def distance_figure(analysis: ShellAnalysis) -> go.Figure:
    """Draw the distances of important atoms against what is expected of random ones, and the enrichment of each shell.

    Left: important atoms in each distance bin, as many atoms spread like all those of the receptive field, and the band
    that holds 95 % of such random choices; g(r) is drawn to the height of the plot, dotted lines are its minima. Right:
    enrichment of each shell (1 = as expected of random atoms) with its 95 % interval, by number and by importance, over
    the 95 % bands of the two nulls; the axis is logarithmic and ends in 0.
    """
    title = f"Distances of the {len(analysis.important)} important atoms of atom {analysis.atom}"
    legends: dict[str, Any] = {"legend": legend_below(0.22), "legend2": legend_below(0.78)}
    bars: dict[str, Any] = {"bargap": 0.0, "barmode": "overlay"}
    figure = two_panels(title, height=600, spacing=0.11, margin={"b": 175}, **legends, **bars)
    _add_histogram(figure, analysis)
    _add_enrichment(figure, analysis)
    return figure


def _add_histogram(figure: go.Figure, analysis: ShellAnalysis) -> None:
    from scipy.stats import hypergeom

    longest = float(analysis.all_distance.max())
    edges = BIN_WIDTH * np.arange(int(np.ceil(longest / BIN_WIDTH)) + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    important, _ = np.histogram(analysis.distance, edges)
    everything, _ = np.histogram(analysis.all_distance, edges)
    expected = everything * len(analysis.distance) / len(analysis.all_distance)
    # Atoms in a bin, of as many as are important, drawn at random without replacement.
    low, high = hypergeom.interval(CONFIDENCE, len(analysis.all_distance), everything, len(analysis.distance))
    low, high = (np.where(everything > 0, bound, 0.0) for bound in (low, high))
    tallest = float(max(important.max(), high.max()))
    panel: dict[str, Any] = {"row": 1, "col": 1}
    figure.add_bar(
        x=centres,
        base=low,
        y=high - low,
        width=BIN_WIDTH,
        marker={"color": LIGHT_GREY, "line": {"width": 0}},
        name="random atoms of the receptive field, 95 %",
        customdata=np.column_stack([low, high]),
        hovertemplate="%{x:.1f} Å: %{customdata[0]:.0f} to %{customdata[1]:.0f} at random<extra></extra>",
        **panel,
    )
    figure.add_bar(
        x=centres,
        y=important,
        width=BIN_WIDTH,
        marker={"color": translucent(SKY_BLUE, 0.75), "line": {"color": BLUE, "width": 1}},
        name="important atoms",
        hovertemplate="%{x:.1f} Å: %{y} important atoms<extra></extra>",
        **panel,
    )
    steps = {"color": BLACK, "width": 2, "shape": "hvh"}
    hover = "%{x:.1f} Å: %{y:.1f} expected"
    draw(figure, centres, expected, line=steps, name="mean of random atoms", hover=hover, **panel)
    rdf = analysis.radial_distribution
    shown = rdf.r <= longest
    known: dict[str, Any] = {"customdata": rdf.g[shown], "hover": "g(%{x:.2f} Å) = %{customdata:.2f}"}
    line = {"color": ORANGE, "width": 1.5}
    draw(
        figure,
        rdf.r[shown],
        rdf.g[shown] * tallest / rdf.g.max(),
        line=line,
        name=f"g(r) of {rdf.label}, scaled to fit",
        **known,
        **panel,
    )
    x, y = np.repeat(rdf.minima, 3), np.tile([0, 1.1 * tallest, np.nan], len(rdf.minima))
    draw(figure, x, y, line={"color": GREY, "width": 1.5, "dash": "dot"}, name="minima of g(r)", **panel)
    figure.update_xaxes(title_text="distance from the explained atom (Å)", range=[0, longest], **panel)
    figure.update_yaxes(title_text=f"atoms per {BIN_WIDTH:g} Å", range=[0, 1.1 * tallest], **panel)


def _add_enrichment(figure: go.Figure, analysis: ShellAnalysis) -> None:
    table = analysis.to_frame()
    place = np.arange(len(table), dtype=np.float64)
    values = table.drop(columns=["name", "inner", "outer", "order", "n_important", "n_all"]).to_numpy()
    # Zero has no logarithm: it is drawn at the foot of the axis, a third below the smallest decade that is needed.
    floor = 10 ** np.floor(np.log10(values[values > 0].min())) / 3
    ceiling = 10 ** (np.floor(np.log10(np.nanmax(values))) + 1)  # bounds of a single atom are no numbers
    panel: dict[str, Any] = {"row": 1, "col": 2, "legend": "legend2"}

    def shown(column: str) -> FloatArray:
        return np.maximum(table[column].to_numpy(dtype=np.float64), floor)

    for offset, name, colour, null in (
        (-0.2, "random atoms of the receptive field, 95 %", LIGHT_GREY, "null"),
        (0.2, "random atoms of the same hops, 95 %", "#F0CFE0", "hop_null"),
    ):
        figure.add_bar(
            x=place + offset,
            base=shown(f"{null}_low"),
            y=shown(f"{null}_high") - shown(f"{null}_low"),
            width=0.36,
            marker={"color": colour, "line": {"color": GREY, "width": 1}},
            name=name,
            customdata=table[[f"{null}_low", f"{null}_high"]],
            hovertemplate="%{customdata[0]:.2f} to %{customdata[1]:.2f}<extra></extra>",
            **panel,
        )
    for offset, name, colour, symbol, value, bound in (
        (-0.07, "important atoms, by number", BLUE, "circle", "enrichment", "enrichment"),
        (0.07, "important atoms, by importance", VERMILION, "square", "weighted_enrichment", "weighted"),
    ):
        draw(
            figure,
            place + offset,
            shown(value),
            marker={"color": colour, "size": 10, "symbol": symbol},
            error_y=error_bars(shown(value), shown(f"{bound}_low"), shown(f"{bound}_high")),
            name=name,
            customdata=table[[value, f"{bound}_low", f"{bound}_high"]],
            hover="%{customdata[0]:.2f} (%{customdata[1]:.2f} to %{customdata[2]:.2f})",
            **panel,
        )
    decades = 10.0 ** np.arange(np.log10(3 * floor).round(), np.log10(ceiling).round() + 1)
    figure.add_hline(y=1.0, line={"color": GREY, "width": 1.5, "dash": "dash"}, row=1, col=2)
    labels = [
        f"{inner:.2f}–{outer:.2f}" if np.isfinite(outer) else f"> {inner:.2f}"
        for inner, outer in zip(table["inner"], table["outer"], strict=True)
    ]
    figure.update_xaxes(title_text="shell between minima of g(r) (Å)", tickvals=place, ticktext=labels, row=1, col=2)
    figure.update_yaxes(
        title_text="enrichment (1 = as random)",
        type="log",
        range=[np.log10(floor / 1.3), np.log10(ceiling)],
        tickvals=[floor, *decades],
        ticktext=["0", *(f"{decade:g}" for decade in decades)],
        row=1,
        col=2,
    )
