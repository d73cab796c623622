"""Which units act together: a matrix, and lines and triangles in space."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.interactions import Interactions
from symgnn_explain.plotting.arrows import add_atoms, draw3d, show_surroundings
from symgnn_explain.plotting.style import GREY, LOWERS, RAISES, template, two_panels
from symgnn_explain.structure.glass import FloatArray, Glass

DIVERGING = ((0.0, LOWERS), (0.5, "#FFFFFF"), (1.0, RAISES))
"""Colours of signed numbers: what lowers, nothing, what raises."""
TRIANGLES = 3
"""Triples that are drawn in space."""
_WIDEST = 10.0


def interaction_figure(found: Interactions) -> go.Figure:
    """Draw how much each two units act together as a matrix, and beside it the Shapley value of each.

    Both are in the unit of the prediction. A pair that is red raises the prediction by acting together, whatever each
    of its units does alone.
    """
    quantity = found.quantity
    figure = two_panels(
        f"Interactions in the prediction of atom {found.atom}",
        height=620,
        widths=(0.62, 0.38),
        spacing=0.04,
        titles=("each two together", "each for itself (Shapley value)"),
    )
    below = np.tri(len(found), k=-1, dtype=bool)
    largest = float(np.abs(found.matrix[below]).max(initial=0.0)) or 1.0
    names = list(found.names)
    figure.add_heatmap(
        z=np.where(below, found.matrix, np.nan),
        x=names,
        y=names,
        colorscale=DIVERGING,
        zmin=-largest,
        zmax=largest,
        colorbar={
            "title": {"text": quantity.axis("interaction"), "side": "right"},
            "orientation": "h",
            "x": 0.31,
            "y": 1.08,
            "yanchor": "bottom",
            "len": 0.5,
            "thickness": 12,
            "tickvals": [-largest, 0.0, largest],
            "tickformat": "+.2g",
            "tickangle": 0,
        },
        hovertemplate="%{y}<br>%{x}<br>%{z:+.4g}<extra></extra>",
        hoverongaps=False,
        row=1,
        col=1,
    )
    figure.add_bar(
        x=found.values,
        y=names,
        orientation="h",
        marker={"color": [RAISES if value > 0 else LOWERS for value in found.values]},
        hovertemplate="%{y}: %{x:+.4g}<extra></extra>",
        showlegend=False,
        row=1,
        col=2,
    )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_yaxes(showticklabels=False, row=1, col=2)
    figure.update_xaxes(tickangle=-40, type="category", row=1, col=1)
    figure.update_xaxes(title_text=quantity.axis("value"), row=1, col=2)
    figure.update_layout(margin={"t": 150, "b": 130, "l": 150})
    return figure.update_layout(title={"subtitle": {"text": body_sentence(found)}})


def body_sentence(found: Interactions) -> str:
    """Say how much of the variance over coalitions is of one, two, three and more units."""
    words = {"1": "one unit alone", "2": "two together", "3": "three", "more": "more"}
    shares = found.body_shares()
    parts = [f"{words[bodies]} {share:.0%}" for bodies, share in zip(shares["bodies"], shares["variance"], strict=True)]
    return f"of what the prediction varies by over all coalitions: {', '.join(parts)}"


def interaction_space_figure(glass: Glass, found: Interactions, *, k: int = 12) -> go.Figure:
    """Draw the ``k`` strongest pairs as lines in 3D, and the three strongest triples as triangles.

    Every unit must be one atom: neighbours, or polyhedra. Raises InputError else, or of another glass.
    """
    rows, places = unit_places(glass, found)
    chosen = strongest(found, k)
    largest = max((abs(score) for _, score in chosen), default=0.0) or 1.0
    figure = go.Figure(layout={"template": template(), "width": 1000, "height": 720})
    quantity = found.quantity
    for name, colour, sign in (("raises", RAISES, 1), ("lowers", LOWERS, -1)):
        for units, score in chosen:
            if score * sign <= 0:
                continue
            corners = places[list(units)]
            said = f"{' · '.join(found.names[rows[unit]] for unit in units)}<br>{quantity.text(score, sign=True)}"
            if len(units) == 2:
                ends = np.vstack([corners, np.full((1, 3), np.nan)])
                line = {"width": 1.5 + _WIDEST * abs(score) / largest, "color": colour}
                draw3d(
                    figure,
                    ends,
                    mode="lines",
                    line=line,
                    name=f"together {name} the {quantity.word}",
                    hovertext=said,
                    hoverinfo="text",
                    legendgroup=name,
                    showlegend=not any(trace.legendgroup == name for trace in figure.data),
                )
                continue
            x, y, z = corners.T
            figure.add_mesh3d(
                x=x,
                y=y,
                z=z,
                i=[0],
                j=[1],
                k=[2],
                color=colour,
                opacity=0.35,
                hovertext=said,
                hoverinfo="text",
                name="triple",
            )
    atoms = [int(found.atoms[row][0]) for row in rows]
    texts = [f"{found.names[row]}<br>{quantity.text(float(found.values[row]), sign=True)}" for row in rows]
    symbols = [glass.symbols[atom] for atom in atoms]
    add_atoms(
        figure,
        [*symbols, glass.symbols[found.atom]],
        np.vstack([places, np.zeros((1, 3))]),
        [*texts, f"atom {found.atom}, explained"],
        centre=f"explained atom {found.atom}",
    )
    show_surroundings(figure, np.vstack([places, np.zeros((1, 3))]))
    figure.update_layout(title={"text": f"What acts together around atom {found.atom}", "font": {"color": GREY}})
    return figure


def unit_places(glass: Glass, found: Interactions) -> tuple[list[int], FloatArray]:
    """Return the units that are one atom, and where those are, seen from the explained atom, (U, 3), Å.

    Raises
    ------
    InputError
        If there are fewer than two of them, or the glass is another.
    """
    found.require_glass(glass)
    rows = [row for row, atoms in enumerate(found.atoms) if len(atoms) == 1]
    if not found.in_space:
        raise InputError(f"lines in space need units of one atom, not {found.kind!r}: choose neighbours or polyhedra.")
    return rows, glass.displacements_from(found.atom)[[int(found.atoms[row][0]) for row in rows]]


def strongest(found: Interactions, k: int) -> list[tuple[tuple[int, ...], float]]:
    """Return the ``k`` strongest pairs and the three strongest triples among units of one atom, with their scores.

    Units are numbered among those, as in :func:`unit_places`.
    """
    place = {row: number for number, row in enumerate(row for row, one in enumerate(found.atoms) if len(one) == 1)}
    chosen = []
    for order, count in ((2, k), (3, TRIANGLES)):
        table = found.of_order(order)
        within = [
            (tuple(place[unit] for unit in units), float(score))
            for units, score in zip(table["units"], table["score"], strict=True)
            if place.keys() >= set(units)
        ]
        chosen += sorted(within, key=lambda one: -abs(one[1]))[:count]
    return chosen
