"""Explain what graph neural networks predict about metallic glasses.

The public names are loaded when they are first used, so that importing this package costs nothing. To explain an atom,
use :func:`symgnn_explain.explain.explain`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symgnn_explain import explain
    from symgnn_explain.errors import InputError
    from symgnn_explain.explain.result.explanation import AtomExplanation
    from symgnn_explain.models.predictor import Predictor
    from symgnn_explain.structure import datasets
    from symgnn_explain.structure.glass import Glass
    from symgnn_explain.structure.io import read_glass, write_glass

    __version__: str

_HOMES = {
    "AtomExplanation": "symgnn_explain.explain.result.explanation",
    "Glass": "symgnn_explain.structure.glass",
    "InputError": "symgnn_explain.errors",
    "Predictor": "symgnn_explain.models.predictor",
    "read_glass": "symgnn_explain.structure.io",
    "write_glass": "symgnn_explain.structure.io",
}
_ROOMS = {"datasets": "symgnn_explain.structure.datasets", "explain": "symgnn_explain.explain"}

__all__ = [
    "AtomExplanation",
    "Glass",
    "InputError",
    "Predictor",
    "__version__",
    "datasets",
    "explain",
    "read_glass",
    "write_glass",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("symgnn_explain")
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
