"""How many of the most important edges are shown: so many, so large a share, or all from a value on."""

from __future__ import annotations

import ipywidgets as widgets

from symgnn_explain.runs.markup import element
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.threshold import MOST_SHOWN
from symgnn_widgets.views.controls import control, show

_KINDS = {"the first": "number", "share of the sum": "share", "score of at least": "value"}


class ThresholdControl:
    """Chooses the threshold, and says how many edges pass it."""

    def __init__(self, explaining: Explaining) -> None:
        self._explaining, threshold = explaining, explaining.threshold
        said = "What decides which edges are shown"
        options = list(_KINDS.items())
        by = (threshold, "threshold_by")
        self.kind = control(widgets.Dropdown, "Edges", said, 200, label=40, sets=by, options=options)
        self.number = control(
            widgets.IntSlider,
            "",
            "So many of the most important edges",
            200,
            sets=(threshold, "k"),
            min=1,
            max=MOST_SHOWN,
        )
        self.share = control(
            widgets.FloatSlider,
            "",
            "The most important edges that hold this share of the sum of all absolute scores",
            200,
            sets=(threshold, "share"),
            min=0.01,
            max=1.0,
            step=0.01,
            readout_format=".0%",
        )
        self.least = control(
            widgets.BoundedFloatText,
            "",
            "All edges with at least this score: of the mask, or of contributions whatever their sign",
            110,
            sets=(threshold, "least"),
            min=0.0,
            max=1e6,
            step=0.01,
        )
        self.count = widgets.HTML(tooltip="Share of the sum of all absolute scores", layout={"min_width": "156px"})
        self._boxes = {"number": self.number, "share": self.share, "value": self.least}
        self.chosen = widgets.Box(tuple(self._boxes.values()))
        self.ui = widgets.HBox([self.kind, self.chosen, self.count], layout={"flex": "0 0 auto"})
        threshold.observe(self._show, "threshold_by")
        explaining.on_shown(self._show)
        self._show()

    def _show(self, _change: object = None) -> None:
        for by, box in self._boxes.items():
            show(box, seen=by == self._explaining.threshold.threshold_by)
        self.count.value = element("span", self._in_words(), css="symgnn-note")

    def _in_words(self) -> str:
        threshold, explanation = self._explaining.threshold, self._explaining.explanation
        if explanation is None:
            return ""
        scores = abs(explanation.score[explanation.rank()])
        held = scores[: threshold.k].sum() / (scores.sum() or 1.0)
        more = " at most" if threshold.threshold_by != "number" and threshold.k == MOST_SHOWN else ""
        return f"{threshold.k}{more} of {len(explanation):,} hold {held:.1%}"
