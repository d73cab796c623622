from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import get_distances
from ase.io import read, write
from hypothesis import given
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass, atomic_number


def small(**changes: Any) -> Glass:
    content: dict[str, Any] = {
        "positions": [[0.0, 0.0, 0.0], [2.5, 0.0, 0.0], [0.0, 2.6, 0.1]],
        "numbers": [29, 40, 29],
        "cell": [[6.0, 0.0, 0.0], [1.0, 7.0, 0.0], [0.5, -1.0, 8.0]],
        "pbc": [True, False, True],
        "barriers": [1.5, 1.7, 2.0],
        "name": "small",
        "provenance": {"made by": "hand"},
        "arrays": {"potential_energy": [-4.0, -5.0, -4.1], "velocity": np.arange(9.0).reshape(3, 3)},
    }
    return Glass(**(content | changes))


def one_sentence(error: pytest.ExceptionInfo[InputError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) > 20
    return message


class TestImmutability:
    def test_attributes_cannot_be_set(self) -> None:
        glass = small()
        with pytest.raises(FrozenInstanceError):
            glass.name = "other"  # type: ignore[misc]

    @pytest.mark.parametrize("attribute", ["positions", "numbers", "cell", "pbc", "barriers"])
    def test_arrays_cannot_be_written(self, attribute: str) -> None:
        with pytest.raises(ValueError, match="read-only"):
            getattr(small(), attribute)[0] = 0

    def test_further_arrays_and_provenance_cannot_be_written(self) -> None:
        glass = small()
        with pytest.raises(ValueError, match="read-only"):
            glass.arrays["potential_energy"][0] = 0
        with pytest.raises(TypeError):
            glass.arrays["other"] = np.zeros(3)  # type: ignore[index]
        with pytest.raises(TypeError):
            glass.provenance["other"] = "x"  # type: ignore[index]

    def test_what_was_given_stays_writable_and_apart(self) -> None:
        positions, energies, provenance = np.eye(3) * 3, np.zeros(3), {"a": "b"}
        glass = small(positions=positions, arrays={"energy": energies}, provenance=provenance)
        positions[0, 0], energies[0], provenance["a"] = 99.0, 99.0, "c"
        assert glass.positions[0, 0] == 3.0
        assert glass.arrays["energy"][0] == 0.0
        assert glass.provenance["a"] == "b"

    def test_with_arrays_returns_a_copy(self) -> None:
        glass = small()
        richer = glass.with_arrays(hop=[0, 1, 2])
        assert set(richer.arrays) == {"potential_energy", "velocity", "hop"}
        assert "hop" not in glass.arrays


class TestValidation:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"positions": [[0, 0, np.nan], [2, 0, 0], [0, 2, 0]]}, r"positions are not finite .* in 1 row\(s\), 0"),
            ({"positions": [[0, 0, 0], [2, 0, 0], [0, np.inf, 0]]}, r"positions are not finite .* 2"),
            ({"positions": [[0, 0], [1, 1], [2, 2]]}, r"\(3, 2\), expected \(N, 3\)"),
            ({"positions": np.zeros((0, 3))}, r"\(0, 3\), expected \(N, 3\) with N ≥ 1"),
            ({"positions": [[0, 0, 0], [1, 1], [2, 2, 2]]}, "positions are not numbers of one shape"),
            ({"positions": [["a", "b", "c"]] * 3}, "positions are not numbers"),
            ({"cell": np.eye(3)[:2]}, r"\(2, 3\), expected \(3, 3\)"),
            ({"cell": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]}, "singular"),
            ({"cell": np.zeros((3, 3))}, "singular"),
            ({"cell": np.full((3, 3), np.nan)}, "cell vectors are not finite"),
            ({"pbc": [True, False]}, r"pbc has shape \(2,\), expected \(3,\)"),
            ({"numbers": [29, 40]}, "2 atomic numbers were given for 3 positions"),
            ({"numbers": [29, 40, 0]}, r"unknown species with atomic number \[0\]"),
            ({"numbers": [29, 40, 119]}, r"unknown species with atomic number \[119\]"),
            ({"numbers": [29.5, 40, 29]}, "atomic numbers must be whole"),
            ({"numbers": [np.nan, 40, 29]}, "atomic numbers are not finite"),
            ({"numbers": ["Cu", "Zr", "Cu"]}, "atomic numbers are not numbers"),
            ({"barriers": [1.0, 2.0]}, r"\(2,\), expected \(3,\)"),
            ({"barriers": [np.nan, np.inf, 2.0]}, r"barriers are not finite .* in 1 row\(s\), 1"),
            ({"arrays": {"energy": [1.0]}}, r"array 'energy' has shape \(1,\), expected 3 rows"),
            ({"arrays": {"energy": 1.0}}, r"array 'energy' has shape \(\), expected 3 rows"),
        ],
    )
    def test_says_what_is_wrong(self, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(InputError, match=said) as error:
            small(**changes)
        one_sentence(error)

    def test_a_long_list_of_bad_rows_is_shortened(self) -> None:
        with pytest.raises(InputError, match=r"in 50 row\(s\), 0, 1, 2, 3, 4 …") as error:
            small(positions=np.full((50, 3), np.nan))
        one_sentence(error)

    @pytest.mark.parametrize("atom", [-1, 3, 10**6])
    def test_a_missing_atom_is_refused(self, atom: int) -> None:
        with pytest.raises(
            InputError, match=f"atom {atom} does not exist: 'small' has 3 atoms, numbered 0 to 2"
        ) as error:
            small().require_atom(atom)
        one_sentence(error)

    @pytest.mark.parametrize("atom", [1.0, "1", None])
    def test_only_whole_numbers_name_atoms(self, atom: Any) -> None:
        with pytest.raises(InputError, match="whole number"):
            small().require_atom(atom)

    def test_numpy_integers_name_atoms(self) -> None:
        assert type(small().require_atom(np.int32(2))) is int

    def test_one_truth_for_all_directions(self) -> None:
        assert small(pbc=False).pbc.tolist() == [False] * 3

    def test_symbols_of_elements(self) -> None:
        assert (atomic_number("Cu"), atomic_number("Zr")) == (29, 40)
        for unknown in ("X", "Cuu", "", "cu"):
            with pytest.raises(InputError, match="unknown species"):
                atomic_number(unknown)


class TestDescription:
    def test_composition(self) -> None:
        glass = small()
        assert glass.species == ("Cu", "Zr")
        assert glass.symbols == ["Cu", "Zr", "Cu"]
        assert glass.formula == "Cu2Zr1"
        assert glass.volume == pytest.approx(6 * 7 * 8)
        assert glass.number_density == pytest.approx(3 / 336)
        assert repr(glass) == "Glass('small', Cu2Zr1, 0.0089 atoms/Å³, with barriers)"
        assert len(glass) == 3

    def test_volume_of_a_left_handed_cell_is_positive(self) -> None:
        assert small(cell=np.diag([6.0, 7.0, -8.0])).volume == pytest.approx(336)

    @given(atom=st.integers(0, 2), periodic=st.tuples(st.booleans(), st.booleans(), st.booleans()))
    def test_displacements_are_the_shortest_of_all_images(self, atom: int, periodic: tuple[bool, bool, bool]) -> None:
        glass = small(pbc=periodic, positions=[[0.0, 0.0, 0.0], [5.5, 6.0, 0.0], [-9.0, 2.6, 20.1]])
        vectors = glass.displacements_from(atom)
        images = np.array(np.meshgrid(*[range(-5, 6) if p else [0] for p in periodic], indexing="ij")).reshape(3, -1).T
        every = (glass.positions - glass.positions[atom])[:, None] + images @ glass.cell
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.linalg.norm(every, axis=2).min(1), atol=1e-9)
        _, distance = get_distances(glass.positions[[atom]], glass.positions, cell=glass.cell, pbc=glass.pbc)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), distance[0], atol=1e-9)


