"""What atoms can be coloured by: one entry a quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.models.target import Target
from symgnn_explain.structure.columns import ARRAY_UNITS
from symgnn_explain.structure.datasets import COMPUTED_ARRAY
from symgnn_explain.structure.glass import FloatArray, Glass
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
from symgnn_widgets.state.structure import Structure

DOMAIN = "domain"
"""Name of the colouring by the domain score, and of its values in selections."""

CHANGE = "change by edits"
"""Name of the colouring by what edits change."""

DOMAIN_LABEL = "Domain score (1: edge of what training covered)"


Make = Callable[[AtomExplanation | None], Colouring | None]
"""Colours atoms by a quantity; None while the explanation that it is made of is not there."""


def predicted_name(target: Target) -> str:
    """Return what the colouring by predictions is called."""
    return f"predicted {target.word}"


def predicted_colouring(structure: Structure) -> Colouring:
    """Colour by the predictions."""
    target = structure.target
    return Colouring.of_values(target.axis(f"Predicted {target.word}"), structure.predictions)


def colourings(structure: Structure) -> dict[str, Make]:
    """Return what atoms can be coloured by, by the name in the menu; per-atom arrays of the glass come after them."""
    glass, target, predictions = structure.glass, structure.target, structure.predictions
    offered: dict[str, Make] = {predicted_name(target): lambda _explanation: predicted_colouring(structure)}

    def by_values(name: str, label: str, values: FloatArray | None) -> None:
        if values is not None:
            offered[name] = lambda _explanation: Colouring.of_values(label, values)

    def by_difference(name: str, label: str, known: FloatArray | None) -> None:
        if known is not None:
            offered[name] = lambda _explanation: difference_colouring(target.axis(label), predictions - known)

    if structure.predictor.calibration is not None:
        by_values("uncertainty", target.axis("Uncertainty of the prediction"), structure.spread)
    by_values(f"known {target.word}", target.axis(f"Known {target.word}"), structure.labels)
    by_values(DOMAIN, DOMAIN_LABEL, structure.domain)
    by_difference("error", "Predicted − known", structure.labels)
    computed = glass.arrays.get(COMPUTED_ARRAY) if target.is_as_computed else None
    by_difference("error against computed", "Predicted − computed", computed)
    offered["species"] = lambda _explanation: species_colouring(glass)
    offered["importance"] = _of_explanation(importance_colouring, len(glass))
    offered["contribution"] = _of_explanation(signed_colouring, len(glass), signed=True)
    offered["hops"] = _of_explanation(hop_colouring, len(glass))
    return offered


def _of_explanation(make: Callable[[AtomExplanation, int], Colouring], n_atoms: int, *, signed: bool = False) -> Make:
    def colouring(explanation: AtomExplanation | None) -> Colouring | None:
        return None if explanation is None or (signed and not explanation.signed) else make(explanation, n_atoms)

    return colouring


def hop_colouring(explanation: AtomExplanation, n_atoms: int) -> Colouring:
    """Shells of the receptive field: bonds between each atom and the explained one."""
    placement = place_atoms(explanation)
    last = int(placement.hop.max())
    hops = np.full(n_atoms, last + 1)
    hops[placement.atoms] = placement.hop
    names = ("explained atom", *(f"hop {hop}" for hop in range(1, last + 1)), "beyond")
    inner = [HOP_COLOURS[min(hop, len(HOP_COLOURS) - 2)] for hop in range(last + 1)]
    return Colouring(
        "Hops", hops.astype(np.float64), (*inner, HOP_COLOURS[-1]), (0.0, float(last + 1)), categories=names
    )


OF_EXPLANATIONS = frozenset({"importance", "contribution", "hops"})
"""Colourings that change with the explanation."""


def array_names(glass: Glass, target: Target, taken: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the per-atom arrays of numbers, flags or different words; of one with several columns, of each.

    Parameters
    ----------
    taken
        Names of other colourings, which are left out.
    """
    known = {*taken, "x", "y", "z", "index", target.array, f"known_{target.array}"}
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
