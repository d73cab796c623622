"""A crystal is the same however large, skewed, rotated or renumbered the cell is that it is written in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal as spacegroup_crystal
from gudhi import bottleneck_distance
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.analysis.networks.structure_network import bond_network
from symgnn_explain.analysis.order.icosahedra import polyhedron_connections
from symgnn_explain.analysis.order.local_order import local_order_analysis
from symgnn_explain.analysis.order.voronoi import voronoi_cells
from symgnn_explain.analysis.topology.alpha import periodic_complex
from symgnn_explain.analysis.topology.of_glass import compute_topology
from symgnn_explain.analysis.topology.persistence import persistence_of as pairs_of
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.radial import first_shell_cutoff, partial_distributions, radial_distribution

SKEWED = np.array([[1, 0, 0], [1, 1, 0], [0, 2, 1]])
REWRITTEN = {
    "as it is": lambda atoms: atoms,
    "2x2x2": lambda atoms: atoms.repeat(2),
    "3x2x1": lambda atoms: atoms.repeat((3, 2, 1)),
    "1x1x3": lambda atoms: atoms.repeat((1, 1, 3)),
    "skewed": lambda atoms: make_supercell(atoms, SKEWED),
}

CRYSTALS = {
    "sc": bulk("Po", "sc", a=2.8),
    "bcc": bulk("Fe", "bcc", a=2.87),
    "bcc, cubic": bulk("Fe", "bcc", a=2.87, cubic=True),
    "fcc": bulk("Cu", "fcc", a=3.61),
    "fcc, cubic": bulk("Cu", "fcc", a=3.61, cubic=True),
    "hcp": bulk("Zr", "hcp", a=3.23, c=5.15),
    "diamond": bulk("Si", "diamond", a=5.43),
    "diamond, cubic": bulk("Si", "diamond", a=5.43, cubic=True),
    "B2": bulk("CuZr", "cesiumchloride", a=3.26),
    "L1_2": spacegroup_crystal(["Al", "Ni"], [(0, 0, 0), (0, 0.5, 0.5)], spacegroup=221, cellpar=[3.57] * 3 + [90] * 3),
    "A15": spacegroup_crystal(["Cr", "Si"], [(0, 0, 0), (0.25, 0, 0.5)], spacegroup=223, cellpar=[4.56] * 3 + [90] * 3),
    "omega": spacegroup_crystal(
        ["Zr", "Zr"], [(0, 0, 0), (1 / 3, 2 / 3, 0.5)], spacegroup=191, cellpar=[5.04, 5.04, 3.12, 90, 90, 120]
    ),
    "graphite": spacegroup_crystal(
        ["C", "C"], [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)], spacegroup=194, cellpar=[2.46, 2.46, 6.71, 90, 90, 120]
    ),
}
FIRST_SHELL = {"sc": 6, "bcc": 8, "fcc": 12, "hcp": 12, "diamond": 4, "B2": 8, "L1_2": 12, "A15": 13.5, "graphite": 3}
POLYHEDRA = {
    "sc": {"⟨0,6,0,0⟩"},
    "bcc": {"⟨0,6,0,8⟩"},
    "fcc": {"⟨0,12,0,0⟩"},
    "hcp": {"⟨0,12,0,0⟩"},
    "diamond": {"⟨12,0,0,4⟩"},
    "B2": {"⟨0,6,0,8⟩"},
    "L1_2": {"⟨0,12,0,0⟩"},
    "A15": {"⟨0,0,12,0⟩", "⟨0,0,12,2⟩"},
}
# Rings and voids an atom in a large crystal, by counting edges and polyhedra: on a torus of N atoms that makes
# n1 N - 2 and n2 N - 1 classes that die.
RINGS_AND_VOIDS = {"sc": (2, 1), "bcc": (6, 6), "fcc": (5, 3), "hcp": (5, 3), "diamond": (1, 3), "A15": (5.75, 5.75)}


def family(name: str) -> str:
    return name.partition(",")[0]


def written(name: str, how: str = "as it is", seed: int | None = None) -> Glass:
    atoms: Atoms = REWRITTEN[how](CRYSTALS[name])
    if seed is None:
        return Glass.from_ase(atoms, name=name)
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    images = random.integers(-2, 3, (len(atoms), 3)) @ np.asarray(atoms.cell)
    moved = (atoms.positions + images + random.normal(size=3) * 20) @ rotation
    order = random.permutation(len(atoms))
    return Glass(moved[order], atoms.numbers[order], np.asarray(atoms.cell) @ rotation, name=name)


def persistence_of(glass: Glass):
    alpha = periodic_complex(glass)
    return alpha, pairs_of(alpha, 4.5, glass.content_hash)[0]


@pytest.mark.parametrize("name", CRYSTALS)
def test_radial_distribution_is_the_crystals_in_every_cell(name):
    one = radial_distribution(written(name))
    assert one.coordination_number == pytest.approx(FIRST_SHELL.get(family(name), one.coordination_number))
    partials = partial_distributions(written(name))
    for place, how in enumerate(REWRITTEN):
        glass = written(name, how, place)
        other = radial_distribution(glass)
        np.testing.assert_allclose(other.g, one.g, rtol=1e-9)
        np.testing.assert_array_equal(other.minima, one.minima)
        np.testing.assert_array_equal(other.maxima, one.maxima)
        assert other.coordination_number == pytest.approx(one.coordination_number)
        for pair, partial in partial_distributions(glass).items():
            np.testing.assert_array_equal(partial.minima, partials[pair].minima)


def test_first_shell_of_bcc_has_eight_atoms_until_motion_joins_it_to_the_second():
    perfect = bulk("Fe", "bcc", a=2.87, cubic=True).repeat(8)
    warm = perfect.copy()
    warm.rattle(0.15, seed=0)
    assert radial_distribution(Glass.from_ase(perfect)).coordination_number == 8
    assert radial_distribution(Glass.from_ase(warm)).coordination_number == pytest.approx(14, abs=0.5)


@pytest.mark.parametrize("n_side", [3, 4, 5])
def test_noise_does_not_hide_the_first_minimum(random_glass, n_side):
    """Few atoms: no later feature is taken for the first."""
    for seed in range(10):
        few, many = (radial_distribution(random_glass(side, seed=seed)).minima[0] for side in (n_side, 9))
        assert few == pytest.approx(many, abs=0.5)


def test_a_gas_has_no_first_shell():
    alone = Glass([[0, 0, 0]], [29], np.eye(3) * 30)
    with pytest.raises(InputError, match=r"no minimum .* or more atoms"):
        first_shell_cutoff(alone)


def test_copies_of_a_disordered_cell_bring_no_significance(random_glass):
    small = random_glass(4, seed=1)
    large = Glass.from_ase(small.to_ase().repeat((2, 2, 1)))
    np.testing.assert_array_equal(radial_distribution(large).minima, radial_distribution(small).minima)


@pytest.mark.parametrize("name", CRYSTALS)
def test_voronoi_cells_are_the_crystals_in_every_cell(name):
    kinds = Counter(voronoi_cells(written(name)).labels.tolist())
    assert set(kinds) == POLYHEDRA.get(family(name), set(kinds))
    for place, how in enumerate(REWRITTEN):
        glass = written(name, how, place)
        cells = voronoi_cells(glass)
        copies = len(glass) // len(CRYSTALS[name])
        assert Counter(cells.labels.tolist()) == {label: copies * times for label, times in kinds.items()}
        assert cells.volume.sum() == pytest.approx(glass.volume, rel=1e-9)


@pytest.mark.parametrize("digits", [6, 4])
@pytest.mark.parametrize("name", ["fcc", "hcp", "diamond"])
def test_rounded_positions_leave_whole_faces(name, digits):
    glass = written(name, "2x2x2", 3)
    rounded = Glass(glass.positions.round(digits), glass.numbers, glass.cell.round(digits))
    assert set(voronoi_cells(rounded).labels.tolist()) == POLYHEDRA[name]


@pytest.mark.parametrize("edge", [2.5, 7.0, 9.0, 20.0, 100.0])
def test_one_atom_in_a_cube_has_the_cube_as_its_cell(edge):
    cells = voronoi_cells(Glass([[0.1, 0.2, 0.3]], [29], np.eye(3) * edge))
    assert cells.labels.tolist() == ["⟨0,6,0,0⟩"]
    assert cells.volume == pytest.approx([edge**3])


@pytest.mark.parametrize("cell", [[3, 3, 40], [3, 25, 25], [9, 9, 30]])
def test_long_and_flat_cells_end(cell):
    glass = Glass([[0, 0, 0], [0, 0, 2.0]], [29, 40], np.diag(np.array(cell, dtype=float)))
    assert voronoi_cells(glass).volume.sum() == pytest.approx(glass.volume)
    assert persistence_of(glass)[1].betti_numbers()[0] == 1


@pytest.mark.parametrize("pbc", [(True, True, False), (True, False, False), (False, False, False)])
@pytest.mark.parametrize("n_atoms", [1, 2, 8])
def test_few_atoms_with_open_directions_end_in_a_value_or_a_sentence(n_atoms, pbc):
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T[:n_atoms] * 2.5
    glass = Glass(corners, np.full(n_atoms, 29), np.eye(3) * 12.0, pbc)
    for analyse in (voronoi_cells, periodic_complex, first_shell_cutoff, local_order_analysis, bond_network):
        try:
            found = analyse(glass)
        except InputError as error:
            found = str(error)
        assert not isinstance(found, str) or found.endswith(".")


@pytest.mark.parametrize(
    ("name", "how", "expected"),
    [
        ("sc", "2x2x2", (7, 14, 7)),
        ("sc", "3x3x3", (26, 52, 26)),
        ("fcc, cubic", "2x2x2", (31, 158, 95)),
    ],
)
def test_small_crystals_have_their_exact_numbers_of_classes(name, how, expected):
    glass = Glass.from_ase(CRYSTALS[name].repeat(int(how[0])))
    persistence = persistence_of(glass)[1]
    assert tuple(len(persistence.rows(dimension)) for dimension in range(3)) == expected


@pytest.mark.parametrize("name", CRYSTALS)
def test_persistence_depends_on_the_torus_alone(name):
    for place, how in enumerate(["as it is", "3x2x1", "skewed"]):
        plain = written(name, how)
        if len(plain) > 12:
            continue
        alpha, persistence = persistence_of(plain)
        assert persistence.betti_numbers() == (1, 3, 3, 1)  # of the 3-torus
        simplices = (alpha.edges, alpha.triangles, alpha.tetrahedra)
        n_edges, n_triangles, n_tetrahedra = (len(np.unique(each.number)) for each in simplices)
        assert len(plain) - n_edges + n_triangles - n_tetrahedra == 0  # Euler, on the torus of the cell
        counts = [len(persistence.rows(dimension)) for dimension in range(3)]
        assert counts[0] == len(plain) - 1
        if family(name) in RINGS_AND_VOIDS:
            rings, voids = RINGS_AND_VOIDS[family(name)]
            assert counts[1:] == [rings * len(plain) - 2, voids * len(plain) - 1]
        again = persistence_of(written(name, how, place))[1]
        for dimension in range(3):
            one, other = (np.round(found.diagram(dimension), 6) for found in (persistence, again))
            np.testing.assert_allclose(one[np.lexsort(one.T)], other[np.lexsort(other.T)], atol=3e-6)


@pytest.mark.parametrize("name", ["sc", "bcc", "fcc, cubic", "hcp", "diamond", "omega"])
def test_persistence_of_a_crystal_is_stable(name):
    """Atoms moved by less than a distance move no class by more (Cohen-Steiner, Edelsbrunner, Harer, 2007)."""
    glass = written(name, "2x2x2")
    largest = 0.02
    random = np.random.default_rng(0)
    step = random.normal(size=glass.positions.shape)
    step *= largest / np.linalg.norm(step, axis=1, keepdims=True)
    moved = Glass(glass.positions + step, glass.numbers, glass.cell)
    before, after = (persistence_of(one)[1] for one in (glass, moved))
    for dimension in range(3):
        assert bottleneck_distance(before.diagram(dimension), after.diagram(dimension)) <= largest + 1e-9


@pytest.mark.parametrize("name", ["sc", "bcc", "fcc", "hcp", "B2", "graphite"])
def test_rings_of_narrow_cells_have_closed_cycles(name):
    glass = written(name, "1x1x3")
    topology = compute_topology(glass, 4.5)
    assert len(topology.cycles) == len(topology.persistence.rows(1)) > 0
    for cycle in range(len(topology.cycles)):
        path = topology.cycles.path(glass, cycle)
        assert (np.bincount(np.concatenate([path.source, path.target])) % 2 == 0).all()
        assert len(path) > 1


def random_small_glass(seed: int, n_atoms: int) -> Glass:
    """Atoms at least 1.6 Å apart in a random triclinic cell at the density of a metal."""
    random = np.random.default_rng(seed)
    cell = np.eye(3) + random.uniform(-0.25, 0.25, (3, 3))
    cell *= (n_atoms / 0.06 / abs(np.linalg.det(cell))) ** (1 / 3)
    shifts = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T @ cell
    placed: list[np.ndarray] = []
    while len(placed) < n_atoms:
        new = random.random(3) @ cell
        if all(np.linalg.norm(new - old + shifts, axis=1).min() > 1.6 for old in placed):
            placed.append(new)
    return Glass(np.array(placed), random.choice([29, 40], n_atoms), cell)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000), n_atoms=st.integers(1, 6), repeat=st.sampled_from([(2, 1, 1), (1, 2, 2), (1, 1, 3)])
)
def test_values_of_an_atom_are_those_of_its_copies(seed, n_atoms, repeat):
    small = random_small_glass(seed, n_atoms)
    large = Glass.from_ase(small.to_ase().repeat(repeat))
    copies = len(large) // n_atoms
    one, many = radial_distribution(small), radial_distribution(large)
    np.testing.assert_array_equal(one.minima, many.minima)
    orders = [local_order_analysis(glass, cutoff=3.7).to_frame().drop(columns="atom") for glass in (small, large)]
    numeric = orders[0].select_dtypes("number").columns
    expected = np.tile(orders[0][numeric].to_numpy(dtype=float), (copies, 1))
    np.testing.assert_allclose(orders[1][numeric].to_numpy(dtype=float), expected, atol=1e-6)
    assert orders[1]["index"].tolist() == orders[0]["index"].tolist() * copies
    rings = [bond_network(glass, cutoff=4.0, largest_ring=3).primitive.per_atom for glass in (small, large)]
    np.testing.assert_allclose(rings[1], np.tile(rings[0], (copies, 1)))
    joined = [polyhedron_connections(voronoi_cells(glass), np.arange(len(glass))) for glass in (small, large)]
    for kind in ("vertex", "edge", "face", "volume"):
        np.testing.assert_array_equal(joined[1].per_atom(kind), np.tile(joined[0].per_atom(kind), copies))
