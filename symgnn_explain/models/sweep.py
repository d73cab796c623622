"""Prediction of every atom of a structure of any size, at the same cost an atom and in bounded memory.

One sweep describes the surroundings of each atom, once; a second passes messages, block by block, each with the
features of the atoms around it that it depends on. Within a sweep small batches of atoms stay in the processor's cache.
The members of an ensemble share everything but their weights. It computes what the plain network does, in the same
precision or better; the tests compare the two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise, starmap
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.models.ensemble import SymGNNLike, members_of
from symgnn_explain.models.environment import bonds_of, sorted_by_target
from symgnn_explain.models.folded import FoldedNodeEncoder
from symgnn_explain.models.messages import BATCH_ATOMS, Field, Layers, WorkThrough, batches_of, rows_into
from symgnn_explain.runs.threads import side_by_side
from symgnn_explain.structure.bins import Bins, Edges
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.graph import kinds_of, require_listable

BLOCK_ATOMS = 60_000
"""Atoms through which messages pass at once: ten kilobytes each for an ensemble of five."""


ASKED = 3000
"""Atoms that say whether a glass is at rest."""


class Sweep(NamedTuple):
    """What a network says of every atom.

    Parameters
    ----------
    members
        Prediction of each member of an ensemble (or of the one network), shape (N, M).
    length
        :func:`~symgnn_explain.models.domain.neighbourhood_length`, shape (N,); None where surroundings are not
        described.
    received
        What atoms receive on average in each layer of each member, shape (heads, dim).
    """

    members: FloatArray
    length: FloatArray | None
    received: list[list[Tensor]]


@torch.no_grad()
def sweep(
    model: SymGNNLike,
    glass: Glass,
    *,
    block_atoms: int = BLOCK_ATOMS,
    progress: Callable[[float], None] | None = None,
) -> Sweep:
    """Predict every atom with a SymGNN, or an ensemble, in evaluation mode.

    Parameters
    ----------
    model
        The network.
    glass
        Any cell, periodic or not, also one smaller than the cut-off.
    block_atoms
        Atoms through which messages pass at once. Memory grows with it; results differ by rounding at most.
    progress
        Called with the fraction done, from the calling thread; what it raises stops the sweep.

    Raises
    ------
    InputError
        As :func:`~symgnn_explain.structure.graph.build_graph` does.
    """
    return sweep_in_blocks(model, glass, block_atoms, progress)[0]


@torch.no_grad()
def sweep_in_blocks(
    model: SymGNNLike, glass: Glass, block_atoms: int = BLOCK_ATOMS, progress: Callable[[float], None] | None = None
) -> tuple[Sweep, Start, IntArray]:
    """Do what :func:`sweep` does; return also what atoms knew before the first message, and in which order they were.

    The order has shape (N,): the atom of the glass that each node is.
    """
    if block_atoms < 1:
        raise InputError(f"{block_atoms=} must be at least 1.")
    kinds = kinds_of(glass, model.species)
    order, ends = blocks_of(glass, block_atoms)
    report = progress or (lambda _: None)
    ordered = Glass(glass.positions[order], glass.numbers[order], glass.cell, glass.pbc, name=glass.name)
    bins = bins_for(model, ordered)
    with side_by_side() as work_through:
        every = np.arange(len(glass))
        start = describe(model, bins, kinds[order], work_through, every, report=lambda done: report(done / 2))
        found = _pass_messages(model, start, ends, work_through, lambda done: report(0.5 + done / 2))
    back = np.argsort(order)
    length = None if found.length is None else found.length[back]
    return found._replace(members=found.members[back], length=length), start, order


def bins_for(model: SymGNNLike, glass: Glass) -> Bins:
    """Sort a glass for neighbours as far as a network sees before any message; raises InputError as a graph does."""
    reach = max(model.config.cutoff, model.config.reach)
    require_listable(glass, reach)
    return Bins.of(glass, reach)


@torch.no_grad()
def sweep_first(
    model: SymGNNLike, glass: Glass, n_core: int, n_around: int, progress: Callable[[float], None] | None = None
) -> Sweep:
    """Predict the first ``n_core`` atoms of a glass, with messages from no others than the first ``n_around``.

    The rest are atoms that those see before any message; see :func:`~symgnn_explain.models.blocks.surroundings`.
    """
    bins, kinds, report = bins_for(model, glass), kinds_of(glass, model.species), progress or (lambda _: None)
    with side_by_side() as work_through:
        around = np.arange(n_around)
        start = describe(model, bins, kinds, work_through, around, report=lambda done: report(done / 2))
        found = _pass_messages(model, start, np.array([0, n_core]), work_through, lambda _: None)
    length = None if found.length is None else found.length[:n_core]
    return found._replace(members=found.members[:n_core], length=length)


@torch.no_grad()
def sweep_graph(model: SymGNNLike, graph: Data) -> Sweep:
    """Predict every atom of a graph that is there already, on the device where it is."""
    n_atoms = graph.num_nodes
    edges = Edges(*sorted_by_target(graph.edge_index, graph.edge_attr, n_atoms))
    described = model.described(graph)
    node = model.label_scale.new_empty(len(members_of(model)), n_atoms, members_of(model)[0].config.dim)

    encoded = _encoder(model)

    def encode(batch: slice) -> None:
        node[:, batch] = encoded(described[batch])

    with side_by_side() as work_through:
        deque(work_through(encode, batches_of(n_atoms, node.device)), maxlen=0)
        length = None
        if model.observes:
            length = model.environment.length(model.observed(graph), bonds_of(graph))
        return _pass_messages(model, Start(node, edges, length), np.array([0, n_atoms]), work_through, lambda _: None)


def _pass_messages(
    model: SymGNNLike, start: Start, ends: IntArray, work_through: WorkThrough, report: Callable[[float], None]
) -> Sweep:
    n_atoms = len(start.edges.first) - 1
    layers = Layers.of(model)
    values = np.empty((n_atoms, len(layers.members)))
    length = None if start.length is None else np.empty(n_atoms)
    received = layers.nothing_received()
    for core in starmap(slice, pairwise(ends.tolist())):
        values[core] = layers.predict(start.node, Field.of(start.edges, core, len(received)), received, work_through)
        if length is not None and start.length is not None:
            length[core] = mean_of_senders(start.length, start.edges, np.arange(core.start, core.stop))
        report(core.stop / n_atoms)
    counted = slice(int(ends[0]), int(ends[-1]))
    means = [(total / (counted.stop - counted.start)).to(start.node) for total in received]
    return Sweep(values, length, layers.messages(means))


class Start(NamedTuple):
    """What atoms know before the first message.

    Parameters
    ----------
    node
        Initial node features of each member, shape (M, N, dim).
    edges
        All of the graph.
    length
        :meth:`~.environment.AtomicEnvironment.length`, shape (N,).
    """

    node: Tensor
    edges: Edges
    length: FloatArray | None


def describe(
    model: SymGNNLike,
    bins: Bins,
    kinds: IntArray,
    work_through: WorkThrough,
    chosen: IntArray,
    *,
    report: Callable[[float], None] = lambda _: None,
) -> Start:
    """Describe some atoms: what each of them knows, and the edges into it, from any atom."""
    members, n_atoms = members_of(model), len(chosen)
    config = members[0].config
    node = model.label_scale.new_empty(len(members), n_atoms, config.dim)
    species = torch.eye(len(config.species), dtype=node.dtype, device=node.device)[torch.from_numpy(kinds[chosen])]
    length = np.empty(n_atoms)
    found: dict[int, Edges] = {}
    encoded = _encoder(model)

    def describe_batch(batch: slice) -> None:
        atoms = chosen[batch]
        edges = found[batch.start] = bins.edges(atoms, config.cutoff)
        described = species[batch]
        if model.observes:
            observed = _descriptors(model, bins, kinds, atoms, edges)
            length[batch] = model.environment.length(observed, (kinds, edges))
            described = observed.to(node) if model.describes else described
        node[:, batch] = encoded(described)

    listed: list[Edges] = []
    for batch in work_through(describe_batch, batches_of(n_atoms, node.device)):
        listed.append(found.pop(batch.start))
        report(batch.stop / n_atoms)
    return Start(node, _joined(listed), length if model.observes else None)


def _encoder(model: SymGNNLike) -> Callable[[Tensor], Tensor]:
    """Return what turns what atoms start from, (n, F), into initial node features of each member, (M, n, dim)."""
    members = members_of(model)
    if model.describes:
        return FoldedNodeEncoder.of(members)
    return lambda described: torch.stack([member.encode_nodes(described) for member in members])


def _descriptors(model: SymGNNLike, bins: Bins, kinds: IntArray, atoms: IntArray, edges: Edges) -> Tensor:
    """Describe the surroundings of some atoms, shape (n, F); ``edges`` are those into them."""
    config, like = members_of(model)[0].config, model.label_scale
    species = torch.eye(len(config.species), dtype=torch.double, device=like.device)[torch.from_numpy(kinds[atoms])]
    raw = model.environment.raw_of(kinds, edges, bins.pairs(atoms) if config.environment_far else None)
    return model.environment.features(species, raw.to(like.device))


def _joined(parts: Sequence[Edges]) -> Edges:
    counts = np.concatenate([np.diff(edges.first) for edges in parts])
    source, displacement = (np.concatenate(each) for each in zip(*(edges[1:] for edges in parts), strict=True))
    return Edges(np.concatenate([[0], np.cumsum(counts)]), source, displacement)


@torch.no_grad()
def lengths_of(model: SymGNNLike, glass: Glass, n_core: int, n_around: int) -> FloatArray:
    """Return the :class:`Sweep`'s ``length`` of the first ``n_core`` atoms, (n_core,), without passing messages.

    Those that they have edges from are among the first ``n_around``, and all that these see is there.
    """
    bins, kinds, every = bins_for(model, glass), kinds_of(glass, model.species), np.arange(n_around)
    own, cutoff, found = np.empty(n_around), members_of(model)[0].config.cutoff, dict[int, Edges]()

    def describe_batch(batch: slice) -> None:
        edges = found[batch.start] = bins.edges(every[batch], cutoff)
        described = _descriptors(model, bins, kinds, every[batch], edges)
        own[batch] = model.environment.length(described, (kinds, edges))

    with side_by_side() as work_through:
        batches = work_through(describe_batch, batches_of(n_around, model.label_scale.device))
        edges = _joined([found[batch.start] for batch in batches])
    return mean_of_senders(own, edges, np.arange(n_core))


def net_force_of(model: SymGNNLike, glass: Glass) -> float:
    """Return the median square of the net force on atoms, about 0.6 in glasses at rest; 0 where none was learned.

    See :class:`~.force_balance.ForceBalance`. Of a large glass ``ASKED`` atoms speak for all.
    """
    cutoff, kinds = members_of(model)[0].config.cutoff, kinds_of(glass, model.species)
    require_listable(glass, cutoff)
    atoms = np.linspace(0, len(glass) - 1, min(len(glass), ASKED)).astype(np.int64)
    edges = Bins.of(glass, cutoff).edges(atoms, cutoff)
    return float(np.median(model.environment.balance.imbalance(kinds[atoms], (kinds, edges))))


def blocks_of(glass: Glass, block_atoms: int) -> tuple[IntArray, IntArray]:
    """Cut a glass into compact blocks of about so many atoms at most.

    Returns
    -------
    order, ends
        All atoms block by block, those that are near each other together, and where each block begins (and the last
        one ends).
    """
    if len(glass) <= min(BATCH_ATOMS, block_atoms):
        # All at once: nothing is gained, and sums keep their order wherever the cell starts.
        return np.arange(len(glass)), np.array([0, len(glass)])
    scaled = glass.fractional()
    scaled = np.where(glass.pbc, scaled - np.floor(scaled), scaled)
    low = np.where(glass.pbc, 0.0, scaled.min(axis=0))
    extent = np.where(glass.pbc, 1.0, np.maximum(np.ptp(scaled, axis=0), 1e-9))
    sides = extent * glass.heights()

    def numbers(atoms_each: float) -> IntArray:
        edge = (sides.prod() / max(len(glass) / atoms_each, 1.0)) ** (1 / 3)
        counts = np.maximum(1, np.ceil(sides / edge - 1e-6)).astype(np.int64)
        place = np.minimum(((scaled - low) / extent * counts).astype(np.int64), counts - 1)
        return np.ravel_multi_index(tuple(place.T), tuple(counts))

    block = numbers(block_atoms) if len(glass) > block_atoms else np.zeros(len(glass), dtype=np.int64)
    order = np.lexsort((numbers(BATCH_ATOMS / 4), block))
    ends = np.concatenate([[0], np.cumsum(np.unique(block, return_counts=True)[1])])
    return order, ends


def mean_of_senders(length: FloatArray, edges: Edges, atoms: IntArray) -> FloatArray:
    """Average over the edges into some atoms what their senders have."""
    counts = np.diff(edges.first)[atoms]
    target = np.repeat(np.arange(len(atoms)), counts)
    total = np.bincount(target, length[edges.source[rows_into(edges.first, atoms)]], minlength=len(atoms))
    return np.asarray(total / np.maximum(counts, 1))
