"""Which atoms are selected: one that is looked at, and any number beside it."""

from __future__ import annotations

from collections.abc import Iterable

from traitlets import Bool, HasTraits, Int, Tuple, observe

from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import require_atoms


class Selection(HasTraits):
    """The selected atoms of a glass, in the order in which they were selected; ``selected_atom`` is one of them."""

    selection = Tuple(help="numbers of the selected atoms")
    selected_atom = Int(None, allow_none=True, help="the atom that is looked at, and explained when asked")
    adding = Bool(False, help="whether a pick adds an atom to the selection, or takes it out, instead of replacing it")

    def __init__(self, glass: Glass) -> None:
        super().__init__()
        self._glass = glass

    def select(self, atom: int) -> None:
        """Select one atom and look at it; an explanation of it that is known already is shown at once."""
        atom = self._glass.require_atom(atom)
        self.become((atom,), atom)

    def select_many(self, atoms: Iterable[int], *, add: bool | None = None) -> None:
        """Select atoms in place of the present ones, or beside them; look at the first of them.

        Parameters
        ----------
        add
            Keep the present ones; what ``adding`` says where None.
        """
        chosen = tuple(int(atom) for atom in require_atoms(self._glass, atoms))
        if self.adding if add is None else add:
            chosen = (*self.selection, *(atom for atom in chosen if atom not in self.selection))
        self.become(chosen, self.selected_atom if self.selected_atom in chosen else chosen[0])

    def look_at(self, atom: int) -> None:
        """Look at an atom: the selection stays where it holds the atom."""
        if atom in self.selection:
            self.selected_atom = atom
        else:
            self.select(atom)

    def toggle(self, atom: int) -> None:
        """Add an atom to the selection, or take it out of it."""
        atom = self._glass.require_atom(atom)
        if atom in self.selection:
            self.deselect(atom)
        else:
            self.select_many([atom], add=True)

    def deselect(self, atom: int) -> None:
        """Take an atom out of the selection; the last of the others is looked at if it was this one."""
        others = tuple(other for other in self.selection if other != atom)
        looked_at = self.selected_atom if self.selected_atom != atom else (others or (None,))[-1]
        self.become(others, looked_at)

    def clear_selection(self) -> None:
        """Select nothing."""
        self.become((), None)

    def become(self, selection: tuple[int, ...], looked_at: int | None) -> None:
        """Set both, told together, so that nobody sees one without the other."""
        with self.hold_trait_notifications():
            self.selection = selection
            self.selected_atom = looked_at

    @observe("selected_atom")
    def _keep_looked_at_selected(self, change: dict[str, int | None]) -> None:
        atom = change["new"]
        if atom is not None and atom not in self.selection:
            self.selection = (atom,)
