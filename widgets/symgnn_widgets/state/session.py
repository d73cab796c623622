"""The state of one explorer: observable models, composed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import HasTraits

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.saddles import Calculator
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_widgets.state.colour import Colours
from symgnn_widgets.state.cycles import CycleCount
from symgnn_widgets.state.editing import Editing
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.frames import Frames
from symgnn_widgets.state.method import MethodChoice
from symgnn_widgets.state.population import PopulationRun
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.state.steps import Steps
from symgnn_widgets.state.structure import Structure
from symgnn_widgets.state.threshold import Threshold


class Session:
    """What is shown, what is selected, what is being computed: one small model for each.

    Panels are given the models that they observe and set. A script reaches what any of them offers by its name alone:
    ``session.k = 20`` is ``session.threshold.k = 20``, and ``session.pick(7)`` is ``session.explaining.pick(7)``.

    Parameters
    ----------
    glass
        The structure shown.
    predictor
        The network that is explained.
    later
        Leave the predictions to ``structure.predict()``, as an explorer does for its page.

    Raises
    ------
    InputError
        If the network cannot predict this glass.
    """

    structure: Structure
    selected: Selection
    choice: MethodChoice
    explaining: Explaining
    threshold: Threshold
    steps: Steps
    editing: Editing
    colours: Colours
    many: PopulationRun
    counting: CycleCount
    scene: Scene
    frames: Frames | None

    def __init__(self, glass: Glass, predictor: Predictor, *, later: bool = False) -> None:
        self.structure = Structure(glass, predictor, later=later)
        self.selected = Selection(glass)
        self.choice = MethodChoice(self.structure)
        self.explaining = Explaining(self.selected, self.choice)
        self.threshold = self.explaining.threshold
        self.steps = Steps(self.explaining)
        self.editing = Editing(self.selected, self.structure)
        self.colours = Colours(self.explaining, self.editing)
        self.many = PopulationRun(self.explaining)
        self.counting = CycleCount(self.explaining)
        self.scene = Scene(self.explaining)
        self.frames = None

    @classmethod
    def of_frame(
        cls,
        trajectory: Trajectory,
        frame: int,
        predictor: Predictor,
        *,
        calculator: Calculator | None = None,
        known: Frames | None = None,
        later: bool = False,
    ) -> Session:
        """Explain a frame of a trajectory, relaxed first where there is a potential.

        ``known``: what was predicted of the trajectory before; ``later`` as of the session. Raises InputError where a
        frame cannot be used.
        """
        number = trajectory.number(frame)
        shown = None if known is None else known.at(number)
        glass = trajectory[number] if shown is None else shown.glass
        if shown is None and calculator is not None:
            glass = glass.relaxed(calculator)
        session = cls(glass, predictor, later=later)
        if len(trajectory) > 1:
            session.frames = Frames(trajectory, session.structure, number, calculator)
            if known is not None:
                session.frames.adopt(known)
        return session

    def by_network(self, predictor: Predictor, *, later: bool = False) -> Session:
        """Return a new session that explains the present structure by another network; trajectory and selection stay.

        ``later`` as of the session. Raises InputError if the network cannot predict this glass.
        """
        session = Session(self.structure.glass, predictor, later=later)
        if (frames := self.frames) is not None:
            session.frames = Frames(frames.trajectory, session.structure, frames.home, frames.calculator)
            session.frames.go_to(frames.number)
        session.selected.become(self.selected.selection, self.selected.selected_atom)
        return session

    def cancel(self) -> None:
        """Stop predicting, explaining, counting and editing; what they would still deliver is dropped."""
        self.structure.predicting.cancel()
        if self.frames is not None:
            self.frames.stop()
        self.explaining.stop()
        self.many.job.cancel()
        self.counting.job.cancel()
        self.editing.job.cancel()

    def owner(self, name: str) -> Any:
        """Return the model that has an attribute of this name.

        Raises
        ------
        AttributeError
            If none has.
        """
        if not name.startswith("_") and not hasattr(HasTraits, name):
            for model in filter(None, (*vars(self).values(), self.explaining.job)):
                if hasattr(type(model), name) or name in vars(model):
                    return model
        raise AttributeError(f"a session has no {name!r}")

    if not TYPE_CHECKING:  # the packages themselves say which model they mean

        def __getattr__(self, name: str) -> Any:
            return getattr(self.owner(name), name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in type(self).__annotations__:
                super().__setattr__(name, value)
            else:
                setattr(self.owner(name), name, value)
