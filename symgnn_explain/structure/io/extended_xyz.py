"""Extended XYZ in full precision: what is written is read back equal, or nothing is written.

ASE's own writer keeps eight decimals, with which a structure would not be the one that it was: its
:attr:`~symgnn_explain.structure.glass.Glass.content_hash` covers every digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import BARRIER_ARRAY, Glass

RESERVED = {"species", "symbols", "pos", "positions", "Z", "numbers", "charge", "move_mask", BARRIER_ARRAY}
"""Names of columns that mean something to programs that read extended XYZ."""

LARGEST_INTEGER, LARGEST_WHOLE = 2**31 - 1, 2**53
"""What readers take for an integer, and up to where a number with decimals is still exact."""


def encode_frame(glass: Glass, info: Mapping[str, Any] | None = None) -> str:
    """Return a glass as a frame of an extended XYZ file, each number with as many digits as tell it from all others.

    ``info``: further keys and values of the comment line. Raises InputError as :func:`require_columns`.
    """
    require_columns(glass)
    columns = [("species", "S", np.array(glass.symbols)), ("pos", "R", glass.positions)]
    if glass.barriers is not None:
        columns.append((BARRIER_ARRAY, "R", glass.barriers))
    columns += [(name, _letter(array), array) for name, array in glass.arrays.items()]
    layout = ":".join(f"{name}:{letter}:{array[0].size}" for name, letter, array in columns)
    lattice = " ".join(map(repr, glass.cell.ravel().tolist()))
    described = {
        "Lattice": lattice,
        "Properties": layout,
        "pbc": " ".join("FT"[int(periodic)] for periodic in glass.pbc),
        "name": glass.name,
        "provenance": f"_JSON {json.dumps(dict(glass.provenance))}",
        **{key: str(value) for key, value in (info or {}).items()},
    }
    comment = " ".join(f"{key}={_quoted(value)}" for key, value in described.items())
    cells = [words for _, letter, array in columns for words in _words(array, letter)]
    return "\n".join([str(len(glass)), comment, *map(" ".join, zip(*cells, strict=True)), ""])


def require_columns(glass: Glass) -> None:
    """Raise InputError, with the name of the array, unless extended XYZ holds the per-atom arrays of a glass."""
    for name, array in glass.arrays.items():
        reason = _wrong_name(name) or _wrong_values(array)
        if reason:
            raise InputError(
                f"the per-atom array {name!r} of {glass.name!r} does not fit into extended XYZ: {reason}. Rename it, "
                "change it or leave it out."
            )


def _wrong_name(name: str) -> str:
    if not name or not name.isprintable() or ":" in name:
        return "a name of a column has at least one character, all of them printable, and no colon"
    if name in RESERVED:
        return "programs take a column of this name for something else"
    return ""


def _wrong_values(array: NDArray[Any]) -> str:
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] < 2):
        return f"its shape is {array.shape}, expected (N,) or (N, columns)"
    kind = array.dtype.kind
    if kind == "U":
        words = np.unique(array).tolist()
        odd = next((word for word in words if word.split() != [word] or "\0" in word), None)
        return "" if odd is None else f"{odd!r} is not one word, as the text of a column has to be"
    if kind in "iu" and array.size and (int(array.max()) > LARGEST_WHOLE or int(array.min()) < -LARGEST_WHOLE):
        return f"it holds integers beyond {LARGEST_WHOLE}"
    if kind not in "biuf":
        return f"it holds {array.dtype}, not numbers, flags or words"
    return ""


def _letter(array: NDArray[Any]) -> str:
    kind = array.dtype.kind
    if kind in "iu":
        fits = int(array.min()) >= -LARGEST_INTEGER and int(array.max()) <= LARGEST_INTEGER
        return "I" if fits else "R"  # readers would overflow
    return {"U": "S", "b": "L", "f": "R"}[kind]


def _words(array: NDArray[Any], letter: str) -> Iterator[list[str]]:
    """Yield the words of each column."""
    for column in array.reshape(len(array), -1).T:
        if letter == "R":
            yield list(map(repr, column.astype(np.float64).tolist()))
        elif letter == "L":
            yield ["FT"[int(value)] for value in column]
        else:
            yield list(map(str, column.tolist()))


def _quoted(value: str) -> str:
    # A comment is one line, and begins and ends with no space.
    plain = "".join(character if character.isprintable() else " " for character in value)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
