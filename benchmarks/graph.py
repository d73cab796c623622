"""Seconds to list the neighbours of a glass within 5 Å: this toolkit and ASE, by number of atoms.

Both list the same edges, which is checked first. Run ``python benchmarks/graph.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json
from ase.neighborlist import neighbor_list

from symgnn_explain import datasets
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges

CUTOFF = 5.0


def glasses() -> dict[str, Glass]:
    """Return the sample, and larger glasses made of copies of it and cut to a number of atoms."""
    sample = datasets.sample()
    twice = Glass.from_ase(sample.to_ase().repeat((2, 2, 2)))
    return {"3 000": sample, "8 000": cube(twice, 8_000), "24 000": twice}


def cube(glass: Glass, n_atoms: int) -> Glass:
    """Cut the cube that holds about so many atoms; seams are as dense as the rest, but not relaxed."""
    edge = (n_atoms / glass.number_density) ** (1 / 3)
    scaled = np.linalg.solve(glass.cell.T, glass.positions.T).T % 1.0
    wrapped = scaled @ glass.cell
    inside = (wrapped < edge).all(axis=1)
    cut = Glass(positions=wrapped[inside], numbers=glass.numbers[inside], cell=np.eye(3) * edge, pbc=False)
    return Glass(positions=cut.positions, numbers=cut.numbers, cell=np.eye(3) * (edge + 2.0))


def seconds(work: Callable[[], Any], rounds: int) -> list[float]:
    """Time each of several runs."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    """Measure, print the table, write JSON."""
    arguments = argument_parser(__doc__).parse_args()
    print(f"{'atoms':>8} {'edges':>9} {'symgnn_explain':>15} {'ASE':>9} {'times faster':>13}")
    rows = []
    for size, glass in glasses().items():
        atoms = glass.to_ase()
        n_edges = len(neighbour_edges(glass, CUTOFF)[0])
        expected = len(neighbor_list("i", atoms, CUTOFF)) + len(glass)
        if n_edges != expected:
            raise SystemExit(f"{n_edges} edges were found where ASE finds {expected}.")
        own = seconds(lambda glass=glass: neighbour_edges(glass, CUTOFF), arguments.rounds)
        ase = seconds(lambda atoms=atoms: neighbor_list("ijD", atoms, CUTOFF), arguments.rounds)
        medians = float(np.median(own)), float(np.median(ase))
        print(f"{size:>8} {n_edges:>9} {medians[0]:>13.3f} s {medians[1]:>7.2f} s {medians[1] / medians[0]:>13.1f}")
        rows.append({"atoms": len(glass), "edges": n_edges, "symgnn_explain_s": own, "ase_s": ase})
    print(f"medians of {arguments.rounds}; {machine()}")
    write_json(arguments.json, {"machine": machine(), "cutoff": CUTOFF, "rows": rows})


if __name__ == "__main__":
    main()