class TestRoundTrips:
    @staticmethod
    def assert_equal(first: Glass, second: Glass) -> None:
        assert first.content_hash == second.content_hash
        assert first.name == second.name
        assert dict(first.provenance) == dict(second.provenance)
        assert (first.barriers is None) == (second.barriers is None)
        if first.barriers is not None:
            np.testing.assert_array_equal(first.barriers, second.barriers)
        assert set(first.arrays) == set(second.arrays)
        for key in first.arrays:
            np.testing.assert_array_equal(first.arrays[key], second.arrays[key])

    @pytest.mark.parametrize("barriers", [None, [1.0, 2.0, 3.0]])
    def test_ase_keeps_everything(self, barriers: list[float] | None) -> None:
        glass = small(barriers=barriers)
        self.assert_equal(Glass.from_ase(glass.to_ase()), glass)

    def test_an_extended_xyz_file_keeps_everything(self, tmp_path: Any) -> None:
        glass = small()
        write(tmp_path / "glass.extxyz", glass.to_ase())
        self.assert_equal(Glass.from_ase(read(tmp_path / "glass.extxyz")), glass)

    def test_changing_the_atoms_leaves_the_glass(self) -> None:
        glass = small()
        before = glass.content_hash
        atoms = glass.to_ase()
        atoms.positions += 1.0
        atoms.arrays["barrier"][:] = 0.0
        assert glass.content_hash == before
        assert glass.barriers is not None
        assert glass.barriers.min() > 1

    def test_names_and_provenance_from_ase(self) -> None:
        atoms = Atoms("CuZr", positions=[[0, 0, 0], [2.5, 0, 0]], cell=[5, 5, 5], pbc=True)
        assert Glass.from_ase(atoms).name == "glass"
        named = Glass.from_ase(atoms, name="mine", provenance={"file": "a.xyz"})
        assert (named.name, dict(named.provenance)) == ("mine", {"file": "a.xyz"})

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda glass: pickle.loads(pickle.dumps(glass))])
    def test_copies_are_equal_and_immutable(self, duplicate: Any) -> None:
        glass = small()
        other = duplicate(glass)
        self.assert_equal(other, glass)
        with pytest.raises(ValueError, match="read-only"):
            other.positions[0] = 0


