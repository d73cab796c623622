"""Analyses of the shown explanation: computed in the background once their tab is in sight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.analysis import ShellAnalysis, enrichment_curve, motif_analysis, network_analysis, shell_analysis
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export.naming import slug
from symgnn_explain.plotting.contributions import contribution_figure
from symgnn_explain.plotting.distances import distance_figure
from symgnn_explain.plotting.enrichment import enrichment_figure
from symgnn_explain.plotting.motifs import connection_figure, voronoi_figure
from symgnn_explain.plotting.networks import network_figure
from symgnn_explain.runs.markup import note
from symgnn_explain.runs.watch import CancelSignal
from symgnn_widgets.panels.figure import BEING_COMPUTED, ComputedFigure
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.jobs import Reporter
from symgnn_widgets.state.method import Key
from symgnn_widgets.state.structure import Structure
from symgnn_widgets.views.controls import control, show
from symgnn_widgets.views.tabs import Seen

_LEGEND = {"y": -0.34, "borderwidth": 0}
"""Below the axis titles, which take more of a low figure than of a high one."""


_BEGUN = 0.01
"""Of work that takes seconds and says no more of itself."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is analysed: an explanation and its ``k`` most important edges, or the whole structure where it is None."""

    structure: Structure
    explanation: Any  # None for analyses of the glass, which alone do not look at it
    k: int
    history: Mapping[Key, AtomExplanation]


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    Parameters
    ----------
    name
        What it is called in messages.
    note
        A sentence on what the figure shows.
    compute
        From the subject, reporter and cancel signal to a result; called in a thread.
    draw
        From the result to the figure, for each view of it.
    height
        Of the figure, pixels.
    margin
        Around the plot, pixels by side.
    depends_on_k
        Whether it is made of the most important edges alone.
    of_glass
        Whether it is about the whole structure.
    """

    name: str
    note: str
    compute: Callable[[Subject, Reporter, CancelSignal], Any]
    draw: dict[str, Callable[[Any], go.Figure]]
    height: int
    margin: dict[str, int]
    depends_on_k: bool = True
    of_glass: bool = False


def _distances(subject: Subject, _report: Reporter, _cancel: CancelSignal) -> ShellAnalysis:
    structure = subject.structure
    return shell_analysis(subject.explanation, structure.glass, subject.k, rdf=structure.radial_distribution)


def _distance_figure(shells: ShellAnalysis) -> go.Figure:
    figure = distance_figure(shells)
    return figure.update_layout(title={"text": ""}, legend=_LEGEND, legend2=_LEGEND)


def _explanation(subject: Subject, _report: Reporter, _cancel: CancelSignal) -> Any:
    return subject.explanation


def _contribution_figure(explanation: AtomExplanation) -> go.Figure:
    return contribution_figure(explanation).update_layout(title={"text": ""})


def _enrichment(subject: Subject, report: Reporter, cancel: CancelSignal) -> Any:
    report(_BEGUN)
    return enrichment_curve(_distances(subject, report, cancel))


def _motifs(subject: Subject, report: Reporter, _cancel: CancelSignal) -> Any:
    report(_BEGUN)
    structure = subject.structure
    order, rdf = structure.local_order(), structure.radial_distribution
    return motif_analysis(subject.explanation, structure.glass, order, subject.k, rdf=rdf)


def _network(subject: Subject, report: Reporter, cancel: CancelSignal) -> Any:
    structure = subject.structure
    return network_analysis(subject.explanation, structure.glass, structure.network(report, cancel), subject.k)


DISTANCES = Analysis(
    "distances",
    "How far the important atoms are from the explained one, against random atoms of its receptive field.",
    _distances,
    {"distances": _distance_figure},
    height=350,
    margin={"l": 56, "r": 10, "t": 12, "b": 142},
)
CONTRIBUTIONS = Analysis(
    "contributions",
    "How much atoms raise and lower the prediction, by their distance from the explained atom.",
    _explanation,
    {"contributions": _contribution_figure},
    height=350,
    margin={"l": 56, "r": 10, "t": 12, "b": 110},
    depends_on_k=False,
)
ENRICHMENT = Analysis(
    "enrichment",
    "Important atoms against all atoms of the receptive field, by distance: 1 is what random atoms have.",
    _enrichment,
    {"enrichment": enrichment_figure},
    height=380,
    margin={"l": 56, "r": 10, "t": 36, "b": 150},
)
MOTIFS = Analysis(
    "local order",
    "Local order of important atoms against atoms of the same distance and species.",
    _motifs,
    {"Voronoi indices": voronoi_figure, "icosahedra": connection_figure},
    height=420,
    margin={"l": 56, "r": 10, "t": 60, "b": 110},
)
NETWORK = Analysis(
    "network",
    "The network of important bonds against random ones; the structure's rings take some seconds the first time.",
    _network,
    {"network": network_figure},
    height=620,
    margin={"l": 150, "r": 10, "t": 60, "b": 90},
)


class AnalysisPanel(Seen):
    """Shows one analysis of the explanation or the glass, made anew when somebody looks after a change."""

    def __init__(self, analysis: Analysis, explaining: Explaining) -> None:
        self.analysis = analysis
        self._explaining = explaining
        self.result: Any = None
        self._drawn: dict[str, go.Figure] = {}
        self._of: tuple[AtomExplanation | None, int] | None = None
        views = list(analysis.draw)
        self.view = control(widgets.Dropdown, "", "Which figure", 170, options=views, value=views[0])
        self.note = widgets.HTML(note(analysis.note))
        empty = {"empty": BEING_COMPUTED} if analysis.of_glass else {}
        failed = f"The {analysis.name} could not be analysed"
        self.figure = ComputedFigure(analysis.height, analysis.margin, explaining.structure, failed, **empty)
        show(self.view, seen=len(views) > 1)
        self.ui = widgets.VBox([widgets.HBox([self.view, self.note]), self.figure.bar, self.figure.ui])
        self.view.observe(self._show, "value")
        explaining.on_shown(self.update)

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw every view of what is known of the shown explanation."""
        if self.result is None or self._of is None or self._of[0] is not self._explanation:
            return {}
        name, views = self.analysis.name, self.analysis.draw
        return {
            slug(name if len(views) == 1 else f"{name} {view}").lower(): draw(self.result)
            for view, draw in views.items()
        }

    @property
    def _explanation(self) -> AtomExplanation | None:
        return None if self.analysis.of_glass else self._explaining.explanation

    def update(self, _change: object = None) -> None:
        """Compute what is in sight; stop what is not."""
        if not self.active:
            self.figure.stop()
            self._of = self._of if self.result is not None else None
            return
        analysis, explanation, k = self.analysis, self._explanation, self._explaining.threshold.k
        of = (explanation, k if analysis.depends_on_k else 0)
        if self._of == of:
            return
        self._of, self.result = of, None
        if explanation is None and not analysis.of_glass:
            self.figure.stop()
            self.figure.clear()
            return
        subject = Subject(self._explaining.structure, explanation, k, self._explaining.history)

        def work(report: Reporter, cancel: threading.Event) -> tuple[Any, dict[str, go.Figure]]:
            result = analysis.compute(subject, report, cancel)
            # Drawn here, so that clicks are answered meanwhile.
            return result, {view: self.figure.compact(draw(result)) for view, draw in analysis.draw.items()}

        self.figure.compute(work, self._finish)

    def _finish(self, finished: tuple[Any, dict[str, go.Figure]]) -> None:
        self.result, self._drawn = finished
        self._show()

    def _show(self, _change: object = None) -> None:
        if self.result is not None:
            self.figure.put(self._drawn[self.view.value])
