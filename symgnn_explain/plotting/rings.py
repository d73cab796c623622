"""Rings of a structure's bond network, and where important bonds lie in it."""

from __future__ import annotations

from itertools import count, takewhile
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from symgnn_explain.analysis.networks.network_analysis import NetworkAnalysis
from symgnn_explain.analysis.networks.structure_network import BondNetwork
from symgnn_explain.analysis.topology.rings import SMALLEST
from symgnn_explain.plotting.networks import NULL_LABELS
from symgnn_explain.plotting.observed import add_null_bands, add_observed, null_legend
from symgnn_explain.plotting.style import BLUE, ORANGE, template

KINDS = (("primitive", "primitive rings", BLUE), ("king", "King's rings", ORANGE))


def ring_figure(network: BondNetwork, analysis: NetworkAnalysis | None = None, *, null: str = "matched") -> go.Figure:
    """Draw the rings of a structure by size, and with an explanation those through and among its important bonds.

    First panel: rings of each size divided by atoms; the axis is logarithmic. Second: primitive rings of the structure
    through an important bond, on average. Third: primitive rings that important bonds form among themselves. Points are
    observed, bands what a null model gives.

    Parameters
    ----------
    analysis
        Of an explanation; only the first panel is drawn where None.
    null
        The null model: ``random`` or ``matched``.
    """
    n_panels = 1 if analysis is None else 3
    figure = make_subplots(rows=1, cols=n_panels, horizontal_spacing=0.09)
    for kind, label, colour in KINDS:
        rings = network.primitive if kind == "primitive" else network.king
        rows = rings.to_frame().query("rings > 0")
        figure.add_bar(
            x=rows["size"],
            y=rows["rings_per_atom"],
            marker={"color": colour},
            name=label,
            hovertemplate=f"{label} of %{{x}}: %{{y:.3g}} an atom<extra></extra>",
            row=1,
            col=1,
        )
    sizes = network.primitive.sizes.tolist()
    figure.update_xaxes(title_text="atoms in a ring", tickvals=sizes, row=1, col=1)
    figure.update_yaxes(title_text="rings / atom", type="log", dtick=1, row=1, col=1)
    title = f"Rings of {network.glass_name}"
    if analysis is not None:
        _add_tests(figure, analysis, null, group="structure", pattern="primitive rings of {} through a bond", column=2)
        figure.update_yaxes(title_text="structure's rings through a bond", rangemode="tozero", row=1, col=2)
        _add_tests(figure, analysis, null, group="rings", pattern="primitive rings of {}", column=3)
        figure.update_yaxes(title_text="rings of important bonds", rangemode="tozero", row=1, col=3)
        title = f"Rings and the {analysis.n_bonds} important bonds of atom {analysis.atom}"
    figure.update_layout(
        template=template(),
        width=460 + 360 * (n_panels - 1),
        height=560,
        barmode="group" if analysis is None else "overlay",
        title={"text": title},
        legend=null_legend(0.5) | {"orientation": "h"},
        margin={"b": 150},
    )
    if analysis is not None:
        _set_apart(figure)
    return figure


def _add_tests(
    figure: go.Figure, analysis: NetworkAnalysis, null: str, *, group: str, pattern: str, column: int
) -> None:
    observed = {
        size: analysis.statistics[group, pattern.format(size)]
        for size in takewhile(lambda size: (group, pattern.format(size)) in analysis.statistics, count(SMALLEST))
    }
    tests = analysis.of_null(null).query("group == @group").set_index("name")
    panel: dict[str, Any] = {"row": 1, "col": column, "showlegend": column == 2}
    tested = [size for size in observed if pattern.format(size) in tests.index]
    rows = tests.loc[[pattern.format(size) for size in tested]]
    add_null_bands(
        figure, tested, rows["null_low"], rows["null_high"], rows["expected"], name=NULL_LABELS[null], **panel
    )
    add_observed(figure, list(observed), list(observed.values()), name="important bonds", **panel)
    figure.update_xaxes(title_text="atoms in a ring", tickvals=list(observed), row=1, col=column)


def _set_apart(figure: go.Figure) -> None:
    """Put the bars of the first panel side by side: bands elsewhere must overlay each other."""
    bars = [trace for trace in figure.data if trace.type == "bar" and trace.name in {label for _, label, _ in KINDS}]
    for trace, offset in zip(bars, (-0.2, 0.2), strict=True):
        trace.update(x=np.asarray(trace.x) + offset, width=0.38)
