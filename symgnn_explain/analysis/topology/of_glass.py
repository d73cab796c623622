"""The topology of a structure: persistence pairs, the optimal 1-cycles of its rings, and what passes through an edge.

Everything is computed once a structure on its torus, and then serves every atom.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from symgnn_explain.analysis.explained.cycle_comparison import CycleComparison, compare_cycles
from symgnn_explain.analysis.explained.substructure import open_topology
from symgnn_explain.analysis.nulls.null_models import LENGTH_TOLERANCE
from symgnn_explain.analysis.topology.alpha import LARGEST_VOID
from symgnn_explain.analysis.topology.cycle_counts import CycleCounts
from symgnn_explain.analysis.topology.homology import Progress, StructureTopology, compute_topology
from symgnn_explain.analysis.topology.persistence import Persistence
from symgnn_explain.analysis.topology.store import read_topology, store_path, write_topology
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import Glass, IntArray

_KEPT_IN_MEMORY = 16
_memory: dict[tuple[str, float], StructureTopology] = {}

Boundary = Literal["periodic", "open"]
"""The whole structure on its torus, or the atoms around one atom without periodicity (the paper's)."""


def structure_topology(
    glass: Glass,
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
    *,
    largest_void: float = LARGEST_VOID,
    folder: Path | None = None,
) -> StructureTopology:
    """Compute the persistence pairs of a structure under its periodicity, and the optimal 1-cycles of its rings.

    The alpha complex lives on the torus; a few of the earliest and longest rings may run around the whole cell. Radii
    are in Å, not squared. The result is kept in memory and in the user's cache folder, by content hash.

    For each ring, an H1 pair, the optimal cycle is the one with the fewest bonds (the shortest of them) through the
    pair's birth edge in the 1-skeleton of the complex at its birth, as HomCloud's ``optimal_1_cycle``.

    Parameters
    ----------
    progress, cancel
        Called with the fraction done; asked whether to stop.
    largest_void
        The filtration is followed up to this radius (Å); classes that live longer count as essential.
    folder
        Where results are kept; the user's cache folder where None.

    Raises
    ------
    InputError
        If the structure is not periodic and its atoms lie in one plane.
    Cancelled
        If it was asked to stop; nothing is left behind.
    """
    key = (glass.content_hash, largest_void)
    if key in _memory:
        return _memory[key]
    path = store_path(folder or cycle_cache_folder(), *key)
    stored = read_topology(path, glass.content_hash)
    if stored is None:
        result = compute_topology(glass, largest_void, progress, cancel)
        write_topology(path, result.persistence, result.cycles)
    else:
        result = StructureTopology(*stored)
    while len(_memory) >= _KEPT_IN_MEMORY:
        _memory.pop(next(iter(_memory)))
    _memory[key] = result
    if progress is not None:
        progress(1.0)
    return result


def persistent_homology(
    glass: Glass,
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
    *,
    largest_void: float = LARGEST_VOID,
    folder: Path | None = None,
) -> Persistence:
    """Return the persistence pairs (H0, H1, H2) of a periodic structure; see :func:`structure_topology`."""
    return structure_topology(glass, progress, cancel, largest_void=largest_void, folder=folder).persistence


def optimal_cycles(
    glass: Glass,
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
    *,
    largest_void: float = LARGEST_VOID,
    folder: Path | None = None,
) -> CycleCounts:
    """Find the optimal 1-cycle of every ring, and count the cycles through each bond; see :func:`structure_topology`.

    Li et al. (ICML 2024) take the atoms around one atom without periodicity (:func:`~.substructure.open_topology`);
    here the whole structure is analysed once, and serves every atom.
    """
    return structure_topology(glass, progress, cancel, largest_void=largest_void, folder=folder).cycles


def cycle_comparison(
    explanation: AtomExplanation,
    glass: Glass,
    k: int = 10,
    *,
    length_tolerance: float = LENGTH_TOLERANCE,
    draws: int = 2000,
    seed: int = 0,
    boundary: Boundary = "periodic",
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> CycleComparison:
    """Compare the optimal cycles through important edges with those through others.

    The paper (Li et al., ICML 2024) finds 4.1 cycles through each of the ten most important edges and 1.1 through
    random ones. Cycle counts fall steeply with the length of an edge, so that comparison is confounded by length:
    beside it stands a null matched in hop and length. Edges are directed, as in the explanation; both directions of a
    bond may be among the top edges and then share their cycles. Self-loops are no bonds and are left out.

    Parameters
    ----------
    k
        Edges in the top, middle and bottom groups.
    length_tolerance
        Matched edges differ in length by at most this, Å.
    draws, seed
        Of the bootstrap and of the nulls.
    boundary
        ``periodic`` counts cycles in the whole structure; ``open`` in the explanation's own atoms, as the paper does.
    progress, cancel
        Of :func:`structure_topology`, which is computed where it is not known yet.

    Raises
    ------
    InputError
        If the explanation belongs to another glass or has fewer than ``3 k`` edges.
    Cancelled
        If it was asked to stop.
    """
    cycles = cycles_through_edges(explanation, glass, boundary=boundary, progress=progress, cancel=cancel)
    return compare_cycles(
        explanation, cycles, k, length_tolerance=length_tolerance, draws=draws, seed=seed, glass_name=glass.name
    )


def cycles_through_edges(
    explanation: AtomExplanation,
    glass: Glass,
    *,
    boundary: Boundary = "periodic",
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
) -> IntArray:
    """Count the optimal cycles through each edge of an explanation, shape (E,); see :func:`cycle_comparison`.

    Raises
    ------
    InputError
        If the explanation belongs to another glass.
    """
    explanation.require_glass(glass)
    edges = explanation.source, explanation.target, explanation.displacement
    if boundary == "periodic":
        return optimal_cycles(glass, progress, cancel).of_edges(glass, *edges)
    if boundary == "open":
        return open_topology(explanation, glass, progress=progress, cancel=cancel).of_edges(*edges)
    raise InputError(f"{boundary=} must be periodic or open.")


def cycle_cache_folder() -> Path:
    """Where topologies are kept between sessions."""
    import pooch

    return Path(pooch.os_cache("symgnn_explain")) / "cycles"
