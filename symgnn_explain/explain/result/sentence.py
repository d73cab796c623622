"""What an explanation found, as the sentences of a paper: made of its numbers alone."""

from __future__ import annotations

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import METHODS
from symgnn_explain.explain.mask_words import MASKED_AS_ONE, mask_meaning
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.structure.glass import Glass

_NAMED_ATOMS = 3


def explanation_sentence(
    explanation: AtomExplanation, glass: Glass, *, k: int = 50, uncertainty: float | None = None
) -> str:
    """Say what a prediction rests on: the prediction, the method, the important atoms, and how far that can be trusted.

    Nothing is interpreted: every clause is a number of the explanation, and what speaks against it is said too.

    Parameters
    ----------
    k
        Most important edges that are spoken of.
    uncertainty
        Standard deviation of the prediction, where the predictor gives one.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or ``k`` is not positive.
    """
    explanation.require_glass(glass)
    if k < 1:
        raise InputError(f"{k=} must be at least 1.")
    k = min(k, len(explanation))
    name = METHODS[explanation.method].label if explanation.method in METHODS else explanation.method
    quantity = explanation.quantity
    value = quantity.number(explanation.prediction, coarse=True)
    spread = "" if uncertainty is None else f" ± {quantity.number(uncertainty, coarse=True)}"
    what = "" if explanation.unit == "edge" else f"{MASKED_AS_ONE[explanation.unit]} as units, "
    predicted = (
        f"The {quantity.name} predicted for {glass.symbols[explanation.atom]} atom {explanation.atom} of "
        f"{glass.name}, {quantity.with_unit(value + spread)}, was explained by {name} ({what}"
        f"masked {mask_meaning(explanation.mask_semantics, explanation.unit)})."
    )
    parts = [predicted, _important(explanation, glass, k), _checked(explanation, k), _mask(explanation)]
    return " ".join(part for part in parts if part)


def _important(explanation: AtomExplanation, glass: Glass, k: int) -> str:
    """Say how much the first ``k`` edges hold, and which atoms they join."""
    scores = np.abs(explanation.score)
    total = float(scores.sum())
    if total == 0:
        return "All scores are zero: the method found no edge that matters."
    top = explanation.rank()[:k]
    held = float(scores[top].sum()) / total
    measure = "absolute contribution" if explanation.signed else "mask"
    atoms = explanation.important_atoms(k)
    said = (
        f"The {k} most important of {len(explanation)} {explanation.edges_are} hold {100 * held:.1f} % of the total "
        f"{measure}"
    )
    if not len(atoms):
        return f"{said}, and join no other atom."
    placement = place_atoms(explanation)
    distance = np.linalg.norm(placement.position[placement.rows_of(atoms["atom"].to_numpy())], axis=1)
    named = ", ".join(
        f"{glass.symbols[atom]} {atom} ({far:.1f} Å)"
        for atom, far in zip(atoms["atom"].tolist()[:_NAMED_ATOMS], distance, strict=False)
    )
    return (
        f"{said} and join {len(atoms)} other atoms, {distance.min():.1f} to {distance.max():.1f} Å away (median "
        f"{np.median(distance):.1f} Å), first of all {named}."
    )


def _checked(explanation: AtomExplanation, k: int) -> str:
    """Say what the network predicts with the most important units alone, and without them."""
    checked, quantity = explanation.fidelity, explanation.quantity
    if checked is None:
        return ""
    possible = np.flatnonzero((checked.count <= k) & (checked.count > 0))
    if not possible.size:
        return ""
    row = possible[-1]
    kept, without = (
        f"{quantity.text(value, coarse=True)} ({quantity.text(value - checked.original, sign=True, coarse=True)})"
        for value in (float(checked.kept[row]), float(checked.removed[row]))
    )
    return (
        f"With the {checked.count[row]} most important {MASKED_AS_ONE[explanation.unit]} alone the network predicts "
        f"{kept}, without them {without}."
    )


def _mask(explanation: AtomExplanation) -> str:
    """Say whether the whole mask keeps the prediction."""
    change, quantity = explanation.masked_change, explanation.quantity
    if change is None:
        return ""
    if explanation.is_faithful:
        return f"Under the whole mask the prediction stays ({quantity.text(change, sign=True)})."
    return (
        f"Under the whole mask the prediction moves by {quantity.text(change, sign=True, coarse=True)}, more than "
        f"{quantity.tolerance_text}: the explanation is not faithful."
    )
