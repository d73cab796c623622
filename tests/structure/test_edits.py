"""Edits: what each changes and leaves, words and records that say the same, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain import Glass, InputError, datasets
from symgnn_explain.structure.edits import (
    ATOM_BEFORE,
    EDITED_FROM,
    Insert,
    Move,
    Paste,
    Remove,
    Strain,
    Swap,
    Turn,
    apply_edits,
    read_edits,
)


@pytest.fixture(scope="module")
def glass() -> Glass:
    return datasets.sample("cu50zr50")


def test_swap_keeps_places_and_composition(glass: Glass) -> None:
    copper, zirconium = (int(np.flatnonzero(glass.numbers == number)[3]) for number in (29, 40))
    swapped = apply_edits(glass, [Swap(copper, zirconium)]).glass
    assert swapped.formula == glass.formula
    assert (swapped.positions == glass.positions).all()
    assert swapped.symbols[copper] == "Zr"
    assert swapped.symbols[zirconium] == "Cu"
    assert np.flatnonzero(swapped.numbers != glass.numbers).tolist() == sorted([copper, zirconium])
    assert apply_edits(swapped, [Swap(zirconium, copper)]).glass.content_hash == glass.content_hash


def test_edits_number_atoms_as_those_before_left_them(glass: Glass) -> None:
    empty = glass.positions[10]
    edits = [Remove((0, 5)), Insert("Zr", tuple(empty)), Move((0,), (0.1, 0.0, 0.0))]
    with pytest.raises(InputError, match=r"atoms 998 \(Zr\) and 8 "):
        apply_edits(glass, edits)
    edits[0] = Remove((0, 5, 10))
    edited, origin = apply_edits(glass, edits)
    assert len(edited) == len(glass) - 2
    assert origin[:6].tolist() == [1, 2, 3, 4, 6, 7]
    assert origin[-1] == -1
    kept = origin >= 0
    moved = edited.positions[kept] - glass.positions[origin[kept]]
    np.testing.assert_allclose(moved[0], [0.1, 0, 0], atol=1e-12)
    assert not moved[1:].any()
    assert (edited.numbers[kept] == glass.numbers[origin[kept]]).all()
    assert (edited.arrays[ATOM_BEFORE] == origin).all()
    assert edited.provenance[EDITED_FROM] == glass.content_hash


def test_a_pasted_motif_stands_as_it_stood_and_nothing_is_in_its_way(glass: Glass) -> None:
    [edit] = read_edits("paste within 3.4 of 57 from 57 to 12", glass)
    assert isinstance(edit, Paste)
    assert read_edits(str(edit), glass) == [edit]
    motif = np.array(edit.atoms)
    around = glass.displacements_from(57)[motif]
    assert 57 in motif
    assert sorted(motif) == np.flatnonzero(np.linalg.norm(glass.displacements_from(57), axis=1) < 3.4).tolist()
    edited, origin = apply_edits(glass, [edit])
    pasted = np.flatnonzero(origin < 0)
    assert pasted.tolist() == list(range(len(edited) - len(motif), len(edited)))
    assert [edited.symbols[atom] for atom in pasted] == [glass.symbols[atom] for atom in motif]
    centre = int(pasted[motif.tolist().index(57)])
    np.testing.assert_allclose(edited.displacements_from(centre)[pasted], around, atol=1e-9)
    np.testing.assert_allclose(edited.positions[centre], glass.positions[12], atol=1e-9)
    # Who was in the way is gone, the atom at the place itself among them, and nobody else.
    gone = np.setdiff1d(np.arange(len(glass)), origin)
    assert 12 in gone
    reach = np.linalg.norm(glass.displacements_from(12)[gone][:, None] - around, axis=2).min(axis=1)
    assert reach.max() < 0.75 * 2 * 1.75
    kept = origin[origin >= 0]
    assert (edited.positions[: len(kept)] == glass.positions[kept]).all()
    closest = [np.sort(np.linalg.norm(edited.displacements_from(int(atom)), axis=1))[1] for atom in pasted]
    assert min(closest) > 0.75 * 2 * 1.32


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("paste within 3 of 57 from 57 to 57", "name another atom"),
        ("paste within 3 of 57 to 12", "write it as in paste"),
        ("paste within 3 of 57 from 57 to 99999", "99999"),
    ],
)
def test_what_cannot_be_pasted(glass: Glass, words: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_edits(words, glass)


def test_what_was_known_of_the_atoms_before_is_left_out(glass: Glass) -> None:
    labelled = Glass.from_ase(glass.to_ase()).with_arrays(forces=np.ones((len(glass), 3)))
    atoms = labelled.to_ase()
    atoms.set_array("barrier", np.full(len(glass), 1.5))
    edited = apply_edits(Glass.from_ase(atoms), [Turn((1,), "Cu" if glass.symbols[1] == "Zr" else "Zr")]).glass
    assert edited.barriers is None
    assert set(edited.arrays) == {ATOM_BEFORE}


@pytest.mark.parametrize(
    ("edit", "volume", "pair"),
    [
        (Strain("", 0.01), 1.01**3, [1.01, 1.01, 1.01]),
        (Strain("z", -0.02), 0.98, [1, 1, 0.98]),
        (Strain("xy", 0.1), 1.0, [1.1, 1, 1]),
    ],
)
def test_strain(glass: Glass, edit: Strain, volume: float, pair: list[float]) -> None:
    strained = apply_edits(glass, [edit]).glass
    assert strained.volume / glass.volume == pytest.approx(volume)
    diagonal = np.linalg.solve(glass.positions[:3], strained.positions[:3]).T @ np.ones(3)
    np.testing.assert_allclose(diagonal, pair, rtol=1e-9)
    # Atoms keep their place in the cell.
    np.testing.assert_allclose(strained.fractional(), glass.fractional(), atol=1e-12)


def test_words_and_records_say_the_same(glass: Glass) -> None:
    other = int(np.flatnonzero(glass.numbers != glass.numbers[12])[0])
    place = apply_edits(glass, [Strain("xy", 0.01), Strain("", -0.005)]).glass.positions[3]  # empty once 3 is removed
    words = (
        f"swap species 12,{other}; turn species Cu and within 3 of 12 into Zr; move 7 to 8 by 0.05,0,-0.05; "
        f"remove selected; strain xy 1%; strain -0.5 %; insert Cu at {place[0]} {place[1]} {place[2]} Å"
    )
    edits = read_edits(words, glass, selected=[3])
    assert [type(edit) for edit in edits] == [Swap, Turn, Move, Remove, Strain, Strain, Insert]
    assert edits[3] == Remove((3,))
    assert edits[5] == Strain("", -0.005)
    again = read_edits("; ".join(map(str, edits)), glass)
    assert again[:6] == edits[:6]
    np.testing.assert_allclose(apply_edits(glass, again).glass.positions, apply_edits(glass, edits).glass.positions)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("swop 1,2", "did you mean 'swap'"),
        ("melt everything", "swap 12,15"),
        ("", "cannot be understood"),
        ("swap 1", "two atoms"),
        ("swap 1,2,3", "names 3"),
        ("swap 1,99999", "does not exist"),
        ("turn 1 into Xx", "unknown species 'Xx'"),
        ("turn 1 to Zr", "lacks the word 'into'"),
        ("move 1 by 1 2", "three numbers"),
        ("move 1 by 0 0 0", "stay where they are"),
        ("move 1 by nan 0 0", "finite"),
        ("remove all", "no atom of"),
        ("remove species Ag", "has no atoms of"),
        ("strain 0", "not 0"),
        ("strain 90%", "±0.2"),
        ("strain w 1%", "is no strain"),
        ("strain xx 1%", "is no strain"),
        ("strain much", "cannot be understood"),
        ("insert Cu at the top", "three numbers"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(glass: Glass, words: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_edits(words, glass)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


def test_atoms_do_not_come_to_lie_on_each_other(glass: Glass) -> None:
    way = glass.displacements_from(4)[9]
    with pytest.raises(InputError, match=r"atoms 4 .* and 9 .* apart"):
        apply_edits(glass, [Move((4,), tuple(way * 0.95))])
    same = np.flatnonzero(glass.numbers == glass.numbers[4])[:2]
    with pytest.raises(InputError, match="both"):
        apply_edits(glass, [Swap(*same.tolist())])
    with pytest.raises(InputError, match="already"):
        apply_edits(glass, [Turn((4,), glass.symbols[4])])
