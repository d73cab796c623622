"""Columns of numbers and words, read fast and to the last digit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError

Columns = dict[str, NDArray[Any]]

_FORTRAN = re.compile(r"[dD](?=[+-]?[0-9]+$)")
_WHOLE = re.compile(r"[+-]?\d+")


def number(word: str | bytes) -> float:
    """Return the value of a word; Fortran's exponents (``1.5d-3``) are understood.

    Raises ValueError if it is no number.
    """
    text = word.decode("latin-1") if isinstance(word, bytes) else word
    if "_" in text:
        raise ValueError(f"could not convert string to float: {text!r}")
    return float(_FORTRAN.sub("e", text))


def is_number(word: str | bytes) -> bool:
    """Whether :func:`number` gives a value of a word."""
    try:
        number(word)
    except ValueError:
        return False
    return True


def is_count(word: str) -> bool:
    """Whether a word is a whole number that surely fits into 64 bits, written in digits alone."""
    return word.isascii() and word.isdecimal() and len(word) <= 18


def read_columns(rows: bytes, names: Sequence[str], *, text: Sequence[str] = (), comment: str | None = None) -> Columns:
    """Read columns that blanks or tabs separate: whole numbers, other numbers, or text where a word is no number.

    ``rows``: the lines; empty ones are skipped. ``names``: a name for each column. ``text``: columns that hold words
    even where they look like numbers. ``comment``: what begins a comment, up to the end of a line. Raises InputError if
    a row has more or fewer values than there are names, or two columns have the same name.
    """
    import pandas as pd

    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise InputError(f"two columns are called {twice[0]!r}: name each column once.")
    if not rows.strip():
        raise InputError("it has no atoms.")
    # pandas before 3.1 needs to be told to read every digit; later it does so by itself.
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    precise: dict[str, Any] = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    expected = range(len(names))
    _require_full_rows(rows.split(b"\n", 1)[:1], names, comment)  # pandas would drop surplus values of the first row
    try:
        frame = pd.read_csv(
            io.BytesIO(rows),
            sep=r"\s+",
            header=None,
            names=expected,
            index_col=False,
            dtype={column: str for column in expected if names[column] in text},
            na_filter=False,
            quoting=csv.QUOTE_NONE,
            comment=comment,
            low_memory=False,
            **precise,
        )
    except UnicodeDecodeError:
        return read_columns(rows.decode("latin-1").encode(), names, text=text, comment=comment)
    except (ValueError, pd.errors.ParserWarning) as error:
        _require_full_rows(rows.split(b"\n"), names, comment)
        raise InputError(f"the rows of atoms cannot be read ({' '.join(str(error).split())}).") from error
    columns = {}
    for column, name in enumerate(names):
        values = frame[column].to_numpy()
        if (
            values.dtype.kind not in "biuf" or values.dtype.kind == "u"
        ):  # u: beyond 63 bits, a name rather than a number
            words = [str(value) for value in values.tolist()]
            if "" in words:
                _require_full_rows(rows.split(b"\n"), names, comment)
            values = np.array(words, dtype=np.str_) if name in text else _numbers(words)
        columns[name] = values
    return columns


def flags(words: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Return a column of T and F, true and false, or 1 and 0, as flags; raises InputError if it holds other words."""
    known = dict.fromkeys(("t", "true", ".true.", "1"), True) | dict.fromkeys(("f", "false", ".false.", "0"), False)
    unique, place = np.unique(words.astype(np.str_), return_inverse=True)
    strange = [word for word in unique.tolist() if word.lower() not in known]
    if strange:
        raise InputError(f"the column {name!r} holds {strange[0]!r} where T or F is expected.")
    return np.array([known[word.lower()] for word in unique.tolist()], dtype=np.bool_)[place.reshape(words.shape)]


def _numbers(words: list[str]) -> NDArray[Any]:
    """Return numbers, or the words themselves where one is no number, or is a whole one beyond 64 bits."""
    text = np.array(words, dtype=np.str_)
    if any("_" in word or (len(word) > 18 and _WHOLE.fullmatch(word)) for word in words):
        return text  # Python, but no other program, takes 1_0 for ten
    try:
        return text.astype(np.float64)
    except ValueError:
        try:
            return np.array([number(word) for word in words])
        except ValueError:
            return text


def _require_full_rows(lines: Sequence[bytes], names: Sequence[str], comment: str | None) -> None:
    words = ((line.split(comment.encode())[0] if comment else line).split() for line in lines)
    for row, values in enumerate(filter(None, words), start=1):
        if len(values) != len(names):
            raise InputError(
                f"row {row} of the atoms has {len(values)} value(s), but there are {len(names)} columns "
                f"({' '.join(names)}): the file is truncated or damaged, or its columns are named wrongly."
            )
