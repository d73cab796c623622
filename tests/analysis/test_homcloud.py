"""HomCloud as an oracle; its licence (GPL) keeps it out of the toolkit."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.analysis.topology.of_glass import compute_topology

homcloud = pytest.importorskip(
    "homcloud.interface", reason="HomCloud is not installed: pip install -e '.[oracles]'", exc_type=ImportError
)


@contextmanager
def diagrams_of(glass, folder):
    sides = [(0.0, float(glass.cell[axis, axis])) for axis in range(3)] if glass.pbc.all() else None
    diagrams = homcloud.PDList.from_alpha_filtration(
        wrapped_positions(glass), periodicity=sides, save_to=str(folder / "pairs.pdgm"), save_boundary_map=True
    )
    yield diagrams
    diagrams.close()


@pytest.mark.parametrize("pbc", [True, False])
def test_pairs_of_all_dimensions_are_homclouds(random_glass, tmp_path, pbc):
    glass = random_glass(8, seed=3, pbc=pbc)
    ours = compute_topology(glass, 4.5).persistence
    with diagrams_of(glass, tmp_path) as theirs:
        for dimension in (0, 1, 2):
            diagram = theirs.dth_diagram(dimension)
            pairs = np.sqrt(np.column_stack([diagram.births, diagram.deaths]))
            assert len(pairs) == len(ours.diagram(dimension))
            np.testing.assert_allclose(pairs[np.lexsort(pairs.T[::-1])], ours.diagram(dimension), atol=1e-6)
            essential = np.sqrt(diagram.essential_births)
            np.testing.assert_allclose(np.sort(essential), ours.essential(dimension), atol=1e-6)


@pytest.mark.parametrize("pbc", [True, False])
def test_cycles_have_as_many_edges_as_homclouds(random_glass, tmp_path, pbc):
    glass = random_glass(8, seed=4, pbc=pbc)
    cycles = compute_topology(glass, 4.5).cycles
    with diagrams_of(glass, tmp_path) as diagrams:
        pairs = sorted(diagrams.dth_diagram(1).pairs(), key=lambda pair: pair.birth_time())
        lengths = [len(pair.optimal_1_cycle().path()) for pair in pairs]
    assert cycles.length.tolist() == lengths
