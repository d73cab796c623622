"""What is said where the work on some atoms failed."""

from __future__ import annotations

from collections.abc import Mapping

NAMED_FAILURES = 10
"""How many atoms a message names before it ends in '…'."""


def failure_sentence(undone: str, errors: Mapping[int, Exception], total: int) -> str:
    """Say how many of ``total`` atoms failed, which, and why the first did; and that the others are kept, if any are.

    Examples
    --------
    >>> failure_sentence("could not be explained", {7: ZeroDivisionError("by zero")}, 1)
    'none of 1 atoms could be explained (7; the first because of ZeroDivisionError: by zero).'
    """
    first = next(iter(errors.values()))
    named = ", ".join(map(str, sorted(errors)[:NAMED_FAILURES])) + ", …" * (len(errors) > NAMED_FAILURES)
    reason = " ".join(str(first).split()).rstrip(".") or "no message"
    because = f"({named}; the first because of {type(first).__name__}: {reason})"
    if len(errors) == total:
        return f"none of {total} atoms {undone.replace('could not', 'could')} {because}."
    return f"{len(errors)} of {total} atoms {undone} {because}: the others were, and are kept."
