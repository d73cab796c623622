"""A training step of a SymGNN on a CPU: compiled, and by PyTorch's own operations.

Both are measured in turn, in one process, on a glass of as many atoms as the published training glasses have: copies of
the embedded one. Run ``python benchmarks/training_speed.py --json F``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from _common import argument_parser, machine, write_json
from torch_geometric.data import Data

from symgnn_explain import datasets
from symgnn_explain.models.egat import EGATLayer
from symgnn_explain.models.symgnn import PRESETS, SymGNN
from symgnn_explain.runs.memory import reuse_large_allocations
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph

N_ATOMS = 8000
WIDE = replace(PRESETS["symgnn"], dim=16, heads=(16, 8, 4))


def repeated(n_atoms: int) -> Glass:
    """Return copies of the embedded glass along one axis, cut after so many atoms."""
    glass = datasets.sample()
    copies = -(-n_atoms // len(glass))
    shifts = np.repeat(np.arange(copies), len(glass))[:, None] * glass.cell[2]
    positions = np.tile(glass.positions, (copies, 1)) + shifts
    cell = glass.cell * np.array([1, 1, copies])[:, None]
    return Glass(positions[:n_atoms], np.tile(glass.numbers, copies)[:n_atoms], cell, name="repeated")


def seconds(model: SymGNN, graph: Data, labels: torch.Tensor, *, compiled: bool) -> tuple[float, float]:
    """Time one step: of the clock, and of processors."""
    original = EGATLayer.trains_compiled
    if not compiled:
        EGATLayer.trains_compiled = lambda *_: False  # type: ignore[method-assign]
    try:
        model.zero_grad()
        clock, processor = time.perf_counter(), time.process_time()
        predicted = model(graph.x, graph.edge_index, graph.edge_attr, model.described(graph))
        (predicted - labels).square().mean().backward()
        return time.perf_counter() - clock, time.process_time() - processor
    finally:
        EGATLayer.trains_compiled = original  # type: ignore[method-assign]


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=7)
    parser.add_argument("--atoms", type=int, default=N_ATOMS)
    arguments = parser.parse_args()
    reuse_large_allocations()
    glass = repeated(arguments.atoms)
    rows: list[dict[str, Any]] = []
    print(f"{'network':10} {'PyTorch/s':>10} {'compiled/s':>11} {'ratio':>6}")
    for name, config in {**PRESETS, "symgnn, 16 (16, 8, 4)": WIDE}.items():
        torch.manual_seed(0)
        graph = build_graph(glass, cutoff=config.cutoff, species=config.species, reach=config.reach)
        model = SymGNN(config).train()
        model.fit_inputs([graph])
        graph = model.with_description(graph)
        labels = torch.randn(len(glass))
        for compiled in (False, True):
            seconds(model, graph, labels, compiled=compiled)
        runs = [
            [seconds(model, graph, labels, compiled=compiled) for compiled in (False, True)]
            for _ in range(arguments.rounds)
        ]
        (plain, fast), (plain_processor, fast_processor) = (
            [median(run[way][kind] for run in runs) for way in range(2)] for kind in range(2)
        )
        ratio = median(run[0][0] / run[1][0] for run in runs)
        rows.append(
            {
                "network": name,
                "pytorch_s": plain,
                "compiled_s": fast,
                "ratio": ratio,
                "pytorch_processor_s": plain_processor,
                "compiled_processor_s": fast_processor,
            }
        )
        print(f"{name:22} {plain:10.2f} {fast:11.2f} {ratio:6.2f}", flush=True)
    write_json(arguments.json, {"machine": machine(), "atoms": arguments.atoms, "rows": rows})


if __name__ == "__main__":
    main()
