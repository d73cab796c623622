"""What is said where the work on some atoms failed."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any, NoReturn

from symgnn_explain.errors import InputError

NAMED_FAILURES = 10  # how many atoms a message names before it ends in '…'


class SomeAtomsError(InputError):
    """The work on some atoms failed; what was done for the others, if any, is kept.

    ``errors``: what was raised, by atom. ``kept``: the results of the other atoms.
    """

    def __init__(self, message: str, errors: Mapping[int, Exception], kept: Any) -> None:
        super().__init__(message)
        self.errors, self.kept = dict(errors), kept


def raise_failures(
    failure: type[SomeAtomsError], message: str, undone: str, errors: Mapping[int, Exception], kept: Sized
) -> NoReturn:
    """Raise ``failure`` with ``message`` (of which ``{}`` is the sentence below); bad input to all atoms as it is."""
    first = next(iter(errors.values()))
    if not len(kept) and isinstance(first, InputError):
        raise first
    sentence = failure_sentence(undone, errors, len(errors) + len(kept))
    raise failure(message.format(sentence), errors, kept) from first


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
