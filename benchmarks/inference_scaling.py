"""Microseconds an atom, memory and exactness of predictions of structures of 3 000 to a million atoms.

The time runs from the structure to the barriers in eV, with spread and domain score: neighbours, descriptors and
network. Processor seconds stand beside those of the clock, as other work on the machine changes them less. Peak memory
is that of a process which does nothing else. Run ``python benchmarks/inference_scaling.py``; a million atoms take some
two minutes and are left out with ``--largest 29``.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from _common import argument_parser, machine, write_json
from _glasses import rattled_lattice

from symgnn_explain import datasets
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.sweep import BLOCK_ATOMS
from symgnn_explain.runs.memory import reuse_large_allocations
from symgnn_explain.structure.glass import Glass

LARGEST = 100
"""Atoms along each edge of the largest lattice."""

EXACTNESS_CHUNK = 300


def seconds(predictor: Predictor, glass: Glass, chunk_atoms: int) -> tuple[float, float]:
    """Time one prediction by the clock, and by what the processor worked for it."""
    started, worked = time.perf_counter(), time.process_time()
    predictor.predict_atoms(glass, chunk_atoms=chunk_atoms)
    return time.perf_counter() - started, time.process_time() - worked


def of_a_process(n_side: int, chunk_atoms: int) -> tuple[float, float, float]:
    """Return the peak memory (GB, 10⁹ bytes) of a process that predicts a lattice, and the seconds that it takes."""
    command = [sys.executable, str(Path(__file__)), "--child", str(n_side), "--chunk-atoms", str(chunk_atoms)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this script
    kilobytes, clock, processor = answer.stdout.split()
    return int(kilobytes) * 1024 / 1e9, float(clock), float(processor)


def child(n_side: int, chunk_atoms: int) -> None:
    """Predict a lattice; print this process's peak memory (KiB) and the seconds of the prediction."""
    predictor, glass = Predictor.load(device="cpu"), rattled_lattice(n_side)
    predictor.predict(rattled_lattice(4))
    taken = seconds(predictor, glass, chunk_atoms)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, *taken)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__, rounds=3)
    parser.add_argument(
        "--chunk-atoms", type=int, default=BLOCK_ATOMS, help="atoms through which messages pass at once"
    )
    parser.add_argument("--largest", type=int, default=LARGEST, metavar="N", help="the largest lattice has N³ atoms")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, write JSON."""
    arguments = parse()
    reuse_large_allocations()
    if arguments.child is not None:
        child(arguments.child, arguments.chunk_atoms)
        return
    predictor, sample = Predictor.load(device="cpu"), datasets.sample()
    middle = Glass.from_ase(sample.to_ase().repeat((2, 2, 2)))
    figures: dict[str, object] = {}
    sizes, times = [], []

    def keep(name: str, n_atoms: int, clock: float, processor: float) -> None:
        figures[f"us_per_atom_{name}"], figures[f"cpu_us_per_atom_{name}"] = (
            clock / n_atoms * 1e6,
            processor / n_atoms * 1e6,
        )
        sizes.append(n_atoms)
        times.append(clock)
        print(f"{n_atoms:>9} atoms {clock:8.2f} s ({clock / n_atoms * 1e6:.0f} µs an atom, {processor:.2f} s of work)")

    for name, glass in (("3000", sample), ("24000", middle)):
        predictor.predict(glass)
        rounds = [seconds(predictor, glass, arguments.chunk_atoms) for _ in range(arguments.rounds)]
        keep(name, len(glass), *np.median(rounds, axis=0))
    parts = predictor.predict(sample, chunk_atoms=EXACTNESS_CHUNK)
    figures["chunk_max_diff"] = float(np.abs(parts - predictor.predict(sample)).max())
    plain = predictor.predict_graph(predictor.graph(sample)).double().numpy()
    figures["plain_max_diff"] = float(np.abs(parts - plain).max())
    if arguments.largest > 29:
        name = "1m" if arguments.largest == LARGEST else str(arguments.largest**3)
        figures[f"peak_gb_{name}"], *taken = of_a_process(arguments.largest, arguments.chunk_atoms)
        keep(name, arguments.largest**3, *taken)
    figures["exponent"] = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    figures["machine"] = machine()
    for name, value in figures.items():
        print(f"{name:24} {value:.4g}" if isinstance(value, float) else f"{name:24} {value}")
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
