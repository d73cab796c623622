"""How many eV of many predictions come from which shell and species."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.analysis.explained.contributions import ALL, PopulationContributions
from symgnn_explain.plotting.curves import error_bars
from symgnn_explain.plotting.style import BLACK, new_figure, species_colour


def population_contribution_figure(found: PopulationContributions) -> go.Figure:
    """Draw the sum of absolute contributions by shell and species, with what is expected of atoms at equal distance.

    Bars are means over the explained atoms with 95 % intervals. An empty bar is what there would
    be if atoms at equal distance contributed alike, whatever their species.
    """
    figure = new_figure(f"Contributions to {found.n_explained} predictions by shell and species", width=920, height=560)
    for species in (name for name in found.shells["species"].unique() if name != ALL):
        rows = found.shells[found.shells["species"] == species]
        names = [
            f"{inner:.1f}-{outer:.1f} Å" if np.isfinite(outer) else f"beyond {inner:.1f} Å"
            for inner, outer in zip(rows["inner"], rows["outer"], strict=True)
        ]
        figure.add_bar(
            x=names,
            y=rows["size"],
            name=species,
            marker={"color": species_colour(species)},
            error_y=error_bars(rows["size"], rows["size_low"], rows["size_high"], width=6),
            offsetgroup=species,
        )
        figure.add_bar(
            x=names,
            y=rows["expected"],
            name=f"{species}, if atoms at equal distance were alike",
            marker={"color": "rgba(0,0,0,0)", "line": {"color": BLACK, "width": 1.5}},
            offsetgroup=species,
            showlegend=True,
        )
    title = found.quantity.axis("sum of absolute contributions")
    return figure.update_layout(barmode="group", yaxis={"title": {"text": title}}, xaxis={"title": {"text": "shell"}})
