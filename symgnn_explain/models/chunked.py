"""Prediction of large glasses in bounded memory: chunk by chunk, each with all that its predictions depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.graph import build_graph

CHUNK_ATOMS = 10_000
"""Atoms that are predicted at once; what they depend on comes on top: four times as many for four hops of 5 Å."""


@torch.no_grad()
def predict_in_chunks(
    network: Callable[[Data], Tensor],
    glass: Glass,
    *,
    cutoff: float,
    species: Sequence[str],
    depth: int,
    reach: float = 0.0,
    chunk_atoms: int = CHUNK_ATOMS,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> FloatArray:
    """Predict every atom as the network would in one piece, to rounding; time and results are linear in N.

    The glass is split into blocks of at most about ``chunk_atoms`` atoms. The neighbour list of each is built anew, and
    followed from the block's atoms for ``depth`` hops; periodic images are atoms of their own there.

    Parameters
    ----------
    network
        Takes a graph and gives one row an atom; in evaluation mode. What it says of an atom must depend on nothing that
        is more than ``depth`` hops away, or ``depth`` - 1 hops and then ``reach``.
    glass
        Any cell, periodic or not.
    cutoff, species, reach
        As for :func:`~symgnn_explain.structure.graph.build_graph`.
    depth
        Rounds of message passing.
    chunk_atoms
        Atoms a block; memory grows with it, and the overhead of shared surroundings falls.
    device
        Where the network is.
    progress
        Called with the fraction done.

    Returns
    -------
    numpy.ndarray
        Predictions in the order of the glass, shape (N,) or (N, …).

    Raises
    ------
    InputError
        If a number is not positive, or as :func:`~symgnn_explain.structure.graph.build_graph` does.
    """
    if depth < 1 or chunk_atoms < 1:
        raise InputError(f"{depth=} and {chunk_atoms=} must be at least 1.")
    if len(glass) <= chunk_atoms:
        whole = build_graph(glass, cutoff=cutoff, species=species, reach=reach).to(device)
        return np.asarray(network(whole).double().cpu().numpy())
    predicted: FloatArray = np.empty(0)
    done = 0
    margin = (depth - 1) * cutoff + max(cutoff, reach)
    for atoms, surroundings, n_core in _chunks(glass, reach=margin, chunk_atoms=chunk_atoms):
        graph = build_graph(surroundings, cutoff=cutoff, species=species, reach=reach)
        field, _ = receptive_field(graph, torch.arange(n_core), depth)
        values = network(field.to(device))[:n_core].double().cpu().numpy()
        if done == 0:
            predicted = np.empty((len(glass), *values.shape[1:]))
        predicted[atoms] = values
        done += n_core
        if progress is not None:
            progress(done / len(glass))
    return predicted


def receptive_field(graph: Data, core: Tensor, depth: int) -> tuple[Data, Tensor]:
    """Return the part of a graph that ``depth`` rounds of message passing towards the atoms ``core`` read.

    It keeps the edges and pairs into atoms fewer than ``depth`` hops away.

    Returns
    -------
    part, atoms
        The part, and which atoms of the graph are in it, shape (n,), in the order that they had.
    """
    source, target = graph.edge_index
    inner = torch.zeros(graph.num_nodes, dtype=torch.bool, device=source.device)
    inner[core] = True
    for _ in range(depth - 1):
        inner[source[inner[target]]] = True
    lists = [name.removesuffix("_index") for name in ("edge_index", "pair_index") if name in graph]
    kept = {name: inner[graph[f"{name}_index"][1]] for name in lists}
    reached = inner.clone()
    for name in lists:
        reached[graph[f"{name}_index"][0, kept[name]]] = True
    number = reached.cumsum(0) - 1
    part = Data(x=graph.x[reached])
    for name in lists:
        part[f"{name}_index"] = number[graph[f"{name}_index"][:, kept[name]]]
        part[f"{name}_attr"] = graph[f"{name}_attr"][kept[name]]
    return part, torch.nonzero(reached).squeeze(1)


def _chunks(glass: Glass, *, reach: float, chunk_atoms: int) -> Iterator[tuple[IntArray, Glass, int]]:
    """Give the atoms of each block, and a cluster of them, in front, with every image within ``reach`` of the block."""
    scaled = glass.fractional()
    scaled = np.where(glass.pbc, scaled - np.floor(scaled), scaled)
    low = np.where(glass.pbc, 0.0, scaled.min(axis=0))
    extent = np.where(glass.pbc, 1.0, np.maximum(np.ptp(scaled, axis=0), 1e-9))
    sides = extent * glass.heights()
    counts = _block_counts(sides, len(glass) / chunk_atoms)
    # Positions in units of the blocks: block b holds [b, b + 1).
    place = (scaled - low) / extent * counts
    block = np.minimum(place.astype(np.int64), counts - 1)
    flat = np.ravel_multi_index(tuple(block.T), tuple(counts))
    order = np.argsort(flat, kind="stable")
    ends = np.cumsum(np.bincount(flat, minlength=int(counts.prod())))
    margin = reach / sides * counts

    for number, corner in enumerate(np.ndindex(*counts)):
        core = _members(order, ends, number)
        if not core.size:
            continue
        lowest, highest = np.array(corner) - margin, np.array(corner) + 1 + margin
        atoms, images = [core], [np.zeros((len(core), 3))]
        for there in product(*(_along(lowest[k], highest[k], int(counts[k]), bool(glass.pbc[k])) for k in range(3))):
            wrapped, image = np.mod(there, counts), np.floor_divide(there, counts)
            if (np.array(there) == corner).all():
                continue
            members = _members(order, ends, int(np.ravel_multi_index(tuple(wrapped), tuple(counts))))
            seen = place[members] + image * counts
            near = ((seen >= lowest) & (seen <= highest)).all(axis=1)
            atoms.append(members[near])
            images.append(np.broadcast_to(image, (int(near.sum()), 3)))
        all_atoms, all_images = np.concatenate(atoms), np.concatenate(images)
        cluster = Glass(
            positions=(scaled[all_atoms] + all_images) @ glass.cell,
            numbers=glass.numbers[all_atoms],
            cell=glass.cell,
            pbc=np.zeros(3, dtype=bool),
            name=glass.name,
        )
        yield core, cluster, len(core)


def _block_counts(sides: FloatArray, wanted: float) -> IntArray:
    """How many blocks along each side make at least ``wanted`` of them, as cubic as can be."""
    edge = (sides.prod() / max(wanted, 1.0)) ** (1 / 3)
    return np.maximum(1, np.ceil(sides / edge - 1e-6)).astype(np.int64)


def _members(order: IntArray, ends: IntArray, number: int) -> IntArray:
    return order[(ends[number - 1] if number else 0) : ends[number]]


def _along(lowest: float, highest: float, count: int, periodic: bool) -> range:
    """Blocks that an interval meets along one axis, images of the cell included where it repeats."""
    first, last = int(np.floor(lowest)), int(np.floor(highest))
    return range(first, last + 1) if periodic else range(max(first, 0), min(last, count - 1) + 1)
