"""Which atoms are selected: one that is looked at, and any number beside it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from traitlets import Bool, Tuple, observe

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray
from symgnn_explain.structure.selection import require_atoms, select_atoms
from symgnn_widgets.state.base import SessionBase


class SelectionState(SessionBase):
    """The selected atoms, in the order in which they were selected; ``selected_atom`` is one of them."""

    selection = Tuple(help="numbers of the selected atoms")
    adding = Bool(False, help="whether a pick adds an atom to the selection, or takes it out, instead of replacing it")

    def select(self, atom: int) -> None:
        """Select one atom and look at it; an explanation of it that is known already is shown at once."""
        atom = self.glass.require_atom(atom)
        self._become((atom,), atom)

    def select_many(self, atoms: Iterable[int], *, add: bool | None = None) -> None:
        """Select atoms in place of the present ones, or beside them; look at the first of them.

        Parameters
        ----------
        add
            Keep the present ones; what ``adding`` says where None.
        """
        chosen = tuple(int(atom) for atom in require_atoms(self.glass, atoms))
        if self.adding if add is None else add:
            chosen = (*self.selection, *(atom for atom in chosen if atom not in self.selection))
        self._become(chosen, self.selected_atom if self.selected_atom in chosen else chosen[0])

    def select_words(self, words: str) -> None:
        """Select in the language of :func:`~symgnn_explain.structure.selection.select_atoms`; mistakes: ``error``."""
        try:
            atoms = select_atoms(
                self.glass,
                words,
                predictions=self.predictions,
                label=self.target.array,
                selected=self.selection,
                values=self.named_values(),
            )
        except InputError as error:
            self.error = str(error)
            return
        self.error = ""
        self.select_many(atoms.tolist())

    def named_values(self) -> dict[str, FloatArray]:
        """Name what a selection can compare beside the values of the glass: uncertainty, error, importance."""
        values: dict[str, FloatArray] = {}
        if self.spread is not None:
            values["uncertainty"] = self.spread
        if self.domain is not None:
            values["domain"] = self.domain
        if self.labels is not None:
            values["error"] = self.predictions - self.labels
        if self.explanation is not None:
            scores = self.explanation.atom_scores()
            values["importance"] = np.zeros(len(self.glass))
            values["importance"][scores.index] = scores
        return values

    def toggle(self, atom: int) -> None:
        """Add an atom to the selection, or take it out of it."""
        atom = self.glass.require_atom(atom)
        if atom in self.selection:
            self.deselect(atom)
        else:
            self.select_many([atom], add=True)

    def deselect(self, atom: int) -> None:
        """Take an atom out of the selection; the last of the others is looked at if it was this one."""
        others = tuple(other for other in self.selection if other != atom)
        looked_at = self.selected_atom if self.selected_atom != atom else (others or (None,))[-1]
        self._become(others, looked_at)

    def clear_selection(self) -> None:
        """Select nothing."""
        self._become((), None)

    def _become(self, selection: tuple[int, ...], looked_at: int | None) -> None:
        # Told together, so that nobody sees one without the other.
        with self.hold_trait_notifications():
            self.selection = selection
            self.selected_atom = looked_at

    @observe("selected_atom")
    def _keep_looked_at_selected(self, change: dict[str, int | None]) -> None:
        atom = change["new"]
        if atom is not None and atom not in self.selection:
            self.selection = (atom,)
