"""Seconds, memory and exactness of predictions of glasses of 3 000 to a million atoms, in one piece and in chunks.

The time runs from the structure to the barriers in eV: neighbour lists, graphs and network. Peak memory is that of a
process which does nothing else. Run ``python benchmarks/inference_scaling.py``; a million atoms take some minutes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _common import argument_parser, machine, write_json
from _glasses import rattled_lattice

from symgnn_explain import datasets
from symgnn_explain.models.chunked import CHUNK_ATOMS
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.memory import reuse_large_allocations
from symgnn_explain.structure.glass import FloatArray, Glass

SIDES = (30, 40, 50)
"""Atoms along each edge of the lattices whose times give the exponent."""

EXACTNESS_CHUNK = 300


def seconds(predict: Callable[[], FloatArray]) -> float:
    """Time one prediction."""
    started = time.perf_counter()
    predict()
    return time.perf_counter() - started


def peak_gigabytes(n_side: int, chunk_atoms: int) -> tuple[float, float]:
    """Return the peak memory (GB, 10⁹ bytes) of a process that predicts a lattice, and the seconds that it takes."""
    command = [sys.executable, str(Path(__file__)), "--child", str(n_side), "--chunk-atoms", str(chunk_atoms)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this script
    kilobytes, taken = answer.stdout.split()
    return int(kilobytes) * 1024 / 1e9, float(taken)


def child(n_side: int, chunk_atoms: int) -> None:
    """Predict a lattice and print this process's peak memory (KiB) and the seconds of the prediction."""
    predictor, glass = Predictor.load(device="cpu"), rattled_lattice(n_side)
    taken = seconds(lambda: predictor.predict(glass, chunk_atoms=chunk_atoms))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, taken)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__, rounds=3)
    parser.add_argument("--chunk-atoms", type=int, default=CHUNK_ATOMS, help="atoms predicted at once")
    parser.add_argument("--largest", type=int, default=100, metavar="N", help="the largest lattice has N³ atoms")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, write JSON."""
    arguments = parse()
    reuse_large_allocations()
    if arguments.child is not None:
        child(arguments.child, arguments.chunk_atoms)
        return
    predictor = Predictor.load(device="cpu")
    sample, middle = datasets.sample(), rattled_lattice(20)

    def median(glass: Glass) -> float:
        predictor.predict(glass)
        return float(np.median([seconds(lambda: predictor.predict(glass)) for _ in range(arguments.rounds)]))

    figures: dict[str, object] = {"seconds_3000": median(sample), "seconds_8000": median(middle)}
    difference = np.abs(
        predictor.predict(sample, chunk_atoms=EXACTNESS_CHUNK) - predictor.predict(sample, chunk_atoms=len(sample))
    ).max()
    figures["chunk_max_diff"] = float(difference)
    sides = [side for side in SIDES if side < arguments.largest]
    times = []
    for side in sides:
        glass = rattled_lattice(side)
        times.append(seconds(lambda glass=glass: predictor.predict(glass, chunk_atoms=arguments.chunk_atoms)))  # type: ignore[misc]
        print(f"{side**3:>9} atoms in chunks {times[-1]:8.1f} s")
    peak, largest_seconds = peak_gigabytes(arguments.largest, arguments.chunk_atoms)
    print(f"{arguments.largest**3:>9} atoms in chunks {largest_seconds:8.1f} s, peak {peak:.2f} GB")
    sizes = np.array([*sides, arguments.largest]) ** 3.0
    figures["exponent"] = float(np.polyfit(np.log(sizes), np.log([*times, largest_seconds]), 1)[0])
    figures["peak_gb_1m" if arguments.largest == 100 else f"peak_gb_{arguments.largest**3}"] = peak
    figures |= {"seconds_largest": largest_seconds, "atoms_largest": arguments.largest**3, "machine": machine()}
    for name, value in figures.items():
        print(f"{name:18} {value:.4g}" if isinstance(value, float) else f"{name:18} {value}")
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
