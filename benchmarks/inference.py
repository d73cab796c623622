"""Seconds to predict all barriers of a glass: the shipped predictor, and the presets by number of transformations.

The time runs from the structure to the barriers in eV: neighbour list, graph and network. Run
``python benchmarks/inference.py``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json
from _glasses import rattled_lattice

from symgnn_explain import datasets
from symgnn_explain.models.predictor import Predictor, resolve_device
from symgnn_explain.models.symgnn import PRESETS, SymGNN
from symgnn_explain.runs.memory import reuse_large_allocations
from symgnn_explain.structure.glass import Glass

SAMPLES = (1, 4, 16, 64)


def glasses() -> dict[str, Glass]:
    """Return the sample, and a stand-in for the published training glasses: a rattled lattice of their size."""
    return {"3 000": datasets.sample(), "8 000": rattled_lattice(20)}


def median_seconds(predictor: Predictor, glass: Glass, rounds: int) -> float:
    """Time several predictions after one that does not count."""
    predictor.predict(glass)
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        predictor.predict(glass)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    reuse_large_allocations()
    rows: list[dict[str, Any]] = []
    shipped = Predictor.load(device=arguments.device)
    for size, glass in glasses().items():
        seconds = median_seconds(shipped, glass, arguments.rounds)
        print(f"{'shipped':8} {size:>8}{seconds:>10.2f} s")
        rows.append({"network": "shipped", "atoms": len(glass), "seconds": seconds})
    print(f"{'network':8} {'atoms':>8}" + "".join(f"{samples:>10} T" for samples in SAMPLES))
    for name in ("symgnn", "paper"):
        for size, glass in glasses().items():
            times = {}
            for samples in SAMPLES:
                # Time does not depend on the weights.
                model = SymGNN(replace(PRESETS[name], inference_samples=samples))
                times[samples] = median_seconds(Predictor(model, device=arguments.device), glass, arguments.rounds)
            print(f"{name:8} {size:>8}" + "".join(f"{seconds:>10.2f} s" for seconds in times.values()))
            rows.append({"network": name, "atoms": len(glass), "seconds_by_transformations": times})
    device = resolve_device(arguments.device)
    print(f"medians of {arguments.rounds} on {device}; {machine(device)}")
    write_json(arguments.json, {"machine": machine(device), "device": str(device), "rows": rows})


if __name__ == "__main__":
    main()
