"""What is masked, and what masking means, in the words of sentences, reports and pages."""

from __future__ import annotations

MASK_MEANING = {
    "reference": "messages replaced by their mean",
    "zero": "messages set to zero",
    "removal": "edges removed",
}
"""What becomes of what is masked, by mask semantics."""

MASKED_AS_ONE = {
    "pair": "pairs",
    "edge": "edges",
    "bond": "bonds",
    "atom": "atoms",
    "polyhedron": "polyhedra",
    "shell": "shells",
}
"""By unit."""
