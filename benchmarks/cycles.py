"""Time of the cycle analysis, and cycles through edges of each length: ``python benchmarks/cycles.py``."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from symgnn_explain import datasets
from symgnn_explain.analysis import optimal_cycles
from symgnn_explain.graph import neighbour_edges


def main() -> None:
    """Print a table and, as the last line, the same as JSON."""
    glass = datasets.sample()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        counts = optimal_cycles(glass, folder=Path(folder))
        first = time.perf_counter() - started
        started = time.perf_counter()
        optimal_cycles(glass, folder=Path(folder))
        again = time.perf_counter() - started
    source, target, displacement = neighbour_edges(glass, 5.0)
    bonds = np.flatnonzero(source != target)
    cycles = counts.of_edges(glass, source[bonds], target[bonds], displacement[bonds])
    length = np.linalg.norm(displacement[bonds], axis=1)
    print(f"{len(glass)} atoms, {len(counts)} cycles: first time {first:.2f} s, again {again:.4f} s")
    print("length (Å)   edges   cycles an edge")
    table = []
    for low in np.arange(2.0, 5.0, 0.5):
        inside = (length >= low) & (length < low + 0.5)
        table.append({"from": low, "to": low + 0.5, "edges": int(inside.sum()), "cycles": float(cycles[inside].mean())})
        print(f"{low:.1f}–{low + 0.5:.1f}   {inside.sum():8d}   {cycles[inside].mean():.2f}")
    print(json.dumps({"first_s": first, "again_s": again, "cycles": len(counts), "by_length": table}))


if __name__ == "__main__":
    main()
