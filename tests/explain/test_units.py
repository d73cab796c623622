"""Units are partitions of the edges, and masking one masks exactly its messages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.explain import prepare
from symgnn_explain.explain.engine.units import UNITS, group_edges
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.graph import neighbour_edges

from .conftest import random_glass, random_model


@given(seed=st.integers(0, 200), kind=st.sampled_from(UNITS), edge=st.sampled_from([9.9, 5.1]))
@settings(max_examples=30, deadline=None)
def test_every_edge_has_one_unit_and_every_unit_an_edge(seed, kind, edge) -> None:
    glass = random_glass(8 if edge < 6 else 40, seed=seed, edge=edge)
    source, target, displacement = neighbour_edges(glass, 3.6)
    units = group_edges(kind, source, target, glass=glass, atom=0, displacement=displacement)
    assert units.of_edge.shape == source.shape
    assert sorted(set(units.of_edge.tolist())) == list(range(len(units)))
    score = np.random.default_rng(seed).normal(size=len(units))
    np.testing.assert_allclose(units.gather(units.spread_over_edges(score, share=True), mean=False), score)
    np.testing.assert_allclose(units.gather(units.spread_over_edges(score, share=False), mean=True), score)


@given(seed=st.integers(0, 200), edge=st.sampled_from([9.9, 5.1, 3.7]))
@settings(max_examples=30, deadline=None)
def test_a_bond_is_both_directions_of_one_image(seed: int, edge: float) -> None:
    glass = random_glass({9.9: 40, 5.1: 8, 3.7: 2}[edge], seed=seed, edge=edge)
    source, target, displacement = neighbour_edges(glass, 3.6 if edge > 4 else 6.0)
    units = group_edges("bond", source, target, glass=glass, atom=0, displacement=displacement)
    loops = np.linalg.norm(displacement, axis=1) == 0
    sizes = np.bincount(units.of_edge)
    assert (sizes[units.of_edge[loops]] == 1).all()
    assert (sizes[units.of_edge[~loops]] == 2).all()
    for unit in np.unique(units.of_edge[~loops]):
        there, back = np.flatnonzero(units.of_edge == unit)
        assert (source[there], target[there]) == (target[back], source[back])
        np.testing.assert_allclose(displacement[there], -displacement[back], atol=1e-9)


def test_atoms_send_and_polyhedra_receive() -> None:
    glass = random_glass()
    source, target, displacement = neighbour_edges(glass, 3.6)
    for kind, end in (("atom", source), ("polyhedron", target)):
        units = group_edges(kind, source, target, glass=glass, atom=0, displacement=displacement)
        np.testing.assert_array_equal(units.table["atom"].to_numpy()[units.of_edge], end)


def test_shells_hold_atoms_of_like_distance() -> None:
    glass = random_glass()
    source, target, displacement = neighbour_edges(glass, 3.6)
    units = group_edges("shell", source, target, glass=glass, atom=4, displacement=displacement, shell_width=1.5)
    distance = np.linalg.norm(glass.displacements_from(4), axis=1)[source]
    table = units.table.iloc[units.of_edge]
    assert (distance >= table["inner"].to_numpy()).all()
    assert (distance < table["outer"].to_numpy()).all()


@pytest.mark.parametrize("kind", UNITS)
def test_masking_a_unit_masks_its_edges(kind: str) -> None:
    prepared = prepare(Predictor(random_model(), device="cpu"), random_glass())
    by_unit = prepared.masked_prediction(5, semantics="zero", unit=kind)
    by_edge = prepared.masked_forward(5, "zero")
    gone = by_unit.n_units // 2
    edges = torch.ones(by_edge.n_edges)
    edges[torch.from_numpy(by_unit.units.of_edge == gone)] = 0.0
    torch.testing.assert_close(by_unit(by_unit.remove(np.array([gone]))), by_edge(edges))
    torch.testing.assert_close(by_unit(by_unit.full(1.0)), by_edge.original())
    assert by_unit.baseline == pytest.approx(float(by_edge(torch.zeros(by_edge.n_edges))))


def test_a_shell_needs_a_width() -> None:
    with pytest.raises(InputError, match="shell_width=0"):
        prepare(Predictor(random_model(), device="cpu"), random_glass()).masked_prediction(
            0, semantics="zero", unit="shell", shell_width=0.0
        )
