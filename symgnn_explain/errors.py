"""The error that a user's input can raise, and the one that a user's own interruption raises."""

from numbers import Integral
from typing import Any


def one_line(sentence: str) -> str:
    """Put a sentence on one line: what it quotes from a file may hold line ends, or codes for the terminal."""
    if sentence.isprintable():
        return sentence
    line = " ".join(sentence.split())
    return "".join(character if character.isprintable() else "�" for character in line)


class InputError(ValueError):
    """Input that cannot be used; the message, one line, says what was given, what was expected and what to do."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(one_line(each) if isinstance(each, str) else each for each in arguments))


class SpeciesNeededError(InputError):
    """A LAMMPS file does not say which species its types are.

    Parameters
    ----------
    sentence
        The message.
    types
        The types that the file has.
    """

    def __init__(self, sentence: str, types: tuple[int, ...]) -> None:
        super().__init__(sentence)
        self.types = types


class NoSuchFrameError(InputError):
    """A file has fewer frames than was asked for."""


class Cancelled(Exception):  # noqa: N818 - an interruption that was asked for, not an error
    """A long computation was asked to stop; nothing it had touched is left changed."""


def require_positive(**values: float) -> None:
    """Raise InputError unless every value is positive; their names are those of a user's settings."""
    wrong = [f"{name}={value!r}" for name, value in values.items() if not value > 0]
    if wrong:
        raise InputError(f"{' and '.join(wrong)} must be positive.")


def require_counts(**values: float) -> None:
    """Raise InputError unless every value is a whole number from 1 on."""
    wrong = [f"{name}={value!r}" for name, value in values.items() if not value >= 1 or value % 1]
    if wrong:
        raise InputError(f"{' and '.join(wrong)} must be positive and whole.")


def first_rows(k: Any) -> slice:
    """Return the slice of the first ``k`` rows, all where None; raise InputError where it is no positive integer."""
    if k is not None and not (isinstance(k, Integral) and int(k) >= 1):
        raise InputError(f"{k=} must be a whole number, at least 1.")
    return slice(k)


def require_not_negative(**values: float) -> None:
    """Raise InputError where a value is negative or not a number."""
    wrong = [f"{name}={value!r}" for name, value in values.items() if not value >= 0]
    if wrong:
        raise InputError(f"{' and '.join(wrong)} must not be negative.")
