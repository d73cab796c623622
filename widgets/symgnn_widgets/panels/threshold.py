"""How many of the most important edges are shown: so many, so large a share, or all from a value on."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.runs.markup import element
from symgnn_widgets.state.explaining import MOST_SHOWN
from symgnn_widgets.state.session import Session
from symgnn_widgets.views.view_controls import bind

_KINDS = {"the first": "number", "share of the sum": "share", "score of at least": "value"}
_SLIDER = {"width": "200px"}


class Threshold:
    """Chooses the threshold, and says how many edges pass it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.kind = widgets.Dropdown(
            options=list(_KINDS.items()),
            value=session.threshold_by,
            description="Edges",
            tooltip="What decides which edges are shown",
            style={"description_width": "40px"},
            layout={"width": "200px"},
        )
        self.number = widgets.IntSlider(
            value=session.k,
            min=1,
            max=MOST_SHOWN,
            tooltip="So many of the most important edges",
            continuous_update=False,
            layout=_SLIDER,
        )
        self.share = widgets.FloatSlider(
            value=session.share,
            min=0.01,
            max=1.0,
            step=0.01,
            readout_format=".0%",
            tooltip="The most important edges that hold this share of the sum of all absolute scores",
            continuous_update=False,
            layout=_SLIDER,
        )
        self.least = widgets.BoundedFloatText(
            value=session.least,
            min=0.0,
            max=1e6,
            step=0.01,
            tooltip="All edges with at least this score: of the mask, or of contributions whatever their sign",
            layout={"width": "110px"},
        )
        self.count = widgets.HTML(tooltip="Share of the sum of all absolute scores", layout={"min_width": "156px"})
        self.chosen = widgets.Box()
        self.ui = widgets.HBox([self.kind, self.chosen, self.count], layout={"flex": "0 0 auto"})
        bind(session, "threshold_by", self.kind)
        bind(session, "k", self.number)
        bind(session, "share", self.share)
        bind(session, "least", self.least)
        session.observe(self._show, ["threshold_by", "k", "explanation"])
        self._show()

    def _show(self, _change: object = None) -> None:
        session = self.session
        box = {"number": self.number, "share": self.share, "value": self.least}[session.threshold_by]
        if self.chosen.children != (box,):
            self.chosen.children = (box,)
        self.count.value = element("span", _in_words(session), css="symgnn-note")


def _in_words(session: Session) -> str:
    explanation = session.explanation
    if explanation is None:
        return ""
    scores = abs(explanation.score[explanation.rank()])
    held = scores[: session.k].sum() / (scores.sum() or 1.0)
    more = " at most" if session.threshold_by != "number" and session.k == MOST_SHOWN else ""
    return f"{session.k}{more} of {len(explanation):,} hold {held:.1%}"
