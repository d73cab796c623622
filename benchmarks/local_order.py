"""Time the analysis of local order and networks: what a structure costs once, and what one explained atom costs.

Usage: python benchmarks/local_order.py [--atoms 3000] [--rounds 5] [--json FILE]

The structure is the embedded sample, cut or repeated to about the number of atoms asked for; the explanation is a
four-hop receptive field with random scores, which costs what any explanation does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json

from symgnn_explain import datasets
from symgnn_explain.analysis import bond_network, local_order_analysis, motif_analysis, network_analysis
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges
from symgnn_explain.structure.radial import radial_distribution

LAYERS = 4


def structure(n_atoms: int) -> Glass:
    """Double the sample glass along its axes as often as needed, then cut it to a box of about ``n_atoms``."""
    glass = datasets.sample()
    numbers, positions, cell = glass.numbers, glass.positions, glass.cell.copy()
    for axis in range(3):
        if len(numbers) < n_atoms:
            positions = np.concatenate([positions, positions + cell[axis]])
            numbers, cell[axis] = np.tile(numbers, 2), 2 * cell[axis]
    share = (n_atoms / len(numbers)) ** (1 / 3)
    if share >= 1:
        return Glass(positions, numbers, cell, name=f"{len(numbers)} atoms")
    fractional = np.linalg.solve(cell.T, positions.T).T % 1
    inside = (fractional < share).all(axis=1)
    # A gap keeps the cut faces from pushing atoms into each other.
    return Glass(positions[inside], numbers[inside], cell * share + np.diag([2.0] * 3), name=f"{inside.sum()} atoms")


def random_explanation(glass: Glass, atom: int) -> AtomExplanation:
    """Explain an atom by random scores on its receptive field."""
    source, target, displacement = neighbour_edges(glass, 5.0)
    hop = np.full(len(glass), LAYERS)
    hop[atom] = 0
    for level in range(LAYERS - 1):
        hop[source[(hop[target] == level) & (hop[source] == LAYERS)]] = level + 1
    kept = hop[target] < LAYERS
    return AtomExplanation(
        atom=atom,
        method="random",
        source=source[kept],
        target=target[kept],
        displacement=displacement[kept],
        hop=hop[target][kept],
        score=np.random.default_rng(0).random(int(kept.sum())),
        signed=False,
        prediction=1.5,
        prediction_range=(1.0, 2.0),
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
    )


def seconds(job: Callable[[], object], rounds: int) -> float:
    """Median time of a job."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return median(times)


def main() -> None:
    """Time everything and print a table."""
    parser = argument_parser(__doc__ or "")
    parser.add_argument("--atoms", type=int, default=3000, help="size of the structure")
    arguments = parser.parse_args()
    glass = structure(arguments.atoms)
    explanation = random_explanation(glass, len(glass) // 2)
    order, network, rdf = local_order_analysis(glass), bond_network(glass), radial_distribution(glass)
    jobs: dict[str, Callable[[], object]] = {
        "local order of the structure": lambda: local_order_analysis(glass),
        "bond network and rings of the structure": lambda: bond_network(glass),
        "motifs of one explained atom": lambda: motif_analysis(explanation, glass, order, rdf=rdf),
        "network of one explained atom": lambda: network_analysis(explanation, glass, network),
    }
    figures: dict[str, Any] = {name: seconds(job, arguments.rounds) for name, job in jobs.items()}
    print(f"{len(glass)} atoms, {len(explanation)} edges; {machine()}")
    for name, value in figures.items():
        print(f"{name:42s} {value:7.2f} s")
    write_json(arguments.json, {"n_atoms": len(glass), "machine": machine(), "seconds": figures})


if __name__ == "__main__":
    main()
