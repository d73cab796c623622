"""Seconds an epoch of GNNExplainer: PyG on the whole graph, PyG on the k-hop subgraph, and this toolkit.

All optimise a mask over the edges for the same atom of the same 3 000-atom glass with the same network, in turn in one
process: the published architecture, and then the network of displacement vectors that ships. First the masked forward
passes, and their gradients, are checked against each other under a random mask. PyG uses as many threads as PyTorch
does; this toolkit uses one. Run ``python benchmarks/explainer_speed.py``; with ``--device cuda`` on a GPU, with
``--atoms 3000`` for many side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _common import argument_parser, machine, write_json
from torch_geometric.data import Data
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.utils import k_hop_subgraph

from symgnn_explain import datasets
from symgnn_explain.explain.engine.masked_forward import MaskedForward
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.methods.gnn_explainer import GNNExplainerSettings, gnn_explainer, gnn_explainer_many
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import PRESETS, SymGNN
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch

MODEL_CONFIG = {"mode": "regression", "task_level": "node", "return_type": "raw"}
EPOCHS = 500
SEMANTICS = "zero"  # what PyG can do


def pyg_seconds(model: SymGNN, graph: Data, atom: int, epochs: int) -> float:
    """Seconds an epoch of PyG's own explainer; the plain predictions that its Explainer adds are not counted."""
    algorithm = GNNExplainer(epochs=epochs)
    explainer = Explainer(
        model, algorithm, explanation_type="model", edge_mask_type="object", model_config=MODEL_CONFIG
    )
    target = explainer.get_prediction(graph.x, graph.edge_index, edge_attr=graph.edge_attr)
    started = time.perf_counter()
    algorithm(model, graph.x, graph.edge_index, target=target, index=atom, edge_attr=graph.edge_attr)
    synchronise(graph.x.device)
    seconds = time.perf_counter() - started
    clear_masks(model)
    return seconds / epochs


def own_seconds(prediction: MaskedPrediction, epochs: int) -> float:
    """Seconds an epoch of this toolkit's explainer."""
    started = time.perf_counter()
    with one_thread():
        gnn_explainer(prediction, GNNExplainerSettings(epochs=epochs, stop_early=False), Watch())
    synchronise(prediction.full(0.0).device)
    return (time.perf_counter() - started) / epochs


def plain_seconds(model: SymGNN, graph: Data) -> float:
    """Seconds of one plain prediction of the whole graph."""
    started = time.perf_counter()
    with torch.no_grad():
        model(graph.x, graph.edge_index, graph.edge_attr)
    synchronise(graph.x.device)
    return time.perf_counter() - started


def k_hop(graph: Data, atom: int, hops: int) -> tuple[Data, int]:
    """Cut out the subgraph that PyG's users cut out to save time."""
    nodes, edge_index, mapping, edges = k_hop_subgraph(
        atom, hops, graph.edge_index, relabel_nodes=True, num_nodes=graph.num_nodes
    )
    return Data(x=graph.x[nodes], edge_index=edge_index, edge_attr=graph.edge_attr[edges]), int(mapping)


def differences(model: SymGNN, graph: Data, prediction: MaskedPrediction, atom: int) -> tuple[float, float]:
    """Compare output (eV) and gradient (relative) of the fast and the plain forward under one random mask.

    The mask is near enough to 1 that no prediction saturates: where one does, gradients are nothing but rounding.
    """
    drawn = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(0))
    mask = (1 - 0.3 * drawn).to(graph.x.device).requires_grad_()
    set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
    plain = model(graph.x, graph.edge_index, graph.edge_attr)[atom]
    (plain_gradient,) = torch.autograd.grad(plain, mask)
    clear_masks(model)
    fast = prediction(mask[prediction.forward.field.edges])
    (fast_gradient,) = torch.autograd.grad(fast, mask)
    relative = (fast_gradient - plain_gradient).norm() / plain_gradient.norm()
    return abs(float(plain.detach() - fast.detach())), float(relative)


def many_seconds(prepared: PreparedGlass, atoms: list[int], at_once: int) -> float:
    """Seconds to explain ``atoms`` with 500 epochs each, so many side by side."""
    started = time.perf_counter()
    for first in range(0, len(atoms), at_once):
        predictions = [
            prepared.masked_prediction(atom, semantics=SEMANTICS, unit="edge")
            for atom in atoms[first : first + at_once]
        ]
        gnn_explainer_many(predictions, GNNExplainerSettings(epochs=EPOCHS, stop_early=False), Watch())
    synchronise(prepared.predictor.device)
    return time.perf_counter() - started


