"""Why an explanation should be read with care."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from symgnn_explain.explain.engine.units import OF_MESSAGES

if TYPE_CHECKING:
    from symgnn_explain.explain.result.explanation import AtomExplanation

LEFT_OUT = "left_out_by_messages"
"""Diagnostic: by how much the prediction moves when, beside all messages, descriptors are masked too."""
DOMAIN_SCORE, DOMAIN_OUTSIDE = "domain_score", "share_of_atoms_outside_the_domain"
"""Diagnostics: the score of the explained atom, and the share beyond the edge of the atoms whose messages reach it."""
SAMPLED_ATOMS = "sampled_atoms"
"""Diagnostic: how many atoms mean messages and the range of predictions come from, where these are not all."""
MANY_OUTSIDE = 0.1
"""Share of these atoms above which an explanation says so."""


def caveats_of(explanation: AtomExplanation) -> tuple[str, ...]:
    """Return plain sentences; none where nothing speaks against the explanation."""
    said, quantity, sampled = [], explanation.quantity, explanation.diagnostics.get(SAMPLED_ATOMS)
    if explanation.masked_prediction is not None and not explanation.is_faithful:
        said.append(
            f"Under the mask the network predicts {quantity.text(explanation.masked_prediction)}, not "
            f"{quantity.text(explanation.prediction)}: the explanation is not faithful (more than "
            f"{quantity.tolerance_text} off)."
        )
    if outside := outside_range(explanation):
        low, high = (quantity.number(end) for end in explanation.prediction_range)
        ends = explanation.prediction_range
        below, above = ([each for each in outside if bool(each[1] > ends[1]) is over] for over in (False, True))
        farthest = [pick(side, key=itemgetter(1)) for pick, side in ((min, below), (max, above)) if side]
        which = ", ".join(f"{quantity.text(value)} {how}" for how, value in farthest)
        whose = "this glass's" if sampled is None else "the sampled"
        said.append(
            f"Masked predictions leave the range of {whose} predictions, {low} to {quantity.with_unit(high)} "
            f"(farthest: {which}): the network has not learned what it predicts there."
        )
    if (score := explanation.diagnostics.get(DOMAIN_SCORE, 0.0)) > 1:
        said.append(
            f"Training did not cover surroundings like those of this atom (domain score {score:.2f}, 1 at the "
            "edge): what the network predicts of it was never learned."
        )
    elif (share := explanation.diagnostics.get(DOMAIN_OUTSIDE, 0.0)) > MANY_OUTSIDE:
        said.append(
            f"Training did not cover surroundings like those of {share:.0%} of the atoms that this prediction rests on "
            "(domain score above 1)."
        )
    if explanation.covers == "messages" and (moved := explanation.diagnostics.get(LEFT_OUT)) is not None:
        said.append(
            "Masks act on messages alone, and leave out what descriptors tell atoms of their surroundings: masked "
            f"too, they move the prediction by a further {quantity.text(-moved, sign=True)}. The unit 'pair' "
            "sees them."
        )
    if explanation.covers == "known messages" and explanation.unit not in OF_MESSAGES:
        said.append(
            "Of this network nothing but messages is known to be learned from other atoms: a pair is masked as the "
            "message along its edge."
        )
    if sampled is not None:
        said.append(
            f"The glass is large: mean messages, and the range and spread of predictions, are those of {sampled:,.0f} "
            "of its atoms."
        )
    if edges := explanation.diagnostics.get("whole_graph_edges"):
        said.append(
            f"Each masked prediction was made on the whole graph ({edges:.0f} edges): on a part of it this network "
            "predicts something else."
        )
    return tuple(said)


def masked_predictions(explanation: AtomExplanation) -> list[tuple[str, float]]:
    """Name each prediction that was made with something masked."""
    named = [] if explanation.masked_prediction is None else [("under the mask", explanation.masked_prediction)]
    if explanation.fidelity is not None:
        counts = explanation.fidelity.count
        named += [(f"with the top {k} alone", kept) for k, kept in zip(counts, explanation.fidelity.kept, strict=True)]
        named += [(f"without the top {k}", left) for k, left in zip(counts, explanation.fidelity.removed, strict=True)]
    return named


def outside_range(explanation: AtomExplanation) -> list[tuple[str, float]]:
    """Return those that lie outside the range of all predictions for the glass, and do not read as one of its ends."""
    (low, high), written = explanation.prediction_range, explanation.quantity.number
    outside = [(how, value) for how, value in masked_predictions(explanation) if not low <= value <= high]
    return [(how, value) for how, value in outside if written(value) not in (written(low), written(high))]
