"""How far the important atoms are from the explained one, against all atoms."""

from __future__ import annotations

from typing import Any

from symgnn_explain.analysis.mro import shell_analysis
from symgnn_explain.errors import InputError
from symgnn_explain.plotting.distances import distance_figure
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.session import Session

LEGEND = {"y": -0.34, "borderwidth": 0}
"""Below the axis titles, which take more of a low figure than of a high one."""


class Distances:
    """Draws the shell analysis of the session's explanation.

    Parameters
    ----------
    session
        What is explained.
    height
        Of the figure, pixels.
    """

    def __init__(self, session: Session, height: int) -> None:
        self.session = session
        self.figure = FigurePanel(height, margin={"l": 56, "r": 10, "t": 12, "b": 122})
        self.ui: Any = self.figure.ui
        session.observe(self._draw, ["explanation", "k"])

    def _draw(self, _change: object = None) -> None:
        session = self.session
        if session.explanation is None:
            self.figure.clear()
            return
        try:
            shells = shell_analysis(session.explanation, session.glass, session.k, rdf=session.radial_distribution)
        except InputError as error:
            session.error = str(error)
            self.figure.clear()
            return
        figure = distance_figure(shells)
        figure.update_layout(title={"text": ""}, legend=LEGEND, legend2=LEGEND)
        self.figure.show(figure)
