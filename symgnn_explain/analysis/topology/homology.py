"""From a structure to its persistence pairs and the optimal 1-cycles of its rings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from symgnn_explain.analysis.topology.alpha import periodic_complex
from symgnn_explain.analysis.topology.cycle_counts import CycleCounts, CycleKind, count_cycles
from symgnn_explain.analysis.topology.cycles import shortest_cycles
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.analysis.topology.persistence import Persistence, describe_pairs, persistence_pairs
from symgnn_explain.analysis.topology.volumes import volume_optimal_cycles
from symgnn_explain.errors import Cancelled, InputError
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
    kind: CycleKind,
    largest_void: float,
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> StructureTopology:
    """Compute what :func:`~.topology.structure_topology` keeps; arguments and errors as there."""
    if kind not in get_args(CycleKind):
        raise InputError(f"{kind=} must be one of {', '.join(get_args(CycleKind))}.")

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

    def advance(fraction: float) -> None:
        step(0.5 + 0.5 * fraction)

    if kind == "shortest":
        cycles = shortest_cycles(alpha, birth_edge, advance)
    else:
        death_triangle = simplex_rows(pairs.death_simplex[rings, :3], alpha.triangles)
        cycles = [volume.rim for volume in volume_optimal_cycles(alpha, birth_edge, death_triangle, advance)]
    counts = count_cycles(
        alpha,
        cycles,
        birth=np.sqrt(pairs.birth[rings]),
        death=np.sqrt(pairs.death[rings]),
        kind=kind,
        glass_sha256=glass.content_hash,
    )
    return StructureTopology(describe_pairs(alpha, pairs, largest_void, glass.content_hash), counts)
