"""Rings of atoms: the optimal 1-cycles of the alpha filtration, and how many of them pass through an edge."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.alpha import LARGEST_VOID, canonical_bonds, periodic_complex, ring_pairs, wrapped_positions
from symgnn_explain.analysis.comparison import CycleComparison, compare_cycles
from symgnn_explain.analysis.cycles import shortest_cycles
from symgnn_explain.analysis.nulls import LENGTH_TOLERANCE
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.explain.scores import CancelSignal
from symgnn_explain.files import write_atomically
from symgnn_explain.glass import FloatArray, Glass, IntArray

CACHE_VERSION = 2
_KEPT_IN_MEMORY = 16
_memory: dict[tuple[str, float], CycleCounts] = {}

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class CycleCounts:
    """How many optimal 1-cycles pass through each bond of a structure.

    Parameters
    ----------
    first, second, shift
        Bonds that lie on a cycle: atoms, shapes (B,), and the cell vectors that lead from the wrapped position of the
        first to the image of the second, shape (B, 3). Each undirected bond stands once.
    count
        Cycles through each bond, shape (B,).
    birth, death
        Radii (Å) of the spheres around the atoms at which each ring closes and is filled, shape (C,): the square roots
        of the filtration values.
    length
        Bonds of each cycle, shape (C,).
    glass_sha256
        The structure.
    """

    first: IntArray
    second: IntArray
    shift: IntArray
    count: IntArray
    birth: FloatArray
    death: FloatArray
    length: IntArray
    glass_sha256: str

    def __len__(self) -> int:
        return len(self.length)

    def of_edges(self, glass: Glass, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
        """Cycles through each edge ``source → target`` with ``displacement = r_source - r_target`` (Å), shape (E,).

        0 for edges that are no bond of the alpha complex, and for self-loops, which are no bonds at all.

        Raises
        ------
        InputError
            If the counts belong to another structure.
        """
        if glass.content_hash != self.glass_sha256:
            raise InputError(f"these cycle counts belong to another structure than {glass.name!r}: compute them anew.")
        wrapped = wrapped_positions(glass)
        beyond = displacement - (wrapped[source] - wrapped[target])
        shift = np.rint(np.linalg.solve(glass.cell.T, beyond.T).T).astype(np.int64)
        asked = _index(canonical_bonds(target, source, shift))
        row = _index(np.column_stack([self.first, self.second, self.shift])).get_indexer(asked)
        return np.where(row >= 0, np.append(self.count, 0)[row], 0)

    def to_frame(self) -> pd.DataFrame:
        """One row a bond: first, second, shift_a, shift_b, shift_c, cycles."""
        table = {"first": self.first, "second": self.second}
        table |= {f"shift_{axis}": self.shift[:, place] for place, axis in enumerate("abc")}
        return pd.DataFrame(table | {"cycles": self.count})

    def pairs_frame(self) -> pd.DataFrame:
        """One row a cycle: birth and death (radius, Å), bonds."""
        return pd.DataFrame({"birth": self.birth, "death": self.death, "bonds": self.length})

    def summary(self) -> dict[str, Any]:
        """Numbers of cycles and bonds, ready for JSON."""
        return {
            "n_cycles": len(self),
            "n_bonds_on_cycles": len(self.count),
            "mean_bonds_per_cycle": float(self.length.mean()) if len(self) else None,
        }


def optimal_cycles(
    glass: Glass,
    progress: Progress | None = None,
    cancel: CancelSignal | None = None,
    *,
    largest_void: float = LARGEST_VOID,
    folder: Path | None = None,
) -> CycleCounts:
    """Find the optimal 1-cycle of every ring of the alpha filtration, and count the cycles through each bond.

    For each H1 persistence pair of the periodic structure the cycle is the one with the fewest bonds (the shortest of
    them) that passes through the birth edge in the 1-skeleton of the complex at its birth, as in HomCloud's
    ``optimal_1_cycle``. The complex lives on the torus, so a few of the earliest and longest cycles may run around the
    whole cell. Li et al. (ICML 2024) take the atoms around one atom without periodicity; here the whole structure is
    analysed once, and serves every atom. The result is kept in memory and in the user's cache folder, by content hash.

    Parameters
    ----------
    progress, cancel
        Called with the fraction done; asked whether to stop.
    largest_void
        Rings that are only filled at a larger radius (Å) than this are left out.
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
    path = (folder or cycle_cache_folder()) / f"{glass.content_hash}-{largest_void:g}-v{CACHE_VERSION}.npz"
    counts = _read_cached(path, glass.content_hash)
    if counts is None:
        counts = _compute(glass, largest_void, progress, cancel)
        _write_cached(path, counts)
    while len(_memory) >= _KEPT_IN_MEMORY:
        _memory.pop(next(iter(_memory)))
    _memory[key] = counts
    if progress is not None:
        progress(1.0)
    return counts


