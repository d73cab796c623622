from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.graph import build_graph, neighbour_edges

CUTOFF = 5.0


@st.composite
def glasses(draw: DrawFn, *, smallest: float = 2.5, largest: float = 14.0, most_atoms: int = 12) -> Glass:
    """Any triclinic cell (also left-handed ones), any periodicity, atoms up to several cells away from the cell."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = np.array(draw(st.tuples(*[st.floats(smallest, largest)] * 3)))
    directions = np.eye(3) + draw(st.floats(0.0, 0.45)) * rng.uniform(-1, 1, (3, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cell = directions * edges[:, None] * draw(st.sampled_from([1.0, -1.0]))
    assume(abs(np.linalg.det(cell)) > 10.0)
    n_atoms = draw(st.integers(1, most_atoms))
    pbc = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    reach = np.where(pbc, draw(st.sampled_from([0, 3, 1000])), draw(st.sampled_from([0, 3, 20])))
    scaled = rng.uniform(0, 1, (n_atoms, 3)) + rng.integers(-reach, reach + 1, (n_atoms, 3))
    return Glass(positions=scaled @ cell, numbers=rng.choice([29, 40], n_atoms), cell=cell, pbc=pbc)


def oracle(glass: Glass, cutoff: float) -> tuple[FloatArray, FloatArray]:
    """The same edges by ASE's own neighbour list, as sortable rows, and all distances near the cut-off."""
    target, source, displacement, distance = neighbor_list("ijDd", glass.to_ase(), cutoff + 1e-3)
    inside = distance <= cutoff
    atoms = np.arange(len(glass))
    rows = np.column_stack([target[inside], source[inside], displacement[inside]])
    loops = np.column_stack([atoms, atoms, np.zeros((len(glass), 3))])
    return np.concatenate([rows, loops]), distance


def assert_same_edges(one: FloatArray, other: FloatArray, tolerance: float) -> None:
    """Rows (target, source, dx, dy, dz) agree as sets: sorted with distances rounded away from ties."""
    assert one.shape == other.shape
    for row_one in one:
        pair = (other[:, 0] == row_one[0]) & (other[:, 1] == row_one[1])
        assert pair.any()
        assert np.abs(other[pair, 2:] - row_one[2:]).max(axis=1).min() < tolerance


def require_clear(glass: Glass, cutoff: float = CUTOFF) -> None:
    """Only structures whose edges no rounding decides: no pair at the cut-off, none overlapping."""
    distance = neighbor_list("d", glass.to_ase(), cutoff + 1e-3)
    assume(not (np.abs(distance - cutoff) < 1e-6).any())
    assume(not (distance < 0.51).any())


def rows(glass: Glass, cutoff: float = CUTOFF) -> FloatArray:
    source, target, displacement = neighbour_edges(glass, cutoff)
    return np.column_stack([target, source, displacement])


class TestNeighbours:
    @settings(max_examples=150, deadline=None)
    @given(glass=glasses(), cutoff=st.sampled_from([2.7, 5.0]))
    def test_agree_with_ase(self, glass: Glass, cutoff: float) -> None:
        require_clear(glass, cutoff)
        expected, _ = oracle(glass, cutoff)
        assert_same_edges(rows(glass, cutoff), expected, tolerance=1e-8)

    @settings(max_examples=25, deadline=None)
    @given(glass=glasses(smallest=2.0, largest=3.0, most_atoms=1))
    def test_tiny_cells_have_an_edge_for_every_image(self, glass: Glass) -> None:
        glass = replace(glass, pbc=True)
        require_clear(glass)
        images = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3), axis=-1).reshape(-1, 3) @ glass.cell
        within = (np.linalg.norm(images, axis=1) <= CUTOFF).sum()
        assert within > 15
        assert len(rows(glass)) == within  # the zero image is the self-loop

    def test_lattice_of_known_coordination(self) -> None:
        edge = 3.6
        glass = Glass(positions=[[1.0, 2.0, 3.0]], numbers=[29], cell=edge / 2 * (1 - np.eye(3)))  # face-centred cubic
        counts = {0.71: 12, 1.01: 18, 1.23: 42, 1.42: 54}  # neighbours up to each shell, in edge lengths
        for shell, expected in counts.items():
            assert len(rows(glass, shell * edge)) == expected + 1

    @settings(max_examples=40, deadline=None)
    @given(glass=glasses())
    def test_order_is_by_target_then_source_then_displacement(self, glass: Glass) -> None:
        require_clear(glass)
        edges = rows(glass)
        order = np.lexsort(edges.T[::-1])
        np.testing.assert_array_equal(order, np.arange(len(edges)))

    @settings(max_examples=40, deadline=None)
    @given(glass=glasses())
    def test_one_zero_self_loop_an_atom_and_no_other_zero(self, glass: Glass) -> None:
        require_clear(glass)
        edges = rows(glass)
        zero = (edges[:, 2:] == 0).all(axis=1)
        np.testing.assert_array_equal(edges[zero, 0], np.arange(len(glass)))
        np.testing.assert_array_equal(edges[zero, 1], np.arange(len(glass)))
        assert (np.linalg.norm(edges[~zero, 2:], axis=1) > 0.5).all()

    @settings(max_examples=40, deadline=None)
    @given(glass=glasses())
    def test_every_edge_has_its_reverse(self, glass: Glass) -> None:
        require_clear(glass)
        edges = rows(glass)
        reverse = np.column_stack([edges[:, 1], edges[:, 0], -edges[:, 2:]])
        assert_same_edges(edges, reverse, tolerance=1e-9)

    @settings(max_examples=40, deadline=None)
    @given(glass=glasses())
    def test_displacement_leads_from_target_to_an_image_of_the_source(self, glass: Glass) -> None:
        require_clear(glass)
        source, target, displacement = neighbour_edges(glass, CUTOFF)
        shift = displacement - (glass.positions[source] - glass.positions[target])
        cells = np.linalg.solve(glass.cell.T, shift.T).T
        np.testing.assert_allclose(cells, np.round(cells), atol=1e-7)
        np.testing.assert_array_equal(np.round(cells)[:, ~glass.pbc], 0)


