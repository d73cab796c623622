"""The neighbourhood of an explained atom in space, with the edges that made the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.plotting.arrows import scatter3d, space_axes
from symgnn_explain.plotting.style import (
    BLACK,
    GREEN,
    GREY,
    LOWERS,
    PALE,
    PALE_SAID,
    PURPLE,
    RAISES,
    VALUE_SCALE,
    new_figure,
    shown_range,
    species_colour,
    species_radius,
)
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

FIGURE_PIXELS = 88.0
"""Marker size of an atom's radius times the extent of the figure, both in Å; markers do not scale with the axes."""

FULL_HEIGHT = 720
"""Height (pixels) that widths of lines and sizes of markers are given for."""

_BINS = ((0.75, 9.0), (0.5, 6.5), (0.25, 4.0), (0.0, 2.0))
"""Lower bounds of importance relative to the most important edge, and line widths in pixels."""

_PALE_LABEL = PALE_SAID.replace("ensemble ", "ensemble<br>")
"""On two lines, so that the legend stands beside the atoms and not on them."""
_LAST = 1001
"""Rank in its group of the legend, where others have 1000."""

_ARROW = {"x": 0, "y": 0, "z": 0, "ax": -90, "ay": -110, "bgcolor": "rgba(255,255,255,0.8)", "arrowwidth": 1.2}


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The drawn edges, and the atom images at their ends; an atom may stand at several images."""

    edges: IntArray
    atom: IntArray
    place: FloatArray
    tail: IntArray
    head: IntArray


def neighbourhood_figure(
    glass: Glass,
    explanation: AtomExplanation,
    *,
    k: int = 50,
    predictions: ArrayLike | None = None,
    height: int = FULL_HEIGHT,
) -> go.Figure:
    """Draw the ``k`` most important edges and their atoms in 3D, relative to the explained atom.

    Every atom is drawn at the image through which its edge reaches the explained atom, so that bonds that cross the
    periodic boundary are whole. Edge width is the score relative to the largest; for signed methods the colour says
    whether the edge raises or lowers the prediction. What members of an ensemble disagree about is pale.

    The ``customdata`` of an atom's marker is its number. What stands for the same thing has the same ``uid`` in every
    figure, so that a page that shows one after another need not make it anew.

    Parameters
    ----------
    k
        Edges to draw.
    predictions
        Of every atom of the glass, shape (N,): the colour of the atoms. They are
        coloured by importance where None.
    height
        Pixels; lines and markers are drawn in proportion.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or there is not one prediction an atom.
    """
    explanation.require_glass(glass)
    values = None if predictions is None else np.asarray(predictions, dtype=np.float64)
    if values is not None and values.shape != (len(glass),):
        raise InputError(f"predictions have shape {values.shape}, expected ({len(glass)},): one value an atom.")
    drawn, quantity, shrink = _collect(explanation, k), explanation.quantity, height / FULL_HEIGHT
    scale = float(np.clip(FIGURE_PIXELS / np.ptp(drawn.place, axis=0).max(), 5.0, 9.0))
    colour_title = quantity.axis(quantity.word) if values is not None else _sum_title(explanation)
    low, high = (None, None) if values is None else shown_range(values[drawn.atom])
    return new_figure(
        f"The {len(drawn.edges)} most important {explanation.edges_are} of atom {explanation.atom} "
        f"({glass.symbols[explanation.atom]}), "
        f"{_predicted(explanation)}",
        *_edges(glass, explanation, drawn, shrink),
        *_atoms(glass, explanation, drawn, values, scale=scale, shrink=shrink),
        *_self_loops(explanation, drawn, scale=scale, shrink=shrink),
        _target(glass, explanation, shrink),
        width=1000,
        height=height,
        scene={
            **space_axes(drawn.place, margin=0.8, size=1.2),
            # An arrow stays visible where other atoms hide the explained one.
            "annotations": [{**_ARROW, "text": f"atom {explanation.atom}"}],
            "camera": {"eye": {"x": 1.15, "y": 1.0, "z": 0.6}, "projection": {"type": "orthographic"}},
            "domain": {"x": [0.0, 0.74], "y": [0.0, 1.0]},
        },
        coloraxis={
            "colorscale": VALUE_SCALE,
            "cmin": low,
            "cmax": high,
            "colorbar": {
                "title": {"text": colour_title, "side": "right", "font": {"size": 14}},
                "x": 1.0,
                "y": 0.0,
                "yanchor": "bottom",
                "len": 0.5,
                "thickness": 18,
            },
        },
        legend={"x": 0.99, "y": 1.0, "xanchor": "right", "yanchor": "top", "itemsizing": "trace"},
        margin={"l": 0, "r": 90, "t": 55, "b": 10},
    )


def _collect(explanation: AtomExplanation, k: int) -> _Drawn:
    edges = explanation.top_edges(k)["edge"].to_numpy()
    placement = place_atoms(explanation)
    head = placement.position[placement.rows_of(explanation.target[edges])]
    tail = head + explanation.displacement[edges]
    atoms = np.concatenate([[explanation.atom], explanation.target[edges], explanation.source[edges]])
    places = np.concatenate([np.zeros((1, 3)), head, tail])
    images = np.column_stack([atoms, np.rint(10 * places).astype(np.int64)])
    _, first, image = np.unique(images, axis=0, return_index=True, return_inverse=True)
    image = image.ravel()
    count = len(edges)
    return _Drawn(edges, atoms[first], places[first], tail=image[1 + count :], head=image[1 : 1 + count])


def _edges(glass: Glass, explanation: AtomExplanation, drawn: _Drawn, shrink: float) -> Iterator[go.Scatter3d]:
    score = explanation.score[drawn.edges]
    strength = np.abs(score) / (np.abs(score).max() or 1.0)
    bonds, disputed = ~explanation.is_self_loop[drawn.edges], explanation.is_disputed[drawn.edges]
    if explanation.signed:
        word = explanation.quantity.word
        groups = [(f"raises the {word}", RAISES, score > 0), (f"lowers the {word}", LOWERS, score <= 0)]
    else:
        groups = [("edge importance", BLACK, np.ones(len(score), dtype=bool))]
    symbols = glass.symbols
    for group, (label, colour, members) in enumerate(groups):
        upper, pale_named = np.inf, False
        for step, (lower, width) in enumerate(_BINS):
            among = bonds & members & (strength >= lower) & (strength < upper)
            upper_label, upper = ("1" if np.isinf(upper) else f"{upper:g}"), lower
            range_said = f"{lower:g}–{upper_label} of the largest score"
            for pale, rows, opacity, name, uid in (
                (False, np.flatnonzero(among & ~disputed), 0.5 + 0.5 * lower, range_said, f"edges-{group}-{step}"),
                (True, np.flatnonzero(among & disputed), PALE / 2, _PALE_LABEL, f"disputed-{group}-{step}"),
            ):
                if rows.size == 0:
                    continue
                listed: dict[str, Any] = {"showlegend": not (pale and pale_named)}
                listed |= {"legendrank": _LAST} if pale else {}
                pale_named |= pale
                ends = np.full((len(rows), 3, 3), np.nan)
                ends[:, 0], ends[:, 1] = drawn.place[drawn.tail[rows]], drawn.place[drawn.head[rows]]
                yield scatter3d(
                    ends,
                    mode="lines",
                    line={"width": shrink * width, "color": colour},
                    opacity=opacity,
                    name=name,
                    legendgroup=label,
                    uid=uid,
                    legendgrouptitle={"text": label},
                    **listed,
                    hoverinfo="skip",
                )
    rows = np.flatnonzero(bonds)
    middle = (drawn.place[drawn.tail[rows]] + drawn.place[drawn.head[rows]]) / 2
    texts = []
    for edge in drawn.edges[rows]:
        source, target = int(explanation.source[edge]), int(explanation.target[edge])
        lines = (
            f"edge {symbols[source]} {source} → {symbols[target]} {target}",
            f"length {explanation.distance[edge]:.2f} Å",
            f"hop {explanation.hop[edge]}",
            f"{_score_title(explanation)} {explanation.score[edge]:.4g}{_spread(explanation, int(edge))}",
        )
        texts.append("<br>".join(lines))
    marker = {"size": shrink * 6, "color": GREY, "opacity": 0.0}
    named: dict[str, Any] = {"name": explanation.edges_are, "uid": "edges", "showlegend": False}
    yield scatter3d(middle, marker=marker, hovertext=texts, hoverinfo="text", **named)


def _atoms(
    glass: Glass,
    explanation: AtomExplanation,
    drawn: _Drawn,
    predictions: FloatArray | None,
    *,
    scale: float,
    shrink: float,
) -> Iterator[go.Scatter3d]:
    importance = np.zeros(len(glass))
    table = explanation.important_atoms(len(drawn.edges))
    importance[table["atom"].to_numpy()] = table["score"].to_numpy()
    distance = np.linalg.norm(drawn.place, axis=1)
    symbols = np.array(glass.symbols)
    for symbol in sorted(set(symbols[drawn.atom])):
        rows = np.flatnonzero((symbols[drawn.atom] == symbol) & (distance > 0))
        texts = []
        for row in rows:
            atom = int(drawn.atom[row])
            text = f"atom {atom} ({symbol})<br>{distance[row]:.2f} Å from the explained atom"
            if predictions is not None:
                text += f"<br>{explanation.quantity.word} {explanation.quantity.text(predictions[atom])}"
            texts.append(f"{text}<br>{_sum_title(explanation)} {importance[atom]:.4g}")
        atoms = drawn.atom[rows]
        size, colour = scale * species_radius(symbol), species_colour(symbol)
        values = importance[atoms] if predictions is None else predictions[atoms]
        marker = {"size": shrink * size, "color": values, "coloraxis": "coloraxis"}
        named: dict[str, Any] = {"name": symbol, "uid": symbol, "showlegend": False, "customdata": atoms}
        yield scatter3d(drawn.place[rows], marker=marker, hovertext=texts, hoverinfo="text", **named)
        # The outline of a filled marker is at most a hair wide in WebGL, so the species is a ring of its own.
        line = {"width": shrink * 4, "color": colour}
        ring = {"size": shrink * (size + 2), "symbol": "circle-open", "color": colour, "line": line}
        named = {"name": f"{symbol} (ring)", "uid": f"{symbol}-ring", "hoverinfo": "skip"}
        yield scatter3d(drawn.place[rows], marker=ring, **named)


def _self_loops(explanation: AtomExplanation, drawn: _Drawn, *, scale: float, shrink: float) -> Iterator[go.Scatter3d]:
    loops = explanation.is_self_loop[drawn.edges]
    if not loops.any():
        return
    line = {"width": shrink * 4, "color": GREEN}
    marker = {"size": shrink * 2.4 * scale, "symbol": "circle-open", "color": GREEN, "line": line}
    named: dict[str, Any] = {"name": "self-loop among the important edges", "uid": "self-loops", "hoverinfo": "skip"}
    yield scatter3d(drawn.place[drawn.head[loops]], marker=marker, **named)


def _target(glass: Glass, explanation: AtomExplanation, shrink: float) -> go.Scatter3d:
    symbol = glass.symbols[explanation.atom]
    line = {"width": shrink * 2, "color": BLACK}
    return scatter3d(
        np.zeros((1, 3)),
        marker={"size": shrink * 15, "symbol": "diamond", "color": PURPLE, "line": line},
        hovertext=[f"atom {explanation.atom} ({symbol}), explained<br>{_predicted(explanation)}"],
        customdata=[explanation.atom],
        hoverinfo="text",
        name=f"explained atom {explanation.atom} ({symbol})",
        uid="explained",
    )


def _spread(explanation: AtomExplanation, edge: int) -> str:
    return "" if explanation.member_spread is None else f" ± {explanation.member_spread[edge]:.2g} over members"


def _score_title(explanation: AtomExplanation) -> str:
    return explanation.quantity.axis("contribution") if explanation.signed else "importance"


def _sum_title(explanation: AtomExplanation) -> str:
    return (
        explanation.quantity.axis("sum of absolute contributions") if explanation.signed else "sum of edge importances"
    )


def _predicted(explanation: AtomExplanation) -> str:
    quantity = explanation.quantity
    return f"predicted {quantity.word} {quantity.text(explanation.prediction)}"
