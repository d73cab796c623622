"""What atoms can be coloured by: one entry a quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.models.predictor import AtomPredictions
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
"""Colours atoms by a quantity; None while the predictions or the explanation that it is made of are not there."""


def predicted_name(target: Target) -> str:
    """Return what the colouring by predictions is called."""
    return f"predicted {target.word}"


def predicted_colouring(structure: Structure, so_far: FloatArray | None = None) -> Colouring:
    """Colour by the predictions; by ``so_far`` where they are not there yet."""
    target = structure.target
    values = structure.predictions if structure.predicted or so_far is None else so_far
    return Colouring.of_values(target.axis(f"Predicted {target.word}"), values)


def colourings(structure: Structure) -> dict[str, Make]:
    """Return what atoms can be coloured by, by the name in the menu; per-atom arrays of the glass come after them."""
    glass, target, labels = structure.glass, structure.target, structure.labels
    offered: dict[str, Make] = {}

    def of_predictions(name: str, make: Callable[[AtomPredictions], Colouring | None]) -> None:
        offered[name] = lambda _explanation: make(structure.said) if structure.predicted else None

    def by_values(label: str, values: FloatArray | None) -> Colouring | None:
        return None if values is None else Colouring.of_values(label, values)

    def by_difference(name: str, label: str, known: FloatArray | None) -> None:
        if known is not None:
            of_predictions(name, lambda said: difference_colouring(target.axis(label), said.values - known))

    of_predictions(predicted_name(target), lambda _said: predicted_colouring(structure))
    if structure.predictor.calibration is not None:
        of_predictions("uncertainty", lambda said: by_values(target.axis("Uncertainty of the prediction"), said.spread))
    if labels is not None:
        offered[f"known {target.word}"] = lambda _: by_values(target.axis(f"Known {target.word}"), labels)
    if structure.predictor.domain is not None:
        of_predictions(DOMAIN, lambda said: by_values(DOMAIN_LABEL, said.domain))
    by_difference("error", "Predicted − known", labels)
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
