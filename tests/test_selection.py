"""Words for atoms: what each means, and what is refused."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.radial import first_shell_cutoff
from symgnn_explain.structure.selection import centre_of, require_atoms, select_atoms


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
    np.testing.assert_array_equal(select_atoms(glass, "softest:5", predictions=-glass.barriers), hardest[:5])


def test_species_share_out_all_atoms(glass: Glass) -> None:
    parts = [select_atoms(glass, f"species:{symbol}") for symbol in glass.species]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(glass)))
    assert {glass.symbols[atom] for atom in parts[1]} == {glass.species[1]}


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ("", "write all, central:50"),
        ("middle:5", "write all, central:50"),
        ("central", "after 'central' comes a number from 1"),
        ("centrl:5", "did you mean 'central'"),
        ("species Zr random:2", "'random' was not expected there .two conditions need 'and' or 'or'"),
        ("species Zr und index 5", "'und' was not expected there .did you mean 'and'"),
        ("(all", "a bracket is not closed"),
        ("all)", "was not expected"),
        ("within of 5", "a length in Å"),
        ("within 0 of 5", "a length in Å"),
        ("within 1e999 of 5", "positive and finite"),
        ("within 5", "needs 'of' and atoms"),
        ("neighbours 5", "needs 'of' and atoms"),
        ("barier < 1.2", "did you mean 'barrier'"),
        ("barrier < Zr", "'barrier' is a number"),
        ("barrier <", "something is missing|stands where a value"),
        ("1 < 2", "with a name only"),
        ("9 to 5", "runs backwards"),
        ("selected", "nothing can be selected"),
        ("barrier < -5", "no atom of 'random' is in the selection"),
        ("not all", "widen it"),
        ("(" * 500 + "all" + ")" * 500, "use 200 at most"),
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


PARTS = ("all", "species Zr", "barrier < 1.6", "softest 20", "within 4 of 7", "neighbours of 30", "x > 5", "3, 9, 100")
JOINTS = ("and", "or", "not", "(", ")", "within", "of", "<", "7", ",")


def refusal(glass: Glass, selection: str) -> str:
    """What is said about a selection that is refused; nothing about others."""
    try:
        select_atoms(glass, selection)
    except InputError as error:
        return str(error)
    return ""


def chosen(glass: Glass, selection: str) -> set[int]:
    return set(select_atoms(glass, selection, allow_none=True).tolist())


@settings(deadline=None)
@given(left=st.sampled_from(PARTS), right=st.sampled_from(PARTS))
def test_sets_obey_their_laws(random_glass: Callable[..., Glass], left: str, right: str) -> None:
    glass = random_glass(5)
    one, other = chosen(glass, left), chosen(glass, right)
    assert chosen(glass, f"{left} and {right}") == one & other
    assert chosen(glass, f"{left} or {right}") == one | other
    assert chosen(glass, f"not {left}") == set(range(len(glass))) - one
    assert chosen(glass, f"not ({left} and {right})") == chosen(glass, f"not {left} or not {right}")
    assert chosen(glass, f"not ({left} or {right})") == chosen(glass, f"not {left} and not {right}")
    assert chosen(glass, f"all and ({left} or {right}) and not ({left} and {right})") == one ^ other


def test_and_binds_tighter_than_or(glass: Glass) -> None:
    loose = select_atoms(glass, "5 or species Zr and softest 30")
    np.testing.assert_array_equal(loose, select_atoms(glass, "5 or (species Zr and softest 30)"))
    assert chosen(glass, "(5 or species Zr) and softest 30") != set(loose.tolist())


def test_the_first_part_gives_the_order(glass: Glass) -> None:
    softest = select_atoms(glass, "softest 40").tolist()
    zirconium = set(select_atoms(glass, "species Zr").tolist())
    assert select_atoms(glass, "softest 40 and species Zr").tolist() == [a for a in softest if a in zirconium]
    assert select_atoms(glass, "9 or 3 or 9").tolist() == [9, 3]


@settings(deadline=None)
@given(
    seed=st.integers(0, 20),
    shear=st.sampled_from([0.0, 0.4]),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    radius=st.floats(0.5, 16.0),
    atoms=st.lists(st.integers(0, 26), min_size=1, max_size=4, unique=True),
)
def test_within_is_what_trying_all_images_gives(
    random_glass: Callable[..., Glass],
    seed: int,
    shear: float,
    pbc: tuple[bool, bool, bool],
    radius: float,
    atoms: list[int],
) -> None:
    glass = random_glass(3, seed=seed, shear=shear, pbc=pbc)
    counts = [np.arange(-4, 5) if periodic else np.zeros(1) for periodic in pbc]
    images = np.stack(np.meshgrid(*counts, indexing="ij"), axis=-1).reshape(-1, 3) @ glass.cell
    between = glass.positions[:, None, None] - glass.positions[atoms][:, None] - images
    distance = np.linalg.norm(between, axis=-1).min(axis=(1, 2))
    found = chosen(glass, f"within {radius!r} of ({','.join(map(str, atoms))})")
    assert set(np.flatnonzero(distance < radius - 1e-9)) <= found <= set(np.flatnonzero(distance < radius + 1e-9))


def test_a_huge_radius_is_all(random_glass: Callable[..., Glass]) -> None:
    for pbc in (True, False, (True, False, True)):
        assert len(select_atoms(random_glass(3, pbc=pbc), "within 1e12 of 0")) == 27


def test_neighbours_are_the_first_shell_without_the_atoms_themselves(glass: Glass) -> None:
    reach = first_shell_cutoff(glass)
    distance = np.linalg.norm(glass.displacements_from(12), axis=1)
    assert chosen(glass, "neighbours of 12") == set(np.flatnonzero((distance <= reach) & (distance > 0)))
    assert chosen(glass, "neighbors of (12, 13)") == chosen(glass, f"within {reach} of (12, 13) and not 12,13")


def test_per_atom_arrays_are_named(glass: Glass) -> None:
    force = np.arange(3.0 * len(glass)).reshape(-1, 3)
    labels = np.array(["odd" if atom % 2 else "even" for atom in range(len(glass))])
    carrying = glass.with_arrays(energy=np.arange(len(glass)) - 5.0, force=force, kind=labels, **{"c pe": force[:, 0]})
    assert chosen(carrying, "energy <= -4") == {0, 1}
    assert chosen(carrying, "-4 <= energy < -2") == {1, 2}
    assert chosen(carrying, "force[2] > 600") == set(np.flatnonzero(force[:, 2] > 600))
    assert chosen(carrying, "kind = odd and index < 4") == {1, 3}
    assert chosen(carrying, "'c pe' == 3") == {1}
    given_values = select_atoms(carrying, "error > 0.5", values={"error": np.eye(len(glass))[7]})
    assert given_values.tolist() == [7]
    with pytest.raises(InputError, match="is text"):
        select_atoms(carrying, "kind < odd")


def test_barrier_is_the_predicted_one_where_there_is_one(glass: Glass) -> None:
    predicted = np.linspace(1, 2, len(glass))
    few = select_atoms(glass, "barrier < 1.01", predictions=predicted)
    assert few.tolist() == [0, 1, 2]
    known = select_atoms(glass, "known_barrier < 1.2", predictions=predicted)
    np.testing.assert_array_equal(known, np.flatnonzero(glass.barriers < 1.2))


def test_selected_are_those_that_are(glass: Glass) -> None:
    assert select_atoms(glass, "selected and not 3", selected=[8, 3, 1]).tolist() == [8, 1]


@settings(deadline=None)
@given(text=st.text(max_size=30))
def test_whatever_is_typed_is_understood_or_refused_in_a_sentence(
    random_glass: Callable[..., Glass], text: str
) -> None:
    said = refusal(random_glass(3), text)
    assert not said or said.endswith(".")


@given(words=st.lists(st.sampled_from([*PARTS, *JOINTS]), max_size=9))
def test_whatever_words_are_joined_are_understood_or_refused(
    random_glass: Callable[..., Glass], words: list[str]
) -> None:
    said = refusal(random_glass(5), " ".join(words))
    assert not said or any(part in said for part in ("cannot be", "no atom", "more than once"))


def test_barriers_are_needed_and_checked(random_glass: Callable[..., Glass]) -> None:
    glass = random_glass(3, barriers=False)
    with pytest.raises(InputError, match="predict them first"):
        select_atoms(glass, "softest:5")
    with pytest.raises(InputError, match=r"expected \(27,\)"):
        select_atoms(glass, "softest:5", predictions=np.ones(26))


def test_no_atoms_are_refused(glass: Glass) -> None:
    with pytest.raises(InputError, match="name at least one"):
        require_atoms(glass, [])


HUGE = (
    *("index 0 to 9999999999", "0 to 9999999999", "9999999999", f"index {'9' * 5000}", f"central:{'9' * 5000}"),
    *("central:9999999999", "random:9999999999", ",".join(["0 to 26"] * 10_000), "index 0 to 999999999999999999"),
    *("(" * 5000 + "all" + ")" * 5000, "not " * 100 + "all", "within 5 of " * 100 + "all", "neighbours of " * 50 + "0"),
    *("x" * 10**6 + "y", "x" * 10**5 + " > 1", "species " + "Q" * 10**5, "within 1e999 of 0", f"'{'q' * 10**5}' > 1"),
    "(" * 41 + "all" + ")" * 41,
)


@pytest.mark.parametrize("words", HUGE, ids=lambda words: words[:24])
def test_no_words_take_much_memory_or_time(random_glass: Callable[..., Glass], words: str) -> None:
    glass = random_glass(3)
    started = time.monotonic()
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        select_atoms(glass, words)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    assert time.monotonic() - started < 20
    assert len(str(caught.value)) < 1500
    assert "\n" not in str(caught.value)


def test_deep_but_readable_selections_are_answered(random_glass: Callable[..., Glass]) -> None:
    glass = random_glass(3)
    assert len(select_atoms(glass, "(" * 30 + "all" + ")" * 30)) == len(glass)
    assert len(select_atoms(glass, "not " * 30 + "all")) == len(glass)
    assert select_atoms(glass, "index 2 to 4, 0, 8 to 8").tolist() == [2, 3, 4, 0, 8]
