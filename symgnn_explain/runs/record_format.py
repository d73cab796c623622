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

from symgnn_explain.runs.archive import Allowance, DamagedArchiveError, PlainArchive, add_member, encode_array
from symgnn_explain.runs.plain import shown

FORMAT_VERSION = 1
HEADER = "record.json"
SHORTEST_ARRAY = 16  # lists of fewer numbers stay in the header
_PLACE = "__array__"
_TYPES = {"bool": np.bool_, "int64": np.int64, "float64": np.float64}


class DamagedRecordError(DamagedArchiveError):
    """Bytes that are not a whole record."""


def pack(run: str, content: Mapping[str, Any]) -> bytes:
    """Encode nested dicts and lists of plain values.

    ``run``: which run the record belongs to. ``content``: as for JSON, which it would survive unchanged; lists of
    numbers may be arrays.
    """
    arrays: dict[str, NDArray[Any]] = {}
    header = {"record_version": FORMAT_VERSION, "run": run, "content": _without_arrays(dict(content), "", arrays)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        add_member(archive, HEADER, json.dumps(header, ensure_ascii=False).encode())
        for name, array in arrays.items():
            add_member(archive, f"{name}.npy", encode_array(array))
    return stream.getvalue()


def unpack(blob: bytes, allowance: Allowance | None = None) -> tuple[str, dict[str, Any]]:
    """Invert :func:`pack`: the run and the content, with arrays where long lists of numbers were.

    ``blob``: the record. ``allowance``: what may still be read of the archive that the record is inside of, if it is.
    Raises DamagedRecordError if these are not the bytes of a whole record.
    """
    try:
        archive = PlainArchive(blob, allowance)
        header = archive.plain(HEADER)
        version = header.get("record_version") if isinstance(header, dict) else None
        if version != FORMAT_VERSION:
            raise DamagedRecordError(f"its format is {shown(version)}, expected {FORMAT_VERSION}")
        run, content = header.get("run"), header.get("content")
        if not isinstance(run, str) or not isinstance(content, dict):
            raise DamagedRecordError("it names no run, or no content")
        return run, {key: _with_arrays(inner, archive) for key, inner in content.items()}
    except DamagedRecordError:
        raise
    except DamagedArchiveError as error:
        raise DamagedRecordError(f"not a whole record ({error})") from error


def _without_arrays(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_arrays(inner, f"{name}.{key}" if name else key, arrays) for key, inner in value.items()}
    array = _as_array(value) if isinstance(value, list | np.ndarray) and len(value) >= SHORTEST_ARRAY else None
    if array is None:
        return value.tolist() if isinstance(value, np.ndarray) else value
    name = re.sub(r"[^A-Za-z0-9_.]", "_", name)
    while name in arrays:
        name += "_"
    arrays[name] = _narrowed(array)
    return {_PLACE: name, "dtype": array.dtype.name}


def _as_array(value: list[Any] | NDArray[Any]) -> NDArray[Any] | None:
    try:
        array = np.asarray(value)
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


def _with_arrays(value: Any, archive: PlainArchive) -> Any:
    if not isinstance(value, dict):
        return value
    if _PLACE not in value:
        return {key: _with_arrays(inner, archive) for key, inner in value.items()}
    name, dtype = value[_PLACE], value.get("dtype")
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in _TYPES:
        raise DamagedArchiveError("it names an array that is none")
    return archive.array(f"{name}.npy", _TYPES[dtype])
