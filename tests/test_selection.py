"""Words for atoms: what each means, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.glass import Glass
from symgnn_explain.selection import centre_of, require_atoms, select_atoms


def moved(glass: Glass, shift: np.ndarray) -> Glass:
    return Glass(glass.positions + shift, glass.numbers, glass.cell, pbc=glass.pbc, barriers=glass.barriers)


def distance_to(glass: Glass, point: np.ndarray) -> np.ndarray:
    """Shortest distance to any image of a point, by trying 125 of them."""
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ glass.cell
    return np.linalg.norm(glass.positions[:, None] - point - images, axis=2).min(1)


def test_all_are_all(glass: Glass) -> None:
    np.testing.assert_array_equal(select_atoms(glass, "all"), np.arange(len(glass)))


def test_numbers_are_taken_as_they_stand(glass: Glass) -> None:
    assert select_atoms(glass, " 12, 57,3").tolist() == [12, 57, 3]
    assert select_atoms(glass, "7").tolist() == [7]


@pytest.mark.parametrize("shear", [0.0, 0.4])
@pytest.mark.parametrize("centred", [False, True])
def test_central_atoms_are_the_nearest_to_the_centre_of_their_cell(
    random_glass: Callable[..., Glass], shear: float, centred: bool
) -> None:
    glass = random_glass(5, shear=shear)
    middle = glass.cell.sum(0) / 2
    if centred:
        glass = moved(glass, -middle)
    point = np.zeros(3) if centred else middle
    np.testing.assert_allclose(centre_of(glass), point, atol=1e-12)
    distance = distance_to(glass, point)
    chosen = select_atoms(glass, "central:20")
    np.testing.assert_allclose(distance[chosen], np.sort(distance)[:20], atol=1e-9)
    np.testing.assert_array_equal(chosen[:7], select_atoms(glass, "central:7"))


def test_central_atoms_are_the_paper_s_in_a_published_glass(published: Callable[[str], Glass]) -> None:
    glass = published("train0")
    nearest_the_origin = np.argsort(np.linalg.norm(glass.positions, axis=1), kind="stable")[:50]
    np.testing.assert_array_equal(select_atoms(glass, "central:50"), nearest_the_origin)


def test_without_periodicity_the_middle_of_the_atoms_counts(random_glass: Callable[..., Glass]) -> None:
    glass = random_glass(4, pbc=False)
    far_away = moved(glass, np.array([100.0, -30.0, 7.0]))
    np.testing.assert_array_equal(select_atoms(glass, "central:9"), select_atoms(far_away, "central:9"))
    middle = (glass.positions.min(0) + glass.positions.max(0)) / 2
    np.testing.assert_allclose(centre_of(glass), middle, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), few=st.integers(1, 64), more=st.integers(0, 63))
def test_random_atoms_are_distinct_and_the_fewer_begin_the_more(
    random_glass: Callable[..., Glass], seed: int, few: int, more: int
) -> None:
    glass = random_glass(4)
    many = min(few + more, len(glass))
    chosen = select_atoms(glass, f"random:{many}", seed=seed)
    assert len(set(chosen.tolist())) == many
    np.testing.assert_array_equal(select_atoms(glass, f"random:{few}", seed=seed), chosen[:few])


def test_another_seed_chooses_others(glass: Glass) -> None:
    first, second = (select_atoms(glass, "random:20", seed=seed).tolist() for seed in (0, 1))
    assert set(first) != set(second)


def test_softest_and_hardest_are_the_ends_of_one_order(glass: Glass) -> None:
    assert glass.barriers is not None
    softest, hardest = (select_atoms(glass, f"{word}:{len(glass)}") for word in ("softest", "hardest"))
    np.testing.assert_array_equal(softest, hardest[::-1])
    assert (np.diff(glass.barriers[softest]) >= 0).all()
    np.testing.assert_array_equal(select_atoms(glass, "softest:5", barriers=-glass.barriers), hardest[:5])


def test_species_share_out_all_atoms(glass: Glass) -> None:
    parts = [select_atoms(glass, f"species:{symbol}") for symbol in glass.species]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(glass)))
    assert {glass.symbols[atom] for atom in parts[1]} == {glass.species[1]}


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ("", "write all, central:50"),
        ("middle:5", "write all, central:50"),
        ("central", "write all, central:50"),
        ("1,x", "write all, central:50"),
        ("-1", "write all, central:50"),
        ("1,,2", "write all, central:50"),
        ("central:0", "a number from 1"),
        ("central:few", "a number from 1"),
        ("random:-3", "a number from 1"),
        ("random:217", "it has 216"),
        ("species:Al", "it has Cu, Zr"),
        ("species:", "it has Cu, Zr"),
        ("5,9,5", "atom 5 was named more than once"),
        ("216", "does not exist"),
    ],
)
def test_words_that_are_refused(glass: Glass, selection: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        select_atoms(glass, selection)


def test_barriers_are_needed_and_checked(random_glass: Callable[..., Glass]) -> None:
    glass = random_glass(3, barriers=False)
    with pytest.raises(InputError, match="predict them first"):
        select_atoms(glass, "softest:5")
    with pytest.raises(InputError, match=r"expected \(27,\)"):
        select_atoms(glass, "softest:5", barriers=np.ones(26))


def test_no_atoms_are_refused(glass: Glass) -> None:
    with pytest.raises(InputError, match="name at least one"):
        require_atoms(glass, [])
