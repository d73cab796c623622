from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.models.chunked import predict_in_chunks, receptive_field
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.graph import build_graph

SPECIES = ("Cu", "Zr")


def counted(depth: int) -> Callable[[Data], Tensor]:
    """A sum over all walks of ``depth`` edges, the first of them a pair where pairs are listed, weighted by species and

    vectors: it misses no edge of the field.
    """

    def network(graph: Data) -> Tensor:
        values = graph.x.double() @ torch.tensor([1.0, 2.5], dtype=torch.float64)
        for step in range(depth):
            name = "pair" if step == 0 and "pair_index" in graph else "edge"
            source, target = graph[f"{name}_index"]
            vector = graph[f"{name}_attr"].double()
            weight = 0.1 + vector.square().sum(1).add(1).reciprocal() + 0.02 * vector[:, 0]
            values = torch.zeros_like(values).index_add(0, target, weight * values[source]) / 10
        return values

    return network


def in_one_piece(network: Callable[[Data], Tensor], glass: Glass, cutoff: float, reach: float = 0.0) -> FloatArray:
    return network(build_graph(glass, cutoff=cutoff, species=SPECIES, reach=reach)).numpy()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_chunks_predict_what_one_piece_does(random_glass: Callable[..., Glass], data: st.DataObject) -> None:
    glass = random_glass(
        data.draw(st.integers(2, 5)),
        seed=data.draw(st.integers(0, 9)),
        shear=data.draw(st.sampled_from([0.0, 0.3, -0.4])),
        pbc=tuple(data.draw(st.lists(st.booleans(), min_size=3, max_size=3))),
    )
    moved = replace(glass, positions=glass.positions + data.draw(st.sampled_from([0.0, 7.3, -31.0])))
    depth, cutoff = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([3.0, 4.5, 6.0]))
    chunk_atoms = data.draw(st.sampled_from([1, 5, 20, 1000]))
    reach = data.draw(st.sampled_from([0.0, 7.5]))
    network = counted(depth)
    whole = in_one_piece(network, moved, cutoff, reach)
    parts = predict_in_chunks(
        network, moved, cutoff=cutoff, species=SPECIES, depth=depth, reach=reach, chunk_atoms=chunk_atoms
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-6)


@pytest.mark.parametrize("chunk_atoms", [10, 60, 10_000])
def test_a_predictor_says_the_same_in_chunks(
    tiny_predictor: Predictor, random_glass: Callable[..., Glass], chunk_atoms: int
) -> None:
    glass = random_glass(6, shear=0.2)
    parts = tiny_predictor.predict(glass, chunk_atoms=chunk_atoms)
    np.testing.assert_allclose(parts, tiny_predictor.predict(glass), atol=2e-5)


def test_fewer_hops_than_the_network_makes_are_noticed(random_glass: Callable[..., Glass]) -> None:
    """So that the tests above can fail."""
    glass = random_glass(5)
    network = counted(3)
    parts = predict_in_chunks(network, glass, cutoff=4.5, species=SPECIES, depth=2, chunk_atoms=5)
    assert np.abs(parts - in_one_piece(network, glass, 4.5)).max() > 1e-3


def test_a_long_cell_is_cut_along_its_length(random_glass: Callable[..., Glass]) -> None:
    glass = random_glass(3)
    images = np.concatenate([glass.positions + k * glass.cell[0] for k in range(12)])
    long = Glass(positions=images, numbers=np.tile(glass.numbers, 12), cell=glass.cell * [[12], [1], [1]])
    sizes: list[int] = []
    network = counted(1)

    def watched(graph: Data) -> Tensor:
        sizes.append(len(graph.x))
        return network(graph)

    parts = predict_in_chunks(watched, long, cutoff=4.0, species=SPECIES, depth=1, chunk_atoms=27)
    np.testing.assert_allclose(parts, in_one_piece(network, long, 4.0), rtol=1e-6)
    np.testing.assert_allclose(parts, np.tile(parts[:27], 12), rtol=1e-6)  # it repeats, so do its predictions
    assert len(sizes) == 12


def test_a_chunk_reads_its_receptive_field_and_no_more(random_glass: Callable[..., Glass]) -> None:
    """Every atom that is read is within the hops, every edge leads to one that sends on: checked by matrix powers."""
    graph = build_graph(random_glass(6), cutoff=3.6, species=SPECIES)
    n_core, depth = 10, 3
    field, atoms = receptive_field(graph, torch.arange(n_core), depth)
    adjacency = torch.zeros(graph.num_nodes, graph.num_nodes)
    adjacency[graph.edge_index[1], graph.edge_index[0]] = 1
    hops = [torch.linalg.matrix_power(adjacency, k)[:n_core].sum(0) > 0 for k in range(depth + 1)]
    assert len(field.x) == hops[depth].sum()
    assert field.edge_index.shape[1] == hops[depth - 1][graph.edge_index[1]].sum()
    assert torch.equal(atoms, torch.nonzero(hops[depth]).squeeze(1))
    assert torch.equal(field.x, graph.x[atoms])


def test_rows_may_have_several_values(random_glass: Callable[..., Glass]) -> None:
    glass = random_glass(3)
    one = counted(1)
    both = predict_in_chunks(
        lambda graph: torch.stack([one(graph), 2 * one(graph)], dim=1),
        glass,
        cutoff=4.0,
        species=SPECIES,
        depth=1,
        chunk_atoms=9,
    )
    assert both.shape == (27, 2)
    np.testing.assert_allclose(both[:, 1], 2 * both[:, 0])


def test_progress_ends_at_one(random_glass: Callable[..., Glass]) -> None:
    fractions: list[float] = []
    predict_in_chunks(
        counted(1),
        random_glass(4),
        cutoff=4.0,
        species=SPECIES,
        depth=1,
        chunk_atoms=10,
        progress=fractions.append,
    )
    assert fractions == sorted(fractions)
    assert len(fractions) > 3
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 0}, "depth=0"),
        ({"chunk_atoms": 0}, "chunk_atoms=0"),
        ({"species": ("Cu",)}, "contains Zr, but this predictor knows only Cu"),
        ({"cutoff": -1.0}, "must be a positive length"),
    ],
)
def test_refusals(random_glass: Callable[..., Glass], changes: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"cutoff": 4.0, "species": SPECIES, "depth": 1} | changes
    with pytest.raises(InputError, match=said):
        predict_in_chunks(counted(1), random_glass(3), **given)
