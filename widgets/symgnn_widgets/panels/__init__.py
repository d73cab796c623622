"""The panels of the explorer: each observes the session's traits and sets them, and knows no other panel."""

from symgnn_widgets.panels.atoms import ImportantAtoms
from symgnn_widgets.panels.controls import Controls
from symgnn_widgets.panels.cycles import Cycles
from symgnn_widgets.panels.distances import Distances
from symgnn_widgets.panels.edges import TopEdges
from symgnn_widgets.panels.export import Export
from symgnn_widgets.panels.files import Files
from symgnn_widgets.panels.history import History
from symgnn_widgets.panels.neighbourhood import Neighbourhood
from symgnn_widgets.panels.selection import Selection
from symgnn_widgets.panels.summary import Summary

__all__ = [
    "Controls",
    "Cycles",
    "Distances",
    "Export",
    "Files",
    "History",
    "ImportantAtoms",
    "Neighbourhood",
    "Selection",
    "Summary",
    "TopEdges",
]