def floor_seconds(prediction: MaskedPrediction) -> float:
    """Seconds an epoch would take were its multiplications and additions all there is, as fast as in matrix products.

    Backward passes are counted as twice the forward ones.
    """
    forward = prediction.forward
    if not isinstance(forward, MaskedForward):
        raise TypeError("the floor is that of masks over messages")
    layers, field = forward._layers, forward.field  # noqa: SLF001 - what is counted is what is inside
    depth, count = len(layers.layers), 2.0 * forward._first.weight.numel()  # noqa: SLF001
    for number, layer in enumerate(layers.layers[1:], start=1):
        reach = depth - 1 - number
        n_targets, n_edges = field.n_nodes[reach], field.n_edges[reach]
        n_next = field.n_edges[reach - 1] if reach > 0 else 0
        members, heads, width = layer.vector.shape
        products = 2 * width * heads * width * (field.n_nodes[reach + 1] + 2 * n_targets + 2 * n_next)
        count += members * (products + n_edges * heads * 8 * width)
    return 3 * count / operations_per_second(prediction.full(0.0).device)


def operations_per_second(device: torch.device, width: int = 1024) -> float:
    """Multiplications and additions a second in products of square matrices, with as many threads as PyTorch uses."""
    one, other = (torch.rand(width, width, device=device) for _ in range(2))
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        torch.mm(one, other)
        synchronise(device)
        seconds.append(time.perf_counter() - started)
    return 2 * width**3 / min(seconds)


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def compare(predictor: Predictor, atom: int, rounds: int) -> tuple[dict[str, Any], PreparedGlass]:
    """Measure one network: its figures, and the sample prepared for it."""
    model = predictor.model
    prepared = prepare(predictor, datasets.sample())
    graph = prepared.graph
    prediction = prepared.masked_prediction(atom, semantics=SEMANTICS, unit="edge")
    subgraph, index = k_hop(graph, atom, len(model.layers))
    output_difference, gradient_difference = differences(model, graph, prediction, atom)
    sides: dict[str, Callable[[], float]] = {
        "PyG, whole graph": lambda: pyg_seconds(model, graph, atom, 1),
        "PyG, k-hop subgraph": lambda: pyg_seconds(model, subgraph, index, 2),
        "symgnn_explain": lambda: own_seconds(prediction, 50),
        "plain prediction": lambda: plain_seconds(model, graph),
    }
    times: dict[str, list[float]] = {side: [] for side in sides}
    for work in sides.values():
        work()  # warm-up, not counted
    for _ in range(rounds):
        for side, work in sides.items():
            times[side].append(work())
    whole, k_hop_median, own, plain = (float(np.median(values)) for values in times.values())
    seconds_500 = own_seconds(prediction, EPOCHS) * EPOCHS
    print(f"{graph.num_nodes} atoms, {graph.num_edges} edges, of which {prediction.n_units} matter for atom {atom}")
    print(f"fast and plain forward differ by {output_difference:.1e} eV, gradients by {gradient_difference:.1e}")
    for side, values in times.items():
        median = float(np.median(values))
        print(
            f"  {side:22s} {median:9.4f} s an epoch  {median / own:8.1f} ×   ({min(values):.4f} to {max(values):.4f})"
        )
    with one_thread():
        floor = floor_seconds(prediction)
    print(f"500 epochs take {seconds_500:.2f} s, {seconds_500 / plain:.1f} plain predictions")
    print(f"their arithmetic alone would take {EPOCHS * floor:.2f} s on one core: {own / floor:.1f} times as long")
    return {
        "speedup_full": whole / own,
        "speedup_khop": k_hop_median / own,
        "max_abs_output_diff": output_difference,
        "rel_grad_diff": gradient_difference,
        "seconds_500_epochs": seconds_500,
        "floor_500_epochs": EPOCHS * floor,
        "times_floor": own / floor,
        "forward_ratio": seconds_500 / plain,
        "seconds_an_epoch": times,
    }, prepared


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__)
    parser.add_argument("--atom", type=int, default=1501)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--atoms", type=int, default=0, metavar="N", help="also explain N atoms side by side")
    parser.add_argument("--at-once", type=int, default=32)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print("The published architecture")
    published = Predictor(SymGNN(PRESETS["paper"]), device=arguments.device)
    figures, prepared = compare(published, arguments.atom, arguments.rounds)
    print("The network of displacement vectors that ships, symgnn")
    shipped, _ = compare(Predictor.load("symgnn", device=arguments.device), arguments.atom, arguments.rounds)
    figures = {"machine": machine(arguments.device), **figures, "symgnn": shipped}
    if arguments.atoms:
        atoms = np.random.default_rng(0).permutation(prepared.graph.num_nodes)[: arguments.atoms].tolist()
        seconds = many_seconds(prepared, atoms, arguments.at_once)
        figures |= {"n_atoms": len(atoms), "seconds_many": seconds, "seconds_an_atom": seconds / len(atoms)}
        print(f"{len(atoms)} atoms, {arguments.at_once} at once: {seconds:.1f} s, {seconds / len(atoms):.3f} s an atom")
    print(f"medians of {arguments.rounds}; {figures['machine']}")
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