class TestContentHash:
    @pytest.mark.parametrize(
        "changes",
        [
            {"positions": [[0.0, 0.0, 1e-12], [2.5, 0.0, 0.0], [0.0, 2.6, 0.1]]},
            {"numbers": [40, 29, 29]},
            {"cell": np.diag([6.0, 7.0, 8.0])},
            {"pbc": True},
        ],
    )
    def test_another_structure_has_another_hash(self, changes: dict[str, Any]) -> None:
        assert small(**changes).content_hash != small().content_hash

    def test_labels_do_not_matter(self) -> None:
        glass = small()
        assert replace(glass, barriers=None, name="other", provenance={}, arrays={}).content_hash == glass.content_hash

    def test_equal_numbers_of_other_types_have_equal_hashes(self) -> None:
        positions = np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0]])
        as_integers = small(positions=positions, numbers=np.array([29, 40, 29], dtype=np.int32))
        as_floats = small(positions=positions.astype(np.float32) * np.array([-1, 1, 1]) * np.array([-1, 1, 1]))
        negative_zero = small(positions=np.where(positions == 0, -0.0, positions))
        assert as_integers.content_hash == as_floats.content_hash == negative_zero.content_hash


def test_fractional_coordinates_and_heights_of_a_triclinic_cell(random_glass):
    glass = random_glass(3, shear=0.3)
    np.testing.assert_allclose(glass.fractional() @ glass.cell, glass.positions)
    vectors = np.array([glass.cell[0] - 2 * glass.cell[2], glass.cell.sum(axis=0) / 2])
    np.testing.assert_allclose(glass.fractional(vectors), [[1, 0, -2], [0.5, 0.5, 0.5]], atol=1e-12)
    np.testing.assert_allclose(glass.fractional(vectors[0]), [1, 0, -2], atol=1e-12)
    faces = [np.linalg.norm(np.cross(*np.delete(glass.cell, side, axis=0))) for side in range(3)]
    np.testing.assert_allclose(glass.heights() * faces, glass.volume)


@pytest.mark.parametrize("names", [(1, "1"), ("a\udce4", "a\\xe4")])
def test_two_arrays_of_one_name_are_refused(names: tuple[Any, Any]) -> None:
    with pytest.raises(InputError, match="two arrays are called"):
        small(arrays={name: np.full(3, place) for place, name in enumerate(names)})


@pytest.mark.parametrize("pbc", ["FFF", ["F", "F", "F"], [None, None, None]])
def test_words_are_no_periodicity(pbc: object) -> None:
    with pytest.raises(InputError, match="no flags: give True or False"):
        Glass(positions=np.zeros((1, 3)), numbers=[29], cell=9 * np.eye(3), pbc=pbc)  # type: ignore[arg-type]


def test_flags_are_no_barriers() -> None:
    with pytest.raises(InputError, match="barriers are flags"):
        Glass(positions=np.zeros((1, 3)), numbers=[29], cell=9 * np.eye(3), barriers=np.array([True]))  # type: ignore[arg-type]
