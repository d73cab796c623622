"""How much of a prediction comes from which distance, and that nothing is left out."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting.style import BLACK, BLUE, GREY, PALE, PALE_SAID, VERMILION, template, translucent


def contribution_figure(explanation: AtomExplanation, *, width: float = 1.0) -> go.Figure:
    """Draw how many eV (or whatever is predicted) atoms contribute, by their distance from the explained atom.

    Left: what raises and what lowers the prediction in each shell, and the sum of both; pale is what members of the
    ensemble disagree about. Right: the way from the prediction with everything masked to the prediction, shell by
    shell; what is missing at its end is drawn too. Of a method without signs there are the sums of its scores, on the
    left, and no such way.

    Parameters
    ----------
    explanation
        By any method; Integrated Gradients gives contributions of which none is missing.
    width
        Thickness of the shells, Å.
    """
    table, quantity = explanation.by_distance(width), explanation.quantity
    names = [f"{inner:g}-{outer:g}" for inner, outer in zip(table["inner"], table["outer"], strict=True)]
    figure = make_subplots(rows=1, cols=2 if explanation.signed else 1, horizontal_spacing=0.12)
    bars = [("raises", "scores of atoms there, summed", VERMILION)]
    spec = quantity.spec if explanation.signed else ".3f"
    if explanation.signed:
        bars = [("raises", "what atoms there raise", VERMILION), ("lowers", "what atoms there lower", BLUE)]
    for column, said, colour in bars:
        pale = table[f"disputed_{column}"]
        parts = [(table[column] - pale, said, colour)]
        if explanation.member_spread is not None:
            parts.append((pale, f"… {PALE_SAID}", translucent(colour, PALE)))
        for height, name, shade in parts:
            figure.add_bar(
                x=names,
                y=height,
                name=name,
                marker={"color": shade},
                hovertemplate=f"%{{x}} Å: %{{y:+{spec}}}<extra></extra>",
                showlegend=shade == colour or column == "raises",
                row=1,
                col=1,
            )
    if explanation.signed:
        _add_way(figure, explanation, table, names)
    figure.update_yaxes(title_text=quantity.axis("contribution") if explanation.signed else "score", row=1, col=1)
    # Names such as 10-11 are no dates.
    figure.update_xaxes(title_text="distance from the explained atom (Å)", type="category")
    figure.update_layout(
        template=template(),
        width=1180,
        height=590,
        barmode="relative",
        title={"text": f"Contributions to the prediction of atom {explanation.atom}, by distance"},
        legend={"y": -0.36, "yanchor": "top", "x": 0.0, "xanchor": "left", "orientation": "h"},
    )
    return figure


def _add_way(figure: go.Figure, explanation: AtomExplanation, table: pd.DataFrame, names: list[str]) -> None:
    """Draw the sum of each shell, and the way to the prediction."""
    figure.add_scatter(
        x=names, y=table["score"], name="both together", mode="lines+markers", line={"color": BLACK}, row=1, col=1
    )
    missing = -explanation.diagnostics.get("completeness_error", 0.0)
    start = explanation.prediction - float(table["score"].sum()) - missing
    spec = explanation.quantity.spec
    # The height of a step is where it ends: of a shell, and of what is missing, it is said how much it adds as well.
    step, level = f"%{{x}}: %{{delta:+{spec}}}, to %{{final:{spec}}}", f"%{{x}}: %{{final:{spec}}}"
    figure.add_waterfall(
        x=["all masked", *names, "missing", "prediction"],
        y=[start, *table["score"], missing, explanation.prediction],
        measure=["absolute", *["relative"] * (len(names) + 1), "total"],
        base=0.0,
        increasing={"marker": {"color": VERMILION}},
        decreasing={"marker": {"color": BLUE}},
        totals={"marker": {"color": GREY}},
        connector={"line": {"width": 1, "color": GREY}},
        hovertemplate=[f"{said}<extra></extra>" for said in (level, *[step] * (len(names) + 1), level)],
        showlegend=False,
        row=1,
        col=2,
    )
    reached = start + table["score"].cumsum()
    low, high = min(start, reached.min()), max(start, reached.max())
    room = 0.1 * (high - low or 1.0)
    title = explanation.quantity.axis(explanation.quantity.word)
    figure.update_yaxes(title_text=title, range=[low - room, high + room], row=1, col=2)
