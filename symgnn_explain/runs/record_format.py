"""An explanation as bytes: compact, exact, the same for the same result, and without pickle.

A record is an ``.npz`` file: numpy arrays in a zip archive, with one more member, ``record.json``, for all that is no
array. Numbers are stored in the narrowest type that holds every one of them exactly. No time is written, neither of the
clock nor of the file.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.runs.archive import DamagedArchiveError, add_member, decode_array, encode_array, opened

FORMAT_VERSION = 1
HEADER = "record.json"
SHORTEST_ARRAY = 16
"""Lists of fewer numbers stay in the header."""

_PLACE = "__array__"
_TYPES = {"bool": np.bool_, "int64": np.int64, "float64": np.float64}


class DamagedRecordError(DamagedArchiveError):
    """Bytes that are not a whole record."""


def pack(run: str, content: Mapping[str, Any]) -> bytes:
    """Encode nested dicts and lists of plain values.

    Parameters
    ----------
    run
        Which run the record belongs to.
    content
        As for JSON, which it would survive unchanged.
    """
    arrays: dict[str, NDArray[Any]] = {}
    header = {"record_version": FORMAT_VERSION, "run": run, "content": _without_arrays(dict(content), "", arrays)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        add_member(archive, HEADER, json.dumps(header, ensure_ascii=False).encode())
        for name, array in arrays.items():
            add_member(archive, f"{name}.npy", encode_array(array))
    return stream.getvalue()


def unpack(blob: bytes) -> tuple[str, dict[str, Any]]:
    """Invert :func:`pack`: the run and the content, with arrays where long lists of numbers were.

    Raises
    ------
    DamagedRecordError
        If these are not the bytes of a whole record.
    """
    try:
        with opened(blob) as archive:
            header = json.loads(archive.read(HEADER))
            if header["record_version"] != FORMAT_VERSION:
                raise DamagedRecordError(f"its format is {header['record_version']}, expected {FORMAT_VERSION}")
            return header["run"], _with_arrays(header["content"], archive)
    except DamagedArchiveError as error:
        raise DamagedRecordError(f"not a whole record ({error})") from error


def _without_arrays(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_arrays(inner, f"{name}.{key}" if name else key, arrays) for key, inner in value.items()}
    array = _as_array(value) if isinstance(value, list) and len(value) >= SHORTEST_ARRAY else None
    if array is None:
        return value
    name = re.sub(r"[^A-Za-z0-9_.]", "_", name)
    while name in arrays:
        name += "_"
    arrays[name] = _narrowed(array)
    return {_PLACE: name, "dtype": array.dtype.name}


def _as_array(value: list[Any]) -> NDArray[Any] | None:
    try:
        array = np.array(value)
    except ValueError:  # rows of unequal length
        return None
    if array.dtype.kind == "i":
        array = array.astype(np.int64)
    return array if array.dtype.name in _TYPES else None


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype == np.int64:
        for kind in (np.uint8, np.uint16, np.int32):
            if np.iinfo(kind).min <= array.min() and array.max() <= np.iinfo(kind).max:
                return array.astype(kind)
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            single = array.astype(np.float32)
        if single.astype(np.float64).tobytes() == array.tobytes():
            return single
    return array


def _with_arrays(value: Any, archive: zipfile.ZipFile) -> Any:
    if not isinstance(value, dict):
        return value
    if _PLACE not in value:
        return {key: _with_arrays(inner, archive) for key, inner in value.items()}
    return decode_array(archive.read(f"{value[_PLACE]}.npy")).astype(_TYPES[value["dtype"]])
