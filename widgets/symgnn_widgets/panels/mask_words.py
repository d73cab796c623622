"""What is masked, and what masking means, in the words of the page."""

from __future__ import annotations

MASK_MEANING = {"reference": "mean message instead", "zero": "message set to zero", "removal": "edge removed"}
"""By mask semantics."""

MASKED_AS_ONE = {"edge": "edges", "bond": "bonds", "atom": "atoms", "polyhedron": "polyhedra", "shell": "shells"}
"""By unit."""
