"""Voronoi indices of important atoms, and how the icosahedra around them are joined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from symgnn_explain.analysis.explained.motifs import MotifAnalysis
from symgnn_explain.analysis.order.icosahedra import KINDS
from symgnn_explain.plotting.observed import add_null_bands, add_observed
from symgnn_explain.plotting.style import GREY, legend_below, new_figure, two_panels

NULL_LABELS = {
    "random": "random atoms",
    "distance": "atoms at the same distances",
    "distance_and_species": "atoms of the same distances and species",
}
"""Names of the null models in legends."""


def voronoi_figure(analysis: MotifAnalysis, *, null: str = "distance_and_species") -> go.Figure:
    """Draw which share of the important atoms has each of the structure's most frequent Voronoi indices.

    Points are important atoms with their 95 % intervals, bands the shares that a null model gives.

    Parameters
    ----------
    null
        The null model: ``random``, ``distance`` or ``distance_and_species``.
    """
    table = analysis.of_null(null)
    table = table[table["group"] == "index"].sort_values("expected", ascending=False)
    figure = new_figure(
        f"Voronoi indices of the {analysis.n_important} important atoms of atom {analysis.atom}", width=900
    )
    place = np.arange(len(table))
    band = (100 * table[name] for name in ("null_low", "null_high", "expected"))
    add_null_bands(figure, place, *band, name=NULL_LABELS[null])
    observed = (100 * table[name] for name in ("observed", "observed_low", "observed_high"))
    add_observed(figure, place, *observed, name="important atoms", hover=_hover(table))
    figure.update_layout(
        xaxis={"title": {"text": "Voronoi index ⟨n<sub>3</sub>,n<sub>4</sub>,n<sub>5</sub>,n<sub>6</sub>⟩"}},
        yaxis={"title": {"text": "share of atoms (%)"}, "rangemode": "tozero"},
        legend=legend_below(0.5, -0.42, orientation="h"),
        margin={"b": 150},
    )
    figure.update_xaxes(tickvals=place, ticktext=table["name"], tickangle=-45)
    return figure


def connection_figure(analysis: MotifAnalysis, *, null: str = "distance_and_species") -> go.Figure:
    """Draw how important atoms take part in full icosahedra and their connections, against a null model.

    Left: enrichment of important atoms among centres and corners of icosahedra, and among the centres and the shared
    atoms of each kind of connection; 1 is what the null model expects. Right: number of connections whose centres are
    both important.

    Parameters
    ----------
    null
        The null model: ``random``, ``distance`` or ``distance_and_species``.
    """
    table = analysis.of_null(null)
    atoms = table[table["group"].isin(["icosahedron", "connection"])]
    pairs = table[table["group"] == "joined pairs"].set_index("name")
    pairs = pairs.reindex([kind for kind in KINDS if kind in pairs.index])
    title = f"Full icosahedra and their connections around atom {analysis.atom}"
    legend = legend_below(0.5, -0.34, orientation="h")
    figure = two_panels(title, height=620, widths=(0.68, 0.32), legend=legend, margin={"b": 190})
    place = np.arange(len(atoms))
    panel: dict[str, Any] = {"row": 1, "col": 1}
    band = (atoms[name] / atoms["expected"] for name in ("null_low", "null_high", "expected"))
    add_null_bands(figure, place, *band, name=NULL_LABELS[null], **panel)
    enrichment = (atoms[f"enrichment{bound}"] for bound in ("", "_low", "_high"))
    add_observed(figure, place, *enrichment, name="important atoms", hover=_hover(atoms), **panel)
    figure.update_xaxes(tickvals=place, ticktext=_connection_labels(atoms), tickangle=-45, **panel)
    figure.update_yaxes(title_text="enrichment (1 = as expected)", rangemode="tozero", **panel)
    place = np.arange(len(pairs))
    panel = {"row": 1, "col": 2, "showlegend": False}
    band = (pairs[name] for name in ("null_low", "null_high", "expected"))
    add_null_bands(figure, place, *band, name=NULL_LABELS[null], **panel)
    add_observed(figure, place, pairs["observed"], name="important atoms", **panel)
    figure.update_xaxes(tickvals=place, ticktext=list(pairs.index), tickangle=-45, row=1, col=2)
    figure.update_yaxes(title_text="connections of important centres", rangemode="tozero", row=1, col=2)
    if not len(pairs):
        figure.add_annotation(
            text="no connection<br>within reach", x=0.5, y=0.5, xref="x2 domain", yref="y2 domain", showarrow=False
        )
    figure.add_hline(y=1.0, line={"color": GREY, "width": 1.5, "dash": "dash"}, row=1, col=1)
    return figure


def _hover(table: pd.DataFrame) -> list[str]:
    return [
        f"{row['name']}: {row['observed']:.1%} observed, {row['expected']:.1%} expected, p = {row['p_value']:.2g}"
        for row in table.to_dict(orient="records")
    ]


def _connection_labels(atoms: pd.DataFrame) -> list[str]:
    return [name.replace("shared atom", "shared").replace("two or more", "≥ 2") for name in atoms["name"]]
