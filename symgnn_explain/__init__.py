"""Explain what graph neural networks predict about metallic glasses.

::

    from symgnn_explain import Predictor, datasets, prepare

    glass = datasets.sample()
    prepared = prepare(Predictor.load(), glass)
    prepared.explain(1501).plot(glass).show()

Names and packages are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symgnn_explain.runs.light_imports import lighten_imports

if TYPE_CHECKING:
    from symgnn_explain import analysis, explain, export, models, plotting, saddles, structure, training
    from symgnn_explain.errors import InputError
    from symgnn_explain.explain.api import explain_atom
    from symgnn_explain.explain.engine.prepared import prepare
    from symgnn_explain.explain.population.batch import explain_many
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
    "explain_atom": "symgnn_explain.explain.api",
    "explain_many": "symgnn_explain.explain.population.batch",
    "prepare": "symgnn_explain.explain.engine.prepared",
    "read_glass": "symgnn_explain.structure.io",
    "write_glass": "symgnn_explain.structure.io",
}
_PACKAGES = {
    "datasets": "symgnn_explain.structure.datasets",
    **{
        name: f"symgnn_explain.{name}"
        for name in ("analysis", "explain", "export", "models", "plotting", "saddles", "structure", "training")
    },
}

__all__ = [
    "AtomExplanation",
    "Glass",
    "InputError",
    "Predictor",
    "__version__",
    "analysis",
    "datasets",
    "explain",
    "explain_atom",
    "explain_many",
    "export",
    "models",
    "plotting",
    "prepare",
    "read_glass",
    "saddles",
    "structure",
    "training",
    "write_glass",
]

lighten_imports()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("symgnn_explain")
    if name in _PACKAGES:
        return import_module(_PACKAGES[name])
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