def cycle_comparison(
    explanation: AtomExplanation,
    glass: Glass,
    k: int = 10,
    *,
    length_tolerance: float = LENGTH_TOLERANCE,
    draws: int = 2000,
    seed: int = 0,
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
    progress, cancel
        Of :func:`optimal_cycles`, which is computed where it is not known yet.

    Raises
    ------
    InputError
        If the explanation belongs to another glass or has fewer than ``3 k`` edges.
    Cancelled
        If it was asked to stop.
    """
    explanation.require_glass(glass)
    counts = optimal_cycles(glass, progress, cancel)
    cycles = counts.of_edges(glass, explanation.source, explanation.target, explanation.displacement)
    return compare_cycles(
        explanation, cycles, k, length_tolerance=length_tolerance, draws=draws, seed=seed, glass_name=glass.name
    )


def cycle_cache_folder() -> Path:
    """Where cycle counts are kept between sessions."""
    import pooch

    return Path(pooch.os_cache("symgnn_explain")) / "cycles"


def _compute(
    glass: Glass, largest_void: float, progress: Progress | None = None, cancel: CancelSignal | None = None
) -> CycleCounts:
    def step(fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"the cycles of {glass.name!r} were cancelled.")
        if progress is not None:
            progress(fraction)

    step(0.0)
    rings_of = periodic_complex(glass, largest_void)
    step(0.3)
    birth_edge, death = ring_pairs(rings_of)
    step(0.5)
    counted = rings_of.counted[birth_edge]
    birth_edge, death = birth_edge[counted], death[counted]
    cycles = shortest_cycles(rings_of, birth_edge, lambda fraction: step(0.5 + 0.5 * fraction))
    passed = rings_of.bonds[np.concatenate([*cycles, np.zeros(0, dtype=np.int64)])]
    bonds, count = np.unique(passed, axis=0, return_counts=True)
    return CycleCounts(
        first=bonds[:, 0],
        second=bonds[:, 1],
        shift=bonds[:, 2:],
        count=count,
        birth=np.sqrt(rings_of.edge_values[birth_edge]),
        death=np.sqrt(death),
        length=np.array([len(cycle) for cycle in cycles], dtype=np.int64),
        glass_sha256=glass.content_hash,
    )


def _index(bonds: IntArray) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays(list(bonds.T))


def _read_cached(path: Path, sha256: str) -> CycleCounts | None:
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            content = {field.name: stored[field.name] for field in fields(CycleCounts)}
        if str(content.pop("glass_sha256")) != sha256:
            raise ValueError("it belongs to another structure")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        warnings.warn(f"The cached cycles in {path} are damaged ({error}); they are computed anew.", stacklevel=3)
        return None
    return CycleCounts(**content, glass_sha256=sha256)


def _write_cached(path: Path, counts: CycleCounts) -> None:
    archive = io.BytesIO()
    # The stub of savez_compressed takes every keyword for its flag allow_pickle.
    np.savez_compressed(archive, **{field.name: np.asarray(getattr(counts, field.name)) for field in fields(counts)})  # type: ignore[arg-type]
    try:
        write_atomically(path, archive.getvalue())
    except OSError as error:
        warnings.warn(f"The cycles cannot be kept in {path} ({error}); they will be computed again.", stacklevel=3)
