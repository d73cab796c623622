"""What was selected and shown, one after the other, so that one can go back to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from traitlets import Bool, HasTraits

from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.method import Key

STEPS_KEPT = 200
"""Selections and explanations that can be undone."""


class Step(NamedTuple):
    """What was selected, and which explanation was shown."""

    selection: tuple[int, ...]
    atom: int | None
    key: Key | None


class Steps(HasTraits):
    """Undo and redo of selections and explanations."""

    can_undo = Bool(False)
    can_redo = Bool(False)

    def __init__(self, explaining: Explaining) -> None:
        super().__init__()
        self._explaining, self._selected = explaining, explaining.selected
        self._steps: list[Step] = [Step((), None, None)]
        self._step = 0
        self._selected.observe(self._note, ["selection", "selected_atom"])
        explaining.observe(self._note, "explanation")

    @property
    def listed(self) -> tuple[tuple[Step, ...], int]:
        """All steps, the earliest first, and the place of the present one."""
        return tuple(self._steps), self._step

    def resume(self, steps: Sequence[Step], place: int) -> None:
        """Take the steps of an earlier session in place of those so far."""
        self._steps, self._step = list(steps), place
        self._offer()

    def undo(self) -> None:
        """Go back to what was selected and shown before."""
        self._go_to(self._step - 1)

    def redo(self) -> None:
        """Take back an undo."""
        self._go_to(self._step + 1)

    def _note(self, _change: object) -> None:
        """Keep what is selected and shown."""
        selected, explanation = self._selected, self._explaining.explanation
        explained = explanation is not None and explanation.atom == selected.selected_atom
        key = self._explaining.shown_key if explained else None
        step = Step(selected.selection, selected.selected_atom, key)
        present = self._steps[self._step]
        between = bool(step.selection) != (step.atom is not None) or step.atom not in (*step.selection, None)
        if between or step == present:
            return
        if (step.selection, step.atom) == (present.selection, present.atom):
            if step.key is None:
                return
            if present.key is None:
                # The same step, now with its explanation.
                self._steps[self._step] = step
                return
        self._steps = [*self._steps[: self._step + 1], step][-STEPS_KEPT:]
        self._step = len(self._steps) - 1
        self._offer()

    def _go_to(self, place: int) -> None:
        if not 0 <= place < len(self._steps):
            return
        self._step = place
        steps, step = self._steps, self._steps[place]
        if step.key is not None:
            self._explaining.recall(step.key)
        self._selected.become(step.selection, step.atom)
        # Going there made steps of its own.
        self._steps, self._step = steps, place
        self._offer()

    def _offer(self) -> None:
        self.can_undo, self.can_redo = self._step > 0, self._step < len(self._steps) - 1
