"""LAMMPS files: each frame's own layout, contradictions that are named, and damage that is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.errors import InputError, SpeciesNeededError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import notes, read_glass

from .spellings import COMMENTED, LABELS, MASSES, SPECIES, data, dump


@pytest.fixture
def small(random_glass: Callable[..., Glass]) -> Glass:
    return random_glass(3)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Glass]:
    def read_text(text: str, name: str = "a.dump", **options: Any) -> Glass:
        (tmp_path / name).write_text(text)
        return read_glass(tmp_path / name, **options)

    return read_text


def test_each_frame_has_its_own_layout(random_glass: Callable[..., Glass], read: Callable[..., Glass]) -> None:
    first, second, third = random_glass(2), random_glass(3, shear=0.3), random_glass(3, seed=1)
    text = (
        dump(first, "id element x y z", before="ITEM: UNITS\nmetal\n", boundaries="pp ff fs")
        + dump(second, "y x z type id vx", step=1)
        + dump(third, "id type xs ys zs c_pe[1]", step=2)
    )
    for frame, glass, names in (
        (0, first, ["id"]),
        (1, second, ["type", "id", "vx"]),
        (2, third, ["id", "type", "c_pe[1]"]),
    ):
        read_back = read(text, species=SPECIES, frame=frame)
        np.testing.assert_array_equal(read_back.numbers, glass.numbers)
        np.testing.assert_allclose(read_back.cell, glass.cell, atol=1e-9)
        assert list(read_back.arrays) == names
        assert read_back.provenance["timestep"] == str(frame)
        assert read_back.provenance["lammps_units"] == "metal"
    assert read(text, frame=0).pbc.tolist() == [True, False, False]
    with pytest.raises(InputError, match="frame 3 does not exist: the LAMMPS dump has 3 frame"):
        read(text, frame=3)
    with pytest.raises(InputError, match="the LAMMPS dump has 3 frame"):
        read(text, frame=-(10**30))


def test_a_frame_that_was_cut_off_does_not_spoil_the_others(small: Glass, read: Callable[..., Glass]) -> None:
    whole = dump(small, "id element x y z")
    for cut in (0.2, 0.5, 0.9):
        text = whole + whole[: int(cut * len(whole))].rsplit("\n", 1)[0] + "\n" + whole
        np.testing.assert_array_equal(read(text).numbers, small.numbers)
        np.testing.assert_array_equal(read(text, frame=0).numbers, small.numbers)
        with pytest.raises(InputError, match="truncated"):
            read(text, frame=1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("x y z", "x y c_z"), "the column(s) x and y, but not z"),
        (("x y z", "a b c"), "no positions"),
        (("id element", "id id"), "two columns are called 'id'"),
        (("\n2 ", "\n1 "), "several atoms have the id(s) 1:"),
        (("\n2 ", "\n2.5 "), "'id' holds other values"),
        (("Cu ", "Qq "), "Qq"),
        (("pp pp pp", "pp pp xx"), "'pp pp xx'"),
        (("BOX BOUNDS", "BOX"), "no 'ITEM: BOX BOUNDS'"),
        (("ITEM: ATOMS", "ITEM: ATOM"), "no 'ITEM: ATOMS'"),
        (("\n27\n", "\n28\n"), "declares 28 atoms, 27 were found"),
        (("\n27\n", "\n26\n"), "declares 26 atoms, 27 were found"),
        (("\n27\n", "\nmany\n"), "'many' stands where"),
        (("id element", "id name"), "neither a 'type' nor an 'element' column"),
    ],
)
def test_damaged_dumps(small: Glass, read: Callable[..., Glass], change: tuple[str, str], said: str) -> None:
    text = dump(small, "id element x y z")
    assert change[0] in text
    with pytest.raises(InputError) as caught:
        read(text.replace(*change))
    assert said in str(caught.value)


def test_an_element_that_nobody_named_is_no_carbon(small: Glass, read: Callable[..., Glass]) -> None:
    text = dump(small, "id type element x y z").replace(" Cu ", " C ").replace(" Zr ", " C ")
    with pytest.raises(SpeciesNeededError) as caught:
        read(text)
    assert caught.value.types == (1, 2)
    glass = read(text, species=SPECIES)
    np.testing.assert_array_equal(glass.numbers, small.numbers)


def test_a_map_beside_other_elements_wins_and_says_so(small: Glass, read: Callable[..., Glass]) -> None:
    text = dump(small, "id type element x y z")
    glass = read(text, species={1: "Al", 2: "Zr"})
    assert set(glass.species) == {"Al", "Zr"}
    assert "1=Al, 2=Zr" in notes(glass)[0]
    assert "1=Cu, 2=Zr" in notes(glass)[0]
    with pytest.raises(InputError, match="names the species Cu, Zr and has no types"):
        read(text.replace("type", "c_type"), species={1: "Al", 2: "Zr"})


@pytest.mark.parametrize(
    "before",
    [
        COMMENTED.replace("# Cu", "# Zr"),
        LABELS.replace("Cu", "Al") + MASSES,
        LABELS + COMMENTED.replace("# Zr", "# Ag"),
    ],
)
def test_data_files_that_contradict_themselves_ask_for_a_map(
    small: Glass, read: Callable[..., Glass], before: str
) -> None:
    text = data(small, "id type x y z", before=before)
    with pytest.raises(SpeciesNeededError, match=r"where (its|the) .*Masses section says"):
        read(text, "a.data")
    np.testing.assert_array_equal(read(text, "a.data", species=SPECIES).numbers, small.numbers)


@pytest.mark.parametrize(
    ("masses", "species"),
    [
        ("1 63.5\n2 91.3", "CuZr"),
        ("1 63.4\n2 91.224", None),  # 0.146 u from copper
        ("1 1.0\n2 1.0", None),  # what is written where masses do not matter
        ("1 63.546\n2 63.546", "Cu"),
        ("1 208.98\n2 106.42", "BiPd"),
        ("1 58.933 # cobalt\n2 58.693", "CoNi"),
    ],
)
def test_masses_say_species_within_a_tenth_of_a_unit(
    small: Glass, read: Callable[..., Glass], masses: str, species: str | None
) -> None:
    text = data(small, "id type x y z", before=f"Masses\n\n{masses}\n\n")
    if species is None:
        with pytest.raises(SpeciesNeededError):
            read(text, "a.data")
    else:
        assert "".join(sorted(read(text, "a.data").species)) == species


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("\n2 ", "\n1 "), "several atoms have the id(s) 1:"),
        (("27 atoms", "28 atoms"), "declares 28 atoms, 27 were found"),
        (("27 atoms", "many atoms"), "'nothing'"),
        (("27 atoms", "27 things"), "'nothing'"),
        (("xlo xhi", "xlo xhigh"), "no line 'xlo xhi'"),
        (("Atoms # atomic", "Atoms # hybrid"), "style 'hybrid'"),
        (("Atoms # atomic", "Atoms # charge"), "row 1 of the atoms has 5 value(s)"),
        (("Atoms # atomic", "Atom # atomic"), "no section 'Atoms'"),
        (("2 91.224", "2 heavy"), "'2 heavy'"),
        (("units = metal", "units = lj"), "no fixed length"),
    ],
)
def test_damaged_data_files(small: Glass, read: Callable[..., Glass], change: tuple[str, str], said: str) -> None:
    text = data(small, "id type x y z", before=MASSES)
    assert change[0] in text
    with pytest.raises(InputError) as caught:
        read(text.replace(*change), "a.data")
    assert said in str(caught.value)


def test_other_units_of_length_are_converted_and_said(small: Glass, read: Callable[..., Glass]) -> None:
    bohr = 0.529177210903
    shrunk = Glass(small.positions / bohr, small.numbers, small.cell / bohr)
    for text, name in (
        (dump(shrunk, "id element x y z", before="ITEM: UNITS\nelectron\n"), "a.dump"),
        (dump(shrunk, "id element xs ys zs", before="ITEM: UNITS\nelectron\n"), "b.dump"),
        (data(shrunk, "id type x y z", before=MASSES).replace("metal", "electron"), "a.data"),
    ):
        glass = read(text, name)
        np.testing.assert_allclose(glass.cell, small.cell, atol=1e-9)
        assert any("electron" in sentence for sentence in notes(glass))


def test_only_frame_of_files_without_frames(small: Glass, read: Callable[..., Glass]) -> None:
    text = data(small, "id type x y z", before=MASSES)
    assert len(read(text, "a.data", frame=0)) == 27
    with pytest.raises(InputError, match="frame 1 does not exist"):
        read(text, "a.data", frame=1)


def test_columns_that_are_no_image_flags_move_no_atom(small: Glass, read: Callable[..., Glass]) -> None:
    rows = data(small, "id type q x y z c_pe[1] vx", atoms="Atoms", before=MASSES)
    with pytest.raises(InputError, match="no image flags: write the style"):
        read(rows, "a.data")


def test_types_of_a_dump_may_be_written_with_decimals(small: Glass, read: Callable[..., Glass]) -> None:
    head, rows = dump(small, "type x y z").split("ITEM: ATOMS type x y z\n")
    written = "".join(row.replace(" ", ".0 ", 1) + "\n" for row in rows.splitlines())
    assert read(f"{head}ITEM: ATOMS type x y z\n{written}", species=SPECIES).formula == small.formula
