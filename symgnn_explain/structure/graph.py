"""From a glass to the graph that the network sees.

Convention, used everywhere: edge ``j → i`` has source ``edge_index[0] = j`` (the neighbour that sends the message),
target ``edge_index[1] = i`` (the atom that receives it), and ``edge_attr = r_j - r_i`` (Å): where the neighbour's
image sits as seen from the receiving atom.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.structure.bins import CLOSEST_APPROACH, Bins
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray, atomic_number
from symgnn_explain.structure.pairs import periodic_cell

DISPLACEMENT_ERROR = 1e-2
"""Largest difference (Å) between what a graph says of an edge, in single precision, and positions."""

LARGEST_NUMBER_DENSITY = 1.0
"""Atoms per Å³ above which the lengths of a periodic structure cannot be in Å (diamond has 0.18)."""


def neighbour_edges(glass: Glass, cutoff: float) -> tuple[IntArray, IntArray, FloatArray]:
    """All directed edges within ``cutoff``, one self-loop an atom included.

    Any cell is handled: in one smaller than twice the cut-off every periodic image is an edge of its own.

    Returns
    -------
    source, target, displacement
        Shapes (E,), (E,) and (E, 3); displacement ``r_source - r_target`` in Å; sorted by target, then source,
        then displacement, so that the order depends on the structure alone.

    Raises
    ------
    InputError
        If the cut-off is not positive, two atoms overlap, the lengths cannot be in Å, or atoms are scattered too wide.
    """
    require_listable(glass, cutoff)
    edges = Bins.of(glass, cutoff).edges(np.arange(len(glass)), cutoff, dtype=np.float64)
    target = np.repeat(np.arange(len(glass)), np.diff(edges.first))
    return edges.source.astype(np.int64), target, np.asarray(edges.displacement, dtype=np.float64)


def build_graph(glass: Glass, *, cutoff: float, species: Sequence[str], reach: float = 0.0) -> Data:
    """Build the network's input.

    Parameters
    ----------
    glass
        The structure.
    cutoff
        Edges join atoms up to this distance, Å.
    species
        Chemical symbols that the network knows, in the order of its input channels.
    reach
        How far descriptors of surroundings look, Å; no further than edges where it is not beyond the cut-off.

    Returns
    -------
    Data
        ``x`` (N, len(species)) one-hot species, ``edge_index`` (2, E) sorted by target, ``edge_attr`` (E, 3)
        displacements (Å), and ``y`` (N,) barriers (eV, NaN where unknown) where the glass has them. Where descriptors
        look beyond the cut-off, ``pair_index`` (2, P) and ``pair_attr`` (P, 3) are all pairs within ``reach``,
        self-loops left out.

    Raises
    ------
    InputError
        If the glass holds a species that the network does not know.

    Examples
    --------
    >>> from ase.build import bulk
    >>> build_graph(Glass.from_ase(bulk("Cu", cubic=True)), cutoff=3.0, species=["Cu", "Zr"])
    Data(x=[4, 2], edge_index=[2, 52], edge_attr=[52, 3])
    """
    kinds = kinds_of(glass, species)
    source, target, displacement = neighbour_edges(glass, max(cutoff, reach))
    data = Data(x=torch.eye(len(species))[torch.from_numpy(kinds)])
    if reach > cutoff:
        distance = np.linalg.norm(displacement, axis=1)
        data.pair_index, data.pair_attr = _edge_tensors(source, target, displacement, distance > 0)
        joined = distance <= cutoff
    else:
        joined = np.ones(len(source), dtype=bool)
    data.edge_index, data.edge_attr = _edge_tensors(source, target, displacement, joined)
    if glass.barriers is not None:
        data.y = torch.from_numpy(glass.barriers.astype(np.float32))
    return data


def kinds_of(glass: Glass, species: Sequence[str]) -> IntArray:
    """Return the place of each atom's species among those that a network knows, shape (N,).

    Raises
    ------
    InputError
        If the glass holds a species that the network does not know.
    """
    require_species(glass, species)
    numbers = np.array([atomic_number(symbol) for symbol in species])
    return np.asarray((glass.numbers[:, None] == numbers).argmax(axis=1))


def require_species(glass: Glass, species: Sequence[str] | None) -> None:
    """Raise InputError if the glass holds a species that a network does not know (None knows all), or is no glass."""
    if not isinstance(glass, Glass):
        raise InputError(
            f"a {type(glass).__name__} is no Glass: make one with read_glass(file), Trajectory(file)[frame] or "
            "Glass.from_ase(atoms)."
        )
    foreign = sorted(set(glass.species) - set(species)) if species is not None else []
    if foreign:
        raise InputError(
            f"{glass.name!r} contains {', '.join(foreign)}, but this predictor knows only {', '.join(species or ())}: "
            "use a glass of these species, or train a predictor on yours."
        )


def edge_displacements(glass: Glass, graph: Data, edges: torch.Tensor) -> FloatArray:
    """Return ``r_source - r_target`` of some edges of a graph that was built of a glass, shape (E, 3), Å.

    They are what the graph holds as ``displacement`` or, where these are the ends' positions up to vectors of the cell,
    as ``edge_attr``; where it holds neither, the minimum image.

    Raises
    ------
    InputError
        If an edge of the graph joins no atoms of the glass, its ``displacement`` is none between its atoms, or several
        edges join the same atoms and nothing says to which images.
    """
    edges = edges.cpu()
    ends = graph.edge_index.cpu()
    if graph.num_nodes != len(glass):
        raise InputError(f"the graph has {graph.num_nodes} nodes, but {glass.name!r} has {len(glass)} atoms.")
    source, target = ends[:, edges].numpy()
    for name in ("displacement", "edge_attr"):
        held = graph.get(name, None)
        if held is None or tuple(held.shape) != (graph.num_edges, 3):
            continue
        found: FloatArray = held.detach().cpu()[edges].double().numpy()
        across = found - (glass.positions[source] - glass.positions[target])
        images = glass.fractional(across)
        off = np.linalg.norm((images - np.where(glass.pbc, np.rint(images), 0)) @ glass.cell, axis=1)
        if not len(off) or off.max() < DISPLACEMENT_ERROR:
            return found
        if name == "displacement":
            raise InputError(
                f"the graph's displacement is not r_source - r_target in {glass.name!r} (off by {off.max():.3g} Å): "
                "edge_index must name the sender first."
            )
    pairs = torch.unique(ends, dim=1).shape[1]
    if pairs < graph.num_edges:
        raise InputError(
            "several edges of the graph join the same two atoms, so that it is not known which periodic image each is "
            "to: give the graph displacement, shape (E, 3), Å."
        )
    from ase.geometry import find_mic

    vectors, _ = find_mic(glass.positions[source] - glass.positions[target], glass.cell, glass.pbc)
    return np.asarray(vectors, dtype=np.float64)


def _edge_tensors(
    source: IntArray, target: IntArray, displacement: FloatArray, kept: NDArray[np.bool_]
) -> tuple[torch.Tensor, torch.Tensor]:
    ends = np.stack([source[kept], target[kept]])
    return torch.from_numpy(ends), torch.from_numpy(displacement[kept].astype(np.float32))


def require_listable(glass: Glass, cutoff: float) -> None:
    """Raise InputError where neighbours within ``cutoff`` (Å) cannot be listed."""
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise InputError(f"{cutoff=} must be a positive length in Å.")
    _require_plausible_lengths(glass)
    periodic_cell(glass, cutoff)


def _require_plausible_lengths(glass: Glass) -> None:
    """Refuse what would have millions of neighbours an atom before they are listed: memory would not hold them."""
    repeats = np.linalg.norm(glass.cell[glass.pbc], axis=1)
    if repeats.size and repeats.min() < CLOSEST_APPROACH:
        raise InputError(
            f"{glass.name!r} repeats every {repeats.min():.3g} Å: its cell is too small for atoms, or not in Å."
        )
    if glass.pbc.all() and glass.number_density > LARGEST_NUMBER_DENSITY:
        raise InputError(
            f"{glass.name!r} has {glass.number_density:.3g} atoms per Å³, as no solid has: its lengths are not in Å."
        )
