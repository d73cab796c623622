from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.analysis.topology.of_glass import compute_topology
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture(scope="module")
def counted(random_glass):
    glass = random_glass(6, seed=1)
    return glass, compute_topology(glass, 4.5).cycles


def atoms_by_hand(cycles, cycle):
    return {*cycles.first[cycles.bonds_of(cycle)], *cycles.second[cycles.bonds_of(cycle)]}


@pytest.mark.parametrize("n_side", [3, 6])
def test_paths_are_closed_and_made_of_bonds_of_the_glass(random_glass, n_side):
    glass = random_glass(n_side, seed=1, shear=0.1)
    cycles = compute_topology(glass, 4.5).cycles
    wrapped = wrapped_positions(glass)
    closed = 0
    for cycle in range(0, len(cycles), 7):
        path = cycles.path(glass, cycle)
        assert len(path) == cycles.length[cycle]
        np.testing.assert_allclose(path.end[:-1], path.start[1:])
        np.testing.assert_array_equal(path.target[:-1], path.source[1:])
        assert path.target[-1] == path.source[0]
        assert set(path.atoms) == atoms_by_hand(cycles, cycle)
        for atoms, places in ((path.source, path.start), (path.target, path.end)):
            shift = np.linalg.solve(glass.cell.T, (places - wrapped[atoms]).T)
            np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)
        around = np.linalg.solve(glass.cell.T, path.end[-1] - path.start[0])
        np.testing.assert_allclose(around, np.rint(around), atol=1e-9)
        closed += np.allclose(around, 0)
        # The birth edge is the last to enter, and none is longer than it unless an atom delayed it.
        length = np.linalg.norm(path.end - path.start, axis=1)
        assert length.max() / 2 <= path.birth + 1e-9
    assert closed > 0.9 * len(range(0, len(cycles), 7))


def test_path_of_a_ring_across_the_boundary_hangs_together():
    angle = 2 * np.pi * (np.arange(8) + 0.3) / 8
    rng = np.random.default_rng(2)
    ring = np.column_stack([3 * np.cos(angle), 3 * np.sin(angle), np.zeros(8)]) + rng.normal(0, 0.03, (8, 3))
    glass = Glass(ring + np.array([0.1, 19.9, 0.0]), [40] * 8, np.eye(3) * 20.0)
    cycles = compute_topology(glass, 4.5).cycles
    path = cycles.path(glass, 0)
    assert path.atoms.tolist() == list(range(8))
    spread = path.start - path.start.mean(axis=0)
    assert np.linalg.norm(spread, axis=1) == pytest.approx(3.0, abs=0.1)
    assert path.birth == pytest.approx(3 * np.sin(np.pi / 8), abs=0.1)
    assert path.death == pytest.approx(3.0, abs=0.05)


def test_cycles_through_edges_are_those_that_hold_them(counted):
    glass, cycles = counted
    source, target, displacement = neighbour_edges(glass, 4.0)
    some = np.flatnonzero(source != target)[::97]
    found = cycles.through_edges(glass, source[some], target[some], displacement[some])
    expected = set()
    for edge in some:
        inside = cycles.through_edges(glass, source[[edge]], target[[edge]], displacement[[edge]])
        assert len(inside) == cycles.of_edges(glass, source[[edge]], target[[edge]], displacement[[edge]])[0]
        for cycle in inside:
            path = cycles.path(glass, int(cycle))
            vectors = np.concatenate([path.end - path.start, path.start - path.end])
            ends = np.concatenate([path.source, path.target]), np.concatenate([path.target, path.source])
            along = (ends[0] == target[edge]) & (ends[1] == source[edge])
            assert np.linalg.norm(vectors[along] - displacement[edge], axis=1).min() < 1e-6
        expected |= set(inside.tolist())
    assert set(found.tolist()) == expected


def test_statistics_of_bonds_are_means_over_their_cycles(counted):
    _, cycles = counted
    table = cycles.to_frame()
    assert table["cycles"].tolist() == cycles.count.tolist()
    for bond in range(0, len(table), 53):
        inside = [cycle for cycle in range(len(cycles)) if bond in cycles.bonds_of(cycle)]
        row = table.iloc[bond]
        assert row["cycles"] == len(inside) > 0
        assert row["mean_birth"] == pytest.approx(cycles.birth[inside].mean())
        assert row["mean_death"] == pytest.approx(cycles.death[inside].mean())


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 100))
def test_cycles_stand_in_the_order_of_their_pairs(random_glass, seed):
    result = compute_topology(random_glass(5, seed=seed), 4.5)
    diagram = result.persistence.diagram(1)
    np.testing.assert_array_equal(diagram, np.column_stack([result.cycles.birth, result.cycles.death]))
    # A ring's birth edge is one of its bonds.
    born = result.persistence.birth_atoms[result.persistence.rows(1)][:, :2]
    for cycle in range(0, len(result.cycles), 13):
        bonds = result.cycles.bonds_of(cycle)
        ends = np.sort(np.column_stack([result.cycles.first[bonds], result.cycles.second[bonds]]), axis=1)
        assert np.sort(born[cycle]).tolist() in ends.tolist()


def test_foreign_glass_and_unknown_cycle_are_refused(counted, random_glass):
    _, cycles = counted
    with pytest.raises(InputError, match="another structure"):
        cycles.path(random_glass(6, seed=2), 0)
    for cycle in (-1, len(cycles)):
        with pytest.raises(InputError, match="does not exist"):
            cycles.bonds_of(cycle)