class TestCovariance:
    @settings(max_examples=40, deadline=None)
    @given(glass=glasses(), seed=st.integers(0, 1000))
    def test_permutation_renames_the_ends(self, glass: Glass, seed: int) -> None:
        require_clear(glass)
        order = np.random.default_rng(seed).permutation(len(glass))
        permuted = rows(replace(glass, positions=glass.positions[order], numbers=glass.numbers[order]))
        permuted[:, :2] = order[permuted[:, :2].astype(int)]
        assert_same_edges(permuted, rows(glass), tolerance=1e-8)

    @settings(max_examples=40, deadline=None)
    @given(glass=glasses(), shift=st.tuples(*[st.floats(-30, 30)] * 3))
    def test_translation_changes_nothing(self, glass: Glass, shift: tuple[float, float, float]) -> None:
        require_clear(glass)
        assert_same_edges(rows(replace(glass, positions=glass.positions + shift)), rows(glass), tolerance=1e-8)

    @settings(max_examples=40, deadline=None)
    @given(glass=glasses(), seed=st.integers(0, 1000), far=st.sampled_from([1, 50, 10_000]))
    def test_wrapping_changes_nothing(self, glass: Glass, seed: int, far: int) -> None:
        require_clear(glass)
        cells = np.random.default_rng(seed).integers(-far, far + 1, (len(glass), 3)) * glass.pbc
        assert_same_edges(rows(replace(glass, positions=glass.positions + cells @ glass.cell)), rows(glass), 1e-6)

    @settings(max_examples=40, deadline=None)
    @given(glass=glasses(), seed=st.integers(0, 1000))
    def test_orthogonal_transformations_transform_displacements(self, glass: Glass, seed: int) -> None:
        require_clear(glass)
        matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
        turned = rows(replace(glass, positions=glass.positions @ matrix.T, cell=glass.cell @ matrix.T))
        turned[:, 2:] = turned[:, 2:] @ matrix
        assert_same_edges(turned, rows(glass), tolerance=1e-6)


