"""Masks over pairs of the shipped network: exact, complete, fast; and how much of an explanation messages miss.

Value and gradient under random masks are compared with the plain network, evaluated by PyTorch on descriptors whose
pairs are weighted, in three structures: the sample, a sheared copy of a part of it, and a cell so small that atoms see
images of each other and of themselves.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from _common import argument_parser, machine, write_json
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

from symgnn_explain import Predictor, datasets, prepare
from symgnn_explain.explain.engine.pair_forward import PairForward, PairList
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.models.ensemble import SymGNNEnsemble
from symgnn_explain.models.environment import ANGULAR_RANGE, AtomicEnvironment
from symgnn_explain.structure.glass import Glass

ATOMS = 8


def plain(model: SymGNNEnsemble, graph: Data, weight: Tensor, edge: Tensor) -> Tensor:
    """Predict every atom with these weights on pairs (zero semantics): PyG's masks, and weighted densities."""
    set_masks(model, weight[edge], graph.edge_index, apply_sigmoid=False)
    described = model.environment.features(graph.x.double(), weighted(model.environment, graph, weight.double(), edge))
    predicted: Tensor = model(graph.x, graph.edge_index, graph.edge_attr, described.to(graph.x))
    clear_masks(model)
    return predicted


def weighted(environment: AtomicEnvironment, graph: Data, weight: Tensor, edge: Tensor) -> Tensor:
    """Sum the descriptors of every atom with weights on its neighbours, neighbour by neighbour, (N, n_raw)."""
    n_atoms, x = graph.num_nodes, graph.x.double()
    joined = graph.edge_attr.square().sum(1) > 0
    (source, target), vector = graph.edge_index[:, joined], graph.edge_attr[joined].double()
    own, distance = weight[edge[joined]], vector.norm(dim=1)
    pair, length = graph.pair_index, graph.pair_attr.double().norm(dim=1)
    of_pair = weight[: len(length)]
    if environment.near_reach > environment.cutoff:  # densities that fade out beyond the edges
        near = (of_pair * (length < environment.near_reach))[:, None] * environment.near(length)
        columns = [_total(x[pair[0]][:, :, None] * near[:, None, :], pair[1], n_atoms)]
    else:
        near = own[:, None] * environment.near(distance)
        columns = [_total(x[source][:, :, None] * near[:, None, :], target, n_atoms)]
    bent = distance < ANGULAR_RANGE
    channel = x[source[bent]][:, :, None] * (own[bent, None] * environment.angular(distance[bent]))[:, None, :]
    channel, unit, centre = channel.flatten(1), (vector / distance[:, None])[bent], target[bent]
    first, second = np.triu_indices(channel.shape[1])
    # Every two neighbours of one atom.
    one, other = torch.nonzero(centre[:, None] == centre[None], as_tuple=True)
    cosine = (unit[one] * unit[other]).sum(1)
    for legendre in (cosine, (3 * cosine**2 - 1) / 2, (5 * cosine**3 - 3 * cosine) / 2):
        products = channel[one][:, first] * channel[other][:, second] * legendre[:, None]
        columns.append(_total(products, centre[one], n_atoms))
    far = (of_pair * (length > environment.far_from))[:, None] * environment.far(length)
    columns.append(_total(x[pair[0]][:, :, None] * far[:, None, :], pair[1], n_atoms))
    return torch.cat(columns, dim=1)


def _total(values: Tensor, target: Tensor, n_atoms: int) -> Tensor:
    values = values.flatten(1)
    return values.new_zeros(n_atoms, values.shape[1]).index_add(0, target, values)


def exactness(predictor: Predictor, glass: Glass, atom: int) -> dict[str, float]:
    """Compare value and gradient under a random mask, in double precision."""
    graph = predictor.model.with_description(predictor.graph(glass))
    model = predictor.model.double()
    for name in ("x", "edge_attr", "pair_attr", "environment"):
        graph[name] = graph[name].double()
    pairs = PairList.of(graph)
    forward = PairForward(model.environment, model.symgnns, graph, pairs, atom, semantics="zero", reference=None)
    mask = torch.rand(pairs.index.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask.requires_grad_()
    known = {row: number for number, row in enumerate(_rows(pairs.index, pairs.vector))}
    edge = torch.tensor([known[row] for row in _rows(graph.edge_index, graph.edge_attr)])
    expected, found = plain(model, graph, mask, edge)[atom], forward(mask[forward.field.edges])
    of_plain, of_found = (torch.autograd.grad(value, mask)[0] for value in (expected, found))
    model.float()
    return {
        "output_diff": float((expected - found).detach().abs()),
        "rel_grad_diff": float((of_plain - of_found).abs().max() / of_plain.abs().max()),
    }


def _rows(index: Tensor, vector: Tensor) -> list[tuple[float, ...]]:
    return [tuple(row) for row in torch.cat([index.T.double(), vector.double()], dim=1).tolist()]


def structures(sample: Glass) -> dict[str, Glass]:
    """Cut a part of the sample, shear it, and cut one so small that it is narrower than the network's reach."""
    cell, place = np.eye(3) * 17.0, sample.positions - sample.positions.mean(axis=0)
    inside = (np.abs(place) < 8.2).all(axis=1)
    small = (np.abs(place) < 2.6).all(axis=1)
    shear = np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [-0.2, 0.25, 1.0]])
    return {
        "cube": Glass(place[inside], sample.numbers[inside], cell, name="cube"),
        "triclinic": Glass(place[inside] @ shear, sample.numbers[inside], cell @ shear, name="triclinic"),
        "small cell": Glass(place[small], sample.numbers[small], np.eye(3) * 7.4, name="small"),
    }


