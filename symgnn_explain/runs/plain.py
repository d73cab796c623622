"""Plain values from files of others: JSON of bounded length and depth, and checks that name what is wrong.

Nothing here guesses by catching errors: what is not as it should be is found and named.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_TEXT = 2**22  # bytes of JSON that are read inside of an archive: lists of numbers are arrays beside it
DEEPEST = 24  # lists and objects inside of each other
LONGEST_NAME = 500  # characters of a name: of a glass, a file, an array, a method
LONGEST_WORDS = 10_000  # characters of a free text
MOST_NAMES = 1_000

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class NotPlainError(ValueError):
    """Content that is not of the kind that was expected."""


def read_plain(blob: bytes, *, largest: int) -> Any:
    """Read JSON.

    Raises NotPlainError if it is longer than ``largest`` bytes, none, nested too deeply, or holds text that is none.
    """
    if len(blob) > largest:
        raise NotPlainError(f"its text has {len(blob)} bytes, more than {largest}")
    try:
        value = json.loads(blob)
    except (ValueError, RecursionError) as error:
        raise NotPlainError(f"it is no JSON ({' '.join(str(error).split())[:100]})") from error
    level = [value]
    for _ in range(DEEPEST):
        for part in level:
            if isinstance(part, str) and _LONE_SURROGATE.search(part):
                raise NotPlainError("it holds half a character")
        level = [
            inner
            for part in level
            if isinstance(part, (dict, list))
            for inner in ((*part, *part.values()) if isinstance(part, dict) else part)
        ]
        if not level:
            return value
    raise NotPlainError("its values are nested too deeply")


def entry(content: Any, name: str, *kinds: type) -> Any:
    """Return an entry of a mapping; raises NotPlainError where there is none, or it is of another kind.

    A boolean is no number here, and a whole number is a number.
    """
    if not isinstance(content, Mapping) or name not in content:
        raise NotPlainError(f"it has no {name}")
    value = content[name]
    if float in kinds:
        kinds = (*kinds, int)
    if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, kinds):
        raise NotPlainError(f"its {name} is {shown(value)}")
    return value


def word(content: Any, name: str, *, longest: int = LONGEST_NAME) -> str:
    """Return a text of a mapping, of bounded length; raises NotPlainError."""
    value: str = entry(content, name, str)
    if len(value) > longest:
        raise NotPlainError(f"its {name} has {len(value)} characters, more than {longest}")
    return value


def whole(content: Any, name: str, *, least: int = 0, most: int = 2**53) -> int:
    """Return a whole number of a mapping; raises NotPlainError."""
    value: int = entry(content, name, int)
    if not least <= value <= most:
        raise NotPlainError(f"its {name} is {shown(value)}, not {least} to {most}")
    return value


def finite(content: Any, name: str, *, least: float = -math.inf, most: float = math.inf) -> float:
    """Return a finite number of a mapping; raises NotPlainError."""
    value = entry(content, name, float)
    if abs(value) > 1e300 or not (math.isfinite(value) and least <= value <= most):
        raise NotPlainError(f"its {name} is {shown(value)}")
    return float(value)


def numbers(
    content: Any, name: str, dtype: type[np.generic], shape: tuple[int | None, ...], *, all_finite: bool = True
) -> NDArray[Any]:
    """Return an array of numbers of a mapping, given as one or as lists.

    ``dtype``: what they are; whole numbers are not made of others. ``shape``: lengths; None where any length will do.
    ``all_finite``: whether numbers that are not finite are refused. Raises NotPlainError if they are missing, of
    another shape, or no such numbers.
    """
    value = entry(content, name, list, np.ndarray)
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of unequal length
        raise NotPlainError(f"its {name} has rows of unequal length") from error
    expected = np.dtype(dtype)
    if array.size == 0:
        array = array.astype(dtype) if array.dtype.kind in "fiu" else array
    if array.dtype.kind not in ("iu" if expected.kind == "i" else "fiu"):
        raise NotPlainError(f"its {name} holds other things than {'whole ' * (expected.kind == 'i')}numbers")
    if array.ndim != len(shape) or any(want not in (None, got) for got, want in zip(array.shape, shape, strict=True)):
        raise NotPlainError(f"its {name} has the shape {array.shape}")
    if array.dtype == np.uint64 and (array > np.iinfo(np.int64).max).any():
        raise NotPlainError(f"its {name} holds numbers that are too large")
    if all_finite and not np.isfinite(array).all():
        raise NotPlainError(f"its {name} holds numbers that are not finite")
    return array.astype(dtype)


def one_of(content: Any, name: str, known: tuple[Any, ...]) -> Any:
    """Return an entry that is one of those known; raises NotPlainError."""
    value = entry(content, name, *{type(choice) for choice in known})
    if value not in known:
        raise NotPlainError(f"its {name} {shown(value)} is unknown")
    return value


def settings(content: Any, name: str) -> dict[str, Any]:
    """Return a mapping from names to single plain values of bounded length; raises NotPlainError."""
    value: dict[str, Any] = entry(content, name, dict)
    if len(value) > MOST_NAMES:
        raise NotPlainError(f"its {name} has {len(value)} entries, more than {MOST_NAMES}")
    for key, one in value.items():
        plain = one is None or isinstance(one, (bool, int, str)) or (isinstance(one, float) and math.isfinite(one))
        if len(key) > LONGEST_NAME or not plain or (isinstance(one, str) and len(one) > LONGEST_WORDS):
            raise NotPlainError(f"its {name} {shown(key)} is {shown(one)}")
    return value


def shown(value: Any) -> str:
    """Name a value in a message, in few characters and one line."""
    if isinstance(value, (dict, list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) > 10**20:
        return "a very large number"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    text = repr(value) if not isinstance(value, str) else repr(value[:60])
    return text if len(text) < 80 else f"{text[:76]} …"
