"""Analyses of the shown explanation: computed in the background once their tab is in sight."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.analysis import ShellAnalysis, enrichment_curve, motif_analysis, network_analysis, shell_analysis
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export.naming import slug
from symgnn_explain.plotting.distances import distance_figure
from symgnn_explain.plotting.enrichment import enrichment_figure
from symgnn_explain.plotting.motifs import connection_figure, voronoi_figure
from symgnn_explain.plotting.networks import network_figure
from symgnn_explain.runs.markup import note
from symgnn_explain.runs.watch import CancelSignal
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.state.jobs import Reporter, Worker
from symgnn_widgets.state.session import Session, as_sentence

_LEGEND = {"y": -0.34, "borderwidth": 0}
"""Below the axis titles, which take more of a low figure than of a high one."""

Compute = Callable[[Session, Any, int, Reporter, CancelSignal], Any]


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
        From session, the explanation that is shown, k, reporter and cancel signal to a result; called in a thread.
    draw
        From the result to the figure, for each view of it.
    height
        Of the figure, pixels.
    margin
        Around the plot, pixels by side.
    depends_on_k
        Whether it is made of the most important edges alone.
    of_glass
        Whether it is about the whole structure: ``compute`` is then given None in place of an explanation.
    """

    name: str
    note: str
    compute: Compute
    draw: dict[str, Callable[[Any], go.Figure]]
    height: int
    margin: dict[str, int]
    depends_on_k: bool = True
    of_glass: bool = False


def _distances(session: Session, explanation: AtomExplanation, k: int, _report: Reporter, _cancel: CancelSignal) -> Any:
    return shell_analysis(explanation, session.glass, k, rdf=session.radial_distribution)


def _distance_figure(shells: ShellAnalysis) -> go.Figure:
    figure = distance_figure(shells)
    return figure.update_layout(title={"text": ""}, legend=_LEGEND, legend2=_LEGEND)


def _enrichment(session: Session, explanation: AtomExplanation, k: int, report: Reporter, _cancel: CancelSignal) -> Any:
    report(0.0)
    return enrichment_curve(shell_analysis(explanation, session.glass, k, rdf=session.radial_distribution))


def _motifs(session: Session, explanation: AtomExplanation, k: int, report: Reporter, _cancel: CancelSignal) -> Any:
    report(0.0)
    return motif_analysis(
        explanation, session.glass, session.structure.local_order(), k, rdf=session.radial_distribution
    )


def _network(session: Session, explanation: AtomExplanation, k: int, report: Reporter, cancel: CancelSignal) -> Any:
    return network_analysis(explanation, session.glass, session.structure.network(report, cancel), k)


DISTANCES = Analysis(
    "distances",
    "How far the important atoms are from the explained one, against random atoms of its receptive field.",
    _distances,
    {"distances": _distance_figure},
    height=350,
    margin={"l": 56, "r": 10, "t": 12, "b": 142},
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


class AnalysisPanel:
    """Shows one analysis of the session's explanation or glass, made anew when somebody looks after a change.

    Parameters
    ----------
    session
        What is explained.
    analysis
        What is computed and drawn.
    """

    def __init__(self, session: Session, analysis: Analysis) -> None:
        self.session = session
        self.analysis = analysis
        self.active = False
        self.result: Any = None
        self._drawn: dict[str, go.Figure] = {}
        self._of: tuple[AtomExplanation | None, int] | None = None
        views = list(analysis.draw)
        self.view = widgets.Dropdown(options=views, value=views[0], tooltip="Which figure", layout={"width": "170px"})
        self.note = widgets.HTML(note(analysis.note))
        self.bar = widgets.FloatProgress(min=0.0, max=1.0, layout={"width": "auto", "display": "none"})
        empty = {"empty": "Being computed …"} if analysis.of_glass else {}
        self.figure = FigurePanel(analysis.height, analysis.margin, **empty)
        head = [self.view, self.note] if len(views) > 1 else [self.note]
        self.ui = widgets.VBox([widgets.HBox(head), self.bar, self.figure.ui])
        self._worker: Worker[tuple[Any, dict[str, go.Figure]]] = Worker(self._advance, self._finish, self._fail)
        self.view.observe(self._show, "value")
        session.observe(self._update, ["explanation", "k"])

    def activate(self, *, active: bool) -> None:
        """Say whether the panel is in sight."""
        self.active = active
        if active:
            self._update()
        else:
            self._worker.cancel()
            self._of = self._of if self.result is not None else None

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw every view of what is known of the shown explanation."""
        if self.result is None or self._of is None or self._of[0] is not self._subject:
            return {}
        name, views = self.analysis.name, self.analysis.draw
        return {
            slug(name if len(views) == 1 else f"{name} {view}").lower(): draw(self.result)
            for view, draw in views.items()
        }

    @property
    def _subject(self) -> AtomExplanation | None:
        return None if self.analysis.of_glass else self.session.explanation

    def _update(self, _change: object = None) -> None:
        session = self.session
        explanation, k = self._subject, session.k
        of = (explanation, k if self.analysis.depends_on_k else 0)
        if not self.active or self._of == of:
            return
        self._of, self.result = of, None
        if explanation is None and not self.analysis.of_glass:
            self._worker.cancel()
            self.bar.layout.display = "none"
            self.figure.clear()
            return

        def work(report: Reporter, cancel: threading.Event) -> tuple[Any, dict[str, go.Figure]]:
            result = self.analysis.compute(session, explanation, k, report, cancel)
            # Drawn here, so that clicks are answered meanwhile.
            return result, {view: self.figure.compact(draw(result)) for view, draw in self.analysis.draw.items()}

        self._worker.start(work)

    def _advance(self, fraction: float) -> None:
        self.bar.value, self.bar.layout.display = fraction, ""

    def _finish(self, finished: tuple[Any, dict[str, go.Figure]]) -> None:
        self.result, self._drawn = finished
        self.bar.layout.display = "none"
        self._show()

    def _show(self, _change: object = None) -> None:
        if self.result is not None:
            self.figure.put(self._drawn[self.view.value])

    def _fail(self, error: Exception) -> None:
        self.bar.layout.display = "none"
        self.figure.clear()
        self.session.error = as_sentence(f"The {self.analysis.name} could not be analysed", error)
