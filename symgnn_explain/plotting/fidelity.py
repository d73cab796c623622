"""How faithful explanations are: insertion and deletion curves, sufficiency against sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.explain.fidelity.measure import Fidelity
from symgnn_explain.explain.fidelity.nulls import FidelityAgainstNulls
from symgnn_explain.models.target import Target
from symgnn_explain.plotting.curves import draw
from symgnn_explain.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    legend_below,
    new_figure,
    translucent,
    two_panels,
)
from symgnn_explain.structure.glass import FloatArray, IntArray

_RANKINGS = {
    "explanation": ("explanation", BLUE),
    "random": ("random", GREY),
    "nearest": ("nearest first", VERMILION),
    "even_attention": ("even attention (graph alone)", GREEN),
    "hop_matched": ("random, same hops", ORANGE),
    "hop_length_matched": ("random, same hops and lengths", PURPLE),
}
_CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, GREY)
_NONE_AT = 0.5
"""Where no unit at all is drawn on an axis of log k."""


def fidelity_figure(report: FidelityAgainstNulls, *, title: str | None = None) -> go.Figure:
    """Draw insertion (left, should fall fast) and deletion curves (right, should rise fast) over the nulls.

    Parameters
    ----------
    report
        Of one atom; bands hold 95 % of a null's draws.
    title
        Instead of the usual one.
    """
    table = report.to_frame()
    titles = ("only the k most important", "all but the k most important")
    look: dict[str, Any] = {"legend": legend_below(0.5, -0.22, orientation="h"), "margin": {"t": 90, "b": 130}}
    figure = two_panels(title or "Fidelity of one explanation", height=560, spacing=0.12, titles=titles, **look)
    for column, quantity in enumerate(("sufficiency", "necessity"), start=1):
        for ranking in dict.fromkeys(table["ranking"]):
            rows = table[table["ranking"] == ranking]
            _add_curve(figure, rows, quantity, column, report.quantity)
        figure.update_yaxes(title_text=_change_title(report.quantity), rangemode="tozero", row=1, col=column)
        _count_axis(figure, int(table["count"].max()), column)
    _tolerance_line(figure, report.quantity, row=1, col=1)
    return figure


def sufficiency_figure(checked: Mapping[str, Fidelity]) -> go.Figure:
    """Draw how far the prediction is from the original against how few units are kept, for several explanations.

    Parameters
    ----------
    checked
        Insertion curves, by the name of the explanation. A diamond marks the sufficient count: from there on the change
        stays below the tolerance.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    if not checked:
        raise InputError("no explanation was given to draw.")
    quantity = next(iter(checked.values())).quantity
    figure = new_figure("Sufficiency against sparsity", width=900, height=560)
    for (name, curve), colour in zip(checked.items(), cycle(_CYCLE), strict=False):
        known: dict[str, Any] = {"customdata": curve.count, "hovertemplate": _hover(quantity, name)}
        line = {"color": colour, "width": 2.5}
        draw(figure, _shown_counts(curve.count), curve.sufficiency, line=line, name=name, **known)
        needed = curve.sufficient_count()
        if needed is not None:
            marker = {"color": colour, "size": 12, "symbol": "diamond", "line": {"color": "white", "width": 1}}
            words = f"{needed} units suffice"
            said: dict[str, Any] = {"name": words, "hovertemplate": f"{words}<extra>{name}</extra>"}
            at = curve.sufficiency[curve.count == needed]
            draw(figure, _shown_counts(np.array([needed])), at, marker=marker, **said)
    _tolerance_line(figure, quantity)
    _count_axis(figure, max(int(curve.count[-1]) for curve in checked.values()))
    figure.update_yaxes(title_text=_change_title(quantity), rangemode="tozero")
    return figure


def _add_curve(figure: go.Figure, rows: pd.DataFrame, quantity: str, column: int, predicted: Target) -> None:
    ranking = str(rows["ranking"].iloc[0])
    name, colour = _RANKINGS[ranking]
    x, y = _shown_counts(rows["count"].to_numpy()), rows[quantity]
    panel: dict[str, Any] = {"row": 1, "col": column, "legendgroup": ranking}
    low, high = rows.get(f"{quantity}_low"), rows.get(f"{quantity}_high")
    if low is not None and high is not None and low.notna().all() and (high > low).any():
        filled = {"fill": "toself", "fillcolor": translucent(colour, 0.18), "line": {"width": 0}}
        draw(figure, np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]]), **(filled | panel))
    line = {"color": colour, "width": 3 if ranking == "explanation" else 2}
    known: dict[str, Any] = {
        "customdata": rows["count"],
        "hovertemplate": _hover(predicted, name),
        "showlegend": column == 1,
    }
    draw(figure, x, y, line=line, name=name, **known, **panel)


def _change_title(quantity: Target) -> str:
    return quantity.axis(f"|change of the predicted {quantity.word}|")


def _hover(quantity: Target, name: str) -> str:
    return f"%{{customdata}} units: {quantity.with_unit(f'%{{y:{quantity.spec}}}')}<extra>{name}</extra>"


def _tolerance_line(figure: go.Figure, quantity: Target, **panel: int) -> None:
    figure.add_hline(y=quantity.required_tolerance, line={"color": GREY, "width": 1.5, "dash": "dash"}, **panel)


def _shown_counts(count: IntArray) -> FloatArray:
    return np.maximum(count, _NONE_AT).astype(np.float64)


def _count_axis(figure: go.Figure, largest: int, column: int | None = None) -> None:
    decades = 10 ** np.arange(int(np.log10(max(largest, 1))) + 1)
    figure.update_xaxes(
        title_text="k (units)",
        type="log",
        range=[np.log10(_NONE_AT) - 0.05, np.log10(max(largest, 1)) + 0.05],
        tickvals=[_NONE_AT, *decades.tolist()],
        ticktext=["0", *(f"{decade:,}".replace(",", " ") for decade in decades)],
        row=None if column is None else 1,
        col=column,
    )
