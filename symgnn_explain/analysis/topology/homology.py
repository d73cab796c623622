"""From a structure to its persistence pairs and the optimal 1-cycles of its rings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgnn_explain.analysis.topology.alpha import periodic_complex
from symgnn_explain.analysis.topology.cycle_counts import CycleCounts, count_cycles
from symgnn_explain.analysis.topology.cycles import shortest_cycles
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.analysis.topology.persistence import Persistence, describe_pairs, persistence_pairs
from symgnn_explain.errors import Cancelled
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import Glass

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class StructureTopology:
    """Persistence pairs of a structure, and the optimal 1-cycle of each of its rings.

    Parameters
    ----------
    persistence
        Classes of H0, H1 and H2.
    cycles
        One optimal cycle for each H1 pair, in the same order as ``persistence.rows(1)``.
    """

    persistence: Persistence
    cycles: CycleCounts

    def summary(self) -> dict[str, Any]:
        """Both summaries, ready for JSON."""
        return {"persistence": self.persistence.summary(), "cycles": self.cycles.summary()}


def compute_topology(
    glass: Glass,
    largest_void: float,
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> StructureTopology:
    """Compute what :func:`~.topology.structure_topology` keeps; arguments and errors as there."""

    def step(fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"the topology of {glass.name!r} was cancelled.")
        if progress is not None:
            progress(fraction)

    step(0.0)
    alpha = periodic_complex(glass, largest_void)
    step(0.3)
    pairs = persistence_pairs(alpha)
    step(0.5)
    rings = pairs.rings()
    birth_edge = simplex_rows(pairs.birth_simplex[rings, :2], alpha.edges)

    counts = count_cycles(
        alpha,
        shortest_cycles(alpha, birth_edge, lambda fraction: step(0.5 + 0.5 * fraction)),
        birth=np.sqrt(pairs.birth[rings]),
        death=np.sqrt(pairs.death[rings]),
        glass_sha256=glass.content_hash,
    )
    return StructureTopology(describe_pairs(alpha, pairs, largest_void, glass.content_hash), counts)
