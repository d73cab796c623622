"""The frames of a trajectory: which one is looked at, and what was predicted of them so far."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from traitlets import Bool, HasTraits, Int

from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import AtomPredictions, Predictor
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.saddles import Calculator
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.matching import matched
from symgnn_widgets.state.jobs import Job, Reporter
from symgnn_widgets.state.structure import Structure

KEPT_BYTES = 300_000_000
"""Memory that frames may take; those furthest behind the one that is looked at are forgotten first."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame, with its atoms in the order of the one that is explained, and what is predicted of it."""

    number: int
    glass: Glass
    said: AtomPredictions

    @property
    def values(self) -> FloatArray:
        """Predictions, shape (N,)."""
        return self.said.values


class Frames(HasTraits):
    """Predictions of frames, computed ahead of the one that is looked at, in the background.

    Parameters
    ----------
    trajectory
        The frames.
    structure
        The frame that is explained: its glass and network.
    home
        Its number.
    calculator
        What frames are relaxed with before they are predicted; None to predict them as they are.
    """

    number = Int(help="of the frame that is looked at")
    since = Int(help="number of the frame that it is compared with")
    comparing = Bool(False, help="whether atoms are coloured by what changed since that one")
    arrivals = Int(0, help="how many frames were predicted; counted on where some are forgotten")

    def __init__(
        self, trajectory: Trajectory, structure: Structure, home: int, calculator: Calculator | None = None
    ) -> None:
        super().__init__(number=home, since=0 if home else len(trajectory) - 1)
        self.trajectory, self.structure, self.home, self.calculator = trajectory, structure, home, calculator
        self.job = Job(lambda error: structure.fail("The frames could not be predicted", error), self._keep)
        self._known: dict[int, Frame] = {}
        self._room = max(3, KEPT_BYTES // (80 * len(structure.glass)))
        self.observe(self._follow, ["number", "since"])
        structure.observe(lambda _change: self.set_trait("arrivals", self.arrivals + 1), "predicted")

    def __len__(self) -> int:
        return len(self.trajectory)

    @property
    def present(self) -> Frame | None:
        """The frame that is looked at; None while it is not predicted."""
        return self.at(self.number)

    def at(self, number: int) -> Frame | None:
        """Return a frame; None while it is not predicted, but for the one at home, whose values are unknown (NaN)."""
        if number == self.home:
            return Frame(number, self.structure.glass, self.structure.said_so_far)
        return self._known.get(number)

    @property
    def compared(self) -> tuple[Frame, Frame] | None:
        """The frame that is compared with, and the one that is looked at; None while one of them is not predicted."""
        first, second = self.at(self.since), self.present
        return None if first is None or second is None or not self.structure.predicted else (first, second)

    @property
    def change(self) -> FloatArray | None:
        """By how much predictions changed since the frame that is compared with, where that is wanted; shape (N,)."""
        pair = self.compared if self.comparing else None
        return None if pair is None else pair[1].values - pair[0].values

    @property
    def known(self) -> list[Frame]:
        """The frames that are predicted, in their order."""
        return [frame for number in sorted({*self._known, self.home}) if (frame := self.at(number)) is not None]

    def adopt(self, others: Frames) -> None:
        """Take over what was predicted for another frame of the same trajectory."""
        found = others.known if others.structure.predicted else others._known.values()
        self._known = {frame.number: frame for frame in found if frame.number != self.home} | self._known

    def go_to(self, number: int) -> None:
        """Look at a frame, predicted here and now; raises InputError where it cannot be."""
        if self.at(number) is None:
            self._keep(self.found(number))
        self.number = number

    def found(self, number: int, cancel: CancelSignal | None = None) -> Frame:
        """Return a frame, predicted here and now where it is not known; it is not kept.

        Raises InputError where it cannot be predicted.
        """
        return self.at(number) or self._predict(self.structure.predictor, number, cancel)

    def predict_ahead(self, *, wait: bool = False) -> None:
        """Predict what is not known yet, the frame that is looked at and those that follow it first."""
        predictor, wanted = self.structure.predictor, list(self._missing())

        def work(report: Reporter, cancel: threading.Event) -> None:
            for place, number in enumerate(wanted):
                if cancel.is_set():
                    return
                report.preview(self._predict(predictor, number, cancel))
                report((place + 1) / len(wanted))

        if wanted:
            self.job.start(work, lambda _nothing: None, wait=wait)

    def stop(self) -> None:
        """Stop predicting; what is known stays."""
        self.job.cancel()

    def _missing(self) -> Iterator[int]:
        count = len(self)
        ahead = (number % count for number in range(self.number, self.number + min(count, self._room - 1)))
        return (number for number in dict.fromkeys([self.number, self.since, *ahead]) if self.at(number) is None)

    def _predict(self, predictor: Predictor, number: int, cancel: CancelSignal | None) -> Frame:
        read, home = self.trajectory[number], self.structure.glass
        try:
            read = matched(read, home)
        except InputError as error:
            raise InputError(f"frame {number} cannot be set beside frame {self.home}: {error}") from error
        glass = read if self.calculator is None else read.relaxed(self.calculator, watch=Watch(cancel=cancel))
        plain = Glass(
            glass.positions, glass.numbers, glass.cell, glass.pbc, name=glass.name, provenance=glass.provenance
        )
        return Frame(number, plain, predictor.predict_atoms(plain))

    def _keep(self, frame: Frame) -> None:
        self._known[frame.number] = frame
        count = len(self)
        while len(self._known) >= self._room:
            others = (number for number in self._known if number != self.since)
            del self._known[max(others, key=lambda number: (number - self.number) % count)]
        self.arrivals += 1

    def _follow(self, _change: object) -> None:
        """Predict what is looked at, or compared with, and is not known."""
        if self.present is None or (self.comparing and self.at(self.since) is None):
            self.predict_ahead()
