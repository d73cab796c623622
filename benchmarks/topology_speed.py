"""Persistence of a whole periodic glass and the optimal 1-cycle of every ring: this toolkit against HomCloud.

Both take the same 3 000 atoms under periodic boundaries, in one process. HomCloud has a licence (GPL) that keeps it out
of the toolkit; ``pip install -e '.[oracles]'`` brings it. Run ``python benchmarks/topology_speed.py --json FILE``, with
OMP_NUM_THREADS=1 for figures of one core; it takes about two minutes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json
from scipy.spatial import cKDTree

from symgnn_explain import datasets
from symgnn_explain.analysis.topology.alpha import LARGEST_VOID, wrapped_positions
from symgnn_explain.analysis.topology.of_glass import StructureTopology, compute_topology
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges

SAME = 1e-6
"""Births and deaths (Å) that differ by at most this are the same."""


def rattled_lattice(n_side: int) -> Glass:
    """Return a small stand-in for the sample, to see whether this script runs."""
    spacing = 0.063 ** (-1 / 3)
    lattice = np.stack(np.meshgrid(*[np.arange(n_side)] * 3), axis=-1).reshape(-1, 3) * spacing
    positions = lattice + np.random.default_rng(0).uniform(-0.4, 0.4, lattice.shape)
    return Glass(positions, np.full(len(positions), 29), np.eye(3) * n_side * spacing, name="rattled lattice")


def ours(glass: Glass, rounds: int) -> tuple[StructureTopology, float]:
    """Compute everything from the positions, without the cache; median seconds."""
    compute_topology(rattled_lattice(5), LARGEST_VOID)  # imports what is imported when it is needed
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        result = compute_topology(glass, LARGEST_VOID)
        taken.append(time.perf_counter() - started)
    return result, float(np.median(taken))


def homclouds(glass: Glass) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Births and deaths (Å) of HomCloud's rings, edges of their optimal cycles, seconds; None where it is missing."""
    try:
        import homcloud.interface as homcloud
    except ImportError:
        return None
    positions = wrapped_positions(glass)
    sides = [(0.0, float(glass.cell[axis, axis])) for axis in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        diagrams = homcloud.PDList.from_alpha_filtration(
            positions, periodicity=sides, save_to=str(Path(folder) / "pairs.pdgm"), save_boundary_map=True
        )
        pairs = diagrams.dth_diagram(1).pairs()
        cycles = []
        for done, pair in enumerate(pairs):
            cycles.append(pair.optimal_1_cycle())
            if done % 2000 == 0:
                print(f"HomCloud: {done} of {len(pairs)} cycles, {time.perf_counter() - started:.0f} s", flush=True)
        seconds = time.perf_counter() - started
        diagram = np.sqrt([[pair.birth_time(), pair.death_time()] for pair in pairs])
        lengths = np.array([len(cycle.path()) for cycle in cycles])
        diagrams.close()
    return diagram, lengths, seconds


def agreement(result: StructureTopology, diagram: np.ndarray, lengths: np.ndarray) -> dict[str, float]:
    """Shares of rings that both have, and of cycles with as many edges, of the larger number of rings."""
    mine = result.persistence.diagram(1)
    distance, row = cKDTree(mine).query(diagram, p=np.inf)
    same = np.flatnonzero(distance <= SAME)
    row, first = np.unique(row[same], return_index=True)
    n_rings = max(len(mine), len(diagram))
    same_length = result.cycles.length[row] == lengths[same[first]]
    return {"same_pairs": len(row) / n_rings, "same_cycle_length": float(same_length.sum()) / n_rings}


def cycles_by_length(glass: Glass, result: StructureTopology) -> list[dict[str, float]]:
    """Cycles through an edge, by its length: why important edges are compared with others as long."""
    source, target, displacement = neighbour_edges(glass, 5.0)
    bonds = np.flatnonzero(source != target)
    cycles = result.cycles.of_edges(glass, source[bonds], target[bonds], displacement[bonds])
    length = np.linalg.norm(displacement[bonds], axis=1)
    rows = []
    for low in np.arange(2.0, 5.0, 0.5).tolist():
        inside = (length >= low) & (length < low + 0.5)
        if inside.any():
            rows.append({"from": low, "to": low + 0.5, "edges": int(inside.sum()), "cycles": cycles[inside].mean()})
    return rows


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=3)
    parser.add_argument("--side", type=int, help="atoms along each side of a small lattice instead of the sample")
    arguments = parser.parse_args()
    glass = rattled_lattice(arguments.side) if arguments.side else datasets.sample()
    result, seconds = ours(glass, arguments.rounds)
    figures: dict[str, Any] = {
        "machine": machine(),
        "glass": glass.name,
        "atoms": len(glass),
        "rings": len(result.cycles),
        "betti_numbers": list(result.persistence.betti_numbers()),
        "seconds_ours": seconds,
        "by_length": cycles_by_length(glass, result),
    }
    print(f"{len(glass)} atoms, {len(result.cycles)} rings, Betti numbers {figures['betti_numbers']}")
    print("length (Å)     edges   cycles an edge")
    for row in figures["by_length"]:
        print(f"{row['from']:.1f}–{row['to']:.1f}     {row['edges']:7d}   {row['cycles']:.2f}")
    theirs = homclouds(glass)
    if theirs is None:
        print(f"symgnn_explain {seconds:.2f} s; HomCloud is not installed: pip install -e '.[oracles]'")
    else:
        diagram, lengths, their_seconds = theirs
        figures |= {"seconds_homcloud": their_seconds, "speedup": their_seconds / seconds}
        figures |= agreement(result, diagram, lengths)
        print(f"symgnn_explain {seconds:.2f} s (median of {arguments.rounds}), HomCloud {their_seconds:.1f} s")
        print(f"{figures['speedup']:.1f} times faster; the same: {figures['same_pairs']:.4%} of pairs, ", end="")
        print(f"{figures['same_cycle_length']:.4%} of cycle lengths")
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
