"""The topology of a structure: persistence pairs and the optimal 1-cycles of its rings.

Everything is computed once a structure on its torus, and then serves every atom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symgnn_explain.analysis.topology.alpha import LARGEST_VOID, periodic_complex
from symgnn_explain.analysis.topology.cycle_counts import CycleCounts
from symgnn_explain.analysis.topology.cycles import shortest_cycles
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.analysis.topology.persistence import Persistence, persistence_of
from symgnn_explain.analysis.topology.store import read_topology, store_path, write_topology
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import Glass

Progress = Callable[[float], None]

_KEPT_IN_MEMORY = 16
_memory: dict[tuple[str, float], StructureTopology] = {}


@dataclass(frozen=True, eq=False, repr=False)
class StructureTopology(Brief):
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
    glass: Glass, progress: Progress | None = None, cancel: CancelSignal | None = None
) -> Persistence:
    """Return the persistence pairs (H0, H1, H2) of a periodic structure; see :func:`structure_topology`.

    Examples
    --------
    >>> b2 = Glass([[0, 0, 0], [1.63, 1.63, 1.63]], [29, 40], np.eye(3) * 3.26)
    >>> persistent_homology(b2).betti_numbers()  # of the torus
    (1, 3, 3, 1)
    """
    return structure_topology(glass, progress, cancel).persistence


def optimal_cycles(glass: Glass, progress: Progress | None = None, cancel: CancelSignal | None = None) -> CycleCounts:
    """Find the optimal 1-cycle of every ring, and the cycles through each bond; see :func:`structure_topology`."""
    return structure_topology(glass, progress, cancel).cycles


def compute_topology(
    glass: Glass, largest_void: float, progress: Progress | None = None, cancel: CancelSignal | None = None
) -> StructureTopology:
    """Compute what :func:`structure_topology` keeps; arguments and errors as there."""
    watch = Watch(progress, cancel)
    watch.advance(0.0)
    alpha = periodic_complex(glass, largest_void)
    watch.advance(0.3)
    persistence, birth_simplex = persistence_of(alpha, largest_void, glass.content_hash)
    watch.advance(0.5)
    rings = persistence.rows(1)
    birth_edge = simplex_rows(birth_simplex[rings, :2], alpha.edges.vertices)
    found = shortest_cycles(alpha, birth_edge, lambda fraction: watch.advance(0.5 + 0.5 * fraction))
    passed = alpha.bonds[np.concatenate([*found, np.zeros(0, dtype=np.int64)])]
    bonds, bond = np.unique(passed, axis=0, return_inverse=True)
    cycles = CycleCounts(
        first=bonds[:, 0],
        second=bonds[:, 1],
        shift=bonds[:, 2:],
        birth=persistence.birth[rings],
        death=persistence.death[rings],
        length=np.array([len(cycle) for cycle in found], dtype=np.int64),
        bond=bond.reshape(-1),
        n_atoms=alpha.n_atoms,
        glass_sha256=glass.content_hash,
    )
    return StructureTopology(persistence, cycles)


def cycle_cache_folder() -> Path:
    """Where topologies are kept between sessions."""
    import pooch

    return Path(pooch.os_cache("symgnn_explain")) / "cycles"
