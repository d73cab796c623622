"""Per-atom columns of any origin, reduced to the three kinds that every part of this package can handle."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.runs.names import printable

ARRAY_UNITS = {
    **dict.fromkeys(("potential_energy", "energy", "energies", "computed_barrier", "computed_barrier_error"), "eV"),
    "forces": "eV/Å",
    "stresses": "eV/Å³",
    "charges": "e",
    "initial_charges": "e",
    "magmoms": "μB",
    "initial_magmoms": "μB",
    "momenta": "√(u eV)",
}
"""Units of per-atom arrays whose names have one meaning (those of ASE, and of this package). The columns of LAMMPS
files keep their own names (``vx``, ``fx``, ``q``, ``c_pe[1]`` …) and the units of the simulation, which the
provenance names where the file does."""


def plain_column(name: str, values: ArrayLike) -> NDArray[Any]:
    """Copy a per-atom array as numbers (int64, float64), flags (bool) or text.

    ``name``: what the array is called in error messages. ``values``: numbers and flags of any width, bytes, text, or
    objects that are such. None becomes NaN among numbers and nothing among text; other objects stay as they are. Raises
    InputError if the rows differ in shape, or the values are complex, records, or whole numbers outside of 64 bits.
    """
    try:
        array = np.array(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} are not numbers of one shape: {error}.") from error
    match array.dtype.kind:
        case "O":
            return _of_objects(name, array)
        case "b" | "i" | "f":
            return array.astype({"b": np.bool_, "i": np.int64, "f": np.float64}[array.dtype.kind])
        case "u":
            if array.size and array.max() > np.iinfo(np.int64).max:
                raise InputError(f"array {name!r} holds {array.max()}, above the largest whole number of 64 bits.")
            return array.astype(np.int64)
        case "S":
            return np.char.decode(array, "utf-8", "replace")
        case "U" | "T" | "M" | "m":
            return _of_text(array)
    raise InputError(f"array {name!r} holds {array.dtype}: give numbers, flags or text.")


def _of_objects(name: str, array: NDArray[Any]) -> NDArray[Any]:
    values = array.ravel().tolist()
    kinds = {_kind(value) for value in values}
    if kinds == {"flag"}:
        return array.astype(np.bool_)
    if "number" in kinds and kinds <= {"number", "nothing"}:
        numbers = np.array([np.nan if value is None else value for value in values])
        if numbers.dtype.kind in "iuf":
            return plain_column(name, numbers.reshape(array.shape))
    if "other" in kinds:
        return array
    words = [
        "" if value is None else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in values
    ]
    return _of_text(np.array(words, dtype=np.str_).reshape(array.shape))


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool | np.bool_):
        return "flag"
    if isinstance(value, Real):
        return "number"
    return "text" if isinstance(value, str | bytes) else "other"


def _of_text(array: NDArray[Any]) -> NDArray[Any]:
    words = [printable(word) for word in array.astype(np.str_).ravel().tolist()]
    return np.array(words, dtype=np.str_).reshape(array.shape)
