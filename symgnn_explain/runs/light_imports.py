"""PyTorch Geometric without what only its own import asks for: it takes a quarter of the time.

``import torch_geometric`` imports PyTorch's compiler, for a function that is not called here, and over a hundred data
sets with the language models that some of them need. Both are imported when they are first used instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_PACKAGE, _DATA_SETS, _COMPILER = "torch_geometric", "torch_geometric.datasets", "torch._dynamo"


class _LightFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in (_PACKAGE, _DATA_SETS):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _WithoutCompiler(spec.loader) if fullname == _PACKAGE else LazyLoader(spec.loader)
        return spec


class _WithoutCompiler(Loader):
    """Keeps PyTorch's compiler out while a module is executed; PyTorch imports it by itself where it is asked for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        import torch

        if _COMPILER in sys.modules:
            self._loader.exec_module(module)
            return
        sys.modules[_COMPILER] = ModuleType(_COMPILER)
        try:
            self._loader.exec_module(module)
        finally:
            del sys.modules[_COMPILER]
            vars(torch).pop(_COMPILER.rpartition(".")[2], None)


def lighten_imports() -> None:
    """Let a later ``import torch_geometric`` be light; it changes nothing where that was imported already."""
    if not any(isinstance(finder, _LightFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LightFinder())
