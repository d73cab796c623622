"""What atoms can be coloured by: one entry a quantity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.models.target import Target
from symgnn_explain.structure.columns import ARRAY_UNITS
from symgnn_explain.structure.datasets import COMPUTED_ARRAY
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import selectable_values
from symgnn_widgets.state.colours import (
    HOP_COLOURS,
    Colouring,
    category_colouring,
    difference_colouring,
    importance_colouring,
    signed_colouring,
    species_colouring,
)

if TYPE_CHECKING:
    from symgnn_widgets.state.base import SessionBase


DOMAIN = "domain"
"""Name of the colouring by the domain score, and of its values in selections."""

DOMAIN_LABEL = "Domain score (1: edge of what training covered)"


@dataclass(frozen=True)
class ColourChoice:
    """A quantity: how atoms are coloured by it, or None while it is not known, and whether it is offered at all."""

    make: Callable[[SessionBase], Colouring | None]
    offered: Callable[[SessionBase], bool] = lambda _session: True

    def require(self, session: SessionBase) -> Colouring:
        """Colour by a quantity that is always known."""
        colouring = self.make(session)
        if colouring is None:
            raise LookupError("this colouring is not known yet")
        return colouring


def predicted_name(target: Target) -> str:
    """Return what the colouring by predictions is called."""
    return f"predicted {target.word}"


def _predicted(session: SessionBase) -> Colouring:
    target = session.target
    return Colouring.of_values(target.axis(f"Predicted {target.word}"), session.predictions)


def _known(session: SessionBase) -> Colouring | None:
    target, known = session.target, session.labels
    return None if known is None else Colouring.of_values(target.axis(f"Known {target.word}"), known)


def _error(session: SessionBase) -> Colouring | None:
    known = session.labels
    label = session.target.axis("Predicted − known")
    return None if known is None else difference_colouring(label, session.predictions - known)


def _computed_error(session: SessionBase) -> Colouring | None:
    computed = session.glass.arrays.get(COMPUTED_ARRAY)
    label = session.target.axis("Predicted − computed")
    return None if computed is None else difference_colouring(label, session.predictions - computed)


def _uncertainty(session: SessionBase) -> Colouring | None:
    label = session.target.axis("Uncertainty of the prediction")
    return None if session.spread is None else Colouring.of_values(label, session.spread)


def _domain(session: SessionBase) -> Colouring | None:
    return None if session.domain is None else Colouring.of_values(DOMAIN_LABEL, session.domain)


def _importance(session: SessionBase) -> Colouring | None:
    explanation = session.explanation
    return None if explanation is None else importance_colouring(explanation, len(session.glass))


def _contribution(session: SessionBase) -> Colouring | None:
    explanation = session.explanation
    if explanation is None or not explanation.signed:
        return None
    return signed_colouring(explanation, len(session.glass))


def _hops(session: SessionBase) -> Colouring | None:
    """Shells of the receptive field: bonds between each atom and the explained one."""
    if session.explanation is None:
        return None
    placement = place_atoms(session.explanation)
    last = int(placement.hop.max())
    hops = np.full(len(session.glass), last + 1)
    hops[placement.atoms] = placement.hop
    names = ("explained atom", *(f"hop {hop}" for hop in range(1, last + 1)), "beyond")
    inner = [HOP_COLOURS[min(hop, len(HOP_COLOURS) - 2)] for hop in range(last + 1)]
    return Colouring(
        "Hops", hops.astype(np.float64), (*inner, HOP_COLOURS[-1]), (0.0, float(last + 1)), categories=names
    )


def _has_labels(session: SessionBase) -> bool:
    return session.labels is not None


def _has_computed(session: SessionBase) -> bool:
    return session.target.is_as_computed and COMPUTED_ARRAY in session.glass.arrays


def colourings(target: Target) -> dict[str, ColourChoice]:
    """Return what atoms can be coloured by, by the name in the menu; per-atom arrays of the glass come after them."""
    return {
        predicted_name(target): ColourChoice(_predicted),
        "uncertainty": ColourChoice(_uncertainty, lambda session: session.predictor.calibration is not None),
        f"known {target.word}": ColourChoice(_known, _has_labels),
        DOMAIN: ColourChoice(_domain, lambda session: session.domain is not None),
        "error": ColourChoice(_error, _has_labels),
        "error against computed": ColourChoice(_computed_error, _has_computed),
        "species": ColourChoice(lambda session: species_colouring(session.glass)),
        "importance": ColourChoice(_importance),
        "contribution": ColourChoice(_contribution),
        "hops": ColourChoice(_hops),
    }


OF_EXPLANATIONS = frozenset({"importance", "contribution", "hops"})
"""Colourings that change with the explanation."""


def array_names(glass: Glass, target: Target) -> tuple[str, ...]:
    """Names of the per-atom arrays of numbers, flags or different words; of one with several columns, of each."""
    known = ("x", "y", "z", "index", target.array, f"known_{target.array}", *colourings(target))
    named = selectable_values(glass, label=target.array)
    return tuple(name for name, array in named.items() if name not in known and _can_colour(array))


def _can_colour(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "iufb" or (array.dtype.kind == "U" and bool((array != array[0]).any()))


def array_colouring(glass: Glass, name: str) -> Colouring:
    """Colour by a per-atom array of the glass."""
    quantity = name.split("[", maxsplit=1)[0]  # of one with several columns
    unit = f" ({ARRAY_UNITS[quantity]})" if quantity in ARRAY_UNITS else ""
    label = f"{name.replace('_', ' ').capitalize()}{unit}"
    values = selectable_values(glass)[name]
    if values.dtype.kind == "U":
        return category_colouring(label, values)
    return Colouring.of_values(label, values.astype(np.float64))
