"""What the checks of an explanation found: against it, for it, and what was not checked."""

from __future__ import annotations

from dataclasses import dataclass

from symgnn_explain.explain.result.explanation import AtomExplanation


@dataclass(frozen=True)
class Verdict:
    """Sentences about one explanation.

    Parameters
    ----------
    against
        What speaks against it.
    note
        Which checks found nothing, and which were not made.
    """

    against: tuple[str, ...]
    note: str


def verdict(explanation: AtomExplanation) -> Verdict:
    """Say what the checks that were made found, and which were not made."""
    passed, not_made = [], []
    against, within = list(explanation.caveats), explanation.quantity.tolerance_text
    if explanation.masked_change is None:
        not_made.append("the prediction under the mask (the method gives none)")
    elif abs(explanation.masked_change) <= explanation.quantity.required_tolerance:
        passed.append(f"the prediction under the mask stays within {within}")
    if explanation.out_of_distribution is None:
        not_made.append("whether masked predictions stay within the range of this glass's predictions (there are none)")
    elif not explanation.out_of_distribution:
        passed.append("masked predictions stay within the range of this glass's predictions")
    if explanation.fidelity is None:
        not_made.append("whether the most important units alone give the same prediction")
    elif (needed := explanation.fidelity.sufficient_count()) is None:
        against.append(
            f"Kept alone, not even the {explanation.fidelity.count[-1]} most important units give the same prediction "
            f"within {within}: it rests on more than the few edges that are shown."
        )
    else:
        passed.append(f"the {needed} most important units alone give the same prediction within {within}")
    said = []
    if passed:
        said.append(f"Checked, and nothing found against it: {'; '.join(passed)}.")
    if not_made:
        said.append(f"Not checked: {'; '.join(not_made)}.")
    if not against:
        said.append("That does not make it the only explanation, nor a cause.")
    return Verdict(tuple(against), " ".join(said))
