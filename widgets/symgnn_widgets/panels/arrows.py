"""Which displacement of which atom would raise the prediction: arrows."""

from __future__ import annotations

import threading

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.explain import PositionAttribution, explain_positions
from symgnn_explain.plotting.positions import position_figure
from symgnn_explain.runs.markup import note
from symgnn_widgets.panels.figure import FigurePanel, shrink_scene
from symgnn_widgets.state.jobs import Reporter, Worker
from symgnn_widgets.state.session import Session, as_sentence
from symgnn_widgets.views.highlight import ARROWS

_NOTE = (
    "Moving an atom along its arrow raises the {word} that the network predicts for the selected atom; lengths are "
    "derivatives ({unit}). They hold for displacements of some hundredths of an ångström."
)


class Arrows:
    """Differentiates the prediction for the selected atom by all positions, once the panel is in sight.

    Parameters
    ----------
    session
        What is selected; its ``attribution`` is set.
    height
        Of the figure, pixels.
    """

    def __init__(self, session: Session, height: int) -> None:
        self.session = session
        self.active = False
        self.in_view = widgets.Checkbox(
            value=session.arrows_shown,
            description="in the 3D view too",
            indent=False,
            tooltip="Draw the arrows in the 3D view as well",
        )
        said = _NOTE.format(word=session.target.word, unit=session.target.derivative_unit)
        self.note = widgets.HTML(note(said))
        self.figure = FigurePanel(height, margin={"l": 0, "r": 0, "t": 34, "b": 0})
        self.ui = widgets.VBox([self.figure.ui, self.in_view, self.note])
        self._worker: Worker[PositionAttribution] = Worker(lambda _fraction: None, self._keep, self._fail)
        self.in_view.observe(lambda change: session.set_trait("arrows_shown", change["new"]), "value")
        session.observe(self._update, "selected_atom")

    def activate(self, *, active: bool) -> None:
        """Say whether the panel is in sight."""
        self.active = active
        self._update()

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the arrows of the selected atom, where they are known."""
        attribution = self.session.attribution
        if attribution is None:
            return {}
        return {"arrows": position_figure(self.session.glass, attribution, k=ARROWS)}

    def _update(self, _change: object = None) -> None:
        session, atom = self.session, self.session.selected_atom
        if session.attribution is not None and session.attribution.atom != atom:
            session.attribution = None
            self.figure.clear()
        if not self.active or atom is None or session.attribution is not None:
            return
        prepared = session.prepared

        def work(_report: Reporter, _cancel: threading.Event) -> PositionAttribution:
            return explain_positions(prepared, atom)

        self._worker.start(work)

    def _keep(self, attribution: PositionAttribution) -> None:
        if attribution.atom != self.session.selected_atom:
            return
        self.session.attribution = attribution
        figure = position_figure(self.session.glass, attribution, k=ARROWS)
        figure.update_layout(
            title={"text": f"Arrows that raise the {attribution.quantity.word} of atom {attribution.atom}"},
            showlegend=False,
            uirevision=attribution.atom,
        )
        self.figure.show(shrink_scene(figure))

    def _fail(self, error: Exception) -> None:
        self.session.error = as_sentence("The derivatives could not be computed", error)
