"""Reading pickles of numpy arrays in plain containers, without trusting them.

A pickle names functions to call. Here those that rebuild numpy arrays are replaced by stand-ins that accept numbers and
strings only, and every other name is refused. Numpy's own are not called with what the file says: a forged state of a
``dtype`` makes numpy take bytes of the file for addresses of objects.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError

PLAIN_KINDS = "biufcSU"  # kinds of numpy data that are accepted: booleans, numbers and strings; no objects, no records


def load_plain_pickle(blob: bytes) -> Any:
    """Unpickle numpy arrays and plain containers, and nothing else: no other object is built, no code runs.

    Raises InputError if the pickle is truncated, or names anything but the few functions that rebuild numpy arrays.
    """
    try:
        return _PlainUnpickler(io.BytesIO(blob)).load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can make the unpickler raise nearly anything
        said = str(error).strip().splitlines() or [""]
        raise InputError(f"the pickle is truncated or damaged ({type(error).__name__}: {said[0][:200]}).") from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        stand_in = _STAND_INS.get((module.replace("numpy.core", "numpy._core"), name))
        if stand_in is None:
            raise InputError(
                f"the pickle asks for {module}.{name}, which could run code, so nothing of it was loaded: "
                "only numpy arrays in plain containers are accepted; save your data as extended XYZ instead."
            )
        return _Callable(stand_in)


class _Callable:
    """A function that a pickle may call but, made anew for each load, not change for others."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


class _Dtype:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str, *_: object) -> None:
        self.dtype = np.dtype(_require(code, str))
        if self.dtype.kind not in PLAIN_KINDS:
            raise InputError(
                f"the pickle holds an array of type {code!r}: only numbers and strings are accepted; "
                "save your data as extended XYZ instead."
            )

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])  # the rest describes records, which are not accepted


class _Array(np.ndarray[Any, Any]):
    """Stands in for ``numpy.ndarray``."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran_order, data = state
        data = data.encode("latin-1") if isinstance(data, str) else data
        plain: Any = (1, shape, _require(dtype, _Dtype).dtype, bool(fortran_order), _require(data, bytes))
        super().__setstate__(plain)


def _require(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(f"found {type(value).__name__} where {kinds[0].__name__} belongs")
    return value


def _empty_array(*_: object) -> np.ndarray[Any, Any]:
    return np.empty(0).view(_Array)


def _array_from_buffer(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray[Any, Any]:
    flat = np.frombuffer(_require(data, bytes, bytearray), _require(dtype, _Dtype).dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return np.frombuffer(_require(data, bytes), _require(dtype, _Dtype).dtype)[0]


def _latin1(text: str, _: str) -> bytes:
    encoded: bytes = _require(text, str).encode("latin-1")
    return encoded


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _array_from_buffer,
    ("_codecs", "encode"): _latin1,
}
