"""What is known about the structure itself: computed when first asked for, and shared by all panels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from symgnn_explain.analysis import (
    BondNetwork,
    LocalOrder,
    StructureTopology,
    VoronoiCells,
    bond_network,
    local_order_analysis,
    structure_topology,
    voronoi_cells,
)
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import Glass

Found = TypeVar("Found")


class StructureAnalyses:
    """Analyses of one glass; may be asked from several threads, and computes each once."""

    def __init__(self, glass: Glass) -> None:
        self.glass = glass
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()

    def cells(self) -> VoronoiCells:
        """Return the Voronoi cells of all atoms."""
        return self._once("cells", lambda: voronoi_cells(self.glass))

    def local_order(self) -> LocalOrder:
        """Return the local order of all atoms."""
        return self._once("local order", lambda: local_order_analysis(self.glass))

    def network(self, progress: Callable[[float], None], cancel: CancelSignal) -> BondNetwork:
        """Return the bond network and its rings."""
        return self._once("network", lambda: bond_network(self.glass, progress=progress, cancel=cancel))

    def topology(self, progress: Callable[[float], None], cancel: CancelSignal) -> StructureTopology:
        """Return persistence pairs and optimal cycles."""
        return self._once("topology", lambda: structure_topology(self.glass, progress, cancel))

    def _once(self, name: str, compute: Callable[[], Found]) -> Found:
        with self._lock:
            if name not in self._known:
                self._known[name] = compute()
            found: Found = self._known[name]
            return found
