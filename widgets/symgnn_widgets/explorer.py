"""The explorer: the view of the glass, what explains an atom, and what can be learned from that, in one widget."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.markup import style_sheet
from symgnn_explain.saddles import Calculator
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_widgets.check import require_environment
from symgnn_widgets.messages import hear_on_main_thread
from symgnn_widgets.panels.analysis import CONTRIBUTIONS, DISTANCES, ENRICHMENT, MOTIFS, NETWORK, AnalysisPanel
from symgnn_widgets.panels.arrows import Arrows
from symgnn_widgets.panels.atoms import ImportantAtoms
from symgnn_widgets.panels.barrier import ComputedBarrier
from symgnn_widgets.panels.barrier_search import saddle_arrows
from symgnn_widgets.panels.compare import Compare
from symgnn_widgets.panels.controls import Controls
from symgnn_widgets.panels.cycles import Cycles
from symgnn_widgets.panels.edges import TopEdges
from symgnn_widgets.panels.export import Export
from symgnn_widgets.panels.fidelity import FIDELITY
from symgnn_widgets.panels.files import Files
from symgnn_widgets.panels.film import FilmPanel
from symgnn_widgets.panels.frames import FramesPanel
from symgnn_widgets.panels.glass_analyses import CORRELATION, RADIAL, STRUCTURE_FACTOR
from symgnn_widgets.panels.glass_values import GlassValues
from symgnn_widgets.panels.history import History
from symgnn_widgets.panels.interactions import InteractionsPanel
from symgnn_widgets.panels.mechanism import MechanismPanel
from symgnn_widgets.panels.neighbourhood import Neighbourhood
from symgnn_widgets.panels.population import Population
from symgnn_widgets.panels.rings import Rings
from symgnn_widgets.panels.selection import SelectionBar
from symgnn_widgets.panels.summary import Summary
from symgnn_widgets.panels.two_frames import TwoFrames
from symgnn_widgets.panels.welcome import Welcome
from symgnn_widgets.panels.what_if import WhatIfPanel
from symgnn_widgets.state.colours import difference_colouring
from symgnn_widgets.state.frames import Frames
from symgnn_widgets.state.jobs import Job, event_loop
from symgnn_widgets.state.saved import open_session, restore, save_session, session_of
from symgnn_widgets.state.session import Session
from symgnn_widgets.views.cell import replace_earlier
from symgnn_widgets.views.controls import close_tree
from symgnn_widgets.views.figure import PlotlyLibrary
from symgnn_widgets.views.structure import StructureView
from symgnn_widgets.views.structure_page import structure_page
from symgnn_widgets.views.tabs import TAB_HELP, Panel, Tabs, Together, tabs_by_question
from symgnn_widgets.views.tooltips import Tooltips
from symgnn_widgets.views.window import Window

PICTURE_HEIGHT, ANALYSIS_HEIGHT = 370, 330
"""Pixels that figures were designed for; they take the room that there is."""


class GlassExplorer:
    """Click an atom of a glass, and see which neighbours made the network predict what it does of it.

    Show it by leaving it as the last line of a notebook cell; running that cell again closes it and makes another.
    Where a page shows it, the structure comes first and its predictions follow. It also works from code::

        explorer = GlassExplorer(datasets.sample(), Predictor.load())
        explorer.select(1501)
        explanation = explorer.explain(wait=True)

    Parameters
    ----------
    glass
        The structure; or a :class:`~symgnn_explain.structure.io.Trajectory`, whose frames are shown with a slider.
    predictor
        The network that is explained.
    calculator
        The potential that the structure, or each frame, is relaxed with before it is predicted.
    frame
        Of a trajectory, the one that is explained first; the last by default.

    Raises
    ------
    InputError
        If the network does not know a species of the glass, or a package that is needed is missing or broken.
    """

    def __init__(
        self,
        glass: Glass | Trajectory,
        predictor: Predictor,
        *,
        calculator: Calculator | None = None,
        frame: int = -1,
    ) -> None:
        require_environment()
        later = event_loop() is not None
        self._begin(
            Session.of_frame(glass, frame, predictor, calculator=calculator, later=later)
            if isinstance(glass, Trajectory)
            else Session(glass if calculator is None else glass.relaxed(calculator), predictor, later=later)
        )

    def __repr__(self) -> str:
        return f"GlassExplorer({self.session.structure.glass})"

    def _begin(self, session: Session) -> None:
        """Make the explorer of a session, in place of the one that this cell has made before."""
        hear_on_main_thread()
        css = (files("symgnn_widgets") / "static" / "explorer.css").read_text(encoding="utf-8")
        self._tooltips, self.window = Tooltips(), Window()
        self._basis = (
            widgets.HTML(style_sheet(css), layout={"display": "none"}),
            PlotlyLibrary(),
            self._tooltips,
            self.window,
        )
        self.ui = widgets.VBox(layout={"width": "100%"})
        self.ui.add_class("symgnn-explorer")
        self.files = Files(lambda: self.session, self.show)
        self._build(session)
        replace_earlier(self)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        predictor: Predictor | None = None,
        weights: str | Path | None = None,
        trajectory: str | Path | None = None,
        calculator: Calculator | None = None,
    ) -> GlassExplorer:
        """Open a session that :meth:`save` wrote, in the same state, with its frames and edits.

        Parameters
        ----------
        predictor
            The network that it was made with, where no file holds it: one of your own.
        weights
            Where the network is now, if it is not where it was.
        trajectory
            Where the trajectory is now. One that is gone or has changed is left out, and a sentence in the explorer
            says so.
        calculator
            The potential that frames were relaxed with.

        Raises
        ------
        InputError
            If the file is damaged, or the network is missing or another one.
        """
        saved, predictor = open_session(path, predictor=predictor, weights=weights)
        session, problems = session_of(
            saved,
            predictor,
            Path(path).parent,
            trajectory=trajectory,
            calculator=calculator,
            later=event_loop() is not None,
        )
        explorer = cls.__new__(cls)
        cls._begin(explorer, session)
        restore(session, saved, problems)
        return explorer

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write glass, selection, explanations and settings as one ``.symgnn`` file; see :meth:`open`.

        Raises
        ------
        InputError
            If the file exists and may not be replaced, or the suffix is another.
        """
        return save_session(self.session, path, overwrite=overwrite)

    def show(self, session: Session) -> None:
        """Show another session, of another glass or network, in place of the present one, which ends."""
        self._stop()
        past, in_front, dismissed = self.ui.children, self.tabs.in_front, self.welcome.dismissed
        self._build(session)
        if dismissed:
            self.welcome.dismiss()
        if in_front in self.tabs.every:
            self.tabs.open(in_front)
        kept = {*self._basis, self.files.ui}
        for part in past:
            close_tree(part, kept)

    def close(self) -> None:
        """Stop what is computed, and take the explorer out of its page: the browser gets its WebGL context back."""
        self._stop()
        close_tree(self.ui)

    def _stop(self) -> None:
        self.session.cancel()
        self.barrier.search.job.cancel()
        self.film.job.cancel()
        self.tabs.close()

    def _build(self, session: Session) -> None:
        """Make the panels of a session."""
        self.session = session
        session.structure.predict()
        explaining, scene = session.explaining, session.scene
        # Panels are told of an explanation in the order in which they are made: the view first, which takes the page
        # longest to draw, and then what is quick.
        self.view = StructureView(session.colours, scene)
        self.controls = Controls(explaining, session.cancel, self.window)
        self.selection = SelectionBar(explaining, session.steps)
        self.summary = Summary(scene)
        self.edges = TopEdges(explaining)
        self.welcome = Welcome(scene, self.view.focus)
        self.neighbourhood = Neighbourhood(explaining)
        self.cycles = Cycles(session.counting, ANALYSIS_HEIGHT)
        self.barrier = ComputedBarrier(session.selected, session.structure, ANALYSIS_HEIGHT + 40)
        search = self.barrier.search
        self.export = Export(session.counting, scene, self.structure_page, self.page_figures, search.of)
        self.film = FilmPanel(explaining, session.frames)
        self.atoms = ImportantAtoms(scene)
        self.history = History(explaining)
        self.compare = Compare(explaining)
        self.arrows = Arrows(scene, PICTURE_HEIGHT)
        self.interactions = InteractionsPanel(scene, PICTURE_HEIGHT)
        of_explanation = (DISTANCES, CONTRIBUTIONS, ENRICHMENT, MOTIFS, NETWORK, FIDELITY)
        of_glass = (RADIAL, STRUCTURE_FACTOR, CORRELATION)
        self.distances, self.contributions, self.enrichment, self.motifs, self.network, self.fidelity, *curves = (
            AnalysisPanel(analysis, explaining) for analysis in (*of_explanation, *of_glass)
        )
        self.rings = Rings(scene, ANALYSIS_HEIGHT + 120)
        self.population = Population(session.many, ANALYSIS_HEIGHT + 60)
        self.values = GlassValues(explaining, ANALYSIS_HEIGHT + 40)
        named = dict(zip(("g(r)", "S(q)", "Correlation"), curves, strict=True))
        self.glass = Tabs(named, active=False)
        search.observe(
            lambda _change: self.view.draw_arrows("saddle", saddle_arrows(search, self.view.positions)),
            ["barrier", "saddle", "in_view"],
        )
        self.frames = self._frames_panel()
        self.two_frames = None if session.frames is None else self._two_frames_panel(session.frames)
        self.mechanism = MechanismPanel(search, explaining, ANALYSIS_HEIGHT + 40)
        self.what_if = WhatIfPanel(session.editing, session.colours, explaining.pick, self._explore)
        self.tabs = tabs_by_question(self._panels())
        self.files.offer_relaxation()
        session.structure.observe(lambda _change: self.files.offer_relaxation(), "predicted")
        self.ui.children = (*self._basis, *self._compose())
        session.structure.prepare_ahead()
        explaining.import_ahead()
        self._tooltips.read(self.ui, tabs={title: TAB_HELP[title] for title in self.tabs.every})

    def _frames_panel(self) -> FramesPanel | None:
        """Make the slider of a trajectory, and let the view follow it."""
        frames = self.session.frames
        if frames is None:
            return None
        opening = Job(lambda error: frames.structure.fail("The frame could not be opened", error))
        selected = self.session.selected

        def show(session: Session) -> None:
            selection, atom = selected.selection, selected.selected_atom
            self.show(session)
            session.selected.become(selection, atom)

        def open_frame() -> None:
            trajectory, number, predictor = frames.trajectory, frames.number, frames.structure.predictor
            later = event_loop() is not None
            opening.start(
                lambda _report, _cancel: Session.of_frame(
                    trajectory, number, predictor, calculator=frames.calculator, known=frames, later=later
                ),
                show,
            )

        def follow(_change: object) -> None:
            change, target = frames.change, frames.structure.target
            if frames.present is not None:
                label = target.axis(f"Change since frame {frames.since}")
                self.view.show_frame(
                    None if frames.number == frames.home else frames.present,
                    None if change is None else difference_colouring(label, change),
                )

        frames.observe(follow, ["number", "arrivals", "since", "comparing"])
        follow(None)
        return FramesPanel(frames, selected, ANALYSIS_HEIGHT, open_frame)

    def _two_frames_panel(self, frames: Frames) -> TwoFrames:
        """Make the comparison of two frames, and let the view follow what moved."""
        panel = TwoFrames(frames, self.session.selected, ANALYSIS_HEIGHT)
        panel.observe(
            lambda _change: self.view.draw_arrows("displacements", panel.arrows(self.view.drawn_place)),
            ["found", "in_view"],
        )
        return panel

    def _panels(self) -> dict[str, dict[str, Panel]]:
        """Sort the panels by what a reader asks, in this order: a new panel is made above and has its place here."""
        compare: dict[str, Panel] = {
            "Side by side": self.compare,
            "Population": self.population,
            "History": self.history,
        }
        if self.frames is not None:
            compare["Frames"] = self.frames
        if self.two_frames is not None:
            compare["Two frames"] = self.two_frames
        return {
            "What matters?": {
                "Neighbourhood": Together(self.neighbourhood, self.edges),
                "Atoms": self.atoms,
                "Contributions": self.contributions,
                "Together": self.interactions,
                "Arrows": self.arrows,
            },
            "Can I trust it?": {"Fidelity": self.fidelity, "Values": self.values},
            "Order or topology?": {
                "Distances": self.distances,
                "Enrichment": self.enrichment,
                "Motifs": self.motifs,
                "Network": self.network,
                "Cycles": self.cycles,
                "Rings": self.rings,
                "Glass": self.glass,
            },
            # What saddle points give is compared with predicted barriers in the same unit alone.
            "Does physics agree?": (
                {"Barrier": self.barrier, "Mechanism": self.mechanism}
                if self.session.structure.target.is_as_computed
                else {}
            ),
            "What if?": {"What if?": self.what_if},
            "Compare": compare,
            "Export": {"Figures and data": self.export, "Film": self.film, "Open and save": self.files},
        }

    def _explore(self, glass: Glass) -> None:
        """Show another structure with the same network."""
        self.show(Session(glass, self.session.structure.predictor, later=event_loop() is not None))

    @property
    def explanation(self) -> AtomExplanation | None:
        """What is shown now."""
        return self.session.explaining.explanation

    def select(self, atom: int) -> None:
        """Select an atom: nothing is computed."""
        self.session.selected.select(atom)

    def explain(self, *, wait: bool = False) -> AtomExplanation | None:
        """Explain the selected atom, in the background unless ``wait``.

        Raises
        ------
        InputError
            Where ``wait``, if no atom is selected or the explanation failed.
        """
        explanation = self.session.explaining.explain(wait=wait)
        if wait and explanation is None:
            raise InputError(self.session.structure.error)
        return explanation

    def structure_page(self, title: str) -> str:
        """Build the 3D view as a page of its own that needs no network: HTML with everything inside."""
        return structure_page(self.view.stage, title, self.view.legend_markup())

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw what the panels show beside the figures of every explanation, at the size of a page, by name."""
        return self.tabs.page_figures()

    def _compose(self) -> list[widgets.Widget]:
        left = widgets.VBox([self.selection.ui, self.view.ui, self.summary.ui]).add_class("symgnn-left")
        right = widgets.VBox([self.controls.threshold.ui, self.tabs.ui]).add_class("symgnn-right")
        return [self.controls.ui, self.welcome.ui, widgets.HBox([left, right]).add_class("symgnn-body")]

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.ui._repr_mimebundle_(**options)