class TestRefusals:
    @staticmethod
    def pair(distance: float, *, edge: float = 20.0) -> Glass:
        return Glass(positions=[[0, 0, 0], [distance, 0, 0]], numbers=[29, 40], cell=np.eye(3) * edge, name="pair")

    @pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
    def test_cutoff_must_be_a_length(self, cutoff: float) -> None:
        with pytest.raises(InputError, match="must be a positive length in Å"):
            neighbour_edges(self.pair(3.0), cutoff)

    @pytest.mark.parametrize("distance", [0.0, 0.3, 19.8, -20.2, 40.0])
    def test_overlapping_atoms_also_across_the_boundary(self, distance: float) -> None:
        with pytest.raises(InputError, match=r"atoms [01] and [01] of 'pair' are 0\.[023]00 Å apart"):
            neighbour_edges(self.pair(distance), CUTOFF)

    def test_lengths_in_other_units_are_refused_before_they_fill_the_memory(
        self, random_glass: Callable[..., Glass]
    ) -> None:
        glass = random_glass(12)
        nanometres = replace(glass, positions=glass.positions / 10, cell=glass.cell / 10)
        with pytest.raises(InputError, match=r"atoms per Å³, as no solid has: its lengths are not in Å"):
            neighbour_edges(nanometres, CUTOFF)
        with pytest.raises(InputError, match="Å apart"):
            neighbour_edges(replace(nanometres, pbc=False), CUTOFF)
        scaled = np.linalg.solve(glass.cell.T, glass.positions.T).T
        with pytest.raises(InputError, match="Å apart"):
            neighbour_edges(replace(glass, positions=scaled), CUTOFF)

    def test_a_cell_too_small_for_an_atom_is_refused(self) -> None:
        thin = Glass(positions=[[0, 0, 0]], numbers=[29], cell=np.diag([1e-4, 1e3, 1e3]), pbc=[True, False, False])
        with pytest.raises(InputError, match=r"repeats every 0\.0001 Å"):
            neighbour_edges(thin, CUTOFF)

    def test_a_flat_cell_whose_images_overlap_is_refused(self) -> None:
        cell = [[2.0, 0, 0], [2.0, 0.3, 0], [0, 0, 20.0]]
        with pytest.raises(InputError, match=r"atom 0 and its periodic image of 'glass' are 0\.300 Å apart"):
            neighbour_edges(Glass(positions=[[0, 0, 0]], numbers=[29], cell=cell), CUTOFF)

    @pytest.mark.parametrize("pbc", [True, False, (False, False, True), (True, True, False)])
    @pytest.mark.parametrize("thickness", [4.0, 12.0, 30.0])
    def test_atoms_scattered_over_a_huge_sheet_are_refused(
        self, pbc: bool | tuple[bool, ...], thickness: float
    ) -> None:
        cell = np.diag([9000.0, 9000.0, thickness])
        scattered = np.random.default_rng(0).uniform(size=(400, 3)) @ cell
        sheet = Glass(positions=scattered, numbers=np.full(400, 29), cell=cell, pbc=np.broadcast_to(pbc, 3))
        with pytest.raises(InputError, match=r"spreads 400 atoms over \d+ × \d+ × \d+ Å, too wide for its thickness"):
            neighbour_edges(sheet, CUTOFF)

    def test_a_species_that_the_network_does_not_know(self) -> None:
        with pytest.raises(InputError, match="'pair' contains Zr, but this predictor knows only Cu, Ag"):
            build_graph(self.pair(3.0), cutoff=CUTOFF, species=("Cu", "Ag"))


class TestGraph:
    def test_contents(self, glass: Glass) -> None:
        graph = build_graph(glass, cutoff=CUTOFF, species=("Zr", "Cu"))
        assert glass.barriers is not None
        source, target, displacement = neighbour_edges(glass, CUTOFF)
        np.testing.assert_array_equal(graph.edge_index, [source, target])
        np.testing.assert_allclose(graph.edge_attr, displacement, rtol=1e-6)
        np.testing.assert_allclose(graph.y, glass.barriers, rtol=1e-6)
        np.testing.assert_array_equal(graph.x[:, 0], glass.numbers == 40)
        np.testing.assert_array_equal(graph.x.sum(1), 1)
        assert (graph.x.dtype, graph.edge_attr.dtype, graph.edge_index.dtype) == (
            torch.float32,
            torch.float32,
            torch.int64,
        )
        graph.validate()

    def test_no_barriers_no_targets(self, glass: Glass) -> None:
        assert "y" not in build_graph(replace(glass, barriers=None), cutoff=CUTOFF, species=("Cu", "Zr"))

    def test_a_lone_atom_has_its_self_loop(self) -> None:
        glass = Glass(positions=[[0, 0, 0]], numbers=[29], cell=np.eye(3) * 20)
        graph = build_graph(glass, cutoff=CUTOFF, species=("Cu", "Zr"))
        assert graph.edge_index.tolist() == [[0], [0]]

    def test_published_glass_has_the_known_neighbours(self, published: Callable[[str], Glass]) -> None:
        glass = published("train0")
        source, target, displacement = neighbour_edges(glass, CUTOFF)
        assert len(source) / len(glass) - 1 == pytest.approx(32.4, abs=0.1)
        distance = np.linalg.norm(displacement[source != target], axis=1)
        assert 2.15 < distance.min() < distance.max() <= CUTOFF