def main() -> None:
    """Measure and print."""
    arguments = argument_parser(__doc__, rounds=3).parse_args()
    predictor, sample = Predictor.load(device="cpu"), datasets.sample()
    exact = {name: exactness(predictor, glass, len(glass) // 2) for name, glass in structures(sample).items()}
    prepared = prepare(predictor, sample)
    atoms = np.argsort(np.linalg.norm(sample.positions - sample.positions.mean(axis=0), axis=1))[:ATOMS].tolist()
    prepared.explain(atoms[0], "integrated_gradients", unit="pair")  # compiles
    wall, processor, complete, beyond, missed = [], [], [], [], []
    for atom in atoms * arguments.rounds:
        started, used = time.perf_counter(), time.process_time()
        why = prepared.explain(atom, "integrated_gradients", unit="pair")
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
        complete.append(abs(why.diagnostics["completeness_error"]))
    for atom in atoms:
        why = prepared.explain(atom, "integrated_gradients", unit="pair", members=False)
        beyond.append(why.share_beyond(5.0))
        missed.append(missed_by_messages(prepared, atom))
    together = [interactions(prepared, atom) for atom in atoms]
    figures: dict[str, Any] = {
        "machine": machine(),
        "exactness": exact,
        "max_abs_output_diff": max(each["output_diff"] for each in exact.values()),
        "rel_grad_diff": max(each["rel_grad_diff"] for each in exact.values()),
        "completeness_ev": max(complete),
        "seconds_default": float(np.median(wall)),
        "cpu_seconds_default": float(np.median(processor)),
        "interactions_seconds": float(np.median([one["seconds"] for one in together])),
        "interactions_cpu_seconds": float(np.median([one["cpu_seconds"] for one in together])),
        "interactions_units": int(np.median([one["units"] for one in together])),
        "interactions_completeness_ev": max(one["completeness"] for one in together),
        "variance_of_one_body": float(np.mean([one["one_body"] for one in together])),
        "variance_of_two_bodies": float(np.mean([one["two_bodies"] for one in together])),
        "share_beyond_5": float(np.mean(beyond)),
        "share_missed_by_messages": float(np.mean(missed)),
        "atoms": len(atoms),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    write_json(arguments.json, figures)


def interactions(prepared: PreparedGlass, atom: int) -> dict[str, float]:
    """Time all coalitions of the neighbours in the first shell, in as many threads as PyTorch takes by itself."""
    started, used = time.perf_counter(), time.process_time()
    found = prepared.interactions(atom, "neighbours")
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    shares = found.body_shares()["variance"].to_numpy()
    return {
        "seconds": seconds,
        "cpu_seconds": processor,
        "units": len(found),
        "completeness": abs(found.completeness_error),
        "one_body": float(shares[0]),
        "two_bodies": float(shares[1]),
    }


def missed_by_messages(prepared: PreparedGlass, atom: int, steps: int = 20) -> float:
    """Share of absolute contributions (Integrated Gradients over pairs) that descriptors bring and not messages."""
    model = prepared.model
    forward = PairForward(
        model.environment,
        model.symgnns,
        prepared.graph,
        prepared.pairs,
        atom,
        semantics="reference",
        reference=prepared.reference,
    )
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    parts = torch.zeros(2, forward.n_edges)
    for node, weight in zip(nodes, weights, strict=True):
        masks = [torch.full((forward.n_edges,), (node + 1) / 2, requires_grad=True) for _ in range(2)]
        gradient = torch.autograd.grad(forward.parted(*masks), masks)
        parts += float(weight) / 2 * torch.stack(gradient)
    messages, descriptors = parts.abs().sum(1).tolist()
    return float(descriptors / (messages + descriptors))


if __name__ == "__main__":
    main()
