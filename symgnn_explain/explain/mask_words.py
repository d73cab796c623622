"""What is masked, and what masking means, in the words of sentences, reports and pages."""

from __future__ import annotations

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.engine.units import OF_MESSAGES, Unit

MASK_MEANING = {
    "reference": "messages replaced by their mean",
    "zero": "messages set to zero",
    "removal": "edges removed",
}
"""What becomes of what is masked, by mask semantics."""

PAIR_MASK_MEANING = {
    "reference": "pairs replaced by mean surroundings and messages",
    "zero": "neighbours taken out",
    "removal": "neighbours and their edges removed",
}
"""The same where a mask acts on descriptors too."""

MASKED_AS_ONE = {
    "pair": "pairs",
    "edge": "edges",
    "bond": "bonds",
    "atom": "atoms",
    "polyhedron": "polyhedra",
    "shell": "shells",
}
"""By unit."""


def require_semantics(semantics: str) -> None:
    """Raise InputError if there are no such mask semantics."""
    if semantics not in MASK_SEMANTICS:
        raise InputError(f"{semantics=} is unknown: choose from {', '.join(MASK_SEMANTICS)}.")


def mask_meaning(semantics: str, unit: Unit) -> str:
    """Say what becomes of what is masked."""
    return (MASK_MEANING if unit in OF_MESSAGES else PAIR_MASK_MEANING)[semantics]
