"""What colours the atoms, and which of them are drawn."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Enum, Float, HasTraits, Int, TraitError, Tuple, Unicode, observe, validate

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.selection_language import did_you_mean
from symgnn_widgets.state.colourings import (
    CHANGE,
    OF_EXPLANATIONS,
    array_colouring,
    array_names,
    colourings,
    predicted_colouring,
    predicted_name,
)
from symgnn_widgets.state.colours import Colouring, difference_colouring, species_colouring
from symgnn_widgets.state.editing import Editing
from symgnn_widgets.state.explaining import Explaining

HIDDEN, FADED, SHOWN = 0, 1, 2
"""How an atom is drawn."""

AXES = ("x", "y", "z")

OUTSIDE = ("fade", "hide")
"""What can happen to atoms outside of the range of values that is shown."""

REGIONS = ("", "soft", "hard", "soft and hard")
"""Regions of low and of high predictions; none, where empty."""


class Colours(HasTraits):
    """The colouring, the range of its values that is shown, a slab of the glass, the cell and regions."""

    colour_by = Unicode(help="name of the colouring")
    shown_range: Any = Tuple(Float(), Float(), default_value=None, allow_none=True, help="of the colouring's values")
    outside = Enum(OUTSIDE, default_value="fade", help="what happens to atoms outside the range")
    slab_axis = Enum(("", *AXES), default_value="", help="what the slab is cut across; empty for the whole glass")
    slab: Any = Tuple(Float(), Float(), default_value=None, allow_none=True, help="coordinates (Å) that are drawn")
    cell_shown = Bool(True)
    regions = Enum(REGIONS, default_value="", help="regions of low and of high predictions that have a skin")
    region_share = Float(0.15, min=0.01, max=0.5, help="of the volume that each of these regions takes")

    revision = Int(0, help="rises where the values of a colouring have changed")

    def __init__(self, explaining: Explaining, editing: Editing) -> None:
        self.explaining, self._editing = explaining, editing
        self._structure = structure = explaining.structure
        self._latest: tuple[Any, Colouring | None, Any] = None, None, None
        self._known = {**colourings(structure), CHANGE: self._changed_by_edits}
        super().__init__(colour_by=self.usual)
        structure.observe(lambda _change: self.recolour(), "predicted")

    @property
    def usual(self) -> str:
        """The colouring by what is predicted."""
        return predicted_name(self._structure.target)

    def _changed_by_edits(self, _explanation: AtomExplanation | None) -> Colouring | None:
        change = self._editing.change
        return None if change is None else difference_colouring(self._structure.target.axis("Change by edits"), change)

    def recolour(self) -> None:
        """Say that the values of the colouring have changed."""
        self.revision += 1

    @property
    def colour_choices(self) -> tuple[str, ...]:
        """What the atoms can be coloured by, now or once an atom has been explained."""
        return (*self._known, *array_names(self._structure.glass, self._structure.target, self._known))

    def colouring(self) -> Colouring:
        """Colour by what was chosen, by the prediction while that is not known, and by species before there is any."""
        structure, chosen = self._structure, self._chosen()
        if chosen is not None:
            return chosen
        return predicted_colouring(structure) if structure.predicted else self._by_species

    @cached_property
    def _by_species(self) -> Colouring:
        return species_colouring(self._structure.glass)

    def _chosen(self) -> Colouring | None:
        """Colour by what was chosen; nothing is computed anew while what it is made of stays."""
        name, explanation = self.colour_by, self.explaining.explanation
        made_of = (explanation if name in OF_EXPLANATIONS else None, self._editing.change, self._structure.predicted)
        latest = (name, self.revision, *map(id, made_of))
        if self._latest[0] != latest:
            known = self._known.get(name)
            made = array_colouring(self._structure.glass, name) if known is None else known(explanation)
            self._latest = latest, made, made_of  # which keeps the names of what it is made of from being used again
        return self._latest[1]

    @property
    def missing_colouring(self) -> str:
        """One sentence about why another colouring is shown than the one that was chosen, or empty."""
        if not self._structure.predicted and self._chosen() is None:
            return "These are the species; other colours come with the predictions."
        if self.colour_by == CHANGE and self._editing.change is None:
            return "Colours by change come with an edit: What if?"
        signed = self.colour_by == "contribution"
        explanation = self.explaining.explanation
        if self.colour_by not in OF_EXPLANATIONS or (explanation is not None and (explanation.signed or not signed)):
            return ""
        how = " by a method with signed scores" if signed else ""
        return f"Colours by {self.colour_by} come with an explanation{how}."

    def visibility(self, places: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Tell how each atom is drawn, shape (N,): ``HIDDEN``, ``FADED`` or ``SHOWN``.

        Parameters
        ----------
        places
            Where the atoms are drawn, shape (N, 3), Å.
        """
        drawn = np.full(len(self._structure.glass), SHOWN, dtype=np.uint8)
        chosen = None if self.shown_range is None else self._chosen()
        if chosen is not None:  # a range means nothing of values that stand in for others
            low, high = self.shown_range
            # NaN is outside of every range.
            drawn[~((chosen.values >= low) & (chosen.values <= high))] = FADED if self.outside == "fade" else HIDDEN
        if self.slab_axis and self.slab is not None:
            along = places[:, AXES.index(self.slab_axis)]
            drawn[(along < self.slab[0]) | (along > self.slab[1])] = HIDDEN
        return drawn

    @validate("colour_by")
    def _require_known(self, proposal: dict[str, Any]) -> str:
        name: str = proposal["value"]
        if name not in self.colour_choices:
            hint = did_you_mean(name, self.colour_choices)
            raise TraitError(f"colour_by={name!r} is unknown{hint}: choose from {', '.join(self.colour_choices)}.")
        return name

    @observe("colour_by")
    def _show_all_values(self, _change: object) -> None:
        self.shown_range = None

    @observe("slab_axis")
    def _show_whole_glass(self, _change: object) -> None:
        self.slab = None
