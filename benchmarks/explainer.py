"""Seconds an epoch of GNNExplainer: PyG on the whole graph, PyG on the k-hop subgraph, and this toolkit.

All three optimise a mask over the edges for the same atom of the same glass with the same network, interleaved in one
process; the masked forward passes are checked against each other first. Run ``python benchmarks/explainer.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.utils import k_hop_subgraph

from symgnn_explain import datasets
from symgnn_explain.explain.gnn_explainer import GNNExplainerSettings, gnn_explainer
from symgnn_explain.explain.masked_forward import MaskedForward
from symgnn_explain.explain.scores import Watch
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import PRESETS, SymGNN

MODEL_CONFIG = {"mode": "regression", "task_level": "node", "return_type": "raw"}


def pyg_seconds(model: SymGNN, graph: Data, atom: int, epochs: int) -> float:
    """Seconds an epoch of PyG's own explainer."""
    explainer = Explainer(
        model,
        GNNExplainer(epochs=epochs),
        explanation_type="model",
        edge_mask_type="object",
        model_config=MODEL_CONFIG,
    )
    started = time.perf_counter()
    explainer(graph.x, graph.edge_index, edge_attr=graph.edge_attr, index=atom)
    seconds = time.perf_counter() - started
    clear_masks(model)
    return seconds / epochs


def own_seconds(forward: MaskedForward, epochs: int) -> float:
    """Seconds an epoch of this toolkit's explainer."""
    started = time.perf_counter()
    gnn_explainer(forward, GNNExplainerSettings(epochs=epochs), Watch())
    return (time.perf_counter() - started) / epochs


def k_hop(graph: Data, atom: int, hops: int) -> tuple[Data, int]:
    """Cut out the subgraph that PyG's users cut out to save time."""
    nodes, edge_index, mapping, edges = k_hop_subgraph(
        atom, hops, graph.edge_index, relabel_nodes=True, num_nodes=graph.num_nodes
    )
    return Data(x=graph.x[nodes], edge_index=edge_index, edge_attr=graph.edge_attr[edges]), int(mapping)


def check(model: SymGNN, graph: Data, forward: MaskedForward, atom: int) -> float:
    """Difference (eV) between the fast and the plain forward under one random mask."""
    mask = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(0))
    set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
    with torch.no_grad():
        plain = model(graph.x, graph.edge_index, graph.edge_attr)[atom]
        fast = forward(mask[forward.field.edges])
    clear_masks(model)
    return float((plain - fast).abs())


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--atom", type=int, default=1501)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/explainer.json"))
    arguments = parser.parse_args()
    glass = datasets.sample()
    rows = []
    torch.manual_seed(0)
    for name, predictor in {
        "shipped weights": Predictor.load(device="cpu"),
        "published architecture, untrained": Predictor(SymGNN(PRESETS["paper"]), device="cpu"),
    }.items():
        model, graph = predictor.model, predictor.graph(glass)
        forward = MaskedForward(model, graph, arguments.atom)
        difference = check(model, graph, forward, arguments.atom)
        subgraph, index = k_hop(graph, arguments.atom, len(model.layers))
        times: dict[str, list[float]] = {"PyG, whole graph": [], "PyG, k-hop subgraph": [], "symgnn_explain": []}
        own_seconds(forward, 3)
        for _ in range(arguments.rounds):
            times["PyG, whole graph"].append(pyg_seconds(model, graph, arguments.atom, 1))
            times["PyG, k-hop subgraph"].append(pyg_seconds(model, subgraph, index, 1))
            times["symgnn_explain"].append(own_seconds(forward, 20))
        medians = {side: float(np.median(values)) for side, values in times.items()}
        print(f"\n{name}: {forward.n_edges} edges matter; fast and plain forward differ by {difference:.1e} eV")
        for side, median in medians.items():
            print(f"  {side:22s} {median:8.4f} s an epoch   {median / medians['symgnn_explain']:6.1f} ×")
        rows.append({"network": name, "difference_eV": difference, "median_seconds_an_epoch": medians, "all": times})
    machine = (
        f"{platform.machine()}, {os.cpu_count()} CPUs, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    print(f"\n{machine}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
