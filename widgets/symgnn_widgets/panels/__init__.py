"""The panels of the explorer: each observes the session's traits and sets them, and knows no other panel."""

from symgnn_widgets.panels.analysis import AnalysisPanel
from symgnn_widgets.panels.arrows import Arrows
from symgnn_widgets.panels.atoms import ImportantAtoms
from symgnn_widgets.panels.barrier import ComputedBarrier
from symgnn_widgets.panels.compare import Compare
from symgnn_widgets.panels.controls import Controls
from symgnn_widgets.panels.cycles import Cycles
from symgnn_widgets.panels.edges import TopEdges
from symgnn_widgets.panels.export import Export
from symgnn_widgets.panels.files import Files
from symgnn_widgets.panels.glass_values import GlassValues
from symgnn_widgets.panels.history import History
from symgnn_widgets.panels.neighbourhood import Neighbourhood
from symgnn_widgets.panels.population import Population
from symgnn_widgets.panels.rings import Rings
from symgnn_widgets.panels.selection import Selection
from symgnn_widgets.panels.summary import Summary

__all__ = [
    "AnalysisPanel",
    "Arrows",
    "Compare",
    "ComputedBarrier",
    "Controls",
    "Cycles",
    "Export",
    "Files",
    "GlassValues",
    "History",
    "ImportantAtoms",
    "Neighbourhood",
    "Population",
    "Rings",
    "Selection",
    "Summary",
    "TopEdges",
]
