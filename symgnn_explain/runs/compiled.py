"""Compilation with numba, which keeps its results on disk where that is possible."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.compiler import Compiler

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
}
_warned = False


def compiled(function: Function) -> Function:
    """Compile a function at its first call, for one CPU core; without a cache where none can be read or written.

    Warns with UserWarning once in a process, if the cache cannot be used: each process then compiles anew, which takes
    seconds.
    """
    return _compile(function, _OPTIONS)


def compiled_apart(function: Function) -> Function:
    """Do what :func:`compiled` does for a function of arrays that share no memory with each other.

    Loops that write to several arrays then become vector instructions. What is only read may be given twice.
    """
    return _compile(function, {**_OPTIONS, "pipeline_class": _Apart})


class _Apart(Compiler):
    """Tells LLVM that arguments share no memory."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.state.flags.noalias = True


def _compile(function: Function, options: dict[str, Any]) -> Function:
    try:
        dispatcher: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:  # numba finds no folder to write to, beside the module or in the user's home
        _warn(error)
        return numba.njit(**options)(function)
    cache = dispatcher._cache  # noqa: SLF001 - numba has no public way to survive a cache that fails later
    cache.load_overload = _tolerant(cache.load_overload)
    cache.save_overload = _tolerant(cache.save_overload)
    return dispatcher


def _tolerant(access: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a cache raises into a warning: a full disk, a folder that became read-only, a truncated file."""

    def tolerant(*arguments: Any) -> Any:
        try:
            return access(*arguments)
        except Exception as error:  # a damaged cache makes the unpickler raise nearly anything
            _warn(error)
            return None

    return tolerant


def _warn(error: Exception) -> None:
    global _warned  # noqa: PLW0603 - one warning a process
    if not _warned:
        _warned = True
        reason = " ".join(str(error).split()) or type(error).__name__
        warnings.warn(
            f"The cache of compiled functions cannot be used ({reason}): they are compiled anew in each process, which "
            "takes some seconds. Set NUMBA_CACHE_DIR to a folder that you may write to.",
            stacklevel=3,
        )
