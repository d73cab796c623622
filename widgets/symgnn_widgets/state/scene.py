"""What is drawn in 3D beside the glass and the explanation, and whether anybody sees it."""

from __future__ import annotations

from traitlets import Bool, Bytes, HasTraits, Instance

from symgnn_explain.analysis import CyclePath, VoronoiCells
from symgnn_explain.explain import Interactions, PositionAttribution
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.jobs import Job
from symgnn_widgets.state.structure import MOST_ANALYSED


class Scene(HasTraits):
    """A ring, arrows and interactions in the 3D view, its picture, and the Voronoi cells of the glass.

    The cells are found in the background, once an explanation is seen or somebody asks.
    """

    ring = Instance(CyclePath, allow_none=True, help="a ring of the structure that is drawn in 3D")
    attribution = Instance(PositionAttribution, allow_none=True, help="derivatives by the positions of atoms")
    arrows_shown = Bool(False, help="whether they are drawn as arrows in the 3D view")
    interactions = Instance(Interactions, allow_none=True, help="which units act together, of the explained atom")
    interactions_shown = Bool(False, help="whether they are drawn as lines and triangles in the 3D view")
    shown = Bool(False, help="whether a page has drawn the structure")
    picture_wanted = Bool(False, help="set to ask for a picture of the 3D view")
    picture = Bytes(help="the latest picture of the 3D view, a PNG")
    cells = Instance(VoronoiCells, allow_none=True, help="Voronoi cells of the glass, once they have been found")

    def __init__(self, explaining: Explaining) -> None:
        super().__init__()
        self.explaining = explaining
        self._wanted = False
        self._finding = Job(lambda error: explaining.structure.fail("The Voronoi cells could not be found", error))
        explaining.observe(self._describe_surroundings, "explanation")
        self.observe(self._describe_surroundings, "shown")

    def find_cells(self) -> None:
        """Find the Voronoi cells; once."""
        if not self._wanted:
            self._wanted = True
            structure = self.explaining.structure
            self._finding.start(
                lambda _report, _cancel: structure.voronoi_cells(), lambda cells: self.set_trait("cells", cells)
            )

    def _describe_surroundings(self, _change: object) -> None:
        # Not before the first explanation, which it would slow down; and not where nobody looks.
        analysable = len(self.explaining.structure.glass) <= MOST_ANALYSED
        if self.shown and analysable and self.explaining.explanation is not None:
            self.find_cells()
